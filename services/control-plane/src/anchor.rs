use crate::register::Chain;
use log::Note;
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// The last line of the file begins so; no line of a note does.
const RECORD: &str = "stored ";
/// More than a record can have.
const MAX_RECORD_BYTES: usize = 256;
/// Whoever can open the lock's file, even for reading, can hold its lock and keep this process from starting.
const PRIVATE: u32 = 0o600;

/// A file outside the database with the newest checkpoint and what the database was last known to hold besides entries.
/// Whoever can change the database alone cannot make the log forget its tail, or its checkpoints, unseen.
#[derive(Debug)]
pub(crate) struct Anchor {
    path: PathBuf,
    kept: Mutex<Kept>,
    /// Nobody else gets it while somebody may still write.
    _lock: Arc<AnchorLock>,
}

#[derive(Debug)]
struct Kept {
    note: Option<String>,
    record: Record,
    /// The file lacks something of this.
    is_behind: bool,
}

/// What no entry says. A record only ever names what was durable before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// The notes that were stored.
    pub chain: Chain,
    /// The newest epoch that this process has led in.
    pub epoch: u64,
}

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Anchored {
    pub note: Note,
    /// Missing where somebody has made an anchor of a published checkpoint.
    pub record: Option<Record>,
}

/// The anchor file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AnchorError {
    /// It cannot be read or written.
    #[error("the anchor file cannot be read or written")]
    Io(#[from] io::Error),
    /// What keeps others from it cannot be had.
    #[error("{path} cannot be locked")]
    Lock {
        /// The lock's file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It does not hold a checkpoint.
    #[error("the anchor file does not hold a checkpoint")]
    Note(#[source] log::NoteError),
    /// Its last line is not what this process writes.
    #[error("the last line of the anchor file is damaged; without that line it is the anchor of the checkpoint alone")]
    Record,
}

/// The right to write one anchor. It ends with the process, however that ends, so a restart need not wait for it.
#[derive(Debug)]
pub(crate) struct AnchorLock {
    _file: File,
}

impl AnchorLock {
    /// Locks the file beside the anchor that has its name and `.lock`; `None` while another process does. By another name,
    /// the same anchor has another lock.
    pub fn take(anchor: &Path) -> Result<Option<Self>, AnchorError> {
        let mut path = anchor.as_os_str().to_owned();
        path.push(".lock");
        let path = PathBuf::from(path);
        let failed = |source| AnchorError::Lock { path: path.clone(), source };
        // Never removed: whoever locks a file that is gone keeps nobody away.
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(PRIVATE);
        let file = options.open(&path).map_err(failed)?;
        // One that was there may be open to more; only its owner can change that.
        if let Err(error) = file.set_permissions(fs::Permissions::from_mode(PRIVATE)) {
            tracing::warn!(%error, path = %path.display(), "whoever can open the lock's file can keep this process out");
        }
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }
}

/// What the file says; `None` when it does not exist.
pub(crate) fn read(path: &Path) -> Result<Option<Anchored>, AnchorError> {
    let mut text = String::new();
    let limit = u64::try_from(log::MAX_NOTE_BYTES.saturating_add(MAX_RECORD_BYTES)).unwrap_or(u64::MAX);
    match File::open(path) {
        Ok(file) => file.take(limit).read_to_string(&mut text)?,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e.into()),
    };
    let (note, record) =
        match text.rfind(&format!("\n{RECORD}")).and_then(|at| text.split_at_checked(at.saturating_add(1))) {
            Some((note, record)) => (note, Some(Record::parse(record).ok_or(AnchorError::Record)?)),
            None => (text.as_str(), None),
        };
    Ok(Some(Anchored { note: Note::parse(note).map_err(AnchorError::Note)?, record }))
}

impl Record {
    /// `stored <notes> <digest of their chain> <epoch>` and a newline.
    fn text(&self) -> String {
        let Self { chain, epoch } = self;
        format!("{RECORD}{} {} {epoch}\n", chain.count, chain.digest)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut words = text.strip_prefix(RECORD)?.strip_suffix('\n')?.split(' ');
        let chain = Chain { count: words.next()?.parse().ok()?, digest: words.next()?.parse().ok()? };
        let record = Self { chain, epoch: words.next()?.parse().ok()? };
        // One way to write it: whatever else is there has not been written here.
        (record.text() == text).then_some(record)
    }
}

impl Anchor {
    /// An anchor that says `record` with the first note that is written.
    pub const fn new(path: PathBuf, record: Record, lock: Arc<AnchorLock>) -> Self {
        Self { path, kept: Mutex::new(Kept { note: None, record, is_behind: false }), _lock: lock }
    }

    /// Writes a newer checkpoint.
    pub fn put_note(&self, note: &str) -> Result<(), AnchorError> {
        self.change(|kept| kept.note = Some(note.to_owned()))
    }

    /// Writes which notes the database holds durably by now; waits for the first note, if there was none yet.
    pub fn put_chain(&self, chain: Chain) -> Result<(), AnchorError> {
        self.change(|kept| kept.record.chain = chain)
    }

    /// Whether a write has failed and nothing was written since.
    pub fn is_behind(&self) -> bool {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).is_behind
    }

    fn change(&self, change: impl FnOnce(&mut Kept)) -> Result<(), AnchorError> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut kept);
        let Some(note) = &kept.note else { return Ok(()) };
        let written = self.write(&format!("{note}{}", kept.record.text()));
        kept.is_behind = written.is_err();
        written
    }

    /// Replaces the file, durably and as a whole: a reader sees the old text or the new one.
    fn write(&self, text: &str) -> Result<(), AnchorError> {
        let draft = self.path.with_added_extension("new");
        let mut file = File::create(&draft)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&draft, &self.path)?;
        let folder = self.path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Ok(File::open(folder)?.sync_all()?)
    }
}
