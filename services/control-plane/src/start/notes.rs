use super::{VerifyError, unreadable};
use crate::{
    anchor::{Anchored, Record},
    checkpoint,
    register::Chain,
    snapshot::Snapshot,
};
use domain::Did;
use log::{Note, NoteKey};
use std::collections::VecDeque;
use storage::{Storage, StoredCheckpoint, readable};

/// Checkpoints per page.
const PAGE: u32 = 256;

/// Walks the stored checkpoints along the replay, and holds the anchor against it.
pub(super) struct Notes<'a> {
    storage: &'a Storage,
    page: VecDeque<StoredCheckpoint>,
    /// Size and number of the next note to read.
    next: (u64, u64),
    is_read: bool,
    anchor: Option<Note>,
    record: Option<Record>,
    anchor_met: bool,
    /// The newest checkpoint found good so far.
    newest: u64,
    /// Its text: a size's later notes only add lines to it.
    text: String,
    sequencer: Did,
    /// Keys whose lines must be good: the sequencer's and every quorum's so far.
    keys: Vec<NoteKey>,
    /// Notes with lines of keys that the log has not named up to there: a quorum may have signed what was before it.
    ahead: Vec<Note>,
}

/// The checkpoints that are stored.
pub(super) struct Stored {
    /// The size of the newest.
    pub newest: u64,
    /// All of them.
    pub chain: Chain,
    /// Whose lines they may have beside the sequencer's.
    pub quorums: Vec<NoteKey>,
}

fn bad(size: u64, what: impl Into<String>) -> VerifyError {
    VerifyError::row("checkpoints", size, what)
}

impl<'a> Notes<'a> {
    pub fn new(storage: &'a Storage, sequencer: Did, anchor: Option<Anchored>) -> Self {
        let record = anchor.as_ref().and_then(|a| a.record);
        Self {
            storage,
            page: VecDeque::new(),
            next: (0, 0),
            is_read: false,
            anchor: anchor.map(|a| a.note),
            record,
            anchor_met: false,
            newest: 0,
            text: String::new(),
            sequencer,
            keys: Vec::new(),
            ahead: Vec::new(),
        }
    }

    /// Compares the checkpoints of this very size with the replay.
    pub fn check(&mut self, snapshot: &Snapshot) -> Result<(), VerifyError> {
        let tree = snapshot.replica.tree();
        let size = tree.size();
        self.learn_keys(snapshot);
        if let Some(anchor) = self.anchor.as_ref().map(Note::unverified).filter(|a| a.size == size) {
            if anchor.root != tree.root() {
                return Err(VerifyError::row("entries", size.saturating_sub(1), "the anchor has another root here"));
            }
            self.anchor_met = true;
        }
        while let Some(stored) = self.peek()?.filter(|c| c.size <= size) {
            let (claimed, text) = (stored.size, stored.note.clone());
            self.page.pop_front();
            let note = Note::parse(&text).map_err(|e| bad(claimed, e.to_string()))?;
            if claimed != size || note.unverified().size != size || note.unverified().root != tree.root() {
                return Err(bad(claimed, "another size or root than the entries have"));
            }
            if self.signed(&note, snapshot).map_err(|what| bad(size, what))? < note.lines() {
                self.ahead.push(note);
            }
            if self.newest == size && !text.starts_with(&self.text) {
                return Err(bad(size, "a signature that was stored before is missing"));
            }
            (self.newest, self.text) = (size, text);
        }
        Ok(())
    }

    fn learn_keys(&mut self, snapshot: &Snapshot) {
        let Some(origin) = checkpoint::origin(snapshot) else { return };
        if self.keys.is_empty() {
            self.keys.extend(NoteKey::new(origin.clone(), &self.sequencer));
        }
        let quorum = checkpoint::quorum_key(&origin, snapshot);
        self.keys.extend(quorum.filter(|key| !self.keys.contains(key)));
    }

