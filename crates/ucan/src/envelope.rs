//! The UCAN envelope: DAG-CBOR `[signature, {"h": varsig header, "ucan/<kind>@<version>": payload}]`, signed over the
//! bytes of the inner map.

use crate::{Error, cbor};
use domain::Did;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use ipld_core::ipld::Ipld;
use std::collections::BTreeMap;

/// Largest token in bytes; the largest statement of the catalogue is far below it.
pub const MAX_TOKEN_BYTES: usize = 64 * 1024;

/// varsig v1 header: version 1, EdDSA over edwards25519 with SHA-512, payload encoded as DAG-CBOR.
const VARSIG: [u8; 8] = [0x34, 0x01, 0xed, 0x01, 0xed, 0x01, 0x13, 0x71];
/// A list of two whose first item is a byte string of 64 bytes: how every canonical envelope begins.
const PREFIX: [u8; 3] = [0x82, 0x58, 0x40];

/// Which of the two live spellings of the payload tag a token carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// `1.0.0`.
    V1,
    /// `1.0.0-rc.1`, the one that every published reader understands and that this crate emits.
    V1Rc1,
}

/// Whether a token passes on authority or uses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Delegation,
    Invocation,
}

const TAGS: [(&str, Kind, Version); 4] = [
    ("ucan/dlg@1.0.0", Kind::Delegation, Version::V1),
    ("ucan/dlg@1.0.0-rc.1", Kind::Delegation, Version::V1Rc1),
    ("ucan/inv@1.0.0", Kind::Invocation, Version::V1),
    ("ucan/inv@1.0.0-rc.1", Kind::Invocation, Version::V1Rc1),
];

impl Version {
    /// The version as written in the tag.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V1 => "1.0.0",
            Self::V1Rc1 => "1.0.0-rc.1",
        }
    }
}

/// A canonical envelope whose signature has not been looked at.
pub(crate) struct Envelope {
    pub(crate) kind: Kind,
    pub(crate) version: Version,
    pub(crate) payload: BTreeMap<String, Ipld>,
}

impl Envelope {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > MAX_TOKEN_BYTES {
            return Err(Error::TooLarge("token bytes"));
        }
        let Ipld::List(parts) = cbor::decode(bytes)? else { return Err(Error::Malformed("envelope is not a list")) };
        let Ok([Ipld::Bytes(_), Ipld::Map(mut inner)]) = <[Ipld; 2]>::try_from(parts) else {
            return Err(Error::Malformed("envelope is not [signature, payload]"));
        };
        split(bytes)?;
        if inner.remove("h") != Some(Ipld::Bytes(VARSIG.to_vec())) {
            return Err(Error::Malformed("varsig header is not Ed25519 over DAG-CBOR"));
        }
        let Some((tag, payload)) = inner.pop_first().filter(|_| inner.is_empty()) else {
            return Err(Error::Malformed("envelope payload"));
        };
        let (_, kind, version) =
            TAGS.into_iter().find(|(name, ..)| *name == tag).ok_or(Error::Malformed("payload tag"))?;
        let Ipld::Map(payload) = payload else { return Err(Error::Malformed("payload is not a map")) };
        Ok(Self { kind, version, payload })
    }
}

/// The signature of a canonical envelope, and the signed map: exactly what follows it.
fn split(bytes: &[u8]) -> Result<(&[u8; 64], &[u8]), Error> {
    let rest = bytes.strip_prefix(&PREFIX).ok_or(Error::InvalidSignature)?;
    rest.split_first_chunk().ok_or(Error::InvalidSignature)
}

/// Checks the signature of a parsed envelope strictly (RFC 8032 with canonical scalars and no small-order points) under
/// `issuer`.
pub(crate) fn verify(bytes: &[u8], issuer: &Did) -> Result<(), Error> {
    let (signature, signed) = split(bytes)?;
    verifying_key(issuer)?.verify_strict(signed, &Signature::from_bytes(signature)).map_err(|_| Error::InvalidSignature)
}

/// Signs `payload` with the tag that every published reader understands.
pub(crate) fn seal(key: &SigningKey, kind: Kind, payload: BTreeMap<String, Ipld>) -> Result<Vec<u8>, Error> {
    let tag = match kind {
        Kind::Delegation => "ucan/dlg@1.0.0-rc.1",
        Kind::Invocation => "ucan/inv@1.0.0-rc.1",
    };
    let inner = BTreeMap::from([("h".to_owned(), Ipld::Bytes(VARSIG.to_vec())), (tag.to_owned(), Ipld::Map(payload))]);
    let signed = cbor::encode(&Ipld::Map(inner))?;
    let signature = key.sign(&signed).to_bytes();
    Ok([PREFIX.as_slice(), &signature, &signed].concat())
}

/// The key of a DID, when it is a canonical curve point that is not of small order.
fn verifying_key(did: &Did) -> Result<VerifyingKey, Error> {
    let key = VerifyingKey::from_bytes(did.key()).map_err(|_| Error::WeakKey)?;
    if key.is_weak() || !canonical_point(did.key()) { Err(Error::WeakKey) } else { Ok(key) }
}

/// Whether the y coordinate is below the field prime 2^255 - 19. A point with a second spelling would be two DIDs.
fn canonical_point(key: &[u8; 32]) -> bool {
    let [low, middle @ .., high] = key;
    !(high & 0x7f == 0x7f && middle.iter().all(|byte| *byte == 0xff) && *low >= 0xed)
}
