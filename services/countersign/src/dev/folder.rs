use super::{Progress, until};
use crate::failure::Usage;
use anyhow::Context as _;
use client::Ambient;
use domain::Digest;
use keyfile::Passphrase;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

/// What is on a leash ends by itself; what does not is ended.
const LEFTOVER: Duration = Duration::from_secs(15);

/// The folder of one system. While it is open, no other process opens it.
pub struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Makes the folder where it is missing, and locks it.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let make = |path: &Path| {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
            made.with_context(|| format!("cannot make {}", path.display()))
        };
        make(path)?;
        let path = fs::canonicalize(path).with_context(|| format!("cannot use {}", path.display()))?;
        for part in ["keys", "delegations", "logs", "chain", "control-plane", "relayer/delegations"] {
            make(&path.join(part))?;
        }
        let lock = File::create(path.join("lock")).context("cannot make the lock file")?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path, _lock: lock }),
            Err(TryLockError::WouldBlock) => {
                Err(Usage(format!("another process runs the system in {}", path.display())).into())
            }
            Err(TryLockError::Error(e)) => Err(e).context("cannot lock the folder"),
        }
    }

    /// The folder itself, absolute.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Key files of everyone.
    pub fn keys(&self) -> PathBuf {
        self.path.join("keys")
    }

    /// One key file.
    pub fn key(&self, name: &str) -> PathBuf {
        self.keys().join(format!("{name}.key"))
    }

    /// Delegations of people; services have their own folders.
    pub fn delegations(&self) -> PathBuf {
        self.path.join("delegations")
    }

    /// The log of one process.
    pub fn log(&self, name: &str) -> PathBuf {
        self.path.join("logs").join(format!("{name}.log"))
    }

    /// Which processes run.
    pub fn pids(&self) -> PathBuf {
        self.path.join("pids.json")
    }

    /// Opens every key file of this folder.
    pub fn passphrase_file(&self) -> PathBuf {
        self.path.join("passphrase")
    }

    /// The folder's passphrase, made on first use.
    pub fn passphrase(&self, ambient: &Ambient) -> anyhow::Result<Passphrase> {
        let file = self.passphrase_file();
        if !file.exists() {
            let random: [u8; 32] = ambient.random().context("the system gives no randomness")?;
            let mut new = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file)?;
            writeln!(new, "{}", Digest::from_bytes(random))?;
        }
        Ok(Passphrase::read(&file)?)
    }

    /// Ends what a killed parent has left running here.
    pub async fn end_leftovers(&self, progress: Progress<'_>) -> anyhow::Result<()> {
        let pids = fs::read(self.pids()).ok();
        let pids: BTreeMap<String, i32> = pids.and_then(|p| serde_json::from_slice(&p).ok()).unwrap_or_default();
        for (name, pid) in pids {
            let Some(pid) = Pid::from_raw(pid) else { continue };
            if !self.is_ours(pid) {
                continue;
            }
            progress(&format!("{name} still runs from before; waiting for its end"));
            let gone = async || Ok((!self.is_ours(pid)).then_some(()));
            // Its leash has been cut already, so it is about to end by itself.
            if until(LEFTOVER, gone).await.is_err() {
                for signal in [Signal::TERM, Signal::KILL] {
                    let _ = kill_process(pid, signal);
                    if until(LEFTOVER, gone).await.is_ok() {
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether a process runs and was started for this folder: a number alone may have been given to another.
    fn is_ours(&self, pid: Pid) -> bool {
        if test_kill_process(pid).is_err() {
            return false;
        }
        let ours = self.path.to_string_lossy();
        let raw = pid.as_raw_nonzero().get();
        let line = fs::read(format!("/proc/{raw}/cmdline")).or_else(|_| {
            let asked = std::process::Command::new("ps").args(["-o", "command=", "-p", &raw.to_string()]).output();
            asked.map(|o| o.stdout)
        });
        line.is_ok_and(|line| String::from_utf8_lossy(&line).contains(&*ours))
    }
}
