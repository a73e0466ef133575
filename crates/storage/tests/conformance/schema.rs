use crate::{
    database::Database,
    samples::{batch, cid, digest, lead, proposal, take_back_the_last_migration, tile},
};
use domain::{Digest, Time};
use std::cell::Cell;
use storage::{
    AppendError, Batch, Error, Evidence, Lock, Mention, NonceLock, OpenError, Storage, StoredCheckpoint, TriggerFault,
};

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

/// The URL of a database without a schema; with PostgreSQL this case's own, emptied.
fn fresh(db: &Database) -> String {
    if db.is_sqlite() {
        return db.url.replace("test.db", "fresh.db");
    }
    db.raw(&format!("drop schema {0} cascade; create schema {0}", db.name())).unwrap();
    db.url.clone()
}

pub fn many_processes_may_open_a_new_database_at_once(db: &Database) {
    let fresh = fresh(db);
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

pub fn a_schema_is_not_changed_under_another_leader(db: &Database) {
    let s = db.storage();
    let at = Time::from_unix(1_000);
    let lease = s.acquire("older", at, 10).unwrap().unwrap();
    s.append(&Batch { proposals: vec![proposal(0)], ..batch(lease.epoch, None, 1) }).unwrap();
    take_back_the_last_migration(db);
    // What an older release upserts by.
    let upsert = "insert into proposals select * from proposals where true on conflict (id) do update set updated = excluded.updated";
    db.raw(upsert).unwrap();
    let opened = Storage::open_to_lead(&db.url, "newer", 10, &|| at.plus(9));
    assert!(matches!(&opened, Err(OpenError::Led { holder }) if holder == "older"), "{opened:?}");
    db.raw(upsert).unwrap();
    // The leader itself may, after a restart, and anybody when it has gone.
    for (holder, now) in [("older", at.plus(9)), ("newer", at.plus(19))] {
        let opened = Storage::open_to_lead(&db.url, holder, 10, &|| now).unwrap();
        assert_eq!(opened.proposal(&proposal(0).id).unwrap(), Some(proposal(0)));
        assert!(db.raw(upsert).is_err(), "{holder}: the index is gone");
        take_back_the_last_migration(db);
    }
    drop(Storage::open(&db.url).unwrap());
    // A schema that is as it should be changes for nobody.
    drop(Storage::open_to_lead(&db.url, "third", 10, &|| at.plus(20)).unwrap());
}

pub fn whoever_migrates_leads_from_then_on(db: &Database) {
    let (s, at) = (db.storage(), Time::from_unix(1_000));
    let before = s.acquire("older", at, 10).unwrap().unwrap();
    take_back_the_last_migration(db);
    // The lease has ended without its holder having noticed, and the migration takes longer than a lease.
    let clock = Cell::new(at.plus(10));
    let slow = || clock.replace(clock.get().plus(100));
    drop(Storage::open_to_lead(&db.url, "newer", 10, &slow).unwrap());
    let (lease, migrated) = (s.lease().unwrap().unwrap(), clock.get().minus(100));
    assert!(migrated > at.plus(10), "it was looked at the clock after the migration");
    assert_eq!((lease.holder.as_str(), lease.expires_at), ("newer", migrated.plus(10)));
    assert_eq!(s.renew(&before, migrated, 10).unwrap(), None);
    assert_eq!(s.acquire("older", migrated.plus(9), 10).unwrap(), None);
    assert!(matches!(s.append(&batch(before.epoch, None, 1)), Err(AppendError::Fenced)));
    // Nothing is left to migrate, so nothing is taken.
    drop(Storage::open_to_lead(&db.url, "third", 10, &|| migrated.plus(20)).unwrap());
    assert_eq!(s.lease().unwrap().unwrap(), lease);
    assert!(s.acquire("newer", migrated.plus(9), 10).unwrap().unwrap().epoch > lease.epoch);
}

pub fn one_of_many_makes_a_new_database_and_leads(db: &Database) {
    let (fresh, at) = (fresh(db), Time::from_unix(1_000));
    let leads = |n: usize| {
        let holder = format!("node-{n}");
        match Storage::open_to_lead(&fresh, &holder, 10, &|| at) {
            Ok(s) => s.acquire(&holder, at, 10).unwrap().is_some(),
            Err(OpenError::Led { .. }) => false,
            Err(error) => panic!("{error:?}"),
        }
    };
    let leaders = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..5).map(|n| scope.spawn(move || leads(n))).collect();
        threads.into_iter().filter_map(|t| t.join().unwrap().then_some(())).count()
    });
    assert_eq!(leaders, 1);
}

