use crate::{
    database::Database,
    samples::{batch, cid, digest, entry, lead, proposal, tile, token},
};
use domain::Time;
use std::sync::atomic::{AtomicBool, Ordering};
use storage::{AppendError, Batch, Counts, Error, MAX_PAGE, MAX_PAGE_BYTES, Mention, Storage, StoredCheckpoint};

pub fn an_empty_log_has_no_head(db: &Database) {
    let s = db.storage();
    assert!(s.database_is_reachable());
    assert_eq!(s.head().unwrap(), None);
    assert_eq!(s.lease().unwrap(), None);
    assert!(s.entries(0, 10).unwrap().is_empty());
    assert!(s.scan_entries(0, 10).unwrap().is_empty());
    assert_eq!(s.token(&cid("x")).unwrap(), None);
    assert!(s.token_many(&[]).unwrap().is_empty());
    assert_eq!(s.seq_of_statement(&cid("x")).unwrap(), None);
    assert_eq!(s.tile(0, 0).unwrap(), None);
    assert_eq!(s.counts().unwrap(), Counts::default());
    assert!(matches!(s.append(&batch(7, None, 1)), Err(AppendError::Fenced)), "nobody leads");
}

pub fn what_was_appended_is_read_back(db: &Database) {
    let s = db.storage();
    let epoch = lead(s);
    let mut first = batch(epoch, None, 2);
    first.tiles = vec![tile(0, 0), tile(1, 3)];
    // An entry brings its statement alone when the log holds the proofs.
    first.entries[1].tokens.pop();
    s.append(&first).unwrap();
    s.append(&batch(epoch, Some(1), 1)).unwrap();

    let head = s.head().unwrap().unwrap();
    assert_eq!((head.seq, head.leaf, head.epoch), (2, entry(2).leaf, epoch));
    let entries = s.entries(0, 10).unwrap();
    assert_eq!(entries.iter().map(|e| e.seq).collect::<Vec<_>>(), [0, 1, 2]);
    for (stored, new) in entries.iter().zip(first.entries.iter().chain(&[entry(2)])) {
        assert_eq!((&stored.bytes, stored.leaf, stored.statement), (&new.bytes, new.leaf, new.statement));
        let tokens: Vec<_> = stored.tokens.iter().map(|t| (t.cid, t.bytes.clone())).collect();
        assert_eq!(tokens, new.tokens.iter().map(|t| (t.cid, t.bytes.clone())).collect::<Vec<_>>());
    }
    let stored = s.token(&cid("proof 2")).unwrap().unwrap();
    assert_eq!((stored.cid, stored.seq, stored.bytes), (cid("proof 2"), 2, b"proof 2".to_vec()));
    let mut many = s.token_many(&[cid("proof 2"), cid("absent"), cid("statement 0")]).unwrap();
    many.sort_by_key(|t| t.seq);
    assert_eq!(many.iter().map(|t| t.cid).collect::<Vec<_>>(), [cid("statement 0"), cid("proof 2")]);
    assert_eq!(s.seq_of_statement(&cid("statement 1")).unwrap(), Some(1));
    assert_eq!(s.seq_of_statement(&cid("proof 0")).unwrap(), None);
    assert_eq!(s.tile(1, 3).unwrap(), Some(tile(1, 3).hashes));
    assert_eq!(s.tile(3, 1).unwrap(), None);
    let counts = s.counts().unwrap();
    assert_eq!((counts.entries, counts.tokens, counts.tiles), (3, 5, 2));
    assert_eq!(db.another().head().unwrap(), Some(head), "another process sees it");
}

pub fn a_page_starts_where_asked_and_is_bounded(db: &Database) {
    let s = db.storage();
    let count = u64::from(MAX_PAGE) + 10;
    s.append(&batch(lead(s), None, count)).unwrap();
    assert_eq!(s.entries(0, u32::MAX).unwrap().len(), MAX_PAGE as usize);
    assert_eq!(s.scan_entries(0, u32::MAX).unwrap().len(), MAX_PAGE as usize);
    let page = s.entries(count - 3, 2).unwrap();
    assert_eq!(page.iter().map(|e| e.seq).collect::<Vec<_>>(), [count - 3, count - 2]);
    assert!(page.iter().all(|e| e.tokens.len() == 2 && e.tokens.iter().all(|t| t.seq == e.seq)));
    assert!(s.entries(0, 0).unwrap().is_empty());
    assert!(s.entries(count, 10).unwrap().is_empty());
}

