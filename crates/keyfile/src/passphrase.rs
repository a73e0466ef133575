use crate::file::OTHERS;
use std::{
    fmt,
    io::Read,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};
use zeroize::{Zeroize, Zeroizing};

/// The environment variable services and commands read the passphrase from.
pub const PASSPHRASE_VAR: &str = "COUNTERSIGN_PASSPHRASE";
/// Longer than any person or password manager makes one; bounds what is read from a file.
pub const MAX_PASSPHRASE: usize = 1024;

/// The passphrase of key files: 1 to 1024 bytes of UTF-8, wiped when dropped.
#[derive(Clone)]
pub struct Passphrase(Zeroizing<String>);

/// A passphrase could not be had.
#[derive(Debug, thiserror::Error)]
pub enum PassphraseError {
    /// Empty or longer than [`MAX_PASSPHRASE`] bytes.
    #[error("a passphrase has 1 to {MAX_PASSPHRASE} bytes")]
    Size,
    /// Neither the variable is set nor a file named.
    #[error("no passphrase: set {PASSPHRASE_VAR} or name a passphrase file")]
    Missing,
    /// Group or others may read or write the passphrase file.
    #[error("{} has mode {mode:04o}: others may use it; run `chmod 600 {}`", path.display(), path.display())]
    Exposed {
        /// The file concerned.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The passphrase file is not UTF-8 or cannot be read.
    #[error("cannot read the passphrase file")]
    Io(#[source] std::io::Error),
}

impl Passphrase {
    /// Takes a passphrase as it is. Errors when empty or too long.
    pub fn new(mut text: String) -> Result<Self, PassphraseError> {
        if text.is_empty() || text.len() > MAX_PASSPHRASE {
            text.zeroize();
            return Err(PassphraseError::Size);
        }
        Ok(Self(Zeroizing::new(text)))
    }

    /// The file's content without the line end that editors add. Errors when anyone but the owner may use the file: it
    /// is worth as much as the key files that it opens.
    pub fn read(path: &Path) -> Result<Self, PassphraseError> {
        let file = std::fs::File::open(path).map_err(PassphraseError::Io)?;
        // Asked of the open file, not of the path, which may be exchanged in between.
        let metadata = file.metadata().map_err(PassphraseError::Io)?;
        let mode = metadata.permissions().mode() & 0o7777;
        if mode & OTHERS != 0 {
            return Err(PassphraseError::Exposed { path: path.to_owned(), mode });
        }
        // Sized up front: a string that grows leaves copies behind that nobody wipes.
        let mut text = Zeroizing::new(String::with_capacity(MAX_PASSPHRASE.saturating_add(8)));
        let limit = u64::try_from(MAX_PASSPHRASE).unwrap_or(u64::MAX).saturating_add(3);
        file.take(limit).read_to_string(&mut text).map_err(PassphraseError::Io)?;
        let trimmed = text.strip_suffix('\n').map_or(text.as_str(), |t| t.strip_suffix('\r').unwrap_or(t));
        Self::new(trimmed.to_owned())
    }

    /// The passphrase in [`PASSPHRASE_VAR`], else the one in `file`.
    pub fn load(file: Option<&Path>) -> Result<Self, PassphraseError> {
        match (std::env::var(PASSPHRASE_VAR), file) {
            (Ok(text), _) => Self::new(text),
            (Err(_), Some(path)) => Self::read(path),
            (Err(_), None) => Err(PassphraseError::Missing),
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, OpenOptions, Permissions};
    use std::{io::Write, os::unix::fs::OpenOptionsExt};

    fn write(path: &Path, content: &str) {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path).unwrap();
        file.write_all(content.as_bytes()).unwrap();
    }

    #[test]
    fn a_file_others_may_use_is_refused_with_the_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p");
        write(&path, "words");
        for mode in [0o640, 0o604, 0o620, 0o644] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let refused = Passphrase::read(&path).unwrap_err();
            assert!(matches!(refused, PassphraseError::Exposed { .. }));
            assert!(refused.to_string().contains("chmod 600"), "{refused}");
            assert!(!refused.to_string().contains("words"));
        }
        fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
        assert!(Passphrase::read(&path).is_ok());
    }

    #[test]
    fn a_file_loses_one_line_end_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p");
        for (content, expected) in [("a b \n", "a b "), ("x\r\n", "x"), ("y", "y"), ("z\n\n", "z\n")] {
            write(&path, content);
            assert_eq!(Passphrase::read(&path).unwrap().as_bytes(), expected.as_bytes());
        }
    }

    #[test]
    fn empty_and_oversized_are_refused_and_debug_says_nothing() {
        assert!(matches!(Passphrase::new(String::new()), Err(PassphraseError::Size)));
        assert!(matches!(Passphrase::new("x".repeat(MAX_PASSPHRASE + 1)), Err(PassphraseError::Size)));
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p");
        write(&path, &"x".repeat(MAX_PASSPHRASE + 100));
        assert!(matches!(Passphrase::read(&path), Err(PassphraseError::Size)));
        assert_eq!(format!("{:?}", Passphrase::new("hunter2".into()).unwrap()), "Passphrase(…)");
    }
}
