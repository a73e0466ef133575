//! Follows the log: what comes is verified, decided again, stored, and only then part of this node's view.

use crate::{Node, StartError};
use client::FollowEvent;
use domain::{Cid, Did, Digest, Time};
use futures_util::StreamExt;
use log::{Entry, Hash, Note, NoteKey};
use messages::LogEntryView;
use replica::{Admitted, Divergence, Replica, key_name, quorum_key, read_statement};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};
use storage::{AppendError, Batch, Evidence, NewEntry, NewTile, NewToken, Storage};
use tokio::sync::mpsc;
use ucan::{Delegation, Verified};

/// Entries verified and stored in one transaction, at most.
const BATCH: usize = 512;
/// Lines that may wait for the verifying thread.
const QUEUE: usize = 2_048;
/// Delegations kept in memory; older ones are read from the database.
const KNOWN: usize = 4_096;
/// Pauses between attempts to reach the control plane: short, then patient.
const PAUSES: [Duration; 4] =
    [Duration::from_millis(100), Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(5)];
/// The lease on this node's own database never ends while it runs.
const LEASE: u64 = 10 * 365 * 24 * 3600;
const PAGE: u32 = 500;
const HALT: &str = "halt";

/// Verifies and stores; owned by one thread.
pub(crate) struct Follower {
    replica: Replica,
    storage: Arc<Storage>,
    epoch: u64,
    known: BTreeMap<Cid, Verified<Delegation>>,
    order: VecDeque<Cid>,
}

/// Why following ends.
enum Stop {
    /// The log is not what it claims; with the line that shows it.
    Diverged { reason: String, line: String },
    /// The database would not store; try again.
    Storage(AppendError),
}

/// Whether this node has halted before, and why.
pub(crate) fn stored_halt(storage: &Storage) -> Result<Option<String>, storage::Error> {
    let mut from = 0;
    loop {
        let page = storage.evidence(from, PAGE)?;
        if let Some(halt) = page.iter().find(|e| e.kind == HALT) {
            return Ok(Some(String::from_utf8_lossy(&halt.body).into_owned()));
        }
        match page.last() {
            Some(last) => from = last.seq.saturating_add(1),
            None => return Ok(None),
        }
    }
}

impl Follower {
    /// Verifies the stored copy of the log from its first entry.
    pub fn replay(storage: &Arc<Storage>, operator: Did, now: Time) -> Result<Self, StartError> {
        let lease = storage
            .acquire(&format!("signer-{}", std::process::id()), now, LEASE)?
            .or(storage.lease()?)
            .ok_or_else(|| StartError::Tampered("no lease can be had".to_owned()))?;
        let mut follower = Self {
            replica: Replica::new(operator),
            storage: storage.clone(),
            epoch: lease.epoch,
            known: BTreeMap::new(),
            order: VecDeque::new(),
        };
        loop {
            let page = storage.entries(follower.replica.next_seq(), PAGE)?;
            if page.is_empty() {
                break;
            }
            for stored in page {
                let tokens: Vec<Vec<u8>> = stored.tokens.into_iter().map(|t| t.bytes).collect();
                follower.take(&stored.bytes, &tokens)?;
            }
        }
        let ours = follower.replica.head().map(|h| (h.seq, Digest::from_bytes(*h.leaf.as_bytes())));
        if storage.head()?.map(|h| (h.seq, h.leaf)) != ours {
            let seq = follower.replica.next_seq();
            return Err(StartError::Tampered(format!(
                "the head row does not name the last entry; first bad entry {seq}"
            )));
        }
        Ok(follower)
    }

    pub const fn replica(&self) -> &Replica {
        &self.replica
    }

    /// Verifies one entry and makes it part of the replica.
    fn take(&mut self, entry: &[u8], tokens: &[Vec<u8>]) -> Result<(Admitted, Vec<NewToken>), Divergence> {
        let seq = self.replica.next_seq();
        let decoded =
            Entry::decode(entry).map_err(|e| Divergence::Chain(log::ChainError { seq, kind: log::Fault::Entry(e) }))?;
        let (statement, introduced) = read_statement(seq, &decoded.stmt, tokens, &|cid| self.delegation(cid))?;
        let admitted = self.replica.follow(entry, &statement)?;
        let invocation = statement.invocation();
        let own = NewToken { cid: invocation.cid(), bytes: invocation.bytes().to_vec() };
        let rest = introduced.iter().map(|d| NewToken { cid: d.cid(), bytes: d.bytes().to_vec() });
        let new = std::iter::once(own).chain(rest).collect();
        for delegation in introduced {
            self.remember(delegation);
        }
        Ok((admitted, new))
    }

