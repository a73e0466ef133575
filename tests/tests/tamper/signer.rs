//! A signer's database, with locks that it has really taken, is changed while it is stopped. Started on it, the signer
//! refuses and names the table and the first bad entry. On PostgreSQL the same rows are changed in the same ways.

use crate::{
    database::{Database, Server, TABLES},
    payouts::Client,
    system::{System, program, within},
};
use domain::Digest;
use keyfile::{Identity, Passphrase};
use messages::ProposalStatus;
use rusqlite::{Connection, types::Value as Column};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};
use storage::Storage;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_mins(1);
/// Signers that are started at once.
const WORKERS: usize = 4;
/// Entries that are cut off, of those that the anchor has seen.
const TAIL: u64 = 3;

/// What the two pieces of evidence are about.
const SHOWN: [(u64, &str, &[u8]); 2] = [(4, "seen", b"one thing"), (5, "seen", b"another")];
/// Columns whose change does nothing to what a signer signs, and why.
const WITHOUT_MEANING: [(&str, &str); 9] = [
    // Start-up takes the lease anew.
    ("leases.holder", "who led"),
    ("leases.expires_at", "until when, within what a lease can last"),
    ("migrations.name", "for people"),
    // A control plane's tables, and one of a log much longer: a signer has no rows in them that could be edited.
    ("tiles.level, tiles.tile_index, tiles.hashes", "no rows"),
    ("checkpoints.number, checkpoints.size, checkpoints.note, checkpoints.chain", "no rows"),
    ("mentions.cid, mentions.seq, mentions.kind", "no rows"),
    ("proposals.id, proposals.seq, proposals.at, proposals.tenant", "no rows"),
    ("proposals.installation, proposals.plugin, proposals.kind, proposals.order_id", "no rows"),
    ("proposals.asset, proposals.total, proposals.status, proposals.updated", "no rows"),
];

/// The schema itself refuses the change.
const IMPOSSIBLE: &str = "impossible";
/// The columns of a proposal, and what they may hold between the first two and the last.
const PROPOSAL: &str = "id, seq, at, tenant, installation, plugin, kind, order_id, asset, total, status, updated";
const ROW: &str = "1, 'x', 'x', 'x', 'x', 'x', 'x', 1, 'approved'";

/// What is changed, and what start-up says; nothing, when the change has no meaning.
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
    show(&connection, &home);
    let number = |sql: &str| connection.query_row(sql, [], |r| r.get::<_, u32>(0)).unwrap();
    let (size, many) =
        (number("select count(*) from entries"), number("select max(seq) from tokens where ordinal = 1"));
    // Entries that came after its last checkpoint are not in the anchor: nothing says that they must be there.
    let (seen, _) = anchored(&home.join("data")).unwrap();
    let engines = std::iter::once(Server::Sqlite).chain(Server::postgres());
    let tried = engines.flat_map(|engine| {
        let database = on(&engine, &connection, kept);
        let cases = cases(&database, size.into(), seen - TAIL, many.into());
        covers_every_column(&database, &cases);
        try_all(kept, &home, &database, &cases)
    });
    let wrong: Vec<String> = tokio::task::block_in_place(|| tried.collect());
    assert!(wrong.is_empty(), "{} changes:\n{}", wrong.len(), wrong.join("\n"));
}

/// Tries every change, and says what is not as expected.
fn try_all(kept: &Path, home: &Path, database: &Database, cases: &[Case]) -> Vec<String> {
    let part = |part: &[Case]| part.iter().filter_map(|case| try_one(kept, home, database, case)).collect::<Vec<_>>();
    thread::scope(|scope| {
        let parts = cases.chunks(cases.len().div_ceil(WORKERS));
        let workers: Vec<_> = parts.map(|cases| scope.spawn(move || part(cases))).collect();
        workers.into_iter().flat_map(|w| w.join().expect("a case that can be tried")).collect()
    })
}

