//! Every format against another implementation of it: what we write, it accepts, and the other way round.

use crate::{Tiles, leaf, leaves, naive_root, note, signing_key};
use log::{
    Checkpoint, Hash, Note, NoteKey, TilePath, TileRef, Tree, consistency_proof, inclusion_proof, leaf_hash,
    verify_consistency, verify_inclusion,
};
use proptest::prelude::*;
use signed_note::{StandardVerifier, VerifierList};
use std::collections::HashMap;
use tlog_tiles::{TileHashReader, TileReader};

fn theirs(h: &Hash) -> tlog_tiles::Hash {
    tlog_tiles::Hash(*h.as_bytes())
}

fn ours(h: &tlog_tiles::Hash) -> Hash {
    Hash::from_bytes(h.0)
}

/// Serves tiles that `Tree` made to the peer, by path.
struct Served(HashMap<String, Vec<u8>>);

impl Served {
    fn of(n: u64) -> Self {
        let mut tree = Tree::from_leaves(leaves(n));
        let all = tree.drain_tiles().into_iter().chain(tree.partial_tiles());
        Self(all.map(|t| (TilePath::Tile(t.coordinates()).to_string(), t.hashes)).collect())
    }
}

/// The peer puts the tile height first, `tile/8/<L>/…`, as the Go checksum database does.
fn path_of(tile: &tlog_tiles::Tile) -> String {
    let path = tile.path();
    path.strip_prefix("tile/8/").map_or(path.clone(), |rest| format!("tile/{rest}"))
}

impl TileReader for Served {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[tlog_tiles::Tile]) -> Result<Vec<Vec<u8>>, tlog_tiles::Error> {
        tiles.iter().map(|t| self.0.get(&path_of(t)).cloned().ok_or(tlog_tiles::Error::InvalidTile)).collect()
    }

    fn save_tiles(&self, _: &[tlog_tiles::Tile], _: &[Vec<u8>]) {}
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn the_peer_reads_our_tiles_and_both_make_the_same_proofs(n in 1_u64..1500, a in any::<u64>(), b in any::<u64>()) {
        let all = leaves(n);
        let tiles = Tiles::of(&all);
        let root = Tree::from_leaves(all.iter().copied()).root();
        let served = Served::of(n);
        let reader = TileHashReader::new(n, theirs(&root), &served);
        prop_assert_eq!(ours(&tlog_tiles::tree_hash(n, &reader).unwrap()), root);

        let index = a % n;
        let mine = inclusion_proof(n, index, &|t| tiles.get(t)).unwrap();
        let peer: Vec<_> = tlog_tiles::prove_record(n, index, &reader).unwrap();
        prop_assert_eq!(&peer.iter().map(ours).collect::<Vec<_>>(), &mine);
        let leaf = &all[index as usize];
        let sent = mine.iter().map(theirs).collect();
        prop_assert!(tlog_tiles::check_record(&sent, n, theirs(&root), index, theirs(leaf)).is_ok());
        prop_assert_eq!(verify_inclusion(index, n, leaf, &root, &peer.iter().map(ours).collect::<Vec<_>>()), Ok(()));

        let old = b % n + 1;
        let old_root = naive_root(&all[..old as usize]);
        let mine = consistency_proof(old, n, &|t| tiles.get(t)).unwrap();
        let peer: Vec<_> = tlog_tiles::prove_tree(n, old, &reader).unwrap();
        prop_assert_eq!(&peer.iter().map(ours).collect::<Vec<_>>(), &mine);
        let sent = mine.iter().map(theirs).collect();
        prop_assert!(tlog_tiles::check_tree(&sent, n, theirs(&root), old, theirs(&old_root)).is_ok());
        prop_assert_eq!(verify_consistency(old, n, &old_root, &root, &peer.iter().map(ours).collect::<Vec<_>>()), Ok(()));
    }

    #[test]
    fn both_write_the_same_tile_paths(level in 0_u8..8, index in any::<u64>(), shift in 2_u32..64, width in 1_u16..=256) {
        let index = index >> shift;
        let mine = TilePath::Tile(TileRef { level, index, width }).to_string();
        let peer = tlog_tiles::Tile::new(8, level, index, u32::from(width), false);
        prop_assert_eq!(mine, path_of(&peer));
    }
}

#[test]
fn both_hash_alike() {
    assert_eq!(ours(&tlog_tiles::record_hash(b"entry")), leaf_hash(b"entry"));
    assert_eq!(ours(&tlog_tiles::node_hash(theirs(&leaf(0)), theirs(&leaf(1)))), naive_root(&leaves(2)));
    assert_eq!(ours(&tlog_tiles::EMPTY_HASH), Hash::empty_root());
}

#[test]
fn the_peer_verifies_our_notes_with_our_verifier_keys() {
    let (mine, log, quorum) = note::note();
    let peer = signed_note::Note::from_bytes(mine.to_string().as_bytes()).unwrap();
    let verifier =
        |k: &NoteKey| Box::new(StandardVerifier::new(&k.to_string()).unwrap()) as Box<dyn signed_note::Verifier>;
    let (signatures, _) = peer.verify(&VerifierList::new(vec![verifier(&log), verifier(&quorum)])).unwrap();
    assert_eq!(signatures.len(), 2);
    assert_eq!(peer.to_bytes(), mine.to_string().as_bytes());
    let checkpoint = tlog_tiles::Checkpoint::from_bytes(peer.text()).unwrap();
    assert_eq!((checkpoint.origin(), checkpoint.size()), ("log.example/1", 8));
    assert_eq!(checkpoint.extension(), "time 1700000000\n");
    assert_eq!(ours(checkpoint.hash()), note::checkpoint().root);
}

#[test]
fn we_verify_the_peers_notes_with_its_verifier_keys() {
    let key = signing_key(5);
    let vkey = signed_note::new_ed25519_verifier_key("log.example/1", &key.verifying_key());
    let ours: NoteKey = vkey.parse().unwrap();
    assert_eq!(ours, note::note_key("log.example/1", &key));
    let text =
        tlog_tiles::Checkpoint::new("log.example/1", 8, theirs(&note::checkpoint().root), "time 1700000000\n").unwrap();
    let signature = ed25519_dalek::Signer::sign(&key, &text.to_bytes()).to_bytes().to_vec();
    let line =
        signed_note::Signature::new("log.example/1".to_owned(), u32::from_be_bytes(ours.hash()), signature).unwrap();
    let peer = signed_note::Note::new(&text.to_bytes(), &[line]).unwrap().to_bytes();
    let parsed = Note::parse(std::str::from_utf8(&peer).unwrap()).unwrap();
    let verified = parsed.verify(&note::name("log.example/1"), &[ours]).unwrap();
    assert_eq!(Checkpoint::clone(&verified), note::checkpoint());
}
