#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use super::*;
use crate::Config;
use client::Ambient;
use countersign_tests::{Person, World};
use keyfile::{Identity, Passphrase};
use log::{Checkpoint, leaf_hash};
use messages::Base64;
use std::{collections::BTreeSet, fs, path::Path};

/// A log as the control plane sends it, and the statements' ids.
fn lines(world: &World) -> Vec<LogEntryView> {
    let (mut replica, mut known) = (Replica::new(world.operator.did), BTreeSet::new());
    let say = |(seq, signed): (u64, countersign_tests::Signed)| {
        let admitted = replica.admit(&signed.statement(), world.now).unwrap();
        let tokens = signed.tokens().into_iter().filter(|t| known.insert(Cid::of(t))).map(Base64).collect();
        LogEntryView { seq, entry: Base64(admitted.entry), tokens }
    };
    (0..).zip(world.setup(10, 100)).map(say).collect()
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

#[tokio::test(flavor = "multi_thread")]
async fn a_node_counts_old_roots_from_what_it_has_stored() {
    let world = World::new(Ambient::system().now());
    let (lines, folder) = (lines(&world), tempfile::tempdir().unwrap());
    let (node, mut follower) = open(&world, folder.path()).await;
    // Full tiles come from the database, the others from the edge of the tree.
    let mut tree = Tree::new();
    assert!(follower.advance(&node, &lines).is_ok());
    for (line, size) in lines.iter().zip(1..) {
        tree.push(leaf_hash(&line.entry.0));
        assert_eq!(heard::past_root(&node.storage, &follower.replica, size).unwrap(), tree.root());
    }
    assert!(heard::past_root(&node.storage, &follower.replica, tree.size() + 1).is_err());
}
