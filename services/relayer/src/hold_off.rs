use domain::Cid;
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// Failures at the relayer's cost that are taken for accidents, such as a block with another order of transactions.
const FORGIVEN: u32 = 3;
/// The first hold-off: until the next sweep of everything that is open.
const FIRST: Duration = Duration::from_mins(1);
/// The longest. Intents live for less than a day, so that one costs the gas of a dozen attempts at most.
const LONGEST: Duration = Duration::from_hours(4);
/// More intents than are carried at once are not remembered; the one whose hold-off ends first is forgotten.
const REMEMBERED: usize = 8_192;

/// Intents whose payout keeps failing although it was simulated well. A recipient can arrange that, and every failure
/// costs the gas wallet and the signers, so that each is tried less and less often. Forgotten with the process.
#[derive(Debug, Default)]
pub(crate) struct HoldOff {
    failures: Mutex<BTreeMap<Cid, Failures>>,
}

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    until: Instant,
}

impl HoldOff {
    /// Whether the intent is to be left alone at this moment.
    pub(crate) fn holds(&self, id: &Cid, now: Instant) -> bool {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.get(id).is_some_and(|f| now < f.until)
    }

    /// One more attempt failed.
    pub(crate) fn failed(&self, id: Cid, now: Instant) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= REMEMBERED && !failures.contains_key(&id) {
            let first = failures.iter().min_by_key(|(_, f)| f.until).map(|(id, _)| *id);
            first.and_then(|id| failures.remove(&id));
        }
        let entry = failures.entry(id).or_insert(Failures { count: 0, until: now });
        entry.count = entry.count.saturating_add(1);
        if let Some(doublings) = entry.count.checked_sub(FORGIVEN) {
            let hold = FIRST.saturating_mul(2_u32.saturating_pow(doublings)).min(LONGEST);
            entry.until = now.checked_add(hold).unwrap_or(now);
        }
    }

    /// It is settled.
    pub(crate) fn forget(&self, id: &Cid) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payout_that_keeps_failing_is_tried_a_dozen_times_a_day() {
        let (hold_off, id, start) = (HoldOff::default(), Cid::of(b"intent"), Instant::now());
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
    fn what_is_remembered_is_bounded() {
        let (hold_off, now) = (HoldOff::default(), Instant::now());
        for n in 0..=u32::try_from(REMEMBERED).unwrap() {
            hold_off.failed(Cid::of(&n.to_be_bytes()), now);
        }
        assert_eq!(hold_off.failures.lock().unwrap().len(), REMEMBERED);
    }
}
