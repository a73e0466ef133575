//! Watches the chain through this node's own RPC endpoint and says what it shows: executed for good, or void.

use crate::Node;
use alloy::{
    eips::BlockNumberOrTag,
    primitives::{Address, B256, Bytes},
    providers::{DynProvider, Provider, ProviderBuilder},
    rpc::types::{Filter, TransactionRequest},
    transports::http::reqwest,
};
use domain::{Cid, Did, Digest, EscrowDomain, Time};
use ledger::{Verdict, args::Attest};
use std::{
    collections::BTreeMap,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::time::MissedTickBehavior;

/// How often the chain is looked at: well under a block's time, and not whenever the log grows, because that is when this
/// node has something to sign.
const TICK: Duration = Duration::from_millis(400);
/// How often the endpoint is asked whether it is there.
const PROBE: Duration = Duration::from_secs(2);
/// Every call to the endpoint ends by then.
const PATIENCE: Duration = Duration::from_secs(5);
/// Proposals looked at in one round; the next round goes on behind them.
const ROUND: usize = 64;
/// Seconds until a payout is looked at again: what was said should be in the log by then.
const SAID_PAUSE: u64 = 10;
/// Seconds until a payout that could not be looked at or attested is tried again.
const FAILED_PAUSE: u64 = 3;
/// Blocks searched for an execution that no relayer has named the block of; providers refuse much wider ranges.
const LOOK_BACK: u64 = 9_000;

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

/// Whether the RPC endpoint answered when it was last asked.
#[derive(Debug, Default)]
pub(crate) struct Endpoint(AtomicBool);

impl Endpoint {
    pub fn answers(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// One open payout that the chain may have something to say about.
struct Watched {
    id: Cid,
    tenant: Did,
    escrow: EscrowDomain,
    confirmations: u64,
    valid_until: Time,
    /// Where a relayer says that it was included: a place to look, not a fact.
    block: Option<u64>,
}

/// This node's own view of the chain.
pub(crate) fn provider(node: &Node) -> Option<DynProvider> {
    let url = node.config.rpc.as_str().parse().ok();
    if url.is_none() {
        tracing::error!("the RPC endpoint is not a URL; the chain cannot be asked");
    }
    let http = reqwest::Client::builder().no_proxy().build();
    let http = http.inspect_err(|error| tracing::error!(%error, "the chain cannot be asked")).ok();
    Some(ProviderBuilder::new().connect_reqwest(http?, url?).erased())
}

/// Asks the endpoint now and then, so that readiness tells the truth while nothing is to attest.
pub(crate) async fn probe(node: Arc<Node>) {
    let Some(provider) = provider(&node) else { return };
    let mut ticks = tokio::time::interval(PROBE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let answer = timely(async { provider.get_chain_id().await }).await;
        if let Err(error) = &answer {
            tracing::warn!(%error, "nothing can be attested");
        }
        node.endpoint.0.store(answer.is_ok(), Ordering::Relaxed);
    }
}

pub(crate) async fn run(node: Arc<Node>) {
    let Some(provider) = provider(&node) else { return };
    let mut rounds = Rounds::default();
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while node.view.halted().is_none() {
        ticks.tick().await;
        let due = rounds.next(&node);
        if due.is_empty() {
            continue;
        }
        let tip = match Tip::of(&provider).await {
            Ok(tip) => tip,
            Err(error) => {
                tracing::debug!(%error, "nothing can be attested");
                continue;
            }
        };
        for payout in due {
            let pause = match look(&node, &provider, &tip, &payout).await {
                Ok(Seen::Said) => SAID_PAUSE,
                Ok(Seen::Nothing) => continue,
                Err(error) => {
                    tracing::warn!(%error, proposal = %payout.id, "cannot attest yet");
                    FAILED_PAUSE
                }
            };
            rounds.later.insert(payout.id, node.ambient.now().plus(pause));
        }
    }
}

/// What a look at the chain led to.
enum Seen {
    /// Nothing final yet.
    Nothing,
    /// An attestation was taken; the log will show it.
    Said,
}

/// Goes round all payouts in turn, so that one that cannot be attested holds up no other.
#[derive(Default)]
struct Rounds {
    after: Option<Cid>,
    later: BTreeMap<Cid, Time>,
}

impl Rounds {
    /// The next payouts that a relayer has reported on or whose time is over, and about which no word of this node counts.
    fn next(&mut self, node: &Node) -> Vec<Watched> {
        let replica = node.view.replica();
        let state = replica.state();
        let now = node.ambient.now();
        self.later.retain(|id, due| *due > now && state.proposal(id).is_some());
        if state.quorum().is_none_or(|q| q.participant(&node.did).is_none()) {
            return Vec::new();
        }
        let relevant = |(id, p): &(&Cid, &ledger::Proposal)| {
            let open = p.execution().is_some_and(|e| {
                let word = e.attestations.get(&node.did).filter(|a| !state.is_revoked(p.tenant, &a.authority));
                word.is_none() && (e.progress.is_some() || p.payout.valid_until < now)
            });
            open && !self.later.contains_key(id)
        };
        let mut all: Vec<Watched> =
            state.proposals().filter(relevant).filter_map(|(id, p)| watch(state, *id, p)).collect();
        let start = self.after.map_or(0, |after| all.partition_point(|w| w.id <= after));
        all.rotate_left(start);
        all.truncate(ROUND);
        self.after = all.last().map(|w| w.id);
        all
    }
}

fn watch(state: &ledger::State, id: Cid, proposal: &ledger::Proposal) -> Option<Watched> {
    let tenant = state.tenant(&proposal.tenant)?;
    let block = match &proposal.execution()?.progress {
        Some(ledger::Progress::Included { block, .. }) => Some(*block),
        _ => None,
    };
    Some(Watched {
        id,
        tenant: proposal.tenant,
        escrow: tenant.escrow,
        confirmations: tenant.confirmations,
        valid_until: proposal.payout.valid_until,
        block,
    })
}

async fn timely<T, E: std::fmt::Display>(call: impl Future<Output = Result<T, E>>) -> Result<T, WatchError> {
    let answer = tokio::time::timeout(PATIENCE, call).await.map_err(|_| WatchError::Timeout)?;
    answer.map_err(|e| WatchError::Rpc(e.to_string()))
}

/// Where the endpoint's chain is.
struct Tip {
    chain: u64,
    height: u64,
}

impl Tip {
    async fn of(provider: &DynProvider) -> Result<Self, WatchError> {
        let chain = timely(async { provider.get_chain_id().await }).await?;
        let height = timely(async { provider.get_block_number().await }).await?;
        Ok(Self { chain, height })
    }
}

/// Looks at one payout in a final block and says what it sees.
async fn look(node: &Node, provider: &DynProvider, tip: &Tip, payout: &Watched) -> Result<Seen, WatchError> {
    if tip.chain != payout.escrow.chain.0 {
        return Err(WatchError::OtherChain);
    }
    let Some(height) = tip.height.checked_sub(payout.confirmations) else { return Ok(Seen::Nothing) };
    let contract = Address::from(payout.escrow.contract.0);
    let call = TransactionRequest::default()
        .to(contract)
        .input(Bytes::from(escrow::read::executed_calldata(payout.id.digest())).into());
    let returned = timely(async { provider.call(call).number(height).await }).await?;
    let executed = escrow::read::executed(&returned).map_err(|e| WatchError::Rpc(e.to_string()))?;
    let attestation = if executed {
        let Some((block, transaction)) = execution(provider, payout, height).await? else { return Ok(Seen::Nothing) };
        Attest { proposal: payout.id, verdict: Verdict::Final, block, transaction: Some(transaction) }
    } else {
        let tag = BlockNumberOrTag::Number(height);
        let block = timely(async { provider.get_block_by_number(tag).await }).await?;
        // A block later than valid_until, so deep that it stays: the contract refuses the payout from there on.
        if block.is_none_or(|b| b.header.timestamp <= payout.valid_until.unix()) {
            return Ok(Seen::Nothing);
        }
        Attest { proposal: payout.id, verdict: Verdict::Void, block: height, transaction: None }
    };
    let statement = node.speaker.say("/execution/attest", payout.tenant, &attestation)?;
    node.control_plane.submit_statement(&statement.container).await?;
    Ok(Seen::Said)
}

/// The block and transaction of the executing event: among recent blocks, else around where a relayer says it is.
async fn execution(provider: &DynProvider, payout: &Watched, height: u64) -> Result<Option<(u64, Digest)>, WatchError> {
    let recent = height.saturating_sub(LOOK_BACK);
    if let Some(found) = search(provider, payout, recent, height).await? {
        return Ok(Some(found));
    }
    match payout.block.filter(|block| *block < recent) {
        Some(block) => search(provider, payout, block, block).await,
        None => Ok(None),
    }
}

async fn search(
    provider: &DynProvider,
    payout: &Watched,
    from: u64,
    to: u64,
) -> Result<Option<(u64, Digest)>, WatchError> {
    let filter = Filter::new()
        .address(Address::from(payout.escrow.contract.0))
        .event_signature(B256::from(escrow::PAYOUT_EXECUTED_TOPIC))
        .topic1(B256::from(*payout.id.digest().as_bytes()))
        .from_block(from)
        .to_block(to);
    let logs = timely(async { provider.get_logs(&filter).await }).await?;
    Ok(logs.iter().find_map(|log| Some((log.block_number?, Digest::from_bytes(log.transaction_hash?.0)))))
}