    /// The sequencer has signed the note, and no line of a known key is false. Gives how many lines are of known keys.
    fn signed(&self, note: &Note, snapshot: &Snapshot) -> Result<usize, String> {
        let origin = checkpoint::origin(snapshot).ok_or("the log has no name that notes can carry")?;
        let verified = note.verify(&origin, &self.keys).map_err(|e| e.to_string())?;
        match self.keys.first() {
            Some(own) if verified.signed_by(own) => Ok(verified.signers().len()),
            _ => Err("not signed by the sequencer".to_owned()),
        }
    }

    fn peek(&mut self) -> Result<Option<&StoredCheckpoint>, VerifyError> {
        if self.page.is_empty() && !self.is_read {
            let read = |limit| self.storage.checkpoints_by_size(self.next, limit);
            self.page = readable(PAGE, &read).map_err(|e| unreadable(e, self.next.0))?.into();
            match self.page.back() {
                Some(last) => self.next = (last.size, last.number.saturating_add(1)),
                None => self.is_read = true,
            }
        }
        Ok(self.page.front())
    }

    /// Checks what needs the whole log: checkpoints beyond its end, that its end is not cut off, and that no note has
    /// been dropped or changed.
    pub fn finish(mut self, snapshot: &Snapshot, accept_missing_anchor: bool) -> Result<Stored, VerifyError> {
        let size = snapshot.replica.next_seq();
        if let Some(beyond) = self.peek()?.map(|c| c.size) {
            return Err(bad(beyond, format!("beyond the log's {size} entries")));
        }
        for note in &self.ahead {
            let size = note.unverified().size;
            if self.signed(note, snapshot).map_err(|what| bad(size, what))? < note.lines() {
                return Err(bad(size, "a signature of a key that the log does not name"));
            }
        }
        match self.anchor.take() {
            Some(_) if !self.anchor_met && size == 0 => {
                return Err(VerifyError::row("entries", 0, "missing; the anchor has seen some"));
            }
            Some(anchor) => {
                self.signed(&anchor, snapshot).map_err(VerifyError::AnchorSignature)?;
                if !self.anchor_met {
                    let seen = anchor.unverified().size;
                    return Err(VerifyError::row(
                        "entries",
                        size,
                        format!("missing; the anchor has seen {seen} entries"),
                    ));
                }
            }
            // The anchor is written before the first checkpoint is stored, so a log without one has none to miss.
            None if self.newest > 0 && !accept_missing_anchor => return Err(VerifyError::AnchorMissing),
            None => {}
        }
        let (newest, chain) = (self.newest, self.chain(size)?);
        Ok(Stored { newest, chain, quorums: self.keys.into_iter().skip(1).collect() })
    }

    /// Walks the notes in the order in which they were stored. Those that were stored after the anchor was last
    /// written, by a process that was killed then or by another leader, follow what the anchor has seen.
    fn chain(&self, size: u64) -> Result<Chain, VerifyError> {
        let (mut chain, mut before) = (Chain::EMPTY, 0);
        let seen = self.record.map_or(Chain::EMPTY, |r| r.chain);
        let mut met = seen == chain;
        loop {
            let page = readable(PAGE, &|limit| self.storage.checkpoints_by_number(chain.count, limit));
            let page = page.map_err(|e| unreadable(e, before))?;
            if page.is_empty() {
                break;
            }
            for row in page {
                if row.number != chain.count {
                    return Err(bad(row.size, format!("number {} was dropped before it", chain.count)));
                }
                chain = chain.with(row.size, &row.note);
                if row.chain != chain.digest {
                    return Err(bad(row.size, "it or one before it was changed or dropped"));
                }
                if chain.count == seen.count {
                    met = chain == seen;
                    if !met {
                        return Err(bad(row.size, "the anchor has seen other checkpoints up to here"));
                    }
                }
                before = row.size;
            }
        }
        if met {
            Ok(chain)
        } else {
            Err(bad(size, format!("{} rows, the anchor has seen {}", chain.count, seen.count)))
        }
    }
}
