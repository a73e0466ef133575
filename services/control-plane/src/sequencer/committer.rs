use super::{
    Farewell, Job, Parts, Rejected, answer_all,
    batch::{Draft, Held, PrepareError},
};
use crate::{
    clock,
    debt::Debts,
    feed::{Event, Lines},
    health::{Standing, Stop},
    snapshot::Snapshot,
};
use domain::Digest;
use std::{
    panic::resume_unwind,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};
use storage::{AppendError, Head, Lease};

/// How often an idle committer looks after its lease and the database.
const IDLE: Duration = Duration::from_millis(250);
/// The longest pause between two looks of a degraded sequencer at its database: what is mended is noticed soon.
const RARELY: Duration = Duration::from_secs(2);
/// How long to wait between two looks at a database that does not say whether it has committed.
const RECHECK: Duration = Duration::from_millis(100);
/// Seconds after which what was decided is decided again: tokens, grants and days end while a batch waits.
const STALE: u64 = 5;

/// What the decider asks for.
pub(super) enum Work {
    /// Make a batch durable and answer it.
    Commit(Box<Draft>),
    /// Say what is committed, now that everything sent before has been dealt with.
    Ground(SyncSender<Snapshot>),
}

/// Owns the writing side of the database and the lease.
pub(super) struct Committer {
    parts: Parts,
    debts: Arc<Debts>,
    work: Receiver<Work>,
    committed: Snapshot,
    lost: Arc<AtomicBool>,
    renew_at: Instant,
    probe: Probe,
}

/// When a degraded sequencer looks at its database: at once, and then ever more rarely, for a look takes room on a disk
/// that may have none and is in the way of whoever is mending it.
struct Probe {
    due: Option<Instant>,
    pause: Duration,
}

impl Probe {
    const fn new() -> Self {
        Self { due: None, pause: IDLE }
    }

    /// Whether to look now; if so, it will not be due again for a while.
    fn is_due(&mut self, now: Instant) -> bool {
        if self.due.is_some_and(|due| now < due) {
            return false;
        }
        self.due = now.checked_add(self.pause);
        self.pause = self.pause.saturating_mul(2).min(RARELY);
        true
    }
}

impl Committer {
    pub fn new(parts: Parts, debts: Arc<Debts>, work: Receiver<Work>, lost: Arc<AtomicBool>) -> Self {
        let committed = Snapshot::clone(&parts.snapshot.load());
        Self { parts, debts, work, committed, lost, renew_at: clock::instant(), probe: Probe::new() }
    }

