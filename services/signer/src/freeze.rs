//! Freezes that reach this node directly, before or without the log. Until the log has the statement, the node signs nothing
//! in its realm; afterwards the log's own state says what is frozen. The node passes each on to the log for as long as it is
//! valid, also after a restart.
//!
//! No other freeze of the same scope takes its place while the log can still take it: a control plane could show an earlier
//! one with its lift only now. One that the log never takes, because it expired while the control plane was away, holds
//! across restarts until a guardian sets the same freeze again and the log takes that. It is lifted as every freeze is then.

use crate::Node;
use axum::body::Bytes;
use client::ClientError;
use domain::{Cid, Did, Time};
use futures_util::{StreamExt, stream};
use ledger::{Act, MAX_CLOCK_TOLERANCE, Scope, State, Statement};
use messages::{Base64, FreezeReply, FreezeScope, HeldFreeze, MAX_STATEMENT, ProblemType};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    iter,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::{Notify, Semaphore};
use ucan::{
    Limits, Token,
    container::{self, Encoding},
};

/// Freezes of parts of one realm that are held, and as many of all of it. One holds the whole realm; the others go on when
/// the log has taken it over. A realm has few parts to stop at once, and everything in it can be stopped beside them.
const PER_REALM: usize = 64;
/// Freezes that are passed on at a time: each takes a connection.
const FORWARDED: usize = 32;
/// Between attempts to pass on what the log has not taken.
const FORWARD_PAUSE: Duration = Duration::from_secs(15);

/// A freeze as somebody has stated it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Direct {
    statement: Cid,
    realm: Did,
    scope: Scope,
    /// Until when the log can take the statement.
    expires_at: Time,
    /// The statement itself, for the log.
    container: Base64,
    /// Whether the control plane has answered for good; asked again after a restart.
    #[serde(skip)]
    is_answered: bool,
}

/// One that the log has accepted: as which entry, and when.
pub(crate) struct Logged {
    statement: Cid,
    realm: Did,
    scope: Scope,
    seq: u64,
    at: Time,
}

pub(crate) struct DirectFreezes {
    held: Mutex<Held>,
    /// Apart from what is held, so that signing does not wait for the disk.
    file: Mutex<File>,
    /// Fair, so that who sends many keeps nobody's freeze out, and on one thread, so that the rest of the node goes on.
    turn: Arc<Semaphore>,
    news: Notify,
}

#[derive(Default)]
struct Held {
    freezes: BTreeMap<Cid, Direct>,
    /// Those that an entry has taken over, until the log's key has signed for it: before, the entry could still be denied.
    released: Vec<(u64, Direct)>,
    /// How many entries the log's key is known to have signed for since this node started.
    anchored: u64,
    /// Counts changes of what the file is to say.
    version: u64,
}

