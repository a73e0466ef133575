use crate::{Checkpoint, ParseCheckpointError};
use base64::{Engine, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signer, SigningKey};
use std::{collections::BTreeSet, fmt, ops::Deref, str::FromStr};

mod key;
mod signed;
pub use key::{KeyName, NoteKey, ParseKeyError};
pub use signed::SignedCheckpoint;

/// Largest note in bytes: the most signature lines at their longest stay below it.
pub const MAX_NOTE_BYTES: usize = 65_536;

/// Most signature lines in a note. C2SP signed-note asks for at least 16.
pub const MAX_SIGNATURES: usize = 100;

/// A checkpoint and the signatures under it (C2SP signed-note), well-formed but not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    checkpoint: Checkpoint,
    signatures: Vec<Signature>,
}

/// One signature line; of a key that may be unknown and of another type than Ed25519.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Signature {
    name: KeyName,
    hash: [u8; 4],
    bytes: Vec<u8>,
}

/// A value that known keys have signed. Only [`Note::verify`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified<T> {
    value: T,
    signers: Vec<NoteKey>,
}

/// A text is not a signed note over a checkpoint, or a signature cannot be added to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Longer than [`MAX_NOTE_BYTES`].
    #[error("a note has at most {MAX_NOTE_BYTES} bytes")]
    TooLarge,
    /// No blank line between text and signatures, or no newline at the end.
    #[error("a note is a text, a blank line and signature lines")]
    Format,
    /// The text is not a checkpoint.
    #[error("the text of the note is not a checkpoint")]
    Checkpoint(#[source] ParseCheckpointError),
    /// A line is not `— <name> <base64 of hash and signature>`.
    #[error("signature line {line} is malformed")]
    Signature {
        /// Which line, from 0.
        line: usize,
    },
    /// No signature lines, or more than [`MAX_SIGNATURES`].
    #[error("a note has 1 to {MAX_SIGNATURES} signatures")]
    Count,
    /// Two lines of one key.
    #[error("two signatures of one key")]
    Duplicate,
    /// The signature to be added is not the key's over this text.
    #[error("the signature does not verify")]
    Invalid,
}

/// A note is not what the verifier trusts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The checkpoint is that of another log.
    #[error("the checkpoint is of {found}, not {expected}")]
    Origin {
        /// The log that was asked for.
        expected: KeyName,
        /// The log that the note is about.
        found: KeyName,
    },
    /// A line bears the name and hash of a known key, and its signature is not that key's. The whole note is refused.
    #[error("the signature of {key} does not verify")]
    Invalid {
        /// The known key.
        key: NoteKey,
    },
    /// Two different known keys share the name and the 4-byte hash, so a line cannot be told apart.
    #[error("two known keys have the name and hash of {key}")]
    Ambiguous {
        /// The first of the two.
        key: NoteKey,
    },
    /// No known key has signed.
    #[error("no known key has signed the note")]
    Unsigned,
}

impl Note {
    pub(crate) fn signed(checkpoint: Checkpoint, key: &SigningKey) -> Self {
        let bytes = key.sign(checkpoint.text().as_bytes()).to_bytes().to_vec();
        let name = checkpoint.origin.clone();
        let hash = NoteKey::of(name.clone(), &key.verifying_key()).hash();
        Self { checkpoint, signatures: vec![Signature { name, hash, bytes }] }
    }

