use base64::{Engine, engine::general_purpose::STANDARD};
use domain::Did;
use ed25519_dalek::VerifyingKey;
use sha2::{Digest, Sha256};
use std::{fmt, str::FromStr};

/// Signature type of plain Ed25519 (C2SP signed-note).
const ED25519: u8 = 0x01;

/// Longest key name in bytes; a name is a host and a path, for which 255 is ample.
const MAX_NAME_BYTES: usize = 255;

/// The name of a key in signed notes, and the origin of a log: 1 to 255 bytes of UTF-8 without white space, control
/// characters or `+` (C2SP signed-note).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyName(String);

/// A public key that signs notes, under its name. Text form `<name>+<hash>+<base64 of 0x01 ‖ key>`.
#[derive(Clone, PartialEq, Eq)]
pub struct NoteKey {
    name: KeyName,
    hash: [u8; 4],
    did: Did,
}

/// A text is not a key name or a verifier key, or bytes are not an Ed25519 public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseKeyError {
    /// The name is empty, too long, or has white space, a control character or `+` in it.
    #[error("a key name has 1 to {MAX_NAME_BYTES} bytes and no white space, control character or `+`")]
    Name,
    /// Not `<name>+<hash>+<base64>`, with 8 lower-case hex digits and canonical base64.
    #[error("a verifier key is <name>+<hash>+<base64>")]
    Format,
    /// The key is not of type 0x01, Ed25519.
    #[error("the key is not an Ed25519 key")]
    Kind,
    /// The bytes are not a point on the curve, or one of small order.
    #[error("not an Ed25519 public key")]
    Point,
    /// The hash is not that of the name and key.
    #[error("the key hash does not belong to the name and key")]
    Hash,
}

impl KeyName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeyName {
    type Err = ParseKeyError;

    fn from_str(s: &str) -> Result<Self, ParseKeyError> {
        let allowed = |c: char| !c.is_whitespace() && !c.is_control() && c != '+';
        if s.is_empty() || s.len() > MAX_NAME_BYTES || !s.chars().all(allowed) {
            return Err(ParseKeyError::Name);
        }
        Ok(Self(s.to_owned()))
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl NoteKey {
    /// The key of `did` under `name`; refused when its bytes are no curve point or one of small order, since such a
    /// key "signs" anything.
    pub fn new(name: KeyName, did: &Did) -> Result<Self, ParseKeyError> {
        let key = VerifyingKey::from_bytes(did.key()).map_err(|_| ParseKeyError::Point)?;
        if key.is_weak() { Err(ParseKeyError::Point) } else { Ok(Self::of(name, &key)) }
    }

    /// The name and the public half of a signing key, which needs no check.
    pub(super) fn of(name: KeyName, key: &VerifyingKey) -> Self {
        let digest = Sha256::new().chain_update(name.as_str()).chain_update([b'\n', ED25519]);
        let [a, b, c, d, ..] = <[u8; 32]>::from(digest.chain_update(key.as_bytes()).finalize());
        Self { name, hash: [a, b, c, d], did: Did::from_key(key.to_bytes()) }
    }

    /// The name.
    pub const fn name(&self) -> &KeyName {
        &self.name
    }

    /// The key as a DID.
    pub const fn did(&self) -> Did {
        self.did
    }

    /// The key hash: the first 4 bytes of `SHA-256(name ‖ 0x0A ‖ 0x01 ‖ key)`.
    pub const fn hash(&self) -> [u8; 4] {
        self.hash
    }

    /// Whether `signature` is this key's over `text`, without malleability (`verify_strict`).
    pub(super) fn verifies(&self, text: &[u8], signature: &[u8]) -> bool {
        let Ok(signature) = ed25519_dalek::Signature::from_slice(signature) else { return false };
        VerifyingKey::from_bytes(self.did.key()).is_ok_and(|key| key.verify_strict(text, &signature).is_ok())
    }
}

impl fmt::Display for NoteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let typed = [&[ED25519], self.did.key().as_slice()].concat();
        write!(f, "{}+{:08x}+{}", self.name, u32::from_be_bytes(self.hash), STANDARD.encode(typed))
    }
}

impl fmt::Debug for NoteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for NoteKey {
    type Err = ParseKeyError;

    fn from_str(s: &str) -> Result<Self, ParseKeyError> {
        let (name, rest) = s.split_once('+').ok_or(ParseKeyError::Format)?;
        let (hash, base64) = rest.split_once('+').ok_or(ParseKeyError::Format)?;
        let typed = STANDARD.decode(base64).map_err(|_| ParseKeyError::Format)?;
        let key = typed.strip_prefix(&[ED25519]).ok_or(ParseKeyError::Kind)?;
        let key: [u8; 32] = key.try_into().map_err(|_| ParseKeyError::Format)?;
        let parsed = Self::new(name.parse()?, &Did::from_key(key))?;
        let lower_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if hash.len() != 8 || !hash.bytes().all(lower_hex) {
            return Err(ParseKeyError::Format);
        }
        if parsed.to_string() == s { Ok(parsed) } else { Err(ParseKeyError::Hash) }
    }
}
