use crate::{
    anchor::{Anchor, AnchorError, AnchorLock, Record},
    checkpoint::{self, Checkpointer, Latest},
    clock,
    config::{self, Config},
    feed::Feed,
    gate::Gate,
    health::Health,
    http,
    metrics::Metrics,
    opener::Opener,
    plane::{Issuers, Plane, Simulations, Work},
    register::Register,
    sequencer::{self, Queue},
    start::{self, VerifyError},
};
use arc_swap::{ArcSwap, ArcSwapOption};
use axum::Router;
use serving::ConfigErrors;
use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, OnceLock},
    thread::JoinHandle,
};
use storage::{Lease, OpenError, Storage};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
    task::{JoinHandle as Task, spawn_blocking},
};

/// What whoever asks meanwhile is told.
const STARTING: &str = "the control plane verifies its log, and answers when it has";

/// Why a control plane did not start, or did not end as it should.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration contradicts itself: every setting that is wrong.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    /// The database could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The lease could not be asked for.
    #[error("the lease could not be taken")]
    Lease(#[source] storage::Error),
    /// Another process leads the log.
    #[error("another process leads this log: {holder:?}")]
    Led {
        /// As its lease names it.
        holder: String,
    },
    /// Another process of this machine runs with this anchor, or has been told to stop and has not ended yet.
    #[error("another process runs with the anchor {}", .0.display())]
    AnchorInUse(PathBuf),
    /// The database is not what its entries say.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// The address cannot be listened on, or a thread cannot be started.
    #[error("the machine refuses")]
    Machine(#[from] std::io::Error),
    /// The metrics contradict themselves.
    #[error("metrics")]
    Metrics(#[from] prometheus::Error),
    /// A part of the service failed.
    #[error("the {0} failed")]
    Part(&'static str),
}

/// A running control plane. Dropping it ends it without waiting: what is in work goes on until it has ended, and until then
/// no other gets the anchor. [`Server::stop`] waits for it.
pub struct Server {
    address: SocketAddr,
    close: watch::Sender<bool>,
    serving: Task<()>,
    queue: Queue,
    sequencing: JoinHandle<Lease>,
    checkpointing: Checkpointer,
    storage: Arc<Storage>,
    health: Arc<Health>,
    patience: std::time::Duration,
    /// Whatever of this process may write the anchor, or the log, holds it too.
    anchor_lock: Arc<AnchorLock>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Runs a control plane until `shutdown` resolves; returns when everything acknowledged is durable and in order.
pub async fn run(config: Config, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
    let server = Server::start(config).await?;
    tracing::info!(address = %server.address(), "the control plane listens");
    shutdown.await;
    server.stop().await
}

struct Ground {
    storage: Arc<Storage>,
    lease: Lease,
    verified: start::Verified,
}

/// The port, on which everybody is told to come back until the API is set.
struct Open {
    address: SocketAddr,
    close: watch::Sender<bool>,
    closing: watch::Receiver<bool>,
    api: Arc<OnceLock<Router>>,
    serving: Task<()>,
}

/// Opens the database, takes the lease and verifies everything. Blocks.
fn prepare(config: &Config) -> Result<Ground, Error> {
    let seconds = config.limits.lease;
    let storage = match Storage::open_to_lead(&config.database, &config.holder, seconds, &clock::now) {
        Err(OpenError::Led { holder }) => return Err(Error::Led { holder }),
        opened => Arc::new(opened?),
    };
    let led = || start::leader(&storage, clock::now()).map_or_else(Error::Verify, |holder| Error::Led { holder });
    let lease = match storage.acquire(&config.holder, clock::now(), seconds) {
        Ok(Some(lease)) => lease,
        Ok(None) => return Err(led()),
        Err(error) => return Err(start::bad_head(&storage, &error).map_or(Error::Lease(error), Error::Verify)),
    };
    let verified =
        start::keeping(&storage, &lease, seconds, |lost| start::verify(&storage, config, lease.epoch, lost))?;
    // Whoever lost the lease must not begin, and what was found while somebody else wrote means nothing.
    match (storage.renew(&lease, clock::now(), seconds), verified) {
        (Ok(None), _) => Err(led()),
        (Ok(Some(lease)), Ok(verified)) => Ok(Ground { storage, lease, verified }),
        (Ok(Some(lease)), Err(error)) => {
            // Tried again and again, a start that fails would keep away whoever can lead.
            if let Err(error) = storage.release(&lease) {
                tracing::warn!(%error, "the lease could not be given back; it will expire");
            }
            Err(error.into())
        }
        (Err(_), Err(error)) => Err(error.into()),
        (Err(error), Ok(_)) => Err(Error::Lease(error)),
    }
}

impl Server {
    /// Takes the lease, verifies the database, and serves; whoever asks meanwhile is told that it starts. Port 0 takes any
    /// free port; see [`Server::address`].
    pub async fn start(mut config: Config) -> Result<Self, Error> {
        ConfigErrors::refuse(config.check())?;
        // Written by its own name: replacing a link would leave the file that it leads to behind.
        config.anchor = config::real_path(&config.anchor).map_err(|e| VerifyError::from(AnchorError::from(e)))?;
        let config = Arc::new(config);
        // Before the lease is asked for: one under the same name would be taken from whoever leads.
        let locked = AnchorLock::take(&config.anchor).map_err(VerifyError::from)?;
        let anchor_lock = Arc::new(locked.ok_or_else(|| Error::AnchorInUse(config.anchor.clone()))?);
        let listener = TcpListener::bind(config.listen).await?;
        let address = listener.local_addr()?;
        serving::warn_of_strangers(address);
        let limits = config.limits;
        // Dropped when this ends early, which ends serving.
        let (close, closing) = watch::channel(false);
        let api = Arc::new(OnceLock::new());
        let app = serving::starting(Arc::clone(&api), http::unverified(), STARTING, limits.request);
        let connections = serving::Limits { connections: limits.connections, head: limits.head };
        let closed = closed(closing.clone());
        let serving =
            tokio::spawn(async move { serving::serve(listener, app, http::OPERATIONS, connections, closed).await });
        let (own, lock) = (Arc::clone(&config), Arc::clone(&anchor_lock));
        let prepared = spawn_blocking(move || {
            // Whoever stops waiting for it does not end it.
            let _lock = lock;
            prepare(&own)
        });
        let ground = prepared.await.map_err(|_| Error::Part("verification"))??;
        let open = Open { address, close, closing, api, serving };
        Self::on(ground, &config, anchor_lock, open)
    }

    /// Starts every part on what start-up has found.
    fn on(ground: Ground, config: &Config, anchor_lock: Arc<AnchorLock>, open: Open) -> Result<Self, Error> {
        let Ground { storage, lease, verified } = ground;
        let Open { address, close, closing, api, serving } = open;
        let (limits, epoch) = (config.limits, lease.epoch);
        let metrics = Metrics::new()?;
        metrics.head.set(verified.snapshot.replica.head().map_or(-1, |h| i64::try_from(h.seq).unwrap_or(i64::MAX)));
        let snapshot = Arc::new(ArcSwap::from_pointee(verified.snapshot));
        let (feed, latest, health) =
            (Feed::new(), Latest::new(ArcSwapOption::empty()), Arc::new(Health::new(lease.expires_at)));
        let parts = sequencer::Parts {
            storage: Arc::clone(&storage),
            snapshot: Arc::clone(&snapshot),
            feed: feed.clone(),
            health: Arc::clone(&health),
            metrics: metrics.clone(),
            lease,
            lease_seconds: limits.lease,
            queue: limits.queue,
            batch: limits.batch,
        };
        let (queue, sequencing) = sequencer::start(parts, Arc::clone(&anchor_lock))?;
        let record = Record { chain: verified.chain, epoch };
        let anchor = Arc::new(Anchor::new(config.anchor.clone(), record, Arc::clone(&anchor_lock)));
        let (own, kept) = (config.sequencer_did(), Arc::clone(&anchor));
        let register = Arc::new(Register::new(Arc::clone(&storage), kept, own, verified.quorums, verified.chain));
        let checkpointing = checkpoint::start(checkpoint::Parts {
            key: config.sequencer.clone(),
            anchor,
            register: Arc::clone(&register),
            snapshot: Arc::clone(&snapshot),
            feed: feed.clone(),
            latest: Arc::clone(&latest),
            health: Arc::clone(&health),
            metrics: metrics.clone(),
            stored: verified.checkpoint,
        })?;
        let gate = Gate::new(Arc::clone(&storage), limits.commit);
        let plane = Arc::new(Plane {
            operator: config.operator,
            sequencer: config.sequencer_did(),
            issuer: config.issuer_did(),
            issuer_key: config.issuer.clone(),
            limits,
            opener: Arc::new(Opener::new(gate.clone(), limits.cached_delegations, metrics.signatures.clone())),
            gate,
            register,
            snapshot,
            queue: queue.clone(),
            feed,
            latest,
            health: Arc::clone(&health),
            metrics,
            in_flight: Arc::new(Semaphore::new(limits.in_flight)),
            followers: Arc::new(Semaphore::new(limits.followers)),
            simulations: Simulations::new(),
            loading: Work::at_once(1),
            activating: Issuers::default(),
            issuers: Issuers::default(),
            readers: http::auth::readers(),
            closing,
        });
        // Nothing else sets it.
        let _ = api.set(http::router(&plane));
        let patience = limits.shutdown;
        Ok(Self { address, close, serving, queue, sequencing, checkpointing, storage, health, patience, anchor_lock })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more requests, finishes those in work, commits what waits, signs a last checkpoint and gives the lease
    /// back. Requests that take longer than the configured time are cut off; what they were told stays true.
    pub async fn stop(self) -> Result<(), Error> {
        self.health.close();
        let _ = self.close.send(true);
        let mut serving = self.serving;
        let served = tokio::time::timeout(self.patience, &mut serving).await;
        if served.is_err() {
            tracing::warn!("requests were cut off at shutdown");
            serving.abort();
        }
        self.queue.close();
        let (sequencing, checkpointing, storage) = (self.sequencing, self.checkpointing, self.storage);
        let anchor_lock = self.anchor_lock;
        let ended = spawn_blocking(move || {
            let lease = sequencing.join().map_err(|_| Error::Part("sequencer"))?;
            checkpointing.stop();
            if let Err(error) = storage.release(&lease) {
                tracing::warn!(%error, "the lease could not be given back; it will expire");
            }
            drop(anchor_lock);
            Ok(())
        });
        ended.await.map_err(|_| Error::Part("shutdown"))?
    }
}

/// Resolves when the server is told to close, or is dropped.
async fn closed(mut closing: watch::Receiver<bool>) {
    let _ = closing.wait_for(|closed| *closed).await;
}
