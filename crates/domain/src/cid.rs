use crate::Digest;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// CIDv1, codec dag-cbor (0x71), multihash sha2-256 (0x12) of 32 bytes: the only kind of CID in the system.
const PREFIX: [u8; 4] = [0x01, 0x71, 0x12, 0x20];

/// The content identifier of a DAG-CBOR block: CIDv1, dag-cbor, sha2-256. Text form is multibase base32 (`bafyrei…`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cid(Digest);

/// A text or byte string is not a CIDv1 of a DAG-CBOR block under SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a CIDv1 (base32, dag-cbor, sha2-256) such as bafyrei…")]
pub struct ParseCidError;

impl Cid {
    /// The CID of a DAG-CBOR block.
    pub fn of(block: &[u8]) -> Self {
        Self(Digest::sha256(block))
    }

    /// The CID whose multihash digest is `digest`.
    pub const fn from_digest(digest: Digest) -> Self {
        Self(digest)
    }

    /// The SHA-256 digest inside this CID; for an invocation, the intent id on chain.
    pub const fn digest(&self) -> &Digest {
        &self.0
    }

    /// The 36 binary bytes of this CID.
    pub fn to_bytes(self) -> Vec<u8> {
        [PREFIX.as_slice(), self.0.as_bytes()].concat()
    }

    /// Parses the 36 binary bytes of a CID.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ParseCidError> {
        let digest = bytes.strip_prefix(&PREFIX).ok_or(ParseCidError)?;
        digest.try_into().map(|d| Self(Digest::from_bytes(d))).map_err(|_| ParseCidError)
    }
}

impl fmt::Display for Cid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = data_encoding::BASE32_NOPAD.encode(&self.to_bytes());
        text.make_ascii_lowercase();
        write!(f, "b{text}")
    }
}

impl fmt::Debug for Cid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Cid {
    type Err = ParseCidError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let text = s.strip_prefix('b').filter(|t| t.len() == 58).ok_or(ParseCidError)?;
        if text.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(ParseCidError);
        }
        let bytes =
            data_encoding::BASE32_NOPAD.decode(text.to_ascii_uppercase().as_bytes()).map_err(|_| ParseCidError)?;
        Self::from_bytes(&bytes)
    }
}

impl TryFrom<String> for Cid {
    type Error = ParseCidError;

    fn try_from(s: String) -> Result<Self, Self::Error> {
        s.parse()
    }
}

impl From<Cid> for String {
    fn from(c: Cid) -> Self {
        c.to_string()
    }
}
