use domain::Time;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

/// Whether statements can get their place in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// They can.
    Leading = 0,
    /// Not now: the database or the anchor cannot be written.
    Degraded = 1,
    /// Not any more: another process leads, or the sequencer has ended.
    Stopped = 2,
}

/// What the sequencer last knew of itself, for readiness, heartbeats and quick refusals.
#[derive(Debug)]
pub(crate) struct Health {
    standing: AtomicU8,
    lease_until: AtomicU64,
    is_anchored: AtomicBool,
    closing: AtomicBool,
}

impl Health {
    pub fn new(lease_until: Time) -> Self {
        Self {
            standing: AtomicU8::new(Standing::Leading as u8),
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

    /// Stopped is for good.
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
