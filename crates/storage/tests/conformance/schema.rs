use crate::{
    database::Database,
    samples::{batch, cid, digest, lead, proposal, tile},
};
use domain::{Digest, Time};
use storage::{Batch, Error, Evidence, Lock, Mention, NonceLock, OpenError, Storage, StoredCheckpoint};

const LOCK: Lock = Lock { digest: Digest::from_bytes([1; 32]), epoch: 1, seal: Digest::from_bytes([2; 32]) };

/// A database with a row in every table.
fn fill(db: &Database) {
    let s = db.storage();
    let mut first = batch(lead(s), None, 2);
    first.tiles = vec![tile(0, 0)];
    first.proposals = vec![proposal(0)];
    first.mentions = vec![Mention { cid: cid("x"), seq: 0, kind: "seen" }];
    s.append(&first).unwrap();
    let (note, chain) = ("note\n".to_owned(), digest("chain"));
    s.put_checkpoint(&StoredCheckpoint { number: 0, size: 2, note, chain }).unwrap();
    s.lock_intent(&digest("intent"), &LOCK).unwrap();
    let lock = NonceLock { digest: digest("a"), valid_until: Time::from_unix(9) };
    s.lock_nonce(&digest("contract"), 1, &lock, Time::ZERO, &|_, _| digest("seal")).unwrap();
    s.put_evidence(&Evidence { seq: 1, kind: "fork".into(), body: vec![1], seal: digest("seal") }).unwrap();
}

pub fn insert_only_tables_refuse_update_and_delete(db: &Database) {
    fill(db);
    let before = db.storage().counts().unwrap();
    let tables = [
        ("entries", "bytes = bytes"),
        ("tokens", "bytes = bytes"),
        ("tiles", "hashes = hashes"),
        ("checkpoints", "note = 'other'"),
        ("mentions", "kind = 'other'"),
        ("locks", "epoch = 2"),
        ("nonce_locks", "nonce = 2"),
        ("evidence", "kind = 'other'"),
    ];
    for (table, change) in tables {
        let update = format!("update {table} set {change}");
        let delete = format!("delete from {table}");
        let bulk = if db.is_sqlite() {
            format!("insert or replace into {table} select * from {table}")
        } else {
            format!("truncate {table} cascade")
        };
        for sql in [update, delete, bulk] {
            let refusal = db.raw(&sql).unwrap_err();
            assert!(refusal.contains("is insert-only"), "{sql}: {refusal}");
        }
    }
    assert_eq!(db.storage().counts().unwrap(), before);
}

pub fn the_head_neither_moves_back_nor_vanishes(db: &Database) {
    fill(db);
    let head = db.storage().head().unwrap();
    for sql in [
        "update head set epoch = 0",
        "update head set seq = 0",
        "update head set seq = null, leaf = null",
        "delete from head",
        "insert into head (id, epoch) values (2, 5)",
    ] {
        assert!(db.raw(sql).is_err(), "{sql}");
    }
    assert_eq!(db.storage().head().unwrap(), head);
}

pub fn opening_again_changes_nothing(db: &Database) {
    fill(db);
    let before = (db.storage().counts().unwrap(), db.storage().head().unwrap(), db.storage().lease().unwrap());
    for _ in 0..2 {
        let again = db.another();
        assert_eq!((again.counts().unwrap(), again.head().unwrap(), again.lease().unwrap()), before);
    }
}

pub fn many_processes_may_open_a_new_database_at_once(db: &Database) {
    let fresh = if db.is_sqlite() {
        db.url.replace("test.db", "fresh.db")
    } else {
        db.raw(&format!("drop schema {0} cascade; create schema {0}", db.name())).unwrap();
        db.url.clone()
    };
    std::thread::scope(|scope| {
        let open = || Storage::open(&fresh).map(|s| s.counts().unwrap()).unwrap();
        let threads: Vec<_> = (0..5).map(|_| scope.spawn(open)).collect();
        for thread in threads {
            assert_eq!(thread.join().unwrap().entries, 0);
        }
    });
    let s = Storage::open(&fresh).unwrap();
    s.append(&batch(lead(&s), None, 1)).unwrap();
}

pub fn a_changed_migration_is_refused(db: &Database) {
    let version = "20261120000100";
    db.raw(&format!("update migrations set checksum = 'other' where version = '{version}'")).unwrap();
    let error = Storage::open(&db.url).unwrap_err();
    assert!(matches!(error, OpenError::ChangedMigration { version: v } if v == version));
}

pub fn a_newer_schema_is_refused(db: &Database) {
    db.raw("insert into migrations (version, name, checksum) values ('29991231235959', 'later', 'x')").unwrap();
    let error = Storage::open(&db.url).unwrap_err();
    assert!(matches!(error, OpenError::Newer { version } if version == "29991231235959"));
}

