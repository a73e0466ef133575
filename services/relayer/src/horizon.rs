use domain::Did;
use log::{Hash, Note, NoteKey, SignedCheckpoint};
use messages::MAX_SHOWN;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
};

/// Sizes of which the root is remembered, the largest: a fork within the last quarter of an hour is found here, an older
/// one by the signers that are shown both of its notes.
const SIZES: usize = 1_024;
/// Signers of which the notes are remembered: those of several quorums, one after the other.
const SIGNERS: usize = 256;

/// Epochs of which the appointment is remembered: those of quorums that may still be asked.
const EPOCHS: usize = 4;

/// What the log's key is known to have signed, from whomever. Signers are told, so that a control plane cannot show some
/// of them less than it has shown others, or something else.
#[derive(Debug)]
pub struct Horizon {
    key: NoteKey,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    signed: BTreeMap<u64, SignedCheckpoint>,
    /// What each signer has shown last.
    shown: BTreeMap<Did, Vec<SignedCheckpoint>>,
    fork: Option<[SignedCheckpoint; 2]>,
    appointed: BTreeMap<u64, Appointed>,
}

/// What signers must agree with, since whom the relayer asks follows from it.
#[derive(Debug)]
struct Appointed {
    covered_by: SignedCheckpoint,
    /// Who has committed to something after having been told.
    agreed: BTreeSet<Did>,
}

/// The size and root of a checkpoint: what it says of the log, whenever it was signed.
pub(crate) type Sight = (u64, Hash);

/// Notes that say different things, each once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes(BTreeMap<Sight, String>);

impl Horizon {
    /// Nothing is known yet of the log that is named as `key` and signed by it.
    pub fn new(key: NoteKey) -> Self {
        Self { key, known: Mutex::default() }
    }

    /// The log's key.
    pub(crate) const fn key(&self) -> &NoteKey {
        &self.key
    }

    /// Learns of a checkpoint note. Gives its size when the log's key has signed it for this log: lines of other keys are
    /// not looked at, so that whatever is proven here is proven to every signer.
    pub fn hear(&self, note: &str) -> Option<u64> {
        self.take(note).map(|signed| signed.checkpoint().size)
    }

    /// Learns what a signer shows: the longest log that it knows of, and notes that contradict each other. Gives what of
    /// it the log's key has signed.
    pub(crate) fn hear_from(&self, signer: &Did, notes: &[String]) -> Notes {
        let shown: Vec<SignedCheckpoint> = notes.iter().take(MAX_SHOWN).filter_map(|note| self.take(note)).collect();
        let mut said = Notes::default();
        for signed in &shown {
            said.add(signed);
        }
        let longest = |all: &[SignedCheckpoint]| all.iter().map(|signed| signed.checkpoint().size).max();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        // What an honest signer sees only grows, so that its longest note stands for all before it.
        let before = known.shown.get(signer).and_then(|before| longest(before));
        if !shown.is_empty() && longest(&shown) >= before {
            known.shown.insert(*signer, shown);
        }
        if known.shown.len() > SIGNERS {
            known.shown.pop_first();
        }
        said
    }

    /// What signers must know before they sign: the longest log, what each of `signers` has shown, and a fork.
    pub(crate) fn notes(&self, signers: impl Iterator<Item = Did>) -> Notes {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let shown = signers.filter_map(|signer| known.shown.get(&signer)).flatten();
        let longest = known.signed.values().next_back();
        let mut notes = Notes::default();
        for signed in shown.chain(longest).chain(known.fork.iter().flatten()) {
            notes.add(signed);
        }
        notes
    }

    /// Whom the relayer asks for `epoch`, an entry under this checkpoint says. Every signer of the epoch is told of it until
    /// it agrees: one that does has that entry in its own log, at the same place, and has decided it itself. A control plane
    /// that shows the relayer a quorum which the ledger did not take, under a log of its own making, is found out by the
    /// first honest signer.
    pub(crate) fn appoint(&self, epoch: u64, covered_by: SignedCheckpoint) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.appointed.insert(epoch, Appointed { covered_by, agreed: BTreeSet::new() });
        if known.appointed.len() > EPOCHS {
            known.appointed.pop_first();
        }
    }

    /// What a signer must be told before it commits to anything for `epoch`.
    pub(crate) fn appointment(&self, epoch: u64, signer: &Did) -> Notes {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut notes = Notes::default();
        if let Some(appointed) = known.appointed.get(&epoch).filter(|appointed| !appointed.agreed.contains(signer)) {
            notes.add(&appointed.covered_by);
        }
        notes
    }

    /// A signer has committed to something for `epoch`, and so agrees with what it was told.
    pub(crate) fn agreed(&self, epoch: u64, signer: Did) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(appointed) = known.appointed.get_mut(&epoch) {
            appointed.agreed.insert(signer);
        }
    }

    /// Two notes of one size with different roots: the log's key has signed two logs.
    pub fn fork(&self) -> Option<[String; 2]> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.fork.as_ref().map(|both| both.each_ref().map(|signed| signed.note().to_owned()))
    }

    /// The note of the longest log.
    pub fn longest(&self) -> Option<String> {
        self.last().map(|signed| signed.note().to_owned())
    }

    /// The checkpoint of the longest log.
    pub(crate) fn last(&self) -> Option<SignedCheckpoint> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.signed.values().next_back().cloned()
    }

    /// Its size.
    pub fn size(&self) -> u64 {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.signed.last_key_value().map_or(0, |(size, _)| *size)
    }

    fn take(&self, note: &str) -> Option<SignedCheckpoint> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        // The newest comes again and again, from every signer.
        if let Some(signed) = known.signed.values().next_back().filter(|signed| signed.note() == note) {
            return Some(signed.clone());
        }
        let signed = Note::parse(note).ok()?.signed_by_log(&self.key).ok()?;
        known.add(signed.clone());
        Some(signed)
    }
}

impl Known {
    fn add(&mut self, signed: SignedCheckpoint) {
        let (size, root, time) = (signed.checkpoint().size, signed.checkpoint().root, signed.checkpoint().time);
        match self.signed.get_mut(&size) {
            Some(before) if before.checkpoint().root != root => {
                if self.fork.is_none() {
                    let (one, other) = (before.note(), signed.note());
                    tracing::error!(size, one, other, "the log's key has signed two logs; nothing is signed any more");
                    self.fork = Some([before.clone(), signed]);
                }
            }
            Some(before) if before.checkpoint().time < time => *before = signed,
            Some(_) => {}
            None => {
                self.signed.insert(size, signed);
                if self.signed.len() > SIZES {
                    self.signed.pop_first();
                }
            }
        }
    }
}

impl Notes {
    fn add(&mut self, signed: &SignedCheckpoint) {
        let sight = (signed.checkpoint().size, signed.checkpoint().root);
        self.0.entry(sight).or_insert_with(|| signed.note().to_owned());
    }

    /// With these as well.
    pub(crate) fn and(mut self, more: &Self) -> Self {
        for (sight, note) in &more.0 {
            self.0.entry(*sight).or_insert_with(|| note.clone());
        }
        self
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether all that `others` say is said here.
    pub(crate) fn cover(&self, others: &Self) -> bool {
        others.0.keys().all(|sight| self.0.contains_key(sight))
    }

    /// The notes, the longest log last.
    pub(crate) fn texts(&self) -> Vec<String> {
        self.0.values().cloned().collect()
    }
}

#[cfg(test)]
mod tests;