struct File {
    path: PathBuf,
    /// The version of what it says.
    version: u64,
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
        "{PER_REALM} freezes like it are held here that the log has not taken; nothing of this realm is signed meanwhile"
    )]
    Full,
    #[error("cannot be kept: {0}")]
    Keep(#[source] std::io::Error),
    #[error("the node is shutting down: {0}")]
    Ending(String),
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl DirectFreezes {
    /// Those that were held when the node stopped. A file that cannot be read stops the node: it might say that
    /// everything is frozen.
    pub fn load(data: &Path) -> std::io::Result<Self> {
        let path = data.join("freezes.json");
        let held: Vec<Direct> = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let freezes = held.into_iter().map(|d| (d.statement, d)).collect();
        Ok(Self {
            held: Mutex::new(Held { freezes, ..Held::default() }),
            file: Mutex::new(File { path, version: 0 }),
            turn: Arc::new(Semaphore::new(1)),
            news: Notify::new(),
        })
    }

    /// Whether something of this tenant, or everything, is frozen here directly. The scope within the realm is not
    /// looked at: until the log knows better, too much is frozen rather than too little.
    pub fn holds(&self, operator: Did, tenant: Did) -> bool {
        lock(&self.held).freezes.values().any(|d| d.realm == operator || d.realm == tenant)
    }

    /// What is held.
    pub fn list(&self) -> Vec<HeldFreeze> {
        lock(&self.held).freezes.values().map(Direct::describe).collect()
    }

    /// Those of what is held that the log can take for the shortest time, at most `limit`, and how many are held in all.
    pub fn soonest(&self, limit: usize) -> (Vec<HeldFreeze>, usize) {
        let held = lock(&self.held);
        let mut all: Vec<&Direct> = held.freezes.values().collect();
        all.sort_by_key(|d| d.expires_at);
        (all.iter().take(limit).map(|d| d.describe()).collect(), all.len())
    }

    /// How many the log cannot take any more at this time.
    pub fn overdue(&self, now: Time) -> usize {
        lock(&self.held).freezes.values().filter(|d| d.is_over(now)).count()
    }

    /// Lets go of what the log has taken over. The file goes on to say it until [`DirectFreezes::anchored`]; at the next
    /// start the replay lets go of it again.
    pub fn release(&self, logged: impl IntoIterator<Item = Logged>) {
        let mut held = lock(&self.held);
        let Held { freezes, released, .. } = &mut *held;
        for logged in logged {
            let taken = freezes.extract_if(.., |_, direct| direct.yields_to(&logged));
            released.extend(taken.map(|(_, direct)| (logged.seq, direct)));
        }
    }

    /// Forgets what was taken over by the first `size` entries, which the log's key has signed for.
    pub fn anchored(&self, size: u64) {
        let mut held = lock(&self.held);
        held.anchored = held.anchored.max(size);
        let before = held.released.len();
        held.released.retain(|(seq, _)| *seq >= size);
        if held.released.len() != before {
            held.version = held.version.saturating_add(1);
        }
    }

    /// Writes down what is held, if the file does not say it.
    pub fn keep(&self) -> std::io::Result<()> {
        let mut file = lock(&self.file);
        let (version, bytes) = {
            let held = lock(&self.held);
            if held.version == file.version {
                return Ok(());
            }
            let all = held.freezes.values().chain(held.released.iter().map(|(_, direct)| direct));
            (held.version, serde_json::to_vec(&all.collect::<Vec<_>>())?)
        };
        file.write(&bytes)?;
        file.version = version;
        Ok(())
    }

    /// Holds a freeze that the log would take, as it is here at this moment. One that it has taken is kept until nobody can
    /// deny the entry any more.
    fn hold(&self, node: &Node, statement: &Statement, direct: Direct) -> Result<(), FreezeError> {
        let mut held = lock(&self.held);
        // Loaded under the lock: what the log takes after this is released after this.
        let replica = node.view.replica();
        if let Some(seq) = replica.state().seen(&direct.statement) {
            held.put_released(seq, direct);
            return Ok(());
        }
        check(node, replica.state(), statement, replica.next_seq())?;
        if held.put(direct)? {
            self.news.notify_one();
        }
        Ok(())
    }

    /// What the log can take still and has not answered for.
    fn unanswered(&self, now: Time) -> Vec<(Cid, Base64)> {
        let held = lock(&self.held);
        let open = held.freezes.values().filter(|d| !d.is_answered && !d.is_over(now));
        open.map(|d| (d.statement, d.container.clone())).collect()
    }

    /// As [`DirectFreezes::unanswered`], written down: whoever learns of a freeze from the log could stop this node. A disk
    /// that refuses holds up no freeze.
    fn outgoing(&self, now: Time) -> Vec<(Cid, Base64)> {
        let outgoing = self.unanswered(now);
        if let Err(error) = self.keep() {
            tracing::warn!(%error, "direct freezes cannot be written");
        }
        outgoing
    }

    fn answered(&self, statement: &Cid) {
        if let Some(direct) = lock(&self.held).freezes.get_mut(statement) {
            direct.is_answered = true;
        }
    }
}

impl Direct {
    /// With the tokens that it names, and with no others that came along.
    fn of(statement: &Statement) -> Result<Self, FreezeError> {
        let invocation = statement.invocation();
        let named = statement.proofs().iter().filter(|proof| invocation.proofs().contains(&proof.cid()));
        let tokens: Vec<&[u8]> = iter::once(invocation.bytes()).chain(named.map(|proof| proof.bytes())).collect();
        let container = container::encode(Encoding::Raw, &tokens).map_err(|e| FreezeError::Container(e.to_string()))?;
        let (Act::FreezeSet(set), Some(expires_at)) = (statement.act(), invocation.expiration()) else {
            return Err(FreezeError::Command);
        };
        let (realm, scope) = (invocation.subject(), set.scope.clone());
        let container = Base64(container);
        Ok(Self { statement: statement.cid(), realm, scope, expires_at, container, is_answered: false })
    }

    /// Whether the log can not take the statement any more.
    fn is_over(&self, now: Time) -> bool {
        self.expires_at.plus(MAX_CLOCK_TOLERANCE) < now
    }

    /// Whether the log has taken this very statement, or one of the same scope when it could not take this one any more.
    fn yields_to(&self, logged: &Logged) -> bool {
        let is_alike = || (self.realm, &self.scope) == (logged.realm, &logged.scope);
        self.statement == logged.statement || (is_alike() && self.is_over(logged.at))
    }

    fn describe(&self) -> HeldFreeze {
        let Self { statement, realm, expires_at, .. } = *self;
        HeldFreeze { statement, realm, scope: scope(&self.scope), expires_at }
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
        self.version = self.version.saturating_add(1);
        Ok(true)
    }

    /// Keeps one that an entry had taken over before it came, if the file does not say it already.
    fn put_released(&mut self, seq: u64, direct: Direct) {
        let mut known = self.freezes.keys().chain(self.released.iter().map(|(_, d)| &d.statement));
        if seq >= self.anchored && !known.any(|statement| *statement == direct.statement) {
            self.released.push((seq, direct));
            self.version = self.version.saturating_add(1);
        }
    }
}

impl File {
    fn write(&self, bytes: &[u8]) -> std::io::Result<()> {
        let draft = self.path.with_added_extension("draft");
        let mut out = fs::File::create(&draft)?;
        out.write_all(bytes)?;
        out.sync_all()?;
        fs::rename(&draft, &self.path)?;
        fs::File::open(self.path.parent().unwrap_or(Path::new(".")))?.sync_all()
    }
}

/// Whether the log would take it now.
fn check(node: &Node, state: &State, statement: &Statement, seq: u64) -> Result<(), FreezeError> {
    let step = state.step(statement, seq, node.ambient.now().max(state.at()));
    step.map(drop).map_err(|e| FreezeError::Refused(e.to_string()))
}

/// Takes a `/freeze/set` container: its own chain entitles it, as in the log. It is passed on to the log, which then
/// governs it: whoever sent it may have reached this node alone, and need not wait for the answer.
pub(crate) async fn take(node: Arc<Node>, body: Bytes) -> Result<FreezeReply, FreezeError> {
    let ending = |e: &dyn std::fmt::Display| FreezeError::Ending(e.to_string());
    // Whoever leaves loses the place in the queue; what has begun is finished, waited for or not.
    let turn = node.freezes.turn.clone().acquire_owned().await.map_err(|e| ending(&e))?;
    let taking = tokio::task::spawn_blocking(move || {
        let holding = hold(&node, &body);
        // It holds in memory by now: nobody behind waits for the disk.
        drop(turn);
        let (statement, realm) = holding?;
        node.freezes.keep().map_err(FreezeError::Keep)?;
        let frozen = node.freezes.list().into_iter().filter(|held| held.realm == realm).collect();
        Ok(FreezeReply { statement, frozen })
    });
    taking.await.map_err(|e| ending(&e))?
}

/// Gives the statement, and the realm that it belongs to.
fn hold(node: &Node, body: &[u8]) -> Result<(Cid, Did), FreezeError> {
    let statement = read(body)?;
    let direct = Direct::of(&statement)?;
    let named = (direct.statement, direct.realm);
    node.freezes.hold(node, &statement, direct)?;
    Ok(named)
}

fn read(body: &[u8]) -> Result<Statement, FreezeError> {
    let malformed = |e: ucan::Error| FreezeError::Container(e.to_string());
    // It goes on to the log uncompressed, behind a header of one byte, and is to fit then, too.
    let max_inflated_bytes = MAX_STATEMENT.saturating_sub(1);
    let limits = Limits { max_container_bytes: MAX_STATEMENT, max_inflated_bytes, ..Limits::default() };
    let (mut invocation, mut proofs) = (None, Vec::new());
    for token in container::decode(body, &limits).map_err(malformed)? {
        match ucan::open(&token).map_err(malformed)? {
            Token::Invocation(i) if invocation.is_none() => invocation = Some(i),
            Token::Invocation(_) => return Err(FreezeError::Container("two invocations".to_owned())),
            Token::Delegation(d) => proofs.push(d),
        }
    }
    let invocation = invocation.ok_or_else(|| FreezeError::Container("no invocation".to_owned()))?;
    Statement::parse(invocation, proofs).map_err(|e| FreezeError::Refused(e.to_string()))
}

/// Writes down what is not written yet, and passes on to the log what it can take and has not taken.
pub(crate) async fn forward(node: Arc<Node>) {
    loop {
        let own = node.clone();
        let outgoing = tokio::task::spawn_blocking(move || own.freezes.outgoing(own.ambient.now())).await;
        stream::iter(outgoing.unwrap_or_default())
            .for_each_concurrent(FORWARDED, |(statement, container)| submit(&node, statement, container))
            .await;
        // Woken by the next freeze, or else by the clock.
        let _ = tokio::time::timeout(FORWARD_PAUSE, node.freezes.news.notified()).await;
    }
}

async fn submit(node: &Node, statement: Cid, container: Base64) {
    match node.control_plane.submit_statement(&container.0).await {
        Ok(_) => node.freezes.answered(&statement),
        Err(error) if is_final(&error) => {
            tracing::warn!(%statement, %error, "the log does not take a freeze that this node holds");
            node.freezes.answered(&statement);
        }
        Err(error) => tracing::debug!(%statement, %error, "a freeze could not be passed on yet"),
    }
}

/// Whether the control plane has said no for good. By a clock that is slightly behind, a statement may live too long.
fn is_final(error: &ClientError) -> bool {
    matches!(error, ClientError::Problem(problem) if problem.status < 500 && problem.kind != ProblemType::LifetimeTooLong)
        && !error.is_retryable()
}

/// What a statement has frozen that the log took as this entry at this time, if that is what it does.
pub(crate) fn logged(statement: &Statement, seq: u64, at: Time) -> Option<Logged> {
    let Act::FreezeSet(set) = statement.act() else { return None };
    let (statement, realm) = (statement.cid(), statement.invocation().subject());
    Some(Logged { statement, realm, scope: set.scope.clone(), seq, at })
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
