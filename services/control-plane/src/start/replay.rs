use super::{VerifyError, notes::Notes, rows::Tally, unreadable};
use crate::{read_model, snapshot::Snapshot};
use domain::{Cid, Did};
use replica::{Divergence, Milestones, Replica, Tokens};
use std::{
    collections::HashMap,
    num::NonZero,
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
};
use storage::{ScannedEntry, Storage, readable};
use ucan::{Delegation, Verified};

/// Entries per page: large enough to share among cores, small enough to hold several.
const PAGE: u32 = 512;
/// Pages read and verified ahead of the fold.
const AHEAD: usize = 2;

/// An entry whose tokens have been opened, or why they could not be.
struct Opened {
    scanned: ScannedEntry,
    tokens: Result<Tokens, VerifyError>,
}

type Page = Result<Vec<Opened>, VerifyError>;

/// Folds the whole log, checking every row that belongs to an entry.
pub(super) fn replay(
    storage: &Storage,
    operator: Did,
    notes: &mut Notes<'_>,
    lost: &AtomicBool,
) -> Result<(Snapshot, Tally), VerifyError> {
    let (pages, inbox) = sync_channel(AHEAD);
    thread::scope(|scope| {
        scope.spawn(move || read_ahead(storage, &pages));
        // The inbox goes with the fold: when that ends early, the reader finds nobody to send to and ends, too.
        Fold::new(storage, operator).run(inbox, notes, lost)
    })
}

/// Reads page after page and opens their tokens, until there is no more or nobody wants it.
fn read_ahead(storage: &Storage, pages: &SyncSender<Page>) {
    let mut from = 0;
    loop {
        let page = match readable(PAGE, &|limit| storage.scan_entries(from, limit)) {
            Ok(page) => page,
            Err(error) => {
                let _ = pages.send(Err(unreadable(error, from)));
                return;
            }
        };
        let Some(last) = page.last().map(|e| e.entry.seq) else { return };
        if pages.send(Ok(open_all(page))).is_err() || last == u64::MAX {
            return;
        }
        from = last.saturating_add(1);
    }
}

/// Checks signatures on every core.
fn open_all(mut page: Vec<ScannedEntry>) -> Vec<Opened> {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let share = page.len().div_ceil(cores).max(1);
    thread::scope(|scope| {
        let mut workers = Vec::new();
        while !page.is_empty() {
            let part: Vec<ScannedEntry> = page.drain(..share.min(page.len())).collect();
            workers.push(scope.spawn(move || part.into_iter().map(open).collect::<Vec<_>>()));
        }
        workers.into_iter().flat_map(|w| w.join().unwrap_or_default()).collect()
    })
}

fn open(scanned: ScannedEntry) -> Opened {
    Opened { tokens: open_tokens(&scanned), scanned }
}

fn open_tokens(scanned: &ScannedEntry) -> Result<Tokens, VerifyError> {
    let entry = &scanned.entry;
    let seq = entry.seq;
    if *log::leaf_hash(&entry.bytes).as_bytes() != *entry.leaf.as_bytes() {
        return Err(VerifyError::row("entries", seq, "the stored leaf hash is not that of the bytes"));
    }
    if let Some(token) = entry.tokens.iter().find(|t| t.cid != Cid::of(&t.bytes)) {
        return Err(VerifyError::row("tokens", seq, format!("{} is not the CID of its bytes", token.cid)));
    }
    let bytes: Vec<Vec<u8>> = entry.tokens.iter().map(|t| t.bytes.clone()).collect();
    Tokens::open(seq, &entry.statement, &bytes).map_err(|e| diverged("tokens", e))
}

fn diverged(table: &'static str, divergence: Divergence) -> VerifyError {
    VerifyError::Entry { table, seq: divergence.seq(), divergence: Box::new(divergence) }
}

struct Fold<'a> {
    storage: &'a Storage,
    snapshot: Snapshot,
    introduced: HashMap<Cid, Verified<Delegation>>,
    tally: Tally,
}

impl<'a> Fold<'a> {
    fn new(storage: &'a Storage, operator: Did) -> Self {
        Self {
            storage,
            snapshot: Snapshot::new(Replica::new(operator)),
            introduced: HashMap::new(),
            tally: Tally::default(),
        }
    }

