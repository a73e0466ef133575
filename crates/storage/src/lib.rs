//! The only SQL: one API, one implementation each for SQLite and PostgreSQL.
//!
//! [`Storage`] keeps a log (entries, the tokens they introduced, tiles, checkpoints), the read models derived from it
//! (proposals, mentions), the lease that says who may append, and what a signer must never forget (locks, evidence).
//! It stores bytes: it never decodes an entry or a token, never checks a signature and knows no clock.
//!
//! Every call blocks. In an async program, make calls on blocking threads: the PostgreSQL client drives a runtime of
//! its own and panics on a thread that already drives one.
//!
//! What the database says is not trusted to be true, only to be readable: a row that cannot be a domain value is
//! [`Error::Corrupt`], and whoever needs more checks entries and tokens by their hashes ([`Storage::scan_entries`]).
//!
//! ```
//! # let dir = std::env::temp_dir().join(format!("countersign-doc-{}", std::process::id()));
//! # std::fs::create_dir_all(&dir)?;
//! use domain::Time;
//! let storage = storage::Storage::open(&format!("sqlite:{}", dir.join("log.db").display()))?;
//! let lease = storage.acquire("node-1", Time::from_unix(0), 10)?.ok_or("another process leads")?;
//! assert_eq!(lease.epoch, 1);
//! assert_eq!(storage.head()?, None);
//! # drop(storage);
//! # std::fs::remove_dir_all(&dir)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod backend;
mod batch;
mod error;
mod guard;
mod migration;
mod pool;
mod postgres;
mod record;
mod sqlite;
mod storage;
mod value;

pub use batch::{Batch, Mention, NewEntry, NewTile, NewToken, ProposalRow};
pub use error::{AppendError, Cause, Error, OpenError, TriggerFault};
pub use record::{
    Counts, Engine, Evidence, Head, Lease, Lock, LockOutcome, NonceLock, NoncePlace, ProposalFilter, ScannedEntry,
    StoredCheckpoint, StoredEntry, StoredMention, StoredNonceLock, StoredToken,
};
pub use storage::{MAX_PAGE, MAX_PAGE_BYTES, Storage, TILE_BYTES, readable};
