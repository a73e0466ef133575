//! What a control plane holds from its start to its end: the lease, and the lock beside the anchor. A pipe in the place of
//! a file keeps whoever opens it waiting for as long as a test likes.

use crate::fixture::{Node, config, database, now};
use countersign_control_plane::{Error, Server};
use std::{
    fs::{self, OpenOptions},
    os::unix::fs::{PermissionsExt, symlink},
    path::PathBuf,
    process::Command,
    time::Duration,
};
use storage::{Lease, Storage};
use tempfile::TempDir;

/// Only a failure waits for so long.
const PATIENCE: Duration = Duration::from_mins(2);

/// Looks until there is something to see.
async fn within<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        let mut looks = tokio::time::interval(Duration::from_millis(20));
        loop {
            looks.tick().await;
            if let Some(seen) = look().await {
                return seen;
            }
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.unwrap_or_else(|_| panic!("never: {what}"))
}

/// Whoever opens this file waits until the other end is there.
struct Pipe(PathBuf);

impl Pipe {
    fn at(path: PathBuf) -> Self {
        let _ = fs::remove_file(&path);
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        Self(path)
    }
}

impl Drop for Pipe {
    /// Lets whoever waits go on, with nothing, and keeps nobody else.
    fn drop(&mut self) {
        let end = OpenOptions::new().read(true).write(true).open(&self.0);
        let _ = fs::remove_file(&self.0);
        drop(end);
    }
}

/// A start that is held where it reads what the anchor says.
struct Held {
    pipe: Pipe,
    anchor: Vec<u8>,
}

impl Held {
    fn of(folder: &TempDir) -> Self {
        let path = folder.path().join("anchor");
        Self { anchor: fs::read(&path).unwrap(), pipe: Pipe::at(path) }
    }

    /// Lets it read the anchor, once it does.
    fn release(&self) {
        let (path, anchor) = (self.pipe.0.clone(), self.anchor.clone());
        std::thread::spawn(move || fs::write(path, anchor));
    }
}

fn storage(folder: &TempDir) -> Storage {
    Storage::open(&format!("sqlite:{}", database(folder).display())).unwrap()
}

/// The lease, once it is of a later epoch.
async fn next_lease(storage: &Storage, epoch: u64) -> Lease {
    within("a lease", async || storage.lease().unwrap().filter(|lease| lease.epoch > epoch)).await
}

#[tokio::test]
async fn the_lease_is_kept_for_as_long_as_the_log_is_verified() {
    let (world, folder) = Node::ready(10_000).await.stop().await;
    let (held, storage) = (Held::of(&folder), storage(&folder));
    let before = storage.lease().unwrap().unwrap().epoch;
    let mut own = config(&world, &folder);
    own.limits.lease = 6;
    let starting = tokio::spawn(Server::start(own));
    let first = next_lease(&storage, before).await;
    // By then the lease that it began with would be over.
    let over = first.expires_at.plus(6);
    let kept = within("a renewal", async || storage.lease().unwrap().filter(|l| l.expires_at >= over)).await;
    assert_eq!((kept.epoch, kept.holder.as_str()), (first.epoch, "control-plane"));
    let mut other = config(&world, &folder);
    other.holder = "another".to_owned();
    other.anchor = folder.path().join("another-anchor");
    let refused = Server::start(other).await;
    assert!(matches!(&refused, Err(Error::Led { holder }) if holder == "control-plane"), "{refused:?}");
    held.release();
    let server = starting.await.unwrap().unwrap();
    assert_eq!(storage.lease().unwrap().unwrap().epoch, first.epoch);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn whoever_loses_the_lease_while_verifying_does_not_begin_and_says_who_leads() {
    let (world, folder) = Node::ready(10_000).await.stop().await;
    let (held, storage) = (Held::of(&folder), storage(&folder));
    let before = storage.lease().unwrap().unwrap().epoch;
    let starting = tokio::spawn(Server::start(config(&world, &folder)));
    let first = next_lease(&storage, before).await;
    within("another's lease", async || {
        storage.release(&first).unwrap();
        storage.acquire("another", now(), 300).unwrap()
    })
    .await;
    held.release();
    let refused = starting.await.unwrap();
    assert!(matches!(&refused, Err(Error::Led { holder }) if holder == "another"), "{refused:?}");
    assert_eq!(storage.lease().unwrap().unwrap().holder, "another", "it gives nothing back that is not its own");
}

#[tokio::test]
async fn a_start_that_fails_gives_the_lease_back() {
    let (world, folder) = Node::ready(10_000).await.stop().await;
    fs::remove_file(folder.path().join("anchor")).unwrap();
    assert!(matches!(Server::start(config(&world, &folder)).await, Err(Error::Verify(_))));
    assert!(storage(&folder).acquire("another", now(), 300).unwrap().is_some());
}

#[tokio::test]
async fn nobody_gets_the_anchor_of_a_dropped_server_that_still_writes() {
    let node = Node::ready(10_000).await;
    // The next checkpoint is written here first, before it takes the anchor's place.
    let pipe = Pipe::at(node.folder.path().join("anchor.new"));
    assert_eq!(node.propose(&node.world.propose(10)).await.0, 201);
    let Node { world, server, folder, .. } = node;
    drop(server);
    let refused = Server::start(config(&world, &folder)).await;
    assert!(matches!(&refused, Err(Error::AnchorInUse(_))), "{refused:?}");
    drop(pipe);
    let server = within("its end", async || match Server::start(config(&world, &folder)).await {
        Err(Error::AnchorInUse(_)) => None,
        started => Some(started.unwrap()),
    })
    .await;
    server.stop().await.unwrap();
}

#[tokio::test]
async fn nobody_else_can_hold_the_lock_beside_the_anchor() {
    let folder = TempDir::new().unwrap();
    let world = countersign_tests::World::new(now());
    let lock = folder.path().join("anchor.lock");
    let mode = || fs::metadata(&lock).unwrap().permissions().mode() & 0o777;
    Server::start(config(&world, &folder)).await.unwrap().stop().await.unwrap();
    assert_eq!(mode(), 0o600);
    fs::set_permissions(&lock, fs::Permissions::from_mode(0o644)).unwrap();
    Server::start(config(&world, &folder)).await.unwrap().stop().await.unwrap();
    assert_eq!(mode(), 0o600, "one that was there");
}

#[tokio::test]
async fn an_anchor_has_one_lock_by_whatever_link_it_is_named() {
    let (world, folder) = Node::ready(10_000).await.stop().await;
    let links = TempDir::new().unwrap();
    symlink(folder.path(), links.path().join("folder")).unwrap();
    symlink(folder.path().join("anchor"), links.path().join("file")).unwrap();
    let by = |path: &str| {
        let mut config = config(&world, &folder);
        config.anchor = links.path().join(path);
        config
    };
    for (first, second) in [("folder/anchor", "file"), ("file", "folder/anchor"), ("file", "file")] {
        let (before, server) =
            (fs::read(folder.path().join("anchor")).unwrap(), Server::start(by(first)).await.unwrap());
        let refused = Server::start(by(second)).await;
        assert!(matches!(&refused, Err(Error::AnchorInUse(_))), "{first}, {second}: {refused:?}");
        server.stop().await.unwrap();
        assert_ne!(fs::read(folder.path().join("anchor")).unwrap(), before, "{first}: the file itself is written");
        assert!(fs::symlink_metadata(links.path().join("file")).unwrap().is_symlink(), "{first}");
    }
}
