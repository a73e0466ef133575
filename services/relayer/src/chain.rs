use crate::{
    config::ChainConfig,
    fees::Fees,
    gas_account::{GasAccount, Sent},
};
use alloy::{
    consensus::Transaction as _,
    network::TransactionBuilder,
    primitives::{Address as EvmAddress, B256, Bytes},
    providers::{Provider, RootProvider},
    rpc::{
        client::RpcClient,
        types::{BlockId, Filter, TransactionRequest},
    },
    signers::local::PrivateKeySigner,
    sol_types::SolInterface,
    transports::{RpcError, TransportErrorKind, http::reqwest},
};
use domain::{Address, ChainId, Digest};
use escrow::{PAYOUT_EXECUTED_TOPIC, abi::Escrow, read};
use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

/// A node that takes longer is down.
const RPC_TIMEOUT: Duration = Duration::from_secs(10);
/// Providers refuse wider ranges.
const LOG_WINDOW: u64 = 2_000;
/// How far back an execution by somebody else is looked for: a day of 2-second blocks is found in 22 windows.
const LOG_WINDOWS: u64 = 22;
/// An estimate is exact for one state; the next block's may cost a little more.
const GAS_MARGIN_DIVISOR: u64 = 4;
/// Gas of a payout apart from its recipients: the transaction, the signature's check and the bookkeeping, twice over.
const PAYOUT_GAS: u64 = 200_000;
/// Gas of one recipient: a token transfer to a fresh account, with room for tokens that do more than move units. A
/// recipient's or token's own code decides how much is burnt, and the relayer pays it.
const RECIPIENT_GAS: u64 = 120_000;

/// One chain, by one RPC endpoint, with the gas account on it.
pub(crate) struct Chain {
    pub config: ChainConfig,
    pub account: GasAccount,
    pub provider: RootProvider,
    healthy: AtomicBool,
}

/// A call of an escrow contract.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub contract: Address,
    pub data: Vec<u8>,
    /// The most gas that an estimate may say, for a payout see [`gas_ceiling`].
    pub ceiling: u64,
}

/// What a transaction that somebody sent calls.
#[derive(Clone, Debug)]
pub(crate) struct Called {
    pub contract: Address,
    pub data: Vec<u8>,
}

/// The most gas that is paid for a payout to so many recipients.
pub(crate) fn gas_ceiling(recipients: usize) -> u64 {
    let recipients = u64::try_from(recipients).unwrap_or(u64::MAX);
    PAYOUT_GAS.saturating_add(RECIPIENT_GAS.saturating_mul(recipients))
}

/// What a block says of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Receipt {
    pub transaction: Digest,
    pub block: u64,
    pub success: bool,
}

/// The chain did not do as asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChainError {
    /// The endpoint is configured wrongly.
    #[error("the RPC endpoint of {0} is of another chain")]
    Endpoint(ChainId),
    /// Not reachable, or an answer that is none. The endpoint's URL may hold a key, so only the kind is told.
    #[error("RPC: {0}")]
    Rpc(String),
    /// The contract refuses the call.
    #[error("the contract reverts: {0}")]
    Reverted(String),
    /// The contract has executed the intent, or will with a transaction that is pending.
    #[error("the intent is executed already")]
    AlreadyExecuted,
    /// It would cost more than a payout may.
    #[error("will not pay for this: {gas} gas, at most {ceiling}")]
    TooDear { gas: u64, ceiling: u64 },
}

type Transport = RpcError<TransportErrorKind>;

impl From<Transport> for ChainError {
    fn from(error: Transport) -> Self {
        if let Some(payload) = error.as_error_resp() {
            if let Some(data) = payload.as_revert_data() {
                return revert(&data);
            }
            if payload.message.contains("revert") {
                return Self::Reverted(payload.message.chars().take(80).collect());
            }
            return Self::Rpc(payload.message.chars().take(200).collect());
        }
        Self::Rpc(if matches!(error, RpcError::Transport(_)) { "no answer" } else { "malformed answer" }.to_owned())
    }
}

