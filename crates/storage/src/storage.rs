use crate::{
    AppendError, Batch, Counts, Engine, Error, Evidence, Head, Lease, Lock, LockOutcome, NonceLock, NoncePlace,
    OpenError, ProposalFilter, ProposalRow, ScannedEntry, StoredCheckpoint, StoredEntry, StoredMention,
    StoredNonceLock, StoredToken, backend::Backend, migration::Candidate, postgres::Postgres, sqlite::Sqlite,
};
use domain::{Cid, Digest, Time};
use std::{collections::HashMap, fmt, path::Path};

/// Most rows that one call returns.
pub const MAX_PAGE: u32 = 1024;

/// Most bytes of entries and their tokens that one call returns, but for a first entry that is larger alone. A full page of
/// usual ones is a fourth of it; of the longest that a log takes, several dozen are as much. So a reader holds so much
/// and not a hundred megabytes, and as JSON it is far from the most that a client takes in one answer.
pub const MAX_PAGE_BYTES: u64 = 8 * 1024 * 1024;

/// Bytes of a full tile: 256 hashes of 32 bytes (C2SP tlog-tiles).
pub const TILE_BYTES: usize = 8192;

/// A database with a log. Shared by threads; every call blocks. Calls that list rows return at most [`MAX_PAGE`]; a
/// shorter page than asked for is not the end, an empty one is.
pub struct Storage {
    engine: Engine,
    backend: Box<dyn Backend>,
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Storage").field("engine", &self.engine).finish_non_exhaustive()
    }
}

/// Where a database is.
enum Place<'a> {
    Sqlite(&'a Path),
    Postgres,
}

fn place(url: &str) -> Result<Place<'_>, OpenError> {
    if let Some(path) = url.strip_prefix("sqlite:") {
        // Each connection to an in-memory database would see a database of its own.
        if path.is_empty() || path.contains(":memory:") {
            return Err(OpenError::Url { what: "a path to a file is needed".to_owned() });
        }
        return Ok(Place::Sqlite(Path::new(path.strip_prefix("//").unwrap_or(path))));
    }
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return Ok(Place::Postgres);
    }
    Err(OpenError::Url { what: "unknown scheme".to_owned() })
}

impl Storage {
    /// Opens `sqlite:PATH` (created if absent, its folder must exist) or `postgres://USER:PASSWORD@HOST/DATABASE`,
    /// and brings the schema up to date. A schema without the triggers that keep facts from being changed is refused.
    /// Connections to PostgreSQL are not encrypted: use a Unix socket, a private
    /// network or a tunnel; a URL that asks for `sslmode=require` is refused.
    pub fn open(url: &str) -> Result<Self, OpenError> {
        Self::open_with(url, None)
    }

    /// As [`Storage::open`], for a process that is to lead the log as `holder`: while another holds the lease the schema
    /// is left as that one knows it, and [`OpenError::Led`] says so when it would have to change. Whoever changes it has
    /// the lease from then on, for `ttl` seconds by `clock`, so that only who knows the new schema begins to lead; when it
    /// is as it should be, the lease is left to [`Storage::acquire`].
    pub fn open_to_lead(url: &str, holder: &str, ttl: u64, clock: &dyn Fn() -> Time) -> Result<Self, OpenError> {
        Self::open_with(url, Some(Candidate { holder, ttl, clock }))
    }

    fn open_with(url: &str, candidate: Option<Candidate<'_>>) -> Result<Self, OpenError> {
        Ok(match place(url)? {
            Place::Sqlite(path) => Self { engine: Engine::Sqlite, backend: Box::new(Sqlite::open(path, candidate)?) },
            Place::Postgres => Self { engine: Engine::Postgres, backend: Box::new(Postgres::open(url, candidate)?) },
        })
    }

