use crate::{
    checkpoint::Latest, config::Limits, feed::Feed, gate::Gate, health::Health, metrics::Metrics, opener::Opener,
    sequencer::Queue, snapshot::Snapshot,
};
use arc_swap::ArcSwap;
use domain::Did;
use ed25519_dalek::SigningKey;
use log::NoteKey;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::{Semaphore, watch};

/// Everything that requests share.
pub(crate) struct Plane {
    pub operator: Did,
    pub sequencer: Did,
    pub issuer: Did,
    pub issuer_key: SigningKey,
    pub limits: Limits,
    pub gate: Gate,
    pub opener: Arc<Opener>,
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    pub queue: Queue,
    pub feed: Feed,
    pub latest: Latest,
    pub health: Arc<Health>,
    pub metrics: Metrics,
    pub in_flight: Arc<Semaphore>,
    pub followers: Arc<Semaphore>,
    pub issuers: Issuers,
    pub readers: crate::http::auth::Readers,
    pub closing: watch::Receiver<bool>,
}

/// How many statements of each issuer are in work.
#[derive(Debug, Default)]
pub(crate) struct Issuers(Mutex<HashMap<Did, usize>>);

/// One statement in work; counts until dropped.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    issuers: &'a Issuers,
    issuer: Did,
}

impl Issuers {
    /// Takes a turn of `issuer`, unless it has `limit` of them already.
    pub fn enter(&self, issuer: Did, limit: usize) -> Option<Turn<'_>> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(issuer).or_default();
        if *count >= limit {
            return None;
        }
        *count = count.saturating_add(1);
        Some(Turn { issuers: self, issuer })
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut counts = self.issuers.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.issuer) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.remove(&self.issuer);
            }
        }
    }
}

impl Plane {
    /// The log as it is committed.
    pub fn now(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Seconds by which clocks may differ.
    pub fn tolerance(snapshot: &Snapshot) -> u64 {
        snapshot.replica.state().origin().map_or(DEFAULT_TOLERANCE, |o| o.clock_tolerance)
    }

    /// The sequencer's key as notes name it, once the log has a name.
    pub fn note_key(&self, snapshot: &Snapshot) -> Option<NoteKey> {
        NoteKey::new(crate::checkpoint::origin(snapshot)?, &self.sequencer).ok()
    }
}

/// Before the first entry names one, as in the ledger.
const DEFAULT_TOLERANCE: u64 = 30;