    /// Reads a note. Signatures are not checked; see [`Note::verify`].
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        if text.len() > MAX_NOTE_BYTES {
            return Err(NoteError::TooLarge);
        }
        let (head, lines) = text.rsplit_once("\n\n").ok_or(NoteError::Format)?;
        // The first of the two newlines ends the signed text.
        let checkpoint = Checkpoint::parse(&format!("{head}\n")).map_err(NoteError::Checkpoint)?;
        let lines = lines.strip_suffix('\n').ok_or(NoteError::Format)?;
        if lines.split('\n').count() > MAX_SIGNATURES {
            return Err(NoteError::Count);
        }
        let mut seen = BTreeSet::new();
        let mut signatures = Vec::new();
        for (line, text) in lines.split('\n').enumerate() {
            let signature = Signature::parse(text).ok_or(NoteError::Signature { line })?;
            if !seen.insert((signature.name.clone(), signature.hash)) {
                return Err(NoteError::Duplicate);
            }
            signatures.push(signature);
        }
        Ok(Self { checkpoint, signatures })
    }

    /// What the note claims. Nobody is known to have signed it until [`Note::verify`] says so.
    pub const fn unverified(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// How many signature lines it has, of whomever.
    pub const fn lines(&self) -> usize {
        self.signatures.len()
    }

    /// Adds a plain Ed25519 signature made elsewhere over [`Checkpoint::signed_text`], such as a quorum's. It is
    /// checked first, because a line that does not verify spoils the note for everyone who knows the key.
    pub fn with_signature(mut self, key: &NoteKey, signature: &[u8; 64]) -> Result<Self, NoteError> {
        if !key.verifies(self.checkpoint.text().as_bytes(), signature) {
            return Err(NoteError::Invalid);
        }
        if self.signatures.len() >= MAX_SIGNATURES {
            return Err(NoteError::Count);
        }
        let line = Signature { name: key.name().clone(), hash: key.hash(), bytes: signature.to_vec() };
        if self.signatures.iter().any(|s| s.name == line.name && s.hash == line.hash) {
            return Err(NoteError::Duplicate);
        }
        self.signatures.push(line);
        Ok(self)
    }

    /// Checks that the note is about the log `origin` and which of `keys` have signed it. Lines of unknown keys are
    /// ignored; a false line of a known key refuses the note (C2SP signed-note).
    ///
    /// The origin is checked here because the signed text does not name the signing key: anyone may put another of
    /// that key's names on the line.
    pub fn verify(&self, origin: &KeyName, keys: &[NoteKey]) -> Result<Verified<Checkpoint>, VerifyError> {
        if self.checkpoint.origin != *origin {
            return Err(VerifyError::Origin { expected: origin.clone(), found: self.checkpoint.origin.clone() });
        }
        let text = self.checkpoint.text();
        let mut signers: Vec<NoteKey> = Vec::new();
        for line in &self.signatures {
            let mut known = keys.iter().filter(|k| *k.name() == line.name && k.hash() == line.hash);
            let Some(key) = known.next() else { continue };
            if known.any(|other| other != key) {
                return Err(VerifyError::Ambiguous { key: key.clone() });
            }
            if !key.verifies(text.as_bytes(), &line.bytes) {
                return Err(VerifyError::Invalid { key: key.clone() });
            }
            signers.push(key.clone());
        }
        if signers.is_empty() {
            return Err(VerifyError::Unsigned);
        }
        Ok(Verified { value: self.checkpoint.clone(), signers })
    }
}

impl Signature {
    fn parse(line: &str) -> Option<Self> {
        let (name, base64) = line.strip_prefix("— ")?.split_once(' ')?;
        let bytes = STANDARD.decode(base64).ok()?;
        let (hash, bytes) = bytes.split_first_chunk::<4>().filter(|(_, rest)| !rest.is_empty())?;
        Some(Self { name: name.parse().ok()?, hash: *hash, bytes: bytes.to_vec() })
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.checkpoint.text())?;
        for s in &self.signatures {
            writeln!(f, "— {} {}", s.name, STANDARD.encode([s.hash.as_slice(), &s.bytes].concat()))?;
        }
        Ok(())
    }
}

impl FromStr for Note {
    type Err = NoteError;

    fn from_str(s: &str) -> Result<Self, NoteError> {
        Self::parse(s)
    }
}

impl<T> Verified<T> {
    /// The value.
    pub const fn get(&self) -> &T {
        &self.value
    }

    /// The value without the proof of who signed it.
    pub fn into_inner(self) -> T {
        self.value
    }

    /// The known keys that signed, in the order of their lines.
    pub fn signers(&self) -> &[NoteKey] {
        &self.signers
    }

    /// Whether `key` is among the signers.
    pub fn signed_by(&self, key: &NoteKey) -> bool {
        self.signers.contains(key)
    }
}

impl<T> Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}
