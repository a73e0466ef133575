//! The offline verifier: re-derives everything from an export alone, state included.

use crate::{Divergence, Replica, read_statement};
use domain::{Cid, Did, Digest, Time};
use ledger::{Origin, Quorum};
use log::{
    Checkpoint, Entry, KeyName, Note, NoteKey,
    export::{ExportError, Reader, Record},
};
use serde::Serialize;
use std::{collections::BTreeMap, io::BufRead};
use ucan::{Delegation, Verified};

/// Checks a log entry by entry, from the first, against the root of authority that the verifier supplies.
#[derive(Debug)]
pub struct Verifier {
    replica: Replica,
    delegations: BTreeMap<Cid, Verified<Delegation>>,
    held: Vec<Checkpoint>,
    checkpoints: u64,
    cosigned: Option<u64>,
    newest: Option<Checkpoint>,
    /// Quorum keys by epoch: an old checkpoint stays signed by the quorum of its time.
    quorums: Vec<NoteKey>,
}

/// What was verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The log's name.
    pub origin: String,
    /// How many entries.
    pub entries: u64,
    /// Root of the tree of all of them, lower-case hex.
    pub root: String,
    /// SHA-256 over the state that they make.
    pub state: Digest,
    /// How many checkpoints were verified.
    pub checkpoints: u64,
    /// The size of the newest checkpoint that the log's key signed.
    pub signed_size: Option<u64>,
    /// The size of the newest checkpoint that the quorum cosigned.
    pub cosigned_size: Option<u64>,
    /// The time of the last entry.
    pub at: Time,
}

/// An export is not a log that follows from its root of authority.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The file is not an export.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// An entry does not follow from those before it.
    #[error(transparent)]
    Divergence(#[from] Divergence),
    /// A checkpoint is not signed by the log's key, or not over this log.
    #[error("checkpoint of size {size}: {reason}")]
    Checkpoint {
        /// The size it claims.
        size: u64,
        /// What is wrong.
        reason: String,
    },
    /// The log ends before a checkpoint that the verifier holds: its tail was cut.
    #[error("the log has {entries} entries, fewer than the {held} of a checkpoint held from before")]
    Shorter {
        /// How many entries there are.
        entries: u64,
        /// How many there were.
        held: u64,
    },
    /// The header names another log than the entries.
    #[error("the export is headed {header} but is of {origin}")]
    Origin {
        /// In the header.
        header: String,
        /// In the genesis.
        origin: String,
    },
    /// There is nothing in it.
    #[error("the export has no entries")]
    Empty,
}

impl VerifyError {
    /// The first bad entry, where one is known.
    pub const fn seq(&self) -> Option<u64> {
        match self {
            Self::Divergence(d) => Some(d.seq()),
            Self::Checkpoint { size, .. } => Some(size.saturating_sub(1)),
            Self::Shorter { entries, .. } => Some(*entries),
            _ => None,
        }
    }
}

impl Verifier {
    /// A verifier that trusts `operator` alone and has kept the checkpoints `held`.
    pub fn new(operator: Did, held: Vec<Checkpoint>) -> Self {
        Self {
            replica: Replica::new(operator),
            delegations: BTreeMap::new(),
            held,
            checkpoints: 0,
            cosigned: None,
            newest: None,
            quorums: Vec::new(),
        }
    }

    /// Verifies a whole export.
    pub fn verify(mut self, input: impl BufRead) -> Result<Report, VerifyError> {
        let mut reader = Reader::new(input)?;
        let header = reader.origin().to_string();
        for record in reader.by_ref() {
            match record? {
                Record::Entry { entry, tokens } => self.entry(&entry, &tokens)?,
                Record::Checkpoint(note) => self.checkpoint(&note)?,
            }
        }
        let report = self.finish()?;
        if report.origin != header {
            return Err(VerifyError::Origin { header, origin: report.origin });
        }
        Ok(report)
    }

