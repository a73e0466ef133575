use crate::{
    administrator::Administrator,
    carrier::Carrier,
    chain::Chain,
    config::Config,
    cosigner::Cosigner,
    dispatcher::Dispatcher,
    hold_off::{self, HoldOff},
    observability::{self, Observability},
    places::Places,
    reporter::Reporter,
    survey,
};
use client::{ClientError, ControlPlane, ReadAccess, Speaker};
use domain::ChainId;
use serving::ConfigErrors;
use std::{
    collections::BTreeMap,
    future::Future,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    net::TcpListener,
    sync::{Notify, OnceCell, RwLock, Semaphore, watch},
    task::JoinSet,
};
use ucan::Command;

/// How often each RPC endpoint is asked for its chain, so that readiness tells the truth while nothing is to do.
const PROBE: Duration = Duration::from_secs(2);

/// The relayer cannot run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The configuration contradicts itself: every setting that is wrong.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    /// The address for health and metrics is taken.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// No HTTP client could be made for a chain's RPC endpoint.
    #[error("no HTTP client can be made for the RPC endpoint of {0}")]
    Endpoint(ChainId),
    /// An HTTP client could not be made.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The metrics could not be set up.
    #[error("metrics")]
    Metrics(#[from] prometheus::Error),
    /// A part that never ends has ended.
    #[error("a part of the relayer stopped")]
    Stopped,
}

/// Runs a relayer until `shutdown` resolves. Outages of the control plane, of signers or of RPC endpoints are waited
/// out; whatever is unfinished at the end is finished by whoever starts next.
pub async fn run(config: Config, shutdown: impl Future<Output = ()> + Send) -> Result<(), RunError> {
    ConfigErrors::refuse(config.check())?;
    let observed = Arc::new(Observability::new()?);
    let mut chains = BTreeMap::new();
    for chain in config.chains {
        let id = chain.chain;
        let open = Chain::new(chain, config.wallet.clone()).map_err(|_| RunError::Endpoint(id))?;
        chains.insert(id, Arc::new(open));
    }
    let speaker = Speaker::new(config.identity.clone(), config.delegations, config.sequencer, config.ambient.clone());
    let reads: Command = "/read".parse().unwrap_or_else(|_| Command::top());
    let access = ReadAccess::new(speaker.clone(), config.operator, reads);
    let plane = ControlPlane::new(config.control_plane, Some(access))?;
    let carrier = Arc::new(Carrier {
        plane: plane.clone(),
        reporter: Reporter::new(plane, speaker, config.operator),
        chains: chains.clone(),
        identity: config.identity,
        ambient: config.ambient,
        observed: observed.clone(),
        slots: Semaphore::new(config.concurrency),
        changed: Notify::new(),
        administered: Notify::new(),
        quorum: RwLock::new(None),
        appointed: Notify::new(),
        operator: config.operator,
        sequencer: config.sequencer,
        horizon: OnceCell::new(),
        tenants: RwLock::new(BTreeMap::new()),
        hold_off: HoldOff::new(hold_off::PAYOUTS),
        places: Places::default(),
        unserved: Mutex::default(),
    });

    let listener =
        TcpListener::bind(config.listen).await.map_err(|source| RunError::Listen { address: config.listen, source })?;
    let (probed, ready, forked) = (chains.clone(), observed.clone(), carrier.clone());
    let unready = move || {
        let down = chains.values().filter(|c| !c.is_healthy());
        let mut missing: Vec<String> =
            down.map(|c| format!("no answer from the RPC endpoint of {}", c.config.chain)).collect();
        if !ready.is_following() {
            missing.push("not following the log".to_owned());
        }
        if forked.horizon.get().is_some_and(|h| h.fork().is_some()) {
            missing.push("the log's key has signed two logs".to_owned());
        }
        missing
    };
    let router = observability::router(observed.clone(), unready);
    let (sender, notes) = watch::channel(None);
    let mut parts = JoinSet::new();
    let forever = std::future::pending::<()>();
    parts.spawn(serving::serve(listener, router, observability::PATHS, serving::Limits::default(), forever));
    parts.spawn(probe(probed, observed.clone()));
    parts.spawn(Dispatcher::new(carrier.clone(), observed, sender).run());
    parts.spawn(Administrator::new(carrier.clone()).run());
    let keeper = carrier.clone();
    parts.spawn(async move { keeper.keep_quorum().await });
    parts.spawn(survey::run(carrier.clone()));
    parts.spawn(Cosigner::new(carrier, notes).run());
    tokio::select! {
        () = shutdown => Ok(()),
        _ = parts.join_next() => Err(RunError::Stopped),
    }
}

async fn probe(chains: BTreeMap<ChainId, Arc<Chain>>, observed: Arc<Observability>) {
    let mut tick = tokio::time::interval(PROBE);
    loop {
        tick.tick().await;
        for chain in chains.values() {
            if let Err(error) = chain.probe().await {
                tracing::warn!(chain = %chain.config.chain, %error, "RPC endpoint is not usable");
            }
            let id = chain.config.chain.to_string();
            observed.rpc_up.with_label_values(&[&id]).set(chain.is_healthy().into());
        }
    }
}