fn revert(data: &[u8]) -> ChainError {
    match Escrow::EscrowErrors::abi_decode(data) {
        Ok(Escrow::EscrowErrors::AlreadyExecuted(_)) => ChainError::AlreadyExecuted,
        Ok(error) => {
            // The name alone: `IsFrozen(IsFrozen)` and the like say nothing more.
            let text = format!("{error:?}");
            ChainError::Reverted(text.split(['(', ' ']).next().unwrap_or("unknown").to_owned())
        }
        Err(_) => ChainError::Reverted(format!("unknown error of {} bytes", data.len())),
    }
}

pub(crate) const fn evm(address: Address) -> EvmAddress {
    EvmAddress::new(address.0)
}

const fn word(digest: &Digest) -> B256 {
    B256::new(*digest.as_bytes())
}

impl Chain {
    pub(crate) fn new(config: ChainConfig, wallet: PrivateKeySigner) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder().timeout(RPC_TIMEOUT).tcp_nodelay(true).no_proxy().build()?;
        let provider = RootProvider::new(RpcClient::new_http_with_client(http, config.rpc.url()));
        let account = GasAccount::new(wallet, config.chain, config.max_fee());
        Ok(Self { config, account, provider, healthy: AtomicBool::new(false) })
    }

    /// Whether the endpoint answered last time, and for this chain.
    pub(crate) fn is_healthy(&self) -> bool {
        self.healthy.load(Ordering::Relaxed)
    }

    /// Asks the endpoint which chain it serves.
    pub(crate) async fn probe(&self) -> Result<(), ChainError> {
        let answer = self.provider.get_chain_id().await;
        let healthy = answer.as_ref().is_ok_and(|id| *id == self.config.chain.0);
        self.healthy.store(healthy, Ordering::Relaxed);
        if answer? == self.config.chain.0 { Ok(()) } else { Err(ChainError::Endpoint(self.config.chain)) }
    }

    /// Whether the newest block's state has the intent executed.
    pub(crate) async fn executed(&self, contract: Address, intent: &Digest) -> Result<bool, ChainError> {
        let data = read::executed_calldata(intent);
        let returned = self.provider.call(self.request(contract, data)).block(BlockId::latest()).await?;
        read::executed(&returned).map_err(|e| ChainError::Rpc(e.to_string()))
    }

    /// The contract's nonce in the newest block's state: the next change must carry it.
    pub(crate) async fn nonce(&self, contract: Address) -> Result<u64, ChainError> {
        let request = self.request(contract, read::nonce_calldata());
        let returned = self.provider.call(request).block(BlockId::latest()).await?;
        read::nonce(&returned).map_err(|e| ChainError::Rpc(e.to_string()))
    }

    /// Whether the newest block's state has the contract frozen.
    pub(crate) async fn frozen(&self, contract: Address) -> Result<bool, ChainError> {
        let request = self.request(contract, read::frozen_calldata());
        let returned = self.provider.call(request).block(BlockId::latest()).await?;
        read::frozen(&returned).map_err(|e| ChainError::Rpc(e.to_string()))
    }

    /// Runs the call on top of what is pending, and says how much gas to allow it.
    pub(crate) async fn simulate(&self, call: &Call) -> Result<u64, ChainError> {
        self.provider.call(self.pay(call)).block(BlockId::pending()).await?;
        self.gas(call, BlockId::pending()).await
    }

    /// How much gas to allow the call, as estimated on the state of a block.
    pub(crate) async fn gas(&self, call: &Call, block: BlockId) -> Result<u64, ChainError> {
        let gas = self.provider.estimate_gas(self.pay(call)).block(block).await?;
        if gas > call.ceiling {
            return Err(ChainError::TooDear { gas, ceiling: call.ceiling });
        }
        Ok(gas.saturating_add(gas.div_euclid(GAS_MARGIN_DIVISOR)))
    }

    /// What the market asks now, within the configured limit.
    pub(crate) async fn fees(&self) -> Result<Fees, ChainError> {
        let market = self.provider.estimate_eip1559_fees().await?;
        let fees = Fees { max: market.max_fee_per_gas, priority: market.max_priority_fee_per_gas };
        Ok(fees.within(self.config.max_fee()))
    }

    pub(crate) async fn height(&self) -> Result<u64, ChainError> {
        Ok(self.provider.get_block_number().await?)
    }

    /// What became of a transaction; `None` while no block has it.
    pub(crate) async fn receipt(&self, transaction: &Digest) -> Result<Option<Receipt>, ChainError> {
        let receipt = self.provider.get_transaction_receipt(word(transaction)).await?;
        Ok(receipt.and_then(|r| {
            let block = r.block_number?;
            Some(Receipt { transaction: *transaction, block, success: r.status() })
        }))
    }

    /// The first receipt that a block has of several transactions of which at most one can be included.
    pub(crate) async fn any_receipt(&self, transactions: &[Digest]) -> Result<Option<Receipt>, ChainError> {
        for transaction in transactions.iter().rev() {
            if let Some(receipt) = self.receipt(transaction).await? {
                return Ok(Some(receipt));
            }
        }
        Ok(None)
    }

    /// What a transaction calls, pending or included; `None` when the node does not know it. One that creates a
    /// contract calls address zero here.
    pub(crate) async fn call_of(&self, transaction: &Digest) -> Result<Option<Called>, ChainError> {
        let found = self.provider.get_transaction_by_hash(word(transaction)).await?;
        Ok(found
            .map(|t| Called { contract: Address(t.to().unwrap_or_default().into_array()), data: t.input().to_vec() }))
    }

    /// The transaction and block that executed the intent, whoever sent it.
    pub(crate) async fn execution(&self, contract: Address, intent: &Digest) -> Result<Option<Receipt>, ChainError> {
        let mut to = self.height().await?;
        for _ in 0..LOG_WINDOWS {
            let from = to.saturating_sub(LOG_WINDOW.saturating_sub(1));
            let filter = Filter::new()
                .address(evm(contract))
                .event_signature(B256::new(PAYOUT_EXECUTED_TOPIC))
                .topic1(word(intent))
                .from_block(from)
                .to_block(to);
            let logs = self.provider.get_logs(&filter).await?;
            let found = logs.first().and_then(|log| Some((log.transaction_hash?, log.block_number?)));
            if let Some((hash, block)) = found {
                return Ok(Some(Receipt { transaction: Digest::from_bytes(hash.0), block, success: true }));
            }
            if from == 0 {
                break;
            }
            to = from.saturating_sub(1);
        }
        Ok(None)
    }

    /// Signs and sends the call with the account's next nonce.
    pub(crate) async fn submit(&self, call: &Call, gas: u64) -> Result<Sent, ChainError> {
        let fees = self.fees().await?;
        self.account.send(&self.provider, self.pay(call).with_gas_limit(gas), fees).await
    }

    /// Sends the same call with the same nonce and higher fees; `None` when the limit does not allow more.
    pub(crate) async fn replace(&self, call: &Call, gas: u64, sent: &Sent) -> Result<Option<Sent>, ChainError> {
        let limit = self.config.max_fee();
        let fees = match sent.fees.replacing(self.fees().await?, limit) {
            Some(fees) => fees,
            // No dearer, but the node may have forgotten it.
            None if !self.knows(sent).await? => sent.fees,
            None => return Ok(None),
        };
        let request = self.pay(call).with_gas_limit(gas);
        self.account.resend(&self.provider, request, fees, sent).await.map(Some)
    }

    /// Takes `sent` back by a transaction under its nonce that does nothing, unless the limit does not allow it.
    pub(crate) async fn cancel(&self, sent: &Sent) -> Result<(), ChainError> {
        let limit = self.config.max_fee();
        if let Some(fees) = sent.fees.replacing(self.fees().await?, limit) {
            self.account.cancel(&self.provider, fees, sent).await?;
        }
        Ok(())
    }

    /// Fills the gap that keeps `sent` from being included, if there is one.
    pub(crate) async fn fill_below(&self, sent: &Sent) -> Result<u64, ChainError> {
        let fees = self.fees().await?.ample().within(self.config.max_fee());
        self.account.fill(&self.provider, sent.nonce, fees).await
    }

    /// Whether the node still has one of the transactions.
    async fn knows(&self, sent: &Sent) -> Result<bool, ChainError> {
        for transaction in sent.hashes.iter().rev() {
            if self.call_of(transaction).await?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn pay(&self, call: &Call) -> TransactionRequest {
        self.request(call.contract, call.data.clone())
    }

    fn request(&self, contract: Address, data: Vec<u8>) -> TransactionRequest {
        TransactionRequest::default()
            .with_from(self.account.address())
            .with_to(evm(contract))
            .with_input(Bytes::from(data))
    }
}
