use crate::{Tiles, hash, leaves, naive_root, tree::vector_leaves};
use log::{
    Hash, ProofError, SourceError, TileRef, consistency_proof, inclusion_proof, root_at, verify_consistency,
    verify_inclusion,
};
use proptest::prelude::*;

const A: &str = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7";
const B: &str = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e";
const C: &str = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4";
const D: &str = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b";
const E: &str = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0";
const F: &str = "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7";
const G: &str = "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125";
const H: &str = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d";
const I: &str = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a";

#[test]
fn the_rfc_6962_proof_vectors_hold() {
    let tiles = Tiles::of(&vector_leaves());
    let source = |t: TileRef| tiles.get(t);
    let inclusion: [(u64, u64, &[&str]); 5] =
        [(0, 1, &[]), (0, 8, &[A, B, C]), (5, 8, &[D, E, F]), (2, 3, &[G]), (1, 5, &[H, B, D])];
    for (index, size, expected) in inclusion {
        let expected: Vec<_> = expected.iter().map(|h| hash(h)).collect();
        assert_eq!(inclusion_proof(size, index, &source).unwrap(), expected, "{index} in {size}");
    }
    let consistency: [(u64, u64, &[&str]); 5] =
        [(1, 1, &[]), (0, 8, &[]), (1, 8, &[A, B, C]), (6, 8, &[I, E, F]), (2, 5, &[B, D])];
    for (old, new, expected) in consistency {
        let expected: Vec<_> = expected.iter().map(|h| hash(h)).collect();
        assert_eq!(consistency_proof(old, new, &source).unwrap(), expected, "{old} to {new}");
    }
}

#[test]
fn every_pair_of_small_sizes_proves_and_verifies() {
    let all = leaves(40);
    let tiles = Tiles::of(&all);
    let source = |t: TileRef| tiles.get(t);
    let roots: Vec<_> = (0..=40).map(|n| naive_root(&all[..n])).collect();
    for new in 0..=40_u64 {
        assert_eq!(root_at(new, &source).unwrap(), roots[new as usize]);
        for old in 0..=new {
            let proof = consistency_proof(old, new, &source).unwrap();
            let (old_root, new_root) = (&roots[old as usize], &roots[new as usize]);
            assert_eq!(verify_consistency(old, new, old_root, new_root, &proof), Ok(()), "{old} to {new}");
            if old < new {
                let proof = inclusion_proof(new, old, &source).unwrap();
                assert_eq!(verify_inclusion(old, new, &all[old as usize], new_root, &proof), Ok(()), "{old} in {new}");
            }
        }
    }
}

