//! A file beside the database that says how far this node has verified the log, how many locks and how much evidence it
//! has written, whether it has halted, and the newest checkpoint of its log; and the seal under which it writes them.
//! Whoever can change the database alone cannot make the node forget, or remember what never was, unseen.

use domain::Digest;
use keyfile::Identity;
use log::{Note, SignedCheckpoint};
use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};
use storage::{NonceLock, NoncePlace};

/// What a seal is for; part of the digest.
const LOCK: &[u8] = b"countersign lock v1";
const NONCE_LOCK: &[u8] = b"countersign nonce lock v1";
const EVIDENCE: &[u8] = b"countersign evidence v1";

/// The third line of the file begins so, when there is a reason. No note does: a log's name has no spaces.
const HALTED: &str = "halted ";

/// What the file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Anchored {
    /// Entries up to the newest checkpoint that agreed with this node's own tree.
    pub size: u64,
    /// The root of that tree; zeros while there is none.
    pub root: [u8; 32],
    /// Locks that the database held durably.
    pub locks: u64,
    /// Locks on nonces that the database held durably.
    pub nonce_locks: u64,
    /// Pieces of evidence that the database held durably.
    pub evidence: u64,
    /// Why this node signs nothing any more.
    pub halted: Option<String>,
    /// The longest checkpoint of the control plane that agreed with this node's own tree.
    pub newest: Option<Note>,
}

/// The file.
#[derive(Debug)]
pub(crate) struct Anchor {
    path: PathBuf,
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    now: Anchored,
    written: Option<Anchored>,
}

impl Anchored {
    fn text(&self) -> String {
        let Self { size, root, locks, nonce_locks, evidence, halted, newest } = self;
        let root = Digest::from_bytes(*root);
        // One line, whatever the reason quotes.
        let line = |reason: &String| format!("{HALTED}{}\n", reason.replace(char::is_control, " "));
        let halted = halted.as_ref().map(line).unwrap_or_default();
        let newest = newest.as_ref().map(Note::to_string).unwrap_or_default();
        format!("countersign signer v1\n{size} {root} {locks} {nonce_locks} {evidence}\n{halted}{newest}")
    }

    fn parse(text: &str) -> Option<Self> {
        let (counts, rest) = text.split_once('\n')?.1.split_once('\n')?;
        let mut words = counts.split(' ');
        let size = words.next()?.parse().ok()?;
        let root: Digest = words.next()?.parse().ok()?;
        let [locks, nonce_locks, evidence] = [words.next()?, words.next()?, words.next()?];
        let (locks, nonce_locks) = (locks.parse().ok()?, nonce_locks.parse().ok()?);
        let evidence = evidence.parse().ok()?;
        let (halted, note) = match rest.strip_prefix(HALTED) {
            Some(rest) => rest.split_once('\n').map(|(reason, note)| (Some(reason.to_owned()), note))?,
            None => (None, rest),
        };
        let newest = if note.is_empty() { None } else { Some(Note::parse(note).ok()?) };
        let parsed = Self { size, root: *root.as_bytes(), locks, nonce_locks, evidence, halted, newest };
        // One way to write it: whatever else is there has not been written here.
        (parsed.text() == text).then_some(parsed)
    }
}

/// Where the file is, in the node's folder.
pub(crate) fn path(data: &Path) -> PathBuf {
    data.join("anchor")
}

/// What the file in the node's folder says; nothing when there is none.
pub(crate) fn read(data: &Path) -> io::Result<Anchored> {
    match fs::read_to_string(path(data)) {
        Ok(text) => Anchored::parse(&text).ok_or_else(|| io::ErrorKind::InvalidData.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Anchored::default()),
        Err(error) => Err(error),
    }
}

impl Anchor {
    /// Goes on from what the database has been found to hold.
    pub fn new(data: &Path, now: Anchored) -> Self {
        Self { path: path(data), kept: Mutex::new(Kept { now, written: None }) }
    }

    /// Counts a lock that is durable. It is written with the next checkpoint, at most a second later.
    pub fn count_lock(&self) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.now.locks = kept.now.locks.saturating_add(1);
    }

    /// Counts a lock on a nonce that is durable, at once: they are few.
    pub fn count_nonce_lock(&self) -> io::Result<()> {
        self.change(|now| now.nonce_locks = now.nonce_locks.saturating_add(1))
    }

    /// Counts a piece of evidence that is durable. [`Anchor::halt`] writes it.
    pub fn count_evidence(&self) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.now.evidence = kept.now.evidence.saturating_add(1);
    }

    /// Says that this node has halted, and why, at once; with all the evidence that was counted.
    pub fn halt(&self, reason: &str) -> io::Result<()> {
        self.change(|now| now.halted = Some(reason.to_owned()))
    }

    /// Notes that a checkpoint agrees with this node's own tree.
    pub fn confirm(&self, signed: &SignedCheckpoint) -> io::Result<()> {
        let (size, root) = (signed.checkpoint().size, *signed.checkpoint().root.as_bytes());
        self.change(|now| {
            if size > now.size {
                (now.size, now.root) = (size, root);
            }
            if now.newest.as_ref().is_none_or(|known| known.unverified().size < size) {
                now.newest = Note::parse(signed.note()).ok();
            }
        })
    }

    /// Writes what has changed, durably and as a whole.
    fn change(&self, change: impl FnOnce(&mut Anchored)) -> io::Result<()> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut kept.now);
        if kept.written.as_ref() == Some(&kept.now) {
            return Ok(());
        }
        let draft = self.path.with_added_extension("draft");
        let mut file = File::create(&draft)?;
        file.write_all(kept.now.text().as_bytes())?;
        file.sync_all()?;
        fs::rename(&draft, &self.path)?;
        File::open(self.path.parent().unwrap_or(Path::new(".")))?.sync_all()?;
        kept.written = Some(kept.now.clone());
        Ok(())
    }
}

