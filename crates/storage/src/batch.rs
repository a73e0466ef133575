use domain::{Amount, AssetId, Cid, Did, Digest, OrderId, PluginId, Time};

/// What one transaction appends: consecutive entries with everything that is derived from them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Term of the lease under which the batch was made.
    pub epoch: u64,
    /// The newest position before the batch; `None` for an empty log.
    pub old_head: Option<u64>,
    /// The entries, at least one, at the positions that follow `old_head`.
    pub entries: Vec<NewEntry>,
    /// Tiles that these entries filled.
    pub tiles: Vec<NewTile>,
    /// Proposals that these entries created or changed, oldest change first. Of several changes to one proposal the
    /// last is kept. Changing a proposal of an earlier batch sets its `status` and `updated`; the other fields stay as first
    /// written, and without its row the batch is [`crate::AppendError::Corrupt`].
    pub proposals: Vec<ProposalRow>,
    /// CIDs that these entries say something about.
    pub mentions: Vec<Mention>,
}

/// An entry to append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEntry {
    /// Position in the log.
    pub seq: u64,
    /// The entry, canonical DAG-CBOR.
    pub bytes: Vec<u8>,
    /// RFC 6962 leaf hash of `bytes`.
    pub leaf: Digest,
    /// The statement that the entry places, the first of its tokens.
    pub statement: Cid,
    /// Tokens that the log did not hold before, the statement first: a token has one place, and so has a statement.
    pub tokens: Vec<NewToken>,
}

/// A token that an entry brings into the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewToken {
    /// CID of `bytes`.
    pub cid: Cid,
    /// The token, a canonical DAG-CBOR UCAN envelope.
    pub bytes: Vec<u8>,
}

/// A full tile of the Merkle tree (C2SP tlog-tiles).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTile {
    /// Height in the tree of tiles, 0 at the leaves, at most 63.
    pub level: u8,
    /// Place within the level, from 0.
    pub index: u64,
    /// 256 hashes of 32 bytes.
    pub hashes: Vec<u8>,
}

/// An entry says something about a CID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mention {
    /// The CID that is mentioned.
    pub cid: Cid,
    /// The entry that mentions it, one of the batch.
    pub seq: u64,
    /// What it says, 1 to 64 characters.
    pub kind: &'static str,
}

/// A proposal as lists show it: what it asked for and its state after entry `updated`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProposalRow {
    /// CID of the invocation.
    pub id: Cid,
    /// Entry of the proposal.
    pub seq: u64,
    /// When the sequencer placed it.
    pub at: Time,
    /// The marketplace.
    pub tenant: Did,
    /// The installation that proposed.
    pub installation: Did,
    /// Its plugin.
    pub plugin: PluginId,
    /// Kind of intent, 1 to 64 characters.
    pub kind: String,
    /// The order it is about.
    pub order: OrderId,
    /// The asset to be paid.
    pub asset: AssetId,
    /// How much, in the asset's minor unit.
    pub total: Amount,
    /// State of the proposal, 1 to 64 characters.
    pub status: String,
    /// Entry that last changed the row.
    pub updated: u64,
}