/// The signer's rows in a database of this engine.
fn on(engine: &Server, own: &Connection, folder: &Path) -> Database {
    let database = engine.database(folder);
    drop(Storage::open(&database.url()).unwrap());
    let mut sql = vec!["delete from head".to_owned()];
    for table in TABLES.iter().filter(|t| **t != "migrations") {
        let mut rows = own.prepare(&format!("select * from {table}")).unwrap();
        let columns = rows.column_names().collect::<Vec<_>>().join(", ");
        let width = rows.column_count();
        let literal = |value| match value {
            Column::Null => "null".to_owned(),
            Column::Integer(n) => n.to_string(),
            Column::Real(n) => n.to_string(),
            Column::Text(text) => format!("'{}'", text.replace('\'', "''")),
            Column::Blob(bytes) => database.literal(&bytes),
        };
        let row = |r: &rusqlite::Row<'_>| (0..width).map(|n| Ok(literal(r.get(n)?))).collect::<Result<Vec<_>, _>>();
        for row in rows.query_map([], row).unwrap() {
            let values = row.unwrap().join(", ");
            sql.push(format!("insert into {table} ({columns}) values ({values})"));
        }
    }
    database.change(&sql.join(";")).unwrap();
    database
}

/// Gives the signer two pieces of evidence of its own, sealed and counted as it does it itself. They show no halt, so
/// that it starts as if nothing were.
fn show(database: &Connection, home: &Path) {
    let config = fs::read_to_string(home.join("config.toml")).unwrap();
    let named = |name: &str| {
        let line = config.lines().find_map(|line| line.strip_prefix(&format!("{name} = \""))).unwrap();
        line.trim_end_matches('"').to_owned()
    };
    let passphrase = Passphrase::read(Path::new(&named("passphrase_file"))).unwrap();
    let identity = Identity::open(Path::new(&named("identity")), &passphrase).unwrap();
    let key = Digest::sha256(&[b"countersign seal v1".as_slice(), &identity.key().to_bytes()].concat());
    for (seq, kind, body) in SHOWN {
        let (digest, about) = (Digest::sha256(body), Digest::sha256(kind.as_bytes()));
        let row = [b"countersign evidence v1".as_slice(), &seq.to_be_bytes(), about.as_bytes(), digest.as_bytes()];
        let seal = Digest::sha256(&[key.as_bytes().as_slice(), &row.concat()].concat());
        let sql = "insert into evidence (seq, kind, digest, body, seal) values (?1, ?2, ?3, ?4, ?5)";
        let seq = i64::try_from(seq).unwrap();
        let row = (seq, kind, digest.as_bytes().as_slice(), body, seal.as_bytes().as_slice());
        database.execute(sql, row).unwrap();
    }
    let anchor = home.join("data/anchor");
    let text = fs::read_to_string(&anchor).unwrap();
    let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
    let counts = lines[1].strip_suffix(" 0").expect("no evidence before");
    lines[1] = format!("{counts} {}", SHOWN.len());
    fs::write(&anchor, lines.join("\n")).unwrap();
}

/// A column that a migration adds needs a case, or a reason.
fn covers_every_column(database: &Database, cases: &[Case]) {
    let excused = WITHOUT_MEANING.iter().flat_map(|(columns, _)| columns.split(", "));
    let known: BTreeSet<&str> = cases.iter().map(|(what, ..)| *what).chain(excused).collect();
    let columns = database.columns();
    let missing: Vec<_> = columns.iter().filter(|c| !known.contains(c.as_str())).collect();
    assert!(missing.is_empty(), "no change is tried on {missing:?}");
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
    let terms = ["--asset", &asset, "--cap", "7000000000", "--reason", "a test"];
    let asked = run(&[&["escrow", "cap", "--yes", "--as", "operator-1"], &terms[..]].concat());
    let id = asked["administration"].as_str().unwrap();
    run(&["escrow", "approve", "--yes", "--as", "operator-2", "--reason", "a test", id]);
}

/// How many entries and how many locks, on intents and on nonces, an anchor knows of.
fn anchored(data: &Path) -> Option<(u64, [u64; 2])> {
    let text = fs::read_to_string(data.join("anchor")).ok()?;
    let words: Vec<&str> = text.lines().nth(1)?.split(' ').collect();
    let number = |at: usize| words.get(at)?.parse().ok();
    Some((number(0)?, [number(2)?, number(3)?]))
}

