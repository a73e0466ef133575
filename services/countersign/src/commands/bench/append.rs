//! The log without HTTP: one thread takes what waits, commits it together and answers, as the sequencer does. Once with
//! nothing to decide, which is what chain, tree and database can do; once with every proposal decided.

use super::{
    Settings,
    database::Server,
    figure::{Aim, Figure, quantile},
    load::{self, Plan, Worker},
    rows,
    scene::{Fate, Scene, on_every_core},
};
use anyhow::Context as _;
use client::Ambient;
use domain::{Cid, Digest, Time};
use ledger::Statement;
use replica::Replica;
use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::Duration,
};
use storage::{Batch, NewEntry, NewTile, NewToken, ProposalRow, Storage};
use tokio::sync::oneshot;
use ucan::Ipld;

/// As the sequencer's.
const BATCH: usize = 512;
/// What the bare chain and database reached on the reference machine.
const APPEND: Aim = Aim::AtLeast(37_000.0);
/// Longer than any measurement.
const LEASE: u64 = 3_600;
/// More proposals a second are not prepared.
const MOST: u64 = 20_000;

type Job<T> = (T, oneshot::Sender<()>);

/// Takes what waits and commits it together, until nobody can submit any more.
fn group<T>(jobs: &Receiver<Job<T>>, mut commit: impl FnMut(Vec<T>) -> anyhow::Result<()>) -> anyhow::Result<()> {
    while let Ok(first) = jobs.recv() {
        let more = jobs.try_iter().take(BATCH.saturating_sub(1));
        let (things, replies): (Vec<T>, Vec<_>) = std::iter::once(first).chain(more).unzip();
        commit(things)?;
        for reply in replies {
            // Whoever has gone does not want to know.
            let _ = reply.send(());
        }
    }
    Ok(())
}

/// Submits one thing and waits until it is durable.
struct Submitter<T> {
    jobs: Sender<Job<T>>,
    supply: Arc<dyn Fn() -> Option<T> + Send + Sync>,
}

impl<T: Send + 'static> Worker for Submitter<T> {
    async fn turn(&mut self) -> anyhow::Result<bool> {
        let Some(thing) = (self.supply)() else { return Ok(false) };
        let (reply, done) = oneshot::channel();
        self.jobs.send((thing, reply)).ok().context("the committing thread has ended")?;
        done.await.context("a commit failed")?;
        Ok(true)
    }
}

/// The writing side of a fresh database.
struct Writer {
    storage: Storage,
    epoch: u64,
}

impl Writer {
    /// Opens on a blocking thread: the PostgreSQL client drives a runtime of its own.
    async fn open(url: &str) -> anyhow::Result<Self> {
        let url = url.to_owned();
        tokio::task::spawn_blocking(move || Self::open_blocking(&url)).await?
    }

    fn open_blocking(url: &str) -> anyhow::Result<Self> {
        let storage = Storage::open(url)?;
        let lease = storage.acquire("bench", Ambient::system().now(), LEASE)?.context("the lease is taken")?;
        Ok(Self { storage, epoch: lease.epoch })
    }

    fn batch(&self, next: u64) -> Batch {
        Batch { epoch: self.epoch, old_head: next.checked_sub(1), ..Batch::default() }
    }
}

/// Entries of an ordinary size that nobody has decided.
struct Plain {
    writer: Writer,
    chain: log::Chain,
    tree: log::Tree,
    sample: Sample,
}

/// What an ordinary proposal brings into the log.
struct Sample {
    outcome: Ipld,
    token: Vec<u8>,
    row: ProposalRow,
}

impl Plain {
    fn commit(&mut self, numbers: &[u64], at: Time) -> anyhow::Result<()> {
        let mut batch = self.writer.batch(self.chain.size());
        for number in numbers {
            let bytes = [number.to_be_bytes().as_slice(), &self.sample.token].concat();
            let statement = Cid::of(&bytes);
            let entry = self.chain.next(at, statement, self.sample.outcome.clone());
            let encoded = entry.encode()?;
            let leaf = log::leaf_hash(&encoded);
            self.chain = log::Chain::at(log::Head { seq: entry.seq, leaf, at });
            self.tree.push(leaf);
            let tiles = self.tree.drain_tiles().into_iter();
            batch.tiles.extend(tiles.map(|t| NewTile { level: t.level, index: t.index, hashes: t.hashes }));
            let row = self.sample.row.clone();
            batch.proposals.push(ProposalRow { id: statement, seq: entry.seq, updated: entry.seq, ..row });
            batch.entries.push(NewEntry {
                seq: entry.seq,
                bytes: encoded,
                leaf: Digest::from_bytes(*leaf.as_bytes()),
                statement,
                tokens: vec![NewToken { cid: statement, bytes }],
            });
        }
        Ok(self.writer.storage.append(&batch)?)
    }
}

/// Proposals that are decided.
struct Decided {
    writer: Writer,
    replica: Replica,
    held: HashSet<Cid>,
}

