use crate::Batch;
use rusqlite::Connection;
use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
};

/// Bytes of pages between two rounds, enough for pages that change often to be carried once.
const ROUND: usize = if cfg!(test) { 1 << 20 } else { 16 << 20 };
/// At this length of the write-ahead log it should start over, which it does when all of it has been carried. Rounds beside
/// a busy writer never see that: they follow each other at once, each over what came during the last.
const LIMIT: usize = if cfg!(test) { 4 << 20 } else { 64 << 20 };
/// When no more than this is left of a log that should start over, changes wait for it: some milliseconds.
const REST: usize = if cfg!(test) { 1 << 18 } else { 2 << 20 };
/// At this length changes wait for whatever is left: rounds do not keep up.
pub(super) const FULL: usize = LIMIT.saturating_mul(2);
/// A commit writes each page that it changes whole, however little it changes: some twenty for a single entry.
const COMMIT: usize = 80 << 10;
/// A further entry of the same commit changes this many bytes of index pages beside its own.
const INDEXES: usize = 6 << 10;

/// A page in the log, with its header.
const FRAME: usize = 4096 + 24;

#[derive(Default)]
struct Progress {
    /// Bytes written since what the last finished round carried.
    waiting: usize,
    /// The log's length in bytes: 0 when all of it has been carried, because the next change then starts it over.
    logged: usize,
    /// Changes that began and did not end yet.
    open: usize,
    /// Changes that ever began.
    begun: u64,
    /// Changes wait until nothing is left to carry.
    is_full: bool,
    is_closed: bool,
}

type Shared = (Mutex<Progress>, Condvar);

/// Carries pages from the write-ahead log to the database beside the commits, which would otherwise wait for it.
pub(super) struct Backfill {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Backfill {
    /// Starts the thread; it ends with this value. Without a thread commits do its work.
    pub fn start(connection: Connection) -> Self {
        let shared = Arc::new(Shared::default());
        let own = Arc::clone(&shared);
        let thread = thread::Builder::new().name("backfill".to_owned()).spawn(move || run(&connection, &own));
        Self { shared, thread: thread.ok() }
    }

    /// Waits while there is too much to carry.
    pub fn make_room(&self) {
        let (progress, changed) = &*self.shared;
        let mut progress = lock(progress);
        let is_running = || self.thread.as_ref().is_some_and(|t| !t.is_finished());
        if progress.logged >= FULL {
            progress.is_full = true;
            changed.notify_all();
        }
        while progress.is_full && is_running() {
            progress = changed.wait(progress).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Begins a change of the database, which ends with the value.
    pub fn begin(&self) -> Change<'_> {
        let mut progress = lock(&self.shared.0);
        progress.open = progress.open.saturating_add(1);
        progress.begun = progress.begun.wrapping_add(1);
        Change(&self.shared)
    }

    /// Takes note of a batch that was committed.
    pub fn note(&self, batch: &Batch) {
        let tokens = batch.entries.iter().flat_map(|e| &e.tokens).map(|t| t.bytes.len());
        let sizes = batch.entries.iter().map(|e| e.bytes.len().saturating_add(INDEXES)).chain(tokens);
        let written = sizes.fold(COMMIT, usize::saturating_add);
        let (progress, changed) = &*self.shared;
        let mut progress = lock(progress);
        progress.waiting = progress.waiting.saturating_add(written);
        progress.logged = progress.logged.saturating_add(written);
        if progress.waiting >= ROUND {
            changed.notify_all();
        }
    }
}

impl Drop for Backfill {
    /// Ends the thread first, so that the connection that closes last carries the rest and removes the log.
    fn drop(&mut self) {
        let (progress, changed) = &*self.shared;
        lock(progress).is_closed = true;
        changed.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A change that is being made: while there is one, nobody knows whether a round sees it.
pub(super) struct Change<'a>(&'a Shared);

impl Drop for Change<'_> {
    fn drop(&mut self) {
        let mut progress = lock(&self.0.0);
        progress.open = progress.open.saturating_sub(1);
        if progress.is_full {
            self.0.1.notify_all();
        }
    }
}

fn lock(progress: &Mutex<Progress>) -> MutexGuard<'_, Progress> {
    progress.lock().unwrap_or_else(PoisonError::into_inner)
}

fn run(connection: &Connection, (progress, changed): &Shared) {
    let mut state = lock(progress);
    while !state.is_closed {
        state.is_full |= state.logged >= LIMIT && state.waiting <= REST;
        let is_early = state.logged < LIMIT && state.waiting < ROUND && !state.is_full;
        if is_early || (state.is_full && state.open > 0) {
            state = changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            continue;
        }
        let (carried, begun, is_quiet) = (state.waiting, state.begun, state.open == 0);
        drop(state);
        // A round that fails is made up for by the next, or by a commit when the log has grown too long.
        let length = carry(connection).unwrap_or_default();
        state = lock(progress);
        state.waiting = state.waiting.saturating_sub(carried);
        state.logged = length.saturating_add(state.waiting);
        // Nothing was changed meanwhile, so this round has carried all that nobody was still reading around.
        if is_quiet && state.begun == begun {
            state.logged = 0;
            state.is_full = false;
            changed.notify_all();
        }
    }
    state.is_full = false;
    changed.notify_all();
}

/// Carries what it can without waiting for anybody, and gives the log's length in bytes.
fn carry(connection: &Connection) -> rusqlite::Result<usize> {
    let frames: i64 = connection.query_row("pragma wal_checkpoint(passive)", [], |row| row.get("log"))?;
    Ok(usize::try_from(frames).unwrap_or_default().saturating_mul(FRAME))
}
