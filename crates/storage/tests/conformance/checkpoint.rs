use crate::{database::Database, samples::digest};
use storage::{Error, StoredCheckpoint};

fn note(number: u64, size: u64, text: &str) -> StoredCheckpoint {
    StoredCheckpoint { number, size, note: text.to_owned(), chain: digest(text) }
}

pub fn a_note_that_grows_is_stored_again(db: &Database) {
    let s = db.storage();
    let (first, longer) = (note(0, 5, "log\n\n— log sig\n"), note(1, 5, "log\n\n— log sig\n— quorum sig ☂\n"));
    s.put_checkpoint(&first).unwrap();
    s.put_checkpoint(&longer).unwrap();
    assert_eq!(s.latest_checkpoint().unwrap(), Some(longer.clone()));
    assert_eq!(s.checkpoints_by_number(0, 9).unwrap(), [first, longer]);
    let taken = s.put_checkpoint(&note(1, 6, "other\n"));
    assert!(matches!(&taken, Err(Error::Duplicate { table }) if table == "checkpoints"), "{taken:?}");
    assert_eq!(s.counts().unwrap().checkpoints, 2);
}

pub fn the_largest_size_up_to_a_bound_is_found(db: &Database) {
    let s = db.storage();
    assert_eq!(s.latest_checkpoint().unwrap(), None);
    for (number, size) in (0..).zip([7, 0, 3, 0]) {
        s.put_checkpoint(&note(number, size, &format!("{size} {number}\n"))).unwrap();
    }
    let found = |size| s.checkpoint_at_or_before(size).unwrap().map(|c| (c.size, c.number));
    assert_eq!(found(0), Some((0, 3)));
    assert_eq!(found(6), Some((3, 2)));
    assert_eq!(found(u64::MAX), Some((7, 0)));
    assert_eq!(s.latest_checkpoint().unwrap().unwrap().size, 7);
    let sizes = |from, limit| {
        s.checkpoints_by_size(from, limit).unwrap().iter().map(|c| (c.size, c.number)).collect::<Vec<_>>()
    };
    assert_eq!(sizes((0, 0), 10), [(0, 1), (0, 3), (3, 2), (7, 0)]);
    assert_eq!(sizes((0, 2), 2), [(0, 3), (3, 2)]);
    assert_eq!(sizes((3, 3), 2), [(7, 0)]);
    let numbers =
        |from, limit| s.checkpoints_by_number(from, limit).unwrap().iter().map(|c| c.number).collect::<Vec<_>>();
    assert_eq!(numbers(1, 2), [1, 2]);
    assert_eq!(numbers(4, 2), []);
}

pub fn a_note_is_lines_of_text(db: &Database) {
    for text in ["", "no newline", "nul \0\n"] {
        assert!(matches!(db.storage().put_checkpoint(&note(0, 1, text)), Err(Error::Refused { .. })), "{text:?}");
    }
    assert_eq!(db.storage().latest_checkpoint().unwrap(), None);
}
