use crate::{Hash, KeyName, Note, Tree};
use base64::{Engine, engine::general_purpose::STANDARD};
use domain::Time;
use ed25519_dalek::SigningKey;

/// What a log says of itself at one moment: how many entries it has and what their root is (C2SP tlog-checkpoint).
///
/// Its text is four lines: origin, size in decimal, root in base64, and the extension line `time <unix seconds>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name, which is also the name of its own key.
    pub origin: KeyName,
    /// Number of entries.
    pub size: u64,
    /// Root of the tree of that many entries.
    pub root: Hash,
    /// When the checkpoint was made, Unix seconds.
    pub time: Time,
}

/// A text is not a checkpoint in canonical form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseCheckpointError {
    /// Not exactly four lines, the last with its newline.
    #[error("a checkpoint has four lines: origin, size, root, time")]
    Lines,
    /// The origin is not a key name.
    #[error("the origin is not a key name")]
    Origin,
    /// The size is not a decimal number of 64 bits without leading zeroes.
    #[error("the size is not a decimal number")]
    Size,
    /// The root is not the canonical base64 of 32 bytes, or not the empty root at size 0.
    #[error("the root is not the base64 of 32 bytes")]
    Root,
    /// The last line is not `time <unix seconds>`.
    #[error("the last line is not `time <unix seconds>`")]
    Time,
}

fn number(text: &str) -> Option<u64> {
    text.parse().ok().filter(|n: &u64| n.to_string() == text)
}

impl Checkpoint {
    /// The checkpoint of `tree` at `time`.
    pub fn of(origin: KeyName, tree: &Tree, time: Time) -> Self {
        Self { origin, size: tree.size(), root: tree.root(), time }
    }

    /// The bytes that every signature of the note is over: the text up to and with its last newline.
    pub fn signed_text(&self) -> Vec<u8> {
        self.text().into_bytes()
    }

    pub(crate) fn text(&self) -> String {
        let root = STANDARD.encode(self.root.as_bytes());
        format!("{}\n{}\n{root}\ntime {}\n", self.origin, self.size, self.time)
    }

    /// The note with the log's own signature, under the origin as key name.
    pub fn sign(&self, key: &SigningKey) -> Note {
        Note::signed(self.clone(), key)
    }

    /// Reads the text of a checkpoint; only what [`Checkpoint::signed_text`] would write is accepted.
    pub fn parse(text: &str) -> Result<Self, ParseCheckpointError> {
        let mut lines = text.strip_suffix('\n').ok_or(ParseCheckpointError::Lines)?.split('\n');
        let mut line = || lines.next().ok_or(ParseCheckpointError::Lines);
        let (origin, size, root, time) = (line()?, line()?, line()?, line()?);
        if lines.next().is_some() {
            return Err(ParseCheckpointError::Lines);
        }
        let root = STANDARD.decode(root).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        let checkpoint = Self {
            origin: origin.parse().map_err(|_| ParseCheckpointError::Origin)?,
            size: number(size).ok_or(ParseCheckpointError::Size)?,
            root: root.map(Hash::from_bytes).ok_or(ParseCheckpointError::Root)?,
            time: time.strip_prefix("time ").and_then(number).map(Time::from_unix).ok_or(ParseCheckpointError::Time)?,
        };
        if checkpoint.size == 0 && checkpoint.root != Hash::empty_root() {
            return Err(ParseCheckpointError::Root);
        }
        Ok(checkpoint)
    }
}
