use super::{Job, Placed, Rejected, Verdict};
use crate::{
    feed::Committed,
    read_model::{self, Rows},
    snapshot::Snapshot,
};
use domain::{Cid, Digest, Time};
use ledger::Refusal;
use quick_cache::unsync::Cache;
use replica::{AdmitError, Admitted};
use std::{
    collections::HashSet,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};
use storage::{Batch, Error, Head, NewEntry, NewTile, NewToken, Storage};
use tokio::sync::oneshot;

/// How many delegations are remembered as being in the log; for others the database is asked.
const REMEMBERED: usize = 131_072;

/// Delegations that the log is known to hold.
pub(super) struct Held(Cache<Cid, ()>);

impl Held {
    pub fn new() -> Self {
        Self(Cache::new(REMEMBERED))
    }

    /// Asks the database about those delegations of `jobs` that are not remembered, in one query.
    fn look_up(&mut self, jobs: &[Job], storage: &Storage) -> Result<(), Error> {
        let named = jobs.iter().flat_map(|j| j.statement.proofs());
        let unknown: HashSet<Cid> = named.map(|p| p.cid()).filter(|cid| self.0.get(cid).is_none()).collect();
        let unknown: Vec<Cid> = unknown.into_iter().collect();
        for page in unknown.chunks(usize::try_from(storage::MAX_PAGE).unwrap_or(1)) {
            for token in storage.token_many(page)? {
                self.0.insert(token.cid, ());
            }
        }
        Ok(())
    }
}

struct Pending {
    job: Job,
    placed: Placed,
}

/// What one commit will make of the log.
pub(super) struct Draft {
    snapshot: Snapshot,
    batch: Batch,
    pending: Vec<Pending>,
    introduced: HashSet<Cid>,
    first: u64,
}

/// The database did not answer before anything was decided.
pub(super) struct PrepareError {
    pub jobs: Vec<Job>,
    pub error: Error,
}

impl Draft {
    /// Decides `jobs` one after the other on top of `base`. Refusals are answered here.
    pub fn prepare(
        base: &Snapshot,
        held: &mut Held,
        storage: &Storage,
        epoch: u64,
        jobs: Vec<Job>,
        at: Time,
    ) -> Result<Self, PrepareError> {
        if let Err(error) = held.look_up(&jobs, storage) {
            return Err(PrepareError { jobs, error });
        }
        let old_head = base.replica.head().map(|h| h.seq);
        let mut draft = Self {
            snapshot: base.clone(),
            batch: Batch { epoch, old_head, ..Batch::default() },
            pending: Vec::with_capacity(jobs.len()),
            introduced: HashSet::new(),
            first: base.replica.next_seq(),
        };
        for job in jobs {
            draft.decide(job, held, at);
        }
        Ok(draft)
    }

    fn decide(&mut self, job: Job, held: &mut Held, at: Time) {
        let before = self.snapshot.clone();
        let replica = &mut self.snapshot.replica;
        // Whatever goes wrong inside one decision concerns that statement alone.
        let rejected = match catch_unwind(AssertUnwindSafe(|| replica.admit(&job.statement, at))) {
            Ok(Ok(admitted)) => {
                let (old, new) = (before.replica.state(), replica.state());
                if let Some(rows) = read_model::rows(old, new, &job.statement, &admitted) {
                    return self.take(job, held, admitted, rows);
                }
                tracing::error!(seq = admitted.seq, "a decision has no rows");
                Rejected::Internal
            }
            Ok(Err(AdmitError::Refused(Refusal::AlreadyKnown { seq }))) if seq >= self.first => {
                return self.repeat(job, seq);
            }
            Ok(Err(AdmitError::Refused(refusal))) => Rejected::Refused(refusal),
            Ok(Err(error)) => {
                tracing::error!(%error, "a decision cannot be written");
                Rejected::Internal
            }
            Err(_) => {
                tracing::error!(statement = %job.statement.cid(), "deciding a statement failed");
                Rejected::Internal
            }
        };
        self.snapshot = before;
        let _ = job.reply.send(Err(rejected));
    }

    fn take(&mut self, job: Job, held: &Held, admitted: Admitted, rows: Rows) {
        let statement = &job.statement;
        let mut tokens = vec![NewToken { cid: statement.cid(), bytes: statement.invocation().bytes().to_vec() }];
        for proof in statement.proofs() {
            let cid = proof.cid();
            if held.0.get(&cid).is_none() && self.introduced.insert(cid) {
                tokens.push(NewToken { cid, bytes: proof.bytes().to_vec() });
            }
        }
        self.snapshot.note(statement);
        self.batch.entries.push(NewEntry {
            seq: admitted.seq,
            bytes: admitted.entry,
            leaf: Digest::from_bytes(*admitted.leaf.as_bytes()),
            statement: statement.cid(),
            tokens,
        });
        let tile = |t: log::Tile| NewTile { level: t.level, index: t.index, hashes: t.hashes };
        self.batch.tiles.extend(admitted.tiles.into_iter().map(tile));
        self.batch.proposals.extend(rows.proposals);
        self.batch.mentions.extend(rows.mentions);
        let outcome = Arc::new(admitted.outcome);
        let placed = Placed { seq: admitted.seq, outcome, repeated: false };
        self.pending.push(Pending { job, placed });
    }

    /// The same bytes are in this very batch: they get the same answer, when it is durable.
    fn repeat(&mut self, job: Job, seq: u64) {
        if let Some(first) = self.pending.iter().find(|p| p.placed.seq == seq) {
            let placed = Placed { repeated: true, ..first.placed.clone() };
            self.pending.push(Pending { job, placed });
        }
    }

    pub const fn batch(&self) -> &Batch {
        &self.batch
    }

    pub const fn is_empty(&self) -> bool {
        self.batch.entries.is_empty()
    }

    /// The number of entries.
    pub const fn len(&self) -> usize {
        self.batch.entries.len()
    }

    /// Whether `head` is where this batch leads.
    pub fn is_committed(&self, head: Option<&Head>) -> bool {
        let last = self.batch.entries.last().map(|e| (e.seq, e.leaf));
        last.is_some() && last == head.map(|h| (h.seq, h.leaf))
    }

    /// What is true now that the batch is durable: the new snapshot, the entries, and the answers.
    pub fn settle(self, held: &mut Held) -> (Snapshot, Vec<Committed>, Vec<Answer>) {
        for cid in self.introduced {
            held.0.insert(cid, ());
        }
        let committed = self.batch.entries.into_iter().map(|entry| Committed {
            seq: entry.seq,
            entry: entry.bytes,
            tokens: entry.tokens.into_iter().map(|t| t.bytes).collect(),
        });
        let committed = committed.collect();
        let answers = self.pending.into_iter().map(|p| (p.job.reply, p.placed)).collect();
        (self.snapshot, committed, answers)
    }

    /// The statements of a batch that was not committed, to be answered or tried again.
    pub fn into_jobs(self) -> Vec<Job> {
        self.pending.into_iter().map(|p| p.job).collect()
    }
}

type Answer = (oneshot::Sender<Verdict>, Placed);
