use serde::{Deserialize, Serialize};
use std::fmt;

/// The largest amount in minor units: 2^53 − 1, the largest integer that every JSON reader keeps exactly.
pub const MAX_AMOUNT: u64 = (1 << 53) - 1;

/// A positive amount in an asset's minor units, 1 ..= 2^53 − 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Amount(u64);

/// A number is not an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseAmountError {
    /// Zero is not an amount.
    #[error("an amount is at least 1 minor unit")]
    Zero,
    /// Above [`MAX_AMOUNT`].
    #[error("an amount is at most 2^53-1 minor units")]
    TooLarge,
}

impl Amount {
    /// The amount of `minor_units`.
    pub const fn new(minor_units: u64) -> Result<Self, ParseAmountError> {
        match minor_units {
            0 => Err(ParseAmountError::Zero),
            1..=MAX_AMOUNT => Ok(Self(minor_units)),
            _ => Err(ParseAmountError::TooLarge),
        }
    }

    /// The number of minor units.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// This amount in the chain's smallest unit. Never overflows: 2^53 × 10^18 < 2^128.
    pub const fn to_chain(self, scale: Scale) -> ChainAmount {
        ChainAmount((self.0 as u128).saturating_mul(scale.factor()))
    }
}

impl TryFrom<u64> for Amount {
    type Error = ParseAmountError;

    fn try_from(n: u64) -> Result<Self, Self::Error> {
        Self::new(n)
    }
}

impl From<Amount> for u64 {
    fn from(a: Amount) -> Self {
        a.0
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A sum of amounts in minor units, 0 ..= 2^53 − 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Total(u64);

impl Total {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// The number of minor units.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// This total in the chain's smallest unit. Never overflows, as [`Amount::to_chain`].
    pub const fn to_chain(self, scale: Scale) -> ChainAmount {
        ChainAmount((self.0 as u128).saturating_mul(scale.factor()))
    }

    /// This total and `amount` together; `None` above [`MAX_AMOUNT`].
    #[must_use]
    pub const fn plus(self, amount: Amount) -> Option<Self> {
        match self.0.checked_add(amount.0) {
            Some(n) if n <= MAX_AMOUNT => Some(Self(n)),
            _ => None,
        }
    }

    /// This total without `amount`; `None` when it holds less.
    #[must_use]
    pub const fn minus(self, amount: Amount) -> Option<Self> {
        match self.0.checked_sub(amount.0) {
            Some(n) => Some(Self(n)),
            None => None,
        }
    }
}

impl TryFrom<u64> for Total {
    type Error = ParseAmountError;

    fn try_from(n: u64) -> Result<Self, Self::Error> {
        if n <= MAX_AMOUNT { Ok(Self(n)) } else { Err(ParseAmountError::TooLarge) }
    }
}

impl From<Total> for u64 {
    fn from(t: Total) -> Self {
        t.0
    }
}

impl From<Amount> for Total {
    fn from(a: Amount) -> Self {
        Self(a.0)
    }
}

/// How many chain units one minor unit is: 10^exponent, exponent 0 ..= 18 (USDC 0, ETH counted in gwei 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Scale(u8);

impl Scale {
    /// 10^exponent.
    pub const fn factor(self) -> u128 {
        10_u128.saturating_pow(self.0 as u32)
    }
}

impl TryFrom<u8> for Scale {
    type Error = ParseAmountError;

    fn try_from(exponent: u8) -> Result<Self, Self::Error> {
        if exponent <= 18 { Ok(Self(exponent)) } else { Err(ParseAmountError::TooLarge) }
    }
}

impl From<Scale> for u8 {
    fn from(s: Scale) -> Self {
        s.0
    }
}

/// An amount in the chain's smallest unit (wei, token base unit), as the contract sees it. JSON and CBOR: decimal text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ChainAmount(u128);

impl ChainAmount {
    /// The number of chain units.
    pub const fn get(self) -> u128 {
        self.0
    }
}

impl TryFrom<String> for ChainAmount {
    type Error = std::num::ParseIntError;

    fn try_from(s: String) -> Result<Self, Self::Error> {
        s.parse().map(Self)
    }
}

impl From<ChainAmount> for String {
    fn from(a: ChainAmount) -> Self {
        a.0.to_string()
    }
}
