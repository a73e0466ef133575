//! A signer's database, with locks that it has really taken, is changed while it is stopped. Started on it, the signer
//! refuses and names the table and the first bad entry.

use crate::{
    payouts::Client,
    system::{System, program, within},
};
use messages::ProposalStatus;
use rusqlite::Connection;
use serde_json::Value;
use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_mins(1);
/// Signers that are started at once.
const WORKERS: usize = 4;
/// Entries that are cut off, of those that the anchor has seen.
const TAIL: u64 = 3;

/// What is changed, and what start-up says.
type Case = (&'static str, String, String);

#[tokio::test(flavor = "multi_thread")]
async fn every_change_to_a_signers_database_is_found() {
    let system = System::start().await;
    let client = Client::new(&system).await;
    let mut payouts = Vec::new();
    for _ in 0..3 {
        payouts.push(client.pay().await.0);
    }
    for id in &payouts {
        let paid = within(PATIENCE, async || {
            (client.reader().proposal(id).await.ok()?.status == ProposalStatus::Final).then_some(())
        });
        assert!(paid.await.is_some(), "{id} is not final");
    }
    change_a_cap(&system);
    // Two of three sign each, so of the two at least that have signed two payouts one has signed the cap. The next
    // checkpoint puts the locks on payouts into its anchor.
    let signers: Vec<String> = system.record.signers.iter().map(|s| s.name.clone()).collect();
    let home = system.folder().to_owned();
    let chosen = within(PATIENCE, async || {
        signers.iter().find(|name| {
            let seen = anchored(&home.join(name).join("data"));
            seen.is_some_and(|(_, [payouts, caps])| payouts >= 2 && caps >= 1)
        })
    });
    let chosen = chosen.await.expect("a signer that has signed").clone();
    let folder = system.end().await;
    let home = folder.path().join(&chosen);
    let (database, kept) = (home.join("data/log.db"), folder.path());

    let connection = Connection::open(&database).unwrap();
    let number = |sql: &str| connection.query_row(sql, [], |r| r.get::<_, u32>(0)).unwrap();
    let (size, many) =
        (number("select count(*) from entries"), number("select max(seq) from tokens where ordinal = 1"));
    drop(connection);
    // Entries that came after its last checkpoint are not in the anchor: nothing says that they must be there.
    let (seen, _) = anchored(&home.join("data")).unwrap();
    let cases = cases(size.into(), seen - TAIL, many.into());
    let wrong: Vec<String> = thread::scope(|scope| {
        let workers: Vec<_> = cases
            .chunks(cases.len().div_ceil(WORKERS))
            .map(|part| {
                let home = &home;
                scope.spawn(move || part.iter().filter_map(|case| try_one(kept, home, case)).collect::<Vec<_>>())
            })
            .collect();
        workers.into_iter().flat_map(|w| w.join().expect("a case that can be tried")).collect()
    });
    assert!(wrong.is_empty(), "{} of {} changes:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

/// Both of the operator's admins ask for a cap, which the quorum signs.
fn change_a_cap(system: &System) {
    let run = |arguments: &[&str]| -> Value {
        let mut command = Command::new(program());
        command.arg("--json").args(arguments).env("COUNTERSIGN_CLIENT", system.folder().join("client.toml"));
        let done = command.env_remove("RUST_LOG").output().unwrap();
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        serde_json::from_str(String::from_utf8_lossy(&done.stdout).lines().last().unwrap()).unwrap()
    };
    let asset = format!("{}/erc20:{}", system.record.chain.id, system.record.chain.token);
    let cap = ["escrow", "cap", "--as", "operator-1", "--asset", &asset, "--cap", "7000000000", "--reason", "a test"];
    let asked = run(&cap);
    let id = asked["administration"].as_str().unwrap();
    run(&["escrow", "approve", "--as", "operator-2", "--reason", "a test", id]);
}

/// How many entries and how many locks, on intents and on nonces, an anchor knows of.
fn anchored(data: &Path) -> Option<(u64, [u64; 2])> {
    let text = fs::read_to_string(data.join("anchor")).ok()?;
    let words: Vec<&str> = text.lines().nth(1)?.split(' ').collect();
    let number = |at: usize| words.get(at)?.parse().ok();
    Some((number(0)?, [number(2)?, number(3)?]))
}

/// Starts a signer on a changed copy, and says what is not as expected.
fn try_one(kept: &Path, home: &Path, (what, sql, expected): &Case) -> Option<String> {
    let copy = TempDir::new_in(kept).unwrap();
    for entry in ["log.db", "log.db-wal", "anchor"] {
        let from = home.join("data").join(entry);
        if from.exists() {
            fs::copy(from, copy.path().join(entry)).unwrap();
        }
    }
    let database = copy.path().join("log.db");
    let connection = Connection::open(&database).unwrap();
    let guards = "select 'drop trigger ' || name from sqlite_master where type = 'trigger'";
    let mut drops = connection.prepare(guards).unwrap();
    let drops: Vec<String> = drops.query_map([], |r| r.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
    let changing = Connection::open(&database).unwrap();
    changing.execute_batch("pragma foreign_keys = off").unwrap();
    changing.execute_batch(&drops.join(";")).unwrap();
    changing.execute_batch(sql).unwrap_or_else(|e| panic!("{what}: {e}"));
    drop(changing);

    let text = fs::read_to_string(home.join("config.toml")).unwrap();
    let lines = text.lines().map(|line| match line.split(' ').next() {
        Some("data") => format!("data = \"{}\"", copy.path().display()),
        Some("listen") => "listen = \"127.0.0.1:0\"".to_owned(),
        _ => line.to_owned(),
    });
    let config = copy.path().join("config.toml");
    fs::copy(home.join("config.toml"), &config).unwrap();
    fs::write(&config, lines.collect::<Vec<_>>().join("\n")).unwrap();
    let mut command = Command::new(program());
    // Without a leash to hold on to, one that starts in spite of everything ends at once.
    command.arg("signer").arg("--leashed").arg("--config").arg(&config).stdin(Stdio::null());
    let done = command.env_remove("RUST_LOG").output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    let right = if expected.is_empty() {
        done.status.success()
    } else {
        !done.status.success() && said.contains(expected.as_str())
    };
    (!right).then(|| format!("{what}: {} {said}", done.status))
}

fn cases(size: u64, cut: u64, many: u64) -> Vec<Case> {
    let bad = |table: &str, seq: u64| format!("table {table} is bad at sequence number {seq}:");
    let empty = "x'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'";
    let one = "where intent = (select min(intent) from locks)";
    let mut cases: Vec<Case> = vec![
        ("without a change", String::new(), String::new()),
        ("entries.bytes", "update entries set bytes = x'ff' where seq = 3".into(), "copy of the log is bad".into()),
        ("entries.leaf", "update entries set leaf = zeroblob(32) where seq = 4".into(), bad("entries", 4)),
        ("entries.statement", "update entries set statement = zeroblob(32) where seq = 4".into(), bad("entries", 4)),
        ("entries: one dropped", "delete from entries where seq = 6".into(), bad("entries", 6)),
        (
            "the tail cut",
            format!(
                "delete from tokens where seq >= {cut}; delete from entries where seq >= {cut};
                 update head set seq = {cut} - 1, leaf = (select leaf from entries where seq = {cut} - 1)"
            ),
            bad("entries", cut),
        ),
        (
            "tokens.ordinal",
            format!("update tokens set ordinal = 9 where seq = {many} and ordinal = 1"),
            bad("tokens", many),
        ),
        ("tokens.bytes", "update tokens set bytes = x'ff' where seq = 3".into(), "copy of the log is bad".into()),
        (
            "tokens: one made up beyond the end",
            "insert into tokens (cid, seq, ordinal, bytes) values (zeroblob(32), 100000, 0, x'00')".into(),
            bad("tokens", size),
        ),
        (
            "tiles: one made up",
            "insert into tiles (level, tile_index, hashes) values (5, 0, zeroblob(8192))".into(),
            bad("tiles", size),
        ),
        (
            "checkpoints: one made up",
            "insert into checkpoints (number, size, note, chain) values (0, 1, 'x', zeroblob(32))".into(),
            bad("checkpoints", size),
        ),
        (
            "mentions: one made up",
            "insert into mentions (cid, seq, kind) values (zeroblob(32), 3, 'x')".into(),
            bad("mentions", 3),
        ),
        ("head.leaf", "update head set leaf = zeroblob(32)".into(), bad("head", size - 1)),
        ("head.epoch", "update head set epoch = epoch + 1".into(), bad("leases", size - 1)),
        ("leases: dropped", "delete from leases".into(), bad("leases", size - 1)),
        ("locks: dropped", format!("delete from locks {one}"), bad("locks", size)),
        (
            "locks: made up",
            "insert into locks (intent, digest, epoch, seal) values (zeroblob(32), zeroblob(32), 1, zeroblob(32))"
                .into(),
            bad("locks", size),
        ),
        (
            "evidence: made up",
            format!(
                "insert into evidence (seq, kind, digest, body, seal) values (1, 'halt', {empty}, x'', zeroblob(32))"
            ),
            bad("evidence", 1),
        ),
        (
            "migrations: one dropped",
            "delete from migrations where version = (select max(version) from migrations)".into(),
            "table migrations is bad".into(),
        ),
    ];
    for change in ["intent = zeroblob(32)", "digest = zeroblob(32)", "epoch = epoch + 1", "seal = zeroblob(32)"] {
        cases.push(("locks: edited", format!("update locks set {change} {one}"), bad("locks", size)));
    }
    cases.extend(nonce_locks(size));
    cases
}

fn nonce_locks(size: u64) -> Vec<Case> {
    let bad = || format!("table nonce_locks is bad at sequence number {size}:");
    let mut cases: Vec<Case> = vec![
        ("nonce_locks: dropped", "delete from nonce_locks".into(), bad()),
        (
            "nonce_locks: made up",
            "insert into nonce_locks (contract, nonce, attempt, digest, valid_until, seal)
             values (zeroblob(32), 9, 0, zeroblob(32), 1, zeroblob(32))"
                .into(),
            bad(),
        ),
        (
            "nonce_locks: a later attempt made up of an own one",
            "insert into nonce_locks (contract, nonce, attempt, digest, valid_until, seal)
             select contract, nonce, attempt + 1, digest, valid_until, seal from nonce_locks"
                .into(),
            bad(),
        ),
    ];
    for change in [
        "contract = zeroblob(32)",
        "nonce = nonce + 1",
        "attempt = attempt + 1",
        "digest = zeroblob(32)",
        "valid_until = 1",
        "seal = zeroblob(32)",
    ] {
        cases.push(("nonce_locks: edited", format!("update nonce_locks set {change}"), bad()));
    }
    cases
}
