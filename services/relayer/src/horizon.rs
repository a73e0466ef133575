use domain::Did;
use log::{Note, NoteKey};
use messages::MAX_CHECKPOINT;
use std::sync::{Mutex, PoisonError};

/// The longest log that the sequencer is known to have signed, from whomever. Signers are told, so that a control plane
/// cannot show some of them less than it has shown others.
#[derive(Debug)]
pub struct Horizon {
    sequencer: Did,
    longest: Mutex<Option<(u64, String)>>,
}

impl Horizon {
    /// Nothing is known yet of the log that `sequencer` signs.
    pub const fn new(sequencer: Did) -> Self {
        Self { sequencer, longest: Mutex::new(None) }
    }

    /// Learns of a checkpoint note. Gives its size when the sequencer has signed it: the lines of other keys are not
    /// looked at, so that whatever is proven here is proven to every signer.
    pub fn hear(&self, note: &str) -> Option<u64> {
        let mut longest = self.longest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((size, known)) = &*longest
            && known == note
        {
            return Some(*size);
        }
        if note.len() > MAX_CHECKPOINT {
            return None;
        }
        let parsed = Note::parse(note).ok()?;
        let origin = parsed.unverified().origin.clone();
        let key = NoteKey::new(origin.clone(), &self.sequencer).ok()?;
        let size = parsed.verify(&origin, &[key]).ok()?.size;
        if longest.as_ref().is_none_or(|(known, _)| *known < size) {
            *longest = Some((size, note.to_owned()));
        }
        Some(size)
    }

    /// The note of the longest log.
    pub fn longest(&self) -> Option<String> {
        self.longest.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|(_, note)| note.clone())
    }

    /// Its size.
    pub fn size(&self) -> u64 {
        self.longest.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map_or(0, |(size, _)| *size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Time;
    use ed25519_dalek::SigningKey;
    use log::{Checkpoint, Tree, leaf_hash};

    fn note(key: u8, size: u8) -> String {
        let mut tree = Tree::new();
        for n in 0..size {
            tree.push(leaf_hash(&[n]));
        }
        let origin = "log.example.com/test".parse().unwrap();
        Checkpoint::of(origin, &tree, Time::from_unix(9)).sign(&SigningKey::from_bytes(&[key; 32])).to_string()
    }

    #[test]
    fn only_what_the_sequencer_signed_moves_it_and_only_forward() {
        let sequencer = SigningKey::from_bytes(&[1; 32]);
        let horizon = Horizon::new(Did::from_key(sequencer.verifying_key().to_bytes()));
        assert_eq!((horizon.size(), horizon.longest()), (0, None));
        assert_eq!(horizon.hear(&note(1, 3)), Some(3));
        assert_eq!(horizon.hear(&note(2, 9)), None, "another key's");
        assert_eq!(horizon.hear("9 entries"), None);
        assert_eq!(horizon.hear(&note(1, 2)), Some(2), "true, and no news");
        assert_eq!((horizon.size(), horizon.longest()), (3, Some(note(1, 3))));
        // A line that pretends to be the quorum's spoils nothing here, as it spoils nothing for signers.
        let padded = format!("{}— log.example.com/test/quorum AAAAAAAA\n", note(1, 4));
        assert_eq!(horizon.hear(&padded), Some(4));
        let long = format!("{}— {} AAAAAAAA\n", note(1, 5), "x".repeat(MAX_CHECKPOINT));
        assert_eq!(horizon.hear(&long), None, "would not fit into requests");
    }
}