    fn delegation(&self, cid: &Cid) -> Option<Verified<Delegation>> {
        if let Some(known) = self.known.get(cid) {
            return Some(known.clone());
        }
        let stored = self.storage.token(cid).ok().flatten()?;
        ucan::open_delegation(&stored.bytes).ok().filter(|d| d.cid() == *cid)
    }

    fn remember(&mut self, delegation: Verified<Delegation>) {
        self.order.push_back(delegation.cid());
        self.known.insert(delegation.cid(), delegation);
        if self.order.len() > KNOWN
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    /// Verifies what has come, stores it, and then shows it to the rest of the node.
    fn advance(&mut self, node: &Node, lines: &[LogEntryView]) -> Result<(), Stop> {
        let before = self.replica.clone();
        let old_head = before.head().map(|h| h.seq);
        let mut batch = Batch { epoch: self.epoch, old_head, ..Batch::default() };
        let mut roots = Vec::with_capacity(lines.len());
        for line in lines {
            let tokens: Vec<Vec<u8>> = line.tokens.iter().map(|t| t.0.clone()).collect();
            let (admitted, tokens) = self.take(&line.entry.0, &tokens).map_err(|d| Stop::Diverged {
                reason: describe(&d),
                line: serde_json::to_string(line).unwrap_or_default(),
            })?;
            roots.push((self.replica.tree().size(), self.replica.tree().root()));
            batch.tiles.extend(admitted.tiles.iter().map(|t| NewTile {
                level: t.level,
                index: t.index,
                hashes: t.hashes.clone(),
            }));
            batch.entries.push(NewEntry {
                seq: admitted.seq,
                bytes: admitted.entry,
                leaf: Digest::from_bytes(*admitted.leaf.as_bytes()),
                statement: tokens.first().map_or(Cid::from_digest(Digest::from_bytes([0; 32])), |t| t.cid),
                tokens,
            });
        }
        if let Err(error) = self.storage.append(&batch) {
            self.replica = before;
            return Err(Stop::Storage(error));
        }
        node.freezes.forget_logged(batch.entries.iter().map(|e| e.statement));
        node.view.publish(self.replica.clone(), roots);
        Ok(())
    }

    /// Holds a checkpoint of the control plane against this node's own tree.
    fn checkpoint(&self, node: &Node, text: &str) -> Result<(), Stop> {
        let Some(origin) = self.replica.state().origin() else { return Ok(()) };
        let Some(name) = key_name(origin) else { return Ok(()) };
        let diverged = |reason: String| Stop::Diverged { reason, line: text.to_owned() };
        let Ok(own) = NoteKey::new(name.clone(), &origin.sequencer) else { return Ok(()) };
        let mut keys = vec![own.clone()];
        keys.extend(self.replica.state().quorum().and_then(|q| quorum_key(origin, q)));
        // What the log's key did not sign says nothing about the log; only what it signed can be evidence.
        let Ok(verified) = Note::parse(text).map_err(|_| ()).and_then(|n| n.verify(&name, &keys).map_err(|_| ()))
        else {
            return Ok(());
        };
        if !verified.signed_by(&own) {
            return Ok(());
        }
        let known: Option<Hash> = node.view.root_at(verified.size);
        match known {
            Some(root) if root != verified.root => {
                Err(diverged(format!("the log signed another root of size {} than its entries have", verified.size)))
            }
            Some(_) => {
                node.view.confirm(verified.time.min(node.ambient.now()));
                Ok(())
            }
            None => Ok(()),
        }
    }
}

fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

enum Line {
    Entry(LogEntryView),
    Checkpoint(String),
}

/// Follows until the node halts; reconnects for ever.
pub(crate) async fn run(node: Arc<Node>, follower: Follower) {
    let (lines, received) = mpsc::channel(QUEUE);
    let verifying = {
        let node = node.clone();
        tokio::task::spawn_blocking(move || verify(&node, follower, received))
    };
    let mut failures = 0_usize;
    while node.view.halted().is_none() && !lines.is_closed() {
        let before = node.view.replica().next_seq();
        if let Err(error) = follow_once(&node, &lines).await {
            tracing::warn!(%error, "the log cannot be followed; trying again");
        }
        failures = if node.view.replica().next_seq() > before { 0 } else { failures.saturating_add(1) };
        let pause = PAUSES.get(failures).or(PAUSES.last()).copied().unwrap_or_default();
        tokio::time::sleep(pause).await;
    }
    drop(lines);
    if verifying.await.is_err() {
        node.view.halt("the verifying thread ended abnormally".to_owned());
    }
}

async fn follow_once(node: &Node, lines: &mpsc::Sender<Line>) -> Result<(), client::ClientError> {
    // Whatever was in flight when the last connection broke is in the queue or comes again.
    let from = next_wanted(node, lines).await;
    let mut stream = node.control_plane.follow(from).await?;
    while let Some(event) = stream.next().await {
        let line = match event? {
            FollowEvent::Entry(entry) => Line::Entry(entry),
            FollowEvent::Checkpoint(note) => Line::Checkpoint(note),
        };
        if lines.send(line).await.is_err() {
            break;
        }
    }
    Ok(())
}

/// Waits until the queue is empty, so that the next entry wanted is the next of the view.
async fn next_wanted(node: &Node, lines: &mpsc::Sender<Line>) -> u64 {
    let mut growth = node.view.growth();
    while lines.capacity() < QUEUE && !lines.is_closed() {
        let _ = tokio::time::timeout(Duration::from_millis(50), growth.changed()).await;
    }
    node.view.replica().next_seq()
}

fn verify(node: &Node, mut follower: Follower, mut received: mpsc::Receiver<Line>) {
    let mut waiting: Vec<Line> = Vec::new();
    while received.blocking_recv_many(&mut waiting, BATCH) > 0 {
        let mut entries: Vec<LogEntryView> = Vec::new();
        let mut result = Ok(());
        for line in waiting.drain(..) {
            result = result.and_then(|()| match line {
                Line::Entry(entry) => {
                    if entry.seq >= follower.replica.next_seq() {
                        entries.push(entry);
                    }
                    Ok(())
                }
                Line::Checkpoint(note) => {
                    flush(&mut follower, node, &mut entries).and_then(|()| follower.checkpoint(node, &note))
                }
            });
        }
        match result.and_then(|()| flush(&mut follower, node, &mut entries)) {
            Ok(()) => {}
            Err(Stop::Storage(error)) => {
                tracing::error!(error = %describe(&error), "the log cannot be stored; the entries are asked for again");
                recover(&mut follower);
                drain(&mut received);
            }
            Err(Stop::Diverged { reason, line }) => {
                halt(node, &reason, &line);
                return;
            }
        }
    }
}

fn flush(follower: &mut Follower, node: &Node, entries: &mut Vec<LogEntryView>) -> Result<(), Stop> {
    if entries.is_empty() {
        return Ok(());
    }
    let batch = std::mem::take(entries);
    follower.advance(node, &batch)
}

/// After a failed commit the database may or may not have the batch; it is asked, not guessed.
fn recover(follower: &mut Follower) {
    let next = follower.replica.next_seq();
    let Ok(stored) = follower.storage.entries(next, PAGE) else { return };
    for entry in stored {
        let tokens: Vec<Vec<u8>> = entry.tokens.into_iter().map(|t| t.bytes).collect();
        if follower.take(&entry.bytes, &tokens).is_err() {
            return;
        }
    }
}

/// Lines behind a gap are of no use; the connection is made again from the right place.
fn drain(received: &mut mpsc::Receiver<Line>) {
    while received.try_recv().is_ok() {}
}

fn halt(node: &Node, reason: &str, line: &str) {
    tracing::error!(reason, "this node and the log have parted; it signs nothing any more");
    node.view.halt(reason.to_owned());
    let seq = node.view.replica().next_seq();
    for (kind, body) in [(HALT, reason), ("line", line)] {
        let evidence = Evidence { seq, kind: kind.to_owned(), body: body.as_bytes().to_vec() };
        if let Err(error) = node.storage.put_evidence(&evidence) {
            tracing::error!(%error, "the evidence cannot be stored");
        }
    }
}
