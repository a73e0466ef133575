use crate::{Hash, leaf_hash};
use domain::{Cid, Time};
use ipld_core::ipld::Ipld;
use serde::Deserialize;

/// The only entry format there is; `v` in the encoding.
pub const ENTRY_VERSION: u64 = 1;

/// Largest entry in bytes. Entry bundles carry a 16-bit length (C2SP tlog-tiles), so no entry can be larger than
/// 65,535 bytes.
pub const MAX_ENTRY_BYTES: usize = 65_535;

/// One place in the log: which statement was admitted, when, and what came of it.
///
/// Encoded as the DAG-CBOR map `{v, at, out, seq, prev, stmt}` (canonical key order), `v` = [`ENTRY_VERSION`].
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Position in the log, from 0.
    pub seq: u64,
    /// Leaf hash of the entry before; [`Hash::ZERO`] for entry 0.
    pub prev: Hash,
    /// When the sequencer admitted the statement, Unix seconds; never goes backwards.
    pub at: Time,
    /// The CID of the invocation that was admitted.
    pub stmt: Cid,
    /// The outcome, as the ledger wrote it.
    pub out: Ipld,
}

/// Bytes are not an entry, or a value cannot be written as one.
#[derive(Debug, thiserror::Error)]
pub enum EntryError {
    /// The encoding is longer than [`MAX_ENTRY_BYTES`].
    #[error("an entry has at most {MAX_ENTRY_BYTES} bytes, this one has {size}")]
    TooLarge {
        /// Bytes of this entry.
        size: usize,
    },
    /// Not DAG-CBOR, or not a map of exactly the six fields.
    #[error("not an entry: {reason}")]
    Malformed {
        /// What the decoder said.
        reason: String,
    },
    /// `v` is not [`ENTRY_VERSION`].
    #[error("entry version {found} is not {ENTRY_VERSION}")]
    Version {
        /// The version found.
        found: u64,
    },
    /// `stmt` is not a CIDv1 of a DAG-CBOR block under SHA-256.
    #[error("the statement link is not a CIDv1, dag-cbor, sha2-256")]
    Statement(#[source] domain::ParseCidError),
    /// The bytes decode, but are not the one canonical encoding of what they say.
    #[error("not the canonical encoding")]
    NonCanonical,
    /// The outcome cannot be written as DAG-CBOR (a NaN, an infinity, an integer beyond 64 bits).
    #[error("the outcome has no DAG-CBOR form: {reason}")]
    Outcome {
        /// What the encoder said.
        reason: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    v: u64,
    at: u64,
    out: Ipld,
    seq: u64,
    #[serde(with = "serde_bytes")]
    prev: [u8; 32],
    stmt: ipld_core::cid::Cid,
}

/// CBOR major type 0, the only variable-length head that an entry needs.
fn put_uint(buf: &mut Vec<u8>, n: u64) {
    let bytes = n.to_be_bytes();
    let (head, width): (u8, usize) = match n {
        0..=23 => {
            buf.extend(bytes.last());
            return;
        }
        24..=0xff => (0x18, 1),
        0x100..=0xffff => (0x19, 2),
        0x1_0000..=0xffff_ffff => (0x1a, 4),
        _ => (0x1b, 8),
    };
    buf.push(head);
    buf.extend(bytes.iter().skip(8_usize.saturating_sub(width)));
}

impl Entry {
    /// The canonical DAG-CBOR bytes.
    ///
    /// The five fixed fields are written directly: entries are made at tens of thousands a second and their key order
    /// never changes.
    pub fn encode(&self) -> Result<Vec<u8>, EntryError> {
        let mut buf = Vec::with_capacity(512);
        buf.extend_from_slice(b"\xa6\x61v");
        put_uint(&mut buf, ENTRY_VERSION);
        buf.extend_from_slice(b"\x62at");
        put_uint(&mut buf, self.at.unix());
        buf.extend_from_slice(b"\x63out");
        serde_ipld_dagcbor::to_writer(&mut buf, &self.out)
            .map_err(|e| EntryError::Outcome { reason: e.to_string() })?;
        buf.extend_from_slice(b"\x63seq");
        put_uint(&mut buf, self.seq);
        buf.extend_from_slice(b"\x64prev\x58\x20");
        buf.extend_from_slice(self.prev.as_bytes());
        buf.extend_from_slice(b"\x64stmt\xd8\x2a\x58\x25\x00");
        buf.extend_from_slice(&self.stmt.to_bytes());
        if buf.len() > MAX_ENTRY_BYTES {
            return Err(EntryError::TooLarge { size: buf.len() });
        }
        Ok(buf)
    }

    /// Reads an entry; only the bytes that [`Entry::encode`] would write are accepted.
    pub fn decode(bytes: &[u8]) -> Result<Self, EntryError> {
        if bytes.len() > MAX_ENTRY_BYTES {
            return Err(EntryError::TooLarge { size: bytes.len() });
        }
        let wire: Wire =
            serde_ipld_dagcbor::from_slice(bytes).map_err(|e| EntryError::Malformed { reason: e.to_string() })?;
        if wire.v != ENTRY_VERSION {
            return Err(EntryError::Version { found: wire.v });
        }
        let entry = Self {
            seq: wire.seq,
            prev: Hash::from_bytes(wire.prev),
            at: Time::from_unix(wire.at),
            stmt: Cid::from_bytes(&wire.stmt.to_bytes()).map_err(EntryError::Statement)?,
            out: wire.out,
        };
        if entry.encode()? != bytes {
            return Err(EntryError::NonCanonical);
        }
        Ok(entry)
    }

    /// The leaf hash of the encoded entry. Whoever already holds the bytes calls [`leaf_hash`] instead.
    pub fn leaf(&self) -> Result<Hash, EntryError> {
        self.encode().map(|bytes| leaf_hash(&bytes))
    }
}
