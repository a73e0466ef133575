use crate::database::Database;
use storage::{CheckpointOutcome, Error};

const NOTE: &str = "log\n5\nroot\n\n— log sig\n";

pub fn a_note_only_grows_by_lines(db: &Database) {
    let s = db.storage();
    let longer = format!("{NOTE}— quorum sig ☂\n");
    assert_eq!(s.put_checkpoint(5, NOTE).unwrap(), CheckpointOutcome::Stored);
    assert_eq!(s.put_checkpoint(5, NOTE).unwrap(), CheckpointOutcome::Kept);
    assert_eq!(s.put_checkpoint(5, &longer).unwrap(), CheckpointOutcome::Extended);
    assert_eq!(s.put_checkpoint(5, NOTE).unwrap(), CheckpointOutcome::Kept, "the shorter note adds nothing");
    let other = NOTE.replace("root", "toor");
    assert_eq!(s.put_checkpoint(5, &other).unwrap(), CheckpointOutcome::Conflict(longer.clone()));
    assert_eq!(s.latest_checkpoint().unwrap().unwrap().note, longer);
    assert_eq!(s.counts().unwrap().checkpoints, 1);
}

pub fn the_largest_size_up_to_a_bound_is_found(db: &Database) {
    let s = db.storage();
    assert_eq!(s.latest_checkpoint().unwrap(), None);
    for size in [7, 0, 3] {
        s.put_checkpoint(size, &format!("{size}\n")).unwrap();
    }
    let found = |size| s.checkpoint_at_or_before(size).unwrap().map(|c| (c.size, c.note));
    assert_eq!(found(0), Some((0, "0\n".to_owned())));
    assert_eq!(found(6), Some((3, "3\n".to_owned())));
    assert_eq!(found(u64::MAX), Some((7, "7\n".to_owned())));
    assert_eq!(s.latest_checkpoint().unwrap().unwrap().size, 7);
    let sizes = |from, limit| s.checkpoints(from, limit).unwrap().iter().map(|c| c.size).collect::<Vec<_>>();
    assert_eq!(sizes(0, 10), [0, 3, 7]);
    assert_eq!(sizes(1, 1), [3]);
}

pub fn a_note_is_lines_of_text(db: &Database) {
    for note in ["", "no newline", "nul \0\n"] {
        assert!(matches!(db.storage().put_checkpoint(1, note), Err(Error::Refused { .. })), "{note:?}");
    }
    assert_eq!(db.storage().latest_checkpoint().unwrap(), None);
}

pub fn the_trigger_refuses_any_other_change(db: &Database) {
    db.storage().put_checkpoint(5, "a\nb\n").unwrap();
    for sql in [
        "update checkpoints set note = 'a' || chr(10)",
        "update checkpoints set note = 'x' || note",
        "update checkpoints set note = note",
        "update checkpoints set note = upper(note) || 'c'",
        "update checkpoints set size = 6, note = note || 'c'",
        "delete from checkpoints",
    ] {
        let sql = if db.is_sqlite() { sql.replace("chr(", "char(") } else { sql.to_owned() };
        let refusal = db.raw(&sql).unwrap_err();
        assert!(refusal.contains("signature lines") || refusal.contains("insert-only"));
    }
    assert_eq!(db.storage().latest_checkpoint().unwrap().unwrap().note, "a\nb\n");
}
