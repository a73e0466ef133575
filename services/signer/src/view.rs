//! What this node knows of the log, for all its parts to read without waiting for the follower.

use arc_swap::ArcSwap;
use domain::Time;
use ledger::Freshness;
use log::{Hash, SignedCheckpoint};
use replica::Replica;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};
use tokio::sync::watch;

/// Roots of past sizes are kept this far back: a checkpoint that is asked to be cosigned is seconds old.
const ROOTS: usize = 65_536;
/// Sizes beyond this node's log that are remembered; the largest stays, and it is what holds signing up.
const HEARD: usize = 256;

/// The log's key has signed two different logs: it is a fork, and this is the proof.
#[derive(Debug)]
pub(crate) struct Fork {
    pub reason: String,
    /// What the log's key has signed: one note that contradicts this node's tree, or two that contradict each other.
    notes: Vec<String>,
}

/// Where a checkpoint that the log's key has signed stands to this node's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// This node's tree has had its root.
    Agreed,
    /// It is over more entries than there are here.
    Beyond,
    /// It is of a size whose root is not remembered: the stored log says what it was.
    Past,
}

pub(crate) struct View {
    replica: ArcSwap<Replica>,
    size: watch::Sender<u64>,
    checkpoint: Mutex<Confirmed>,
    roots: Mutex<VecDeque<(u64, Hash)>>,
    halted: OnceLock<String>,
    /// What shows that the log's key has signed two logs.
    forked: OnceLock<Vec<String>>,
    suspected: Mutex<Option<String>>,
    /// Checkpoints over more entries than there are here, by size. Locked while `roots` is, so that none falls between.
    heard: Mutex<BTreeMap<u64, SignedCheckpoint>>,
}

/// The checkpoints that this node's own tree agrees with.
#[derive(Default)]
struct Confirmed {
    /// The longest, and among those of its size the newest: how far this node can prove to see.
    longest: Option<SignedCheckpoint>,
    /// Until when the log's key has vouched for this view.
    fresh: Time,
}

impl View {
    pub fn new(replica: Replica, halted: Option<String>) -> Self {
        let (size, _) = watch::channel(replica.next_seq());
        let lock = OnceLock::new();
        if let Some(reason) = halted {
            lock.get_or_init(|| reason);
        }
        let roots = VecDeque::from([(replica.tree().size(), replica.tree().root())]);
        Self {
            replica: ArcSwap::from_pointee(replica),
            size,
            checkpoint: Mutex::default(),
            roots: Mutex::new(roots),
            halted: lock,
            forked: OnceLock::new(),
            suspected: Mutex::new(None),
            heard: Mutex::new(BTreeMap::new()),
        }
    }

    pub fn replica(&self) -> Arc<Replica> {
        self.replica.load_full()
    }

    /// Publishes a verified replica and the roots of the sizes on the way to it. When the log's key has signed another
    /// root of one of them, the view halts first.
    pub fn publish(&self, replica: Replica, roots: impl IntoIterator<Item = (u64, Hash)>) -> Result<(), Fork> {
        let size = replica.next_seq();
        let mut kept = self.roots.lock().unwrap_or_else(PoisonError::into_inner);
        let known = kept.len();
        kept.extend(roots);
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let parted = kept.iter().skip(known).find_map(|(size, root)| {
            let signed = heard.get(size)?;
            (signed.checkpoint().root != *root).then(|| Fork::of_tree(signed))
        });
        if let Some(fork) = &parted {
            self.part(fork);
        }
        let surplus = kept.len().saturating_sub(ROOTS);
        kept.drain(..surplus);
        // While both are locked: nobody finds nothing heard and yet the old replica.
        self.replica.store(Arc::new(replica));
        let beyond = heard.split_off(&size.saturating_add(1));
        let reached = std::mem::replace(&mut *heard, beyond).pop_last();
        if let Some((_, signed)) = reached.filter(|_| parted.is_none()) {
            self.agree(signed);
        }
        drop((kept, heard));
        self.size.send_replace(size);
        parted.map_or(Ok(()), Err)
    }

    /// Takes note of a checkpoint that the log's key has signed, from whomever. When it contradicts this node's tree or
    /// another such checkpoint, the view halts.
    pub fn hear(&self, signed: &SignedCheckpoint) -> Result<Place, Fork> {
        let roots = self.roots.lock().unwrap_or_else(PoisonError::into_inner);
        let (size, root) = (signed.checkpoint().size, signed.checkpoint().root);
        let fork = match find(&roots, size) {
            Some(own) if own == root => {
                self.agree(signed.clone());
                return Ok(Place::Agreed);
            }
            Some(_) => Fork::of_tree(signed),
            None if roots.back().is_some_and(|(own, _)| size < *own) => return Ok(Place::Past),
            None => {
                let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
                let known = heard.entry(size).or_insert_with(|| signed.clone());
                let fork = (known.checkpoint().root != root).then(|| Fork::of_notes(known, signed));
                if heard.len() > HEARD {
                    heard.pop_first();
                }
                let Some(fork) = fork else { return Ok(Place::Beyond) };
                fork
            }
        };
        drop(roots);
        self.part(&fork);
        Err(fork)
    }

    /// Holds a checkpoint of a size whose root is not remembered against the root that the stored log has there.
    pub fn judge(&self, signed: &SignedCheckpoint, stored: Hash) -> Result<(), Fork> {
        if signed.checkpoint().root == stored {
            self.agree(signed.clone());
            return Ok(());
        }
        let fork = Fork::of_tree(signed);
        self.part(&fork);
        Err(fork)
    }

