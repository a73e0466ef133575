use crate::{
    chain::{ChainError, evm},
    fees::Fees,
};
use alloy::{
    network::{EthereumWallet, NetworkTransactionBuilder, TransactionBuilder, eip2718::Encodable2718},
    primitives::{Address as EvmAddress, B256, U64, U128, U256},
    providers::{Provider, RootProvider},
    rpc::types::{BlockId, TransactionRequest},
    signers::local::PrivateKeySigner,
};
use domain::{Address, ChainId, Digest, EscrowDomain};
use serde::Deserialize;
use std::{borrow::Cow, collections::BTreeMap};
use tokio::sync::Mutex;

/// The most gas for a transfer of nothing: 21,000 by the protocol, more where a rollup charges for its data as gas.
const TRANSFER_GAS: u64 = 1_000_000;
/// Nonces filled in one go; a longer gap takes several.
const FILLED_AT_ONCE: u64 = 16;

/// The relayer's own account on one chain. Nonces are given out in order, one transaction at a time, and asked of the
/// node again after every error: what the node thinks is true, what is remembered here is a shortcut.
pub(crate) struct GasAccount {
    address: EvmAddress,
    chain: ChainId,
    wallet: EthereumWallet,
    max_fee: u128,
    /// The next nonce; `None` when the node must be asked.
    next: Mutex<Option<u64>>,
}

/// A transaction that was signed and handed to a node, and those that it replaces.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub nonce: u64,
    /// Newest last; at most one of them is ever included.
    pub hashes: Vec<Digest>,
    pub fees: Fees,
}

/// What a node's refusal of a transaction means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// The node has it.
    Accepted,
    /// The nonce was used by a transaction that this process does not know.
    NonceUsed,
    /// Anything else.
    Refused,
}

/// A pending transaction as nodes list it; of the other fields nothing is needed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Pending {
    from: EvmAddress,
    to: Option<EvmAddress>,
    hash: B256,
    nonce: U64,
    input: alloy::primitives::Bytes,
    max_fee_per_gas: Option<U128>,
    max_priority_fee_per_gas: Option<U128>,
}

#[derive(Deserialize)]
struct PendingBlock {
    transactions: Vec<Pending>,
}

/// The account of a wallet key.
pub fn wallet_address(wallet: &PrivateKeySigner) -> Address {
    Address(wallet.address().into_array())
}

impl Verdict {
    /// Nodes agree on no codes, only roughly on words.
    fn of(message: &str) -> Self {
        let message = message.to_ascii_lowercase();
        let says = |words: &[&str]| words.iter().any(|w| message.contains(w));
        if says(&["already known", "known transaction", "already imported"]) {
            Self::Accepted
        } else if says(&["nonce too low", "nonce is too low", "old nonce", "replacement transaction underpriced"]) {
            Self::NonceUsed
        } else {
            Self::Refused
        }
    }
}

impl GasAccount {
    pub(crate) fn new(wallet: PrivateKeySigner, chain: ChainId, max_fee: u128) -> Self {
        let address = wallet.address();
        Self { address, chain, wallet: EthereumWallet::from(wallet), max_fee, next: Mutex::new(None) }
    }

    pub(crate) const fn address(&self) -> EvmAddress {
        self.address
    }

    /// Sends with the next nonce. The lock is held until the node has answered, so that no later nonce can overtake.
    pub(crate) async fn send(
        &self,
        provider: &RootProvider,
        request: TransactionRequest,
        fees: Fees,
    ) -> Result<Sent, ChainError> {
        let mut next = self.next.lock().await;
        let nonce = match next.take() {
            Some(nonce) => nonce,
            None => provider.get_transaction_count(self.address).block_id(BlockId::pending()).await?,
        };
        let (hash, raw) = self.sign(request, nonce, fees).await?;
        let sent = Sent { nonce, hashes: vec![hash], fees };
        match provider.send_raw_transaction(&raw).await {
            Ok(_) => {}
            Err(error) => {
                let message = error.as_error_resp().map(|p| p.message.to_string());
                match message.as_deref().map(Verdict::of) {
                    Some(Verdict::Accepted) => {}
                    // Cut off: the node may have it. The transaction is followed, and the nonce asked for again.
                    None => return Ok(sent),
                    Some(Verdict::NonceUsed | Verdict::Refused) => return Err(error.into()),
                }
            }
        }
        *next = nonce.checked_add(1);
        Ok(sent)
    }

    /// Sends a replacement with the nonce of `sent`.
    pub(crate) async fn resend(
        &self,
        provider: &RootProvider,
        request: TransactionRequest,
        fees: Fees,
        sent: &Sent,
    ) -> Result<Sent, ChainError> {
        let (hash, raw) = self.sign(request, sent.nonce, fees).await?;
        let mut hashes = sent.hashes.clone();
        hashes.push(hash);
        let replaced = Sent { nonce: sent.nonce, hashes, fees };
        match provider.send_raw_transaction(&raw).await {
            Ok(_) => Ok(replaced),
            Err(error) => match error.as_error_resp().map(|p| Verdict::of(&p.message)) {
                None | Some(Verdict::Accepted) => Ok(replaced),
                Some(_) => Err(error.into()),
            },
        }
    }

