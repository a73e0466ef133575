use crate::{
    checkpoint::Latest,
    clock,
    config::Limits,
    debt::{Account, Debts},
    feed::Feed,
    gate::Gate,
    health::Health,
    metrics::Metrics,
    opener::Opener,
    register::Register,
    sequencer::Queue,
    snapshot::Snapshot,
};
use arc_swap::ArcSwap;
use domain::Did;
use ed25519_dalek::SigningKey;
use log::NoteKey;
use std::{
    collections::HashMap,
    num::NonZero,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{AcquireError, OwnedSemaphorePermit, Semaphore, watch},
    task::{JoinError, spawn_blocking},
};

/// Everything that requests share.
pub(crate) struct Plane {
    pub operator: Did,
    pub sequencer: Did,
    pub issuer: Did,
    pub issuer_key: SigningKey,
    pub limits: Limits,
    pub gate: Gate,
    pub register: Arc<Register>,
    pub opener: Arc<Opener>,
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    pub queue: Queue,
    pub feed: Feed,
    pub latest: Latest,
    pub health: Arc<Health>,
    pub metrics: Metrics,
    pub in_flight: Arc<Semaphore>,
    pub followers: Arc<Semaphore>,
    pub simulations: Simulations,
    /// Policies are loaded one by one, so that no core is missing elsewhere, and one of each tenant.
    pub loading: Work,
    pub activating: Issuers,
    pub issuers: Issuers,
    pub readers: crate::http::auth::Readers,
    pub closing: watch::Receiver<bool>,
}

/// Simulations at once, one per core and never fewer than this: nothing limits how often somebody asks, and statements
/// have to be decided, too.
const FEWEST_SIMULATIONS: usize = 2;

/// Bounds the work that takes its time and that no statement in the queue waits for.
#[derive(Clone, Debug)]
pub(crate) struct Work(Arc<Semaphore>);

impl Work {
    /// So many at once.
    pub fn at_once(count: usize) -> Self {
        Self(Arc::new(Semaphore::new(count)))
    }

    /// Runs `work` on a thread that may take its time; `None` when too many do so already. Who gives up on the answer
    /// does not make room for another: the turn ends with the work.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<Result<T, JoinError>> {
        let turn = Arc::clone(&self.0).try_acquire_owned().ok()?;
        Some(working(turn, work).await)
    }

    /// Runs `work` when its turn has come.
    pub async fn run_in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, WorkError> {
        let turn = Arc::clone(&self.0).acquire_owned().await?;
        Ok(working(turn, work).await?)
    }
}

/// Decides what is not proposed. What it computes has accounts of its own: who may only ask holds up no proposal.
#[derive(Debug)]
pub(crate) struct Simulations {
    work: Work,
    debts: Arc<Debts>,
}

impl Simulations {
    pub fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(FEWEST_SIMULATIONS, NonZero::get);
        Self { work: Work::at_once(cores.max(FEWEST_SIMULATIONS)), debts: Arc::default() }
    }

    /// Runs `decide` on the account of `tenant`.
    pub async fn run<T: Send + 'static>(
        &self,
        tenant: Did,
        decide: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, SimulationError> {
        let (debts, account) = (Arc::clone(&self.debts), [Account::Tenant(tenant)]);
        if let Some(wait) = debts.wait(&account, clock::instant()) {
            return Err(SimulationError::InDebt(wait));
        }
        let timed = move || {
            let begun = clock::computed();
            let decided = decide();
            debts.charge(&account, clock::computed().saturating_sub(begun), clock::instant());
            decided
        };
        Ok(self.work.run(timed).await.ok_or(SimulationError::Busy)??)
    }
}

/// Nothing was decided.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SimulationError {
    #[error("too many simulations are in work")]
    Busy,
    #[error("the tenant's policy takes long, and is asked again when this has passed")]
    InDebt(Duration),
    #[error("the simulation failed")]
    Failed(#[from] JoinError),
}

/// Work was begun and not finished.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WorkError {
    #[error("the service is shutting down")]
    Closed(#[from] AcquireError),
    #[error("the work failed")]
    Failed(#[from] JoinError),
}

/// Who gives up on the answer does not make room for another: the turn ends with the work.
async fn working<T: Send + 'static>(
    turn: OwnedSemaphorePermit,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, JoinError> {
    let working = spawn_blocking(move || {
        let _turn = turn;
        work()
    });
    working.await
}

/// How many statements of each issuer are in work.
#[derive(Debug, Default)]
pub(crate) struct Issuers(Mutex<HashMap<Did, usize>>);

/// One statement in work; counts until dropped.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    issuers: &'a Issuers,
    issuer: Did,
}

impl Issuers {
    /// Takes a turn of `issuer`, unless it has `limit` of them already.
    pub fn enter(&self, issuer: Did, limit: usize) -> Option<Turn<'_>> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(issuer).or_default();
        if *count >= limit {
            return None;
        }
        *count = count.saturating_add(1);
        Some(Turn { issuers: self, issuer })
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut counts = self.issuers.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.issuer) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.remove(&self.issuer);
            }
        }
    }
}

impl Plane {
    /// The log as it is committed.
    pub fn now(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Seconds by which clocks may differ.
    pub fn tolerance(snapshot: &Snapshot) -> u64 {
        snapshot.replica.state().origin().map_or(DEFAULT_TOLERANCE, |o| o.clock_tolerance)
    }

    /// The sequencer's key as notes name it, once the log has a name.
    pub fn note_key(&self, snapshot: &Snapshot) -> Option<NoteKey> {
        NoteKey::new(crate::checkpoint::origin(snapshot)?, &self.sequencer).ok()
    }
}

/// Before the first entry names one, as in the ledger.
const DEFAULT_TOLERANCE: u64 = 30;

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[tokio::test]
    async fn simulations_are_bounded_and_a_turn_ends_with_the_work() {
        let simulations = Work::at_once(1);
        let (started, is_started) = channel();
        let (release, released) = channel::<()>();
        let running = simulations.clone();
        let asked = tokio::spawn(async move {
            let wait = move || {
                started.send(()).unwrap();
                released.recv().unwrap();
            };
            running.run(wait).await
        });
        spawn_blocking(move || is_started.recv().unwrap()).await.unwrap();
        assert!(simulations.run(|| ()).await.is_none());
        // Whoever asked hangs up; the work goes on and keeps its turn.
        asked.abort();
        assert!(asked.await.unwrap_err().is_cancelled());
        assert!(simulations.run(|| ()).await.is_none());
        release.send(()).unwrap();
        let _turn = simulations.0.acquire().await.unwrap();
    }
}
