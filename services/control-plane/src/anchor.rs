use log::Note;
use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

/// A file outside the database with the newest checkpoint. Whoever can change the database alone cannot make the log
/// forget its tail unseen.
#[derive(Clone, Debug)]
pub(crate) struct Anchor {
    path: PathBuf,
}

/// The anchor file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AnchorError {
    /// It cannot be read or written.
    #[error("the anchor file cannot be read or written")]
    Io(#[from] io::Error),
    /// It does not hold a checkpoint.
    #[error("the anchor file does not hold a checkpoint")]
    Note(#[source] log::NoteError),
}

impl Anchor {
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// The checkpoint that was written last; `None` when the file does not exist.
    pub fn read(&self) -> Result<Option<Note>, AnchorError> {
        let mut text = String::new();
        let limit = u64::try_from(log::MAX_NOTE_BYTES).unwrap_or(u64::MAX).saturating_add(1);
        match File::open(&self.path) {
            Ok(file) => file.take(limit).read_to_string(&mut text)?,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e.into()),
        };
        Note::parse(&text).map(Some).map_err(AnchorError::Note)
    }

    /// Replaces the checkpoint, durably and as a whole: a reader sees the old note or the new one.
    pub fn write(&self, note: &str) -> Result<(), AnchorError> {
        let draft = self.path.with_extension("new");
        let mut file = File::create(&draft)?;
        file.write_all(note.as_bytes())?;
        file.sync_all()?;
        fs::rename(&draft, &self.path)?;
        let folder = self.path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Ok(File::open(folder)?.sync_all()?)
    }
}
