use crate::{Hash, TileRef, node_hash, tile};
use std::collections::BTreeMap;

/// A proof cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// The leaf or the older tree lies beyond the tree that the proof is for.
    #[error("{asked} is beyond a tree of {size} leaves")]
    Range {
        /// Leaf index or older size asked for.
        asked: u64,
        /// Leaves of the tree.
        size: u64,
    },
    /// The source has no such tile, or its bytes are not that many hashes.
    #[error("tile {}/{} is missing or has the wrong length", .0.level, .0.index)]
    Tile(TileRef),
}

/// A proof does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The leaf or the older tree lies beyond the newer tree.
    #[error("{asked} is beyond a tree of {size} leaves")]
    Range {
        /// Leaf index or older size.
        asked: u64,
        /// Leaves of the newer tree.
        size: u64,
    },
    /// The proof has too many or too few hashes for these sizes.
    #[error("the proof has the wrong number of hashes")]
    Length,
    /// The hashes do not lead to the root or roots.
    #[error("the proof does not lead to the root")]
    Root,
}

/// The root of a perfect or ragged tree over `hashes` (RFC 6962 §2.1).
pub(crate) fn subtree_root(hashes: &[Hash]) -> Hash {
    match hashes {
        [] => Hash::empty_root(),
        [one] => *one,
        many => {
            let (left, right) = many.split_at(many.len().next_power_of_two() / 2);
            node_hash(&subtree_root(left), &subtree_root(right))
        }
    }
}

/// Reads nodes of a tree of `size` leaves from tiles, each tile once.
struct Reader<'a, F> {
    size: u64,
    source: &'a F,
    tiles: BTreeMap<(u8, u64), Vec<Hash>>,
}

impl<'a, F: Fn(TileRef) -> Option<Vec<u8>>> Reader<'a, F> {
    fn new(size: u64, source: &'a F) -> Self {
        Self { size, source, tiles: BTreeMap::new() }
    }

    /// The root of the perfect subtree of `2^height` leaves that begins at leaf `first`.
    fn perfect(&mut self, height: u32, first: u64) -> Result<Hash, SourceError> {
        let out_of_range = SourceError::Range { asked: first, size: self.size };
        let level = u8::try_from(height / 8).map_err(|_| out_of_range)?;
        let position = first.checked_shr(u32::from(level).saturating_mul(8)).unwrap_or(0);
        let wanted = TileRef::of(self.size, level, position / 256).ok_or(out_of_range)?;
        let hashes = match self.tiles.entry((level, wanted.index)) {
            std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::btree_map::Entry::Vacant(slot) => {
                let bytes = (self.source)(wanted).ok_or(SourceError::Tile(wanted))?;
                slot.insert(tile::hashes(&bytes, wanted.width).ok_or(SourceError::Tile(wanted))?)
            }
        };
        let start = usize::try_from(position % 256).map_err(|_| out_of_range)?;
        let end = start.saturating_add(1 << (height % 8));
        hashes.get(start..end).map(subtree_root).ok_or(SourceError::Tile(wanted))
    }

    /// The root over leaves `first..end`, where `first` is a multiple of a power of two not smaller than the range.
    fn range(&mut self, first: u64, end: u64) -> Result<Hash, SourceError> {
        let count = end.saturating_sub(first);
        let Some(height) = count.checked_ilog2() else { return Ok(Hash::empty_root()) };
        let left = self.perfect(height, first)?;
        let split = first.saturating_add(1 << height);
        if split >= end { Ok(left) } else { Ok(node_hash(&left, &self.range(split, end)?)) }
    }
}

/// The largest power of two smaller than `n`, for `n` of at least 2.
fn split_point(n: u64) -> u64 {
    n.saturating_sub(1).checked_ilog2().map_or(0, |height| 1 << height)
}

/// The root that the tree of `size` leaves has, from its tiles. `source` gives the bytes of a tile; for a partial tile
/// it may give any longer version of the same tile.
pub fn root_at(size: u64, source: &impl Fn(TileRef) -> Option<Vec<u8>>) -> Result<Hash, SourceError> {
    Reader::new(size, source).range(0, size)
}

