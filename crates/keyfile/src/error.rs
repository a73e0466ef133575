use crate::Kind;
use std::path::PathBuf;

/// A key file could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// Nothing is ever overwritten: the file may hold the only copy of another secret.
    #[error("{} exists already; key files are never overwritten", path.display())]
    Exists {
        /// The file that is there.
        path: PathBuf,
    },
    /// The secret is empty or larger than [`crate::MAX_SECRET`].
    #[error("a secret has 1 to {max} bytes, not {len}", max = crate::MAX_SECRET)]
    SecretSize {
        /// Bytes given.
        len: usize,
    },
    /// Key derivation or sealing failed, for want of memory.
    #[error("the secret could not be sealed")]
    Seal,
    /// The file system refused.
    #[error("cannot write {}", path.display())]
    Io {
        /// The file concerned.
        path: PathBuf,
        /// What the file system said.
        #[source]
        source: std::io::Error,
    },
}

/// A key file could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Group or others may read or write the file.
    #[error("{} has mode {mode:04o}: others may use it; run `chmod 600 {}`", path.display(), path.display())]
    Exposed {
        /// The file concerned.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file is not a key file of a version known here.
    #[error("{} is not a key file", path.display())]
    Malformed {
        /// The file concerned.
        path: PathBuf,
    },
    /// The file holds another kind of secret.
    #[error("{} holds something else than the expected {expected}", path.display())]
    WrongKind {
        /// The file concerned.
        path: PathBuf,
        /// What the caller asked for.
        expected: Kind,
    },
    /// The passphrase is wrong or the file was changed. Which of the two cannot be told.
    #[error("wrong passphrase for {}, or the file is damaged", path.display())]
    Denied {
        /// The file concerned.
        path: PathBuf,
    },
    /// The file system refused.
    #[error("cannot read {}", path.display())]
    Io {
        /// The file concerned.
        path: PathBuf,
        /// What the file system said.
        #[source]
        source: std::io::Error,
    },
}
