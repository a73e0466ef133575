//! Tenants whose policies take long wait for it themselves. A decision takes microseconds, and a policy made to take long
//! can take a second of the one thread that decides for everybody. So what a tenant's decisions compute is timed, here and
//! nowhere else: what is not admitted for it is in no log, and whoever follows one decides without a clock.

use domain::Did;
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// A decision that takes no longer than this costs nothing: some ten times what a policy can take that is not made for it.
const FREE: Duration = Duration::from_millis(10);
/// So much a tenant may owe before it waits: a host that is short of cores may count its own pauses.
const CREDIT: Duration = Duration::from_secs(1);
/// What is owed is paid off by waiting this many times as long, so that one tenant takes a hundredth of the thread.
const WAIT: u32 = 100;

/// What tenants owe for the time that their policies took.
#[derive(Debug, Default)]
pub(crate) struct Debts(Mutex<HashMap<Did, Debt>>);

#[derive(Clone, Copy, Debug)]
struct Debt {
    owed: Duration,
    at: Instant,
}

impl Debt {
    fn left(self, now: Instant) -> Duration {
        let paid = now.saturating_duration_since(self.at).checked_div(WAIT).unwrap_or_default();
        self.owed.saturating_sub(paid)
    }
}

impl Debts {
    /// How long `tenant` has to wait until its policy is asked again, if at all.
    pub fn wait(&self, tenant: &Did, now: Instant) -> Option<Duration> {
        let debts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let above = debts.get(tenant)?.left(now).saturating_sub(CREDIT);
        (!above.is_zero()).then(|| above.saturating_mul(WAIT))
    }

    /// Adds what a decision of `tenant`'s policy took until `now`; true when it has to wait from now on.
    pub fn charge(&self, tenant: Did, taken: Duration, now: Instant) -> bool {
        let above = taken.saturating_sub(FREE);
        if above.is_zero() {
            return false;
        }
        let mut debts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        debts.retain(|_, debt| !debt.left(now).is_zero());
        let left = debts.get(&tenant).map_or(Duration::ZERO, |debt| debt.left(now));
        let owed = left.saturating_add(above);
        debts.insert(tenant, Debt { owed, at: now });
        owed > CREDIT
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    const MS: Duration = Duration::from_millis(1);

    fn tenant(byte: u8) -> Did {
        Did::from_key([byte; 32])
    }

    #[test]
    fn a_tenant_pays_for_long_decisions_by_waiting() {
        let (debts, now, slow, quick) = (Debts::default(), clock::instant(), tenant(1), tenant(2));
        for _ in 0..100_000 {
            assert!(!debts.charge(quick, FREE, now));
        }
        assert!(!debts.charge(slow, 600 * MS, now), "one may be the machine's fault");
        assert_eq!(debts.wait(&slow, now), None);
        assert!(debts.charge(slow, 600 * MS, now));
        // 2 times 590 ms, less a second.
        assert_eq!(debts.wait(&slow, now), Some(18_000 * MS));
        assert_eq!(debts.wait(&slow, now + 8_000 * MS), Some(10_000 * MS));
        assert_eq!(debts.wait(&slow, now + 18_000 * MS), None);
        assert_eq!(debts.wait(&quick, now), None);
    }

    #[test]
    fn who_owes_nothing_is_forgotten() {
        let (debts, now) = (Debts::default(), clock::instant());
        for byte in 0..10 {
            debts.charge(tenant(byte), 110 * MS, now);
        }
        debts.charge(tenant(11), 110 * MS, now + 9_999 * MS);
        assert_eq!(debts.0.lock().unwrap().len(), 11);
        debts.charge(tenant(11), 110 * MS, now + 10_000 * MS);
        assert_eq!(debts.0.lock().unwrap().len(), 1);
    }

    /// However many decisions of a second a tenant asks for, it takes a hundredth of the time.
    #[test]
    fn a_slow_tenant_takes_a_hundredth_of_the_time() {
        let (debts, begin, slow) = (Debts::default(), clock::instant(), tenant(1));
        let (mut now, mut taken) = (begin, Duration::ZERO);
        while now < begin + 100_000 * MS {
            if let Some(wait) = debts.wait(&slow, now) {
                now += wait;
                continue;
            }
            now += 1_000 * MS;
            taken += 1_000 * MS;
            debts.charge(slow, 1_000 * MS, now);
        }
        assert!(taken <= 4_000 * MS, "{taken:?} of 100 s");
    }
}
