//! PostgreSQL: one connection that writes, a few that read, each reopened after it was lost.

mod checkpoint;
mod columns;
mod guards;
mod lease;
mod log;
mod read_model;
mod schema;
mod session;
mod signer_record;

use crate::{
    AppendError, Batch, Counts, Error, Evidence, Head, Lease, Lock, LockOutcome, NonceLock, NoncePlace, OpenError,
    ProposalFilter, ProposalRow, ScannedEntry, StoredCheckpoint, StoredEntry, StoredMention, StoredNonceLock,
    StoredToken,
    backend::Backend,
    migration::Candidate,
    pool::{Pool, lock},
};
use ::postgres::Config;
use columns::Columns;
use domain::{Cid, Digest, Time};
use session::{Failure, Session, Work, is_conflict};
use std::sync::Mutex;

/// Readers beside the writer, per process: a server's default of 100 connections must do for all processes.
const READERS: usize = 4;

/// How often a transaction is repeated after the server chose it as the loser of a conflict.
const ATTEMPTS: u32 = 5;

/// A PostgreSQL database.
pub(crate) struct Postgres {
    config: Config,
    /// `None` after the connection was lost, until the next write.
    writer: Mutex<Option<Session>>,
    readers: Pool<Session>,
}

impl Postgres {
    /// Says what is wrong with a URL.
    pub fn check(url: &str) -> Result<(), OpenError> {
        session::config(url).map(|_| ())
    }

    /// Connects and brings the schema up to date.
    pub fn open(url: &str, candidate: Option<Candidate<'_>>) -> Result<Self, OpenError> {
        let config = session::config(url)?;
        let mut writer = Session::connect(&config)?;
        schema::migrate(&mut writer, candidate)?;
        guards::check(&mut writer)?;
        Ok(Self { config, writer: Mutex::new(Some(writer)), readers: Pool::new(READERS) })
    }

    fn read<T>(&self, read: impl FnOnce(&mut Session) -> Result<T, Error>) -> Result<T, Error> {
        self.readers.with(
            || Session::connect(&self.config),
            Session::is_broken,
            |session| {
                let result = read(session);
                // Also after a timeout: a new connection is cheap, and what is left on this one is unknown.
                if let Err(Error::Unavailable(_)) = result {
                    session.abandon();
                }
                result
            },
        )
    }

