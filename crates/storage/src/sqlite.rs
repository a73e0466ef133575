//! SQLite: one connection that writes, a few that read, in write-ahead mode.

mod backfill;
mod checkpoint;
mod lease;
mod log;
mod read_model;
mod schema;
mod signer_record;

#[cfg(test)]
mod tests;

use crate::{
    AppendError, Batch, Counts, Error, Evidence, Head, Lease, Lock, LockOutcome, NonceLock, NoncePlace, OpenError,
    ProposalFilter, ProposalRow, ScannedEntry, StoredCheckpoint, StoredEntry, StoredMention, StoredNonceLock,
    StoredToken,
    backend::Backend,
    migration::Candidate,
    pool::{Pool, lock},
    value::corrupt,
};
use backfill::Backfill;
use domain::{Cid, Digest, Time};
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior, ffi};
use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Mutex,
    time::Duration,
};

/// Readers beside the writer: reads are short and the page cache is shared with the kernel.
const READERS: usize = 4;

/// More than a large batch adds to the files: 512 entries with their tokens, in pages.
const ROOM: u64 = 4 * 1024 * 1024;

/// Processes that may find a new file at the same moment; each has another go when one of them was faster.
const OPENERS: usize = 16;

/// How long a statement waits for another process's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Durability and safety of every connection.
///
/// `synchronous = full` syncs the write-ahead log at each commit. A thread of its own carries pages from there to the
/// database; commits wait when it cannot keep up. Should that thread fail, a commit carries 34,000 pages (133 MiB), more
/// than it leaves. Below `journal_size_limit` the log's file is overwritten in place, which needs no change of metadata and so syncs faster
/// than a file that grows.
/// `recursive_triggers` makes `insert or replace` fire the triggers that refuse deletion.
const PRAGMAS: &str = "
pragma synchronous = full;
pragma foreign_keys = on;
pragma recursive_triggers = on;
pragma trusted_schema = off;
pragma wal_autocheckpoint = 34000;
pragma journal_size_limit = 150994944;
pragma cache_size = -16384;
pragma temp_store = memory;
";

/// A SQLite database.
pub(crate) struct Sqlite {
    path: PathBuf,
    // Closed in this order: the writer last, because a connection that only reads cannot remove the log.
    backfill: Backfill,
    readers: Pool<Connection>,
    writer: Mutex<Connection>,
}

impl Sqlite {
    /// Opens or creates the file and brings its schema up to date.
    pub fn open(path: &Path, candidate: Option<Candidate<'_>>) -> Result<Self, OpenError> {
        let mut writer = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
        if write_ahead(&mut writer).map_err(|e| error("database", e))? != "wal" {
            return Err(corrupt("database", "this file system has no write-ahead mode").into());
        }
        schema::migrate(&mut writer, candidate)?;
        schema::check_triggers(&writer)?;
        let backfill = Backfill::start(connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?);
        Ok(Self { path: path.to_owned(), backfill, readers: Pool::new(READERS), writer: Mutex::new(writer) })
    }

    /// Takes room on the disk for a moment: a small change may fit where a batch would not.
    fn has_room(&self) -> io::Result<()> {
        let mut name = self.path.clone().into_os_string();
        name.push("-room");
        let written = fs::File::create(&name).and_then(|mut file| io::copy(&mut io::repeat(0).take(ROOM), &mut file));
        let removed = fs::remove_file(&name);
        written.and(removed)
    }

