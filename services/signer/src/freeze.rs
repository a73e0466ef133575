//! Freezes that reach this node directly, before or without the log. Until the log has the statement, the node signs nothing
//! in its realm; afterwards the log's own state says what is frozen.
//!
//! No other freeze of the same scope takes its place while the log can still take it: a control plane could show an earlier
//! one with its lift only now. One that the log never takes, because it expired while the control plane was away, holds
//! across restarts until a guardian sets the same freeze again and the log takes that. It is lifted as every freeze is then.

use crate::Node;
use axum::body::Bytes;
use domain::{Cid, Did, Time};
use ledger::{Act, MAX_CLOCK_TOLERANCE, Scope, State, Statement};
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

/// Freezes of parts of one realm that are held, and as many of all of it. One holds the whole realm; the others go on when
/// the log has taken it over. A realm has few parts to stop at once, and everything in it can be stopped beside them.
const PER_REALM: usize = 64;
/// Freezes that are passed on at a time: each takes a connection and a copy, for as long as it is valid.
const FORWARDED: usize = 32;

/// Tries to pass a freeze on while its statement is valid: fifteen minutes.
const FORWARDS: u32 = 60;
const FORWARD_PAUSE: Duration = Duration::from_secs(15);

/// A freeze as somebody has stated it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Direct {
    statement: Cid,
    realm: Did,
    scope: Scope,
    /// Until when the log can take the statement.
    expires_at: Option<Time>,
}

/// One that the log has accepted, and when.
pub(crate) struct Logged {
    freeze: Direct,
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
    freezes: BTreeMap<Cid, Direct>,
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
        let freezes = held.into_iter().map(|d| (d.statement, d)).collect();
        let held = Mutex::new(Held { freezes, is_unsaved: false });
        Ok(Self { file, held, turn: Semaphore::new(1), forwarded: Arc::new(Semaphore::new(FORWARDED)) })
    }

    /// Whether something of this tenant, or everything, is frozen here directly. The scope within the realm is not
    /// looked at: until the log knows better, too much is frozen rather than too little.
    pub fn holds(&self, operator: Did, tenant: Did) -> bool {
        self.lock().freezes.values().any(|d| d.realm == operator || d.realm == tenant)
    }

    pub fn scopes(&self) -> Vec<FreezeScope> {
        self.lock().freezes.values().map(|d| scope(&d.scope)).collect()
    }

    /// Lets go of what the log has taken over.
    pub fn release(&self, logged: impl IntoIterator<Item = Logged>) {
        let mut held = self.lock();
        let before = held.freezes.len();
        for logged in logged {
            held.freezes.retain(|_, direct| !direct.yields_to(&logged));
        }
        held.is_unsaved |= held.freezes.len() != before;
        // What the file says too much is found again when the log is taken from its start.
        if let Err(error) = held.save(&self.file) {
            tracing::warn!(%error, "direct freezes cannot be written");
        }
    }

    /// Holds a freeze that the log would take, as it is here at this moment. Says whether it is new.
    fn hold(&self, node: &Node, statement: &Statement, direct: Direct) -> Result<bool, FreezeError> {
        let mut held = self.lock();
        // Loaded under the lock: what the log takes after this is released after this.
        let replica = node.view.replica();
        if replica.state().seen(&direct.statement).is_some() {
            return Ok(false);
        }
        check(node, replica.state(), statement, replica.next_seq())?;
        held.put(direct)
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
    fn of(statement: &Statement) -> Option<Self> {
        let Act::FreezeSet(set) = statement.act() else { return None };
        let invocation = statement.invocation();
        let (realm, expires_at) = (invocation.subject(), invocation.expiration());
        Some(Self { statement: statement.cid(), realm, scope: set.scope.clone(), expires_at })
    }

    /// Whether the log has taken this very statement, or one of the same scope when it could not take this one any more.
    fn yields_to(&self, Logged { freeze, at }: &Logged) -> bool {
        let is_over = || self.expires_at.is_some_and(|end| end.plus(MAX_CLOCK_TOLERANCE) < *at);
        let is_alike = || (self.realm, &self.scope) == (freeze.realm, &freeze.scope);
        self.statement == freeze.statement || (is_alike() && is_over())
    }
}

impl Held {
    /// Says whether it is new.
    fn put(&mut self, direct: Direct) -> Result<bool, FreezeError> {
        if self.freezes.contains_key(&direct.statement) {
            return Ok(false);
        }
        let is_like = |d: &&Direct| d.realm == direct.realm && (d.scope == Scope::All) == (direct.scope == Scope::All);
        if self.freezes.values().filter(is_like).count() >= PER_REALM {
            return Err(FreezeError::Full);
        }
        self.freezes.insert(direct.statement, direct);
        self.is_unsaved = true;
        Ok(true)
    }

    fn save(&mut self, file: &Path) -> std::io::Result<()> {
        if !self.is_unsaved {
            return Ok(());
        }
        let draft = file.with_extension("draft");
        let all: Vec<&Direct> = self.freezes.values().collect();
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
    node.freezes.hold(node, &statement, Direct::of(&statement).ok_or(FreezeError::Command)?)
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
    Direct::of(statement).map(|freeze| Logged { freeze, at })
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
