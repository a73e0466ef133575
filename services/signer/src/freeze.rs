//! Freezes that reach this node directly, before or without the log. Until the log has the statement, the node signs nothing
//! in its realm; afterwards the log's own state says what is frozen.
//!
//! No other freeze of the same scope takes its place while the log can still take it: a control plane could show an earlier
//! one with its lift only now. One that the log never takes, because it expired while the control plane was away, holds
//! across restarts until a guardian sets the same freeze again and the log takes that. It is lifted as every freeze is then.

use crate::Node;
use axum::body::Bytes;
use domain::{Cid, Did, Time};
use ledger::{Act, Scope, State, Statement};
use messages::FreezeScope;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::Semaphore;
use ucan::{Limits, Token, container};

/// Freezes of different scopes that are held for one realm. One holds the whole realm; the others go on when the log has
/// taken it over. A realm has few plugins to stop at once, and everything in it always can be.
const PER_REALM: usize = 64;
/// The most by which a log lets clocks differ: so much later than its end it may take a statement still.
const CLOCK_TOLERANCE: u64 = 120;
/// Freezes that are passed on at a time: each takes a connection and a copy, for as long as it is valid.
const FORWARDED: usize = 32;

/// Tries to pass a freeze on while its statement is valid: fifteen minutes.
const FORWARDS: u32 = 60;
const FORWARD_PAUSE: Duration = Duration::from_secs(15);

/// What is frozen: a scope, and the realm that it is meant in.
type Place = (Did, Scope);

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Direct {
    statement: Cid,
    realm: Did,
    scope: Scope,
    /// Until when the log can take the statement.
    expires_at: Option<Time>,
}

/// A freeze that the log has accepted.
pub(crate) struct Logged {
    place: Place,
    statement: Cid,
    at: Time,
}

pub(crate) struct DirectFreezes {
    file: PathBuf,
    held: Mutex<Held>,
    /// Fair, so that who sends many keeps nobody's freeze out, and on one thread, so that the rest of the node goes on.
    turn: Semaphore,
    forwarded: Arc<Semaphore>,
}

#[derive(Default)]
struct Held {
    places: BTreeMap<Place, Direct>,
    /// Whether the file does not say all of this.
    is_unsaved: bool,
}

/// Why a direct freeze is not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FreezeError {
    #[error("not a container with one invocation: {0}")]
    Container(String),
    #[error("not a /freeze/set statement")]
    Command,
    #[error("{0}")]
    Refused(String),
    #[error(
        "{PER_REALM} freezes of this realm are held here that the log has not taken; freeze everything in it instead"
    )]
    Full,
    #[error("cannot be kept: {0}")]
    Keep(#[source] std::io::Error),
}

impl DirectFreezes {
    /// Those that were held when the node stopped. A file that cannot be read stops the node: it might say that
    /// everything is frozen.
    pub fn load(data: &Path) -> std::io::Result<Self> {
        let file = data.join("freezes.json");
        let held: Vec<Direct> = match fs::read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let places = held.into_iter().map(|d| ((d.realm, d.scope.clone()), d)).collect();
        let held = Mutex::new(Held { places, is_unsaved: false });
        Ok(Self { file, held, turn: Semaphore::new(1), forwarded: Arc::new(Semaphore::new(FORWARDED)) })
    }

    /// Whether something of this tenant, or everything, is frozen here directly. The scope within the realm is not
    /// looked at: until the log knows better, too much is frozen rather than too little.
    pub fn holds(&self, operator: Did, tenant: Did) -> bool {
        self.lock().places.keys().any(|(realm, _)| *realm == operator || *realm == tenant)
    }

    pub fn scopes(&self) -> Vec<FreezeScope> {
        self.lock().places.keys().map(|(_, of)| scope(of)).collect()
    }

    /// Lets go of what the log has taken over.
    pub fn release(&self, logged: impl IntoIterator<Item = Logged>) {
        let mut held = self.lock();
        for logged in logged {
            if held.places.get(&logged.place).is_some_and(|direct| direct.yields_to(&logged)) {
                held.places.remove(&logged.place);
                held.is_unsaved = true;
            }
        }
        // What the file says too much is found again when the log is taken from its start.
        if let Err(error) = held.save(&self.file) {
            tracing::warn!(%error, "direct freezes cannot be written");
        }
    }

    /// Holds a freeze that the log would take, as it is here at this moment. Says whether it is new.
    fn hold(&self, node: &Node, statement: &Statement, place: Place) -> Result<bool, FreezeError> {
        let mut held = self.lock();
        // Loaded under the lock: what the log takes after this is released after this.
        let replica = node.view.replica();
        if replica.state().seen(&statement.cid()).is_some() {
            return Ok(false);
        }
        check(node, replica.state(), statement, replica.next_seq())?;
        held.put(statement.cid(), place, statement.invocation().expiration())
    }