    /// Says what is wrong with a URL before anything is opened: also that the folder of an SQLite file is not there.
    pub fn check(url: &str) -> Result<(), OpenError> {
        match place(url)? {
            Place::Sqlite(path) => {
                let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
                let absent = || OpenError::Url { what: "the folder of the file is not there".to_owned() };
                folder.is_dir().then_some(()).ok_or_else(absent)
            }
            Place::Postgres => Postgres::check(url),
        }
    }

    /// The file that a URL names, when it is one of SQLite's.
    pub fn file(url: &str) -> Option<&Path> {
        match place(url) {
            Ok(Place::Sqlite(path)) => Some(path),
            _ => None,
        }
    }

    /// The engine in use.
    pub const fn engine(&self) -> Engine {
        self.engine
    }

    /// Whether the database answers now. For readiness.
    pub fn database_is_reachable(&self) -> bool {
        self.backend.ping().is_ok()
    }

    /// Commits a change that changes nothing, and sees that there is room for a large batch. After a failed write, this
    /// says whether writing is possible again.
    pub fn try_writing(&self) -> Result<(), Error> {
        self.backend.try_writing()
    }

    /// The newest entry; `None` while the log is empty.
    pub fn head(&self) -> Result<Option<Head>, Error> {
        self.backend.head()
    }

    /// The newest entry once nobody is moving the head any more: what to ask after [`AppendError::Unknown`].
    pub fn settled_head(&self) -> Result<Option<Head>, Error> {
        self.backend.settled_head()
    }

    /// Takes the lease of the sequencer until `now + ttl` seconds, if it is free, expired or already `holder`'s.
    /// `None` if another process holds it. A lease of another epoch than the head's is [`Error::Corrupt`]. Each acquisition starts a new epoch, in which batches of all earlier
    /// epochs are [`AppendError::Fenced`]. `holder` is 1 to 256 characters and names one process.
    pub fn acquire(&self, holder: &str, now: Time, ttl: u64) -> Result<Option<Lease>, Error> {
        self.backend.acquire(holder, now, now.plus(ttl))
    }

    /// Prolongs `lease` to `now + ttl` seconds, in the same epoch. `None` if another acquisition has ended it.
    pub fn renew(&self, lease: &Lease, now: Time, ttl: u64) -> Result<Option<Lease>, Error> {
        self.backend.renew(lease, now.plus(ttl))
    }

    /// Gives `lease` back, so that another process need not wait for it to expire. Without effect if it has ended.
    pub fn release(&self, lease: &Lease) -> Result<(), Error> {
        self.backend.release(lease)
    }

    /// The newest lease, expired or not; `None` if there never was one.
    pub fn lease(&self) -> Result<Option<Lease>, Error> {
        self.backend.lease()
    }

    /// Appends `batch` in one transaction and returns when it is durable. The head must be `old_head` and the epoch
    /// that of the batch, else [`AppendError::Fenced`].
    pub fn append(&self, batch: &Batch) -> Result<(), AppendError> {
        check(batch)?;
        // A proposal may be made and approved within one batch, and an upsert may name a row only once.
        let last: HashMap<_, _> = batch.proposals.iter().enumerate().map(|(i, p)| (p.id, i)).collect();
        if last.len() == batch.proposals.len() {
            return self.backend.append(batch);
        }
        let keep = |(i, p): (usize, &ProposalRow)| (last.get(&p.id) == Some(&i)).then(|| p.clone());
        let proposals = batch.proposals.iter().enumerate().filter_map(keep).collect();
        self.backend.append(&Batch { proposals, ..batch.clone() })
    }

    /// Entries from position `from` on, with the tokens they introduced: fewer than asked for when they come to
    /// [`MAX_PAGE_BYTES`], and none only when there is none.
    pub fn entries(&self, from: u64, limit: u32) -> Result<Vec<StoredEntry>, Error> {
        self.backend.entries(from, limit.min(MAX_PAGE))
    }

    /// As [`Storage::entries`], with every other row that belongs to them, from one moment's view. With
    /// [`Storage::counts`], a replay that meets the same rows has checked every row of tokens, proposals and mentions.
    pub fn scan_entries(&self, from: u64, limit: u32) -> Result<Vec<ScannedEntry>, Error> {
        self.backend.scan_entries(from, limit.min(MAX_PAGE))
    }

