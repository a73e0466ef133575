use ipld_core::ipld::Ipld;
use std::cmp::Ordering;

/// 2^127: every finite float of smaller magnitude truncates to an `i128` without loss.
const I128_BOUND: f64 = 170_141_183_460_469_231_731_687_303_715_884_105_728.0;

/// An IPLD number. Comparison is exact across integers and floats: nothing is rounded on the way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    Integer(i128),
    Float(f64),
}

impl Number {
    /// The number in `value`, `None` for every other kind and for NaN.
    pub(super) fn of(value: &Ipld) -> Option<Self> {
        match value {
            Ipld::Integer(n) => Some(Self::Integer(*n)),
            Ipld::Float(x) if !x.is_nan() => Some(Self::Float(*x)),
            _ => None,
        }
    }

    /// The order of two numbers by value; `None` only with NaN.
    pub(super) fn compare(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => Some(a.cmp(&b)),
            (Self::Float(a), Self::Float(b)) => a.partial_cmp(&b),
            (Self::Integer(a), Self::Float(b)) => integer_with_float(a, b),
            (Self::Float(a), Self::Integer(b)) => integer_with_float(b, a).map(Ordering::reverse),
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "|x| < 2^127 and integral: the cast is exact")]
fn integer_with_float(n: i128, x: f64) -> Option<Ordering> {
    if x.is_nan() {
        return None;
    }
    if x >= I128_BOUND {
        return Some(Ordering::Less);
    }
    if x < -I128_BOUND {
        return Some(Ordering::Greater);
    }
    let whole = x.trunc();
    Some(n.cmp(&(whole as i128)).then_with(|| whole.total_cmp(&x)))
}
