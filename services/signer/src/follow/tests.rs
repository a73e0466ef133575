#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use super::*;
use crate::Config;
use client::Ambient;
use countersign_tests::{Person, World, recipient};
use keyfile::{Identity, Passphrase};
use log::{Checkpoint, leaf_hash};
use messages::{Base64, RefusalCode};
use std::{collections::BTreeSet, fs, path::Path};

/// A log as the control plane sends it.
fn lines(world: &World) -> Vec<LogEntryView> {
    lines_and(world, 0)
}

/// A log with this many entries more.
fn lines_and(world: &World, more: u8) -> Vec<LogEntryView> {
    let (mut replica, mut known) = (Replica::new(world.operator.did), BTreeSet::new());
    let say = |(seq, signed): (u64, countersign_tests::Signed)| {
        let admitted = replica.admit(&signed.statement(), world.now).unwrap();
        let tokens = signed.tokens().into_iter().filter(|t| known.insert(Cid::of(t))).map(Base64).collect();
        LogEntryView { seq, entry: Base64(admitted.entry), tokens }
    };
    let more = (0..more).map(|_| world.verify_recipient(recipient(9)));
    (0..).zip(world.setup(10, 100).into_iter().chain(more)).map(say).collect()
}

async fn open(world: &World, folder: &Path) -> (Arc<Node>, Follower) {
    for needed in ["shares", "delegations"] {
        fs::create_dir(folder.join(needed)).unwrap();
    }
    let nowhere = || "http://127.0.0.1:9".parse().unwrap();
    let config = Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        data: folder.to_owned(),
        database: None,
        delegations: folder.join("delegations"),
        identity: Identity::from_key(Person::named("signer 1").key),
        passphrase: Passphrase::new("correct horse battery staple".to_owned()).unwrap(),
        operator: world.operator.did,
        sequencer: world.sequencer.did,
        control_plane: nowhere(),
        coordinators: vec![world.relayer.did],
        administrators: vec![world.operator.did],
        rpc: nowhere(),
        lease: 60,
    };
    crate::open(config, Ambient::system()).await.unwrap()
}

/// A node that has stored everything but the first three entries without learning that it has: the commit was reported
/// as failed.
async fn interrupted(world: &World, lines: &[LogEntryView], folders: [&Path; 2]) -> (Arc<Node>, Follower) {
    let (node, mut follower) = open(world, folders[0]).await;
    let (elsewhere, _) = open(world, folders[1]).await;
    assert!(follower.advance(&node, &lines[..3]).is_ok());
    let before = follower.replica.clone();
    assert!(follower.advance(&elsewhere, &lines[3..]).is_ok());
    follower.replica = before;
    follower.known.clear();
    follower.order.clear();
    (node, follower)
}

