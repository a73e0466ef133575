//! Rows to store. Their bytes mean nothing: storage never looks inside.

use crate::database::Database;
use domain::{Amount, Cid, Did, Digest, Time};
use storage::{Batch, NewEntry, NewTile, NewToken, ProposalRow, Storage, TILE_BYTES};

pub fn digest(name: &str) -> Digest {
    Digest::sha256(name.as_bytes())
}

pub fn cid(name: &str) -> Cid {
    Cid::of(name.as_bytes())
}

pub fn did(n: u8) -> Did {
    Did::from_key([n; 32])
}

pub fn token(name: &str) -> NewToken {
    NewToken { cid: cid(name), bytes: name.as_bytes().to_vec() }
}

/// An entry that brings its statement and one proof.
pub fn entry(seq: u64) -> NewEntry {
    let bytes = format!("entry {seq}").into_bytes();
    let statement = token(&format!("statement {seq}"));
    let tokens = vec![statement.clone(), token(&format!("proof {seq}"))];
    NewEntry { seq, leaf: Digest::sha256(&bytes), bytes, statement: statement.cid, tokens }
}

/// `count` entries after `old_head`, nothing else.
pub fn batch(epoch: u64, old_head: Option<u64>, count: u64) -> Batch {
    let first = old_head.map_or(0, |seq| seq + 1);
    Batch { epoch, old_head, entries: (first..first + count).map(entry).collect(), ..Batch::default() }
}

pub fn tile(level: u8, index: u64) -> NewTile {
    NewTile { level, index, hashes: vec![level; TILE_BYTES] }
}

pub fn proposal(seq: u64) -> ProposalRow {
    ProposalRow {
        id: cid(&format!("statement {seq}")),
        seq,
        at: Time::from_unix(1_800_000_000 + seq),
        tenant: did(1),
        installation: did(2),
        plugin: "com.example.payouts".parse().unwrap(),
        kind: "payout".to_owned(),
        order: format!("order-{seq}").parse().unwrap(),
        asset: "eip155:1/erc20:0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48".parse().unwrap(),
        total: Amount::new(1000 + seq).unwrap(),
        status: "approved".to_owned(),
        updated: seq,
    }
}

/// Takes the lease for a while that no case outlives.
pub fn lead(storage: &Storage) -> u64 {
    storage.acquire("leader", Time::from_unix(1000), 1_000_000).unwrap().unwrap().epoch
}

/// Makes the table of proposals as it was before the last migration.
pub fn take_back_the_last_migration(db: &Database) {
    let made = if db.is_sqlite() {
        include_str!("../../../../migrations/sqlite/20261120000100_create_read_models.sql")
    } else {
        include_str!("../../../../migrations/postgres/20261120000100_create_read_models.sql")
    };
    let (_, made) = made.split_once("create table proposals").unwrap();
    let (made, _) = made.split_once("create table mentions").unwrap();
    db.raw(&format!(
        "create table saved as select * from proposals; drop table proposals; create table proposals {made};
         insert into proposals select * from saved; drop table saved;
         delete from migrations where version = '20261121000100'"
    ))
    .unwrap();
}
