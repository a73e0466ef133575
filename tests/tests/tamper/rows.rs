//! Every column edited, every kind of row dropped, swapped and made up.

use crate::{
    built::Built,
    database::{Database, Server},
    finds::Start,
    values,
};
use domain::Digest;
use replica::Report;
use std::{collections::BTreeSet, thread};

/// Cases that are tried at once.
const WORKERS: usize = 4;

/// Columns whose change does nothing to what the log says, and why.
const WITHOUT_MEANING: [(&str, &str); 8] = [
    // Start-up takes the lease anew. A lease of another's name can keep it waiting for as long as a lease lasts, which
    // whoever holds the database can do in simpler ways; it cannot make two sequencers write, because appending
    // compares the epoch and the head in one statement.
    ("leases.holder", "who led"),
    ("leases.expires_at", "until when, within what a lease can last"),
    ("migrations.name", "for people"),
    // A signer's tables: a control plane has no rows in them that could be edited.
    ("locks.intent, locks.digest, locks.epoch, locks.seal", "no rows"),
    ("nonce_locks.contract, nonce_locks.nonce, nonce_locks.attempt", "no rows"),
    ("nonce_locks.digest, nonce_locks.valid_until, nonce_locks.seal", "no rows"),
    ("evidence.seq, evidence.kind", "no rows"),
    ("evidence.digest, evidence.body, evidence.seal", "no rows"),
];

/// A change with what is to come of it.
pub struct Case {
    pub what: String,
    pub sql: String,
    pub start: Expected,
    pub outsider: Outsider,
}

