use std::num::NonZeroU64;

/// Says when something long has come far enough to be told again. It goes by counts: nothing here knows time.
#[derive(Clone, Copy, Debug)]
pub struct Milestones {
    every: NonZeroU64,
    next: u64,
}

impl Milestones {
    /// Entries between two milestones of a replay: about a second of work, so a log that takes less is not talked about.
    pub const ENTRIES: NonZeroU64 = NonZeroU64::MIN.saturating_add(9_999);

    /// A milestone after each `every` that are done.
    pub const fn every(every: NonZeroU64) -> Self {
        Self { every, next: every.get() }
    }

    /// Whether `done`, a count that only grows, has reached a milestone since it was asked last.
    pub fn reached(&mut self, done: u64) -> bool {
        if done < self.next {
            return false;
        }
        let passed = done.checked_div(self.every.get()).unwrap_or_default();
        self.next = passed.saturating_add(1).saturating_mul(self.every.get());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reached(every: u64, counts: impl IntoIterator<Item = u64>) -> Vec<u64> {
        let mut milestones = Milestones::every(NonZeroU64::new(every).unwrap());
        counts.into_iter().filter(|count| milestones.reached(*count)).collect()
    }

    #[test]
    fn each_milestone_is_told_once() {
        assert_eq!(reached(3, 0..=10), [3, 6, 9]);
        assert_eq!(reached(1, 0..=3), [1, 2, 3]);
        assert_eq!(reached(3, [0, 1, 2]), [0_u64; 0]);
        // Steps that pass several are told once, and the next one counts from there.
        assert_eq!(reached(3, [2, 8, 8, 9, 100, 101, 102]), [8, 9, 100, 102]);
        assert_eq!(reached(u64::MAX, [1, u64::MAX - 1, u64::MAX]), [u64::MAX]);
    }

    #[test]
    fn a_million_entries_are_told_in_a_hundred_lines() {
        assert_eq!(reached(Milestones::ENTRIES.get(), 0..=1_000_000).len(), 100);
    }
}