/// Starts a signer on a changed copy, and says what is not as expected.
fn try_one(kept: &Path, home: &Path, database: &Database, (what, sql, expected): &Case) -> Option<String> {
    let copy = TempDir::new_in(kept).unwrap();
    fs::copy(home.join("data/anchor"), copy.path().join("anchor")).unwrap();
    let changed = database.copy();
    let taken = changed.change(sql);
    if expected == IMPOSSIBLE {
        return taken.is_ok().then(|| format!("{what} ({}): the schema takes it", changed.url()));
    }
    taken.unwrap_or_else(|e| panic!("{what}: {e}"));

    let text = fs::read_to_string(home.join("config.toml")).unwrap();
    let lines = text.lines().map(|line| match line.split(' ').next() {
        Some("data") => format!("data = \"{}\"", copy.path().display()),
        Some("listen") => "listen = \"127.0.0.1:0\"".to_owned(),
        _ => line.to_owned(),
    });
    let config = copy.path().join("config.toml");
    fs::copy(home.join("config.toml"), &config).unwrap();
    let own = format!("database = \"{}\"", changed.url());
    fs::write(&config, std::iter::once(own).chain(lines).collect::<Vec<_>>().join("\n")).unwrap();
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
    (!right).then(|| format!("{what} ({}): {} {said}", changed.url(), done.status))
}

fn cases(database: &Database, size: u64, cut: u64, many: u64) -> Vec<Case> {
    let (zeros, tile) = (database.literal(&[0; 32]), database.literal(&[0; 8192]));
    let (nothing, empty) = (database.literal(&[]), database.literal(Digest::sha256(&[]).as_bytes()));
    let bad = |table: &str, seq: u64| format!("table {table} is bad at sequence number {seq}:");
    let one = "where intent = (select intent from locks order by intent limit 1)";
    let other = "where intent = (select intent from locks order by intent desc limit 1)";
    let mut cases: Vec<Case> = vec![
        ("without a change", String::new(), String::new()),
        (
            "tiles: one made up",
            format!("insert into tiles (level, tile_index, hashes) values (5, 0, {tile})"),
            bad("tiles", size),
        ),
        (
            "checkpoints: one made up",
            format!("insert into checkpoints (number, size, note, chain) values (0, 1, 'x', {zeros})"),
            bad("checkpoints", size),
        ),
        (
            "mentions: one made up",
            format!("insert into mentions (cid, seq, kind) values ({zeros}, 3, 'x')"),
            bad("mentions", 3),
        ),
        ("locks.epoch", format!("update locks set epoch = epoch + 1 {one}"), bad("locks", size)),
        (
            "locks: two swapped",
            // Keys are unique at every moment, so what they lead to is exchanged.
            format!(
                "create table swapped as select digest, seal from locks {one};
                 update locks set digest = (select digest from locks {other}), seal = (select seal from locks {other}) {one};
                 update locks set digest = (select digest from swapped), seal = (select seal from swapped) {other};
                 drop table swapped"
            ),
            bad("locks", size),
        ),
        ("locks: dropped", format!("delete from locks {one}"), bad("locks", size)),
        (
            "locks: made up",
            format!("insert into locks (intent, digest, epoch, seal) values ({zeros}, {zeros}, 1, {zeros})"),
            bad("locks", size),
        ),
        (
            "evidence: made up",
            format!(
                "insert into evidence (seq, kind, digest, body, seal) values (1, 'halt', {empty}, {nothing}, {zeros})"
            ),
            bad("evidence", 1),
        ),
        (
            "proposals: one made up",
            format!("insert into proposals ({PROPOSAL}) values ({zeros}, 3, {ROW}, 3)"),
            bad("proposals", 3),
        ),
        (
            "proposals: one made up beyond the end",
            format!("insert into proposals ({PROPOSAL}) values ({zeros}, 100000, {ROW}, 100000)"),
            bad("proposals", size),
        ),
        (
            "a trigger that keeps locks away",
            another_trigger(database).into(),
            "table locks is bad: trigger another is not one that the migrations make".into(),
        ),
    ];
    for (what, column) in [("locks.intent", "intent"), ("locks.digest", "digest"), ("locks.seal", "seal")] {
        cases.push((what, format!("update locks set {column} = {zeros} {one}"), bad("locks", size)));
    }
    for sql in
        ["update head set id = 2", "insert into head (id, seq, leaf, epoch) select 2, seq, leaf, epoch from head"]
    {
        cases.push(("head.id", sql.into(), IMPOSSIBLE.into()));
    }
    cases.push(("leases.name", "update leases set name = 'other'".into(), IMPOSSIBLE.into()));
    cases.extend(migrations());
    cases.extend(entries(database, size, cut));
    cases.extend(tokens(database, size, many));
    cases.extend(head(&zeros, size));
    cases.extend(nonce_locks(&zeros, size));
    cases.extend(evidence(database, size));
    cases
}

