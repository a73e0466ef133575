//! Stores checkpoints. Each row is chained to the one before it, and the anchor holds the end of the chain, so that
//! start-up finds a note that was dropped, stripped of a signature or changed.

use crate::anchor::Anchor;
use domain::{Did, Digest};
use log::{KeyName, Note, NoteKey};
use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};
use storage::{Error, Storage, StoredCheckpoint};

/// Notes of a leader before this one that are met when storing: it signs one a second and has lost its lease.
const MAX_FOREIGN: usize = 16;

/// The notes that were stored up to a point: how many, and a digest over all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chain {
    pub count: u64,
    pub digest: Digest,
}

impl Chain {
    /// No notes.
    pub const EMPTY: Self = Self { count: 0, digest: Digest::from_bytes([0; 32]) };

    /// The chain with one more note.
    pub fn with(&self, size: u64, note: &str) -> Self {
        let link = [self.digest.as_bytes().as_slice(), &size.to_be_bytes(), note.as_bytes()].concat();
        Self { count: self.count.saturating_add(1), digest: Digest::sha256(&link) }
    }
}

/// What became of a note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Put {
    /// It is the first of its size, or has more signature lines than those before.
    Stored,
    /// The stored note already is this note, or this note with more lines.
    Kept,
    /// The stored note of this size, given here, says something else. Nothing was written.
    Conflict(String),
}

/// The only writer of checkpoints.
#[derive(Debug)]
pub(crate) struct Register {
    storage: Arc<Storage>,
    anchor: Arc<Anchor>,
    sequencer: Did,
    /// The keys of all quorums so far, by which notes may have a second line.
    quorums: Mutex<Vec<NoteKey>>,
    chain: Mutex<Chain>,
    /// How many notes `chain` is over, for those who cannot wait while one is stored.
    known: AtomicU64,
}

impl Register {
    /// Goes on after `chain`, of a log that has named these quorums.
    pub const fn new(
        storage: Arc<Storage>,
        anchor: Arc<Anchor>,
        sequencer: Did,
        quorums: Vec<NoteKey>,
        chain: Chain,
    ) -> Self {
        let known = AtomicU64::new(chain.count);
        Self { storage, anchor, sequencer, quorums: Mutex::new(quorums), chain: Mutex::new(chain), known }
    }