    fn run(
        mut self,
        pages: Receiver<Page>,
        notes: &mut Notes<'_>,
        lost: &AtomicBool,
    ) -> Result<(Snapshot, Tally), VerifyError> {
        // Only for whoever reads along: that the head cannot be read is found by the comparison after the fold.
        let total = self.storage.head().ok().flatten().map(|h| h.seq.saturating_add(1));
        let mut milestones = Milestones::every(Milestones::ENTRIES);
        for page in pages {
            if lost.load(Ordering::Acquire) {
                return Err(VerifyError::LeaseLost);
            }
            for opened in page? {
                self.entry(opened)?;
                notes.check(&self.snapshot)?;
                let entries = self.snapshot.replica.next_seq();
                if milestones.reached(entries) {
                    tracing::info!(entries, total, "verifying the log");
                }
            }
        }
        tracing::info!(entries = self.snapshot.replica.next_seq(), "every entry of the log has been verified");
        Ok((self.snapshot, self.tally))
    }

    fn entry(&mut self, opened: Opened) -> Result<(), VerifyError> {
        let Opened { scanned, tokens } = opened;
        let next = self.snapshot.replica.next_seq();
        if scanned.entry.seq != next {
            return Err(VerifyError::row("entries", next, "missing"));
        }
        let tokens = tokens?;
        let known = |cid: &Cid| self.introduced.get(cid).cloned();
        let statement = tokens.statement(next, &known).map_err(|e| diverged("tokens", e))?;
        self.introduce(next, &tokens, &scanned)?;
        let before = self.snapshot.clone();
        let admitted =
            self.snapshot.replica.follow(&scanned.entry.bytes, &statement).map_err(|e| diverged("entries", e))?;
        for tile in &admitted.tiles {
            self.tally.tiles = self.tally.tiles.saturating_add(1);
            if self.storage.tile(tile.level, tile.index)?.as_ref() != Some(&tile.hashes) {
                return Err(VerifyError::row("tiles", next, format!("tile {}/{} is bad", tile.level, tile.index)));
            }
        }
        let after = self.snapshot.replica.state();
        let rows = read_model::rows(before.replica.state(), after, &statement, &admitted)
            .ok_or_else(|| VerifyError::row("entries", next, "its changes are about nothing that the state holds"))?;
        self.tally.compare(next, rows, scanned.proposals, &scanned.mentions, after)
    }

    /// The stored tokens of an entry are its statement and, in its order, the delegations that no entry named before.
    fn introduce(&mut self, seq: u64, tokens: &Tokens, scanned: &ScannedEntry) -> Result<(), VerifyError> {
        let mut expected = vec![tokens.invocation.cid()];
        for cid in tokens.invocation.proofs() {
            if !self.introduced.contains_key(cid) && !expected.contains(cid) {
                expected.push(*cid);
            }
        }
        if !scanned.entry.tokens.iter().map(|t| (t.ordinal, t.cid)).eq((0..).zip(expected)) {
            return Err(VerifyError::row("tokens", seq, "not the tokens that this entry introduces"));
        }
        let count = u64::try_from(scanned.entry.tokens.len()).unwrap_or(u64::MAX);
        self.tally.tokens = self.tally.tokens.saturating_add(count);
        for delegation in &tokens.introduced {
            self.introduced.insert(delegation.cid(), delegation.clone());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{Digest, Time};
    use storage::{Batch, NewEntry, NewToken};
    use tempfile::TempDir;

    #[test]
    fn nothing_more_is_looked_at_once_the_lease_is_lost() {
        let folder = TempDir::new().unwrap();
        let storage = Storage::open(&format!("sqlite:{}", folder.path().join("log.db").display())).unwrap();
        let epoch = storage.acquire("own", Time::from_unix(9), 9).unwrap().unwrap().epoch;
        let statement = Cid::of(b"no statement");
        let token = NewToken { cid: statement, bytes: b"no statement".to_vec() };
        let leaf = Digest::from_bytes([0; 32]);
        let entry = NewEntry { seq: 0, bytes: b"no entry".to_vec(), leaf, statement, tokens: vec![token] };
        storage.append(&Batch { epoch, entries: vec![entry], ..Batch::default() }).unwrap();
        let operator = Did::from_key([7; 32]);
        let found = |is_lost| {
            let mut notes = Notes::new(&storage, operator, None);
            replay(&storage, operator, &mut notes, &AtomicBool::new(is_lost)).unwrap_err()
        };
        assert!(matches!(found(true), VerifyError::LeaseLost));
        assert!(matches!(found(false), VerifyError::Row { table: "entries", seq: 0, .. }));
    }
}
