#![allow(clippy::arithmetic_side_effects, reason = "tests")]

use super::*;
use crate::{NewEntry, NewToken};

fn open(folder: &tempfile::TempDir) -> Sqlite {
    Sqlite::open(&folder.path().join("test.db"), None).unwrap()
}

fn batch(epoch: u64, old_head: Option<u64>, payload: usize) -> Batch {
    let seq = old_head.map_or(0, |seq| seq + 1);
    let bytes = vec![u8::try_from(seq).unwrap(); payload];
    let statement = Cid::of(&bytes);
    let entry = NewEntry {
        seq,
        leaf: Digest::sha256(&bytes),
        bytes: bytes.clone(),
        statement,
        tokens: vec![NewToken { cid: statement, bytes }],
    };
    Batch { epoch, old_head, entries: vec![entry], ..Batch::default() }
}

fn lead(db: &Sqlite) -> u64 {
    db.acquire("leader", Time::from_unix(1), Time::from_unix(2)).unwrap().unwrap().epoch
}

fn pragma<T: rusqlite::types::FromSql>(connection: &Connection, name: &str) -> T {
    connection.query_row(&format!("pragma {name}"), [], |r| r.get(0)).unwrap()
}

#[test]
fn every_connection_is_durable_and_checked() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(&folder);
    let check = |connection: &Connection| {
        assert_eq!(pragma::<String>(connection, "journal_mode"), "wal");
        assert_eq!(pragma::<i64>(connection, "synchronous"), 2, "full");
        assert_eq!(pragma::<i64>(connection, "foreign_keys"), 1);
        assert_eq!(pragma::<i64>(connection, "recursive_triggers"), 1);
    };
    check(&lock(&db.writer));
    db.read(|t| {
        check(t);
        assert!(t.execute("delete from proposals", []).is_err(), "a reader cannot write");
        Ok(())
    })
    .unwrap();
}

#[test]
fn a_full_disk_is_unavailable_until_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(&folder);
    let epoch = lead(&db);
    db.append(&batch(epoch, None, 10)).unwrap();
    let before = db.counts().unwrap();
    let pages: i64 = pragma(&lock(&db.writer), "page_count");
    let limit = |n: i64| assert_eq!(pragma::<i64>(&lock(&db.writer), &format!("max_page_count = {n}")), n);

    limit(pages);
    for _ in 0..3 {
        let result = db.append(&batch(epoch, Some(0), 100_000));
        assert!(matches!(result, Err(AppendError::Unavailable(_))), "{result:?}");
    }
    let evidence = Evidence { seq: 1, kind: "big".to_owned(), body: vec![0; 100_000], seal: Digest::sha256(b"") };
    assert!(matches!(db.put_evidence(&evidence), Err(Error::Unavailable(_))));
    assert_eq!(db.counts().unwrap(), before);
    assert_eq!(db.head().unwrap().unwrap().seq, 0);

    limit(pages + 1000);
    db.append(&batch(epoch, Some(0), 100_000)).unwrap();
    assert_eq!(open(&folder).head().unwrap().unwrap().seq, 1);
}

#[test]
fn another_process_that_writes_for_long_makes_it_unavailable() {
    let folder = tempfile::tempdir().unwrap();
    let (db, other) = (open(&folder), open(&folder));
    let epoch = lead(&db);
    lock(&db.writer).busy_timeout(Duration::ZERO).unwrap();
    // Where the room would be tried.
    fs::create_dir(folder.path().join("test.db-room")).unwrap();
    let mut writer = lock(&other.writer);
    let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
    let tried = db.try_writing();
    assert!(matches!(&tried, Err(Error::Unavailable(e)) if e.to_string().contains("locked")), "{tried:?}");
    assert!(matches!(db.append(&batch(epoch, None, 10)), Err(AppendError::Unavailable(_))));
    assert_eq!(db.head().unwrap(), None, "readers do not wait for writers");
    drop(transaction);
    assert!(matches!(db.try_writing(), Err(Error::Unavailable(_))), "there is no room");
    fs::remove_dir(folder.path().join("test.db-room")).unwrap();
    db.try_writing().unwrap();
    assert!(!folder.path().join("test.db-room").exists());
    db.append(&batch(epoch, None, 10)).unwrap();
}

#[test]
fn a_panic_while_writing_leaves_nothing_and_locks_nobody_out() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(&folder);
    let epoch = lead(&db);
    let panics = || {
        let _ = db.write(|t| -> Result<(), AppendError> {
            log::append(t, &batch(epoch, None, 10))?;
            panic!("in the middle");
        });
    };
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics)).is_err());
    assert_eq!(db.head().unwrap(), None);
    db.append(&batch(epoch, None, 10)).unwrap();
}

#[test]
fn a_panic_while_reading_gives_the_connection_back() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(&folder);
    for _ in 0..READERS * 2 {
        let panics = || drop(db.read(|_| -> Result<(), Error> { panic!("in the middle") }));
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics)).is_err());
    }
    assert_eq!(db.head().unwrap(), None);
}

#[test]
fn a_file_that_is_no_database_is_corrupt() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("test.db"), "not a database, but long enough to have a header".repeat(99)).unwrap();
    let result = Sqlite::open(&folder.path().join("test.db"), None).map(drop);
    assert!(matches!(result, Err(OpenError::Database(Error::Corrupt { .. }))), "{result:?}");
}

#[test]
fn a_folder_that_is_absent_is_unavailable() {
    let folder = tempfile::tempdir().unwrap();
    let result = Sqlite::open(&folder.path().join("absent/test.db"), None).map(drop);
    assert!(matches!(result, Err(OpenError::Database(Error::Unavailable(_)))), "{result:?}");
}

#[test]
fn the_write_ahead_log_is_overwritten_not_grown() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(&folder);
    let epoch = lead(&db);
    let mut head = None;
    for seq in 0..200_u64 {
        let mut next = batch(epoch, head, 10);
        let bytes = [seq.to_be_bytes().to_vec(), vec![0; 100_000]].concat();
        next.entries.iter_mut().for_each(|e| e.bytes.clone_from(&bytes));
        db.append(&next).unwrap();
        head = Some(seq);
    }
    let size = fs::metadata(folder.path().join("test.db-wal")).unwrap().len();
    // A commit is let in shortly before the log is full.
    let limit = u64::try_from(backfill::FULL).unwrap() + (1 << 20);
    assert!(size < limit, "20 MB went through a log of {size} bytes");
}