    /// Stores a note for the log's first `size` entries. A size keeps the text it has first: later notes may only add
    /// lines at its end. Durable when it returns.
    pub fn put(&self, size: u64, note: &str) -> Result<Put, Error> {
        let mut chain = self.lock();
        for _ in 0..MAX_FOREIGN {
            self.catch_up(&mut chain)?;
            match self.stored(size)? {
                Some(stored) if stored.starts_with(note) => return Ok(Put::Kept),
                Some(stored) if !note.starts_with(&stored) => return Ok(Put::Conflict(stored)),
                _ => {}
            }
            let next = chain.with(size, note);
            let row = StoredCheckpoint { number: chain.count, size, note: note.to_owned(), chain: next.digest };
            match self.storage.put_checkpoint(&row) {
                Ok(()) => {
                    self.set(&mut chain, next);
                    if let Err(error) = self.anchor.put_chain(next) {
                        // It is written with the next note, and until then nothing is published.
                        tracing::warn!(%error, "the anchor does not know the newest stored checkpoint yet");
                    }
                    return Ok(Put::Stored);
                }
                // Another leader was faster.
                Err(Error::Duplicate { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Err(others_keep_storing())
    }

    /// The newest note of the largest size up to `size`. A row that neither this process nor a leader before it has
    /// stored is [`Error::Corrupt`].
    pub fn at_or_before(&self, size: u64) -> Result<Option<StoredCheckpoint>, Error> {
        let found = self.storage.checkpoint_at_or_before(size)?;
        if found.as_ref().is_some_and(|row| row.number >= self.known.load(Ordering::Acquire)) {
            self.catch_up(&mut self.lock())?;
        }
        Ok(found)
    }

    fn lock(&self) -> MutexGuard<'_, Chain> {
        self.chain.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn quorums(&self) -> MutexGuard<'_, Vec<NoteKey>> {
        self.quorums.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, chain: &mut Chain, next: Chain) {
        *chain = next;
        self.known.store(next.count, Ordering::Release);
    }

    /// As [`Register::put`], for a size that has a note, to which `quorum` has added a line; `None` if it has none.
    pub fn extend(&self, size: u64, note: &str, quorum: &NoteKey) -> Result<Option<Put>, Error> {
        {
            let mut quorums = self.quorums();
            if !quorums.contains(quorum) {
                quorums.push(quorum.clone());
            }
        }
        match self.stored(size)? {
            Some(_) => self.put(size, note).map(Some),
            None => Ok(None),
        }
    }

    fn stored(&self, size: u64) -> Result<Option<String>, Error> {
        Ok(self.storage.checkpoint_at_or_before(size)?.filter(|c| c.size == size).map(|c| c.note))
    }

    /// Goes on after notes that this process did not know to be there: a write of which it was not known whether it was
    /// committed, or the last second of a leader before this one.
    fn catch_up(&self, chain: &mut Chain) -> Result<(), Error> {
        for _ in 0..MAX_FOREIGN {
            let Some(row) = self.storage.checkpoints_by_number(chain.count, 1)?.pop() else { return Ok(()) };
            let next = chain.with(row.size, &row.note);
            if row.number != chain.count || row.chain != next.digest || !self.is_own(&row) || !self.adds(&row)? {
                let what = format!("number {} is not of this log's leaders", row.number);
                return Err(Error::Corrupt { table: "checkpoints", what });
            }
            self.set(chain, next);
        }
        Err(others_keep_storing())
    }

    /// The sequencer's key has signed it, and every other line is a quorum's.
    fn is_own(&self, row: &StoredCheckpoint) -> bool {
        let Ok(note) = Note::parse(&row.note) else { return false };
        let origin = &note.unverified().origin;
        let Ok(own) = NoteKey::new(origin.clone(), &self.sequencer) else { return false };
        let keys: Vec<NoteKey> = std::iter::once(own.clone()).chain(self.quorums().iter().cloned()).collect();
        let verified = note.verify(origin, &keys);
        verified.is_ok_and(|v| v.size == row.size && v.signed_by(&own) && v.signers().len() == note.lines())
    }

    /// It is of the same log as the note before it, and takes nothing from what is stored of its size: whoever can
    /// append to the table has old notes without the quorum's signature.
    fn adds(&self, row: &StoredCheckpoint) -> Result<bool, Error> {
        let before = match row.number.checked_sub(1) {
            Some(number) => self.storage.checkpoints_by_number(number, 1)?.pop(),
            None => None,
        };
        let of_size = self.storage.checkpoints_by_size((row.size, 0), storage::MAX_PAGE)?;
        let mut earlier = of_size.iter().filter(|c| c.size == row.size && c.number < row.number);
        Ok(before.is_none_or(|b| origin(&b) == origin(row)) && earlier.all(|c| row.note.starts_with(&c.note)))
    }
}

fn origin(row: &StoredCheckpoint) -> Option<KeyName> {
    Some(Note::parse(&row.note).ok()?.unverified().origin.clone())
}

fn others_keep_storing() -> Error {
    Error::Unavailable("another process keeps storing checkpoints".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::anchor::{self, AnchorLock, Record};
    use domain::Time;
    use ed25519_dalek::{Signer as _, SigningKey};
    use log::{Checkpoint, Tree, leaf_hash};
    use tempfile::TempDir;

    struct Scene {
        folder: TempDir,
        storage: Arc<Storage>,
        key: SigningKey,
        lock: Arc<AnchorLock>,
    }

    impl Scene {
        fn new() -> Self {
            let folder = TempDir::new().unwrap();
            let storage = Storage::open(&format!("sqlite:{}", folder.path().join("log.db").display())).unwrap();
            let lock = Arc::new(AnchorLock::take(&folder.path().join("anchor")).unwrap().unwrap());
            Self { folder, storage: Arc::new(storage), key: SigningKey::from_bytes(&[7; 32]), lock }
        }

        fn register(&self) -> Register {
            let record = Record { chain: Chain::EMPTY, epoch: 1 };
            let anchor = Arc::new(Anchor::new(self.folder.path().join("anchor"), record, Arc::clone(&self.lock)));
            anchor.put_note(&Self::note(1, &self.key)).unwrap();
            let sequencer = Did::from_key(self.key.verifying_key().to_bytes());
            Register::new(Arc::clone(&self.storage), anchor, sequencer, vec![Self::quorum(9)], Chain::EMPTY)
        }

        /// The key of a quorum.
        fn quorum(key: u8) -> NoteKey {
            let did = Did::from_key(SigningKey::from_bytes(&[key; 32]).verifying_key().to_bytes());
            NoteKey::new("example.com/log/quorum".parse().unwrap(), &did).unwrap()
        }

        /// A note with the line of a quorum, too.
        fn cosigned(note: &str, key: u8) -> String {
            let note = Note::parse(note).unwrap();
            let signature = SigningKey::from_bytes(&[key; 32]).sign(&note.unverified().signed_text()).to_bytes();
            note.with_signature(&Self::quorum(key), &signature).unwrap().to_string()
        }

        fn note(size: u64, key: &SigningKey) -> String {
            let tree = Tree::from_leaves((0..size).map(|n| leaf_hash(&n.to_be_bytes())));
            Checkpoint::of("example.com/log".parse().unwrap(), &tree, Time::from_unix(9)).sign(key).to_string()
        }

        fn anchored(&self) -> Chain {
            anchor::read(&self.folder.path().join("anchor")).unwrap().unwrap().record.unwrap().chain
        }
    }

    #[test]
    fn the_anchor_names_what_is_stored() {
        let (scene, mut chain) = (Scene::new(), Chain::EMPTY);
        let register = scene.register();
        assert_eq!(scene.anchored(), chain);
        for size in [3, 5] {
            let note = Scene::note(size, &scene.key);
            assert_eq!(register.put(size, &note).unwrap(), Put::Stored);
            assert_eq!(register.put(size, &note).unwrap(), Put::Kept);
            chain = chain.with(size, &note);
            assert_eq!(scene.anchored(), chain);
        }
        let (longer, quorum) = (Scene::cosigned(&Scene::note(3, &scene.key), 9), Scene::quorum(9));
        assert_eq!(register.extend(4, &longer, &quorum).unwrap(), None);
        assert_eq!(register.extend(3, &longer, &quorum).unwrap(), Some(Put::Stored));
        assert_eq!(scene.anchored(), chain.with(3, &longer));
        assert!(matches!(register.put(3, "other\n").unwrap(), Put::Conflict(stored) if stored == longer));
    }

    #[test]
    fn notes_of_a_leader_before_this_one_are_followed_and_others_are_not() {
        let scene = Scene::new();
        let (late, register) = (scene.register(), scene.register());
        let (first, second) = (Scene::note(3, &scene.key), Scene::note(5, &scene.key));
        let cosigned = Scene::cosigned(&first, 9);
        late.put(3, &first).unwrap();
        late.extend(3, &cosigned, &Scene::quorum(9)).unwrap();
        late.put(5, &second).unwrap();
        // This one knows of neither.
        assert_eq!(register.put(5, &second).unwrap(), Put::Kept);
        let third = Scene::note(6, &scene.key);
        assert_eq!(register.put(6, &third).unwrap(), Put::Stored);
        let chain = Chain::EMPTY.with(3, &first).with(3, &cosigned).with(5, &second).with(6, &third);
        assert_eq!(scene.anchored(), chain);

        let forged = Scene::note(7, &SigningKey::from_bytes(&[8; 32]));
        let row = StoredCheckpoint { number: 4, size: 7, chain: chain.with(7, &forged).digest, note: forged };
        scene.storage.put_checkpoint(&row).unwrap();
        let put = register.put(8, &Scene::note(8, &scene.key));
        assert!(matches!(put, Err(Error::Corrupt { table: "checkpoints", .. })), "{put:?}");
    }

    /// What is appended: what it is, its number and its note.
    type Appended<'a> = (&'static str, u64, &'a dyn Fn(&Scene) -> String);

    /// What somebody appends by hand, chained as it must be.
    fn append(scene: &Scene, chain: Chain, number: u64, note: &str) {
        let size = Note::parse(note).unwrap().unverified().size;
        let chain = chain.with(size, note).digest;
        scene.storage.put_checkpoint(&StoredCheckpoint { number, size, note: note.to_owned(), chain }).unwrap();
    }

    #[test]
    fn a_row_that_was_appended_by_hand_is_neither_followed_nor_shown() {
        let bare = |scene: &Scene| Scene::note(3, &scene.key);
        let cosigned = |scene: &Scene| Scene::cosigned(&bare(scene), 9);
        // The quorum's line of another note.
        let transplanted =
            |scene: &Scene| Scene::note(4, &scene.key) + cosigned(scene).strip_prefix(&bare(scene)).unwrap();
        let foreign = |scene: &Scene| {
            let tree = Tree::from_leaves((0..3).map(|n: u64| leaf_hash(&n.to_be_bytes())));
            let origin = "example.com/another".parse().unwrap();
            Checkpoint::of(origin, &tree, Time::from_unix(9)).sign(&scene.key).to_string()
        };
        let cases: [Appended<'_>; 7] = [
            ("with a false line of the quorum", 2, &transplanted),
            ("with a line of another quorum", 2, &|scene| Scene::cosigned(&Scene::note(4, &scene.key), 10)),
            ("without the log's line", 2, &|scene| {
                let note = Scene::cosigned(&Scene::note(4, &scene.key), 9);
                note.replace(note.lines().find(|l| l.starts_with("— example.com/log ")).unwrap(), "")
                    .replace("\n\n\n", "\n\n")
            }),
            ("without the quorum's signature", 2, &bare),
            ("of another log of the same key", 2, &foreign),
            ("after a gap", 7, &|scene| Scene::note(4, &scene.key)),
            ("by another key", 2, &|_| Scene::note(3, &SigningKey::from_bytes(&[8; 32]))),
        ];
        for (what, number, note) in cases {
            let scene = Scene::new();
            let register = scene.register();
            register.put(3, &bare(&scene)).unwrap();
            register.extend(3, &cosigned(&scene), &Scene::quorum(9)).unwrap();
            let stored = register.at_or_before(9).unwrap().unwrap();
            assert_eq!((stored.number, &stored.note), (1, &cosigned(&scene)));
            let chain = Chain::EMPTY.with(3, &bare(&scene)).with(3, &cosigned(&scene));
            append(&scene, chain, number, &note(&scene));
            let shown = register.at_or_before(9);
            assert!(matches!(shown, Err(Error::Corrupt { table: "checkpoints", .. })), "{what}: {shown:?}");
            let put = register.put(5, &Scene::note(5, &scene.key));
            assert!(matches!(put, Err(Error::Corrupt { table: "checkpoints", .. })), "{what}: {put:?}");
        }
        // What a leader before this one has stored is shown.
        let scene = Scene::new();
        let register = scene.register();
        append(&scene, Chain::EMPTY, 0, &bare(&scene));
        assert_eq!(register.at_or_before(9).unwrap().unwrap().note, bare(&scene));
        append(&scene, Chain::EMPTY.with(3, &bare(&scene)), 1, &cosigned(&scene));
        assert_eq!(register.at_or_before(9).unwrap().unwrap().note, cosigned(&scene));
        // So is what a quorum has signed that this process has met since.
        let later = Scene::cosigned(&Scene::note(4, &scene.key), 10);
        assert_eq!(register.extend(4, &later, &Scene::quorum(10)).unwrap(), None);
        append(&scene, Chain::EMPTY.with(3, &bare(&scene)).with(3, &cosigned(&scene)), 2, &later);
        assert_eq!(register.at_or_before(9).unwrap().unwrap().note, later);
    }
}
