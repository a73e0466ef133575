//! Signs what the log is, every second: proof of growth, and proof of life for those whose right to sign depends on it.

use crate::{
    anchor::Anchor,
    clock,
    feed::{Event, Feed},
    health::{Health, Stop},
    metrics::Metrics,
    register::{Put, Register},
    snapshot::Snapshot,
};
use arc_swap::{ArcSwap, ArcSwapOption};
use domain::Time;
use ed25519_dalek::SigningKey;
use log::{Checkpoint, Hash, KeyName, Note, NoteKey};
use std::{
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};
use storage::Error;

/// A signer's view is fresh while it sees one of these within its lease of many seconds.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// The newest signed note.
#[derive(Clone, Debug)]
pub(crate) struct Published {
    pub size: u64,
    pub text: Arc<str>,
}

/// The newest signed note, for everyone who asks.
pub(crate) type Latest = Arc<ArcSwapOption<Published>>;

/// What the signing thread shares with the rest of the service.
pub(crate) struct Parts {
    pub key: SigningKey,
    pub anchor: Arc<Anchor>,
    pub register: Arc<Register>,
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    pub feed: Feed,
    pub latest: Latest,
    pub health: Arc<Health>,
    pub metrics: Metrics,
    /// Size of the newest checkpoint in the database.
    pub stored: u64,
}

/// The running threads; dropping the handle does not stop them, [`Checkpointer::stop`] does.
pub(crate) struct Checkpointer {
    stop: SyncSender<()>,
    signing: JoinHandle<()>,
    storing: JoinHandle<()>,
}

/// Starts signing.
pub(crate) fn start(parts: Parts) -> std::io::Result<Checkpointer> {
    let (stop, stopped) = sync_channel(1);
    // One note waits at most: when the database is slow, sizes are left out rather than heartbeats delayed.
    let (notes, inbox) = sync_channel::<Published>(1);
    let (register, health) = (Arc::clone(&parts.register), Arc::clone(&parts.health));
    let storing = thread::Builder::new()
        .name("checkpoint-store".to_owned())
        .spawn(move || store_all(&inbox, |note| store(&register, &health, note)))?;
    let outbox = Outbox { notes, newest: parts.stored };
    let signer = Signer { parts, outbox, anchored: 0 };
    let signing = thread::Builder::new().name("checkpoint".to_owned()).spawn(move || signer.run(&stopped))?;
    Ok(Checkpointer { stop, signing, storing })
}

impl Checkpointer {
    /// Signs and stores what the log is now, and ends. Blocks.
    pub fn stop(self) {
        // Fails when the thread has ended already.
        let _ = self.stop.send(());
        if self.signing.join().is_err() || self.storing.join().is_err() {
            tracing::error!("a checkpoint thread failed");
        }
    }
}

/// Stores what comes. What could not be stored is tried again until it is, or a newer note takes its place.
fn store_all(inbox: &Receiver<Published>, store: impl Fn(&Published) -> bool) {
    let mut failed: Option<Published> = None;
    loop {
        let (note, is_last) = match (failed.take(), inbox.recv_timeout(HEARTBEAT)) {
            (_, Ok(newer)) => (newer, false),
            (Some(again), Err(timeout)) => (again, timeout == RecvTimeoutError::Disconnected),
            (None, Err(RecvTimeoutError::Timeout)) => continue,
            (None, Err(RecvTimeoutError::Disconnected)) => return,
        };
        if !store(&note) && !is_last {
            failed = Some(note);
        }
    }
}

/// Whether nothing is left to do for this note.
fn store(register: &Register, health: &Health, note: &Published) -> bool {
    match register.put(note.size, &note.text) {
        // A leader before this one may have signed the same size in its last second; only another root is a fork.
        Ok(Put::Conflict(stored)) if root_of(&stored) == root_of(&note.text) => {}
        Ok(Put::Conflict(_)) => {
            tracing::error!(size = note.size, "the database has another checkpoint of this size");
            health.stop(Stop::Forked);
        }
        Ok(_) => {}
        Err(error @ Error::Corrupt { .. }) => {
            tracing::error!(%error, "the checkpoints were changed");
            health.stop(Stop::Corrupt);
        }
        Err(error) => {
            tracing::warn!(%error, size = note.size, "a checkpoint could not be stored; it is tried again");
            return false;
        }
    }
    true
}

fn root_of(note: &str) -> Option<Hash> {
    Note::parse(note).ok().map(|n| n.unverified().root)
}

/// Hands notes to the thread that stores them, one for each size.
struct Outbox {
    notes: SyncSender<Published>,
    /// The newest size that is stored or waits for it.
    newest: u64,
}

impl Outbox {
    /// Leaves a note out while another waits: a later one will say more.
    fn offer(&mut self, note: Published) {
        let size = note.size;
        if size > self.newest && self.notes.try_send(note).is_ok() {
            self.newest = size;
        }
    }