    fn read<T>(&self, read: impl FnOnce(&Transaction<'_>) -> Result<T, Error>) -> Result<T, Error> {
        self.readers.with(
            || connect(&self.path, OpenFlags::SQLITE_OPEN_READ_ONLY),
            |_| false,
            |connection| read(&connection.transaction().map_err(|e| error("database", e))?),
        )
    }

    fn write<T, E: From<Error>>(&self, write: impl FnOnce(&Transaction<'_>) -> Result<T, E>) -> Result<T, E> {
        self.backfill.make_room();
        let mut writer = lock(&self.writer);
        let _change = self.backfill.begin();
        // Immediate: a transaction that reads first and writes later could otherwise fail half-way as busy.
        let transaction =
            writer.transaction_with_behavior(TransactionBehavior::Immediate).map_err(|e| error("database", e))?;
        let value = write(&transaction)?;
        transaction.commit().map_err(commit_error)?;
        Ok(value)
    }
}

/// Puts the file into write-ahead mode and gives the mode that it is in.
///
/// Of several processes that do so to a new file at once SQLite refuses all but one without waiting. Taking the lock for
/// writing does wait, until that one is done.
fn write_ahead(writer: &mut Connection) -> rusqlite::Result<String> {
    let set = |writer: &Connection| writer.query_row("pragma journal_mode = wal", [], |row| row.get(0));
    for _ in 0..OPENERS {
        match set(writer) {
            Err(rusqlite::Error::SqliteFailure(failure, _)) if failure.code == ErrorCode::DatabaseBusy => {
                drop(writer.transaction_with_behavior(TransactionBehavior::Immediate)?);
            }
            done => return done,
        }
    }
    set(writer)
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, Error> {
    // Each connection is used by one thread at a time, so SQLite's own mutex is not needed.
    let open = || {
        let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.execute_batch(PRAGMAS)?;
        connection.set_prepared_statement_cache_capacity(64);
        Ok(connection)
    };
    open().map_err(|e| error("database", e))
}

/// What an engine error about `table` means.
fn error(table: &'static str, e: rusqlite::Error) -> Error {
    match &e {
        rusqlite::Error::SqliteFailure(failure, message) => {
            let message = || message.clone().unwrap_or_else(|| failure.to_string());
            match (failure.code, failure.extended_code) {
                (
                    ErrorCode::ConstraintViolation,
                    ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY | ffi::SQLITE_CONSTRAINT_ROWID,
                ) => Error::Duplicate { table: table_of(&message()).unwrap_or(table).to_owned() },
                (ErrorCode::ConstraintViolation | ErrorCode::TooBig, _) => Error::Refused { what: message() },
                (ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase, _) => corrupt("database", message()),
                (ErrorCode::Unknown | ErrorCode::TypeMismatch, _) => corrupt("schema", message()),
                _ => Error::Unavailable(Box::new(e)),
            }
        }
        rusqlite::Error::SqlInputError { msg, .. } => corrupt("schema", msg),
        _ => corrupt(table, e),
    }
}

/// The table in `UNIQUE constraint failed: tokens.cid`.
fn table_of(message: &str) -> Option<&str> {
    let (_, columns) = message.split_once(": ")?;
    columns.split_once('.').map(|(table, _)| table)
}

/// A commit that found the disk full or the database busy has been rolled back. After any other failure, such as a
/// failed sync, the transaction may or may not be found when the file is next opened.
fn commit_error(e: rusqlite::Error) -> Error {
    match e.sqlite_error_code() {
        Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy | ErrorCode::ConstraintViolation) => error("database", e),
        _ => Error::Unknown(Box::new(e)),
    }
}

impl Backend for Sqlite {
    fn ping(&self) -> Result<(), Error> {
        self.read(|t| log::head(t).map(drop))
    }
    fn try_writing(&self) -> Result<(), Error> {
        // The small write first: while that fails, there is no point in the large one.
        self.write(log::touch_head)?;
        self.has_room().map_err(|e| Error::Unavailable(Box::new(e)))
    }
    fn head(&self) -> Result<Option<Head>, Error> {
        self.read(log::head)
    }
    fn settled_head(&self) -> Result<Option<Head>, Error> {
        self.head()
    }
    fn acquire(&self, holder: &str, now: Time, expires_at: Time) -> Result<Option<Lease>, Error> {
        self.write(|t| lease::acquire(t, holder, now, expires_at))
    }
    fn renew(&self, held: &Lease, expires_at: Time) -> Result<Option<Lease>, Error> {
        self.write(|t| lease::renew(t, held, expires_at))
    }
    fn release(&self, held: &Lease) -> Result<(), Error> {
        self.write(|t| lease::renew(t, held, Time::ZERO)).map(drop)
    }
    fn lease(&self) -> Result<Option<Lease>, Error> {
        self.read(lease::newest)
    }
    fn append(&self, batch: &Batch) -> Result<(), AppendError> {
        self.write(|t| log::append(t, batch))?;
        self.backfill.note(batch);
        Ok(())
    }
    fn entries(&self, from: u64, limit: u32) -> Result<Vec<StoredEntry>, Error> {
        self.read(|t| log::entries(t, from, limit))
    }
    fn scan_entries(&self, from: u64, limit: u32) -> Result<Vec<ScannedEntry>, Error> {
        self.read(|t| read_model::scan(t, from, limit))
    }
    fn token(&self, cid: &Cid) -> Result<Option<StoredToken>, Error> {
        self.read(|t| log::token(t, cid))
    }
    fn token_many(&self, cids: &[Cid]) -> Result<Vec<StoredToken>, Error> {
        self.read(|t| cids.iter().filter_map(|cid| log::token(t, cid).transpose()).collect())
    }
    fn seq_of_statement(&self, statement: &Cid) -> Result<Option<u64>, Error> {
        self.read(|t| log::seq_of_statement(t, statement))
    }
    fn tile(&self, level: u8, index: u64) -> Result<Option<Vec<u8>>, Error> {
        self.read(|t| log::tile(t, level, index))
    }
    fn put_checkpoint(&self, new: &StoredCheckpoint) -> Result<(), Error> {
        self.write(|t| checkpoint::put(t, new))
    }
    fn checkpoint_at_or_before(&self, size: u64) -> Result<Option<StoredCheckpoint>, Error> {
        self.read(|t| checkpoint::at_or_before(t, size))
    }
    fn checkpoints_by_size(&self, from: (u64, u64), limit: u32) -> Result<Vec<StoredCheckpoint>, Error> {
        self.read(|t| checkpoint::by_size(t, from, limit))
    }
    fn checkpoints_by_number(&self, from: u64, limit: u32) -> Result<Vec<StoredCheckpoint>, Error> {
        self.read(|t| checkpoint::by_number(t, from, limit))
    }
    fn proposal(&self, id: &Cid) -> Result<Option<ProposalRow>, Error> {
        self.read(|t| read_model::proposal(t, id))
    }
    fn proposals(&self, filter: &ProposalFilter, before: u64, limit: u32) -> Result<Vec<ProposalRow>, Error> {
        self.read(|t| read_model::proposals(t, filter, before, limit))
    }
    fn mentions(&self, cid: &Cid) -> Result<Vec<StoredMention>, Error> {
        self.read(|t| read_model::mentions(t, cid))
    }
    fn lock_intent(&self, intent: &Digest, wanted: &Lock) -> Result<LockOutcome, Error> {
        self.write(|t| signer_record::lock_intent(t, intent, wanted))
    }
    fn lock(&self, intent: &Digest) -> Result<Option<Lock>, Error> {
        self.read(|t| signer_record::lock(t, intent))
    }
    fn locks(&self, after: Option<&Digest>, limit: u32) -> Result<Vec<(Digest, Lock)>, Error> {
        self.read(|t| signer_record::locks(t, after, limit))
    }
    fn lock_nonce(
        &self,
        contract: &Digest,
        nonce: u64,
        wanted: &NonceLock,
        ended: Time,
        seal: &dyn Fn(&NoncePlace, &NonceLock) -> Digest,
    ) -> Result<LockOutcome<NonceLock>, Error> {
        self.write(|t| signer_record::lock_nonce(t, (contract, nonce), wanted, ended, seal))
    }
    fn nonce_locks(&self, after: Option<&NoncePlace>, limit: u32) -> Result<Vec<StoredNonceLock>, Error> {
        self.read(|t| signer_record::nonce_locks(t, after, limit))
    }
    fn put_evidence(&self, evidence: &Evidence) -> Result<bool, Error> {
        self.write(|t| signer_record::put_evidence(t, evidence))
    }
    fn evidence(&self, after: Option<&Evidence>, limit: u32) -> Result<Vec<Evidence>, Error> {
        self.read(|t| signer_record::evidence(t, after, limit))
    }
    fn counts(&self) -> Result<Counts, Error> {
        self.read(schema::counts)
    }
}
