//! Secrets at rest: passphrase-encrypted key files.
//!
//! A key file is one JSON object `{version, kind, kdf, salt, nonce, ciphertext}`. The passphrase is stretched with
//! Argon2id (RFC 9106), the secret sealed with XChaCha20-Poly1305; everything but the ciphertext is authenticated as
//! associated data, so a gas wallet cannot be renamed into an identity. Files are created once, mode 0600, and are
//! refused when anyone but their owner may read them. Start at [`create`], [`open`] and [`Identity`].

mod error;
mod file;
mod identity;
mod kind;
mod passphrase;
mod sealed;

pub use error::{CreateError, OpenError};
pub use file::{create, create_with, open};
pub use identity::Identity;
pub use kind::Kind;
pub use passphrase::{MAX_PASSPHRASE, PASSPHRASE_VAR, Passphrase, PassphraseError};
pub use sealed::{Hardness, MAX_SECRET};