fn note(world: &World, lines: &[LogEntryView]) -> String {
    let tree = Tree::from_leaves(lines.iter().map(|line| leaf_hash(&line.entry.0)));
    let origin = "log.example.com/test".parse().unwrap();
    Checkpoint::of(origin, &tree, world.now).sign(&world.sequencer.key).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_failed_commit_has_stored_is_shown_size_by_size() {
    let world = World::new(Ambient::system().now());
    let (lines, folders) = (lines(&world), [(); 2].map(|()| tempfile::tempdir().unwrap()));
    let (node, mut follower) = interrupted(&world, &lines, folders.each_ref().map(tempfile::TempDir::path)).await;
    assert!(heard::hear(&node, &note(&world, &lines[..5])).await.unwrap());
    assert!(node.view.beyond().is_some());
    follower.recover(&node).unwrap();
    assert_eq!((node.view.beyond(), node.view.halted()), (None, None));
    assert_eq!(node.view.replica().next_seq(), u64::try_from(lines.len()).unwrap());
    let middle = Tree::from_leaves(lines[..5].iter().map(|line| leaf_hash(&line.entry.0)));
    assert_eq!(node.view.root_at(5), Some(middle.root()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_failed_commit_has_stored_is_held_against_what_was_heard() {
    let world = World::new(Ambient::system().now());
    let (lines, folders) = (lines(&world), [(); 2].map(|()| tempfile::tempdir().unwrap()));
    let (node, mut follower) = interrupted(&world, &lines, folders.each_ref().map(tempfile::TempDir::path)).await;
    // Of five entries, but not of these.
    let forked = note(&world, &lines[1..6]);
    assert!(heard::hear(&node, &forked).await.unwrap());
    let fork = follower.recover(&node).unwrap_err();
    assert_eq!(fork.evidence(), forked);
    assert!(node.view.halted().is_some());
}

/// What the log's key has signed over these entries, as this node reads it.
fn signed(world: &World, node: &Node, lines: &[LogEntryView]) -> log::SignedCheckpoint {
    heard::checkpoint(node.view.replica().state(), &note(world, lines)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_counts_old_roots_from_what_it_has_stored() {
    let world = World::new(Ambient::system().now());
    let (lines, folder) = (lines_and(&world, u8::MAX), tempfile::tempdir().unwrap());
    let (node, mut follower) = open(&world, folder.path()).await;
    // The full tile comes from the database, the others from the edge of the tree.
    assert!(follower.advance(&node, &lines).is_ok());
    assert!(lines.len() > 256);
    let elsewhere = &lines[1..];
    for size in [1, 2, 3, 8, 128, 255, 256, 257, lines.len() - 1] {
        let root = signed(&world, &node, &lines[..size]);
        let past = |signed| heard::past_root(&node.storage, &follower.replica, signed).unwrap();
        assert_eq!(past(&root), root.checkpoint().root, "{size}");
        assert_eq!(past(&signed(&world, &node, &elsewhere[..size])), root.checkpoint().root, "{size}, of another log");
    }
    let beyond = Tree::from_leaves(lines.iter().chain(&lines[..1]).map(|line| leaf_hash(&line.entry.0)));
    let origin = "log.example.com/test".parse().unwrap();
    let beyond = Checkpoint::of(origin, &beyond, world.now).sign(&world.sequencer.key).to_string();
    let beyond = heard::checkpoint(follower.replica.state(), &beyond).unwrap();
    assert!(heard::past_root(&node.storage, &follower.replica, &beyond).is_err());
}

/// A node that remembers the root of its whole log alone, and has stored its tiles with `damage`.
async fn stored(
    world: &World,
    lines: &[LogEntryView],
    folder: &Path,
    damage: impl Fn(&mut Vec<u8>),
) -> (Arc<Node>, Follower) {
    let (node, mut follower) = open(world, folder).await;
    let mut batch = Batch { epoch: follower.epoch, ..Batch::default() };
    for line in lines {
        let (mut admitted, tokens) = follower.take_line(&node, line).ok().unwrap();
        admitted.tiles.iter_mut().for_each(|tile| damage(&mut tile.hashes));
        add(&mut batch, admitted, tokens);
    }
    follower.storage.append(&batch).unwrap();
    let root = (follower.replica.tree().size(), follower.replica.tree().root());
    follower.show(&node, vec![root]).unwrap();
    (node, follower)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_tile_is_no_fork_and_a_fork_is_one_still() {
    let world = World::new(Ambient::system().now());
    let lines = lines_and(&world, u8::MAX);
    let (honest, forked) = (note(&world, &lines[..5]), note(&world, &lines[1..6]));

    for damage in [0, 31, 32 * 4] {
        let folder = tempfile::tempdir().unwrap();
        let (node, follower) = stored(&world, &lines, folder.path(), |hashes| hashes[damage] ^= 1).await;
        for note in [&honest, &forked] {
            let refusal = heard::hear(&node, note).await.unwrap_err();
            assert_eq!(refusal.code, RefusalCode::StorageUnavailable, "{refusal}");
            assert!(follower.checkpoint(&node, note, None).is_ok());
        }
        assert_eq!((node.view.halted(), node.view.longest()), (None, None), "nothing is learnt from it");
        assert!(heard::hear(&node, &note(&world, &lines)).await.unwrap(), "what is remembered is judged as before");
    }

    let folder = tempfile::tempdir().unwrap();
    let (node, follower) = stored(&world, &lines, folder.path(), |hashes| hashes[32 * 200] ^= 1).await;
    assert!(heard::hear(&node, &honest).await.unwrap(), "the damage is elsewhere");
    assert!(follower.checkpoint(&node, &forked, None).is_ok());
    assert_eq!(node.view.halted(), None, "but no proof can be had");

    for by_control_plane in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let (node, follower) = stored(&world, &lines, folder.path(), |_| ()).await;
        assert!(heard::hear(&node, &honest).await.unwrap());
        if by_control_plane {
            assert!(
                matches!(follower.checkpoint(&node, &forked, None), Err(Stop::Diverged { line, .. }) if line == forked)
            );
        } else {
            assert_eq!(heard::hear(&node, &forked).await.unwrap_err().code, RefusalCode::Diverged);
        }
        assert_eq!(node.view.halted(), Some("the log signed another root of size 5 than its entries have"));
    }
}