/// The audit path of leaf `index` in the tree of `size` leaves (RFC 6962 §2.1.1), at most 64 hashes, leaf end first.
/// `source` as for [`root_at`].
pub fn inclusion_proof(
    size: u64,
    index: u64,
    source: &impl Fn(TileRef) -> Option<Vec<u8>>,
) -> Result<Vec<Hash>, SourceError> {
    if index >= size {
        return Err(SourceError::Range { asked: index, size });
    }
    let mut reader = Reader::new(size, source);
    let mut path = Vec::new();
    let (mut first, mut end) = (0_u64, size);
    while end.saturating_sub(first) > 1 {
        let middle = first.saturating_add(split_point(end.saturating_sub(first)));
        if index < middle {
            path.push(reader.range(middle, end)?);
            end = middle;
        } else {
            path.push(reader.range(first, middle)?);
            first = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// The proof that the tree of `new` leaves continues the tree of `old` leaves (RFC 6962 §2.1.2), at most 65 hashes.
/// Empty when the sizes are equal or `old` is 0. `source` as for [`root_at`], for the tree of `new` leaves.
pub fn consistency_proof(
    old: u64,
    new: u64,
    source: &impl Fn(TileRef) -> Option<Vec<u8>>,
) -> Result<Vec<Hash>, SourceError> {
    if old > new {
        return Err(SourceError::Range { asked: old, size: new });
    }
    if old == 0 || old == new {
        return Ok(Vec::new());
    }
    let mut reader = Reader::new(new, source);
    let mut path = Vec::new();
    let (mut first, mut end) = (0_u64, new);
    while end != old {
        let middle = first.saturating_add(split_point(end.saturating_sub(first)));
        if old <= middle {
            path.push(reader.range(middle, end)?);
            end = middle;
        } else {
            path.push(reader.range(first, middle)?);
            first = middle;
        }
    }
    // A verifier that holds the old root needs no copy of it, which is when the old tree is one perfect subtree.
    if first > 0 {
        path.push(reader.range(first, end)?);
    }
    path.reverse();
    Ok(path)
}

/// Checks that the leaf hash `leaf` is at `index` in the tree of `size` leaves with `root` (RFC 9162 §2.1.3.2).
pub fn verify_inclusion(index: u64, size: u64, leaf: &Hash, root: &Hash, proof: &[Hash]) -> Result<(), ProofError> {
    if index >= size {
        return Err(ProofError::Range { asked: index, size });
    }
    let (mut node, mut last) = (index, size.saturating_sub(1));
    let mut hash = *leaf;
    for sibling in proof {
        if last == 0 {
            return Err(ProofError::Length);
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            skip_to_right_child(&mut node, &mut last);
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(ProofError::Length);
    }
    if hash == *root { Ok(()) } else { Err(ProofError::Root) }
}

/// A node without a right sibling stands at the next level as it is, up to where it is a right child.
fn skip_to_right_child(node: &mut u64, last: &mut u64) {
    while *node & 1 == 0 && *node != 0 {
        *node >>= 1;
        *last >>= 1;
    }
}

/// Checks that the tree of `new` leaves with `new_root` continues the tree of `old` leaves with `old_root`
/// (RFC 9162 §2.1.4.2). Every tree continues the empty tree, whose root is that of no leaves.
pub fn verify_consistency(
    old: u64,
    new: u64,
    old_root: &Hash,
    new_root: &Hash,
    proof: &[Hash],
) -> Result<(), ProofError> {
    if old > new {
        return Err(ProofError::Range { asked: old, size: new });
    }
    if old == 0 || old == new {
        let expected = if old == 0 { Hash::empty_root() } else { *new_root };
        if !proof.is_empty() {
            return Err(ProofError::Length);
        }
        let empty_differs = new == 0 && *new_root != Hash::empty_root();
        return if *old_root == expected && !empty_differs { Ok(()) } else { Err(ProofError::Root) };
    }
    let (mut node, mut last) = (old.saturating_sub(1), new.saturating_sub(1));
    let zeroes = node.trailing_ones();
    node >>= zeroes;
    last >>= zeroes;
    let mut path = proof.iter();
    let seed = if old.is_power_of_two() { *old_root } else { *path.next().ok_or(ProofError::Length)? };
    let (mut older, mut newer) = (seed, seed);
    for sibling in path {
        if last == 0 {
            return Err(ProofError::Length);
        }
        if node & 1 == 1 || node == last {
            older = node_hash(sibling, &older);
            newer = node_hash(sibling, &newer);
            skip_to_right_child(&mut node, &mut last);
        } else {
            newer = node_hash(&newer, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(ProofError::Length);
    }
    if older == *old_root && newer == *new_root { Ok(()) } else { Err(ProofError::Root) }
}
