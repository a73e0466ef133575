use domain::Time;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

/// Whether statements can get their place in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// They can.
    Leading = 0,
    /// Not now: the database or the anchor cannot be written.
    Degraded = 1,
    /// Not any more: see [`Stop`].
    Stopped = 2,
}

/// Why a process does not lead any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// A part of it has failed.
    Failed = 0,
    /// Another process leads.
    Fenced = 1,
    /// The database is not as this process has left it.
    Corrupt = 2,
    /// The log's key has signed another checkpoint of the same size.
    Forked = 3,
}

/// No reason to stop yet.
const NONE: u8 = u8::MAX;

impl Stop {
    /// What whoever asks for something that only the leader does is told.
    pub const fn told(self) -> &'static str {
        match self {
            Self::Failed => "this process has failed and leads the log no more: restart it",
            Self::Fenced => "another process leads the log",
            Self::Corrupt => {
                "the database is not as this process has left it, so it leads the log no more: its log names the table"
            }
            Self::Forked => {
                "the database has another checkpoint of this log that its key has signed, so this process leads it no more"
            }
        }
    }
}

/// What the sequencer last knew of itself, for readiness, heartbeats and quick refusals.
#[derive(Debug)]
pub(crate) struct Health {
    standing: AtomicU8,
    /// The first reason to stop, or [`NONE`].
    stop: AtomicU8,
    lease_until: AtomicU64,
    is_anchored: AtomicBool,
    closing: AtomicBool,
}

impl Health {
    pub fn new(lease_until: Time) -> Self {
        Self {
            standing: AtomicU8::new(Standing::Leading as u8),
            stop: AtomicU8::new(NONE),
            lease_until: AtomicU64::new(lease_until.unix()),
            is_anchored: AtomicBool::new(true),
            closing: AtomicBool::new(false),
        }
    }

    pub fn standing(&self) -> Standing {
        match self.standing.load(Ordering::Acquire) {
            0 if self.is_anchored.load(Ordering::Acquire) => Standing::Leading,
            0 | 1 => Standing::Degraded,
            _ => Standing::Stopped,
        }
    }

    /// Ends it for good. The first reason stays: what comes after it follows from it.
    pub fn stop(&self, why: Stop) {
        let _ = self.stop.compare_exchange(NONE, why as u8, Ordering::AcqRel, Ordering::Acquire);
        self.set(Standing::Stopped);
    }

    /// Why it has stopped, once it has.
    pub fn why(&self) -> Stop {
        match self.stop.load(Ordering::Acquire) {
            1 => Stop::Fenced,
            2 => Stop::Corrupt,
            3 => Stop::Forked,
            _ => Stop::Failed,
        }
    }

    /// What it is now, unless it has stopped.
    pub fn set(&self, standing: Standing) {
        self.standing.fetch_max(standing as u8, Ordering::AcqRel);
        if standing == Standing::Leading {
            let degraded = Standing::Degraded as u8;
            // Fails when it is not degraded, and then there is nothing to lift.
            let _ = self.standing.compare_exchange(degraded, standing as u8, Ordering::AcqRel, Ordering::Acquire);
        }
    }

    /// Whether the anchor says what it should. While it does not, nothing is published, so nobody can follow.
    pub fn set_anchored(&self, is_anchored: bool) {
        self.is_anchored.store(is_anchored, Ordering::Release);
    }

    pub fn set_lease(&self, until: Time) {
        self.lease_until.store(until.unix(), Ordering::Release);
    }

    /// Whether this process may still speak for the log: nobody else can have taken over yet.
    pub fn leads(&self, now: Time) -> bool {
        self.standing() != Standing::Stopped && now.unix() < self.lease_until.load(Ordering::Acquire)
    }

    pub fn close(&self) {
        self.closing.store(true, Ordering::Release);
    }

    pub fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }
}
