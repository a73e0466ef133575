//! Follows the log: what comes is verified, decided again, stored, and only then part of this node's view.

mod verifying;

use crate::{
    Node, StartError,
    anchor::{Anchored, Seal},
    freeze::{self, DirectFreezes},
    heard,
    start::{self, Held, Tally},
    view::{Fork, Place},
};
use client::FollowEvent;
use domain::{Cid, Did, Digest, Time};
use futures_util::StreamExt;
use log::{Entry, Hash, Tree};
use messages::LogEntryView;
use replica::{Admitted, Divergence, Milestones, Replica, read_statement};
use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};
use storage::{Batch, Lease, NewEntry, NewTile, NewToken, Storage};
use tokio::sync::{mpsc, oneshot, watch};
use ucan::{Delegation, Verified};
use verifying::Verifying;

/// Entries verified and stored in one transaction, at most.
const BATCH: usize = 512;
/// Lines that may wait for the verifying thread.
const QUEUE: usize = 2_048;
/// Delegations kept in memory; older ones are read from the database.
const KNOWN: usize = 4_096;
/// Pauses between attempts to reach the control plane: short, then patient.
const PAUSES: [Duration; 4] =
    [Duration::from_millis(100), Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(5)];
/// Who holds the lease: this, and the number of the process.
const HOLDER: &str = "signer-";
/// The lease on this node's own database never ends while it runs.
const LEASE: u64 = 10 * 365 * 24 * 3600;
const PAGE: u32 = 500;
/// Entries after a bad one that are held against a signed root; a checkpoint comes every second.
const MAX_SUSPECTS: usize = 16_384;

/// Verifies and stores; owned by one thread.
pub(crate) struct Follower {
    replica: Replica,
    storage: Arc<Storage>,
    epoch: u64,
    known: BTreeMap<Cid, Verified<Delegation>>,
    order: VecDeque<Cid>,
    /// Freezes of entries that the rest of the node does not see yet.
    frozen: Vec<freeze::Logged>,
}

/// Why a line is not taken.
enum Stop {
    /// The log's key has signed for something that this node's own rules do not allow; with what shows it.
    Diverged { reason: String, line: String },
    /// What came cannot be right, but nobody has signed for it: a proxy may have garbled it.
    Suspicious(Box<Suspicion>),
    /// The line does not belong here, or cannot be judged now; it is asked for again.
    Again(String),
    /// The database would not store; try again.
    Storage(String),
}

/// Entries that this node would not take, kept until the log's key signs for them or the connection ends.
struct Suspicion {
    reason: String,
    line: String,
    tree: Tree,
    roots: Vec<(u64, Hash)>,
}

/// The lease on this node's own database. One that an earlier process of this node did not give back is gone on with.
fn lease(storage: &Storage, now: Time) -> Result<Lease, StartError> {
    let bad = |table: &str, what: String| {
        let last = storage.counts().map_or(0, |c| c.entries.saturating_sub(1));
        start::bad(table, last, what)
    };
    let acquired = storage.acquire(&format!("{HOLDER}{}", std::process::id()), now, LEASE);
    let acquired = acquired.map_err(|error| match error {
        storage::Error::Corrupt { table: table @ ("head" | "leases"), what } => bad(table, what),
        error => error.into(),
    })?;
    let lease = acquired.or(storage.lease()?).ok_or_else(|| StartError::Tampered("no lease can be had".to_owned()))?;
    // Twice as long, since clocks are set back now and then.
    if !lease.holder.starts_with(HOLDER) || lease.expires_at > now.plus(LEASE).plus(LEASE) {
        return Err(bad("leases", "it is not one that a signer takes".to_owned()));
    }
    Ok(lease)
}

