use super::{Job, Placed, Rejected, Verdict};
use crate::{
    clock,
    debt::{Account, Debts},
    feed::Committed,
    read_model::{self, Rows},
    snapshot::Snapshot,
};
use domain::{Cid, Did, Digest, Time};
use ledger::{Act, Refusal};
use log::Head;
use quick_cache::unsync::Cache;
use replica::{AdmitError, Admitted};
use std::{
    collections::HashSet,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};
use storage::{Batch, Error, NewEntry, NewTile, NewToken, Storage};

/// How many delegations are remembered as being in the log; for others the database is asked.
const REMEMBERED: usize = 131_072;

/// A batch is decided for so long at most: what waits for it is not to be old before it is committed.
const LONGEST: Duration = Duration::from_secs(1);

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
    verdict: Verdict,
}

/// What one commit will make of the log, and what is answered when it is durable. Refusals wait, too: they may rest on a
/// batch that is not committed yet.
pub(super) struct Draft {
    snapshot: Snapshot,
    batch: Batch,
    pending: Vec<Pending>,
    base: Option<Head>,
    at: Time,
}

/// The database did not answer before anything was decided.
pub(super) struct PrepareError {
    pub jobs: Vec<Job>,
    pub error: Error,
}

impl Draft {
    /// Decides `jobs` one after the other on top of `base`, and gives back those that it has no time for: at least one is
    /// decided. What they bring into the log is held from then on.
    pub fn prepare(
        base: &Snapshot,
        held: &mut Held,
        (storage, debts): (&Storage, &Debts),
        epoch: u64,
        jobs: Vec<Job>,
        at: Time,
    ) -> Result<(Self, Vec<Job>), PrepareError> {
        if let Err(error) = held.look_up(&jobs, storage) {
            return Err(PrepareError { jobs, error });
        }
        let old_head = base.replica.head().map(|h| h.seq);
        let mut draft = Self {
            snapshot: base.clone(),
            batch: Batch { epoch, old_head, ..Batch::default() },
            pending: Vec::with_capacity(jobs.len()),
            base: base.replica.head().copied(),
            at,
        };
        let begun = clock::instant();
        let mut jobs = jobs.into_iter();
        for job in jobs.by_ref() {
            draft.decide_in_time(job, held, debts, at);
            if begun.elapsed() > LONGEST {
                break;
            }
        }
        Ok((draft, jobs.collect()))
    }

    /// Decides unless too much of everybody's time is owed for it.
    fn decide_in_time(&mut self, job: Job, held: &mut Held, debts: &Debts, at: Time) {
        let state = self.snapshot.replica.state();
        // What has its place gets the same answer, whatever is owed since.
        if state.seen(&job.statement.cid()).is_some() {
            return self.decide(job, held, at);
        }
        let tenant = job.statement.invocation().subject();
        let mut accounts = Vec::with_capacity(2);
        if matches!(job.statement.act(), Act::ProposalPayout(_)) {
            accounts.push(Account::Tenant(tenant));
        }
        let is_installed = |did: &Did| state.tenant(&tenant).is_some_and(|t| t.installations.contains_key(did));
        if let Some(installation) = job.statement.proofs().iter().map(|p| p.audience()).find(is_installed) {
            accounts.push(Account::Installation { tenant, installation });
        }
        if let Some(wait) = debts.wait(&accounts, clock::instant()) {
            return self.pending.push(Pending { job, verdict: Err(Rejected::InDebt(wait)) });
        }
        let begun = clock::computed();
        self.decide(job, held, at);
        // No policy was asked about what is refused: only who sent it pays for it.
        if matches!(self.pending.last(), Some(Pending { verdict: Err(Rejected::Refused(_)), .. })) {
            accounts.retain(|account| matches!(account, Account::Installation { .. }));
        }
        let taken = clock::computed().saturating_sub(begun);
        if debts.charge(&accounts, taken, clock::instant()) {
            tracing::warn!(%tenant, ?taken, "decisions take long; who asks for them waits");
        }
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
            Ok(Err(AdmitError::Refused(Refusal::AlreadyKnown { seq }))) if self.holds(seq) => {
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
        self.pending.push(Pending { job, verdict: Err(rejected) });
    }

    fn take(&mut self, job: Job, held: &mut Held, admitted: Admitted, rows: Rows) {
        let statement = &job.statement;
        let mut tokens = vec![NewToken { cid: statement.cid(), bytes: statement.invocation().bytes().to_vec() }];
        for proof in statement.proofs() {
            let cid = proof.cid();
            if held.0.get(&cid).is_none() {
                held.0.insert(cid, ());
                tokens.push(NewToken { cid, bytes: proof.bytes().to_vec() });
            }
        }
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
        self.pending.push(Pending { job, verdict: Ok(placed) });
    }

    /// Whether `seq` is one of this batch's own positions.
    fn holds(&self, seq: u64) -> bool {
        self.batch.entries.first().is_some_and(|first| first.seq <= seq)
    }

    /// The same bytes are in this very batch: they get the same answer.
    fn repeat(&mut self, job: Job, seq: u64) {
        let placed = self.pending.iter().filter_map(|p| p.verdict.as_ref().ok());
        if let Some(first) = placed.into_iter().find(|placed| placed.seq == seq) {
            let verdict = Ok(Placed { repeated: true, ..first.clone() });
            self.pending.push(Pending { job, verdict });
        }
    }

    pub const fn batch(&self) -> &Batch {
        &self.batch
    }

    /// The log as it is when this is committed.
    pub const fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// When it was decided.
    pub const fn at(&self) -> Time {
        self.at
    }

    pub const fn is_empty(&self) -> bool {
        self.batch.entries.is_empty()
    }

    /// The number of entries.
    pub const fn len(&self) -> usize {
        self.batch.entries.len()
    }

    /// Whether this was decided on top of `committed`.
    pub fn continues(&self, committed: &Snapshot) -> bool {
        self.base == committed.replica.head().copied()
    }

    /// Whether `head` is where this batch leads.
    pub fn is_committed(&self, head: Option<&storage::Head>) -> bool {
        let last = self.batch.entries.last().map(|e| (e.seq, e.leaf));
        last.is_some() && last == head.map(|h| (h.seq, h.leaf))
    }

    /// The entries of a batch that is durable, for followers.
    pub fn take_entries(&mut self) -> Vec<Committed> {
        let entries = std::mem::take(&mut self.batch.entries).into_iter();
        let committed = entries.map(|entry| Committed {
            seq: entry.seq,
            entry: entry.bytes,
            tokens: entry.tokens.into_iter().map(|t| t.bytes).collect(),
        });
        committed.collect()
    }

    /// Gives everybody the answer that is true now.
    pub fn answer(self) {
        for Pending { job, verdict } in self.pending {
            // Nobody may be waiting any more; the entry stands all the same.
            let _ = job.reply.send(verdict);
        }
    }

    /// The statements of a batch that was not committed, to be answered or tried again.
    pub fn into_jobs(self) -> Vec<Job> {
        self.pending.into_iter().map(|p| p.job).collect()
    }
}
