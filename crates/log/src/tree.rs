use crate::{
    Hash, Tile, TileRef, node_hash,
    proof::subtree_root,
    tile::{self, MAX_LEVEL, TILE_WIDTH},
};
use std::sync::Arc;

/// An RFC 6962 Merkle tree that remembers only its right edge: the roots of its perfect subtrees and, per level, the at
/// most 255 hashes of the tile that is not full yet.
///
/// Appending costs one hash on average, the root at most 63, and a clone copies no more than a few pointers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    size: u64,
    /// Roots of the perfect subtrees, largest first: one per set bit of `size`.
    peaks: Vec<Hash>,
    /// Hashes of the incomplete tile of each level.
    edge: Vec<Arc<Vec<Hash>>>,
    /// Tiles completed and not yet taken.
    completed: Vec<Tile>,
}

/// A tree cannot be rebuilt from stored tiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResumeError {
    /// The source has no such tile, or one of another length.
    #[error("tile {}/{} is missing or has the wrong length", .0.level, .0.index)]
    Tile(TileRef),
    /// The leaf hashes of the last, partial tile are not as many as the size says.
    #[error("{expected} leaf hashes of the last tile are needed, {found} were given")]
    Leaves {
        /// `size mod 256`.
        expected: u64,
        /// Leaf hashes given.
        found: usize,
    },
}

impl Tree {
    /// The empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// The tree of these leaf hashes, in order; completed tiles wait to be drained.
    pub fn from_leaves(leaves: impl IntoIterator<Item = Hash>) -> Self {
        let mut tree = Self::new();
        leaves.into_iter().for_each(|leaf| tree.push(leaf));
        tree
    }

    /// Number of leaves.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The root hash (RFC 6962 §2.1).
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else { return Hash::empty_root() };
        peaks.fold(*last, |right, left| node_hash(left, &right))
    }

    /// Appends a leaf hash.
    pub fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        self.push_at(0, hash);
        for height in 1..=self.size.trailing_ones() {
            let Some(left) = self.peaks.pop() else { break };
            hash = node_hash(&left, &hash);
            if height.is_multiple_of(8) {
                self.push_at(usize::try_from(height / 8).unwrap_or(usize::MAX), hash);
            }
        }
        self.peaks.push(hash);
        // 2^64 leaves are out of reach, so the size never saturates.
        self.size = self.size.saturating_add(1);
    }

    fn push_at(&mut self, level: usize, hash: Hash) {
        if level >= self.edge.len() {
            self.edge.push(Arc::default());
        }
        let Some(shared) = self.edge.get_mut(level) else { return };
        let hashes = Arc::make_mut(shared);
        hashes.push(hash);
        if hashes.len() == usize::from(TILE_WIDTH) {
            let bytes = concat(hashes);
            hashes.clear();
            let shift = u32::try_from(level).unwrap_or(u32::MAX).saturating_add(1).saturating_mul(8);
            // The leaf being pushed is not counted yet, so this is the index of the tile that it completes.
            let index = self.size.checked_shr(shift).unwrap_or(0);
            self.completed.push(Tile { level: u8::try_from(level).unwrap_or(MAX_LEVEL), index, hashes: bytes });
        }
    }

    /// Takes the tiles completed since the last call, in the order in which they were completed.
    pub fn drain_tiles(&mut self) -> Vec<Tile> {
        std::mem::take(&mut self.completed)
    }

    /// The incomplete tile of each level that has one, lowest level first.
    pub fn partial_tiles(&self) -> Vec<Tile> {
        (0..).zip(&self.edge).filter_map(|(level, _)| self.partial_tile(level)).collect()
    }

    /// The incomplete tile of `level`; `None` when the level ends with a full tile.
    pub fn partial_tile(&self, level: u8) -> Option<Tile> {
        let hashes = self.edge.get(usize::from(level)).filter(|h| !h.is_empty())?;
        let shift = u32::from(level).saturating_add(1).saturating_mul(8);
        Some(Tile { level, index: self.size.checked_shr(shift).unwrap_or(0), hashes: concat(hashes) })
    }

    /// Rebuilds the tree of `size` leaves from full tiles and the leaf hashes of the last, partial tile of level 0.
    ///
    /// Reads one full tile per hash of the right edge, at most 255 per level above the leaves. The caller compares
    /// [`Tree::root`] with a checkpoint: the tiles are taken at their word here.
    pub fn resume(
        size: u64,
        last_leaves: &[Hash],
        tiles: &impl Fn(TileRef) -> Option<Vec<u8>>,
    ) -> Result<Self, ResumeError> {
        let expected = size % 256;
        if u64::try_from(last_leaves.len()) != Ok(expected) {
            return Err(ResumeError::Leaves { expected, found: last_leaves.len() });
        }
        if size == 0 {
            return Ok(Self::new());
        }
        let mut edge = vec![Arc::new(last_leaves.to_vec())];
        for level in 1..=MAX_LEVEL {
            let hashes = size.checked_shr(u32::from(level).saturating_mul(8)).unwrap_or(0);
            if hashes == 0 {
                break;
            }
            let first = hashes.saturating_sub(hashes % 256);
            let below = level.saturating_sub(1);
            let row = (first..hashes)
                .map(|index| {
                    let tile = TileRef { level: below, index, width: TILE_WIDTH };
                    let bytes = tiles(tile).ok_or(ResumeError::Tile(tile))?;
                    tile::hashes(&bytes, TILE_WIDTH).map(|h| subtree_root(&h)).ok_or(ResumeError::Tile(tile))
                })
                .collect::<Result<Vec<_>, _>>()?;
            edge.push(Arc::new(row));
        }
        let peaks = edge.iter().rev().flat_map(|row| peaks(row)).collect();
        Ok(Self { size, peaks, edge, completed: Vec::new() })
    }
}

/// The roots of the perfect subtrees over `row`, largest first.
fn peaks(row: &[Hash]) -> Vec<Hash> {
    let mut rest = row;
    let mut found = Vec::new();
    for bit in (0..8).rev() {
        if let Some((subtree, tail)) = rest.split_at_checked(1 << bit) {
            found.push(subtree_root(subtree));
            rest = tail;
        }
    }
    found
}

fn concat(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(Hash::as_bytes).copied().collect()
}
