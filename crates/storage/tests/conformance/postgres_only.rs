//! What only a database behind a connection can do to its clients.

use crate::{
    database::Database,
    samples::{batch, entry, lead, take_back_the_last_migration},
};
use domain::Time;
use storage::{AppendError, Error, OpenError, Storage};

/// Ends the connections of a case and says how many there were.
fn terminate(db: &Database) -> i64 {
    let sql = "select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = $1";
    db.client().query_one(sql, &[&db.name()]).unwrap().get(0)
}

#[test]
fn a_lost_connection_is_unavailable_once() {
    let Some(db) = Database::postgres() else { return };
    let s = db.storage();
    let epoch = lead(s);
    s.append(&batch(epoch, None, 1)).unwrap();
    assert!(s.head().is_ok());
    assert!(terminate(&db) >= 2, "a writer and a reader");
    assert!(matches!(s.head(), Err(Error::Unavailable(_))));
    assert!(s.database_is_reachable());
    assert!(matches!(s.append(&batch(epoch, Some(0), 1)), Err(AppendError::Unavailable(_))));
    s.append(&batch(epoch, Some(0), 1)).unwrap();
    assert_eq!(s.head().unwrap().unwrap().seq, 1);
}

#[test]
fn a_backend_killed_in_the_middle_of_an_append_leaves_nothing() {
    let Some(db) = Database::postgres() else { return };
    let s = db.storage();
    let epoch = lead(s);
    // Somebody holds the head's row, so the append has begun and waits.
    let mut client = db.client();
    let mut transaction = client.transaction().unwrap();
    transaction.query("select epoch from head for update", &[]).unwrap();
    let result = std::thread::scope(|scope| {
        let append = scope.spawn(|| s.append(&batch(epoch, None, 3)));
        let waiting = "select count(*) from pg_stat_activity
            where application_name = $1 and cardinality(pg_blocking_pids(pid)) > 0";
        let mut observer = db.client();
        while !append.is_finished() && observer.query_one(waiting, &[&db.name()]).unwrap().get::<_, i64>(0) == 0 {}
        let has_waited = !append.is_finished();
        terminate(&db);
        let result = append.join().unwrap();
        assert!(has_waited, "the append never waited: {result:?}");
        result
    });
    assert!(matches!(result, Err(AppendError::Unavailable(_))), "{result:?}");
    transaction.rollback().unwrap();
    assert_eq!(s.head().unwrap(), None);
    assert_eq!(s.counts().unwrap().entries, 0);
    s.append(&batch(epoch, None, 3)).unwrap();
    assert_eq!(s.head().unwrap().unwrap().leaf, entry(2).leaf);
}

#[test]
fn nobody_leads_while_a_migration_waits() {
    let Some(db) = Database::postgres() else { return };
    let (at, later) = (Time::from_unix(1_000), Time::from_unix(1_010));
    let (older, another) = (db.storage(), db.another());
    let lease = older.acquire("older", at, 10).unwrap().unwrap();
    take_back_the_last_migration(&db);
    // Somebody reads what the migration changes, as a dump does.
    let (mut client, mut observer) = (db.client(), db.client());
    let mut reading = client.transaction().unwrap();
    reading.batch_execute("lock table proposals in access share mode").unwrap();
    let mut waiting = || -> i64 {
        let sql = "select count(*) from pg_stat_activity
            where application_name = $1 and cardinality(pg_blocking_pids(pid)) > 0";
        observer.query_one(sql, &[&db.name()]).unwrap().get(0)
    };
    std::thread::scope(|scope| {
        let opening = scope.spawn(|| Storage::open_to_lead(&db.url, "newer", 10, &|| later));
        while !opening.is_finished() && waiting() < 1 {}
        assert!(!opening.is_finished(), "the migration never waited");
        let renewing = scope.spawn(|| older.renew(&lease, later, 10));
        let acquiring = scope.spawn(|| another.acquire("other", later, 10));
        // Each gives up after a while, as when the database is away.
        while !renewing.is_finished() && !acquiring.is_finished() && waiting() < 3 {}
        reading.rollback().unwrap();
        opening.join().unwrap().unwrap();
        for led in [renewing.join().unwrap(), acquiring.join().unwrap()] {
            assert!(matches!(led, Ok(None) | Err(Error::Unavailable(_))), "{led:?}");
        }
    });
    assert_eq!(older.lease().unwrap().unwrap().holder, "newer");
}

