//! One thread gives statements their place: it owns the replica and the writing side of the database, takes what waits,
//! decides it, commits it as one transaction and only then answers.

mod batch;

use crate::{
    clock,
    feed::{Event, Feed, Lines},
    health::{Health, Standing},
    metrics::Metrics,
    snapshot::Snapshot,
};
use arc_swap::{ArcSwap, ArcSwapOption};
use batch::{Draft, Held, PrepareError};
use domain::Digest;
use ledger::{Outcome, Refusal, Statement};
use std::{
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};
use storage::{AppendError, Head, Lease, Storage};
use tokio::sync::oneshot;

/// How often an idle sequencer looks after its lease and the database.
const IDLE: Duration = Duration::from_millis(250);
/// How long to wait between two looks at a database that does not say whether it has committed.
const RECHECK: Duration = Duration::from_millis(100);

/// A statement that waits for its place, and who waits for it.
pub(crate) struct Job {
    pub statement: Statement,
    pub reply: oneshot::Sender<Verdict>,
}

/// What became of a statement.
pub(crate) type Verdict = Result<Placed, Rejected>;

/// A statement has its place, durably.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    pub seq: u64,
    pub outcome: Arc<Outcome>,
    /// Whether these bytes were waiting once before, and this is the answer to the first.
    pub repeated: bool,
}

/// Why a statement has no place.
#[derive(Clone, Debug)]
pub(crate) enum Rejected {
    /// The ledger says no; nothing was written.
    Refused(Refusal),
    /// Its outcome cannot be written, or deciding it failed.
    Internal,
    /// The database does not answer; nothing was written.
    Unavailable,
    /// It is not known yet whether it was written. The same bytes again will tell.
    Unknown,
    /// This process does not lead the log any more.
    Stopped,
}

/// The way to the sequencer.
#[derive(Clone)]
pub(crate) struct Queue {
    jobs: Arc<ArcSwapOption<SyncSender<Job>>>,
    metrics: Metrics,
}

/// No more statements are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum QueueError {
    Full,
    Closed,
}

impl Queue {
    /// Waits for nothing: a full queue is said at once.
    pub fn submit(&self, statement: Statement) -> Result<oneshot::Receiver<Verdict>, QueueError> {
        let (reply, verdict) = oneshot::channel();
        let jobs = self.jobs.load();
        let jobs = jobs.as_ref().ok_or(QueueError::Closed)?;
        self.metrics.queue.inc();
        match jobs.try_send(Job { statement, reply }) {
            Ok(()) => Ok(verdict),
            Err(e) => {
                self.metrics.queue.dec();
                Err(match e {
                    TrySendError::Full(_) => QueueError::Full,
                    TrySendError::Disconnected(_) => QueueError::Closed,
                })
            }
        }
    }

    /// Takes no more statements; those that wait still get their place.
    pub fn close(&self) {
        self.jobs.store(None);
    }
}

/// What the sequencer shares with the rest of the service.
pub(crate) struct Parts {
    pub storage: Arc<Storage>,
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    pub feed: Feed,
    pub health: Arc<Health>,
    pub metrics: Metrics,
    pub lease: Lease,
    pub lease_seconds: u64,
    pub queue: usize,
    pub batch: usize,
}

struct Sequencer {
    parts: Parts,
    jobs: Receiver<Job>,
    snapshot: Snapshot,
    held: Held,
    renew_at: Instant,
}

/// Starts the thread. It ends when every [`Queue`] is gone and what waited is committed, and gives its lease back to
/// the caller.
pub(crate) fn start(parts: Parts) -> std::io::Result<(Queue, JoinHandle<Lease>)> {
    let (sender, jobs) = sync_channel(parts.queue);
    let queue = Queue { jobs: Arc::new(ArcSwapOption::from_pointee(sender)), metrics: parts.metrics.clone() };
    let snapshot = Snapshot::clone(&parts.snapshot.load());
    let sequencer = Sequencer { parts, jobs, snapshot, held: Held::new(), renew_at: clock::instant() };
    let thread = thread::Builder::new().name("sequencer".to_owned()).spawn(move || sequencer.run())?;
    Ok((queue, thread))
}

/// Says so when the thread does not end as it should.
struct Farewell(Arc<Health>);

impl Drop for Farewell {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.set(Standing::Stopped);
        }
    }
}

