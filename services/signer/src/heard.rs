//! What the log's key has signed, whoever passes it on. A control plane can show a signer a log that ends early and sign
//! fresh checkpoints of it; a note of another size that reaches the signer past it proves the lie.

use crate::{
    Node,
    follow::describe,
    halt,
    view::{Fork, Place},
};
use log::{Hash, Note, NoteKey, ProofError, SignedCheckpoint, SourceError, TileRef};
use messages::{MAX_CHECKPOINT, Refusal, RefusalCode};
use replica::Replica;
use std::{sync::Arc, time::Duration};
use storage::Storage;

/// How long a request waits for the entries that it needs.
const PATIENCE: Duration = Duration::from_secs(3);
/// After this many seconds the missing entries should have come.
const AGAIN: u64 = 1;

/// This node's database does not say what an old root was: no word about the log, and nothing to halt for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PastError {
    /// A tile is not there.
    #[error("the stored log cannot be read")]
    Tiles(#[from] SourceError),
    /// A tile is not what this node has written.
    #[error("the stored tiles are not those of the log that this node has verified")]
    Damaged(#[from] ProofError),
}

/// The checkpoint of a note that the key of this node's log has signed.
///
/// Lines of other keys are not looked at, not even the quorum's: what one node takes for proven, every node does.
pub(crate) fn checkpoint(state: &ledger::State, note: &str) -> Option<SignedCheckpoint> {
    let origin = state.origin()?;
    let key = NoteKey::new(replica::key_name(origin)?, &origin.sequencer).ok()?;
    Note::parse(note).ok()?.signed_by_log(&key).ok()
}

/// Learns from somebody's note how long the log is. Says whether the log's key has signed it. When it has, this node's
/// log agrees with it or is shorter: a contradiction halts the node.
pub(crate) async fn hear(node: &Arc<Node>, note: &str) -> Result<bool, Refusal> {
    if note.len() > MAX_CHECKPOINT {
        return Ok(false);
    }
    // The newest comes again and again, from everybody, and was verified when it came first.
    if node.view.longest().is_some_and(|known| known == note) {
        return Ok(true);
    }
    let Some(signed) = checkpoint(node.view.replica().state(), note) else { return Ok(false) };
    match node.view.hear(&signed) {
        Ok(Place::Agreed | Place::Beyond) => Ok(true),
        Ok(Place::Past) => look_back(node, signed).await.map(|()| true),
        Err(fork) => Err(part(node, fork).await),
    }
}

async fn look_back(node: &Arc<Node>, signed: SignedCheckpoint) -> Result<(), Refusal> {
    let own = node.clone();
    let looking = tokio::task::spawn_blocking(move || {
        let stored = past_root(&own.storage, &own.view.replica(), &signed);
        stored.map(|root| own.view.judge(&signed, root)).map_err(|error| {
            let error = describe(&error);
            tracing::error!(error, "an old checkpoint cannot be held against the stored log");
            error
        })
    });
    let unavailable = |e: String| Refusal::new(RefusalCode::StorageUnavailable, e);
    match looking.await.map_err(|e| unavailable(e.to_string()))?.map_err(unavailable)? {
        Ok(()) => Ok(()),
        Err(fork) => Err(part(node, fork).await),
    }
}

/// The root that a replica's stored log had at the size of a checkpoint: from full tiles, and its tree's right edge.
///
/// Another root than the signed one is worth as much as the rows that it comes from. It is given only with a proof that
/// the replica's tree, which is not read from the database, goes on from it.
pub(crate) fn past_root(storage: &Storage, replica: &Replica, signed: &SignedCheckpoint) -> Result<Hash, PastError> {
    let (size, tree) = (signed.checkpoint().size, replica.tree());
    let tile = |wanted: TileRef| {
        let edge = || tree.partial_tile(wanted.level).filter(|tile| tile.index == wanted.index);
        let partial = if wanted.is_full() { None } else { edge() };
        partial.map(|tile| tile.hashes).or_else(|| storage.tile(wanted.level, wanted.index).ok().flatten())
    };
    let stored = log::root_at(size, &tile)?;
    if stored != signed.checkpoint().root {
        let proof = log::consistency_proof(size, tree.size(), &tile)?;
        log::verify_consistency(size, tree.size(), &stored, &tree.root(), &proof)?;
    }
    Ok(stored)
}

/// The log's key has signed two logs. The node has halted already; what shows it is kept.
pub(crate) async fn part(node: &Arc<Node>, fork: Fork) -> Refusal {
    let refusal = Refusal::new(RefusalCode::Diverged, fork.reason.clone());
    let node = node.clone();
    if tokio::task::spawn_blocking(move || halt::halt(&node, &fork.reason, &fork.evidence())).await.is_err() {
        tracing::error!("the evidence of a fork cannot be stored");
    }
    refusal
}

/// Waits until this node's log is as long as everything it has heard of, and has `entries`.
pub(crate) async fn catch_up(node: &Node, entries: u64) -> Result<(), Refusal> {
    let size = node.view.beyond().unwrap_or(0).max(entries);
    if node.view.reach(size, PATIENCE).await {
        return Ok(());
    }
    if node.view.beyond().is_some() {
        let own = node.view.replica().next_seq();
        tracing::warn!(own, signed = size, "the control plane shows this node less of the log than its key has signed");
    }
    Err(behind(size))
}

/// The refusal of a node whose log does not have `size` entries yet.
pub(crate) fn behind(size: u64) -> Refusal {
    let mut refusal = Refusal::new(RefusalCode::Behind, format!("the log here has not reached its {size} entries"));
    refusal.retry_after = Some(AGAIN);
    refusal
}
