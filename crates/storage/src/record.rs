use crate::ProposalRow;
use domain::{Cid, Did, Digest, OrderId, Time};

/// Which database engine is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// SQLite, embedded.
    Sqlite,
    /// PostgreSQL, or a database that speaks its protocol.
    Postgres,
}

/// The newest entry and the term in which the log may be appended to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Position of the newest entry.
    pub seq: u64,
    /// Its leaf hash.
    pub leaf: Digest,
    /// Term of the newest lease.
    pub epoch: u64,
}

/// The right to append, for a while. Expiry only lets another process take over; the epoch is what fences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The process that holds it.
    pub holder: String,
    /// Term, one more with each acquisition; goes into each [`crate::Batch`].
    pub epoch: u64,
    /// When another process may acquire.
    pub expires_at: Time,
}

/// An entry with the tokens that it brought into the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEntry {
    /// Position in the log.
    pub seq: u64,
    /// The entry, DAG-CBOR.
    pub bytes: Vec<u8>,
    /// Leaf hash of `bytes`, as stored.
    pub leaf: Digest,
    /// The statement it places, as stored.
    pub statement: Cid,
    /// Tokens that the log did not hold before, the statement first.
    pub tokens: Vec<StoredToken>,
}

/// A token of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredToken {
    /// Its CID, as stored.
    pub cid: Cid,
    /// The entry that introduced it.
    pub seq: u64,
    /// Its place among the tokens of that entry, from 0.
    pub ordinal: u64,
    /// The token, DAG-CBOR.
    pub bytes: Vec<u8>,
}

/// Everything the database says about one position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScannedEntry {
    /// The entry with its tokens.
    pub entry: StoredEntry,
    /// Proposals that this entry was the last to change (`updated` = its position), by `seq`. So each stored proposal
    /// comes exactly once, where a replay has just derived the very same row.
    pub proposals: Vec<ProposalRow>,
    /// What this entry mentions, by CID and kind.
    pub mentions: Vec<StoredMention>,
}

/// An entry that says something about a CID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredMention {
    /// The CID that is mentioned.
    pub cid: Cid,
    /// The entry.
    pub seq: u64,
    /// What it says.
    pub kind: String,
}

/// A signed checkpoint. A note that gains a signature line is stored again, under a number of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredCheckpoint {
    /// Place among all notes, from 0, without gaps.
    pub number: u64,
    /// Number of entries it commits to.
    pub size: u64,
    /// C2SP signed note.
    pub note: String,
    /// Digest over this note and all notes before it, as stored.
    pub chain: Digest,
}

/// Which proposals to list; `None` means any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProposalFilter {
    /// Of this marketplace.
    pub tenant: Option<Did>,
    /// Made by this installation.
    pub installation: Option<Did>,
    /// In this state.
    pub status: Option<String>,
    /// About this order.
    pub order: Option<OrderId>,
}

/// The digest to which an intent is bound for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lock {
    /// The only digest that may be signed for the intent.
    pub digest: Digest,
    /// Key epoch in which the lock was taken.
    pub epoch: u64,
    /// A digest over the row that only its writer can make, as stored.
    pub seal: Digest,
}

/// The digest to which a contract's nonce is bound until the contract refuses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NonceLock {
    /// The only digest that may be signed until then.
    pub digest: Digest,
    /// The contract refuses it after this moment.
    pub valid_until: Time,
}

/// Where a row of `nonce_locks` is: rows are in the order of contract, nonce and attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NoncePlace {
    /// EIP-712 domain separator of the contract, which names its chain.
    pub contract: Digest,
    /// The contract's nonce.
    pub nonce: u64,
    /// Counts the digests of the nonce, from 0.
    pub attempt: u64,
}

/// A row of `nonce_locks`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredNonceLock {
    /// Its key.
    pub place: NoncePlace,
    /// What the nonce is bound to.
    pub lock: NonceLock,
    /// A digest over the row that only its writer can make, as stored.
    pub seal: Digest,
}

/// What became of a lock that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockOutcome<L = Lock> {
    /// It was free and is now locked to the digest.
    Fresh,
    /// It was already locked in just this way.
    Same,
    /// It is locked to this other digest, or in another epoch. Nothing was written.
    Conflict(L),
}

/// A record of something that must not have happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Position in the log that it is about.
    pub seq: u64,
    /// What it shows, 1 to 64 characters.
    pub kind: String,
    /// The evidence itself.
    pub body: Vec<u8>,
    /// A digest over the row that only its writer can make, as stored.
    pub seal: Digest,
}

/// Number of rows of each table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows of `entries`.
    pub entries: u64,
    /// Rows of `tokens`.
    pub tokens: u64,
    /// Rows of `tiles`.
    pub tiles: u64,
    /// Rows of `checkpoints`.
    pub checkpoints: u64,
    /// Rows of `proposals`.
    pub proposals: u64,
    /// Rows of `mentions`.
    pub mentions: u64,
    /// Rows of `locks`.
    pub locks: u64,
    /// Rows of `nonce_locks`.
    pub nonce_locks: u64,
    /// Rows of `evidence`.
    pub evidence: u64,
}
