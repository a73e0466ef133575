use serde::{Deserialize, Serialize, Serializer};
use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    str::FromStr,
};

/// multicodec `ed25519-pub` as an unsigned varint.
const ED25519_PUB: [u8; 2] = [0xed, 0x01];
/// What every `did:key` in base58btc begins with.
const PREFIX: &str = "did:key:z";
/// base58btc of 34 bytes that begin `ed 01` is always 47 characters; the bound stops quadratic base58 work.
const KEY_TEXT_LEN: usize = 47;
/// The whole text.
const TEXT_LEN: usize = PREFIX.len() + KEY_TEXT_LEN;

/// An Ed25519 `did:key`. Equality is equality of keys: one key has exactly one accepted spelling.
///
/// Holding a `Did` says that the text was well-formed, not that the bytes are a point on the curve; `ucan` checks that
/// when it verifies a signature.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub struct Did {
    key: [u8; 32],
    /// Kept beside the key, because base58 costs more than all else that is done with most DIDs.
    text: [u8; TEXT_LEN],
}

/// A text is not a canonical Ed25519 `did:key`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an Ed25519 did:key (did:key:z6Mk…)")]
pub struct ParseDidError;

impl Did {
    /// The DID of an Ed25519 public key.
    pub fn from_key(key: [u8; 32]) -> Self {
        let mut bytes = [0; ED25519_PUB.len() + 32];
        bytes[..2].copy_from_slice(&ED25519_PUB);
        bytes[2..].copy_from_slice(&key);
        let mut text = [0; TEXT_LEN];
        let (prefix, encoded) = text.split_at_mut(PREFIX.len());
        prefix.copy_from_slice(PREFIX.as_bytes());
        // The bytes have one length and one beginning, so the text has one length.
        let written = bs58::encode(bytes).onto(encoded);
        debug_assert_eq!(written, Ok(KEY_TEXT_LEN), "34 bytes that begin ed 01");
        Self { key, text }
    }

    /// The Ed25519 public key.
    pub const fn key(&self) -> &[u8; 32] {
        &self.key
    }

    /// The text: `did:key:z6Mk…`.
    pub fn as_str(&self) -> &str {
        // Only base58 is ever written to it.
        std::str::from_utf8(&self.text).unwrap_or_default()
    }
}

impl PartialEq for Did {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Did {}

impl PartialOrd for Did {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Did {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key.cmp(&other.key)
    }
}

impl Hash for Did {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

impl Serialize for Did {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl fmt::Display for Did {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
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
        let text: [u8; TEXT_LEN] = s.as_bytes().try_into().map_err(|_| ParseDidError)?;
        let encoded = s.strip_prefix(PREFIX).ok_or(ParseDidError)?;
        let mut bytes = [0; ED25519_PUB.len() + 32];
        // Text of this length that decodes to these many bytes is the only text that does.
        if bs58::decode(encoded).onto(&mut bytes) != Ok(bytes.len()) {
            return Err(ParseDidError);
        }
        let key = bytes.strip_prefix(&ED25519_PUB).ok_or(ParseDidError)?;
        Ok(Self { key: key.try_into().map_err(|_| ParseDidError)?, text })
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
        d.as_str().to_owned()
    }
}
