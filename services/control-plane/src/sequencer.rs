//! Two threads give statements their place. The decider takes what waits and decides it on top of what it decided last;
//! the committer writes one batch after the other, each as one transaction, and only then publishes and answers. So one
//! batch is decided while the one before it waits for the disk.
//!
//! **Invariant:** nothing is answered, published or seen by a read before it is durable. A batch that was decided on top
//! of one that the database did not take is decided again.

mod batch;
mod committer;

use crate::{
    anchor::AnchorLock,
    clock,
    debt::Debts,
    feed::Feed,
    health::{Health, Standing, Stop},
    metrics::Metrics,
    snapshot::Snapshot,
};
use arc_swap::{ArcSwap, ArcSwapOption};
use batch::{Draft, Held, PrepareError};
use committer::{Committer, Work};
use ledger::{Outcome, Refusal, Statement};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};
use storage::{Lease, Storage};
use tokio::sync::oneshot;

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
    /// The tenant's policy has taken too much of everybody's time, and is asked again when this has passed.
    InDebt(Duration),
    /// Its outcome cannot be written, or deciding it failed.
    Internal,
    /// The database does not answer; nothing was written.
    Unavailable,
    /// It is not known yet whether it was written. The same bytes again will tell.
    Unknown,
    /// This process does not lead the log any more.
    Stopped(Stop),
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

/// Starts the threads. They end when every [`Queue`] is gone and what waited is committed, and give the lease back to
/// the caller. Nobody else gets `lock` before the last batch is committed.
pub(crate) fn start(parts: Parts, lock: Arc<AnchorLock>) -> std::io::Result<(Queue, JoinHandle<Lease>)> {
    let (sender, jobs) = sync_channel(parts.queue);
    let debts = Arc::new(Debts::default());
    let queue = Queue { jobs: Arc::new(ArcSwapOption::from_pointee(sender)), metrics: parts.metrics.clone() };
    // Without room in between: while one batch is committed one is decided, and all else waits where batches grow.
    let (drafts, work) = sync_channel(0);
    let decider = Decider {
        jobs,
        drafts,
        tip: Snapshot::clone(&parts.snapshot.load()),
        held: Held::new(),
        lost: Arc::new(AtomicBool::new(false)),
        storage: Arc::clone(&parts.storage),
        debts: Arc::clone(&debts),
        health: Arc::clone(&parts.health),
        metrics: parts.metrics.clone(),
        epoch: parts.lease.epoch,
        batch: parts.batch,
    };
    let committer = Committer::new(parts, debts, work, Arc::clone(&decider.lost));
    let deciding = thread::Builder::new().name("decider".to_owned()).spawn(move || decider.run())?;
    let commit = move || {
        let _lock = lock;
        committer.run(deciding)
    };
    let thread = thread::Builder::new().name("committer".to_owned()).spawn(commit)?;
    Ok((queue, thread))
}

/// Says so when a thread does not end as it should.
struct Farewell(Arc<Health>);

impl Drop for Farewell {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.stop(Stop::Failed);
        }
    }
}

struct Decider {
    jobs: Receiver<Job>,
    drafts: SyncSender<Work>,
    /// The log as it will be when all that was decided is committed.
    tip: Snapshot,
    held: Held,
    /// A batch was not committed, and what was decided on top of it has no ground.
    lost: Arc<AtomicBool>,
    storage: Arc<Storage>,
    debts: Arc<Debts>,
    health: Arc<Health>,
    metrics: Metrics,
    epoch: u64,
    batch: usize,
}

impl Decider {
    fn run(mut self) {
        let _farewell = Farewell(Arc::clone(&self.health));
        while let Ok(first) = self.jobs.recv() {
            let more = self.jobs.try_iter().take(self.batch.saturating_sub(1));
            let jobs: Vec<Job> = std::iter::once(first).chain(more).collect();
            self.metrics.queue.sub(i64::try_from(jobs.len()).unwrap_or(i64::MAX));
            let mut left = self.place(jobs);
            while !left.is_empty() {
                left = self.place(left);
            }
        }
    }

    /// Decides `jobs` and hands them on to be committed; gives back those that there was no time for.
    fn place(&mut self, jobs: Vec<Job>) -> Vec<Job> {
        if self.health.standing() == Standing::Stopped || !self.find_ground() {
            answer_all(jobs, &Rejected::Stopped(self.health.why()));
            return Vec::new();
        }
        // Whoever has gone away before the statement was looked at has not submitted it.
        let jobs: Vec<Job> = jobs.into_iter().filter(|j| !j.reply.is_closed()).collect();
        let timer = self.metrics.decide_seconds.start_timer();
        let tools = (self.storage.as_ref(), self.debts.as_ref());
        let prepared = Draft::prepare(&self.tip, &mut self.held, tools, self.epoch, jobs, clock::now());
        timer.observe_duration();
        match prepared {
            Ok((draft, left)) => {
                self.tip = draft.snapshot().clone();
                // Without a committer the answers are dropped, which says that nothing is known of the statements.
                let _ = self.drafts.send(Work::Commit(Box::new(draft)));
                left
            }
            Err(PrepareError { jobs, error }) => {
                tracing::warn!(%error, "the database does not answer");
                self.health.set(Standing::Degraded);
                answer_all(jobs, &Rejected::Unavailable);
                Vec::new()
            }
        }
    }

    /// After a batch was lost, waits until the committer has nothing in hand and goes on from what is committed.
    fn find_ground(&mut self) -> bool {
        if !self.lost.load(Ordering::Acquire) {
            return true;
        }
        let (reply, ground) = sync_channel(1);
        let asked = self.drafts.send(Work::Ground(reply)).is_ok();
        let Some(tip) = asked.then(|| ground.recv().ok()).flatten() else { return false };
        self.tip = tip;
        self.held = Held::new();
        true
    }
}

fn answer_all(jobs: Vec<Job>, rejected: &Rejected) {
    for job in jobs {
        let _ = job.reply.send(Err(rejected.clone()));
    }
}
