use crate::{ReceiptError, Step};
use data_encoding::BASE64;
use domain::{Cid, Digest, Name};
use log::Hash;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The only receipt format there is.
pub const VERSION: u64 = 1;

/// Largest receipt in bytes. The widest has 53 entries of a few KiB each; a checkpoint and proofs add little.
pub const MAX_RECEIPT_BYTES: usize = 8 * 1024 * 1024;

/// Most entries of a receipt: five, 16 approvals and 32 attestations.
const MAX_ENTRIES: usize = 5 + 16 + 32;

/// Most hashes of an inclusion proof: the log's positions have 64 bits.
const MAX_PROOF: usize = 64;

/// A receipt as it stands in its file: well-formed, and nothing in it is known to be true until
/// [`verify`](crate::verify) says so.
///
/// The file is pretty-printed JSON with two spaces, the fields in this order and a newline at the end; no other bytes
/// are accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// [`VERSION`].
    pub version: u64,
    /// The log's name.
    pub origin: Name,
    /// The proposal: CID of its invocation.
    pub proposal: Cid,
    /// The entries that make the case, by ascending position.
    pub entries: Vec<ProvenEntry>,
    /// Signed note (C2SP): the log's key and the quorum, no other signatures.
    pub checkpoint: String,
    /// The quorum's signature over the payout: 65 bytes (compressed R, then z) in lower-case hex.
    pub signature: String,
    /// The executing transaction's hash, lower-case hex.
    pub transaction: Digest,
}

/// One entry of the log with everything that its statement needs, and the proof that the log holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProvenEntry {
    /// Its position.
    pub seq: u64,
    /// Its bytes.
    pub entry: Bytes,
    /// The statement's invocation, then every delegation that it names, in the order in which it names them.
    pub tokens: Vec<Bytes>,
    /// Audit path to the checkpoint's root (RFC 6962), leaf end first.
    pub proof: Vec<Hash>,
}

/// Bytes, in JSON as standard base64 with padding; a second spelling is refused.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Bytes(pub Vec<u8>);

impl TryFrom<String> for Bytes {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        BASE64.decode(text.as_bytes()).map(Self).map_err(|_| "expected standard base64 with padding")
    }
}

impl From<Bytes> for String {
    fn from(bytes: Bytes) -> Self {
        BASE64.encode(&bytes.0)
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl Receipt {
    /// Reads a file; only the bytes that [`Receipt::encode`] writes are accepted.
    pub fn parse(bytes: &[u8]) -> Result<Self, ReceiptError> {
        let bad = |detail: &str| ReceiptError::new(Step::File, detail);
        if bytes.len() > MAX_RECEIPT_BYTES {
            return Err(bad("larger than any receipt"));
        }
        let receipt: Self = serde_json::from_slice(bytes).map_err(|e| ReceiptError::new(Step::File, e))?;
        if receipt.version != VERSION {
            return Err(bad("this version of receipts is not known"));
        }
        if receipt.entries.len() > MAX_ENTRIES {
            return Err(bad("more entries than any receipt has"));
        }
        let over = |e: &ProvenEntry| e.tokens.len() > log::export::MAX_TOKENS || e.proof.len() > MAX_PROOF;
        if receipt.entries.iter().any(over) {
            return Err(bad("more tokens or hashes than any entry has"));
        }
        if receipt.encode()? != bytes {
            return Err(bad("not the canonical form of what it says"));
        }
        Ok(receipt)
    }

    /// The file's bytes.
    pub fn encode(&self) -> Result<Vec<u8>, ReceiptError> {
        let mut bytes = serde_json::to_vec_pretty(self).map_err(|e| ReceiptError::new(Step::File, e))?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}