    /// Waits until what was offered before is taken: no later note will come. Blocks.
    fn close(self, last: Published) {
        if last.size > self.newest {
            // Fails when the thread has ended, which says so itself.
            let _ = self.notes.send(last);
        }
    }
}

struct Signer {
    parts: Parts,
    outbox: Outbox,
    anchored: u64,
}

impl Signer {
    fn run(mut self, stopped: &Receiver<()>) {
        let mut next = clock::instant();
        loop {
            if let Some(note) = self.publish(clock::now()) {
                self.outbox.offer(note);
            }
            let now = clock::instant();
            next = next.checked_add(HEARTBEAT).filter(|n| *n > now).unwrap_or(now);
            match stopped.recv_timeout(next.saturating_duration_since(now)) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(RecvTimeoutError::Disconnected) => {
                    if let Some(note) = self.publish(clock::now()) {
                        self.outbox.close(note);
                    }
                    return;
                }
            }
        }
    }

    /// Signs what the log is now and shows it to everyone, unless it is not this process's to sign.
    fn publish(&mut self, now: Time) -> Option<Published> {
        if !self.parts.health.leads(now) {
            return None;
        }
        let snapshot = self.parts.snapshot.load_full();
        let size = snapshot.replica.tree().size();
        let origin = origin(&snapshot)?;
        let checkpoint = Checkpoint::of(origin, snapshot.replica.tree(), now.max(snapshot.replica.state().at()));
        let text: Arc<str> = checkpoint.sign(&self.parts.key).to_string().into();
        if size > self.anchored || self.parts.anchor.is_behind() {
            // What others will hold us to must be on our own disk first.
            if let Err(error) = self.parts.anchor.put_note(&text) {
                tracing::error!(%error, "no checkpoint is published without its anchor");
                self.parts.health.set_anchored(false);
                return None;
            }
            self.parts.health.set_anchored(true);
            self.anchored = size;
        }
        let published = Published { size, text: Arc::clone(&text) };
        self.parts.latest.store(Some(Arc::new(published.clone())));
        self.parts.feed.publish(Event::Checkpoint { size, text });
        self.parts.metrics.checkpoint_at.set(i64::try_from(checkpoint.time.unix()).unwrap_or(i64::MAX));
        self.parts.metrics.checkpoint_size.set(i64::try_from(size).unwrap_or(i64::MAX));
        Some(published)
    }
}

/// The log's name, once it has one that notes can carry.
pub(crate) fn origin(snapshot: &Snapshot) -> Option<KeyName> {
    snapshot.replica.state().origin()?.name.as_str().parse().ok()
}

/// The active quorum's key as notes name it: `<origin>/quorum`.
pub(crate) fn quorum_key(origin: &KeyName, snapshot: &Snapshot) -> Option<NoteKey> {
    let quorum = snapshot.replica.state().quorum()?;
    NoteKey::new(format!("{origin}/quorum").parse().ok()?, &quorum.keys.ed25519).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    fn note(size: u64) -> Published {
        Published { size, text: "".into() }
    }

    #[test]
    fn the_last_note_waits_for_its_turn_and_others_are_left_out() {
        let (notes, inbox) = sync_channel(1);
        let mut outbox = Outbox { notes, newest: 2 };
        for size in [2, 3, 5, 3] {
            outbox.offer(note(size));
        }
        let closing = thread::spawn(move || outbox.close(note(7)));
        let stored: Vec<_> = inbox.iter().map(|note| note.size).collect();
        assert_eq!(stored, [3, 7], "one waited, and nothing comes after the last");
        closing.join().unwrap();

        let (notes, inbox) = sync_channel(1);
        Outbox { notes, newest: 7 }.close(note(7));
        assert_eq!(inbox.iter().count(), 0, "it is stored already");
    }

    #[test]
    fn a_note_that_could_not_be_stored_is_tried_again_unless_a_newer_one_comes() {
        let (notes, inbox) = sync_channel(1);
        let (tried, tries) = channel();
        let (answers, answer) = channel();
        let storing = thread::spawn(move || {
            store_all(&inbox, |note| {
                tried.send(note.size).unwrap();
                answer.recv().unwrap()
            });
        });
        notes.send(note(3)).unwrap();
        for is_stored in [false, false, true] {
            assert_eq!(tries.recv().unwrap(), 3, "nothing newer comes");
            answers.send(is_stored).unwrap();
        }
        notes.send(note(5)).unwrap();
        assert_eq!(tries.recv().unwrap(), 5);
        notes.send(note(7)).unwrap();
        answers.send(false).unwrap();
        assert_eq!(tries.recv().unwrap(), 7, "it says everything that the older one did");
        answers.send(false).unwrap();
        drop(notes);
        assert_eq!(tries.recv().unwrap(), 7, "once more before the end");
        answers.send(false).unwrap();
        storing.join().unwrap();
    }
}