/// Makes digests over rows that nobody without this node's key can make.
pub(crate) struct Seal([u8; 32]);

impl Seal {
    pub fn of(identity: &Identity) -> Self {
        let secret = zeroize::Zeroizing::new(identity.key().to_bytes());
        Self(*Digest::sha256(&[b"countersign seal v1".as_slice(), secret.as_slice()].concat()).as_bytes())
    }

    pub fn lock(&self, intent: &Digest, digest: &Digest, epoch: u64) -> Digest {
        self.seal(&[LOCK, intent.as_bytes(), digest.as_bytes(), &epoch.to_be_bytes()].concat())
    }

    pub fn nonce_lock(&self, place: &NoncePlace, lock: &NonceLock) -> Digest {
        let [nonce, attempt, until] = [place.nonce, place.attempt, lock.valid_until.unix()].map(u64::to_be_bytes);
        let (contract, digest) = (place.contract.as_bytes(), lock.digest.as_bytes());
        self.seal(&[NONCE_LOCK, contract, &nonce, &attempt, digest, &until].concat())
    }

    pub fn evidence(&self, seq: u64, kind: &str, body: &[u8]) -> Digest {
        let (kind, body) = (Digest::sha256(kind.as_bytes()), Digest::sha256(body));
        self.seal(&[EVIDENCE, &seq.to_be_bytes(), kind.as_bytes(), body.as_bytes()].concat())
    }

    /// Of fixed length for each purpose, so that no message is the beginning of another.
    fn seal(&self, message: &[u8]) -> Digest {
        Digest::sha256(&[self.0.as_slice(), message].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Time;
    use log::{Checkpoint, Hash, NoteKey};

    fn signed(size: u64, root: u8) -> SignedCheckpoint {
        let (origin, key) = ("log.example.com/test".parse().unwrap(), Identity::generate(&mut rand_core::OsRng));
        let own = NoteKey::new("log.example.com/test".parse().unwrap(), &key.did()).unwrap();
        let (root, time) = (Hash::from_bytes([root; 32]), Time::from_unix(9));
        Checkpoint { origin, size, root, time }.sign(key.key()).signed_by_log(&own).unwrap()
    }

    #[test]
    fn what_was_counted_is_read_again_and_nothing_else() {
        let folder = std::env::temp_dir().join(format!("countersign-anchor-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        assert_eq!(read(&folder).unwrap(), Anchored::default());
        let anchor = Anchor::new(&folder, Anchored::default());
        anchor.count_lock();
        assert_eq!(read(&folder).unwrap(), Anchored::default(), "not before the next checkpoint");
        let newest = signed(7, 1);
        anchor.confirm(&newest).unwrap();
        anchor.confirm(&signed(5, 2)).unwrap();
        assert_eq!(read(&folder).unwrap().halted, None);
        anchor.count_nonce_lock().unwrap();
        assert_eq!(read(&folder).unwrap().nonce_locks, 1, "at once");
        anchor.count_nonce_lock().unwrap();
        anchor.count_evidence();
        anchor.halt("two roots\nof size 7").unwrap();
        let halted = Some("two roots of size 7".to_owned());
        let newest = Some(Note::parse(newest.note()).unwrap());
        let all = Anchored { size: 7, root: [1; 32], locks: 1, nonce_locks: 2, evidence: 1, halted, newest };
        assert_eq!(read(&folder).unwrap(), all);
        let text = fs::read_to_string(path(&folder)).unwrap();
        let cut = text.find("\nlog.example.com").unwrap();
        fs::write(path(&folder), &text[..=cut]).unwrap();
        assert_eq!(read(&folder).unwrap(), Anchored { newest: None, ..all }, "as it is before the first checkpoint");
        let torn = [&text[..cut], &text[..text.len() - 1], &text[..text.len() - 80], &(text.clone() + "x")];
        for bad in [String::new(), text.replace("7 ", "07 ")].iter().map(String::as_str).chain(torn) {
            fs::write(path(&folder), bad).unwrap();
            assert!(read(&folder).is_err());
        }
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_seal_is_of_one_row_and_one_key() {
        let [own, other] = [(); 2].map(|()| Seal::of(&Identity::generate(&mut rand_core::OsRng)));
        let (a, b) = (Digest::sha256(b"a"), Digest::sha256(b"b"));
        let place = |contract, nonce, attempt| NoncePlace { contract, nonce, attempt };
        let nonce_lock = |digest, until| NonceLock { digest, valid_until: Time::from_unix(until) };
        let seals = [
            own.nonce_lock(&place(a, 1, 0), &nonce_lock(b, 9)),
            own.nonce_lock(&place(b, 1, 0), &nonce_lock(a, 9)),
            own.nonce_lock(&place(a, 0, 1), &nonce_lock(b, 9)),
            own.nonce_lock(&place(a, 1, 1), &nonce_lock(b, 9)),
            own.nonce_lock(&place(a, 1, 0), &nonce_lock(b, 8)),
            other.nonce_lock(&place(a, 1, 0), &nonce_lock(b, 9)),
            own.lock(&a, &b, 1),
            own.lock(&b, &a, 1),
            own.lock(&a, &b, 2),
            other.lock(&a, &b, 1),
            own.evidence(1, "halt", b"x"),
            own.evidence(1, "hal", b"tx"),
            own.evidence(2, "halt", b"x"),
        ];
        let distinct: std::collections::BTreeSet<_> = seals.iter().collect();
        assert_eq!(distinct.len(), seals.len());
    }
}