    /// Runs `write` in a transaction, again if the server chose it as the loser of a conflict.
    fn write<T, E>(&self, write: impl Fn(&mut Work<'_>) -> Result<T, Failure>) -> Result<T, E>
    where
        E: From<Failure> + From<Error>,
    {
        let mut slot = lock(&self.writer);
        let mut session = match slot.take() {
            Some(session) if !session.is_broken() => session,
            _ => Session::connect(&self.config)?,
        };
        let mut result = session.transact(&write);
        for _ in 1..ATTEMPTS {
            match &result {
                Err(Failure::Engine(_, e)) if is_conflict(e) => result = session.transact(&write),
                _ => break,
            }
        }
        if !session.is_broken() {
            *slot = Some(session);
        }
        result.map_err(E::from)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let writer = lock(&self.writer).take();
        let readers = self.readers.drain();
        // Closing a connection blocks on the client's own runtime, which panics on a thread that drives another one,
        // and the last reference to a database is easily dropped on such a thread.
        let _ = std::thread::spawn(move || drop((writer, readers))).join();
    }
}

impl Backend for Postgres {
    fn ping(&self) -> Result<(), Error> {
        self.read(|s| log::head(s).map(drop))
    }
    fn try_writing(&self) -> Result<(), Error> {
        self.write(log::touch_head)
    }
    fn head(&self) -> Result<Option<Head>, Error> {
        self.read(log::head)
    }
    fn settled_head(&self) -> Result<Option<Head>, Error> {
        self.write(|w| Ok(log::settled_head(w)?))
    }
    fn acquire(&self, holder: &str, now: Time, expires_at: Time) -> Result<Option<Lease>, Error> {
        self.write(|w| lease::acquire(w, holder, now, expires_at))
    }
    fn renew(&self, held: &Lease, expires_at: Time) -> Result<Option<Lease>, Error> {
        self.write(|w| lease::renew(w, held, expires_at))
    }
    fn release(&self, held: &Lease) -> Result<(), Error> {
        self.write(|w| lease::renew(w, held, Time::ZERO)).map(drop)
    }
    fn lease(&self) -> Result<Option<Lease>, Error> {
        self.read(lease::newest)
    }
    fn append(&self, batch: &Batch) -> Result<(), AppendError> {
        let columns = Columns::of(batch)?;
        self.write(|w| log::append(w, &columns))
    }
    fn entries(&self, from: u64, limit: u32) -> Result<Vec<StoredEntry>, Error> {
        self.read(|s| log::entries(s, from, limit))
    }
    fn scan_entries(&self, from: u64, limit: u32) -> Result<Vec<ScannedEntry>, Error> {
        self.read(|s| read_model::scan(&mut s.snapshot()?, from, limit))
    }
    fn token(&self, cid: &Cid) -> Result<Option<StoredToken>, Error> {
        self.read(|s| Ok(log::token_many(s, &[*cid])?.pop()))
    }
    fn token_many(&self, cids: &[Cid]) -> Result<Vec<StoredToken>, Error> {
        self.read(|s| log::token_many(s, cids))
    }
    fn seq_of_statement(&self, statement: &Cid) -> Result<Option<u64>, Error> {
        self.read(|s| log::seq_of_statement(s, statement))
    }
    fn tile(&self, level: u8, index: u64) -> Result<Option<Vec<u8>>, Error> {
        self.read(|s| log::tile(s, level, index))
    }
    fn put_checkpoint(&self, new: &StoredCheckpoint) -> Result<(), Error> {
        self.write(|w| checkpoint::put(w, new))
    }
    fn checkpoint_at_or_before(&self, size: u64) -> Result<Option<StoredCheckpoint>, Error> {
        self.read(|s| checkpoint::at_or_before(s, size))
    }
    fn checkpoints_by_size(&self, from: (u64, u64), limit: u32) -> Result<Vec<StoredCheckpoint>, Error> {
        self.read(|s| checkpoint::by_size(s, from, limit))
    }
    fn checkpoints_by_number(&self, from: u64, limit: u32) -> Result<Vec<StoredCheckpoint>, Error> {
        self.read(|s| checkpoint::by_number(s, from, limit))
    }
    fn proposal(&self, id: &Cid) -> Result<Option<ProposalRow>, Error> {
        self.read(|s| read_model::proposal(s, id))
    }
    fn proposals(&self, filter: &ProposalFilter, before: u64, limit: u32) -> Result<Vec<ProposalRow>, Error> {
        self.read(|s| read_model::proposals(s, filter, before, limit))
    }
    fn mentions(&self, cid: &Cid) -> Result<Vec<StoredMention>, Error> {
        self.read(|s| read_model::mentions(s, cid))
    }
    fn lock_intent(&self, intent: &Digest, wanted: &Lock) -> Result<LockOutcome, Error> {
        self.write(|w| signer_record::lock_intent(w, intent, wanted))
    }
    fn lock(&self, intent: &Digest) -> Result<Option<Lock>, Error> {
        self.read(|s| signer_record::lock(s, intent))
    }
    fn locks(&self, after: Option<&Digest>, limit: u32) -> Result<Vec<(Digest, Lock)>, Error> {
        self.read(|s| signer_record::locks(s, after, limit))
    }
    fn lock_nonce(
        &self,
        contract: &Digest,
        nonce: u64,
        wanted: &NonceLock,
        ended: Time,
        seal: &dyn Fn(&NoncePlace, &NonceLock) -> Digest,
    ) -> Result<LockOutcome<NonceLock>, Error> {
        self.write(|w| signer_record::lock_nonce(w, (contract, nonce), wanted, ended, seal))
    }
    fn nonce_locks(&self, after: Option<&NoncePlace>, limit: u32) -> Result<Vec<StoredNonceLock>, Error> {
        self.read(|s| signer_record::nonce_locks(s, after, limit))
    }
    fn put_evidence(&self, evidence: &Evidence) -> Result<bool, Error> {
        self.write(|w| signer_record::put_evidence(w, evidence))
    }
    fn evidence(&self, after: Option<&Evidence>, limit: u32) -> Result<Vec<Evidence>, Error> {
        self.read(|s| signer_record::evidence(s, after, limit))
    }
    fn counts(&self) -> Result<Counts, Error> {
        self.read(|s| schema::counts(&mut s.snapshot()?))
    }
}
