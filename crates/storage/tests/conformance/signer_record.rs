use crate::{database::Database, samples::digest};
use domain::{Digest, Time};
use storage::{Evidence, Lock, LockOutcome, NonceLock, NoncePlace, StoredNonceLock};

fn lock(digest: Digest, epoch: u64) -> Lock {
    Lock { digest, epoch, seal: Digest::sha256(digest.as_bytes()) }
}

/// Of the whole row, so that a row says which place it was sealed for.
fn seal(place: &NoncePlace, lock: &NonceLock) -> Digest {
    digest(&format!("{place:?} {lock:?}"))
}

pub fn an_intent_is_locked_once(db: &Database) {
    let s = db.storage();
    let (intent, a, b) = (digest("intent"), digest("a"), digest("b"));
    assert_eq!(s.lock(&intent).unwrap(), None);
    assert_eq!(s.lock_intent(&intent, &lock(a, 1)).unwrap(), LockOutcome::Fresh);
    assert_eq!(s.lock_intent(&intent, &lock(a, 1)).unwrap(), LockOutcome::Same);
    let first = lock(a, 1);
    assert_eq!(s.lock_intent(&intent, &lock(b, 1)).unwrap(), LockOutcome::Conflict(first));
    assert_eq!(
        s.lock_intent(&intent, &lock(a, 2)).unwrap(),
        LockOutcome::Conflict(first),
        "another key, another message"
    );
    assert_eq!(s.lock_intent(&digest("other"), &lock(b, 1)).unwrap(), LockOutcome::Fresh);
    assert_eq!(db.another().lock(&intent).unwrap(), Some(first), "and it is durable");
    assert_eq!(s.counts().unwrap().locks, 2);
}

pub fn one_of_many_digests_is_locked(db: &Database) {
    let others: Vec<_> = (0..6).map(|_| db.another()).collect();
    let intent = digest("intent");
    let outcomes = std::thread::scope(|scope| {
        let take = |(n, s): (usize, _)| {
            let s: &storage::Storage = s;
            scope.spawn(move || s.lock_intent(&intent, &lock(digest(&n.to_string()), 1)).unwrap())
        };
        let threads: Vec<_> = others.iter().enumerate().map(take).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect::<Vec<_>>()
    });
    let lock = db.storage().lock(&intent).unwrap().unwrap();
    assert_eq!(outcomes.iter().filter(|o| **o == LockOutcome::Fresh).count(), 1);
    assert_eq!(outcomes.iter().filter(|o| **o == LockOutcome::Conflict(lock)).count(), 5);
}

pub fn a_nonce_is_locked_to_one_digest_until_that_has_ended(db: &Database) {
    let s = db.storage();
    let lock = |name: &str, until| NonceLock { digest: digest(name), valid_until: Time::from_unix(until) };
    let (contract, a, b) = (digest("contract"), lock("a", 100), lock("b", 200));
    let ask = |wanted: &NonceLock, ended| s.lock_nonce(&contract, 7, wanted, Time::from_unix(ended), &seal).unwrap();
    assert_eq!(ask(&a, 50), LockOutcome::Fresh);
    assert_eq!(ask(&a, 50), LockOutcome::Same);
    assert_eq!(ask(&b, 50), LockOutcome::Conflict(a));
    assert_eq!(ask(&b, 100), LockOutcome::Conflict(a), "the last second is valid");
    assert_eq!(ask(&b, 101), LockOutcome::Fresh);
    assert_eq!(ask(&b, 101), LockOutcome::Same);
    assert_eq!(ask(&a, 101), LockOutcome::Conflict(b), "what has ended does not come back");
    let elsewhere =
        |contract: &str, nonce| s.lock_nonce(&digest(contract), nonce, &a, Time::from_unix(101), &seal).unwrap();
    assert_eq!(elsewhere("contract", 8), LockOutcome::Fresh);
    assert_eq!(elsewhere("other", 7), LockOutcome::Fresh);
    let again = db.another().lock_nonce(&contract, 7, &a, Time::from_unix(101), &seal).unwrap();
    assert_eq!(again, LockOutcome::Conflict(b), "and it is durable");
    assert_eq!(s.counts().unwrap().nonce_locks, 4);
}

