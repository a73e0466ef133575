//! One FROST participant. It follows the log, verifies and decides every entry again by itself, and signs only what its
//! own state allows, now, with a fresh view of the log.
//!
//! **Invariant:** the message of a signature is computed here, from this node's replica; no request carries one. A
//! payout is signed only through [`ledger::Permit`], a change of an escrow contract through
//! [`ledger::AdministrationPermit`].
//!
//! **Invariant:** nothing is signed while this node's log is shorter than one that the log's key has signed, whoever
//! showed the signature.
//!
//! **Invariant:** of an escrow contract only that change is signed that the contract takes now, as this node's own RPC
//! endpoint shows it.
//!
//! **Invariant:** nonces live in memory; an intent, or a contract's nonce, is locked to its digest in the database before
//! the first share.

mod anchor;
mod attest;
mod clearance;
mod config;
mod contract;
mod dkg;
mod follow;
mod freeze;
mod halt;
mod heard;
mod http;
mod keys;
mod sealing;
mod session;
mod start;
mod view;

pub use config::{Config, Parts};
pub use keys::KeysError;
pub use serving::ConfigError;

use client::{Ambient, ControlPlane, Delegations, DelegationsError, ReadAccess, Speaker};
use domain::Did;
use messages::ReplayGuard;
use serving::ConfigErrors;
use std::{
    future::Future,
    net::SocketAddr,
    num::NonZeroUsize,
    sync::{Arc, Mutex},
};
use storage::Storage;
use tokio::{net::TcpListener, task::JoinHandle};

/// Envelopes older or newer than this are refused.
pub(crate) const ENVELOPE_TOLERANCE: u64 = messages::CLOCK_TOLERANCE;
/// Requests of one coordinator within the tolerance: hundreds of sessions a second.
const ENVELOPES_PER_SENDER: NonZeroUsize = NonZeroUsize::MIN.saturating_add(65_535);

/// A running signer.
#[derive(Debug)]
pub struct Signer {
    address: SocketAddr,
    task: JoinHandle<()>,
}