/// Every way of spoiling a proof by one step.
fn spoiled(proof: &[Hash]) -> Vec<Vec<Hash>> {
    let mut all = Vec::new();
    for i in 0..proof.len() {
        let mut flipped = proof.to_vec();
        let mut bytes = *flipped[i].as_bytes();
        bytes[i % 32] ^= 1;
        flipped[i] = Hash::from_bytes(bytes);
        all.push(flipped);
        let mut dropped = proof.to_vec();
        dropped.remove(i);
        all.push(dropped);
        let mut doubled = proof.to_vec();
        doubled.insert(i, proof[i]);
        all.push(doubled);
        if i > 0 {
            let mut swapped = proof.to_vec();
            swapped.swap(i - 1, i);
            all.push(swapped);
        }
    }
    all.push([proof, &[Hash::ZERO]].concat());
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn inclusion_holds_for_the_right_leaf_only(size in 1_u64..2000, pick in any::<u64>(), other in any::<u64>()) {
        let all = leaves(size);
        let tiles = Tiles::of(&all);
        let (index, other) = (pick % size, other % size);
        let root = naive_root(&all);
        let leaf = &all[index as usize];
        let proof = inclusion_proof(size, index, &|t| tiles.get(t)).unwrap();
        prop_assert_eq!(verify_inclusion(index, size, leaf, &root, &proof), Ok(()));
        for bad in spoiled(&proof) {
            prop_assert!(verify_inclusion(index, size, leaf, &root, &bad).is_err());
        }
        prop_assert!(verify_inclusion(index, size, &Hash::ZERO, &root, &proof).is_err());
        prop_assert!(verify_inclusion(index, size, leaf, &Hash::ZERO, &proof).is_err());
        if other != index {
            prop_assert!(verify_inclusion(other, size, leaf, &root, &proof).is_err());
            prop_assert!(verify_inclusion(index, size, &all[other as usize], &root, &proof).is_err());
        }
    }

    #[test]
    fn consistency_holds_for_the_right_roots_only(new in 1_u64..2000, pick in any::<u64>()) {
        let all = leaves(new);
        let tiles = Tiles::of(&all);
        let old = pick % (new + 1);
        let (old_root, new_root) = (naive_root(&all[..old as usize]), naive_root(&all));
        let proof = consistency_proof(old, new, &|t| tiles.get(t)).unwrap();
        prop_assert_eq!(verify_consistency(old, new, &old_root, &new_root, &proof), Ok(()));
        for bad in spoiled(&proof) {
            prop_assert!(verify_consistency(old, new, &old_root, &new_root, &bad).is_err());
        }
        prop_assert!(verify_consistency(old, new, &Hash::ZERO, &new_root, &proof).is_err());
        if old > 0 {
            prop_assert!(verify_consistency(old, new, &old_root, &Hash::ZERO, &proof).is_err());
            let fork = naive_root(&[&[Hash::ZERO], &all[1..old as usize]].concat());
            prop_assert!(verify_consistency(old, new, &fork, &new_root, &proof).is_err());
        }
    }

    #[test]
    fn hostile_proofs_of_any_size_end_without_a_panic(a in any::<u64>(), b in any::<u64>(), len in 0_usize..130) {
        let proof = vec![Hash::ZERO; len];
        prop_assert!(verify_inclusion(a, b, &Hash::ZERO, &Hash::ZERO, &proof).is_err());
        let zero = &Hash::ZERO;
        prop_assert!(a == b || verify_consistency(a, b, zero, &Hash::empty_root(), &proof).is_err());
    }
}

#[test]
fn the_largest_sizes_neither_panic_nor_loop() {
    let tile = |t: TileRef| Some(vec![7_u8; 32 * usize::from(t.width)]);
    let proof = inclusion_proof(u64::MAX, u64::MAX - 1, &tile).unwrap();
    let root = root_at(u64::MAX, &tile).unwrap();
    assert_eq!(proof.len(), 63);
    assert_eq!(
        verify_inclusion(u64::MAX, u64::MAX, &root, &root, &proof),
        Err(ProofError::Range { asked: u64::MAX, size: u64::MAX })
    );
    assert!(consistency_proof(u64::MAX - 1, u64::MAX, &tile).unwrap().len() <= 65);
    assert!(inclusion_proof(u64::MAX, 0, &tile).unwrap().len() <= 64);
}

#[test]
fn proofs_beyond_the_tree_and_from_missing_tiles_are_refused() {
    let all = leaves(300);
    let tiles = Tiles::of(&all);
    let source = |t: TileRef| tiles.get(t);
    assert_eq!(inclusion_proof(300, 300, &source), Err(SourceError::Range { asked: 300, size: 300 }));
    assert_eq!(consistency_proof(301, 300, &source), Err(SourceError::Range { asked: 301, size: 300 }));
    assert_eq!(inclusion_proof(0, 0, &source), Err(SourceError::Range { asked: 0, size: 0 }));
    let wanted = TileRef { level: 0, index: 1, width: 44 };
    let missing = |t: TileRef| (t.index == 0).then(|| tiles.get(t)).flatten();
    assert_eq!(inclusion_proof(300, 299, &missing), Err(SourceError::Tile(wanted)));
    let short = |t: TileRef| tiles.get(t).map(|b| b[32..].to_vec());
    assert!(matches!(inclusion_proof(300, 299, &short), Err(SourceError::Tile(_))));
    let ragged = |t: TileRef| {
        tiles.get(t).map(|mut b| {
            b.push(0);
            b
        })
    };
    assert!(matches!(inclusion_proof(300, 299, &ragged), Err(SourceError::Tile(_))));
}

#[test]
fn a_longer_version_of_a_partial_tile_serves_an_older_tree() {
    let all = leaves(512);
    let tiles = Tiles::of(&all);
    let full = |t: TileRef| tiles.get(TileRef { width: 256, ..t }).or_else(|| tiles.get(t));
    let proof = inclusion_proof(300, 280, &full).unwrap();
    assert_eq!(verify_inclusion(280, 300, &all[280], &naive_root(&all[..300]), &proof), Ok(()));
}
