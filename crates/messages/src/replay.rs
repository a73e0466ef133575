use crate::{Nonce, Opened};
use domain::{Did, Time};
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;

/// Remembers the envelopes of the last moments, so that none is acted on twice. Bounded: when it is full of envelopes
/// that are still fresh, it refuses new ones rather than forget one.
#[derive(Clone, Debug)]
pub struct ReplayGuard {
    /// How long an envelope can be opened after its time, in seconds.
    tolerance: u64,
    capacity: usize,
    seen: BTreeSet<(Time, Did, Nonce)>,
    per_sender: BTreeMap<Did, usize>,
}

/// An envelope is not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Replayed {
    /// It was admitted before.
    #[error("the envelope has been seen before")]
    Again,
    /// Its time is outside the tolerance, so that it may have been forgotten.
    #[error("the envelope is too old to tell whether it has been seen before")]
    Stale,
    /// This sender already has as many fresh envelopes as one sender may.
    #[error("too many envelopes of this sender at once")]
    Full,
}

impl ReplayGuard {
    /// Remembers envelopes for as long as they can be opened with `tolerance` seconds, at most `per_sender` of each
    /// sender, so that one sender cannot crowd out another. Only envelopes of pinned senders may be admitted, which
    /// bounds the whole.
    pub const fn new(tolerance: u64, per_sender: NonZeroUsize) -> Self {
        Self { tolerance, capacity: per_sender.get(), seen: BTreeSet::new(), per_sender: BTreeMap::new() }
    }

    /// Admits an opened envelope once.
    pub fn admit<T>(&mut self, opened: &Opened<T>, now: Time) -> Result<(), Replayed> {
        self.forget(now);
        let (at, from) = (opened.at(), opened.from());
        if now.since(at).max(at.since(now)) > self.tolerance {
            return Err(Replayed::Stale);
        }
        let key = (at, from, opened.nonce());
        if self.seen.contains(&key) {
            return Err(Replayed::Again);
        }
        let count = self.per_sender.entry(from).or_insert(0);
        if *count >= self.capacity {
            return Err(Replayed::Full);
        }
        *count = count.saturating_add(1);
        self.seen.insert(key);
        Ok(())
    }

    /// How many envelopes are remembered.
    pub fn len(&self) -> usize {
        self.seen.len()
    }

    /// Whether none is remembered.
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    /// Forgets what can no longer be opened.
    fn forget(&mut self, now: Time) {
        let oldest = now.minus(self.tolerance);
        while let Some(&(at, from, nonce)) = self.seen.first()
            && at < oldest
        {
            self.seen.remove(&(at, from, nonce));
            let empty = self.per_sender.get_mut(&from).is_some_and(|count| {
                *count = count.saturating_sub(1);
                *count == 0
            });
            if empty {
                self.per_sender.remove(&from);
            }
        }
    }
}