    /// Writes down what is held, if that has not been done.
    fn keep(&self) -> std::io::Result<()> {
        self.lock().save(&self.file)
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Direct {
    /// Whether the log has this very statement, or has taken one when it could not take this one any more.
    fn yields_to(&self, logged: &Logged) -> bool {
        let is_over = self.expires_at.is_some_and(|end| end.plus(CLOCK_TOLERANCE) < logged.at);
        self.statement == logged.statement || is_over
    }

    /// Whether the log can take this longer than another.
    fn outlasts(&self, expires_at: Option<Time>) -> bool {
        expires_at.is_some_and(|end| self.expires_at.is_none_or(|own| own > end))
    }
}

impl Held {
    fn put(&mut self, statement: Cid, (realm, scope): Place, expires_at: Option<Time>) -> Result<bool, FreezeError> {
        let before = self.places.get(&(realm, scope.clone()));
        if before.is_some_and(|direct| direct.statement == statement) {
            return Ok(false);
        }
        let is_one_more = before.is_none() && scope != Scope::All;
        if is_one_more && self.places.keys().filter(|(of, _)| *of == realm).count() >= PER_REALM {
            return Err(FreezeError::Full);
        }
        if before.is_none_or(|direct| !direct.outlasts(expires_at)) {
            self.places.insert((realm, scope.clone()), Direct { statement, realm, scope, expires_at });
            self.is_unsaved = true;
        }
        Ok(true)
    }

    fn save(&mut self, file: &Path) -> std::io::Result<()> {
        if !self.is_unsaved {
            return Ok(());
        }
        let draft = file.with_extension("draft");
        let all: Vec<&Direct> = self.places.values().collect();
        let mut out = fs::File::create(&draft)?;
        out.write_all(&serde_json::to_vec(&all)?)?;
        out.sync_all()?;
        fs::rename(&draft, file)?;
        fs::File::open(file.parent().unwrap_or(Path::new(".")))?.sync_all()?;
        self.is_unsaved = false;
        Ok(())
    }
}

/// Whether the log would take it now.
fn check(node: &Node, state: &State, statement: &Statement, seq: u64) -> Result<(), FreezeError> {
    let step = state.step(statement, seq, node.ambient.now().max(state.at()));
    step.map(drop).map_err(|e| FreezeError::Refused(e.to_string()))
}

/// Takes a `/freeze/set` container: its own chain entitles it, as in the log. It is passed on to the log, which then
/// governs it: whoever sent it may have reached this node alone, and need not wait for the answer.
pub(crate) async fn take(node: Arc<Node>, body: Bytes) -> Result<Vec<FreezeScope>, FreezeError> {
    tokio::spawn(take_over(node, body)).await.map_err(ended)?
}

fn ended(error: impl std::fmt::Display) -> FreezeError {
    FreezeError::Refused(format!("the node is shutting down: {error}"))
}

async fn take_over(node: Arc<Node>, body: Bytes) -> Result<Vec<FreezeScope>, FreezeError> {
    let _turn = node.freezes.turn.acquire().await.map_err(ended)?;
    let (own, container) = (node.clone(), body.clone());
    let taking = tokio::task::spawn_blocking(move || {
        let is_new = hold(&own, &container)?;
        Ok::<_, FreezeError>((is_new, own.freezes.keep()))
    });
    let (is_new, kept) = taking.await.map_err(ended)??;
    if is_new && let Ok(permit) = node.freezes.forwarded.clone().try_acquire_owned() {
        let node = node.clone();
        tokio::spawn(async move {
            forward(&node, &body).await;
            drop(permit);
        });
    }
    kept.map(|()| node.freezes.scopes()).map_err(FreezeError::Keep)
}

/// Says whether it was not held before, nor in the log.
fn hold(node: &Node, body: &[u8]) -> Result<bool, FreezeError> {
    let malformed = |e: ucan::Error| FreezeError::Container(e.to_string());
    let (mut invocation, mut proofs) = (None, Vec::new());
    for token in container::decode(body, &Limits::default()).map_err(malformed)? {
        match ucan::open(&token).map_err(malformed)? {
            Token::Invocation(i) if invocation.is_none() => invocation = Some(i),
            Token::Invocation(_) => return Err(FreezeError::Container("two invocations".to_owned())),
            Token::Delegation(d) => proofs.push(d),
        }
    }
    let invocation = invocation.ok_or_else(|| FreezeError::Container("no invocation".to_owned()))?;
    let statement = Statement::parse(invocation, proofs).map_err(|e| FreezeError::Refused(e.to_string()))?;
    node.freezes.hold(node, &statement, place(&statement).ok_or(FreezeError::Command)?)
}

async fn forward(node: &Node, body: &[u8]) {
    for _ in 0..FORWARDS {
        match node.control_plane.submit_statement(body).await {
            Ok(_) => return,
            Err(error) if !error.is_retryable() => return,
            Err(_) => tokio::time::sleep(FORWARD_PAUSE).await,
        }
    }
}

/// What a statement has frozen that the log took at this time, if that is what it does.
pub(crate) fn logged(statement: &Statement, at: Time) -> Option<Logged> {
    place(statement).map(|place| Logged { place, statement: statement.cid(), at })
}

fn place(statement: &Statement) -> Option<Place> {
    let Act::FreezeSet(set) = statement.act() else { return None };
    Some((statement.invocation().subject(), set.scope.clone()))
}

fn scope(scope: &Scope) -> FreezeScope {
    match scope {
        Scope::All => FreezeScope::All {},
        Scope::Tenant(tenant) => FreezeScope::Tenant { tenant: *tenant },
        Scope::Plugin(plugin) => FreezeScope::Plugin { plugin: plugin.clone() },
        Scope::Installation(installation) => FreezeScope::Installation { installation: *installation },
        Scope::Action(action) => FreezeScope::Action { action: action.clone() },
    }
}

#[cfg(test)]
mod tests;
