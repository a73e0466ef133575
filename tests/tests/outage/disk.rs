//! The control plane's folder is on a file system of its own, which is filled to the last byte under load.

use crate::{
    load::Load,
    plane::{Answer, Home, Plane},
};
use std::{
    fs::{self, File},
    io::{ErrorKind, Write},
    os::fd::AsRawFd,
    path::PathBuf,
    process::Command,
    sync::Arc,
};
use tempfile::TempDir;

/// A program that runs another in a mount namespace of its own, with a small file system at a path.
const MOUNT: &str = "mount -t tmpfs -o size=32m,mode=700 tmpfs \"$1\" && shift && exec \"$@\"";

/// Statements, apart from those that are waited for, before the disk is filled and from then on. Each takes about 100 KB
/// in the write-ahead log: all together they leave most of the disk to the ballast, whatever the machine's speed.
const BEFORE: usize = 60;
const SOME: usize = 12;

/// How to have such a namespace here: an unprivileged one where the system allows it, else as root.
fn unshare() -> Vec<String> {
    let ways: [&[&str]; 2] = [&["unshare", "--user", "--map-root-user", "--mount"], &["unshare", "--mount"]];
    let works = |way: &&[&str]| {
        let probe = TempDir::new().unwrap();
        let mut command = Command::new(way[0]);
        command.args(&way[1..]).args(["sh", "-c", MOUNT, "sh"]).arg(probe.path()).arg("true");
        command.output().is_ok_and(|done| done.status.success())
    };
    let way = ways.iter().find(|way| works(way)).unwrap_or_else(|| {
        panic!(
            "a full disk needs a mount namespace: allow unprivileged user namespaces, or run as root with CAP_SYS_ADMIN"
        )
    });
    way.iter().map(|word| (*word).to_owned()).collect()
}

/// Fills what is left of a file system.
fn fill(path: &PathBuf) {
    let mut ballast = File::create(path).unwrap();
    for size in [1 << 20, 4096, 1] {
        let error = loop {
            if let Err(error) = ballast.write_all(&vec![0; size]) {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_loses_nothing_and_is_left_behind_without_a_restart() {
    let folder = TempDir::new().unwrap();
    let disk = folder.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let home = Home::new(folder, &format!("sqlite:{}", disk.join("log.db").display()), &disk.join("anchor"));
    let mut line = unshare();
    line.extend(["sh", "-c", MOUNT, "sh"].map(str::to_owned));
    line.push(disk.display().to_string());
    line.extend(home.command());
    let plane = Arc::new(home.start(&line).await);
    plane.provision().await;
    // The same folder as the process sees it.
    let inside = PathBuf::from(format!("/proc/{}/root{}", plane.pid(), disk.display()));
    assert!(inside.join("log.db").is_file() && !disk.join("log.db").exists(), "the disk is the process's own");
    let pid = plane.pid();
    let load = Load::start(&plane, BEFORE);
    load.goes_on(&plane).await;

    let ballast = inside.join("ballast");
    fill(&ballast);
    load.more(SOME);
    let problem = plane.is_degraded().await;
    assert!(problem.detail.contains("cannot be written"), "{problem:?}");
    load.is_refused(&plane).await;
    let waiting = plane.home.world.propose(7);
    let Answer::Later(problem) = plane.say(&waiting).await else { panic!("there is no room for it") };
    assert_eq!(problem.kind, messages::ProblemType::Unavailable);
    let page = plane.reader.entries(0, 100).await.expect("reads go on");
    assert!(page.entries.len() > 8 && plane.reader.checkpoint().await.is_ok());
    assert_eq!(plane.ask("/readyz").await.map(|a| a.0), Some(503), "nothing has changed");

    fs::remove_file(&ballast).unwrap();
    plane.is_ready().await;
    let seq = plane.insist(&waiting).await;
    load.goes_on(&plane).await;
    let mut acknowledged = load.end().await;
    acknowledged.insert(waiting.cid(), seq);
    assert_eq!(plane.pid(), pid);
    plane.holds(&acknowledged).await;
    Box::pin(starts_again(plane, &inside, &acknowledged)).await;
}

/// The file system goes with the process; what is on it is read while a handle keeps it.
async fn starts_again(
    plane: Arc<Plane>,
    inside: &PathBuf,
    acknowledged: &std::collections::BTreeMap<domain::Cid, u64>,
) {
    let handle = File::open(inside).unwrap();
    let Ok(plane) = Arc::try_unwrap(plane) else { panic!("the load has ended") };
    let home = plane.stop().await;
    let kept = PathBuf::from(format!("/proc/self/fd/{}", handle.as_raw_fd()));
    for file in fs::read_dir(&kept).unwrap() {
        let name = file.unwrap().file_name();
        fs::copy(kept.join(&name), home.folder.path().join("disk").join(&name)).unwrap();
    }
    let line = home.command();
    let plane = home.start(&line).await;
    plane.holds(acknowledged).await;
    plane.stop().await;
}
