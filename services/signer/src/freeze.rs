//! Freezes that reach this node directly, before or without the log. Until the log has the statement, the node signs
//! nothing in its realm; afterwards the log's own state says what is frozen.

use crate::Node;
use domain::{Cid, Did};
use ledger::{Act, Scope, Statement};
use messages::FreezeScope;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use ucan::{Limits, Token, container};

/// One is enough to hold a whole realm; a few more let the log take over one without releasing the realm.
const PER_REALM: usize = 4;

/// Tries to pass a freeze on while its statement is valid: fifteen minutes.
const FORWARDS: u32 = 60;
const FORWARD_PAUSE: Duration = Duration::from_secs(15);

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Direct {
    statement: Cid,
    realm: Did,
    scope: Scope,
}

pub(crate) struct DirectFreezes {
    file: PathBuf,
    held: Mutex<BTreeMap<Cid, Direct>>,
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
        Ok(Self { file, held: Mutex::new(held.into_iter().map(|d| (d.statement, d)).collect()) })
    }

    /// Whether something of this tenant, or everything, is frozen here directly. The scope within the realm is not
    /// looked at: until the log knows better, too much is frozen rather than too little.
    pub fn holds(&self, operator: Did, tenant: Did) -> bool {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.values().any(|d| d.realm == operator || d.realm == tenant)
    }

    pub fn scopes(&self) -> Vec<FreezeScope> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.values().map(|d| scope(&d.scope)).collect()
    }

    /// Lets go of what the log has by now.
    pub fn forget_logged(&self, statements: impl Iterator<Item = Cid>) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.is_empty() {
            return;
        }
        let before = held.len();
        for statement in statements {
            held.remove(&statement);
        }
        if held.len() != before
            && let Err(error) = save(&self.file, &held)
        {
            tracing::warn!(%error, "direct freezes cannot be written");
        }
    }

    fn hold(&self, direct: Direct) -> Result<(), FreezeError> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.values().filter(|d| d.realm == direct.realm).count() >= PER_REALM {
            return Ok(());
        }
        held.insert(direct.statement, direct);
        save(&self.file, &held).map_err(FreezeError::Keep)
    }
}

fn save(file: &Path, held: &BTreeMap<Cid, Direct>) -> std::io::Result<()> {
    let draft = file.with_extension("draft");
    let all: Vec<&Direct> = held.values().collect();
    let mut out = fs::File::create(&draft)?;
    out.write_all(&serde_json::to_vec(&all)?)?;
    out.sync_all()?;
    fs::rename(&draft, file)
}

/// Takes a `/freeze/set` container: its own chain entitles it, as in the log.
pub(crate) fn take(node: &Node, body: &[u8]) -> Result<Vec<FreezeScope>, FreezeError> {
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
    let Act::FreezeSet(set) = statement.act() else { return Err(FreezeError::Command) };
    let replica = node.view.replica();
    if replica.state().seen(&statement.cid()).is_none() {
        let step = replica.state().step(&statement, replica.next_seq(), node.ambient.now().max(replica.state().at()));
        step.map_err(|e| FreezeError::Refused(e.to_string()))?;
        let realm = statement.invocation().subject();
        node.freezes.hold(Direct { statement: statement.cid(), realm, scope: set.scope.clone() })?;
    }
    Ok(node.freezes.scopes())
}

/// Passes a direct freeze on to the log, which then governs it. Whoever sent it may have reached this node alone.
pub(crate) async fn forward(node: Arc<Node>, body: Vec<u8>) {
    for _ in 0..FORWARDS {
        match node.control_plane.submit_statement(&body).await {
            Ok(_) => return,
            Err(error) if !error.is_retryable() => return,
            Err(_) => tokio::time::sleep(FORWARD_PAUSE).await,
        }
    }
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
