//! What the log's key has signed, whoever passes it on. A control plane can show a signer a log that ends early and sign
//! fresh checkpoints of it; a note of another size that reaches the signer past it proves the lie.

use crate::{Node, halt, view::Fork};
use log::{Checkpoint, Note, NoteKey};
use messages::{MAX_CHECKPOINT, Refusal, RefusalCode};
use std::{sync::Arc, time::Duration};

/// How long a request waits for the entries that it needs.
const PATIENCE: Duration = Duration::from_secs(3);
/// After this many seconds the missing entries should have come.
const AGAIN: u64 = 1;

/// The checkpoint of a note that the key of this node's log has signed.
///
/// Lines of other keys are not looked at, not even the quorum's: what one node takes for proven, every node does.
pub(crate) fn checkpoint(state: &ledger::State, note: &str) -> Option<Checkpoint> {
    let origin = state.origin()?;
    let name = replica::key_name(origin)?;
    let key = NoteKey::new(name.clone(), &origin.sequencer).ok()?;
    let verified = Note::parse(note).ok()?.verify(&name, &[key]).ok()?;
    Some(verified.into_inner())
}

/// Learns from somebody's note how long the log is. Says whether the log's key has signed it.
pub(crate) async fn hear(node: &Arc<Node>, note: &str) -> Result<bool, Refusal> {
    if note.len() > MAX_CHECKPOINT {
        return Ok(false);
    }
    let Some(checkpoint) = checkpoint(node.view.replica().state(), note) else { return Ok(false) };
    match node.view.hear(&checkpoint, note) {
        Ok(()) => Ok(true),
        Err(fork) => Err(part(node, fork).await),
    }
}

/// The log's key has signed two logs. The node has halted already; what shows it is kept.
pub(crate) async fn part(node: &Arc<Node>, fork: Fork) -> Refusal {
    let refusal = Refusal::new(RefusalCode::Diverged, fork.reason.clone());
    let node = node.clone();
    if tokio::task::spawn_blocking(move || halt::halt(&node, &fork.reason, &fork.evidence)).await.is_err() {
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