/// What start-up must say.
pub enum Expected {
    /// This table, this entry.
    Bad(&'static str, u64),
    /// Something with this text.
    Refused(&'static str),
    /// Nothing: the change has no meaning.
    Serves,
    /// The schema itself refuses the change.
    Impossible,
}

/// What somebody with an old checkpoint must say of an export.
pub enum Outsider {
    /// That it is not the log.
    Finds,
    /// That it is the log: exports do not carry what was changed.
    SeesTheSame,
}

use Expected::{Bad, Impossible, Refused, Serves};
use Outsider::{Finds, SeesTheSame};

struct Cases(Vec<Case>);

impl Cases {
    fn add(&mut self, what: &str, start: Expected, outsider: Outsider, sql: impl Into<String>) {
        self.0.push(Case { what: what.to_owned(), sql: sql.into(), start, outsider });
    }
}

/// Three updates that exchange a key of two rows.
fn swap(table: &str, column: &str, (a, b): (&str, &str), spare: &str) -> String {
    let set = |to: &str, from: &str| format!("update {table} set {column} = {to} where {column} = {from};");
    [set(spare, a), set(a, b), set(b, spare)].concat()
}

pub fn every_change_is_found(engine: &Server) {
    let built = Built::on(engine);
    assert_eq!(built.start(&built.database.copy()), Start::Serves, "without a change");
    let before = built.verify(&built.database).unwrap();
    let file = built.export(&built.database).unwrap();
    assert!(before.cosigned_size.is_some() && before.checkpoints >= 4, "{before:?}");

    let mut cases = Cases(Vec::new());
    entries(&built, &mut cases);
    tokens(&built, &mut cases);
    tiles(&built, &mut cases);
    checkpoints(&built, &mut cases);
    proposals(&built, &mut cases);
    mentions(&built, &mut cases);
    bookkeeping(&built, &mut cases);
    covers_every_column(&built.database, &cases.0);
    cases.0.extend(values::cases(&built));

    // Most of a case is waiting for disks.
    let (built, share) = (&built, cases.0.len().div_ceil(WORKERS));
    let wrong: Vec<String> = thread::scope(|scope| {
        let workers: Vec<_> = cases
            .0
            .chunks(share)
            .map(|part| {
                let known = (&before, file.as_slice());
                scope.spawn(move || part.iter().flat_map(|case| try_one(built, case, known)).collect::<Vec<_>>())
            })
            .collect();
        workers.into_iter().flat_map(|w| w.join().expect("a case that can be tried")).collect()
    });
    assert!(wrong.is_empty(), "{} of {} changes:\n{}", wrong.len(), cases.0.len(), wrong.join("\n"));
}

/// Makes one change to a copy, and says what is not as expected.
fn try_one(built: &Built, case: &Case, (before, file): (&Report, &[u8])) -> Vec<String> {
    let mut wrong = Vec::new();
    let copy = built.database.copy();
    let changed = copy.change(&case.sql);
    if matches!(case.start, Impossible) {
        wrong.extend(changed.is_ok().then(|| format!("{}: the schema takes it", case.what)));
        return wrong;
    }
    changed.unwrap_or_else(|e| panic!("{}: {e}", case.what));
    let report = match built.export(&copy) {
        // The same file gets the same answer.
        Ok(same) if same == file => Ok(before.clone()),
        _ => built.verify(&copy),
    };
    let right = match &case.outsider {
        Finds => report.is_err(),
        SeesTheSame => {
            report.as_ref().is_ok_and(|r| (r.entries, &r.root, r.state) == (before.entries, &before.root, before.state))
        }
    };
    if !right {
        wrong.push(format!("{}: an outsider says {report:?}", case.what));
    }
    let start = built.start(&copy);
    let right = match (&case.start, &start) {
        (Bad(table, seq), Start::Bad(t, s)) => (*table, seq) == (t.as_str(), s),
        (Refused(part), Start::Refused(text)) => text.contains(part),
        (Serves, Start::Serves) => true,
        _ => false,
    };
    if !right {
        wrong.push(format!("{}: start-up says {start:?}", case.what));
    }
    wrong
}

/// A column that a migration adds needs a case, or a reason.
fn covers_every_column(database: &Database, cases: &[Case]) {
    let covered: BTreeSet<&str> = cases.iter().map(|c| c.what.as_str()).collect();
    let excused = WITHOUT_MEANING.iter().flat_map(|(columns, _)| columns.split(", "));
    let known: BTreeSet<&str> = covered.into_iter().chain(excused).collect();
    let columns = database.columns();
    let missing: Vec<_> = columns.iter().filter(|c| !known.contains(c.as_str())).collect();
    assert!(missing.is_empty(), "no change is tried on {missing:?}");
}

fn entries(built: &Built, cases: &mut Cases) {
    let (zeros, bad) = (built.database.literal(&[0; 32]), built.database.literal(&[0xff; 40]));
    cases.add("entries.seq", Bad("entries", 5), Finds, "update entries set seq = 100000 where seq = 5");
    cases.add("entries.bytes", Bad("entries", 5), Finds, format!("update entries set bytes = {bad} where seq = 5"));
    cases.add(
        "entries.leaf",
        Bad("entries", 4),
        SeesTheSame,
        format!("update entries set leaf = {zeros} where seq = 4"),
    );
    let sql = format!("update entries set statement = {zeros} where seq = 4");
    cases.add("entries.statement", Bad("tokens", 4), SeesTheSame, sql);
    cases.add("entries: the first dropped", Bad("entries", 0), Finds, "delete from entries where seq = 0");
    cases.add("entries: one dropped", Bad("entries", 6), Finds, "delete from entries where seq = 6");
    let last = built.size - 1;
    let sql = format!("delete from entries where seq = {last}");
    cases.add("entries: the last dropped", Bad("entries", last), Finds, sql);
    let closed = "update entries set seq = seq - 1 where seq > 20; update tokens set seq = seq - 1 where seq > 20";
    let sql = format!("delete from tokens where seq = 20; delete from entries where seq = 20; {closed}");
    if matches!(built.database.server(), Server::Sqlite) {
        cases.add("entries: one dropped, the gap closed", Bad("entries", 20), Finds, sql);
    }
    let order = swap("entries", "seq", ("5", "6"), "100000");
    cases.add("entries: two swapped", Bad("tokens", 5), Finds, order.clone());
    let with_tokens = order + &swap("tokens", "seq", ("5", "6"), "100000");
    cases.add("entries: two swapped with their tokens", Bad("entries", 5), Finds, with_tokens);
    let sql = format!(
        "insert into entries (seq, bytes, leaf, statement) select {}, bytes, leaf, {zeros} from entries where seq = 5",
        built.size
    );
    cases.add("entries: one made up", Bad("tokens", built.size), Finds, sql);
}

fn tokens(built: &Built, cases: &mut Cases) {
    let at = built.seqs.approved;
    let (zeros, bad) = (built.database.literal(&[0; 32]), built.database.literal(&[0xff; 40]));
    let of = |ordinal: u64| format!("where seq = {at} and ordinal = {ordinal}");
    cases.add("tokens.cid", Bad("tokens", at), SeesTheSame, format!("update tokens set cid = {zeros} {}", of(1)));
    let sql = format!("update tokens set seq = {}, ordinal = 7 {}", built.seqs.denied, of(2));
    cases.add("tokens.seq", Bad("tokens", at), Finds, sql);
    let order = format!("{}; ", swap_ordinals(at, 1, 2));
    // A verifier asks which tokens came with an entry, not in which order.
    cases.add("tokens.ordinal", Bad("tokens", at), SeesTheSame, order);
    let sql = format!("update tokens set ordinal = 9 {}", of(2));
    cases.add("tokens: a number left out", Bad("tokens", at), SeesTheSame, sql);
    cases.add("tokens: the statement is not the first", Bad("tokens", at), SeesTheSame, swap_ordinals(at, 0, 1));
    cases.add("tokens.bytes", Bad("tokens", at), Finds, format!("update tokens set bytes = {bad} {}", of(0)));
    let sql = format!("update tokens set bytes = {bad} {}", of(2));
    cases.add("tokens: a delegation changed", Bad("tokens", at), Finds, sql);
    cases.add("tokens: a statement dropped", Bad("tokens", at), Finds, format!("delete from tokens {}", of(0)));
    cases.add("tokens: a delegation dropped", Bad("tokens", at), Finds, format!("delete from tokens {}", of(1)));
    let two = swap("tokens", "seq", ("2", "3"), "100000");
    cases.add("tokens: two swapped", Bad("tokens", 2), Finds, two);
    let sql = format!("insert into tokens (cid, seq, ordinal, bytes) values ({zeros}, 3, 9, {bad})");
    cases.add("tokens: one made up", Bad("tokens", 3), Finds, sql);
    let sql = format!("insert into tokens (cid, seq, ordinal, bytes) values ({zeros}, 100000, 0, {bad})");
    cases.add("tokens: one made up beyond the end", Bad("tokens", built.size), SeesTheSame, sql);
}

fn swap_ordinals(seq: u64, a: u64, b: u64) -> String {
    let set = |to: u64, from: u64| format!("update tokens set ordinal = {to} where seq = {seq} and ordinal = {from};");
    [set(100, a), set(a, b), set(b, 100)].concat()
}

fn tiles(built: &Built, cases: &mut Cases) {
    let zeros = built.database.literal(&[0; 8192]);
    let (first, second) = (Bad("tiles", 255), || Bad("tiles", 511));
    cases.add("tiles.level", second(), SeesTheSame, "update tiles set level = 1 where tile_index = 1");
    cases.add("tiles.tile_index", second(), SeesTheSame, "update tiles set tile_index = 7 where tile_index = 1");
    let sql = format!("update tiles set hashes = {zeros} where tile_index = 0");
    cases.add("tiles.hashes", first, SeesTheSame, sql);
    cases.add("tiles: one dropped", second(), SeesTheSame, "delete from tiles where tile_index = 1");
    let sql = swap("tiles", "tile_index", ("0", "1"), "100");
    cases.add("tiles: two swapped", Bad("tiles", 255), SeesTheSame, sql);
    let sql = format!("insert into tiles (level, tile_index, hashes) values (1, 0, {zeros})");
    cases.add("tiles: one made up", Bad("tiles", built.size), SeesTheSame, sql);
}

fn checkpoints(built: &Built, cases: &mut Cases) {
    let first = built.database.number("select min(size) from checkpoints");
    let last = built.database.number("select max(size) from checkpoints");
    let quorum = built.database.number("select max(size) from checkpoints where note like '%/quorum %'");
    let newest = built.database.number("select max(number) from checkpoints");
    let cosigned = built.database.number("select max(number) from checkpoints where note like '%/quorum %'");
    let after = built.database.number(&format!("select size from checkpoints where number = {cosigned} + 1"));
    let zeros = built.database.literal(&[0; 32]);
    let sql = format!("update checkpoints set size = {} where size = {last}", last + 1);
    // An export carries the note, which says its size itself.
    cases.add("checkpoints.size", Bad("checkpoints", last + 1), SeesTheSame, sql);
    let sql = format!("update checkpoints set note = replace(note, 'time 1', 'time 2') where size = {first}");
    cases.add("checkpoints.note", Bad("checkpoints", first), Finds, sql);
    let sql = format!("update checkpoints set chain = {zeros} where number = {cosigned}");
    cases.add("checkpoints.chain", Bad("checkpoints", quorum), SeesTheSame, sql);
    let sql = format!("update checkpoints set number = 1000 where number = {newest}");
    cases.add("checkpoints.number", Bad("checkpoints", last), SeesTheSame, sql);
    let forged = "substr(note, 1, length(note) - 12) || 'AAAAAAAA' || substr(note, length(note) - 3)";
    let sql = format!("update checkpoints set note = {forged} where number = {cosigned}");
    cases.add("checkpoints: a cosignature changed", Bad("checkpoints", quorum), Finds, sql);
    let bare = format!("(select note from checkpoints where size = {quorum} and note not like '%/quorum %')");
    let sql = format!("update checkpoints set note = {bare} where number = {cosigned}");
    cases.add("checkpoints: a cosignature stripped", Bad("checkpoints", quorum), SeesTheSame, sql);
    let two = swap("checkpoints", "size", (&first.to_string(), &last.to_string()), "100000");
    cases.add("checkpoints: two swapped", Bad("checkpoints", first), Finds, two);
    let two = swap("checkpoints", "number", ("0", &newest.to_string()), "100000");
    // A plain note that comes to lie behind its cosigned one is found first.
    let notes = built.database.number(&format!("select count(*) from checkpoints where size = {first}"));
    let place = if notes > 1 { first } else { last };
    cases.add("checkpoints: the order of two swapped", Bad("checkpoints", place), SeesTheSame, two);
    let forged = "replace(note, 'time 1', 'time 2')";
    let sql = format!(
        "insert into checkpoints (number, size, note, chain) select 1000, 0, {forged}, chain from checkpoints
         where number = {newest}"
    );
    cases.add("checkpoints: one made up", Bad("checkpoints", 0), Finds, sql);
    let sql = format!(
        "insert into checkpoints (number, size, note, chain) select {}, size, note, chain from checkpoints
         where number = {newest}",
        newest + 1
    );
    cases.add("checkpoints: one stored twice", Bad("checkpoints", last), SeesTheSame, sql);
    let text = match built.database.server() {
        Server::Sqlite => "cast(note as blob)",
        Server::Postgres(_) => "convert_to(note, 'UTF8')",
    };
    let plain = format!("where size = {quorum} and note not like '%/quorum %'");
    let note = built.database.blob(&format!("select {text} from checkpoints {plain}"));
    let end = built.database.blob(&format!("select chain from checkpoints where number = {newest}"));
    let chain = Digest::sha256(&[&end, &quorum.to_be_bytes()[..], &note].concat());
    let chain = built.database.literal(chain.as_bytes());
    let sql = format!(
        "insert into checkpoints (number, size, note, chain) select {}, size, note, {chain} from checkpoints {plain}",
        newest + 1
    );
    let what = "checkpoints: one without its cosignature appended, chained as it must be";
    cases.add(what, Bad("checkpoints", quorum), SeesTheSame, sql);
    let line = "— log.example.com/other AAAAAAA=\n";
    let of = |column: &str| format!("select {column} from checkpoints where number = {newest}");
    let (size, note) = (built.database.number(&of("size")), built.database.blob(&of(text)));
    let chain = Digest::sha256(&[&end, &size.to_be_bytes()[..], &note, line.as_bytes()].concat());
    let sql = format!(
        "insert into checkpoints (number, size, note, chain) {}",
        of(&format!("{}, size, note || '{line}', {}", newest + 1, built.database.literal(chain.as_bytes())))
    );
    let what = "checkpoints: one with a line of nobody's appended, chained as it must be";
    cases.add(what, Bad("checkpoints", size), SeesTheSame, sql);
    let drop = |number: u64| format!("delete from checkpoints where number = {number};");
    let second = built.database.number("select size from checkpoints where number = 1");
    cases.add("checkpoints: the first dropped", Bad("checkpoints", second), SeesTheSame, drop(0));
    cases.add("checkpoints: the cosigned one dropped", Bad("checkpoints", after), SeesTheSame, drop(cosigned));
    // Numbers are unique at every moment, so they are moved by way of others.
    let closed = format!(
        "update checkpoints set number = number + 1000 where number > {cosigned};
         update checkpoints set number = number - 1001 where number > 1000"
    );
    let sql = drop(cosigned) + &closed;
    cases.add("checkpoints: one dropped, the gap closed", Bad("checkpoints", after), SeesTheSame, sql);
    cases.add("checkpoints: the newest dropped", Bad("checkpoints", built.size), SeesTheSame, drop(newest));
    cases.add("checkpoints: all dropped", Bad("checkpoints", built.size), SeesTheSame, "delete from checkpoints");
}

fn proposals(built: &Built, cases: &mut Cases) {
    let (s, zeros) = (&built.seqs, built.database.literal(&[0; 32]));
    let (at, other) = (s.approved, built.world.sequencer.did);
    let mut edit = |column: &str, value: &str, found: u64| {
        let sql = format!("update proposals set {column} = {value} where seq = {at}");
        cases.add(&format!("proposals.{column}"), Bad("proposals", found), SeesTheSame, sql);
    };
    edit("id", &zeros, at);
    edit("seq", "0", at);
    edit("at", "at + 1", at);
    edit("tenant", &format!("'{other}'"), at);
    edit("installation", &format!("'{other}'"), at);
    edit("plugin", "'com.example.other'", at);
    edit("kind", "'refund'", at);
    edit("order_id", "'order-2'", at);
    edit("asset", "replace(asset, '31337', '1')", at);
    edit("total", "total + 1", at);
    edit("status", "'denied'", at);
    edit("updated", &s.denied.to_string(), s.denied);
    let sql = format!("update proposals set tenant = 'nobody' where seq = {at}");
    cases.add("proposals: not a value", Bad("proposals", at), SeesTheSame, sql);
    let sql = format!("update proposals set asset = 'nothing' where seq = {}", s.paid);
    cases.add("proposals: not a value of a paid one", Bad("proposals", s.settled), SeesTheSame, sql);
    let sql = format!("update proposals set status = 'approved' where seq = {}", s.denied);
    cases.add("proposals: a denied one approved", Bad("proposals", s.denied), SeesTheSame, sql);
    let sql = format!("update proposals set status = 'approved' where seq = {}", s.paid);
    cases.add("proposals: a paid one unpaid", Bad("proposals", s.settled), SeesTheSame, sql);
    let sql = format!("update proposals set status = 'approved', updated = seq where seq = {}", s.paid);
    cases.add("proposals: a paid one as it was", Bad("proposals", s.paid + 1), SeesTheSame, sql);
    let sql = format!("delete from proposals where seq = {at}");
    cases.add("proposals: one dropped", Bad("proposals", at), SeesTheSame, sql);
    let id = |seq: u64| {
        let id = built.database.blob(&format!("select id from proposals where seq = {seq}"));
        built.database.literal(&id)
    };
    let sql = swap("proposals", "id", (&id(at), &id(s.denied)), &zeros);
    cases.add("proposals: two swapped", Bad("proposals", at), SeesTheSame, sql);
    let columns = "at, tenant, installation, plugin, kind, order_id, asset, total, status, updated";
    let sql = format!(
        "insert into proposals (id, seq, {columns}) select {zeros}, 0, {columns} from proposals where seq = {at}"
    );
    cases.add("proposals: one made up", Bad("proposals", at), SeesTheSame, sql);
    let beyond = columns.replace("updated", "100000");
    let sql = format!(
        "insert into proposals (id, seq, {columns}) select {zeros}, 100000, {beyond} from proposals where seq = {at}"
    );
    cases.add("proposals: one made up beyond the end", Bad("proposals", built.size), SeesTheSame, sql);
}

fn mentions(built: &Built, cases: &mut Cases) {
    let (at, zeros) = (built.seqs.approval, built.database.literal(&[0; 32]));
    let mut edit = |column: &str, value: &str| {
        let sql = format!("update mentions set {column} = {value} where seq = {at}");
        cases.add(&format!("mentions.{column}"), Bad("mentions", at), SeesTheSame, sql);
    };
    edit("cid", &zeros);
    edit("seq", "100000");
    edit("kind", "'/approval/withdraw'");
    let sql = format!("delete from mentions where seq = {at}");
    cases.add("mentions: one dropped", Bad("mentions", at), SeesTheSame, sql);
    let sql = swap("mentions", "seq", (&at.to_string(), &built.seqs.refusal.to_string()), "100000");
    cases.add("mentions: two swapped", Bad("mentions", at), SeesTheSame, sql);
    let sql = format!("insert into mentions (cid, seq, kind) values ({zeros}, 2, '/order/open')");
    cases.add("mentions: one made up", Bad("mentions", 2), SeesTheSame, sql);
    let sql = format!("insert into mentions (cid, seq, kind) values ({zeros}, 100000, '/order/open')");
    cases.add("mentions: one made up beyond the end", Bad("mentions", built.size), SeesTheSame, sql);
}

/// What says where the log ends, who leads it and how it is stored.
fn bookkeeping(built: &Built, cases: &mut Cases) {
    let (size, zeros) = (built.size, built.database.literal(&[0; 32]));
    cases.add("head.seq", Bad("head", size - 2), SeesTheSame, "update head set seq = seq - 1");
    cases.add("head: further than the log", Bad("entries", size), SeesTheSame, "update head set seq = seq + 1");
    cases.add("head.leaf", Bad("head", size - 1), SeesTheSame, format!("update head set leaf = {zeros}"));
    let sql = "update head set seq = null, leaf = null";
    cases.add("head: as of an empty log", Bad("head", 0), SeesTheSame, sql);
    cases.add("head: dropped", Bad("head", size - 1), SeesTheSame, "delete from head");
    cases.add("head.id", Impossible, SeesTheSame, "update head set id = 2");
    let sql = "insert into head (id, seq, leaf, epoch) select 2, seq, leaf, epoch from head";
    cases.add("head: a second row", Impossible, SeesTheSame, sql);
    let leases = || Bad("leases", size - 1);
    cases.add("head.epoch", leases(), SeesTheSame, "update head set epoch = 1");

    cases.add("leases: dropped", leases(), SeesTheSame, "delete from leases");
    cases.add("leases.epoch", leases(), SeesTheSame, "update leases set epoch = 1");
    cases.add("leases: a later epoch", leases(), SeesTheSame, "update leases set epoch = 9");
    let sql = "update leases set epoch = 1; update head set epoch = 1";
    cases.add("leases: an earlier epoch, and the head's", leases(), SeesTheSame, sql);
    cases.add("leases.name", Impossible, SeesTheSame, "update leases set name = 'other'");
    let sql = "update leases set holder = 'another', expires_at = 9000000000";
    cases.add("leases: another's, for centuries", leases(), SeesTheSame, sql);
    let sql = "insert into leases (name, holder, epoch, expires_at) values ('second', 'another', 9, 0)";
    cases.add("leases: a second row", Impossible, SeesTheSame, sql);

    let newest = "where version = (select max(version) from migrations)";
    let mut migrations = |what: &str, sql: String| {
        cases.add(what, Refused("migration"), Finds, sql);
    };
    migrations("migrations.version", format!("update migrations set version = '20270101000000' {newest}"));
    migrations("migrations.checksum", format!("update migrations set checksum = 'x' {newest}"));
    let sql = "insert into migrations (version, name, checksum) values ('20270101000000', 'x', 'x')";
    migrations("migrations: one made up", sql.to_owned());
    let (a, b) = ("'20261120000000'", "'20261120000100'");
    migrations("migrations: two swapped", swap("migrations", "version", (a, b), "'2'"));
    let no_record = || Refused("table migrations is bad: the database has migration 2026112");
    cases.add("migrations: one dropped", no_record(), Finds, format!("delete from migrations {newest}"));
    let sql = "delete from migrations where version = '20261120000100'";
    cases.add("migrations: one between dropped", no_record(), Finds, sql);
    cases.add("migrations: all dropped", no_record(), Finds, "delete from migrations");
    cases.add("migrations: renamed", Serves, SeesTheSame, "update migrations set name = 'x'");

    let sql = format!("insert into locks (intent, digest, epoch, seal) values ({zeros}, {zeros}, 1, {zeros})");
    cases.add("locks: a row in a control plane's database", Bad("locks", size), SeesTheSame, sql);
    let sql = format!(
        "insert into nonce_locks (contract, nonce, attempt, digest, valid_until, seal)
         values ({zeros}, 1, 0, {zeros}, 1, {zeros})"
    );
    cases.add("nonce_locks: a row in a control plane's database", Bad("nonce_locks", size), SeesTheSame, sql);
    let values = format!("(1, 'x', {zeros}, {zeros}, {zeros})");
    let sql = format!("insert into evidence (seq, kind, digest, body, seal) values {values}");
    cases.add("evidence: a row in a control plane's database", Bad("evidence", size), SeesTheSame, sql);
}