pub fn a_migration_without_its_record_is_refused(db: &Database) {
    for version in ["20261121000000", "20261120000200", "20261120000100", "20261120000000"] {
        db.raw(&format!("delete from migrations where version = '{version}'")).unwrap();
        let error = Storage::open(&db.url).unwrap_err();
        assert!(matches!(&error, OpenError::Unrecorded { version: v } if v == version), "{error:?}");
    }
}

/// Why a database whose schema was changed like this is not opened; the change is taken back.
fn refused(db: &Database, change: &str, back: &str) -> (String, String, TriggerFault) {
    db.raw(change).unwrap();
    let result = Storage::open(&db.url);
    db.raw(back).unwrap();
    Storage::open(&db.url).unwrap();
    match result {
        Err(OpenError::Trigger { table, trigger, fault }) => (table, trigger, fault),
        other => panic!("{change}: {other:?}"),
    }
}

pub fn a_trigger_that_is_not_as_it_was_made_is_refused(db: &Database) {
    let sqlite = db.is_sqlite();
    let at = |table: &str, trigger: &str, fault| (table.to_owned(), trigger.to_owned(), fault);
    let guards = ["entries", "tokens", "tiles", "checkpoints", "mentions", "locks", "nonce_locks", "evidence"];
    for table in guards {
        let (name, made) = if sqlite {
            let says = format!("begin\n    select raise(abort, '{table} is insert-only');\nend");
            (format!("{table}_refuse_delete"), format!("before delete on {table}\n{says}"))
        } else {
            let does = "for each statement execute function refuse_change()";
            (format!("{table}_refuse_truncate"), format!("before truncate on {table} {does}"))
        };
        let drop = if sqlite { format!("drop trigger {name}") } else { format!("drop trigger {name} on {table}") };
        let create = format!("create trigger {name} {made}");
        assert_eq!(refused(db, &drop, &create), at(table, &name, TriggerFault::Missing));
    }
    if sqlite {
        let moves = "create trigger head_moves_forward before update on head
when new.epoch < old.epoch or coalesce(new.seq, -1) < coalesce(old.seq, -1)
begin
    select raise(abort, 'the head only moves forward');
end";
        let drop = "drop trigger head_moves_forward;";
        let weaker = format!("{drop} {}", moves.replace("new.epoch < old.epoch or ", ""));
        let changed = refused(db, &weaker, &format!("{drop} {moves}"));
        assert_eq!(changed, at("head", "head_moves_forward", TriggerFault::Changed));
        let foreign = "create trigger another after insert on locks begin select 1; end";
        assert_eq!(refused(db, foreign, "drop trigger another"), at("locks", "another", TriggerFault::Foreign));
        return;
    }
    let (off, on) = ("alter table locks disable trigger user", "alter table locks enable trigger user");
    assert_eq!(refused(db, off, on).2, TriggerFault::Changed);
    let replica = "alter table locks enable replica trigger locks_refuse_change";
    assert_eq!(refused(db, replica, on), at("locks", "locks_refuse_change", TriggerFault::Changed));
    let drop = "drop trigger locks_refuse_change on locks;";
    let create = |when: &str, function: &str| {
        format!("create trigger locks_refuse_change before {when} on locks for each row execute function {function}()")
    };
    let back = format!("{drop} {}", create("update or delete", "refuse_change"));
    for weaker in [create("delete", "refuse_change"), create("update or delete", "head_moves_forward")] {
        let changed = refused(db, &format!("{drop} {weaker}"), &back);
        assert_eq!(changed, at("locks", "locks_refuse_change", TriggerFault::Changed));
    }
    let body = |what: &str| {
        format!(
            "create or replace function refuse_change() returns trigger language plpgsql as $$\nbegin\n    {what}\nend\n$$"
        )
    };
    let raise = "raise exception '% is insert-only', tg_table_name using errcode = 'restrict_violation';";
    assert_eq!(refused(db, &body("return new;"), &body(raise)).2, TriggerFault::Changed);
    let foreign = "create trigger another after insert on locks for each row execute function refuse_change()";
    assert_eq!(refused(db, foreign, "drop trigger another on locks"), at("locks", "another", TriggerFault::Foreign));
    let rule = "create rule another as on insert to entries do instead nothing";
    assert_eq!(refused(db, rule, "drop rule another on entries"), at("entries", "another", TriggerFault::Foreign));
}