    /// Sends a transaction that does nothing in place of `sent`, so that its nonce is used and later ones can follow.
    pub(crate) async fn cancel(&self, provider: &RootProvider, fees: Fees, sent: &Sent) -> Result<Sent, ChainError> {
        self.resend(provider, self.nothing(provider).await?, fees, sent).await
    }

    /// Uses up the nonces below `nonce` that the node does not have: it forgot their transactions, and nobody sends
    /// them again. Every later one would wait for ever. Returns how many it filled.
    pub(crate) async fn fill(&self, provider: &RootProvider, nonce: u64, fees: Fees) -> Result<u64, ChainError> {
        let mut next = self.next.lock().await;
        let mut filled = 0_u64;
        let mut last = None;
        while filled < FILLED_AT_ONCE {
            // The pending count is the lowest nonce that is missing.
            let missing = provider.get_transaction_count(self.address).block_id(BlockId::pending()).await?;
            if missing > nonce {
                break;
            }
            // What is remembered here is not what the node thinks.
            *next = None;
            if missing == nonce || last == Some(missing) {
                break;
            }
            let (_, raw) = self.sign(self.nothing(provider).await?, missing, fees).await?;
            let _ = provider.send_raw_transaction(&raw).await?;
            last = Some(missing);
            filled = filled.saturating_add(1);
        }
        Ok(filled)
    }

    /// A transfer of nothing to the account itself.
    async fn nothing(&self, provider: &RootProvider) -> Result<TransactionRequest, ChainError> {
        let request =
            TransactionRequest::default().with_from(self.address).with_to(self.address).with_value(U256::ZERO);
        let gas = provider.estimate_gas(request.clone()).block(BlockId::latest()).await?;
        Ok(request.with_gas_limit(gas.min(TRANSFER_GAS)))
    }

    /// How many of the account's transactions blocks have.
    pub(crate) async fn used(&self, provider: &RootProvider) -> Result<u64, ChainError> {
        Ok(provider.get_transaction_count(self.address).block_id(BlockId::latest()).await?)
    }

    /// The payouts that this account has pending at the node, by intent: what an earlier life of this process sent.
    pub(crate) async fn pending(
        &self,
        provider: &RootProvider,
        domain: EscrowDomain,
    ) -> Result<BTreeMap<Digest, Sent>, ChainError> {
        let calls = self.pending_calls(provider, domain.contract).await?.into_iter();
        let payouts = calls.filter_map(|(data, sent)| {
            let (authorisation, _) = escrow::decode_payout_calldata(domain, &data).ok()?;
            Some((authorisation.intent, sent))
        });
        Ok(payouts.collect())
    }

    /// The calls of a contract that this account has pending at the node, with their call data.
    pub(crate) async fn pending_calls(
        &self,
        provider: &RootProvider,
        contract: Address,
    ) -> Result<Vec<(Vec<u8>, Sent)>, ChainError> {
        let all = provider.get_transaction_count(self.address).block_id(BlockId::pending()).await?;
        if all <= self.used(provider).await? {
            return Ok(Vec::new());
        }
        let method = Cow::Borrowed("eth_getBlockByNumber");
        let block: Option<serde_json::Value> = provider.raw_request(method, ("pending", true)).await?;
        // A node whose pending block has another form lists nothing; the simulation still sees what is pending.
        let listed = block.and_then(|b| serde_json::from_value::<PendingBlock>(b).ok());
        let transactions = listed.map(|b| b.transactions).unwrap_or_default();
        let own = transactions.into_iter().filter(|t| t.from == self.address && t.to == Some(evm(contract)));
        Ok(own
            .map(|t| {
                let fee = |f: Option<U128>| f.map_or(self.max_fee, |f| f.to());
                let fees = Fees { max: fee(t.max_fee_per_gas), priority: fee(t.max_priority_fee_per_gas) };
                let hashes = vec![Digest::from_bytes(t.hash.0)];
                (t.input.to_vec(), Sent { nonce: t.nonce.to(), hashes, fees })
            })
            .collect())
    }

    async fn sign(&self, request: TransactionRequest, nonce: u64, fees: Fees) -> Result<(Digest, Vec<u8>), ChainError> {
        let request = request
            .with_nonce(nonce)
            .with_chain_id(self.chain.0)
            .with_max_fee_per_gas(fees.max)
            .with_max_priority_fee_per_gas(fees.priority);
        let signed = request.build(&self.wallet).await.map_err(|e| ChainError::Rpc(e.to_string()))?;
        Ok((Digest::from_bytes(signed.tx_hash().0), signed.encoded_2718()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_apart_by_their_words() {
        for (message, verdict) in [
            ("already known", Verdict::Accepted),
            ("nonce too low: next nonce 5, tx nonce 4", Verdict::NonceUsed),
            ("Nonce too low", Verdict::NonceUsed),
            ("replacement transaction underpriced", Verdict::NonceUsed),
            ("insufficient funds for gas * price + value", Verdict::Refused),
        ] {
            assert_eq!(Verdict::of(message), verdict, "{message}");
        }
    }
}
