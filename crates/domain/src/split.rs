use serde::{Deserialize, Serialize};

/// 10,000 basis points are the whole.
pub const FULL_BPS: u16 = 10_000;

/// A share of a whole in basis points, 1 ..= 10,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct Bps(u16);

/// Shares do not divide a total.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    /// A share outside 1 ..= 10,000.
    #[error("a share is 1 to 10000 basis points")]
    OutOfRange,
    /// The shares do not sum to 10,000.
    #[error("shares sum to {0} basis points, not 10000")]
    Sum(u32),
}

impl Bps {
    /// The share of `bps` basis points.
    pub const fn new(bps: u16) -> Result<Self, SplitError> {
        match bps {
            1..=FULL_BPS => Ok(Self(bps)),
            _ => Err(SplitError::OutOfRange),
        }
    }

    /// The number of basis points.
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl TryFrom<u16> for Bps {
    type Error = SplitError;

    fn try_from(n: u16) -> Result<Self, Self::Error> {
        Self::new(n)
    }
}

impl From<Bps> for u16 {
    fn from(b: Bps) -> Self {
        b.0
    }
}

/// Divides `total` minor units by `shares`: each part is the floor of its exact share, and the units left over go one
/// each to the parts with the largest remainders, earlier parts first on a tie. The parts always sum to `total`.
pub fn largest_remainder(total: u64, shares: &[Bps]) -> Result<Vec<u64>, SplitError> {
    let sum: u32 = shares.iter().map(|s| u32::from(s.0)).fold(0, u32::saturating_add);
    if sum != u32::from(FULL_BPS) {
        return Err(SplitError::Sum(sum));
    }
    let exact = |s: &Bps| u128::from(total).saturating_mul(u128::from(s.0));
    let full = u128::from(FULL_BPS);
    let floor = |s: &Bps| u64::try_from(exact(s).checked_div(full).unwrap_or(0)).unwrap_or(0);
    let mut parts: Vec<u64> = shares.iter().map(floor).collect();
    let mut left = total.saturating_sub(parts.iter().fold(0, |a, b| a.saturating_add(*b)));

    let remainder = |s: &Bps| exact(s).checked_rem(full).unwrap_or(0);
    let mut order: Vec<(u128, &mut u64)> = shares.iter().map(remainder).zip(parts.iter_mut()).collect();
    order.sort_by_key(|(remainder, _)| std::cmp::Reverse(*remainder));
    for (_, part) in order {
        if left == 0 {
            break;
        }
        *part = part.saturating_add(1);
        left = left.saturating_sub(1);
    }
    Ok(parts)
}