/// A table, and what inserts into it.
type Write<'a> = (&'static str, Box<dyn Fn() -> Result<(), Error> + 'a>);

pub fn an_insert_that_something_swallows_is_noticed(db: &Database) {
    let s = db.storage();
    let epoch = lead(s);
    if !db.is_sqlite() {
        db.raw("create function swallow() returns trigger language plpgsql as $$ begin return null; end $$").unwrap();
    }
    let before = s.counts().unwrap();
    let full = || Batch {
        tiles: vec![tile(0, 0)],
        proposals: vec![proposal(0)],
        mentions: vec![Mention { cid: cid("x"), seq: 0, kind: "seen" }],
        ..batch(epoch, None, 2)
    };
    let append = || {
        s.append(&full()).map_err(|e| match e {
            AppendError::Corrupt { table, what } => Error::Corrupt { table, what },
            // Tokens without their entry break a foreign key.
            AppendError::Refused { what } => Error::Corrupt { table: "entries", what },
            other => panic!("{other:?}"),
        })
    };
    let (note, chain) = ("note\n".to_owned(), digest("chain"));
    let checkpoint = StoredCheckpoint { number: 0, size: 2, note, chain };
    let nonce = NonceLock { digest: digest("a"), valid_until: Time::from_unix(9) };
    let evidence = Evidence { seq: 1, kind: "fork".into(), body: vec![1], seal: digest("seal") };
    let writes: Vec<Write<'_>> = vec![
        ("entries", Box::new(append)),
        ("tokens", Box::new(append)),
        ("tiles", Box::new(append)),
        ("proposals", Box::new(append)),
        ("mentions", Box::new(append)),
        ("leases", Box::new(|| s.acquire("leader", Time::from_unix(1), 1).map(drop))),
        ("checkpoints", Box::new(|| s.put_checkpoint(&checkpoint))),
        ("locks", Box::new(|| s.lock_intent(&digest("intent"), &LOCK).map(drop))),
        (
            "nonce_locks",
            Box::new(|| s.lock_nonce(&digest("contract"), 1, &nonce, Time::ZERO, &|_, _| digest("seal")).map(drop)),
        ),
        ("evidence", Box::new(|| s.put_evidence(&evidence).map(drop))),
    ];
    for (at, write) in writes {
        let (does, back) = if db.is_sqlite() {
            ("begin select raise(ignore); end", "drop trigger swallow".to_owned())
        } else {
            ("for each row execute function swallow()", format!("drop trigger swallow on {at}"))
        };
        db.raw(&format!("create trigger swallow before insert on {at} {does}")).unwrap();
        let result = write();
        assert!(matches!(&result, Err(Error::Corrupt { table, .. }) if *table == at), "{at}: {result:?}");
        db.raw(&back).unwrap();
    }
    assert_eq!((s.counts().unwrap(), s.head().unwrap()), (before, None));
    assert_eq!(s.lease().unwrap().unwrap().epoch, epoch);
    s.append(&full()).unwrap();
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
    corrupt(s.evidence(None, 9).map(|e| format!("{e:?}")), "evidence");
    force(db, "evidence", "seq", "-seq");
    assert!(s.evidence(None, 9).unwrap().is_empty(), "but it is counted");
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
    assert!(matches!(result, Err(AppendError::Corrupt { .. })), "{result:?}");
    assert_eq!(s.head().unwrap().unwrap().seq, 1, "nothing of the batch was written");
}