impl Follower {
    /// Verifies the stored copy of the log from its first entry, and everything else in the database. Gives what it
    /// holds, too.
    pub fn replay(
        storage: &Arc<Storage>,
        operator: Did,
        now: Time,
        seal: &Seal,
        seen: &Anchored,
        freezes: &DirectFreezes,
    ) -> Result<(Self, Held), StartError> {
        let lease = lease(storage, now)?;
        let mut follower = Self {
            replica: Replica::new(operator),
            storage: storage.clone(),
            epoch: lease.epoch,
            known: BTreeMap::new(),
            order: VecDeque::new(),
            frozen: Vec::new(),
        };
        let mut tally = Tally::default();
        // Only for whoever reads along: that the head cannot be read is found by the comparison after the replay.
        let total = storage.head().ok().flatten().map(|h| h.seq.saturating_add(1));
        let mut milestones = Milestones::every(Milestones::ENTRIES);
        loop {
            let page = start::page(storage, follower.replica.next_seq())?;
            if page.is_empty() {
                break;
            }
            for stored in page {
                let next = follower.replica.next_seq();
                if stored.entry.seq != next {
                    return Err(start::bad("entries", next, "missing"));
                }
                let tokens: Vec<Vec<u8>> = stored.entry.tokens.iter().map(|t| t.bytes.clone()).collect();
                let (admitted, new) = follower.take(&stored.entry.bytes, &tokens)?;
                tally.compare(storage, &stored, &admitted, &new)?;
                let tree = follower.replica.tree();
                if tree.size() == seen.size && *tree.root().as_bytes() != seen.root {
                    return Err(start::bad("entries", next, "this node has verified another root here"));
                }
                if milestones.reached(tree.size()) {
                    tracing::info!(entries = tree.size(), total, "verifying this node's copy of the log");
                }
            }
            freezes.release(follower.frozen.drain(..));
        }
        tracing::info!(entries = follower.replica.next_seq(), "every entry of this node's copy has been verified");
        let held = tally.finish(storage, &follower.replica, seal, seen)?;
        Ok((follower, held))
    }

    pub const fn replica(&self) -> &Replica {
        &self.replica
    }

    /// Verifies one entry and makes it part of the replica.
    fn take(&mut self, entry: &[u8], tokens: &[Vec<u8>]) -> Result<(Admitted, Vec<NewToken>), TakeError> {
        let seq = self.replica.next_seq();
        let decoded =
            Entry::decode(entry).map_err(|e| Divergence::Chain(log::ChainError { seq, kind: log::Fault::Entry(e) }))?;
        let failure = RefCell::new(None);
        let read = read_statement(seq, &decoded.stmt, tokens, &|cid| self.delegation(cid, &failure));
        if let Some(error) = failure.into_inner() {
            return Err(error.into());
        }
        let (statement, introduced) = read?;
        for delegation in &introduced {
            let failure = RefCell::new(None);
            if self.delegation(&delegation.cid(), &failure).is_some() {
                let reason = "an earlier entry introduced it".to_owned();
                return Err(Divergence::Token { seq, token: delegation.cid(), reason }.into());
            }
            if let Some(error) = failure.into_inner() {
                return Err(error.into());
            }
        }
        let admitted = self.replica.follow(entry, &statement)?;
        self.frozen.extend(freeze::logged(&statement, admitted.seq, admitted.at));
        let invocation = statement.invocation();
        let own = NewToken { cid: invocation.cid(), bytes: invocation.bytes().to_vec() };
        let rest = introduced.iter().map(|d| NewToken { cid: d.cid(), bytes: d.bytes().to_vec() });
        let new = std::iter::once(own).chain(rest).collect();
        for delegation in introduced {
            self.remember(delegation);
        }
        Ok((admitted, new))
    }

