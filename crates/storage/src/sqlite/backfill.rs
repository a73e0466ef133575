use crate::Batch;
use rusqlite::Connection;
use std::{
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
};

/// Bytes of pages between two rounds, enough for pages that change often to be carried once.
const ROUND: usize = 16 << 20;
/// An entry changes this many bytes of index pages beside its own.
const INDEXES: usize = 6 << 10;

/// Carries pages from the write-ahead log to the database beside the commits, which would otherwise wait for it.
pub(super) struct Backfill {
    written: AtomicUsize,
    wake: Option<SyncSender<()>>,
}

impl Backfill {
    /// Starts the thread; it ends with this value. Without a thread commits do its work.
    pub fn start(connection: Connection) -> Self {
        let (wake, woken) = sync_channel(1);
        let thread = thread::Builder::new().name("backfill".to_owned()).spawn(move || run(&connection, &woken));
        Self { written: AtomicUsize::new(0), wake: thread.is_ok().then_some(wake) }
    }

    /// Takes note of a batch that was committed.
    pub fn note(&self, batch: &Batch) {
        let tokens = batch.entries.iter().flat_map(|e| &e.tokens).map(|t| t.bytes.len());
        let sizes = batch.entries.iter().map(|e| e.bytes.len().saturating_add(INDEXES)).chain(tokens);
        let written = sizes.fold(0, usize::saturating_add);
        if self.written.fetch_add(written, Ordering::Relaxed).saturating_add(written) < ROUND {
            return;
        }
        self.written.store(0, Ordering::Relaxed);
        if let Some(wake) = &self.wake {
            // A round that has been asked for already is enough.
            let _ = wake.try_send(());
        }
    }
}

fn run(connection: &Connection, woken: &Receiver<()>) {
    while woken.recv().is_ok() {
        // A round that fails is made up for by the next, or by a commit when the log has grown too long.
        let _ = connection.query_row("pragma wal_checkpoint(passive)", [], |_| Ok(()));
    }
}
