//! Before anything is signed, the database is held against its own entries, this node's seal and the anchor. A difference
//! is reported with its table and its first bad place, and never repaired.

use crate::{
    StartError,
    anchor::{Anchored, Seal},
};
use domain::{Cid, Digest};
use replica::{Admitted, Divergence, Replica};
use storage::{Error, Evidence, NewToken, NoncePlace, ScannedEntry, Storage, StoredNonceLock, readable};

const PAGE: u32 = 500;

/// The kind of evidence that says why this node halted.
pub(crate) const HALT: &str = "halt";
/// The kind of evidence that shows it: what the log's key has signed, with the entry that contradicts it, if any.
pub(crate) const LINE: &str = "line";

/// What is found in the database and the anchor.
pub(crate) struct Held {
    /// What the anchor is to say from now on.
    pub anchored: Anchored,
    /// The halt of a process before this one.
    pub halted: Option<Halted>,
}

/// This node has halted before, for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Halted {
    pub reason: String,
    /// What shows it, unless the disk never took that.
    pub shown: Option<String>,
}

/// What the evidence says of a halt. It is written piece by piece, and the disk may have been full.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    reason: Option<String>,
    shown: Option<String>,
}

/// Counts the rows that the entries account for.
#[derive(Default)]
pub(crate) struct Tally {
    tokens: u64,
    tiles: u64,
}

/// A row is not what it must be.
pub(crate) fn bad(table: &str, seq: u64, what: impl std::fmt::Display) -> StartError {
    StartError::Tampered(bad_at(table, seq, what))
}

/// The table of what the stored log does not follow by.
pub(crate) fn diverged(divergence: &Divergence) -> String {
    let table = if matches!(divergence, Divergence::Token { .. }) { "tokens" } else { "entries" };
    bad_at(table, divergence.seq(), "the log does not follow from its root")
}

fn bad_at(table: &str, seq: u64, what: impl std::fmt::Display) -> String {
    format!("table {table} is bad at sequence number {seq}: {what}")
}

/// The next entries, up to one that cannot be read.
pub(crate) fn page(storage: &Storage, from: u64) -> Result<Vec<ScannedEntry>, StartError> {
    let page = readable(PAGE, &|limit| storage.scan_entries(from, limit));
    page.map_err(|error| match error {
        Error::Corrupt { table, what } => bad(table, from, what),
        error => error.into(),
    })
}

impl Tally {
    /// Holds the rows of an entry against what the entry makes.
    pub fn compare(
        &mut self,
        storage: &Storage,
        stored: &ScannedEntry,
        admitted: &Admitted,
        tokens: &[NewToken],
    ) -> Result<(), StartError> {
        let (seq, entry) = (admitted.seq, &stored.entry);
        if entry.leaf.as_bytes() != admitted.leaf.as_bytes() {
            return Err(bad("entries", seq, "the stored leaf hash is not that of the bytes"));
        }
        if tokens.first().map(|t| t.cid) != Some(entry.statement) {
            return Err(bad("entries", seq, "the stored statement is not the entry's"));
        }
        let expected: Vec<(u64, Cid)> = (0..).zip(tokens.iter().map(|t| t.cid)).collect();
        if !entry.tokens.iter().map(|t| (t.ordinal, t.cid)).eq(expected) {
            return Err(bad("tokens", seq, "not the tokens that this entry introduces"));
        }
        self.tokens = self.tokens.saturating_add(u64::try_from(tokens.len()).unwrap_or(u64::MAX));
        for tile in &admitted.tiles {
            self.tiles = self.tiles.saturating_add(1);
            if storage.tile(tile.level, tile.index)?.as_ref() != Some(&tile.hashes) {
                return Err(bad("tiles", seq, format_args!("tile {}/{} is bad", tile.level, tile.index)));
            }
        }
        let foreign = [("proposals", stored.proposals.len()), ("mentions", stored.mentions.len())];
        match foreign.into_iter().find(|(_, rows)| *rows > 0) {
            Some((table, _)) => Err(bad(table, seq, "a signer writes no such rows")),
            None => Ok(()),
        }
    }

