use super::{Progress, until};
use crate::failure::Usage;
use anyhow::Context as _;
use client::Ambient;
use domain::Digest;
use keyfile::Passphrase;
use rustix::process::{Pid, Signal, geteuid, kill_process, test_kill_process};
use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

/// What is on a leash ends by itself; what does not is ended.
const LEFTOVER: Duration = Duration::from_secs(15);

/// Read, write and enter for the owner, nothing for anyone else.
const PRIVATE_FOLDER: u32 = 0o700;
const PRIVATE_FILE: u32 = 0o600;
/// Permission bits of everyone but the owner.
const OTHERS: u32 = 0o077;

/// Makes sure that nobody else enters the folder: the passphrase lies beside the keys.
fn close(path: &Path) -> anyhow::Result<()> {
    let metadata = fs::metadata(path).with_context(|| format!("cannot use {}", path.display()))?;
    if metadata.mode() & OTHERS == 0 {
        return Ok(());
    }
    // A folder with other things in it may be shared on purpose, which is not ours to end.
    let is_own = path.join("dev.json").is_file() || fs::read_dir(path).is_ok_and(|mut all| all.next().is_none());
    if !is_own || metadata.uid() != geteuid().as_raw() {
        let (path, mode) = (path.display(), metadata.mode() & 0o7777);
        return Err(Usage(format!("{path} has mode {mode:04o}: others may use it; run `chmod 700 {path}`")).into());
    }
    let closed = fs::set_permissions(path, fs::Permissions::from_mode(PRIVATE_FOLDER));
    closed.with_context(|| format!("cannot close {} to others", path.display()))
}

/// Writes a file that only its owner may use, whatever it was before.
pub(super) fn write_private(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let write = || {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(PRIVATE_FILE).open(path)?;
        // The mode above counts for a new file only.
        file.set_permissions(fs::Permissions::from_mode(PRIVATE_FILE))?;
        file.write_all(content)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// The folder of one system. While it is open, no other process opens it.
pub struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Makes the folder where it is missing, and locks it.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let make = |path: &Path| {
            let made = DirBuilder::new().recursive(true).mode(PRIVATE_FOLDER).create(path);
            made.with_context(|| format!("cannot make {}", path.display()))
        };
        make(path)?;
        let path = fs::canonicalize(path).with_context(|| format!("cannot use {}", path.display()))?;
        close(&path)?;
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
            let mut new = OpenOptions::new().write(true).create_new(true).mode(PRIVATE_FILE).open(&file)?;
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    fn chmod(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_folder_of_ours_is_closed_and_a_shared_one_refused() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("dev");
        fs::create_dir(&path).unwrap();
        chmod(&path, 0o755);
        drop(Folder::open(&path).unwrap());
        assert_eq!(mode(&path), 0o700, "an empty folder");
        chmod(&path, 0o750);
        let Err(refused) = Folder::open(&path) else { unreachable!("a folder of other things") };
        assert!(refused.to_string().contains("chmod 700"), "{refused}");
        assert_eq!(mode(&path), 0o750, "it is left as it is");
        fs::write(path.join("dev.json"), "{}").unwrap();
        drop(Folder::open(&path).unwrap());
        assert_eq!(mode(&path), 0o700, "a folder of this program");
    }

    #[test]
    fn a_file_becomes_private() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("config.toml");
        fs::write(&path, "an older and longer text").unwrap();
        chmod(&path, 0o644);
        write_private(&path, b"new").unwrap();
        assert_eq!((mode(&path), fs::read(&path).unwrap()), (0o600, b"new".to_vec()));
    }
}
