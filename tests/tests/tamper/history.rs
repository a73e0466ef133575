//! Not rows but whole histories: a cut tail, an older copy, a rewritten end, a fork with the sequencer's own key.

use crate::{
    built::{Built, Node, config},
    database::{Database, Server},
    finds::Start,
};
use std::{fs, path::Path};

/// How many entries are cut: less than what follows the last full tile.
const TAIL: u64 = 12;
/// How far the log goes on after the copy.
const MORE: u64 = 20;

pub fn another_history_is_found(engine: &Server) {
    let mut built = Built::on(engine);
    let older = built.database.copy();
    let (older_anchor, old_size) = (built.path("anchor-of-the-copy"), built.size);
    fs::copy(&built.anchor, &older_anchor).unwrap();
    go_on(&mut built);
    assert_eq!(built.start(&built.database.copy()), Start::Serves, "without a change");
    assert!(built.verify(&built.database).is_ok());

    a_cut_tail(&built, &older_anchor);
    a_rewritten_end(&built);

    // An older copy is a good log, only not this one any more.
    assert_eq!(built.start(&older.copy()), Start::Bad("entries".into(), old_size));
    assert_finds(&built, &older, "fewer");

    a_fork(&built, &older, &older_anchor);
    nothing_at_all(&built, engine);
    other_anchors(&built);
}

/// The log grows, and an outsider keeps its newest checkpoint.
fn go_on(built: &mut Built) {
    let size = built.size + MORE;
    built.held = built.runtime.block_on(async {
        let node = Node::start(config(&built.world, built.database.url(), built.anchor.clone())).await;
        node.fill(&built.world, built.size, size - 1).await;
        node.say(&built.world.open_order("order-2", 1)).await;
        let held = node.checkpoint(&built.world, size).await;
        node.stop().await;
        held.unverified().clone()
    });
    built.size = size;
}

fn assert_finds(built: &Built, database: &Database, part: &str) {
    let said = built.verify(database).expect_err("the outsider holds a newer checkpoint");
    assert!(said.contains(part), "{said}");
}

/// The last entries go, with everything that is derived from them and everything that says that they were there.
fn a_cut_tail(built: &Built, older_anchor: &Path) {
    let cut = built.size - TAIL;
    let copy = built.database.copy();
    let sql = format!(
        "delete from mentions where seq >= {cut}; delete from proposals where seq >= {cut};
         delete from tokens where seq >= {cut}; delete from checkpoints where size > {cut};
         delete from entries where seq >= {cut};
         update head set seq = {cut} - 1, leaf = (select leaf from entries where seq = {cut} - 1);"
    );
    copy.change(&sql).unwrap();
    assert_eq!(built.start(&copy), Start::Bad("entries".into(), cut));
    assert_finds(built, &copy, "fewer");
    // Removing the anchor, too, does not help.
    let Start::Refused(said) = built.start_with(&copy, &built.path("no-such-file")) else { panic!("no anchor") };
    assert!(said.contains("anchor file is missing"), "{said}");
    // Whoever has database and anchor has everything that this machine knows. Others know more.
    assert_finds(built, &copy, "fewer");
    assert_eq!(built.start_with(&copy, older_anchor), Start::Serves);
}

/// The newest entry, an order, gets another time, and every hash of it that the database holds follows.
fn a_rewritten_end(built: &Built) {
    let (copy, last) = (built.database.copy(), built.size - 1);
    let row = format!("where seq = {last}");
    let bytes = built.database.blob(&format!("select bytes from entries {row}"));
    let mut entry = log::Entry::decode(&bytes).unwrap();
    entry.at = entry.at.plus(1);
    let bytes = entry.encode().unwrap();
    let (leaf, bytes) = (copy.literal(log::leaf_hash(&bytes).as_bytes()), copy.literal(&bytes));
    let sql = format!(
        "update entries set bytes = {bytes}, leaf = {leaf} {row}; update head set leaf = {leaf};
         delete from checkpoints where size = {}",
        built.size
    );
    copy.change(&sql).unwrap();
    assert_eq!(built.start(&copy), Start::Bad("entries".into(), last));
    assert_finds(built, &copy, "differs from a checkpoint");
}

/// The older copy goes on as another log, signed by the true sequencer: every row in it is good.
fn a_fork(built: &Built, older: &Database, older_anchor: &Path) {
    let fork = older.copy();
    let anchor = built.path("anchor-of-the-fork");
    fs::copy(older_anchor, &anchor).unwrap();
    built.runtime.block_on(async {
        let from = built.size - MORE;
        let node = Node::start(config(&built.world, fork.url(), anchor.clone())).await;
        node.fill(&built.world, from, built.size + 1).await;
        node.stop().await;
    });
    assert_eq!(built.start(&fork), Start::Bad("entries".into(), built.size - 1));
    assert_finds(built, &fork, "differs from a checkpoint");
    assert_eq!(built.start_with(&fork, &anchor), Start::Serves);
}

fn nothing_at_all(built: &Built, engine: &Server) {
    let empty = engine.database(&built.path(""));
    assert_eq!(built.start(&empty), Start::Bad("entries".into(), 0));
    assert_finds(built, &empty, "fewer");
}

/// The anchor itself is changed.
fn other_anchors(built: &Built) {
    let note = fs::read_to_string(&built.anchor).unwrap();
    let forged = note.replace("time 1", "time 2");
    let torn = note[..note.len() / 2].to_owned();
    let (note_alone, record) = note.split_at(note.rfind("stored ").unwrap());
    let fewer = format!("{note_alone}{}", record.replacen("stored ", "stored 0", 1));
    let path = built.path("anchor-without-record");
    fs::write(&path, note_alone).unwrap();
    assert_eq!(built.start_with(&built.database.copy(), &path), Start::Serves, "a published checkpoint is an anchor");
    for (what, text, says) in [
        ("a damaged record", fewer, "the last line of the anchor file is damaged"),
        ("torn", torn, "does not hold a checkpoint"),
        ("forged", forged, "the anchor is not this log's"),
        ("empty", String::new(), "does not hold a checkpoint"),
    ] {
        let path = built.path("changed-anchor");
        fs::write(&path, text).unwrap();
        let Start::Refused(said) = built.start_with(&built.database.copy(), &path) else { panic!("{what}") };
        assert!(said.contains(says), "{what}: {said}");
    }
}
