use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// multicodec `ed25519-pub` as an unsigned varint.
const ED25519_PUB: [u8; 2] = [0xed, 0x01];
/// `z` + base58btc of 34 bytes that begin `ed 01` is always 48 characters; the bound stops quadratic base58 work.
const KEY_TEXT_LEN: usize = 47;

/// An Ed25519 `did:key`. Equality is equality of keys: one key has exactly one accepted spelling.
///
/// Holding a `Did` says that the text was well-formed, not that the bytes are a point on the curve; `ucan` checks that
/// when it verifies a signature.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Did([u8; 32]);

/// A text is not a canonical Ed25519 `did:key`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an Ed25519 did:key (did:key:z6Mk…)")]
pub struct ParseDidError;

impl Did {
    /// The DID of an Ed25519 public key.
    pub const fn from_key(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// The Ed25519 public key.
    pub const fn key(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Did {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [ED25519_PUB.as_slice(), &self.0].concat();
        write!(f, "did:key:z{}", bs58::encode(bytes).into_string())
    }
}

impl fmt::Debug for Did {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Did {
    type Err = ParseDidError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let text = s.strip_prefix("did:key:z").filter(|t| t.len() == KEY_TEXT_LEN).ok_or(ParseDidError)?;
        let bytes = bs58::decode(text).into_vec().map_err(|_| ParseDidError)?;
        let key = bytes.strip_prefix(&ED25519_PUB).ok_or(ParseDidError)?;
        key.try_into().map(Self).map_err(|_| ParseDidError)
    }
}

impl TryFrom<String> for Did {
    type Error = ParseDidError;

    fn try_from(s: String) -> Result<Self, Self::Error> {
        s.parse()
    }
}

impl From<Did> for String {
    fn from(d: Did) -> Self {
        d.to_string()
    }
}