impl Sequencer {
    fn run(mut self) -> Lease {
        let _farewell = Farewell(Arc::clone(&self.parts.health));
        loop {
            let first = match self.jobs.recv_timeout(IDLE) {
                Ok(job) => Some(job),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            self.keep_lease();
            match first {
                None => self.recover(),
                Some(job) => {
                    let more = self.jobs.try_iter().take(self.parts.batch.saturating_sub(1));
                    let jobs: Vec<Job> = std::iter::once(job).chain(more).collect();
                    self.parts.metrics.queue.sub(i64::try_from(jobs.len()).unwrap_or(i64::MAX));
                    self.place(jobs);
                }
            }
        }
        self.parts.lease
    }

    fn keep_lease(&mut self) {
        let now = clock::instant();
        if now < self.renew_at || self.parts.health.standing() == Standing::Stopped {
            return;
        }
        // A third of the lease leaves two more tries before another process may take over.
        let third = Duration::from_secs(self.parts.lease_seconds).checked_div(3).unwrap_or(IDLE);
        self.renew_at = now.checked_add(third).unwrap_or(now);
        match self.parts.storage.renew(&self.parts.lease, clock::now(), self.parts.lease_seconds) {
            Ok(Some(lease)) => {
                self.parts.health.set_lease(lease.expires_at);
                self.parts.lease = lease;
            }
            Ok(None) => self.stop("another process has taken the lease"),
            Err(error) => {
                tracing::warn!(%error, "the lease could not be renewed");
                self.parts.health.set(Standing::Degraded);
            }
        }
    }

    /// A degraded sequencer is well again when the database answers and says what it said last.
    fn recover(&mut self) {
        if self.parts.health.standing() != Standing::Degraded {
            return;
        }
        match self.parts.storage.head() {
            Ok(head) if self.is_own(head.as_ref()) => self.parts.health.set(Standing::Leading),
            Ok(_) => self.stop("another process has moved the head"),
            Err(_) => {}
        }
    }

    fn is_own(&self, head: Option<&Head>) -> bool {
        let own = self.snapshot.replica.head().map(|h| (h.seq, Digest::from_bytes(*h.leaf.as_bytes())));
        own == head.map(|h| (h.seq, h.leaf))
    }

    fn stop(&self, why: &str) {
        tracing::error!(why, "the sequencer stops");
        self.parts.health.set(Standing::Stopped);
    }

    /// Decides `jobs`, commits them together and answers each.
    fn place(&mut self, jobs: Vec<Job>) {
        if self.parts.health.standing() == Standing::Stopped {
            return answer_all(jobs, &Rejected::Stopped);
        }
        // Whoever has gone away before the statement was looked at has not submitted it.
        let jobs: Vec<Job> = jobs.into_iter().filter(|j| !j.reply.is_closed()).collect();
        let timer = self.parts.metrics.decide_seconds.start_timer();
        let prepared = Draft::prepare(
            &self.snapshot,
            &mut self.held,
            &self.parts.storage,
            self.parts.lease.epoch,
            jobs,
            clock::now(),
        );
        timer.observe_duration();
        match prepared {
            Ok(draft) => self.commit(draft),
            Err(PrepareError { jobs, error }) => {
                tracing::warn!(%error, "the database does not answer");
                self.parts.health.set(Standing::Degraded);
                answer_all(jobs, &Rejected::Unavailable);
            }
        }
    }

    fn commit(&mut self, draft: Draft) {
        if draft.is_empty() {
            return;
        }
        let timer = self.parts.metrics.commit_seconds.start_timer();
        let result = self.parts.storage.append(draft.batch());
        timer.observe_duration();
        match result {
            Ok(()) => self.publish(draft),
            Err(error) => self.fail(draft, &error),
        }
    }

    fn publish(&mut self, draft: Draft) {
        let metrics = &self.parts.metrics;
        metrics.batch.observe(f64::from(u32::try_from(draft.len()).unwrap_or(u32::MAX)));
        metrics.accepted.inc_by(u64::try_from(draft.len()).unwrap_or(u64::MAX));
        let (snapshot, committed, answers) = draft.settle(&mut self.held);
        self.snapshot = snapshot;
        metrics.head.set(self.snapshot.replica.head().map_or(-1, |h| i64::try_from(h.seq).unwrap_or(i64::MAX)));
        self.parts.snapshot.store(Arc::new(self.snapshot.clone()));
        self.parts.feed.publish(Event::Entries(Arc::new(Lines::new(committed))));
        for (reply, placed) in answers {
            // Nobody may be waiting any more; the entry stands all the same.
            let _ = reply.send(Ok(placed));
        }
        self.parts.health.set(Standing::Leading);
    }

    fn fail(&mut self, draft: Draft, error: &AppendError) {
        tracing::warn!(%error, entries = draft.len(), "a commit failed");
        let failures = &self.parts.metrics.commit_failures;
        match error {
            AppendError::Fenced => {
                failures.with_label_values(&["fenced"]).inc();
                self.stop("another process leads");
                answer_all(draft.into_jobs(), &Rejected::Stopped);
            }
            AppendError::Unknown(_) => {
                failures.with_label_values(&["unknown"]).inc();
                self.parts.health.set(Standing::Degraded);
                self.find_out(draft);
            }
            AppendError::Unavailable(_) => {
                failures.with_label_values(&["unavailable"]).inc();
                self.parts.health.set(Standing::Degraded);
                answer_all(draft.into_jobs(), &Rejected::Unavailable);
            }
            AppendError::Duplicate { .. } | AppendError::Refused { .. } | AppendError::Corrupt { .. } => {
                failures.with_label_values(&["rejected"]).inc();
                self.retry_singly(draft.into_jobs());
            }
        }
    }

    /// One statement that the database will not have must not take the others with it.
    fn retry_singly(&mut self, mut jobs: Vec<Job>) {
        if jobs.len() <= 1 {
            return answer_all(jobs, &Rejected::Internal);
        }
        while !jobs.is_empty() {
            self.place(vec![jobs.remove(0)]);
        }
    }

    /// Asks until the database says whether it has committed.
    fn find_out(&mut self, draft: Draft) {
        loop {
            match self.parts.storage.head() {
                Ok(head) if draft.is_committed(head.as_ref()) => return self.publish(draft),
                Ok(head) if self.is_own(head.as_ref()) => {
                    return answer_all(draft.into_jobs(), &Rejected::Unavailable);
                }
                Ok(_) => {
                    self.stop("another process has moved the head");
                    return answer_all(draft.into_jobs(), &Rejected::Unknown);
                }
                Err(_) if self.parts.health.is_closing() => {
                    self.stop("the database did not answer before shutdown");
                    return answer_all(draft.into_jobs(), &Rejected::Unknown);
                }
                Err(_) => thread::park_timeout(RECHECK),
            }
        }
    }
}

fn answer_all(jobs: Vec<Job>, rejected: &Rejected) {
    for job in jobs {
        let _ = job.reply.send(Err(rejected.clone()));
    }
}
