//! Makes a halt outlast a restart: its reason goes to the anchor file and to the database, and what shows it to the
//! database. A disk that is full is tried again until it is not.

use crate::{
    Node,
    start::{HALT, Halted, LINE},
};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use storage::{Error, Evidence};
use tokio::sync::Notify;

/// Pauses between attempts: short, then patient.
const PAUSES: [Duration; 4] =
    [Duration::from_millis(100), Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(15)];

/// How much of a halt a restart would find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// Not even that there was one.
    Nothing,
    /// That this node has halted and why, and not yet what shows it.
    Reason,
    /// That this node has halted and why. What has shown it went with a process that could not write it.
    Unproven,
    /// Everything.
    Whole,
}

/// What is still to be written of this node's halt.
pub(crate) struct Halt {
    state: Mutex<State>,
    /// Apart from the rest, which is locked for as long as the disk takes.
    kept: Mutex<Kept>,
    begun: Notify,
}

struct State {
    reason: Option<String>,
    /// Whether what shows it is stored, or waits to be.
    is_shown: bool,
    /// What is not stored yet; the first piece is the reason.
    waiting: VecDeque<Evidence>,
    /// Whether the first piece may be stored already.
    is_unsure: bool,
}

/// A halt is not wholly on disk.
#[derive(Debug, thiserror::Error)]
enum KeepError {
    #[error("the anchor cannot be written")]
    Anchor(#[source] std::io::Error),
    #[error("the evidence cannot be stored")]
    Storage(#[source] Error),
}

impl Halt {
    /// Goes on from a start that has found a halt, or none.
    pub fn of(found: Option<&Halted>) -> Self {
        let is_shown = found.is_some_and(|halted| halted.shown.is_some());
        let kept = if found.is_some() && !is_shown { Kept::Unproven } else { Kept::Whole };
        let reason = found.map(|halted| halted.reason.clone());
        let state = State { reason, is_shown, waiting: VecDeque::new(), is_unsure: false };
        Self { state: Mutex::new(state), kept: Mutex::new(kept), begun: Notify::const_new() }
    }

    /// How much of the halt is on disk.
    pub fn kept(&self) -> Kept {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, kept: Kept) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = kept;
    }
}

/// Signs nothing any more, now and after a restart, and keeps what shows why. The first reason is the one that counts:
/// what is shown to a node that has halted is kept only if nothing is that shows why.
pub(crate) fn halt(node: &Node, reason: &str, line: &str) {
    node.view.halt(reason.to_owned());
    let mut state = node.halt.state.lock().unwrap_or_else(PoisonError::into_inner);
    if state.is_shown {
        return;
    }
    tracing::error!(reason, "this node and the log have parted; it signs nothing any more");
    let seq = node.view.replica().next_seq();
    let piece = |(kind, body): (&str, &str)| {
        let seal = node.seal.evidence(seq, kind, body.as_bytes());
        Evidence { seq, kind: kind.to_owned(), body: body.as_bytes().to_vec(), seal }
    };
    state.waiting.extend([(HALT, reason), (LINE, line)].map(piece));
    state.is_shown = true;
    if state.reason.is_none() {
        state.reason = Some(reason.to_owned());
        node.halt.set(Kept::Nothing);
    }
    if let Err(error) = state.write(node) {
        tracing::error!(%error, "the halt is not wholly on disk; it is tried again");
        node.halt.begun.notify_one();
    }
}

impl State {
    /// Writes what is not on disk yet.
    fn write(&mut self, node: &Node) -> Result<(), KeepError> {
        let Some(reason) = &self.reason else { return Ok(()) };
        // The file first: it is small, and may be on another disk than the database.
        let anchored = node.anchor.halt(reason);
        if anchored.is_ok() {
            node.halt.set(Kept::Reason);
        }
        while let Some(piece) = self.waiting.front() {
            let is_new = node.storage.put_evidence(piece).inspect_err(|error| {
                self.is_unsure |= matches!(error, Error::Unknown(_));
            });
            if is_new.map_err(KeepError::Storage)? || self.is_unsure {
                node.anchor.count_evidence();
            }
            self.waiting.pop_front();
            self.is_unsure = false;
            node.halt.set(Kept::Reason);
        }
        node.anchor.halt(reason).map_err(KeepError::Anchor)?;
        node.halt.set(Kept::Whole);
        Ok(())
    }
}

/// Tries again what could not be written, until it is.
pub(crate) async fn keep(node: Arc<Node>) {
    node.halt.begun.notified().await;
    let mut failures = 0_usize;
    loop {
        let pause = PAUSES.get(failures).or(PAUSES.last()).copied().unwrap_or_default();
        tokio::time::sleep(pause).await;
        let own = node.clone();
        let write = move || own.halt.state.lock().unwrap_or_else(PoisonError::into_inner).write(&own);
        match tokio::task::spawn_blocking(write).await {
            Ok(Ok(())) => return tracing::error!("the halt is on disk now"),
            Ok(Err(error)) => tracing::error!(%error, "the halt is not wholly on disk; it is tried again"),
            Err(error) => tracing::error!(%error, "writing the halt failed"),
        }
        failures = failures.saturating_add(1);
    }
}
