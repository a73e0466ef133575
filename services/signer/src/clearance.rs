//! What this node may sign for the chain, by the ledger's gate, and how it binds itself to it on disk first: a payout by
//! its intent, a change of an escrow contract by the contract's nonce.

use crate::{
    Node, contract,
    session::{alive, lock, on_hold, permit, refuse},
};
use domain::{AdministrationAuthorisation, Cid, Digest};
use ledger::{AdministrationPermit, CHAIN_LAG, Permit};
use messages::{Refusal, RefusalCode};
use std::sync::Arc;
use storage::{LockOutcome, NonceLock};

/// What a coordinator asks a signature for.
#[derive(Clone, Copy)]
pub(crate) enum Asked {
    Payout(Cid),
    Administration(Digest),
}

/// What the ledger's gate has allowed. It is spent by signing.
pub(crate) enum Clearance {
    Payout(Permit),
    Administration(AdministrationPermit),
}

impl Asked {
    /// The gate: the ledger's permit, unless a freeze reached this node directly.
    pub fn clear(self, node: &Node) -> Result<Clearance, Refusal> {
        match self {
            Self::Payout(proposal) => permit(node, &proposal).map(Clearance::Payout),
            Self::Administration(id) => administration_permit(node, &id).map(Clearance::Administration),
        }
    }
}

impl Clearance {
    /// The message, computed from this node's own state.
    pub fn message(&self) -> [u8; 32] {
        match self {
            Self::Payout(permit) => escrow::payout_digest(permit.authorisation()),
            Self::Administration(permit) => escrow::administration_digest(permit.authorisation()),
        }
    }

    /// Whether it can execute now: a change of a contract is signed when its turn has come, and not ahead.
    pub async fn check_due(&self, node: &Node) -> Result<(), Refusal> {
        match self {
            Self::Payout(_) => Ok(()),
            Self::Administration(permit) => contract::check_due(node, permit.authorisation()).await,
        }
    }

    /// Binds this node to the message; durable when it returns.
    pub async fn lock(&self, node: &Arc<Node>, epoch: u64) -> Result<(), Refusal> {
        match self {
            Self::Payout(permit) => lock(node, permit.proposal(), self.message(), epoch).await,
            Self::Administration(permit) => lock_nonce(node, *permit.authorisation(), self.message()).await,
        }
    }
}

fn administration_permit(node: &Node, id: &Digest) -> Result<AdministrationPermit, Refusal> {
    alive(node)?;
    let before = node.view.replica();
    let state = before.state();
    if state.administrations().get(id).is_some_and(|a| node.freezes.holds(state.operator(), a.tenant)) {
        return refuse(RefusalCode::Frozen, "a freeze reached this node directly");
    }
    // Loaded after the question about direct freezes: one that the log has taken over since is in this view.
    let replica = node.view.replica();
    let freshness = node.view.freshness(node.config.lease);
    replica.state().administration_permit(id, node.ambient.now(), freshness).map_err(on_hold)
}

/// One digest for a nonce of a contract, until the contract refuses it on every chain whose clock lags.
async fn lock_nonce(
    node: &Arc<Node>,
    authorisation: AdministrationAuthorisation,
    digest: [u8; 32],
) -> Result<(), Refusal> {
    let own = node.clone();
    let contract = Digest::from_bytes(escrow::domain_separator(&authorisation.domain));
    let wanted = NonceLock { digest: Digest::from_bytes(digest), valid_until: authorisation.valid_until };
    let ended = node.ambient.now().minus(CHAIN_LAG);
    let unavailable = |e: String| Refusal::new(RefusalCode::StorageUnavailable, e);
    let locking = tokio::task::spawn_blocking(move || {
        let seal = |place: &_, lock: &_| own.seal.nonce_lock(place, lock);
        let outcome = own.storage.lock_nonce(&contract, authorisation.nonce, &wanted, ended, &seal);
        if let Ok(LockOutcome::Fresh) = outcome {
            own.anchor.count_nonce_lock().map_err(|e| unavailable(e.to_string()))?;
        }
        outcome.map_err(|e| unavailable(e.to_string()))
    });
    match locking.await.map_err(|e| unavailable(e.to_string()))?? {
        LockOutcome::Fresh | LockOutcome::Same => Ok(()),
        LockOutcome::Conflict(_) => refuse(RefusalCode::Conflict, "another digest is locked for this nonce"),
    }
}
