//! Watches the chain through this node's own RPC endpoint and says what it shows: executed for good, or void.

use crate::Node;
use alloy::{
    eips::BlockNumberOrTag,
    primitives::{Address, B256, Bytes},
    providers::{DynProvider, Provider, ProviderBuilder},
    rpc::types::{Filter, TransactionRequest},
};
use domain::{Cid, Did, Digest, EscrowDomain, Time};
use ledger::{Verdict, args::Attest};
use std::{collections::BTreeSet, sync::Arc, time::Duration};

/// How often the chain is looked at when nothing else wakes the watcher: well under a block's time.
const TICK: Duration = Duration::from_millis(400);
/// Every call to the endpoint ends by then.
const PATIENCE: Duration = Duration::from_secs(5);
/// Proposals looked at in one round; the rest follow in the next.
const ROUND: usize = 64;

#[derive(Debug, thiserror::Error)]
enum WatchError {
    #[error("the RPC endpoint did not answer: {0}")]
    Rpc(String),
    #[error("the RPC endpoint did not answer in time")]
    Timeout,
    #[error("the RPC endpoint is on another chain")]
    OtherChain,
    #[error("the control plane did not take the attestation")]
    Statement(#[from] client::ClientError),
    #[error("no statement can be made")]
    Speak(#[from] client::SpeakError),
}

/// One open payout that the chain may have something to say about.
struct Watched {
    id: Cid,
    tenant: Did,
    escrow: EscrowDomain,
    confirmations: u64,
    valid_until: Time,
}

pub(crate) async fn run(node: Arc<Node>) {
    let Ok(url) = node.config.rpc.as_str().parse() else {
        tracing::error!("the RPC endpoint is not a URL; nothing is attested");
        return;
    };
    let provider = ProviderBuilder::new().connect_http(url).erased();
    let mut growth = node.view.growth();
    let mut said: BTreeSet<Cid> = BTreeSet::new();
    loop {
        // A growing log may bring something to attest; otherwise time alone may (a block, an expiry).
        let _ = tokio::time::timeout(TICK, growth.changed()).await;
        if node.view.halted().is_some() {
            return;
        }
        let watched = watched(&node, &said);
        said.retain(|id| node.view.replica().state().proposal(id).is_some());
        for payout in watched {
            match look(&node, &provider, &payout).await {
                Ok(true) => {
                    said.insert(payout.id);
                }
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(%error, proposal = %payout.id, "cannot attest yet");
                    tokio::time::sleep(TICK).await;
                    break;
                }
            }
        }
    }
}

/// Approved payouts that a relayer has reported on or whose time is over, and that this node has said nothing about.
fn watched(node: &Node, said: &BTreeSet<Cid>) -> Vec<Watched> {
    let replica = node.view.replica();
    let state = replica.state();
    let now = node.ambient.now();
    if state.quorum().is_none_or(|q| q.participant(&node.did).is_none()) {
        return Vec::new();
    }
    let relevant = state.proposals().filter(|(id, p)| {
        !said.contains(id)
            && p.execution().is_some_and(|e| {
                !e.attestations.contains_key(&node.did) && (e.progress.is_some() || p.payout.valid_until < now)
            })
    });
    let watch = |(id, p): (&Cid, &ledger::Proposal)| {
        let tenant = state.tenant(&p.tenant)?;
        Some(Watched {
            id: *id,
            tenant: p.tenant,
            escrow: tenant.escrow,
            confirmations: tenant.confirmations,
            valid_until: p.payout.valid_until,
        })
    };
    relevant.filter_map(watch).take(ROUND).collect()
}

async fn timely<T, E: std::fmt::Display>(call: impl Future<Output = Result<T, E>>) -> Result<T, WatchError> {
    let answer = tokio::time::timeout(PATIENCE, call).await.map_err(|_| WatchError::Timeout)?;
    answer.map_err(|e| WatchError::Rpc(e.to_string()))
}

/// Looks at one payout in a final block; says what it sees. `true` when an attestation was taken.
async fn look(node: &Node, provider: &DynProvider, payout: &Watched) -> Result<bool, WatchError> {
    if timely(async { provider.get_chain_id().await }).await? != payout.escrow.chain.0 {
        return Err(WatchError::OtherChain);
    }
    let latest = timely(async { provider.get_block_number().await }).await?;
    let Some(height) = latest.checked_sub(payout.confirmations) else { return Ok(false) };
    let contract = Address::from(payout.escrow.contract.0);
    let call = TransactionRequest::default()
        .to(contract)
        .input(Bytes::from(escrow::read::executed_calldata(payout.id.digest())).into());
    let returned = timely(async { provider.call(call).number(height).await }).await?;
    let executed = escrow::read::executed(&returned).map_err(|e| WatchError::Rpc(e.to_string()))?;
    let attestation = if executed {
        let Some((block, transaction)) = execution(provider, payout, height).await? else { return Ok(false) };
        Attest { proposal: payout.id, verdict: Verdict::Final, block, transaction: Some(transaction) }
    } else {
        let tag = BlockNumberOrTag::Number(height);
        let block = timely(async { provider.get_block_by_number(tag).await }).await?;
        // A block later than valid_until, so deep that it stays: the contract refuses the payout from there on.
        if block.is_none_or(|b| b.header.timestamp <= payout.valid_until.unix()) {
            return Ok(false);
        }
        Attest { proposal: payout.id, verdict: Verdict::Void, block: height, transaction: None }
    };
    let statement = node.speaker.say("/execution/attest", payout.tenant, &attestation)?;
    match node.control_plane.submit_statement(&statement.container).await {
        Ok(_) => Ok(true),
        // Settled by the others meanwhile, or attested before a restart.
        Err(client::ClientError::Problem(p)) if p.status == 409 || p.status == 404 || p.status == 422 => Ok(true),
        Err(error) => Err(error.into()),
    }
}

/// The block and transaction of the executing event.
async fn execution(provider: &DynProvider, payout: &Watched, height: u64) -> Result<Option<(u64, Digest)>, WatchError> {
    let filter = Filter::new()
        .address(Address::from(payout.escrow.contract.0))
        .event_signature(B256::from(escrow::PAYOUT_EXECUTED_TOPIC))
        .topic1(B256::from(*payout.id.digest().as_bytes()))
        .from_block(0)
        .to_block(height);
    let logs = timely(async { provider.get_logs(&filter).await }).await?;
    Ok(logs.iter().find_map(|log| Some((log.block_number?, Digest::from_bytes(log.transaction_hash?.0)))))
}
