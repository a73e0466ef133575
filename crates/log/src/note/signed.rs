use super::{Note, NoteKey, VerifyError};
use crate::Checkpoint;

/// A checkpoint that the log's own key has signed, with the shortest note that shows it. Only [`Note::signed_by_log`]
/// makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    note: String,
}

impl Note {
    /// The checkpoint, when `key` has signed it and it is about the log that `key` is named after.
    ///
    /// Lines of other keys are neither looked at nor kept: what is proven to one reader is so to every other, and no
    /// line can make the note too long to be passed on.
    pub fn signed_by_log(&self, key: &NoteKey) -> Result<SignedCheckpoint, VerifyError> {
        let checkpoint = self.verify(key.name(), std::slice::from_ref(key))?.into_inner();
        let own = |s: &&super::Signature| s.name == *key.name() && s.hash == key.hash();
        let signatures = self.signatures.iter().filter(own).cloned().collect();
        let note = Self { checkpoint: checkpoint.clone(), signatures }.to_string();
        Ok(SignedCheckpoint { checkpoint, note })
    }
}

impl SignedCheckpoint {
    /// What the log's key has signed.
    pub const fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The note: the checkpoint and one signature line, at most 702 bytes.
    pub fn note(&self) -> &str {
        &self.note
    }
}
