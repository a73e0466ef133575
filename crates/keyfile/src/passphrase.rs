use std::{fmt, io::Read, path::Path};
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

    /// The file's content without the line end that editors add.
    pub fn read(path: &Path) -> Result<Self, PassphraseError> {
        let file = std::fs::File::open(path).map_err(PassphraseError::Io)?;
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

    #[test]
    fn a_file_loses_one_line_end_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p");
        for (content, expected) in [("a b \n", "a b "), ("x\r\n", "x"), ("y", "y"), ("z\n\n", "z\n")] {
            std::fs::write(&path, content).unwrap();
            assert_eq!(Passphrase::read(&path).unwrap().as_bytes(), expected.as_bytes());
        }
    }

    #[test]
    fn empty_and_oversized_are_refused_and_debug_says_nothing() {
        assert!(matches!(Passphrase::new(String::new()), Err(PassphraseError::Size)));
        assert!(matches!(Passphrase::new("x".repeat(MAX_PASSPHRASE + 1)), Err(PassphraseError::Size)));
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p");
        std::fs::write(&path, "x".repeat(MAX_PASSPHRASE + 100)).unwrap();
        assert!(matches!(Passphrase::read(&path), Err(PassphraseError::Size)));
        assert_eq!(format!("{:?}", Passphrase::new("hunter2".into()).unwrap()), "Passphrase(…)");
    }
}