    /// Commits until the decider has gone, and gives the lease back. Panics when the decider did.
    pub fn run(mut self, decider: JoinHandle<()>) -> Lease {
        let _farewell = Farewell(Arc::clone(&self.parts.health));
        loop {
            let work = match self.work.recv_timeout(IDLE) {
                Ok(work) => Some(work),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            self.keep_lease();
            match work {
                None => self.recover(),
                Some(Work::Commit(draft)) => self.commit(*draft),
                Some(Work::Ground(reply)) => {
                    self.lost.store(false, Ordering::Release);
                    // A decider that has gone needs no ground.
                    let _ = reply.send(self.committed.clone());
                }
            }
        }
        if let Err(panic) = decider.join() {
            resume_unwind(panic);
        }
        self.parts.lease
    }

    fn keep_lease(&mut self) {
        let now = clock::instant();
        if now < self.renew_at || self.is_stopped() {
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
            Ok(None) => self.stop(Stop::Fenced, "another process has taken the lease"),
            Err(error) => {
                tracing::warn!(%error, "the lease could not be renewed");
                self.parts.health.set(Standing::Degraded);
            }
        }
    }

    /// A degraded sequencer is well again when the database can be written and says what it said last.
    fn recover(&mut self) {
        if self.parts.health.standing() != Standing::Degraded {
            self.probe = Probe::new();
            return;
        }
        if !self.probe.is_due(clock::instant()) {
            return;
        }
        match self.parts.storage.try_writing().and_then(|()| self.parts.storage.head()) {
            Ok(head) if self.is_own(head.as_ref()) => self.parts.health.set(Standing::Leading),
            Ok(_) => self.stop(Stop::Fenced, "another process has moved the head"),
            Err(_) => {}
        }
    }

    fn is_own(&self, head: Option<&Head>) -> bool {
        let own = self.committed.replica.head().map(|h| (h.seq, Digest::from_bytes(*h.leaf.as_bytes())));
        own == head.map(|h| (h.seq, h.leaf))
    }

    fn is_stopped(&self) -> bool {
        self.parts.health.standing() == Standing::Stopped
    }

    fn stop(&self, kind: Stop, why: &str) {
        tracing::error!(why, "the sequencer stops");
        self.parts.health.stop(kind);
    }

    fn stopped(&self) -> Rejected {
        Rejected::Stopped(self.parts.health.why())
    }

    fn commit(&mut self, draft: Draft) {
        if self.is_stopped() {
            return answer_all(draft.into_jobs(), &self.stopped());
        }
        if !draft.continues(&self.committed) || clock::now().since(draft.at()) > STALE {
            return self.decide_again(draft.into_jobs());
        }
        self.write(draft);
    }

    fn write(&mut self, draft: Draft) {
        if draft.is_empty() {
            self.recover();
            return draft.answer();
        }
        let timer = self.parts.metrics.commit_seconds.start_timer();
        let result = self.parts.storage.append(draft.batch());
        timer.observe_duration();
        match result {
            Ok(()) => self.publish(draft),
            Err(error) => self.fail(draft, &error),
        }
    }

    fn publish(&mut self, mut draft: Draft) {
        let metrics = &self.parts.metrics;
        metrics.batch.observe(f64::from(u32::try_from(draft.len()).unwrap_or(u32::MAX)));
        metrics.accepted.inc_by(u64::try_from(draft.len()).unwrap_or(u64::MAX));
        self.committed = draft.snapshot().clone();
        metrics.head.set(self.committed.replica.head().map_or(-1, |h| i64::try_from(h.seq).unwrap_or(i64::MAX)));
        self.parts.snapshot.store(Arc::new(self.committed.clone()));
        self.parts.feed.publish(Event::Entries(Arc::new(Lines::new(draft.take_entries()))));
        draft.answer();
        self.parts.health.set(Standing::Leading);
        self.probe = Probe::new();
    }

    fn fail(&mut self, draft: Draft, error: &AppendError) {
        tracing::warn!(%error, entries = draft.len(), "a commit failed");
        let failures = &self.parts.metrics.commit_failures;
        match error {
            AppendError::Fenced => {
                failures.with_label_values(&["fenced"]).inc();
                self.stop(Stop::Fenced, "another process leads");
                answer_all(draft.into_jobs(), &self.stopped());
            }
            AppendError::Unknown(_) => {
                failures.with_label_values(&["unknown"]).inc();
                self.parts.health.set(Standing::Degraded);
                self.find_out(draft);
            }
            AppendError::Unavailable(_) => {
                failures.with_label_values(&["unavailable"]).inc();
                self.parts.health.set(Standing::Degraded);
                self.lose(draft, &Rejected::Unavailable);
            }
            AppendError::Corrupt { .. } => {
                failures.with_label_values(&["rejected"]).inc();
                self.stop(Stop::Corrupt, "the database is not as this process has left it");
                self.lose(draft, &Rejected::Internal);
            }
            AppendError::Duplicate { .. } | AppendError::Refused { .. } => {
                failures.with_label_values(&["rejected"]).inc();
                self.retry_singly(draft);
            }
        }
    }

    /// Gives a batch up; whatever was decided on top of it has lost its ground.
    fn lose(&self, draft: Draft, why: &Rejected) {
        self.lost.store(true, Ordering::Release);
        answer_all(draft.into_jobs(), why);
    }

    /// One statement that the database will not have must not take the others with it.
    fn retry_singly(&mut self, draft: Draft) {
        self.lost.store(true, Ordering::Release);
        let mut jobs = draft.into_jobs();
        if jobs.len() <= 1 {
            return answer_all(jobs, &Rejected::Internal);
        }
        while !jobs.is_empty() {
            self.keep_lease();
            self.decide_again(vec![jobs.remove(0)]);
        }
    }

    /// Decides `jobs` on top of what is committed, and commits them at once, whatever time it took.
    fn decide_again(&mut self, mut jobs: Vec<Job>) {
        self.lost.store(true, Ordering::Release);
        while !jobs.is_empty() {
            self.keep_lease();
            if self.is_stopped() {
                return answer_all(jobs, &self.stopped());
            }
            // Whoever has gone away before the statement was placed finds out by sending it again.
            jobs.retain(|job| !job.reply.is_closed());
            let (epoch, tools) = (self.parts.lease.epoch, (self.parts.storage.as_ref(), self.debts.as_ref()));
            match Draft::prepare(&self.committed, &mut Held::new(), tools, epoch, jobs, clock::now()) {
                Ok((draft, left)) => {
                    jobs = left;
                    self.write(draft);
                }
                Err(PrepareError { jobs, error }) => {
                    tracing::warn!(%error, "the database does not answer");
                    self.parts.health.set(Standing::Degraded);
                    return answer_all(jobs, &Rejected::Unavailable);
                }
            }
        }
    }

    /// Asks until the database says whether it has committed.
    fn find_out(&mut self, draft: Draft) {
        loop {
            match self.parts.storage.settled_head() {
                Ok(head) if draft.is_committed(head.as_ref()) => return self.publish(draft),
                Ok(head) if self.is_own(head.as_ref()) => return self.lose(draft, &Rejected::Unavailable),
                Ok(_) => {
                    self.stop(Stop::Fenced, "another process has moved the head");
                    return answer_all(draft.into_jobs(), &Rejected::Unknown);
                }
                Err(_) if self.parts.health.is_closing() => {
                    self.stop(Stop::Failed, "the database did not answer before shutdown");
                    return answer_all(draft.into_jobs(), &Rejected::Unknown);
                }
                Err(_) => thread::park_timeout(RECHECK),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_that_cannot_be_written_is_looked_at_ever_more_rarely() {
        let (start, mut probe) = (clock::instant(), Probe::new());
        let mut looks = |idle: u32| (0..idle).filter(|n| probe.is_due(start + IDLE * *n)).count();
        // Looked at each time that there is nothing else to do, a minute would see 240.
        let (soon, minute) = (looks(8), looks(240));
        assert!((3..=4).contains(&soon), "{soon} within two seconds");
        assert!((28..=34).contains(&minute), "{minute} within a minute");
        assert!(Probe::new().is_due(start), "the next time it is looked at once again");
    }
}