pub fn one_of_many_digests_is_locked_to_a_nonce(db: &Database) {
    let others: Vec<_> = (0..6).map(|_| db.another()).collect();
    let contract = digest("contract");
    let wanted = |n: usize| NonceLock { digest: digest(&n.to_string()), valid_until: Time::from_unix(100) };
    let outcomes = std::thread::scope(|scope| {
        let lock = |(n, s): (usize, _)| {
            let s: &storage::Storage = s;
            scope.spawn(move || s.lock_nonce(&contract, 7, &wanted(n), Time::from_unix(50), &seal).unwrap())
        };
        let threads: Vec<_> = others.iter().enumerate().map(lock).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(outcomes.iter().filter(|o| **o == LockOutcome::Fresh).count(), 1);
    assert_eq!(db.storage().counts().unwrap().nonce_locks, 1);
}

pub fn evidence_is_kept_once_in_order(db: &Database) {
    let s = db.storage();
    let evidence =
        |seq, kind: &str, body: &str| Evidence { seq, kind: kind.to_owned(), body: body.into(), seal: digest(body) };
    let all = [evidence(9, "divergence", "x"), evidence(2, "fork", ""), evidence(2, "divergence", "x")];
    let stored: Vec<bool> = all.iter().chain(&all).map(|e| s.put_evidence(e).unwrap()).collect();
    assert_eq!(stored, [true, true, true, false, false, false], "the same again makes no row");
    let [nine, fork, divergence] = all;
    assert_eq!(s.evidence(None, 10).unwrap(), [divergence, fork.clone(), nine.clone()]);
    assert_eq!(s.evidence(Some(&fork), 10).unwrap(), [nine]);
    assert_eq!(s.counts().unwrap().evidence, 3);
    assert!(s.put_evidence(&evidence(2, "fork", "another body")).unwrap());
    assert_eq!(s.counts().unwrap().evidence, 4);
    assert!(s.put_evidence(&evidence(2, "", "x")).is_err());
}

pub fn evidence_about_one_position_is_paged_by_its_whole_key(db: &Database) {
    let s = db.storage();
    for (seq, kind, body) in [(7, "line", "a"), (7, "line", "b"), (7, "halt", "a"), (7, "line", "c"), (2, "line", "d")]
    {
        s.put_evidence(&Evidence { seq, kind: kind.to_owned(), body: body.into(), seal: digest(body) }).unwrap();
    }
    let mut paged: Vec<Evidence> = Vec::new();
    while let Some(next) = s.evidence(paged.last(), 1).unwrap().pop() {
        paged.push(next);
    }
    assert_eq!(paged, s.evidence(None, 10).unwrap());
    assert_eq!(paged.len(), 5);
}

pub fn locks_are_listed_by_intent(db: &Database) {
    let s = db.storage();
    let mut all: Vec<_> = ["a", "b", "c"].map(|name| (digest(name), lock(digest("d"), 1))).to_vec();
    for (intent, lock) in &all {
        s.lock_intent(intent, lock).unwrap();
    }
    all.sort_by_key(|(intent, _)| *intent.as_bytes());
    assert_eq!(s.locks(None, 9).unwrap(), all);
    assert_eq!(s.locks(Some(&all[0].0), 1).unwrap(), all[1..2]);
    assert_eq!(s.locks(Some(&all[2].0), 1).unwrap(), []);
}

pub fn locks_on_nonces_are_listed_by_place_with_their_seals(db: &Database) {
    let s = db.storage();
    let [a, b] = [digest("a"), digest("b")];
    let mut all = Vec::new();
    // Two attempts each; numbers that sort otherwise as text.
    for (contract, nonce) in [(b, 2), (a, 10), (a, 2), (b, 0)] {
        for attempt in 0..2 {
            let place = NoncePlace { contract, nonce, attempt };
            let lock = NonceLock { digest: digest("d"), valid_until: Time::from_unix(100 + attempt) };
            let outcome = s.lock_nonce(&contract, nonce, &lock, Time::from_unix(101), &seal).unwrap();
            assert_eq!(outcome, LockOutcome::Fresh);
            all.push(StoredNonceLock { place, lock, seal: seal(&place, &lock) });
        }
    }
    all.sort_by_key(|row| (*row.place.contract.as_bytes(), row.place.nonce, row.place.attempt));
    assert_eq!(s.nonce_locks(None, 99).unwrap(), all);
    let mut paged = Vec::new();
    while let Some(row) = s.nonce_locks(paged.last().map(|r: &StoredNonceLock| &r.place), 1).unwrap().first() {
        paged.push(*row);
    }
    assert_eq!(paged, all);
}