    /// A token by its CID.
    pub fn token(&self, cid: &Cid) -> Result<Option<StoredToken>, Error> {
        self.backend.token(cid)
    }

    /// Those of the tokens that the log holds, in any order.
    pub fn token_many(&self, cids: &[Cid]) -> Result<Vec<StoredToken>, Error> {
        if cids.is_empty() { Ok(Vec::new()) } else { self.backend.token_many(cids) }
    }

    /// The position of the entry that places a statement.
    pub fn seq_of_statement(&self, statement: &Cid) -> Result<Option<u64>, Error> {
        self.backend.seq_of_statement(statement)
    }

    /// The hashes of a full tile, [`TILE_BYTES`] bytes; `None` if it is not full yet.
    pub fn tile(&self, level: u8, index: u64) -> Result<Option<Vec<u8>>, Error> {
        self.backend.tile(level, index)
    }

    /// Stores a signed note under the next number; [`Error::Duplicate`] if another note has it. Nothing is ever
    /// overwritten: a note that has gained a signature is stored again, and the newest of a size is the one that counts.
    pub fn put_checkpoint(&self, new: &StoredCheckpoint) -> Result<(), Error> {
        // Ending in a newline, a note can only be extended by whole lines. PostgreSQL has no NUL in texts.
        if !new.note.ends_with('\n') || new.note.contains('\0') {
            return Err(Error::Refused { what: "a note is lines of text without NUL".to_owned() });
        }
        self.backend.put_checkpoint(new)
    }

    /// The newest note of the largest size.
    pub fn latest_checkpoint(&self) -> Result<Option<StoredCheckpoint>, Error> {
        self.backend.checkpoint_at_or_before(u64::MAX)
    }

    /// The newest note of the largest size up to `size`.
    pub fn checkpoint_at_or_before(&self, size: u64) -> Result<Option<StoredCheckpoint>, Error> {
        self.backend.checkpoint_at_or_before(size)
    }

    /// All notes from this size and number on, by size and then number.
    pub fn checkpoints_by_size(&self, from: (u64, u64), limit: u32) -> Result<Vec<StoredCheckpoint>, Error> {
        self.backend.checkpoints_by_size(from, limit.min(MAX_PAGE))
    }

    /// All notes from this number on, in the order in which they were stored.
    pub fn checkpoints_by_number(&self, from: u64, limit: u32) -> Result<Vec<StoredCheckpoint>, Error> {
        self.backend.checkpoints_by_number(from, limit.min(MAX_PAGE))
    }

    /// A proposal by the CID of its invocation.
    pub fn proposal(&self, id: &Cid) -> Result<Option<ProposalRow>, Error> {
        self.backend.proposal(id)
    }

