use crate::{Tiles, hash, leaf, leaves, naive_root};
use log::{Hash, ResumeError, Tile, Tree, leaf_hash};
use proptest::prelude::*;

/// The leaves and roots that the reference implementations of RFC 6962 share.
const LEAVES: [&[u8]; 8] = [b"", b"\x00", b"\x10", b"\x20\x21", b"\x30\x31", b"@ABC", b"PQRSTUVW", b"`abcdefghijklmno"];
const ROOTS: [&str; 9] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

pub fn vector_leaves() -> Vec<Hash> {
    LEAVES.iter().map(|l| leaf_hash(l)).collect()
}

#[test]
fn the_rfc_6962_vectors_hold() {
    let mut tree = Tree::new();
    assert_eq!(tree.root(), hash(ROOTS[0]));
    for (i, leaf) in vector_leaves().into_iter().enumerate() {
        tree.push(leaf);
        assert_eq!(tree.root(), hash(ROOTS[i + 1]), "{} leaves", i + 1);
    }
}

#[test]
fn every_size_around_a_tile_border_has_the_defined_root_and_tiles() {
    let all = leaves(1030);
    let mut tree = Tree::new();
    let mut full = Vec::new();
    for (i, leaf) in all.iter().enumerate() {
        tree.push(*leaf);
        full.extend(tree.drain_tiles());
        let size = i + 1;
        if size < 20 || size % 256 < 3 || size % 256 > 253 {
            assert_eq!(tree.root(), naive_root(&all[..size]), "{size} leaves");
            let tiles = Tiles::of(&all[..size]);
            for tile in full.iter().chain(&tree.partial_tiles()) {
                assert_eq!(tiles.get(tile.coordinates()).as_ref(), Some(&tile.hashes), "{size} leaves");
            }
            let level_0: usize =
                full.iter().chain(&tree.partial_tiles()).filter(|t| t.level == 0).map(|t| t.hashes.len() / 32).sum();
            assert_eq!(level_0, size);
        }
    }
}

#[test]
fn a_tree_with_a_full_tile_of_level_1_completes_it_and_begins_level_2() {
    let all = leaves(65_537);
    let mut tree = Tree::from_leaves(all.iter().copied());
    let full = tree.drain_tiles();
    assert_eq!(full.len(), 257);
    assert_eq!(full.iter().filter(|t| t.level == 1).map(|t| t.index).collect::<Vec<_>>(), [0]);
    let tiles = Tiles::of(&all);
    assert!(full.iter().chain(&tree.partial_tiles()).all(|t| tiles.get(t.coordinates()).unwrap() == t.hashes));
    let partial: Vec<_> =
        tree.partial_tiles().iter().map(Tile::coordinates).map(|t| (t.level, t.index, t.width)).collect();
    assert_eq!(partial, [(0, 256, 1), (2, 0, 1)]);
    assert_eq!(tree.root(), naive_root(&all));
    assert_eq!(tree.drain_tiles(), []);
}

#[test]
fn a_million_leaves_are_appended_in_order() {
    let tree = Tree::from_leaves((0..1_000_000).map(leaf));
    assert_eq!(tree.size(), 1_000_000);
    // 976 leaves beyond the last full tile; from here on the tree only remembers its edge.
    assert_eq!(tree.partial_tile(0).unwrap().hashes.len(), 32 * (1_000_000 % 256));
    assert_eq!(tree.root(), naive_root(&leaves(1_000_000)));
}

fn resume(n: u64) -> Result<Tree, ResumeError> {
    let all = leaves(n);
    let tiles = Tiles::of(&all);
    Tree::resume(n, &all[all.len() - all.len() % 256..], &|t| tiles.get(t))
}

#[test]
fn a_resumed_tree_is_the_tree_that_was_left() {
    for n in [0, 1, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537, 66_000, 131_072] {
        let mut whole = Tree::from_leaves(leaves(n));
        whole.drain_tiles();
        let mut resumed = resume(n).unwrap();
        assert_eq!(resumed, whole, "{n}");
        for i in n..n + 300 {
            whole.push(leaf(i));
            resumed.push(leaf(i));
        }
        assert_eq!(resumed.drain_tiles(), whole.drain_tiles(), "{n}");
        assert_eq!(resumed.root(), whole.root(), "{n}");
    }
}

#[test]
fn resuming_names_the_missing_or_short_tile_and_the_wrong_number_of_leaves() {
    let all = leaves(700);
    let tiles = Tiles::of(&all);
    let missing = Tree::resume(700, &all[512..], &|t| (t.index != 1).then(|| tiles.get(t)).flatten());
    assert!(matches!(missing, Err(ResumeError::Tile(t)) if t.level == 0 && t.index == 1));
    let short = Tree::resume(700, &all[512..], &|t| tiles.get(t).map(|b| b[..8191].to_vec()));
    assert!(matches!(short, Err(ResumeError::Tile(_))));
    let leaves = Tree::resume(700, &all[513..], &|t| tiles.get(t));
    assert_eq!(leaves, Err(ResumeError::Leaves { expected: 188, found: 187 }));
    // A size out of all proportion fails at its first tile instead of asking for memory.
    assert!(matches!(Tree::resume(u64::MAX, &[Hash::ZERO; 255], &|_| None), Err(ResumeError::Tile(_))));
}

#[test]
fn a_clone_keeps_its_own_edge() {
    let mut tree = Tree::from_leaves(leaves(300));
    let before = tree.clone();
    tree.push(leaf(300));
    assert_eq!(before.root(), naive_root(&leaves(300)));
    assert_eq!(tree.root(), naive_root(&leaves(301)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn random_sizes_have_the_defined_root(n in 0_u64..3000) {
        let all = leaves(n);
        prop_assert_eq!(Tree::from_leaves(all.iter().copied()).root(), naive_root(&all));
        prop_assert_eq!(resume(n).unwrap().root(), naive_root(&all));
    }
}
