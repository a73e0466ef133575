use domain::Cid;
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// More than are carried at once are not remembered; the one whose hold-off ends first is forgotten.
const REMEMBERED: usize = 8_192;

/// How patience grows with failures.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Steps {
    /// Failures that are taken for accidents, such as a block with another order of transactions. The last of them is
    /// followed by the first hold-off.
    forgiven: u32,
    /// The first hold-off; each is twice as long as the one before.
    first: Duration,
    /// The longest.
    longest: Duration,
}

/// Payouts that keep failing at the relayer's cost. The first hold-off is until the next sweep of everything that is
/// open. Intents live for less than a day, so that one costs the gas of a dozen attempts at most.
pub(crate) const PAYOUTS: Steps =
    Steps { forgiven: 3, first: Duration::from_mins(1), longest: Duration::from_hours(4) };
/// Changes of escrow contracts that cannot be signed or sent. They cost signatures and no gas, and people wait for them.
pub(crate) const ADMINISTRATIONS: Steps =
    Steps { forgiven: 1, first: Duration::from_secs(30), longest: Duration::from_mins(10) };

/// What keeps failing although it was simulated well, or is refused by signers or contract. A recipient can arrange that,
/// and every failure costs the gas wallet or the signers, so that each is tried less and less often. Forgotten with the
/// process.
#[derive(Debug)]
pub(crate) struct HoldOff<Id = Cid> {
    steps: Steps,
    failures: Mutex<BTreeMap<Id, Failures>>,
}

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    until: Instant,
}

impl<Id: Copy + Ord> HoldOff<Id> {
    pub(crate) const fn new(steps: Steps) -> Self {
        Self { steps, failures: Mutex::new(BTreeMap::new()) }
    }

    /// Whether it is to be left alone at this moment.
    pub(crate) fn holds(&self, id: &Id, now: Instant) -> bool {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.get(id).is_some_and(|f| now < f.until)
    }

    /// One more attempt failed.
    pub(crate) fn failed(&self, id: Id, now: Instant) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= REMEMBERED && !failures.contains_key(&id) {
            let first = failures.iter().min_by_key(|(_, f)| f.until).map(|(id, _)| *id);
            first.and_then(|id| failures.remove(&id));
        }
        let entry = failures.entry(id).or_insert(Failures { count: 0, until: now });
        entry.count = entry.count.saturating_add(1);
        if let Some(doublings) = entry.count.checked_sub(self.steps.forgiven) {
            let hold = self.steps.first.saturating_mul(2_u32.saturating_pow(doublings)).min(self.steps.longest);
            entry.until = now.checked_add(hold).unwrap_or(now);
        }
    }

    /// Something happened that may let them go on: each may be tried once more at once.
    pub(crate) fn relent(&self, now: Instant) {
        for failures in self.failures.lock().unwrap_or_else(PoisonError::into_inner).values_mut() {
            failures.until = failures.until.min(now);
        }
    }

    /// It is settled.
    pub(crate) fn forget(&self, id: &Id) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payout_that_keeps_failing_is_tried_a_dozen_times_a_day() {
        let (hold_off, id, start) = (HoldOff::new(PAYOUTS), Cid::of(b"intent"), Instant::now());
        let (mut now, mut tries) = (start, 0);
        while now < start + Duration::from_hours(24) {
            if !hold_off.holds(&id, now) {
                tries += 1;
                hold_off.failed(id, now);
                assert_eq!(hold_off.holds(&id, now), tries >= 3, "two failures are forgiven");
            }
            now += Duration::from_secs(30);
        }
        assert!((10..=20).contains(&tries), "{tries}");
        assert!(!hold_off.holds(&Cid::of(b"another"), now));
        hold_off.forget(&id);
        assert!(!hold_off.holds(&id, now));
    }

    #[test]
    fn a_change_that_keeps_failing_is_tried_every_ten_minutes_and_when_something_happens() {
        let (hold_off, id, start) = (HoldOff::new(ADMINISTRATIONS), 7, Instant::now());
        let (mut now, mut tries) = (start, Vec::new());
        while now < start + Duration::from_hours(1) {
            if !hold_off.holds(&id, now) {
                tries.push(now.duration_since(start).as_secs());
                hold_off.failed(id, now);
            }
            now += Duration::from_secs(15);
        }
        assert_eq!(tries, [0, 30, 90, 210, 450, 930, 1_530, 2_130, 2_730, 3_330]);
        assert!(hold_off.holds(&id, now));
        hold_off.relent(now);
        assert!(!hold_off.holds(&id, now));
        hold_off.failed(id, now);
        assert!(hold_off.holds(&id, now + Duration::from_secs(599)), "its failures are not forgotten");
        assert!(!hold_off.holds(&id, now + Duration::from_mins(10)));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (hold_off, now) = (HoldOff::new(PAYOUTS), Instant::now());
        for n in 0..=u32::try_from(REMEMBERED).unwrap() {
            hold_off.failed(Cid::of(&n.to_be_bytes()), now);
        }
        assert_eq!(hold_off.failures.lock().unwrap().len(), REMEMBERED);
    }
}
