//! Append throughput: `cargo bench -p countersign-storage`. SQLite always, PostgreSQL where `TEST_POSTGRES_URL` says.
//!
//! Each item is what a proposal costs: an entry, its statement of 600 bytes, a row in `proposals` and two mentions,
//! with a full tile every 256 entries. One thread appends one batch after another and waits for each to be durable.
#![expect(clippy::disallowed_methods, reason = "measuring time is the purpose")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::arithmetic_side_effects, reason = "a bench")]

use domain::{Amount, Cid, Did, Digest, Time};
use std::time::{Duration, Instant};
use storage::{Batch, Mention, NewEntry, NewTile, NewToken, ProposalRow, Storage, TILE_BYTES};

/// How long each batch size is measured: long enough to meet checkpoints of both engines.
const RUN: Duration = Duration::from_secs(4);

fn main() {
    // `cargo test` builds and starts benches too; without `--bench` there is nothing to do.
    if !std::env::args().any(|a| a == "--bench") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder for the database");
    measure("SQLite", &format!("sqlite:{}", folder.path().join("bench.db").display()));
    if let Ok(url) = std::env::var("TEST_POSTGRES_URL") {
        let mut client = postgres::Client::connect(&url, postgres::NoTls).expect("a server");
        client.batch_execute("drop schema if exists bench cascade; create schema bench").expect("a schema");
        let separator = if url.contains('?') { '&' } else { '?' };
        measure("PostgreSQL", &format!("{url}{separator}options=-csearch_path%3Dbench"));
        client.batch_execute("drop schema bench cascade").expect("the schema is gone");
    }
}

fn measure(engine: &str, url: &str) {
    let storage = Storage::open(url).expect("a database");
    let epoch = storage.acquire("bench", Time::from_unix(0), 10).unwrap().expect("nobody else").epoch;
    for size in [1, 32, 512] {
        let mut latencies = Vec::new();
        let start = Instant::now();
        while start.elapsed() < RUN {
            let batch = batch(epoch, storage.head().unwrap().map(|h| h.seq), size);
            let before = Instant::now();
            storage.append(&batch).expect("appended");
            latencies.push(before.elapsed());
        }
        let seconds: f64 = latencies.iter().map(Duration::as_secs_f64).sum();
        let batches = u32::try_from(latencies.len()).expect("few");
        latencies.sort();
        let at = |percent: usize| latencies.get(latencies.len() * percent / 100).expect("some").as_secs_f64() * 1e3;
        println!(
            "{engine:<10} batch {size:>3}: {:>6.0} entries/s, p50 {:.2} ms, p99 {:.2} ms",
            f64::from(batches) * f64::from(size) / seconds,
            at(50),
            at(99),
        );
    }
}

fn batch(epoch: u64, old_head: Option<u64>, size: u32) -> Batch {
    let first = old_head.map_or(0, |seq| seq + 1);
    let mut batch = Batch { epoch, old_head, ..Batch::default() };
    for seq in first..first + u64::from(size) {
        let mut bytes = vec![7; 600];
        bytes.splice(..8, seq.to_be_bytes());
        let statement = Cid::of(&bytes);
        let entry = [seq.to_be_bytes().as_slice(), &[1; 300]].concat();
        batch.proposals.push(proposal(statement, seq));
        for (name, kind) in [("installation", "installation"), ("order", "order")] {
            batch.mentions.push(Mention { cid: Cid::of(name.as_bytes()), seq, kind });
        }
        batch.entries.push(NewEntry {
            seq,
            leaf: Digest::sha256(&entry),
            bytes: entry,
            statement,
            tokens: vec![NewToken { cid: statement, bytes }],
        });
        if seq % 256 == 255 {
            batch.tiles.push(NewTile { level: 0, index: seq / 256, hashes: vec![0; TILE_BYTES] });
        }
    }
    batch
}

fn proposal(id: Cid, seq: u64) -> ProposalRow {
    ProposalRow {
        id,
        seq,
        at: Time::from_unix(1_800_000_000),
        tenant: Did::from_key([1; 32]),
        installation: Did::from_key([2; 32]),
        plugin: "com.example.payouts".parse().unwrap(),
        kind: "payout".to_owned(),
        order: format!("order-{seq}").parse().unwrap(),
        asset: "eip155:1/erc20:0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48".parse().unwrap(),
        total: Amount::new(1000).unwrap(),
        status: "approved".to_owned(),
        updated: seq,
    }
}
