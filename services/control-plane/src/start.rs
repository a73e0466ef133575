//! Before anything is served, everything that the database says is derived again from the entries and compared.
//! A difference is reported with its table and its first bad place, and never repaired.

mod keeper;
mod notes;
mod replay;
mod rows;

pub(crate) use keeper::keeping;

use crate::{
    anchor::{self, AnchorError},
    config::{Config, MAX_LEASE},
    register::Chain,
    snapshot::Snapshot,
};
use domain::{Digest, Time};
use log::NoteKey;
use replica::Divergence;
use std::sync::atomic::AtomicBool;
use storage::{Error, Storage};

/// The database is not what its entries say, or cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The database does not answer.
    #[error("the database could not be read")]
    Storage(#[from] Error),
    /// An entry does not follow from the entries before it.
    #[error("table {table} is bad from sequence number {seq} on")]
    Entry {
        /// The table.
        table: &'static str,
        /// The first bad entry.
        seq: u64,
        /// What is wrong.
        #[source]
        divergence: Box<Divergence>,
    },
    /// A row is not what the entries say.
    #[error("table {table} is bad at sequence number {seq}: {what}")]
    Row {
        /// The table.
        table: &'static str,
        /// The first bad entry, or the size of the first bad checkpoint.
        seq: u64,
        /// What is wrong.
        what: String,
    },
    /// The anchor file cannot be used.
    #[error("anchor: {0}")]
    Anchor(#[from] AnchorError),
    /// The anchor is not signed by the configured sequencer key.
    #[error("the anchor is not this log's: {0}")]
    AnchorSignature(String),
    /// The log has checkpoints and there is no anchor file.
    #[error(
        "the log has checkpoints and the anchor file is missing; restore it, or accept the database as it is: start \
         once with accept_missing_anchor = true"
    )]
    AnchorMissing,
    /// The anchor file is there and is told to be missing.
    #[error("accept_missing_anchor is set and there is an anchor file; remove the setting")]
    AnchorPresent,
    /// The log names other keys than the configuration.
    #[error("the log's {0} is not the configured one")]
    Key(&'static str),
    /// Another process has taken the lease, and may be writing.
    #[error("another process has taken the lease while the log was verified")]
    LeaseLost,
}

impl VerifyError {
    pub(crate) fn row(table: &'static str, seq: u64, what: impl Into<String>) -> Self {
        Self::Row { table, seq, what: what.into() }
    }

    /// The table and the first bad sequence number, when the database was changed.
    pub const fn place(&self) -> Option<(&'static str, u64)> {
        match self {
            Self::Entry { table, seq, .. } | Self::Row { table, seq, .. } => Some((*table, *seq)),
            _ => None,
        }
    }
}

/// What start-up has found to be true.
#[derive(Debug)]
pub(crate) struct Verified {
    pub snapshot: Snapshot,
    /// Size of the newest checkpoint in the database.
    pub checkpoint: u64,
    /// All checkpoints in the database.
    pub chain: Chain,
    /// The keys of all quorums so far, as notes name them.
    pub quorums: Vec<NoteKey>,
}

/// Seconds by which the clocks of two leaders may differ.
const CLOCKS: u64 = 600;

/// Who leads instead of this process, as the lease names it; an error when no process can have taken that lease.
pub(crate) fn leader(storage: &Storage, now: Time) -> Result<String, VerifyError> {
    let bad = |what: String| Err(VerifyError::row("leases", last_entry(storage), what));
    let Some(lease) = storage.lease()? else { return bad("the row of the lease is gone".to_owned()) };
    if lease.expires_at > now.plus(MAX_LEASE).plus(CLOCKS) {
        let until = lease.expires_at.unix();
        return bad(format!("held until {until}, and nobody holds it for more than {MAX_LEASE} seconds"));
    }
    Ok(lease.holder)
}

/// Says where the log ends when what says so cannot be read.
pub(crate) fn bad_head(storage: &Storage, error: &Error) -> Option<VerifyError> {
    match error {
        Error::Corrupt { table: table @ ("head" | "leases"), what } => {
            Some(VerifyError::row(table, last_entry(storage), what.clone()))
        }
        _ => None,
    }
}

fn last_entry(storage: &Storage) -> u64 {
    storage.counts().map_or(0, |c| c.entries.saturating_sub(1))
}

/// What an error means that [`storage::readable`] met at `seq`.
fn unreadable(error: Error, seq: u64) -> VerifyError {
    match error {
        Error::Corrupt { table, what } => VerifyError::row(table, seq, what),
        error => error.into(),
    }
}

/// Verifies the whole database against its entries, and both against the anchor file. Blocks for as long as that takes, or
/// until the lease is `lost`.
pub(crate) fn verify(
    storage: &Storage,
    config: &Config,
    epoch: u64,
    lost: &AtomicBool,
) -> Result<Verified, VerifyError> {
    let anchor = anchor::read(&config.anchor)?;
    // Left on, the setting would let whoever removes the anchor file cut the log unseen.
    if anchor.is_some() && config.accept_missing_anchor {
        return Err(VerifyError::AnchorPresent);
    }
    let led = anchor.as_ref().and_then(|a| a.record).map(|r| r.epoch);
    let mut notes = notes::Notes::new(storage, config.sequencer_did(), anchor);
    let (snapshot, tally) = replay::replay(storage, config.operator, &mut notes, lost)?;
    let replica = &snapshot.replica;

    let size = replica.next_seq();
    let own = replica.head().map(|h| (h.seq, Digest::from_bytes(*h.leaf.as_bytes())));
    let head = storage.head()?;
    match (own, head.as_ref().map(|h| (h.seq, h.leaf))) {
        (a, b) if a == b => {}
        (_, Some((seq, _))) if seq >= size => {
            return Err(VerifyError::row("entries", size, format!("missing; the head is at {seq}")));
        }
        (_, b) => {
            let seq = b.map_or(0, |(seq, _)| seq);
            return Err(VerifyError::row("head", seq, "not the newest entry and its leaf hash"));
        }
    }
    tally.check(&storage.counts()?, size)?;
    if let Some(origin) = replica.state().origin() {
        if origin.sequencer != config.sequencer_did() {
            return Err(VerifyError::Key("sequencer key"));
        }
        if origin.issuer != config.issuer_did() {
            return Err(VerifyError::Key("issuer key"));
        }
    }
    let notes::Stored { newest, chain, quorums } = notes.finish(&snapshot, config.accept_missing_anchor)?;
    // Each acquisition begins an epoch of its own, so this one is newer than the anchor's.
    if let Some(led) = led.filter(|led| *led >= epoch) {
        let what = format!("epoch {epoch} was free, and the anchor has seen {led}");
        return Err(VerifyError::row("leases", size.saturating_sub(1), what));
    }
    Ok(Verified { snapshot, checkpoint: newest, chain, quorums })
}
