//! What this node knows of the log, for all its parts to read without waiting for the follower.

use arc_swap::ArcSwap;
use domain::Time;
use ledger::Freshness;
use log::Hash;
use replica::Replica;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};
use tokio::sync::watch;

/// Roots of past sizes are kept this far back: a checkpoint that is asked to be cosigned is seconds old.
const ROOTS: usize = 65_536;

pub(crate) struct View {
    replica: ArcSwap<Replica>,
    size: watch::Sender<u64>,
    checkpoint: Mutex<Time>,
    roots: Mutex<VecDeque<(u64, Hash)>>,
    halted: OnceLock<String>,
    suspected: Mutex<Option<String>>,
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
            checkpoint: Mutex::new(Time::ZERO),
            roots: Mutex::new(roots),
            halted: lock,
            suspected: Mutex::new(None),
        }
    }

    pub fn replica(&self) -> Arc<Replica> {
        self.replica.load_full()
    }

    /// Publishes a verified replica and the roots of the sizes on the way to it.
    pub fn publish(&self, replica: Replica, roots: impl IntoIterator<Item = (u64, Hash)>) {
        let size = replica.next_seq();
        let mut kept = self.roots.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(roots);
        let surplus = kept.len().saturating_sub(ROOTS);
        kept.drain(..surplus);
        drop(kept);
        self.replica.store(Arc::new(replica));
        self.size.send_replace(size);
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

    /// A signal that fires whenever the log grows.
    pub fn growth(&self) -> watch::Receiver<u64> {
        self.size.subscribe()
    }

    /// Notes that a checkpoint of this time agrees with this node's own tree.
    pub fn confirm(&self, time: Time) {
        let mut newest = self.checkpoint.lock().unwrap_or_else(PoisonError::into_inner);
        *newest = (*newest).max(time);
    }

    pub fn freshness(&self, lease: u64) -> Freshness {
        let checkpoint = *self.checkpoint.lock().unwrap_or_else(PoisonError::into_inner);
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