fn migrations() -> Vec<Case> {
    let newest = "where version = (select max(version) from migrations)";
    vec![
        (
            "migrations.version",
            format!("update migrations set version = '20270101000000' {newest}"),
            "migration".into(),
        ),
        ("migrations.checksum", format!("update migrations set checksum = 'x' {newest}"), "migration".into()),
        (
            "migrations: one dropped",
            "delete from migrations where version = (select max(version) from migrations)".into(),
            "table migrations is bad".into(),
        ),
    ]
}

fn entries(database: &Database, size: u64, cut: u64) -> Vec<Case> {
    let (zeros, bytes) = (database.literal(&[0; 32]), database.literal(&[0xff]));
    let bad = |table: &str, seq: u64| format!("table {table} is bad at sequence number {seq}:");
    vec![
        ("entries.bytes", format!("update entries set bytes = {bytes} where seq = 3"), bad("entries", 3)),
        ("entries.leaf", format!("update entries set leaf = {zeros} where seq = 4"), bad("entries", 4)),
        ("entries.statement", format!("update entries set statement = {zeros} where seq = 4"), bad("entries", 4)),
        ("entries.seq", "update entries set seq = 100000 where seq = 5".into(), bad("entries", 5)),
        ("entries: two swapped", swap("entries", "seq", ("5", "6"), "100000"), bad("tokens", 5)),
        (
            "entries: two swapped with their tokens",
            swap("entries", "seq", ("5", "6"), "100000") + &swap("tokens", "seq", ("5", "6"), "100000"),
            bad("entries", 5),
        ),
        (
            "entries: one made up at the end",
            format!(
                "insert into entries (seq, bytes, leaf, statement) select {size}, bytes, leaf, {zeros} from entries where seq = 5"
            ),
            bad("tokens", size),
        ),
        (
            "entries: one made up beyond the end",
            format!(
                "insert into entries (seq, bytes, leaf, statement) select {size} + 7, bytes, leaf, {zeros} from entries where seq = 5"
            ),
            bad("entries", size),
        ),
        ("entries: one dropped", "delete from entries where seq = 6".into(), bad("entries", 6)),
        (
            "the tail cut",
            format!(
                "delete from tokens where seq >= {cut}; delete from entries where seq >= {cut};
                 update head set seq = {cut} - 1, leaf = (select leaf from entries where seq = {cut} - 1)"
            ),
            bad("entries", cut),
        ),
    ]
}

fn tokens(database: &Database, size: u64, many: u64) -> Vec<Case> {
    let (zeros, bytes) = (database.literal(&[0; 32]), database.literal(&[0xff]));
    let bad = |seq: u64| format!("table tokens is bad at sequence number {seq}:");
    vec![
        ("tokens.ordinal", format!("update tokens set ordinal = 9 where seq = {many} and ordinal = 1"), bad(many)),
        ("tokens.cid", format!("update tokens set cid = {zeros} where seq = 3 and ordinal = 0"), bad(3)),
        ("tokens.seq", format!("update tokens set seq = 4, ordinal = 9 where seq = {many} and ordinal = 1"), bad(4)),
        ("tokens: one dropped", format!("delete from tokens where seq = {many} and ordinal = 1"), bad(many)),
        ("tokens: a statement dropped", "delete from tokens where seq = 3".into(), bad(3)),
        ("tokens: two swapped", swap("tokens", "seq", ("2", "3"), "100000"), bad(2)),
        (
            "tokens: one made up",
            format!("insert into tokens (cid, seq, ordinal, bytes) values ({zeros}, 3, 9, {bytes})"),
            bad(3),
        ),
        ("tokens.bytes", format!("update tokens set bytes = {bytes} where seq = 3"), bad(3)),
        (
            "tokens: one made up beyond the end",
            format!("insert into tokens (cid, seq, ordinal, bytes) values ({zeros}, 100000, 0, {bytes})"),
            bad(size),
        ),
    ]
}