pub fn a_page_is_bounded_by_bytes_and_never_empty(db: &Database) {
    let s = db.storage();
    let epoch = lead(s);
    // A third of a page in tokens, twice in one token, once in the entry; then one that is more than a page, and a short one.
    let third = usize::try_from(MAX_PAGE_BYTES / 3).unwrap();
    let sizes = [(0, third), (0, third), (third, 0), (0, third), (third, 3 * third), (0, 0)];
    for (seq, (entry_bytes, token_bytes)) in (0_u64..).zip(sizes) {
        let mut batch = batch(epoch, seq.checked_sub(1), 1);
        let entry = &mut batch.entries[0];
        entry.bytes.resize(entry.bytes.len() + entry_bytes, b'.');
        entry.leaf = domain::Digest::sha256(&entry.bytes);
        let token = &mut entry.tokens[1];
        token.bytes.resize(token.bytes.len() + token_bytes, b'.');
        token.cid = domain::Cid::of(&token.bytes);
        s.append(&batch).unwrap();
    }
    let (mut pages, mut from) = (Vec::new(), 0);
    loop {
        let page = s.entries(from, u32::MAX).unwrap();
        let scanned = s.scan_entries(from, u32::MAX).unwrap();
        assert_eq!(scanned.into_iter().map(|e| e.entry).collect::<Vec<_>>(), page);
        let Some(last) = page.last() else { break };
        from = last.seq + 1;
        assert!(page.iter().all(|e| e.tokens.len() == 2), "with all of its tokens");
        pages.push(page.iter().map(|e| e.seq).collect::<Vec<_>>());
    }
    assert_eq!(pages, [vec![0, 1], vec![2, 3], vec![4], vec![5]]);
    assert_eq!(s.entries(4, 1).unwrap().len(), 1);
}

fn refused(result: &Result<(), AppendError>) -> bool {
    matches!(result, Err(AppendError::Refused { .. }))
}

pub fn a_batch_that_contradicts_itself_is_refused(db: &Database) {
    let s = db.storage();
    let epoch = lead(s);
    s.append(&batch(epoch, None, 1)).unwrap();
    let good = || batch(epoch, Some(0), 2);
    let broken: [fn(&mut Batch); 10] = [
        |b| b.entries.clear(),
        |b| b.entries[1].seq = 5,
        |b| b.entries.swap(0, 1),
        |b| b.entries[1].tokens.swap(0, 1),
        |b| b.old_head = None,
        |b| b.tiles = vec![storage::NewTile { hashes: vec![0; 32], ..tile(0, 0) }],
        |b| b.tiles = vec![tile(64, 0)],
        |b| b.mentions = vec![Mention { cid: cid("x"), seq: 0, kind: "late" }],
        |b| b.proposals = vec![storage::ProposalRow { updated: 3, ..proposal(1) }],
        |b| b.proposals = vec![storage::ProposalRow { id: proposal(2).id, ..proposal(1) }],
    ];
    for (case, break_it) in broken.into_iter().enumerate() {
        let mut batch = good();
        break_it(&mut batch);
        let result = s.append(&batch);
        assert!(refused(&result), "case {case}: {result:?}");
    }
    assert_eq!(s.counts().unwrap(), Counts { entries: 1, tokens: 2, ..Counts::default() });
    s.append(&good()).unwrap();
}

pub fn a_number_beyond_the_column_is_refused_or_not_found(db: &Database) {
    let s = db.storage();
    let epoch = lead(s);
    assert!(refused(&s.append(&batch(epoch, Some(1 << 63), 1))));
    assert!(refused(&s.append(&Batch { old_head: Some(u64::MAX), ..batch(epoch, None, 1) })));
    assert!(refused(&s.append(&batch(u64::MAX, None, 1))));
    let last = Batch { old_head: Some(u64::MAX - 1), entries: vec![entry(u64::MAX)], ..batch(epoch, None, 0) };
    assert!(refused(&s.append(&last)));
    assert!(s.entries(u64::MAX, 10).unwrap().is_empty());
    assert!(s.scan_entries(u64::MAX, 10).unwrap().is_empty());
    assert_eq!(s.tile(255, u64::MAX).unwrap(), None);
    let note = |number, size| StoredCheckpoint { number, size, note: "note\n".to_owned(), chain: digest("chain") };
    assert!(matches!(s.put_checkpoint(&note(0, u64::MAX)), Err(Error::Refused { .. })));
    assert!(matches!(s.put_checkpoint(&note(u64::MAX, 0)), Err(Error::Refused { .. })));
    assert!(matches!(s.acquire("x", Time::ZERO, u64::MAX), Err(Error::Refused { .. }) | Ok(None)));
    assert_eq!(s.head().unwrap(), None);
}

/// Repeats a row.
type Repeat = fn(&mut Batch);