    /// Proposals that match `filter`, newest first. `before` is the `seq` of the last row of the previous page.
    pub fn proposals(
        &self,
        filter: &ProposalFilter,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<ProposalRow>, Error> {
        self.backend.proposals(filter, before.unwrap_or(u64::MAX), limit.min(MAX_PAGE))
    }

    /// The newest [`MAX_PAGE`] entries that say something about `cid`, oldest first.
    pub fn mentions(&self, cid: &Cid) -> Result<Vec<StoredMention>, Error> {
        self.backend.mentions(cid)
    }

    /// Binds an intent to the only digest that may ever be signed for it; durable when it returns. After
    /// [`Error::Unknown`] ask again: the answer is then [`LockOutcome::Same`] if the lock was taken.
    pub fn lock_intent(&self, intent: &Digest, lock: &Lock) -> Result<LockOutcome, Error> {
        self.backend.lock_intent(intent, lock)
    }

    /// The lock on an intent.
    pub fn lock(&self, intent: &Digest) -> Result<Option<Lock>, Error> {
        self.backend.lock(intent)
    }

    /// Intents with their locks, by intent, from the one after `after` on.
    pub fn locks(&self, after: Option<&Digest>, limit: u32) -> Result<Vec<(Digest, Lock)>, Error> {
        self.backend.locks(after, limit.min(MAX_PAGE))
    }

    /// Binds a contract's nonce to the only digest that may be signed for it; durable when it returns. Another digest
    /// is locked only when the last one was valid until before `ended`. `seal` makes the seal of the row that is written.
    /// After [`Error::Unknown`] ask again.
    pub fn lock_nonce(
        &self,
        contract: &Digest,
        nonce: u64,
        wanted: &NonceLock,
        ended: Time,
        seal: &dyn Fn(&NoncePlace, &NonceLock) -> Digest,
    ) -> Result<LockOutcome<NonceLock>, Error> {
        self.backend.lock_nonce(contract, nonce, wanted, ended, seal)
    }

    /// Locks on nonces by place, from the one after `after` on.
    pub fn nonce_locks(&self, after: Option<&NoncePlace>, limit: u32) -> Result<Vec<StoredNonceLock>, Error> {
        self.backend.nonce_locks(after, limit.min(MAX_PAGE))
    }

    /// Records evidence; durable when it returns. The same evidence twice is one row: says whether this made it.
    pub fn put_evidence(&self, evidence: &Evidence) -> Result<bool, Error> {
        self.backend.put_evidence(evidence)
    }

    /// Evidence by position, kind and digest of the body, from the piece after `after` on.
    pub fn evidence(&self, after: Option<&Evidence>, limit: u32) -> Result<Vec<Evidence>, Error> {
        self.backend.evidence(after, limit.min(MAX_PAGE))
    }

    /// The number of rows of every table, from one moment's view. Reads whole indexes: for start-up, not for requests.
    pub fn counts(&self) -> Result<Counts, Error> {
        self.backend.counts()
    }
}

/// Reads at most `limit` rows, or as many of them as come before one that cannot be read. So an [`Error::Corrupt`] is
/// about the very first row.
pub fn readable<T>(limit: u32, read: &impl Fn(u32) -> Result<Vec<T>, Error>) -> Result<Vec<T>, Error> {
    match read(limit) {
        Err(Error::Corrupt { .. }) if limit > 1 => readable(limit / 2, read),
        result => result,
    }
}

/// A batch must continue the log without a gap and be about its own entries only.
fn check(batch: &Batch) -> Result<(), AppendError> {
    let refuse = |what: &str| Err(AppendError::Refused { what: what.to_owned() });
    let first = match batch.old_head {
        None => Some(0),
        Some(seq) => seq.checked_add(1),
    };
    let (Some(first), false) = (first, batch.entries.is_empty()) else {
        return refuse("a batch has at least one entry");
    };
    let positions = first..=u64::MAX;
    if !batch.entries.iter().map(|e| e.seq).eq(positions.take(batch.entries.len())) {
        return refuse("the entries of a batch follow the old head without a gap");
    }
    let last = batch.entries.last().map_or(first, |e| e.seq);
    let is_new = |seq: u64| (first..=last).contains(&seq);
    if !batch.mentions.iter().all(|m| is_new(m.seq)) || !batch.proposals.iter().all(|p| is_new(p.updated)) {
        return refuse("mentions and changed proposals belong to entries of the batch");
    }
    let entry = |seq: u64| batch.entries.get(usize::try_from(seq.checked_sub(first)?).ok()?);
    if !batch.proposals.iter().all(|p| !is_new(p.seq) || entry(p.seq).is_some_and(|e| e.statement == p.id)) {
        return refuse("a new proposal is the statement of its entry");
    }
    let begins_with_statement = |e: &crate::NewEntry| e.tokens.first().is_some_and(|t| t.cid == e.statement);
    if !batch.entries.iter().all(begins_with_statement) {
        return refuse("the first token of an entry is its statement");
    }
    if batch.tiles.iter().any(|t| t.hashes.len() != TILE_BYTES) {
        return refuse("only full tiles are stored");
    }
    Ok(())
}