fn head(zeros: &str, size: u64) -> Vec<Case> {
    let bad = |table: &str, seq: u64| format!("table {table} is bad at sequence number {seq}:");
    vec![
        ("head.leaf", format!("update head set leaf = {zeros}"), bad("head", size - 1)),
        ("head.seq", "update head set seq = seq - 1".into(), bad("head", size - 2)),
        ("head: further than the log", "update head set seq = seq + 1".into(), bad("entries", size)),
        ("head: as of an empty log", "update head set seq = null, leaf = null".into(), bad("head", 0)),
        ("head: dropped", "delete from head".into(), bad("head", size - 1)),
        ("leases.epoch", "update leases set epoch = epoch + 1".into(), bad("leases", size - 1)),
        (
            "leases: another's, for centuries",
            "update leases set holder = 'another', expires_at = 9000000000".into(),
            bad("leases", size - 1),
        ),
        ("head.epoch", "update head set epoch = epoch + 1".into(), bad("leases", size - 1)),
        ("leases: dropped", "delete from leases".into(), bad("leases", size - 1)),
    ]
}

/// Three updates that exchange a key of two rows.
fn swap(table: &str, column: &str, (a, b): (&str, &str), spare: &str) -> String {
    let set = |to: &str, from: &str| format!("update {table} set {column} = {to} where {column} = {from};");
    [set(spare, a), set(a, b), set(b, spare)].concat()
}

fn evidence(database: &Database, size: u64) -> Vec<Case> {
    let [(first, ..), (second, ..)] = SHOWN;
    let (zeros, of) = (database.literal(&[0; 32]), format!("where seq = {first}"));
    let bad = |seq: u64| format!("table evidence is bad at sequence number {seq}:");
    let edit = |change: &str| format!("update evidence set {change} {of}");
    let (body, digest) = (database.literal(b"other"), database.literal(Digest::sha256(b"other").as_bytes()));
    let parts = "(digest, body, seal) = (select digest, body, seal from swapped where seq =";
    vec![
        ("evidence.seq", edit("seq = 3"), bad(3)),
        ("evidence.kind", edit("kind = 'halt'"), bad(first)),
        ("evidence.digest", edit(&format!("digest = {zeros}")), bad(size)),
        ("evidence.body", edit(&format!("body = {body}")), bad(size)),
        ("evidence.body with its digest", edit(&format!("body = {body}, digest = {digest}")), bad(first)),
        ("evidence.seal", edit(&format!("seal = {zeros}")), bad(first)),
        ("evidence: one dropped", format!("delete from evidence {of}"), bad(size)),
        ("evidence: all dropped", "delete from evidence".into(), bad(size)),
        (
            "evidence: two swapped",
            format!(
                "create table swapped as select * from evidence;
                 update evidence set {parts} {second}) where seq = {first};
                 update evidence set {parts} {first}) where seq = {second};
                 drop table swapped"
            ),
            bad(first),
        ),
        (
            "evidence: one made up of an own one",
            format!(
                "insert into evidence (seq, kind, digest, body, seal) select 9, kind, digest, body, seal from evidence {of}"
            ),
            bad(9),
        ),
    ]
}

const fn another_trigger(database: &Database) -> &'static str {
    match database.server() {
        Server::Sqlite => "create trigger another before insert on locks begin select raise(ignore); end",
        Server::Postgres(_) => {
            "create trigger another before insert on locks for each row execute function refuse_change()"
        }
    }
}

fn nonce_locks(zeros: &str, size: u64) -> Vec<Case> {
    let bad = || format!("table nonce_locks is bad at sequence number {size}:");
    let mut cases: Vec<Case> = vec![
        ("nonce_locks: dropped", "delete from nonce_locks".into(), bad()),
        (
            "nonce_locks: made up",
            format!(
                "insert into nonce_locks (contract, nonce, attempt, digest, valid_until, seal)
                 values ({zeros}, 9, 0, {zeros}, 1, {zeros})"
            ),
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
    for (what, change) in [
        ("nonce_locks.contract", format!("contract = {zeros}")),
        ("nonce_locks.digest", format!("digest = {zeros}")),
        ("nonce_locks.seal", format!("seal = {zeros}")),
        ("nonce_locks.nonce", "nonce = nonce + 1".to_owned()),
        ("nonce_locks.attempt", "attempt = attempt + 1".to_owned()),
        ("nonce_locks.valid_until", "valid_until = 1".to_owned()),
    ] {
        cases.push((what, format!("update nonce_locks set {change}"), bad()));
    }
    cases
}
