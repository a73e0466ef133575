use crate::clock;
use std::{
    io,
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, channel},
    },
    thread,
    time::Duration,
};
use storage::{Lease, Storage};

/// Runs `work` and renews `lease` meanwhile, however long that takes. The work is told by the flag when another process
/// has taken the lease: it may end early then, for what it finds means nothing any more.
pub(crate) fn keeping<T>(
    storage: &Storage,
    lease: &Lease,
    seconds: u64,
    work: impl FnOnce(&AtomicBool) -> T,
) -> io::Result<T> {
    let lost = AtomicBool::new(false);
    let (working, ended) = channel::<()>();
    thread::scope(|scope| {
        let (lost, thread) = (&lost, thread::Builder::new().name("lease".to_owned()));
        thread.spawn_scoped(scope, move || keep(storage, lease, seconds, &ended, lost))?;
        // Gone also when the work panics, or the thread would be waited for in vain.
        let _working = working;
        Ok(work(lost))
    })
}

/// Renews until the work has ended, or the lease is another's.
fn keep(storage: &Storage, lease: &Lease, seconds: u64, ended: &Receiver<()>, lost: &AtomicBool) {
    // A third of the lease leaves two more tries before another process may take over.
    let third = Duration::from_secs(seconds).checked_div(3).unwrap_or_default();
    while ended.recv_timeout(third) == Err(RecvTimeoutError::Timeout) {
        match storage.renew(lease, clock::now(), seconds) {
            Ok(Some(_)) => {}
            Ok(None) => return lost.store(true, Ordering::Release),
            Err(error) => tracing::warn!(%error, "the lease could not be renewed; it is tried again"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    /// Looks until it is so; only a failure takes minutes.
    fn until(what: &str, mut is_so: impl FnMut() -> bool) {
        let begun = clock::instant();
        while !is_so() {
            assert!(begun.elapsed() < Duration::from_mins(2), "never: {what}");
            thread::yield_now();
        }
    }

    fn database() -> (TempDir, Storage, Lease) {
        let folder = TempDir::new().unwrap();
        let storage = Storage::open(&format!("sqlite:{}", folder.path().join("log.db").display())).unwrap();
        let lease = storage.acquire("own", clock::now(), 300).unwrap().unwrap();
        (folder, storage, lease)
    }

    #[test]
    fn the_work_is_told_when_another_has_taken_the_lease() {
        let (_folder, storage, lease) = database();
        storage.release(&lease).unwrap();
        let is_told = |lost: &AtomicBool| {
            assert!(!lost.load(Ordering::Acquire), "it may be renewed late: nobody else has come");
            until("another leads", || {
                storage.release(&lease).unwrap();
                storage.acquire("another", clock::now(), 300).unwrap().is_some()
            });
            until("it is told", || lost.load(Ordering::Acquire));
        };
        keeping(&storage, &lease, 0, is_told).unwrap();
        assert_eq!(storage.lease().unwrap().unwrap().holder, "another");
    }

    #[test]
    fn a_renewal_that_fails_is_tried_again() {
        let (folder, storage, lease) = database();
        let raw = rusqlite::Connection::open(folder.path().join("log.db")).unwrap();
        keeping(&storage, &lease, 0, |lost| {
            raw.execute_batch("alter table leases rename to away").unwrap();
            assert!(storage.renew(&lease, clock::now(), 0).is_err());
            // Further off than any renewal from here on.
            raw.execute_batch("update away set expires_at = 9000000000; alter table away rename to leases").unwrap();
            until("a renewal", || storage.lease().unwrap().unwrap().expires_at.unix() != 9_000_000_000);
            assert!(!lost.load(Ordering::Acquire));
        })
        .unwrap();
    }

    #[test]
    fn work_that_panics_is_not_waited_for() {
        let (_folder, storage, lease) = database();
        let work = || keeping(&storage, &lease, 300, |_| panic!("as a test"));
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).is_err());
    }
}