#[test]
fn a_connection_lost_in_commit_leaves_the_outcome_unknown() {
    let Some(db) = Database::postgres() else { return };
    let s = db.storage();
    let epoch = lead(s);
    db.raw(
        "create function die() returns trigger language plpgsql as $$
         begin perform pg_terminate_backend(pg_backend_pid()); return new; end $$;
         create constraint trigger die after insert on entries deferrable initially deferred
         for each row execute function die();",
    )
    .unwrap();
    let result = s.append(&batch(epoch, None, 1));
    assert!(matches!(result, Err(AppendError::Unknown(_))), "{result:?}");
    db.raw("drop trigger die on entries").unwrap();
    let old_head = s.head().unwrap().map(|h| h.seq);
    s.append(&batch(epoch, old_head, 1)).unwrap();
}

/// Makes each append fail as a conflict until the sequence `attempts` has reached `from`.
fn conflict_until(db: &Database, from: u32, code: &str) {
    db.raw(&format!(
        "create sequence attempts;
         create function conflict() returns trigger language plpgsql as $$
         begin
             if nextval('attempts') < {from} then raise exception 'conflict' using errcode = '{code}'; end if;
             return new;
         end $$;
         create trigger conflict before insert on entries for each row execute function conflict();"
    ))
    .unwrap();
}

#[test]
fn a_conflict_is_retried() {
    for code in ["40001", "40P01"] {
        let Some(db) = Database::postgres() else { return };
        let epoch = lead(db.storage());
        conflict_until(&db, 4, code);
        db.storage().append(&batch(epoch, None, 1)).unwrap();
        assert_eq!(db.storage().head().unwrap().unwrap().seq, 0);
    }
}

#[test]
fn an_endless_conflict_is_unavailable() {
    let Some(db) = Database::postgres() else { return };
    let epoch = lead(db.storage());
    conflict_until(&db, 1000, "40001");
    assert!(matches!(db.storage().append(&batch(epoch, None, 1)), Err(AppendError::Unavailable(_))));
    let attempts: i64 = db.client().query_one("select last_value from attempts", &[]).unwrap().get(0);
    assert_eq!(attempts, 5);
    assert_eq!(db.storage().head().unwrap(), None);
}

#[test]
fn a_commit_waits_for_the_disk_whatever_the_default() {
    let Some(db) = Database::postgres() else { return };
    let url = db.url.replace("options=", "options=-csynchronous_commit%3Doff%20");
    let s = Storage::open(&url).unwrap();
    db.raw(
        "create table seen (value text);
         create function see() returns trigger language plpgsql as $$
         begin insert into seen values (current_setting('synchronous_commit')); return new; end $$;
         create trigger see before insert on entries for each row execute function see();",
    )
    .unwrap();
    s.append(&batch(lead(&s), None, 1)).unwrap();
    let value: String = db.client().query_one("select value from seen", &[]).unwrap().get(0);
    assert_eq!(value, "on");
}

#[test]
fn a_database_may_be_dropped_on_an_asynchronous_thread() {
    let Some(mut db) = Database::postgres() else { return };
    let storage = db.storage.take();
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async move { drop(storage) });
}

#[test]
fn urls_are_refused_without_being_repeated() {
    for url in [
        "mysql://secret@host/db",
        "sqlite:",
        "sqlite::memory:",
        "postgres://u:secret@host:port/db",
        "postgres://u:secret@host/db?sslmode=require",
        "postgres://u:secret@host/db?secret=1",
    ] {
        let error = Storage::open(url).unwrap_err();
        assert!(matches!(error, OpenError::Url { .. }), "{url}: {error:?}");
        assert!(!format!("{error} {error:?}").contains("secret"), "{url}");
    }
}

#[test]
fn an_absent_server_is_unavailable() {
    // Port 1 of this machine: nothing listens there.
    let error = Storage::open("postgres://u:secret@127.0.0.1:1/db").unwrap_err();
    assert!(matches!(error, OpenError::Database(Error::Unavailable(_))), "{error:?}");
    assert!(!format!("{error:?}").contains("secret"));
}
