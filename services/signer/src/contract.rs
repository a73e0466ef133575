//! What an escrow contract says, by this node's own RPC endpoint, before the quorum changes it. What is signed for a
//! nonce that is yet to come could be held back: a thaw, until a later freeze brings its nonce up, to undo that freeze.

use crate::{Node, attest};
use alloy::{
    primitives::{Address, Bytes},
    providers::{DynProvider, Provider},
    rpc::types::TransactionRequest,
};
use domain::{AdministrationAuthorisation, ContractMeasure, EscrowDomain};
use escrow::{DecodeError, read};
use messages::{Refusal, RefusalCode};
use std::time::Duration;

/// Every answer is there by then; coordinators wait for five seconds.
const PATIENCE: Duration = Duration::from_secs(3);
/// Seconds until asking again makes sense: the endpoint may lag, or an earlier change wait for its block.
const AGAIN: u64 = 5;

/// A contract in the newest block.
struct Contract {
    nonce: u64,
    frozen: bool,
    epoch: u64,
}

/// Refuses what the contract would not take now.
pub(crate) async fn check_due(node: &Node, change: &AdministrationAuthorisation) -> Result<(), Refusal> {
    let refuse = |code, detail| Refusal { retry_after: Some(AGAIN), ..Refusal::new(code, detail) };
    let unavailable = |detail: &str| refuse(RefusalCode::ChainUnavailable, detail.to_owned());
    let looked = tokio::time::timeout(PATIENCE, look(node, change.domain)).await;
    let contract = looked.unwrap_or(Err("no answer in time")).map_err(unavailable)?;
    contract.refusal(change).map_or(Ok(()), |why| Err(refuse(RefusalCode::NotDue, why)))
}

impl Contract {
    fn refusal(&self, change: &AdministrationAuthorisation) -> Option<String> {
        if self.epoch != change.epoch {
            return Some(format!("the contract's key is of epoch {}", self.epoch));
        }
        if self.nonce != change.nonce {
            return Some(format!("the contract's nonce is {}", self.nonce));
        }
        let is_thaw = matches!(change.measure, ContractMeasure::Thaw { .. });
        (is_thaw && !self.frozen).then(|| "the contract is not frozen".to_owned())
    }
}

/// Asks for everything at once. The answers may be of different blocks: the nonce alone says which freeze it is.
///
/// The errors go to whoever asks for the signature, so they do not repeat what the endpoint's client says: its URL may
/// hold an access key.
async fn look(node: &Node, domain: EscrowDomain) -> Result<Contract, &'static str> {
    let provider = attest::provider(node).ok_or("the RPC endpoint is not a URL")?;
    let chain = async { provider.get_chain_id().await.map_err(|_| SILENT) };
    let (chain, nonce, frozen, epoch) = tokio::try_join!(
        chain,
        ask(&provider, domain, read::nonce_calldata(), read::nonce),
        ask(&provider, domain, read::frozen_calldata(), read::frozen),
        ask(&provider, domain, read::epoch_calldata(), read::epoch),
    )?;
    if chain == domain.chain.0 {
        Ok(Contract { nonce, frozen, epoch })
    } else {
        Err("the RPC endpoint is on another chain")
    }
}

const SILENT: &str = "the RPC endpoint does not answer";

async fn ask<T>(
    provider: &DynProvider,
    domain: EscrowDomain,
    data: Vec<u8>,
    read: fn(&[u8]) -> Result<T, DecodeError>,
) -> Result<T, &'static str> {
    let request = TransactionRequest::default().to(Address::from(domain.contract.0)).input(Bytes::from(data).into());
    let returned = provider.call(request).await.map_err(|_| SILENT)?;
    read(&returned).map_err(|_| "no escrow contract answers")
}