    /// The size of the longest log that the log's key has signed for, when this node's is shorter.
    pub fn beyond(&self) -> Option<u64> {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.last_key_value().map(|(size, _)| *size)
    }

    /// The root of the tree when it had `size` entries, if that is not long ago.
    pub fn root_at(&self, size: u64) -> Option<Hash> {
        let roots = self.roots.lock().unwrap_or_else(PoisonError::into_inner);
        find(&roots, size)
    }

    /// Waits until the log has `size` entries here, at most for `patience`.
    pub async fn reach(&self, size: u64, patience: Duration) -> bool {
        let mut sizes = self.size.subscribe();
        let reached = sizes.wait_for(|s| *s >= size);
        matches!(tokio::time::timeout(patience, reached).await, Ok(Ok(_)))
    }

    /// Notes that the log's key vouches for this view: a checkpoint that this node's own tree agrees with has come.
    ///
    /// One of fewer entries than the log's key has signed for already vouches for nothing, however new it is. Whoever
    /// signs in order signs no older size later, so it hides entries, or a clock has gone back.
    pub fn confirm(&self, signed: &SignedCheckpoint, now: Time) {
        let mut confirmed = self.checkpoint.lock().unwrap_or_else(PoisonError::into_inner);
        if confirmed.longest.as_ref().is_none_or(|known| known.checkpoint().size <= signed.checkpoint().size) {
            confirmed.fresh = confirmed.fresh.max(signed.checkpoint().time.min(now));
        }
        confirmed.take(signed.clone());
    }

    /// Remembers a checkpoint that this node's own tree agrees with, from whomever.
    fn agree(&self, signed: SignedCheckpoint) {
        self.checkpoint.lock().unwrap_or_else(PoisonError::into_inner).take(signed);
    }

    /// The longest log that this node knows the log's key to have signed, of its own entries or beyond them.
    pub fn longest(&self) -> Option<String> {
        let beyond = {
            let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
            heard.last_key_value().map(|(_, signed)| signed.note().to_owned())
        };
        let own = || {
            let confirmed = self.checkpoint.lock().unwrap_or_else(PoisonError::into_inner);
            confirmed.longest.as_ref().map(|signed| signed.note().to_owned())
        };
        beyond.or_else(own)
    }

    /// What others must know before they sign what this node does not: the longest log, and what has made it halt.
    pub fn shown(&self) -> Vec<String> {
        let mut notes: Vec<String> = self.longest().into_iter().collect();
        for note in self.forked.get().into_iter().flatten() {
            if !notes.contains(note) {
                notes.push(note.clone());
            }
        }
        notes
    }

    pub fn freshness(&self, lease: u64) -> Freshness {
        let checkpoint = self.checkpoint.lock().unwrap_or_else(PoisonError::into_inner).fresh;
        Freshness { checkpoint, lease }
    }

    /// The log's key has signed two logs: signing stops for good, and others are shown why.
    fn part(&self, fork: &Fork) {
        self.forked.get_or_init(|| fork.notes.clone());
        self.halt(fork.reason.clone());
    }

    /// Stops signing for good: this node and the log have parted.
    pub fn halt(&self, reason: String) {
        self.halted.get_or_init(|| reason);
    }

    /// Stops signing while what has come cannot be right and nobody has signed for it yet.
    pub fn suspect(&self, reason: Option<String>) {
        *self.suspected.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    }

    pub fn suspected(&self) -> Option<String> {
        self.suspected.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn halted(&self) -> Option<&str> {
        self.halted.get().map(String::as_str)
    }
}

/// The root of the tree when it had `size` entries; sizes only grow.
fn find(roots: &VecDeque<(u64, Hash)>, size: u64) -> Option<Hash> {
    let at = roots.binary_search_by_key(&size, |(size, _)| *size).ok()?;
    roots.get(at).map(|(_, root)| *root)
}

impl Confirmed {
    fn take(&mut self, signed: SignedCheckpoint) {
        let place = |signed: &SignedCheckpoint| (signed.checkpoint().size, signed.checkpoint().time);
        if self.longest.as_ref().is_none_or(|known| place(known) <= place(&signed)) {
            self.longest = Some(signed);
        }
    }
}

impl Fork {
    fn of_tree(signed: &SignedCheckpoint) -> Self {
        let reason = format!("the log signed another root of size {} than its entries have", signed.checkpoint().size);
        Self { reason, notes: vec![signed.note().to_owned()] }
    }

    fn of_notes(one: &SignedCheckpoint, other: &SignedCheckpoint) -> Self {
        let reason = format!("the log signed two roots of size {}", one.checkpoint().size);
        Self { reason, notes: vec![one.note().to_owned(), other.note().to_owned()] }
    }

    /// The notes as they are kept.
    pub fn evidence(&self) -> String {
        self.notes.join("\n")
    }

    /// What [`Fork::evidence`] was made of. Each note ends with its one signature line.
    pub fn notes_in(evidence: &str) -> Vec<String> {
        let (mut notes, mut note) = (Vec::new(), String::new());
        for line in evidence.lines() {
            // Blank, or the bad entry that a note was signed over.
            if note.is_empty() && (line.is_empty() || line.starts_with('{')) {
                continue;
            }
            note.push_str(line);
            note.push('\n');
            if line.starts_with("— ") {
                notes.push(std::mem::take(&mut note));
            }
        }
        notes
    }
}

#[cfg(test)]
mod tests;