/// A signer cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration contradicts itself: every setting that is wrong.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    /// The database cannot be opened.
    #[error("the signer's database cannot be opened")]
    Database(#[source] storage::OpenError),
    /// The database cannot be read.
    #[error("the signer's database cannot be read")]
    Storage(#[from] storage::Error),
    /// The stored log does not follow from its root; the table and the entry are named.
    #[error("the signer's own copy of the log is bad: {}", start::diverged(.0))]
    Log(#[from] replica::Divergence),
    /// A row of the database is not what the log, this node's seal or its anchor says; the table and the first bad
    /// place are named.
    #[error("the signer's own copy of the log is bad: {0}")]
    Tampered(String),
    /// The anchor cannot be read, and what it has seen is not known.
    #[error("the signer's anchor file cannot be read")]
    Anchor(#[source] std::io::Error),
    /// The direct freezes cannot be read; what they hold is not known.
    #[error("the file of direct freezes cannot be read")]
    Freezes(#[source] std::io::Error),
    /// A key file cannot be opened.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// Delegations cannot be read.
    #[error(transparent)]
    Delegations(#[from] DelegationsError),
    /// The control plane's or the chain's URL is not usable.
    #[error("cannot make an HTTP client: {0}")]
    Client(String),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

/// What every part of the signer shares.
pub(crate) struct Node {
    pub config: Config,
    pub did: Did,
    pub ambient: Ambient,
    pub speaker: Speaker,
    pub control_plane: ControlPlane,
    pub view: view::View,
    pub keys: keys::Keys,
    pub storage: Arc<Storage>,
    pub sessions: session::Sessions,
    pub ceremonies: dkg::Ceremonies,
    pub freezes: freeze::DirectFreezes,
    pub anchor: anchor::Anchor,
    pub halt: halt::Halt,
    pub seal: anchor::Seal,
    pub replays: Mutex<ReplayGuard>,
    pub endpoint: attest::Endpoint,
}

impl Signer {
    /// Opens the node's data, verifies its copy of the log, and serves until `shutdown`.
    pub async fn start(
        config: Config,
        ambient: Ambient,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<Self, StartError> {
        ConfigErrors::refuse(config.check())?;
        let listener = TcpListener::bind(config.listen)
            .await
            .map_err(|source| StartError::Listen { address: config.listen, source })?;
        let address = listener.local_addr().map_err(|source| StartError::Listen { address: config.listen, source })?;
        serving::warn_of_strangers(address);
        let (node, follower) = open(config, ambient).await?;
        let task = tokio::spawn(async move {
            let following = tokio::spawn(follow::run(node.clone(), follower));
            let attesting = tokio::spawn(attest::run(node.clone()));
            let probing = tokio::spawn(attest::probe(node.clone()));
            let keeping = tokio::spawn(halt::keep(node.clone()));
            let forwarding = tokio::spawn(freeze::forward(node.clone()));
            http::serve(listener, node, shutdown).await;
            attesting.abort();
            probing.abort();
            keeping.abort();
            forwarding.abort();
            following.abort();
        });
        Ok(Self { address, task })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until it has shut down.
    pub async fn stopped(self) {
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the signer ended abnormally");
        }
    }
}

async fn open(config: Config, ambient: Ambient) -> Result<(Arc<Node>, follow::Follower), StartError> {
    let did = config.identity.did();
    let storage = {
        let url = config.database_url();
        let opened = tokio::task::spawn_blocking(move || Storage::open(&url)).await;
        Arc::new(opened.map_err(|e| StartError::Client(e.to_string()))?.map_err(StartError::Database)?)
    };
    let delegations = Delegations::load(&config.delegations)?;
    let speaker = Speaker::new(config.identity.clone(), delegations, config.sequencer, ambient.clone());
    let read = "/read/log".parse().map_err(|_| StartError::Client("the read command".to_owned()))?;
    let access = ReadAccess::new(speaker.clone(), config.operator, read);
    let control_plane =
        ControlPlane::new(config.control_plane.clone(), Some(access)).map_err(|e| StartError::Client(e.to_string()))?;
    let (operator, now) = (config.operator, ambient.now());
    let (seen, seal) = (anchor::read(&config.data).map_err(StartError::Anchor)?, anchor::Seal::of(&config.identity));
    let freezes = freeze::DirectFreezes::load(&config.data).map_err(StartError::Freezes)?;
    let replayed = {
        let storage = storage.clone();
        let replay = move || {
            let found = follow::Follower::replay(&storage, operator, now, &seal, &seen, &freezes)?;
            Ok::<_, StartError>((found, seal, freezes))
        };
        tokio::task::spawn_blocking(replay).await
    };
    let ((follower, held), seal, freezes) = replayed.map_err(|e| StartError::Client(e.to_string()))??;
    let keys = keys::Keys::load(&config)?;
    let start::Held { anchored, halted } = held;
    let newest = anchored.newest.as_ref().map(log::Note::to_string);
    let anchor = anchor::Anchor::new(&config.data, anchored);
    if let Some(Err(error)) = halted.as_ref().map(|halted| anchor.halt(&halted.reason)) {
        tracing::error!(%error, "the anchor cannot be written; that this node has halted is in its database");
    }
    let node = Node {
        halt: halt::Halt::of(halted.as_ref()),
        view: view::View::new(follower.replica().clone(), halted.as_ref().map(|halted| halted.reason.clone())),
        freezes,
        anchor,
        seal,
        sessions: session::Sessions::new(),
        ceremonies: dkg::Ceremonies::default(),
        replays: Mutex::new(ReplayGuard::new(ENVELOPE_TOLERANCE, ENVELOPES_PER_SENDER)),
        endpoint: attest::Endpoint::default(),
        config,
        did,
        ambient,
        speaker,
        control_plane,
        keys,
        storage,
    };
    let node = Arc::new(node);
    recall(&node, newest, halted.and_then(|halted| halted.shown)).await?;
    Ok((node, follower))
}

/// Hears again of what this node has kept of what the log's key has signed, so that it shows others what it showed them
/// before it was stopped: the newest checkpoint, and the fork that it has halted on.
async fn recall(node: &Arc<Node>, newest: Option<String>, shown: Option<String>) -> Result<(), StartError> {
    if let Some(note) = newest
        && matches!(heard::hear(node, &note).await, Ok(false))
    {
        return Err(StartError::Anchor(std::io::ErrorKind::InvalidData.into()));
    }
    for note in shown.iter().flat_map(|shown| view::Fork::notes_in(shown)) {
        // Refused when it shows a fork, of which the view then knows.
        if let Ok(false) = heard::hear(node, &note).await {
            tracing::debug!("what this node has halted on is no note of the log's key");
        }
    }
    Ok(())
}