impl Decided {
    fn commit(&mut self, statements: &[Statement], at: Time) -> anyhow::Result<()> {
        let mut batch = self.writer.batch(self.replica.next_seq());
        for statement in statements {
            let before = self.replica.clone();
            let admitted = self.replica.admit(statement, at)?;
            rows::add(&mut batch, before.state(), statement, admitted, &mut self.held).context("no rows")?;
        }
        Ok(self.writer.storage.append(&batch)?)
    }
}

/// Lets `waiting` submitters work against a committing thread.
async fn measure<T: Send + 'static>(
    waiting: usize,
    seconds: u64,
    supply: Arc<dyn Fn() -> Option<T> + Send + Sync>,
    mut commit: impl FnMut(Vec<T>) -> anyhow::Result<()> + Send + 'static,
) -> anyhow::Result<load::Done> {
    let (jobs, inbox) = channel();
    let committing = thread::Builder::new().name("commit".to_owned()).spawn(move || group(&inbox, &mut commit))?;
    let submitter = || Submitter { jobs: jobs.clone(), supply: Arc::clone(&supply) };
    let workers: Vec<_> = (0..waiting).map(|_| submitter()).collect();
    drop(jobs);
    let done = load::run(workers, Plan { limit: Duration::from_secs(seconds), pace: None }).await;
    let committed = tokio::task::spawn_blocking(move || committing.join()).await?;
    // Why commits failed says more than that they did.
    committed.map_err(|_| anyhow::anyhow!("the committing thread failed"))??;
    done
}

fn figure(case: String, done: &load::Done, aim: Option<Aim>) -> Figure {
    Figure::new("append", case)
        .value("rate", done.rate(), "/s", aim)
        .with("p50", quantile(&done.latencies, 0.5) / 1e6, "ms")
        .with("p99", quantile(&done.latencies, 0.99) / 1e6, "ms")
}

/// Appends to a fresh database at several numbers of waiting submitters.
pub async fn append(settings: &Settings, server: &Server, figures: &mut Vec<Figure>) -> anyhow::Result<()> {
    for waiting in [1, 32, 128, 512] {
        let database = server.database().await?;
        let case = format!("{}, {waiting} waiting, nothing decided", database.engine);
        settings.progress(&format!("append: {case}"));
        let (scene, at) = (Scene::new()?, Ambient::system().now());
        let sample = sample(&scene, at)?;
        let writer = Writer::open(&database.url).await?;
        let mut plain = Plain { writer, chain: log::Chain::EMPTY, tree: log::Tree::new(), sample };
        let next = std::sync::atomic::AtomicU64::new(0);
        let supply = Arc::new(move || Some(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)));
        let done = measure::<u64>(waiting, settings.seconds, supply, move |all| plain.commit(&all, at)).await?;
        figures.push(figure(case, &done, (waiting == 128).then_some(APPEND)));
        database.remove().await?;
    }
    for waiting in [1, 32, 512] {
        let database = server.database().await?;
        let case = format!("{}, {waiting} waiting, proposals decided", database.engine);
        settings.progress(&format!("append: {case}"));
        let (scene, at) = (Scene::new()?, Ambient::system().now());
        let writer = Writer::open(&database.url).await?;
        let (replica, held) = (Replica::new(scene.operator.did()), HashSet::new());
        let mut decided = Decided { writer, replica, held };
        let setup = scene.setup(at)?;
        let mut decided = tokio::task::spawn_blocking(move || {
            for said in setup {
                decided.commit(&[said.statement()?], at)?;
            }
            anyhow::Ok(decided)
        })
        .await??;
        let supply = Arc::new(proposals(&scene, at, waiting, settings.seconds)?);
        let done = measure::<Statement>(waiting, settings.seconds, supply, move |all| decided.commit(&all, at)).await?;
        figures.push(figure(case, &done, None));
        database.remove().await?;
    }
    Ok(())
}

/// Statements that are opened and parsed, each once.
fn proposals(
    scene: &Scene,
    at: Time,
    waiting: usize,
    seconds: u64,
) -> anyhow::Result<impl Fn() -> Option<Statement> + Send + Sync + 'static> {
    let chain = scene.chain(at)?;
    let most = if waiting == 1 { MOST / 4 } else { MOST };
    let count = usize::try_from(most.saturating_mul(seconds))?;
    let all = on_every_core(count, |_| scene.propose(&chain, Fate::Allowed, at)?.statement())?;
    let all = Mutex::new(all);
    Ok(move || all.lock().unwrap_or_else(PoisonError::into_inner).pop())
}

fn sample(scene: &Scene, at: Time) -> anyhow::Result<Sample> {
    let mut replica = Replica::new(scene.operator.did());
    for said in scene.setup(at)? {
        replica.admit(&said.statement()?, at)?;
    }
    let statement = scene.propose(&scene.chain(at)?, Fate::Allowed, at)?.statement()?;
    let before = replica.clone();
    let admitted = replica.admit(&statement, at)?;
    let outcome = ipld_core::serde::to_ipld(&admitted.outcome)?;
    let mut batch = Batch::default();
    rows::add(&mut batch, before.state(), &statement, admitted, &mut HashSet::new()).context("no rows")?;
    let row = batch.proposals.pop().context("a proposal has a row")?;
    Ok(Sample { outcome, token: statement.invocation().bytes().to_vec(), row })
}