    /// Takes the next entry.
    pub fn entry(&mut self, entry: &[u8], tokens: &[Vec<u8>]) -> Result<(), VerifyError> {
        let seq = self.replica.next_seq();
        let decoded =
            Entry::decode(entry).map_err(|e| Divergence::Chain(log::ChainError { seq, kind: log::Fault::Entry(e) }))?;
        let known = |cid: &Cid| self.delegations.get(cid).cloned();
        let (statement, introduced) = read_statement(seq, &decoded.stmt, tokens, &known)?;
        if let Some(again) = introduced.iter().find(|d| self.delegations.contains_key(&d.cid())) {
            let reason = "an earlier entry introduced it".to_owned();
            return Err(Divergence::Token { seq, token: again.cid(), reason }.into());
        }
        self.replica.follow(entry, &statement)?;
        self.delegations.extend(introduced.into_iter().map(|d| (d.cid(), d)));
        if let Some(key) = self.replica.state().quorum().and_then(|q| quorum_key(self.replica.state().origin()?, q))
            && !self.quorums.contains(&key)
        {
            self.quorums.push(key);
        }
        let (size, root) = (self.replica.tree().size(), self.replica.tree().root());
        // All of them: two held checkpoints of one size and different roots are themselves a fork.
        if self.held.iter().any(|h| h.size == size && h.root != root) {
            let reason = "the log differs from a checkpoint held from before".to_owned();
            return Err(VerifyError::Checkpoint { size, reason });
        }
        Ok(())
    }

    /// Takes a checkpoint of exactly the entries so far.
    pub fn checkpoint(&mut self, note: &Note) -> Result<(), VerifyError> {
        let size = self.replica.tree().size();
        let wrong = |reason: String| VerifyError::Checkpoint { size, reason };
        let origin = self.replica.state().origin().ok_or_else(|| wrong("before the genesis".to_owned()))?;
        let name = key_name(origin).ok_or_else(|| wrong("the origin is not a key name".to_owned()))?;
        let own = NoteKey::new(name.clone(), &origin.sequencer).map_err(|e| wrong(e.to_string()))?;
        let mut keys = vec![own.clone()];
        keys.extend(self.quorums.iter().cloned());
        let verified = note.verify(&name, &keys).map_err(|e| wrong(e.to_string()))?;
        if !verified.signed_by(&own) {
            return Err(wrong("the log's own key has not signed it".to_owned()));
        }
        let checkpoint: &Checkpoint = &verified;
        if checkpoint.size != size || checkpoint.root != self.replica.tree().root() {
            return Err(wrong("its size or root is not that of the entries before it".to_owned()));
        }
        if self.quorums.iter().any(|q| verified.signed_by(q)) {
            self.cosigned = Some(size);
        }
        self.checkpoints = self.checkpoints.saturating_add(1);
        self.newest = Some(verified.into_inner());
        Ok(())
    }

    /// Ends: nothing that the verifier holds may be missing.
    pub fn finish(self) -> Result<Report, VerifyError> {
        let entries = self.replica.next_seq();
        if let Some(held) = self.held.iter().map(|h| h.size).max().filter(|size| *size > entries) {
            return Err(VerifyError::Shorter { entries, held });
        }
        let state = self.replica.state();
        let origin = state.origin().ok_or(VerifyError::Empty)?;
        Ok(Report {
            origin: origin.name.to_string(),
            entries,
            root: self.replica.tree().root().to_string(),
            state: state.hash(),
            checkpoints: self.checkpoints,
            signed_size: self.newest.map(|c| c.size),
            cosigned_size: self.cosigned,
            at: state.at(),
        })
    }

    /// The replica as verified so far: for replaying to a position, or under another policy.
    pub const fn replica(&self) -> &Replica {
        &self.replica
    }
}

/// The name of a log's own key, as its checkpoints use it.
pub fn key_name(origin: &Origin) -> Option<KeyName> {
    origin.name.as_str().parse().ok()
}

/// The quorum's key as checkpoints name it: `<origin>/quorum`.
pub fn quorum_key(origin: &Origin, quorum: &Quorum) -> Option<NoteKey> {
    let name: KeyName = format!("{}/quorum", origin.name).parse().ok()?;
    NoteKey::new(name, &quorum.keys.ed25519).ok()
}
