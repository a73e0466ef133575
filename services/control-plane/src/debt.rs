//! Tenants and plugins whose decisions take long wait for it themselves. A decision takes some ten microseconds, and a policy
//! made to take long can take seconds of the one thread that decides for everybody. So what decisions compute is timed, here
//! and nowhere else: what is not admitted for it is in no log, and whoever follows one decides without a clock.
//!
//! There are two accounts for each decision. The installation's keeps one plugin from using up its tenant's, for what
//! it may make costly itself, its own delegations. The tenant's holds whatever it installs.

use domain::Did;
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// A decision that takes no longer than this costs nothing: about the time in which the widest payout is decided by a policy
/// some times as long as the default one, on a slow machine.
const FREE: Duration = Duration::from_millis(1);
/// So much may be owed before anybody waits: a host that is short of cores may count its own pauses.
const CREDIT: Duration = Duration::from_secs(1);

/// Who pays for a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Account {
    /// An installation of a tenant.
    Installation { tenant: Did, installation: Did },
    /// A tenant, for all of its installations.
    Tenant(Did),
}

impl Account {
    /// What is owed is paid off by waiting this many times as long: an installation takes a tenth of the thread beyond what
    /// is free, a tenant a quarter.
    const fn wait(self) -> u32 {
        match self {
            Self::Installation { .. } => 10,
            Self::Tenant(_) => 4,
        }
    }
}

/// What is owed for the time that decisions took.
#[derive(Debug, Default)]
pub(crate) struct Debts(Mutex<HashMap<Account, Debt>>);

#[derive(Clone, Copy, Debug)]
struct Debt {
    owed: Duration,
    at: Instant,
}

impl Debt {
    fn left(self, account: Account, now: Instant) -> Duration {
        let paid = now.saturating_duration_since(self.at).checked_div(account.wait()).unwrap_or_default();
        self.owed.saturating_sub(paid)
    }
}

impl Debts {
    /// How long to wait until all of `accounts` are asked again, if at all.
    pub fn wait(&self, accounts: &[Account], now: Instant) -> Option<Duration> {
        let debts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = |account: &Account| {
            let above = debts.get(account)?.left(*account, now).saturating_sub(CREDIT);
            (!above.is_zero()).then(|| above.saturating_mul(account.wait()))
        };
        accounts.iter().filter_map(wait).max()
    }

    /// Adds what a decision took until `now` to each of `accounts`; true when one has to wait from now on.
    pub fn charge(&self, accounts: &[Account], taken: Duration, now: Instant) -> bool {
        let above = taken.saturating_sub(FREE);
        if above.is_zero() {
            return false;
        }
        let mut debts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        debts.retain(|account, debt| !debt.left(*account, now).is_zero());
        let mut add = |account: &Account| {
            let left = debts.get(account).map_or(Duration::ZERO, |debt| debt.left(*account, now));
            let owed = left.saturating_add(above);
            debts.insert(*account, Debt { owed, at: now });
            owed > CREDIT
        };
        accounts.iter().filter(|account| add(account)).count() > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    const MS: Duration = Duration::from_millis(1);

    fn did(byte: u8) -> Did {
        Did::from_key([byte; 32])
    }

    fn tenant(byte: u8) -> [Account; 1] {
        [Account::Tenant(did(byte))]
    }

    fn plugin(tenant: u8, installation: u8) -> [Account; 2] {
        let (tenant, installation) = (did(tenant), did(installation));
        [Account::Installation { tenant, installation }, Account::Tenant(tenant)]
    }

    #[test]
    fn a_tenant_pays_for_long_decisions_by_waiting() {
        let (debts, now, slow, quick) = (Debts::default(), clock::instant(), tenant(1), tenant(2));
        for _ in 0..100_000 {
            assert!(!debts.charge(&quick, FREE, now));
        }
        assert!(!debts.charge(&slow, 601 * MS, now), "one may be the machine's fault");
        assert_eq!(debts.wait(&slow, now), None);
        assert!(debts.charge(&slow, 601 * MS, now));
        // 2 times 600 ms, less a second.
        assert_eq!(debts.wait(&slow, now), Some(800 * MS));
        assert_eq!(debts.wait(&slow, now + 500 * MS), Some(300 * MS));
        assert_eq!(debts.wait(&slow, now + 800 * MS), None);
        assert_eq!(debts.wait(&quick, now), None);
    }

    #[test]
    fn one_plugin_waits_and_the_others_of_its_tenant_do_not() {
        let (debts, mut now, slow, other) = (Debts::default(), clock::instant(), plugin(1, 2), plugin(1, 3));
        for _ in 0..100 {
            if let Some(wait) = debts.wait(&slow, now) {
                now += wait;
            }
            now += 51 * MS;
            debts.charge(&slow, 51 * MS, now);
            assert_eq!(debts.wait(&other, now), None);
        }
        assert!(debts.wait(&slow, now).is_some());
    }

    #[test]
    fn who_owes_nothing_is_forgotten() {
        let (debts, now) = (Debts::default(), clock::instant());
        for byte in 0..10 {
            debts.charge(&tenant(byte), 101 * MS, now);
        }
        debts.charge(&tenant(11), 101 * MS, now + 399 * MS);
        assert_eq!(debts.0.lock().unwrap().len(), 11);
        debts.charge(&tenant(11), 101 * MS, now + 400 * MS);
        assert_eq!(debts.0.lock().unwrap().len(), 1);
    }

    /// However many decisions of a second are asked for, and by however many installations.
    #[test]
    fn a_slow_tenant_takes_a_quarter_of_the_time() {
        let (debts, begin) = (Debts::default(), clock::instant());
        let (mut now, mut taken) = (begin, Duration::ZERO);
        while now < begin + 100_000 * MS {
            let free = (0..50).map(|n| plugin(1, n)).find(|accounts| debts.wait(accounts, now).is_none());
            let Some(accounts) = free else {
                now += 10 * MS;
                continue;
            };
            now += 1_000 * MS;
            taken += 1_000 * MS;
            debts.charge(&accounts, 1_000 * MS, now);
        }
        assert!((18_000 * MS..=28_000 * MS).contains(&taken), "{taken:?} of 100 s");
    }
}