pub fn a_migration_without_its_record_is_refused(db: &Database) {
    for version in ["20261121000000", "20261120000200", "20261120000100", "20261120000000"] {
        db.raw(&format!("delete from migrations where version = '{version}'")).unwrap();
        let error = Storage::open(&db.url).unwrap_err();
        assert!(matches!(&error, OpenError::Unrecorded { version: v } if v == version), "{error:?}");
    }
}

/// Takes the constraints and triggers of a column away and sets it.
fn force(db: &Database, table: &str, column: &str, value: &str) {
    let remove = if db.is_sqlite() {
        format!("pragma ignore_check_constraints = on; drop trigger if exists {table}_refuse_update;")
    } else {
        format!(
            "alter table {table} drop constraint if exists {table}_{column}_check;
             alter table {table} disable trigger user;"
        )
    };
    let value = if db.is_sqlite() { value.to_owned() } else { value.replace("x'", "'\\x") };
    db.raw(&format!("{remove} update {table} set {column} = {value}")).unwrap();
}

pub fn hostile_rows_are_errors_not_panics(db: &Database) {
    fill(db);
    let s = db.storage();
    let corrupt = |result: Result<String, Error>, expected: &str| {
        assert!(matches!(&result, Err(Error::Corrupt { table, .. }) if *table == expected), "{expected}: {result:?}");
    };
    for change in ["tenant = 'did:key:nonsense'", "asset = ''", "plugin = 'X'", "order_id = '…'"] {
        let column = change.split_once(' ').unwrap().0;
        db.raw(&format!("create table saved as select {column} from proposals; update proposals set {change}"))
            .unwrap();
        corrupt(s.proposals(&storage::ProposalFilter::default(), None, 9).map(|p| format!("{p:?}")), "proposals");
        corrupt(s.proposal(&proposal(0).id).map(|p| format!("{p:?}")), "proposals");
        corrupt(s.scan_entries(0, 9).map(|p| format!("{p:?}")), "proposals");
        db.raw(&format!("update proposals set {column} = (select {column} from saved); drop table saved")).unwrap();
    }
    force(db, "proposals", "total", "-1");
    corrupt(s.proposal(&proposal(0).id).map(|p| format!("{p:?}")), "proposals");
    force(db, "tokens", "ordinal", "-ordinal");
    corrupt(s.entries(0, 1).map(|e| format!("{e:?}")), "tokens");
    force(db, "tokens", "ordinal", "-ordinal");
    force(db, "locks", "digest", "x'00'");
    corrupt(s.lock(&digest("intent")).map(|l| format!("{l:?}")), "locks");
    corrupt(s.lock_intent(&digest("intent"), &LOCK).map(|l| format!("{l:?}")), "locks");
    force(db, "evidence", "digest", &format!("x'{}'", "00".repeat(32)));
    corrupt(s.evidence(0, 9).map(|e| format!("{e:?}")), "evidence");
    force(db, "evidence", "seq", "-seq");
    assert!(s.evidence(0, 9).unwrap().is_empty(), "but it is counted");
    assert_eq!(s.counts().unwrap().evidence, 1);
    force(db, "entries", "leaf", "x'0001'");
    corrupt(s.entries(0, 9).map(|e| format!("{e:?}")), "entries");
    force(db, "leases", "epoch", "-1");
    corrupt(s.lease().map(|l| format!("{l:?}")), "leases");
    force(db, "head", "leaf", "x'0001'");
    corrupt(s.head().map(|h| format!("{h:?}")), "head");
    let trigger = if db.is_sqlite() { "drop trigger head_refuse_delete;" } else { "" };
    db.raw(&format!("{trigger} delete from head")).unwrap();
    assert!(s.head().is_err() && s.acquire("x", Time::from_unix(1), 1).is_err());
    assert!(!s.database_is_reachable());
}

pub fn missing_tables_are_errors_not_panics(db: &Database) {
    fill(db);
    let s = db.storage();
    let cascade = if db.is_sqlite() { "" } else { "cascade" };
    db.raw(&format!("drop table mentions {cascade}; drop table tokens {cascade}; drop table checkpoints {cascade}"))
        .unwrap();
    assert!(matches!(s.entries(0, 1), Err(Error::Corrupt { .. })));
    assert!(matches!(s.mentions(&cid("x")), Err(Error::Corrupt { .. })));
    let (note, chain) = ("x\n".to_owned(), digest("chain"));
    let put = s.put_checkpoint(&StoredCheckpoint { number: 1, size: 1, note, chain });
    assert!(matches!(put, Err(Error::Corrupt { .. })));
    assert!(matches!(s.counts(), Err(Error::Corrupt { .. })));
    let result = s.append(&Batch { epoch: 1, ..batch(1, Some(1), 1) });
    assert!(matches!(result, Err(storage::AppendError::Corrupt { .. })), "{result:?}");
    assert_eq!(s.head().unwrap().unwrap().seq, 1, "nothing of the batch was written");
}
