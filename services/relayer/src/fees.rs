/// A node replaces a pending transaction only when both fees rise by at least a tenth; an eighth leaves room to round.
const BUMP_DIVISOR: u128 = 8;

/// Fees of an EIP-1559 transaction in wei per gas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fees {
    /// The most that is paid in all.
    pub max: u128,
    /// What the block's proposer gets of it.
    pub priority: u128,
}

impl Fees {
    /// Fees that replace a transaction with `self`, at least what the market asks now. `None` when that would be more
    /// than `limit`: then waiting is all that is left.
    pub(crate) fn replacing(self, market: Self, limit: u128) -> Option<Self> {
        let bump = |fee: u128| fee.saturating_add(fee.div_euclid(BUMP_DIVISOR)).saturating_add(1);
        let max = bump(self.max).max(market.max);
        let priority = bump(self.priority).max(market.priority);
        (max <= limit).then_some(Self { max, priority: priority.min(max) })
    }

    /// Fees that still suffice when the market asks four times as much: what fills a gap is never replaced.
    pub(crate) const fn ample(self) -> Self {
        Self { max: self.max.saturating_mul(4), priority: self.priority }
    }

    /// These fees, lowered to the limit.
    pub(crate) fn within(self, limit: u128) -> Self {
        let max = self.max.min(limit);
        Self { max, priority: self.priority.min(max) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn fees(max: u128, priority: u128) -> Fees {
        Fees { max, priority }
    }

    #[test]
    fn a_replacement_pays_a_tenth_more_or_the_market_price() {
        for old in [fees(1, 0), fees(1_000, 10), fees(30_000_000_000, 1)] {
            let new = old.replacing(fees(0, 0), u128::MAX).unwrap();
            assert!(new.max * 10 >= old.max * 11 && new.max > old.max);
            assert!(new.priority * 10 >= old.priority * 11 && new.priority > old.priority);
        }
        assert_eq!(fees(100, 10).replacing(fees(500, 50), 1_000), Some(fees(500, 50)));
    }

    #[test]
    fn the_limit_holds() {
        assert_eq!(fees(1_000, 1).replacing(fees(0, 0), 1_000), None);
        assert_eq!(fees(2_000, 1_500).within(1_000), fees(1_000, 1_000));
        assert!(fees(u128::MAX, u128::MAX).replacing(fees(0, 0), u128::MAX).is_some());
    }
}
