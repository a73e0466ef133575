//! The log: hash-chained entries, the Merkle tree over the same bytes, tiles, checkpoints, proofs and exports.
//!
//! An entry's leaf hash (RFC 6962) is both the link of the hash chain and the leaf of the tree, so whoever has checked
//! one has checked the other. Tiles and checkpoints follow the C2SP specifications `tlog-tiles`, `tlog-checkpoint` and
//! `signed-note`, so that tools written elsewhere can check the log.

mod chain;
mod checkpoint;
mod entry;
pub mod export;
mod hash;
mod note;
mod proof;
mod tile;
mod tree;

pub use chain::{Chain, ChainError, Fault, Head};
pub use checkpoint::{Checkpoint, ParseCheckpointError};
pub use entry::{ENTRY_VERSION, Entry, EntryError, MAX_ENTRY_BYTES};
pub use hash::{Hash, leaf_hash, node_hash};
pub use note::{
    KeyName, MAX_NOTE_BYTES, MAX_SIGNATURES, Note, NoteError, NoteKey, ParseKeyError, SignedCheckpoint, Verified,
    VerifyError,
};
pub use proof::{
    ProofError, SourceError, consistency_proof, inclusion_proof, root_at, verify_consistency, verify_inclusion,
};
pub use tile::{
    BundleError, ParsePathError, TILE_WIDTH, Tile, TilePath, TileRef, decode_entry_bundle, encode_entry_bundle,
};
pub use tree::{ResumeError, Tree};