    /// A delegation of an earlier entry. That the database cannot be read says nothing about the log.
    fn delegation(&self, cid: &Cid, failure: &RefCell<Option<storage::Error>>) -> Option<Verified<Delegation>> {
        if let Some(known) = self.known.get(cid) {
            return Some(known.clone());
        }
        let stored = self.storage.token(cid).unwrap_or_else(|error| {
            *failure.borrow_mut() = Some(error);
            None
        })?;
        // While the stored log is taken again, the database holds the tokens of later entries too.
        if stored.seq >= self.replica.next_seq() {
            return None;
        }
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

    /// Verifies what has come, stores what is good, and then shows it to the rest of the node.
    fn advance(&mut self, node: &Node, lines: &[LogEntryView]) -> Result<(), Stop> {
        let before = self.replica.clone();
        let old_head = self.replica.head().map(|h| h.seq);
        let mut batch = Batch { epoch: self.epoch, old_head, ..Batch::default() };
        let mut roots = Vec::with_capacity(lines.len());
        let mut stop = None;
        for line in lines {
            match self.take_line(node, line) {
                Ok((admitted, tokens)) => {
                    roots.push((self.replica.tree().size(), self.replica.tree().root()));
                    add(&mut batch, admitted, tokens);
                }
                Err(error) => {
                    stop = Some(error);
                    break;
                }
            }
        }
        if !batch.entries.is_empty() {
            if let Err(error) = self.storage.append(&batch) {
                self.replica = before;
                self.frozen.clear();
                // Only a cache, and some of it was introduced by entries that are not stored.
                self.known.clear();
                self.order.clear();
                return Err(Stop::Storage(describe(&error)));
            }
            self.show(node, roots)?;
        }
        stop.map_or(Ok(()), Err)
    }

    /// Shows what is stored to the rest of the node, with the roots of every size on the way.
    fn show(&mut self, node: &Node, roots: Vec<(u64, Hash)>) -> Result<(), Fork> {
        // Published first: a freeze is held by the view or by the node itself at every moment.
        let published = node.view.publish(self.replica.clone(), roots);
        node.freezes.release(self.frozen.drain(..));
        published
    }

    fn take_line(&mut self, node: &Node, line: &LogEntryView) -> Result<(Admitted, Vec<NewToken>), Stop> {
        let next = self.replica.next_seq();
        if line.seq != next {
            return Err(Stop::Again(format!("entry {} came where {next} was due", line.seq)));
        }
        let latest = node.ambient.now().plus(crate::ENVELOPE_TOLERANCE);
        if Entry::decode(&line.entry.0).is_ok_and(|e| e.at > latest) {
            return Err(Stop::Again(format!("entry {next} is from the future of this node's clock")));
        }
        let tokens: Vec<Vec<u8>> = line.tokens.iter().map(|t| t.0.clone()).collect();
        self.take(&line.entry.0, &tokens).map_err(|error| match error {
            TakeError::Storage(error) => Stop::Storage(describe(&error)),
            // Tokens are under no root: who withholds or garbles them proves nothing about the log.
            TakeError::Diverged(error @ Divergence::Token { .. }) => Stop::Again(describe(&error)),
            TakeError::Diverged(error) => {
                let mut suspicion = Suspicion {
                    reason: describe(&error),
                    line: serde_json::to_string(line).unwrap_or_default(),
                    tree: self.replica.tree().clone(),
                    roots: Vec::new(),
                };
                suspicion.add(&line.entry.0);
                Stop::Suspicious(Box::new(suspicion))
            }
        })
    }

    /// Holds a checkpoint of the control plane against this node's own tree.
    fn checkpoint(&self, node: &Node, text: &str, suspicion: Option<&Suspicion>) -> Result<(), Stop> {
        // What the log's key did not sign says nothing about the log; only what it signed can be evidence.
        let Some(signed) = heard::checkpoint(self.replica.state(), text) else { return Ok(()) };
        let (size, root) = (signed.checkpoint().size, signed.checkpoint().root);
        if let Some(suspicion) = suspicion.filter(|s| s.roots.contains(&(size, root))) {
            // Others are shown it: whoever has another log of this size has the proof of a fork.
            node.view.hear(&signed)?;
            return Err(Stop::Diverged {
                reason: suspicion.reason.clone(),
                line: format!("{}\n{text}", suspicion.line),
            });
        }
        match node.view.hear(&signed)? {
            // What this node has seen must be on its own disk before it signs by it.
            Place::Agreed => match node.anchor.confirm(&signed) {
                Ok(()) => {
                    node.view.confirm(&signed, node.ambient.now());
                    node.freezes.anchored(size);
                    if let Err(error) = node.freezes.keep() {
                        tracing::warn!(%error, "direct freezes cannot be written");
                    }
                }
                Err(error) => tracing::error!(%error, "the anchor cannot be written; the view grows old"),
            },
            Place::Beyond => {}
            Place::Past => match heard::past_root(&self.storage, &self.replica, &signed) {
                Ok(stored) => node.view.judge(&signed, stored)?,
                Err(error) => {
                    tracing::error!(
                        error = describe(&error),
                        "an old checkpoint cannot be held against the stored log"
                    );
                }
            },
        }
        Ok(())
    }
}

pub(crate) fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// An entry is not taken.
#[derive(Debug, thiserror::Error)]
enum TakeError {
    #[error(transparent)]
    Diverged(#[from] Divergence),
    #[error(transparent)]
    Storage(#[from] storage::Error),
}

impl From<TakeError> for StartError {
    fn from(error: TakeError) -> Self {
        match error {
            TakeError::Diverged(error) => Self::Log(error),
            TakeError::Storage(error) => Self::Storage(error),
        }
    }
}

impl From<Fork> for Stop {
    fn from(fork: Fork) -> Self {
        Self::Diverged { line: fork.evidence(), reason: fork.reason }
    }
}

impl Suspicion {
    fn add(&mut self, entry: &[u8]) {
        self.tree.push(log::leaf_hash(entry));
        drop(self.tree.drain_tiles());
        self.roots.push((self.tree.size(), self.tree.root()));
    }
}

fn add(batch: &mut Batch, admitted: Admitted, tokens: Vec<NewToken>) {
    let tile = |t: log::Tile| NewTile { level: t.level, index: t.index, hashes: t.hashes };
    batch.tiles.extend(admitted.tiles.into_iter().map(tile));
    batch.entries.extend(tokens.first().map(|t| t.cid).map(|statement| NewEntry {
        seq: admitted.seq,
        bytes: admitted.entry,
        leaf: Digest::from_bytes(*admitted.leaf.as_bytes()),
        statement,
        tokens,
    }));
}

/// What the connection hands to the verifying thread.
enum Line {
    /// A new connection begins: from which entry on?
    Start(oneshot::Sender<u64>),
    /// An event of the connection with this number.
    Event(u64, FollowEvent),
}

/// Follows until the node halts; reconnects for ever.
pub(crate) async fn run(node: Arc<Node>, follower: Follower) {
    let (lines, received) = mpsc::channel(QUEUE);
    let (broken, breaks) = watch::channel(0_u64);
    let verifying = {
        let node = node.clone();
        tokio::task::spawn_blocking(move || Verifying { node, follower, broken, suspicion: None }.run(received))
    };
    let (mut failures, mut connection) = (0_usize, 0_u64);
    while node.view.halted().is_none() && !lines.is_closed() {
        connection = connection.saturating_add(1);
        let before = node.view.replica().next_seq();
        if let Err(error) = follow_once(&node, &lines, breaks.clone(), connection).await {
            tracing::warn!(error = %describe(&error), "the log cannot be followed; trying again");
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

async fn follow_once(
    node: &Node,
    lines: &mpsc::Sender<Line>,
    mut breaks: watch::Receiver<u64>,
    connection: u64,
) -> Result<(), client::ClientError> {
    let (ask, answer) = oneshot::channel();
    if lines.send(Line::Start(ask)).await.is_err() {
        return Ok(());
    }
    let Ok(from) = answer.await else { return Ok(()) };
    let mut stream = node.control_plane.follow(from).await?;
    loop {
        let event = tokio::select! {
            event = stream.next() => event,
            _ = breaks.wait_for(|broken| *broken >= connection) => return Ok(()),
        };
        let Some(event) = event else { return Ok(()) };
        if lines.send(Line::Event(connection, event?)).await.is_err() {
            return Ok(());
        }
    }
}

impl Follower {
    /// After a failed commit the database may or may not have the batch; it is asked, not guessed. What it has is shown as
    /// if the commit had succeeded.
    fn recover(&mut self, node: &Node) -> Result<(), Fork> {
        let mut roots = Vec::new();
        // A batch may be more than a page.
        'pages: while let Ok(stored) = self.storage.entries(self.replica.next_seq(), PAGE) {
            if stored.is_empty() {
                break;
            }
            for entry in stored {
                let tokens: Vec<Vec<u8>> = entry.tokens.into_iter().map(|t| t.bytes).collect();
                if self.take(&entry.bytes, &tokens).is_err() {
                    break 'pages;
                }
                roots.push((self.replica.tree().size(), self.replica.tree().root()));
            }
        }
        if roots.is_empty() { Ok(()) } else { self.show(node, roots) }
    }
}

#[cfg(test)]
mod tests;