    /// Nothing is missing, and nothing is there that was not met. Gives what the database holds.
    pub fn finish(
        &self,
        storage: &Storage,
        replica: &Replica,
        seal: &Seal,
        seen: &Anchored,
    ) -> Result<Held, StartError> {
        let size = replica.next_seq();
        let own = replica.head().map(|h| (h.seq, Digest::from_bytes(*h.leaf.as_bytes())));
        let head = storage.head()?;
        match head.as_ref().map(|h| h.seq) {
            _ if head.as_ref().map(|h| (h.seq, h.leaf)) == own => {}
            Some(seq) if seq >= size => {
                return Err(bad("entries", size, format_args!("missing; the head is at {seq}")));
            }
            seq => return Err(bad("head", seq.unwrap_or_default(), "not the newest entry and its leaf hash")),
        }
        if size < seen.size {
            let what = format!("missing; this node has verified {} entries before", seen.size);
            return Err(bad("entries", size, what));
        }
        let counts = storage.counts()?;
        let tables = [
            ("entries", size, counts.entries),
            ("tokens", self.tokens, counts.tokens),
            ("tiles", self.tiles, counts.tiles),
            ("checkpoints", 0, counts.checkpoints),
            ("proposals", 0, counts.proposals),
            ("mentions", 0, counts.mentions),
        ];
        if let Some((table, met, stored)) = tables.into_iter().find(|(_, met, stored)| met != stored) {
            return Err(bad(table, size, format_args!("{stored} rows, the entries account for {met}")));
        }
        let (locks, nonce_locks) = (locks(storage, seal, size)?, nonce_locks(storage, seal, size)?);
        let (evidence, found) = evidence(storage, seal, size, PAGE)?;
        let kept = [
            ("locks", locks, seen.locks),
            ("nonce_locks", nonce_locks, seen.nonce_locks),
            ("evidence", evidence, seen.evidence),
        ];
        if let Some((table, found, before)) = kept.into_iter().find(|(_, found, before)| found < before) {
            return Err(bad(table, size, format_args!("{found} rows, and this node has written {before}")));
        }
        let root = *replica.tree().root().as_bytes();
        let reason = seen.halted.clone().or(found.reason);
        let (halted, newest) = (reason.clone(), seen.newest.clone());
        let anchored = Anchored { size, root, locks, nonce_locks, evidence, halted, newest };
        Ok(Held { anchored, halted: reason.map(|reason| Halted { reason, shown: found.shown }) })
    }
}

fn locks(storage: &Storage, seal: &Seal, size: u64) -> Result<u64, StartError> {
    let (mut after, mut count) = (None, 0_u64);
    loop {
        let page = storage.locks(after.as_ref(), PAGE)?;
        let Some((last, _)) = page.last() else { return Ok(count) };
        after = Some(*last);
        for (intent, lock) in page {
            if lock.seal != seal.lock(&intent, &lock.digest, lock.epoch) {
                return Err(bad("locks", size, format_args!("the lock on {intent} is not this node's")));
            }
            count = count.saturating_add(1);
        }
    }
}

fn nonce_locks(storage: &Storage, seal: &Seal, size: u64) -> Result<u64, StartError> {
    let (mut last, mut count) = (None::<NoncePlace>, 0_u64);
    loop {
        let page = storage.nonce_locks(last.as_ref(), PAGE).map_err(|error| match error {
            Error::Corrupt { table, what } => bad(table, size, what),
            error => error.into(),
        })?;
        if page.is_empty() {
            return Ok(count);
        }
        for StoredNonceLock { place, lock, seal: stored } in page {
            let NoncePlace { contract, nonce, attempt } = place;
            let wrong =
                |what| Err(bad("nonce_locks", size, format_args!("lock {attempt} on {nonce} of {contract} {what}")));
            if stored != seal.nonce_lock(&place, &lock) {
                return wrong("is not this node's");
            }
            let before = last.filter(|p| (p.contract, p.nonce) == (contract, nonce)).map(|p| p.attempt);
            if attempt != before.map_or(0, |a| a.saturating_add(1)) {
                return wrong("follows none that is there");
            }
            (last, count) = (Some(place), count.saturating_add(1));
        }
    }
}

/// How many pieces there are, and what the first of them say of a halt.
fn evidence(storage: &Storage, seal: &Seal, size: u64, page: u32) -> Result<(u64, Found), StartError> {
    let (mut last, mut count, mut found) = (None::<Evidence>, 0_u64, Found::default());
    loop {
        let page = storage.evidence(last.as_ref(), page).map_err(|error| match error {
            Error::Corrupt { table, what } => bad(table, size, what),
            error => error.into(),
        })?;
        if page.is_empty() {
            return Ok((count, found));
        }
        for piece in page {
            if piece.seal != seal.evidence(piece.seq, &piece.kind, &piece.body) {
                return Err(bad("evidence", piece.seq, "it is not this node's"));
            }
            let place = match piece.kind.as_str() {
                HALT => Some(&mut found.reason),
                LINE => Some(&mut found.shown),
                _ => None,
            };
            if let Some(place) = place.filter(|place| place.is_none()) {
                *place = Some(String::from_utf8_lossy(&piece.body).into_owned());
            }
            (last, count) = (Some(piece), count.saturating_add(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keyfile::Identity;

    #[test]
    fn evidence_about_one_position_is_met_to_the_last() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::open(&format!("sqlite:{}", folder.path().join("log.db").display())).unwrap();
        let seal = Seal::of(&Identity::generate(&mut rand_core::OsRng));
        let put = |kind: &str, body: &str, seal: &Seal| {
            let made = seal.evidence(7, kind, body.as_bytes());
            let body = body.as_bytes().to_vec();
            storage.put_evidence(&Evidence { seq: 7, kind: kind.to_owned(), body, seal: made }).unwrap();
        };
        for (kind, body) in [("fork", "a"), ("fork", "b"), ("fork", "c"), (HALT, "why"), (LINE, "d")] {
            put(kind, body, &seal);
        }
        for page in [1, 2, 3, 9] {
            let [reason, shown] = ["why", "d"].map(|text| Some(text.to_owned()));
            assert_eq!(evidence(&storage, &seal, 9, page).unwrap(), (5, Found { reason, shown }), "{page}");
        }
        put("other", "x", &Seal::of(&Identity::generate(&mut rand_core::OsRng)));
        assert!(evidence(&storage, &seal, 9, 2).is_err());
    }
}
