use crate::database::Database;
use domain::Time;
use storage::Error;

fn t(seconds: u64) -> Time {
    Time::from_unix(seconds)
}

pub fn a_lease_is_exclusive_until_it_expires(db: &Database) {
    let s = db.storage();
    let first = s.acquire("a", t(100), 10).unwrap().unwrap();
    assert_eq!((first.holder.as_str(), first.epoch, first.expires_at), ("a", 1, t(110)));
    assert_eq!(s.acquire("b", t(109), 10).unwrap(), None);
    assert_eq!(s.lease().unwrap(), Some(first));
    let second = s.acquire("b", t(110), 10).unwrap().unwrap();
    assert_eq!((second.epoch, second.expires_at), (2, t(120)));
    assert_eq!(s.lease().unwrap(), Some(second));
}

pub fn the_same_holder_takes_over_from_itself_in_a_new_epoch(db: &Database) {
    let s = db.storage();
    let before = s.acquire("a", t(100), 10).unwrap().unwrap();
    let after = db.another().acquire("a", t(101), 10).unwrap().unwrap();
    assert_eq!(after.epoch, before.epoch + 1);
    assert_eq!(s.renew(&before, t(102), 10).unwrap(), None, "the process before the restart is over");
}

pub fn a_renewed_lease_keeps_its_epoch_until_another_begins(db: &Database) {
    let s = db.storage();
    let lease = s.acquire("a", t(100), 10).unwrap().unwrap();
    let renewed = s.renew(&lease, t(105), 10).unwrap().unwrap();
    assert_eq!((renewed.epoch, renewed.expires_at), (lease.epoch, t(115)));
    assert_eq!(s.acquire("b", t(112), 10).unwrap(), None);
    // Late, but nobody else has come: nothing was appended by anybody else either.
    assert!(s.renew(&renewed, t(500), 10).unwrap().is_some());
    assert!(s.acquire("b", t(600), 10).unwrap().is_some());
    assert_eq!(s.renew(&renewed, t(601), 10).unwrap(), None);
}

pub fn a_released_lease_is_free_at_once(db: &Database) {
    let s = db.storage();
    let lease = s.acquire("a", t(100), 1000).unwrap().unwrap();
    s.release(&lease).unwrap();
    let next = s.acquire("b", t(100), 1000).unwrap().unwrap();
    assert_eq!(next.epoch, lease.epoch + 1);
    s.release(&lease).unwrap();
    assert_eq!(s.acquire("c", t(101), 10).unwrap(), None, "only the newest lease can be given back");
}

pub fn one_of_many_acquires(db: &Database) {
    let others: Vec<_> = (0..6).map(|_| db.another()).collect();
    let acquired = std::thread::scope(|scope| {
        let acquire = |(n, s): (usize, _)| {
            let s: &storage::Storage = s;
            scope.spawn(move || s.acquire(&format!("node-{n}"), t(100), 10).unwrap())
        };
        let threads: Vec<_> = others.iter().enumerate().map(acquire).collect();
        threads.into_iter().filter_map(|t| t.join().unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(acquired.len(), 1);
    assert_eq!(db.storage().lease().unwrap().as_ref(), acquired.first());
}

pub fn a_holder_has_a_name(db: &Database) {
    for name in [String::new(), "x".repeat(257)] {
        assert!(matches!(db.storage().acquire(&name, t(1), 1), Err(Error::Refused { .. })));
    }
    assert_eq!(db.storage().lease().unwrap(), None);
}

pub fn a_lease_of_another_epoch_than_the_heads_is_corrupt(db: &Database) {
    let s = db.storage();
    let lease = s.acquire("a", t(100), 10).unwrap().unwrap();
    s.release(&lease).unwrap();
    for sql in ["update leases set epoch = 2", "delete from leases"] {
        db.raw(sql).unwrap();
        let acquired = s.acquire("a", t(100), 10);
        assert!(matches!(acquired, Err(Error::Corrupt { table: "leases", .. })), "{sql}: {acquired:?}");
    }
}
