//! What this node knows of the log, for all its parts to read without waiting for the follower.

use arc_swap::ArcSwap;
use domain::Time;
use ledger::Freshness;
use log::{Checkpoint, Hash};
use messages::MAX_CHECKPOINT;
use replica::Replica;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};
use tokio::sync::watch;

/// Roots of past sizes are kept this far back: a checkpoint that is asked to be cosigned is seconds old.
const ROOTS: usize = 65_536;
/// Sizes beyond this node's log that are remembered; the largest stays, and it is what holds signing up.
const HEARD: usize = 256;

/// The log's key has signed two different logs: it is a fork, and this is the proof.
#[derive(Debug)]
pub(crate) struct Fork {
    pub reason: String,
    /// The notes.
    pub evidence: String,
}

pub(crate) struct View {
    replica: ArcSwap<Replica>,
    size: watch::Sender<u64>,
    checkpoint: Mutex<Confirmed>,
    roots: Mutex<VecDeque<(u64, Hash)>>,
    halted: OnceLock<String>,
    suspected: Mutex<Option<String>>,
    /// Notes over more entries than there are here, by size. Locked while `roots` is, so that none falls between.
    heard: Mutex<BTreeMap<u64, (Hash, String)>>,
}

/// The newest checkpoint that this node's own tree agrees with.
struct Confirmed {
    time: Time,
    note: Option<String>,
}

impl View {
    pub fn new(replica: Replica, halted: Option<String>) -> Self {
        let (size, _) = watch::channel(replica.next_seq());
        let lock = OnceLock::new();
        if let Some(reason) = halted {
            lock.get_or_init(|| reason);
        }
        let roots = VecDeque::from([(replica.tree().size(), replica.tree().root())]);
        Self {
            replica: ArcSwap::from_pointee(replica),
            size,
            checkpoint: Mutex::new(Confirmed { time: Time::ZERO, note: None }),
            roots: Mutex::new(roots),
            halted: lock,
            suspected: Mutex::new(None),
            heard: Mutex::new(BTreeMap::new()),
        }
    }

    pub fn replica(&self) -> Arc<Replica> {
        self.replica.load_full()
    }

    /// Publishes a verified replica and the roots of the sizes on the way to it. When the log's key has signed another
    /// root of one of them, the view halts first.
    pub fn publish(&self, replica: Replica, roots: impl IntoIterator<Item = (u64, Hash)>) -> Result<(), Fork> {
        let size = replica.next_seq();
        let mut kept = self.roots.lock().unwrap_or_else(PoisonError::into_inner);
        let known = kept.len();
        kept.extend(roots);
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let parted = kept.iter().skip(known).find_map(|(size, root)| {
            let (signed, note) = heard.get(size)?;
            (signed != root).then(|| Fork::of_tree(*size, note))
        });
        if let Some(fork) = &parted {
            self.halt(fork.reason.clone());
        }
        let surplus = kept.len().saturating_sub(ROOTS);
        kept.drain(..surplus);
        // While both are locked: nobody finds nothing heard and yet the old replica.
        self.replica.store(Arc::new(replica));
        *heard = heard.split_off(&size.saturating_add(1));
        drop((kept, heard));
        self.size.send_replace(size);
        parted.map_or(Ok(()), Err)
    }

    /// Takes note of a checkpoint that the log's key has signed, from whomever. When it contradicts this node's tree or
    /// another such note, the view halts.
    pub fn hear(&self, checkpoint: &Checkpoint, note: &str) -> Result<(), Fork> {
        let roots = self.roots.lock().unwrap_or_else(PoisonError::into_inner);
        let size = checkpoint.size;
        let fork = match roots.iter().rev().find(|(s, _)| *s == size) {
            Some((_, root)) => (*root != checkpoint.root).then(|| Fork::of_tree(size, note)),
            // So long ago that its root is not kept, or from before there was a tree to hold it to.
            None if roots.back().is_some_and(|(own, _)| size < *own) => None,
            None => {
                let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
                let known = heard.entry(size).or_insert_with(|| (checkpoint.root, note.to_owned()));
                let fork = (known.0 != checkpoint.root).then(|| Fork::of_notes(size, &known.1, note));
                if heard.len() > HEARD {
                    heard.pop_first();
                }
                fork
            }
        };
        drop(roots);
        let Some(fork) = fork else { return Ok(()) };
        self.halt(fork.reason.clone());
        Err(fork)
    }

    /// The size of the longest log that the log's key has signed for, when this node's is shorter.
    pub fn beyond(&self) -> Option<u64> {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.last_key_value().map(|(size, _)| *size)
    }

    /// The root of the tree when it had `size` entries, if that is not long ago.
    pub fn root_at(&self, size: u64) -> Option<Hash> {
        let roots = self.roots.lock().unwrap_or_else(PoisonError::into_inner);
        roots.iter().rev().find(|(s, _)| *s == size).map(|(_, root)| *root)
    }

    /// Waits until the log has `size` entries here, at most for `patience`.
    pub async fn reach(&self, size: u64, patience: Duration) -> bool {
        let mut sizes = self.size.subscribe();
        let reached = sizes.wait_for(|s| *s >= size);
        matches!(tokio::time::timeout(patience, reached).await, Ok(Ok(_)))
    }

    /// Notes that a checkpoint of this time agrees with this node's own tree.
    pub fn confirm(&self, time: Time, note: &str) {
        let mut newest = self.checkpoint.lock().unwrap_or_else(PoisonError::into_inner);
        if time >= newest.time {
            let note = (note.len() <= MAX_CHECKPOINT).then(|| note.to_owned());
            *newest = Confirmed { time, note };
        }
    }

    /// The note of the newest checkpoint that this node's own tree agrees with.
    pub fn confirmed(&self) -> Option<String> {
        self.checkpoint.lock().unwrap_or_else(PoisonError::into_inner).note.clone()
    }

    pub fn freshness(&self, lease: u64) -> Freshness {
        let checkpoint = self.checkpoint.lock().unwrap_or_else(PoisonError::into_inner).time;
        Freshness { checkpoint, lease }
    }

    /// Stops signing for good: this node and the log have parted.
    pub fn halt(&self, reason: String) {
        self.halted.get_or_init(|| reason);
    }

    /// Stops signing while what has come cannot be right and nobody has signed for it yet.
    pub fn suspect(&self, reason: Option<String>) {
        *self.suspected.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    }

    pub fn suspected(&self) -> Option<String> {
        self.suspected.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn halted(&self) -> Option<&str> {
        self.halted.get().map(String::as_str)
    }
}

impl Fork {
    fn of_tree(size: u64, note: &str) -> Self {
        let reason = format!("the log signed another root of size {size} than its entries have");
        Self { reason, evidence: note.to_owned() }
    }

    fn of_notes(size: u64, one: &str, other: &str) -> Self {
        Self { reason: format!("the log signed two roots of size {size}"), evidence: format!("{one}\n{other}") }
    }
}

#[cfg(test)]
mod tests;