pub fn a_duplicate_names_its_table_and_leaves_nothing(db: &Database) {
    let s = db.storage();
    let epoch = lead(s);
    let mut first = batch(epoch, None, 1);
    first.tiles = vec![tile(0, 0)];
    first.proposals = vec![proposal(0)];
    s.append(&first).unwrap();
    let before = s.counts().unwrap();
    let cases: [(&str, Repeat); 5] = [
        ("tokens", |b| {
            b.entries[1].statement = cid("statement 0");
            b.entries[1].tokens[0] = token("statement 0");
        }),
        ("tokens", |b| b.entries[1].tokens.push(token("proof 0"))),
        ("tokens", |b| b.entries[1].tokens.push(token("proof 1"))),
        ("tiles", |b| b.tiles = vec![tile(0, 0)]),
        ("mentions", |b| b.mentions = vec![Mention { cid: cid("x"), seq: 1, kind: "twice" }; 2]),
    ];
    for (table, repeat) in cases {
        let mut batch = batch(epoch, Some(0), 2);
        repeat(&mut batch);
        let result = s.append(&batch);
        assert!(matches!(&result, Err(AppendError::Duplicate { table: t }) if t == table), "{table}: {result:?}");
        assert_eq!(s.counts().unwrap(), before);
        assert_eq!(s.head().unwrap().unwrap().seq, 0);
    }
    s.append(&batch(epoch, Some(0), 2)).unwrap();
}

pub fn a_refused_row_rolls_the_whole_batch_back(db: &Database) {
    let s = db.storage();
    let epoch = lead(s);
    let mut bad = batch(epoch, None, 3);
    bad.tiles = vec![tile(0, 0)];
    bad.proposals = vec![proposal(1), storage::ProposalRow { status: "x".repeat(65), ..proposal(2) }];
    bad.mentions = vec![Mention { cid: cid("x"), seq: 0, kind: "seen" }];
    assert!(refused(&s.append(&bad)));
    assert_eq!(s.counts().unwrap(), Counts::default());
    assert_eq!(s.head().unwrap(), None);
    bad.proposals.pop();
    s.append(&bad).unwrap();
}

pub fn a_second_leader_fences_the_first(db: &Database) {
    let (first, second) = (db.storage(), db.another());
    let old = first.acquire("first", Time::from_unix(100), 10).unwrap().unwrap();
    first.append(&batch(old.epoch, None, 1)).unwrap();
    let new = second.acquire("second", Time::from_unix(200), 10).unwrap().unwrap();
    assert!(new.epoch > old.epoch);

    // The first has noticed nothing: its head is right, its epoch is over.
    assert!(matches!(first.append(&batch(old.epoch, Some(0), 1)), Err(AppendError::Fenced)));
    assert_eq!(first.renew(&old, Time::from_unix(201), 10).unwrap(), None);
    second.append(&batch(new.epoch, Some(0), 2)).unwrap();
    // Even the right epoch does not help with an old head, and a rejected batch is not told apart by its duplicates.
    assert!(matches!(first.append(&batch(new.epoch, Some(0), 1)), Err(AppendError::Fenced)));
    assert!(matches!(first.append(&batch(new.epoch, None, 1)), Err(AppendError::Fenced)));
    assert_eq!(first.head().unwrap().unwrap().seq, 2);
}

pub fn two_writers_with_one_epoch_never_both_win(db: &Database) {
    let other = db.another();
    let epoch = lead(db.storage());
    let wins = |s: &Storage| {
        let mut wins = 0_u64;
        while wins < 20 {
            let head = s.head().unwrap().map(|h| h.seq);
            match s.append(&batch(epoch, head, 1)) {
                Ok(()) => wins += 1,
                // A disk that is slow for the other one keeps this one waiting too long; nothing was written.
                Err(AppendError::Fenced | AppendError::Unavailable(_)) => {}
                Err(e) => panic!("{e:?}"),
            }
        }
        wins
    };
    let total = std::thread::scope(|scope| {
        let one = scope.spawn(|| wins(db.storage()));
        let two = scope.spawn(|| wins(&other));
        one.join().unwrap() + two.join().unwrap()
    });
    assert_eq!(db.storage().counts().unwrap().entries, total);
    assert_eq!(db.storage().head().unwrap().unwrap().seq, total - 1);
}

pub fn readers_see_whole_batches_while_appending(db: &Database) {
    const BATCHES: u64 = 40;
    const SIZE: u64 = 5;
    let s = db.storage();
    let epoch = lead(s);
    let done = AtomicBool::new(false);
    let read = || {
        let mut newest = None;
        let mut rounds = 0_u64;
        while !done.load(Ordering::Acquire) || rounds == 0 {
            let head = s.head().unwrap().map(|h| h.seq);
            assert!(head >= newest, "the head never moves back");
            newest = head;
            if let Some(seq) = head {
                assert_eq!(seq % SIZE, SIZE - 1, "never half a batch");
                let entries = s.entries((seq + 1).saturating_sub(SIZE), 5).unwrap();
                assert_eq!(entries.len(), 5);
                assert!(entries.iter().all(|e| e.tokens.len() == 2));
            }
            rounds += 1;
        }
    };
    std::thread::scope(|scope| {
        // More readers than connections, so that some wait for others.
        let readers: Vec<_> = (0..6).map(|_| scope.spawn(read)).collect();
        for n in 0..BATCHES {
            s.append(&batch(epoch, (n * SIZE).checked_sub(1), SIZE)).unwrap();
        }
        done.store(true, Ordering::Release);
        for reader in readers {
            reader.join().unwrap();
        }
    });
    assert_eq!(s.counts().unwrap().entries, BATCHES * SIZE);
}
