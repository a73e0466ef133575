//! `POST /v1/proposals` over HTTP until the answer that the proposal is durable, and the memory that proposals take.

use super::{
    Settings,
    database::Server,
    figure::{Aim, Figure, number, quantile},
    http::{Connection, post},
    load::{self, Done, Plan, Worker},
    plane::Plane,
    scene::{Fate, Scene, on_every_core},
};
use anyhow::ensure;
use client::Ambient;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

const NAME: &str = "proposals";
const PATH: &str = "/v1/proposals";
/// The rate that shall be sustained, and at which the paced case offers proposals.
const TARGET: f64 = 8_000.0;
const RATE: Aim = Aim::AtLeast(TARGET);
/// More than this many a second are not prepared: a run that uses them up ends early and is measured all the same.
const MOST: u64 = 16_000;
/// One connection after the other cannot ask for more than this.
const MOST_ALONE: u64 = 4_000;

/// Requests that are ready to be sent, each once.
struct Supply {
    requests: Vec<Vec<u8>>,
    next: AtomicUsize,
}

struct Proposer {
    connection: Connection,
    supply: Arc<Supply>,
}

impl Worker for Proposer {
    async fn turn(&mut self) -> anyhow::Result<bool> {
        let index = self.supply.next.fetch_add(1, Ordering::Relaxed);
        let Some(request) = self.supply.requests.get(index) else { return Ok(false) };
        let answer = self.connection.ask(request).await?;
        // Denials are new entries, too.
        ensure!(answer.status == 201, "{}: {}", answer.status, String::from_utf8_lossy(answer.body));
        Ok(true)
    }
}

/// One way of asking.
#[derive(Clone, Copy)]
struct Case {
    in_flight: usize,
    pace: Option<f64>,
    denied: bool,
}

impl Case {
    const fn closed(in_flight: usize) -> Self {
        Self { in_flight, pace: None, denied: false }
    }

    fn title(self, engine: &str) -> String {
        let what = if self.denied { ", every second one denied" } else { "" };
        match self.pace {
            Some(pace) => format!("{engine}, {pace:.0}/s offered over {} connections", self.in_flight),
            None => format!("{engine}, {} in flight{what}", self.in_flight),
        }
    }

    fn figure(self, engine: &str, done: &Done) -> Figure {
        let milliseconds = |share| quantile(&done.latencies, share) / 1e6;
        let (p50, p99) = match (self.in_flight, self.pace) {
            (1, None) => (Some(Aim::AtMost(1.0)), Some(Aim::AtMost(5.0))),
            (_, Some(_)) | (128, None) => (None, Some(Aim::AtMost(25.0))),
            _ => (None, None),
        };
        // Offered at the target, all but the last moments' can be done in the time.
        let rate = match (self.in_flight, self.pace, self.denied) {
            (_, Some(pace), _) => Some(Aim::AtLeast(pace * 0.99)),
            (512, None, false) => Some(RATE),
            _ => None,
        };
        Figure::new(NAME, self.title(engine))
            .value("rate", done.rate(), "/s", rate)
            .value("p50", milliseconds(0.5), "ms", p50)
            .value("p99", milliseconds(0.99), "ms", p99)
    }
}

/// Signs proposals with their chain; every second one is beyond its limit when `denied`.
fn sign(scene: &Scene, count: usize, denied: bool) -> anyhow::Result<Supply> {
    let at = Ambient::system().now();
    let chain = scene.chain(at)?;
    let requests = on_every_core(count, |i| {
        let fate = if denied && !i.is_multiple_of(2) { Fate::Denied } else { Fate::Allowed };
        Ok(post(PATH, &scene.propose(&chain, fate, at)?.container()?))
    })?;
    Ok(Supply { requests, next: AtomicUsize::new(0) })
}

async fn ask(plane: &Plane, supply: Supply, in_flight: usize, plan: Plan) -> anyhow::Result<Done> {
    let supply = Arc::new(supply);
    // The first brings the chain into the log and into the cache of opened delegations.
    let mut first = Proposer { connection: Connection::open(plane.address).await?, supply: Arc::clone(&supply) };
    ensure!(first.turn().await?, "nothing to propose");
    let mut workers = vec![first];
    while workers.len() < in_flight {
        let connection = Connection::open(plane.address).await?;
        workers.push(Proposer { connection, supply: Arc::clone(&supply) });
    }
    load::run(workers, plan).await
}

async fn plane(scene: &Scene, server: &Server) -> anyhow::Result<Plane> {
    let plane = Plane::start(scene, server.database().await?).await?;
    plane.submit("/v1/statements", &scene.setup(Ambient::system().now())?).await?;
    Ok(plane)
}

/// Rates and latencies with one engine.
pub async fn rates(settings: &Settings, server: &Server, figures: &mut Vec<Figure>) -> anyhow::Result<()> {
    let mut cases = [1, 32, 128, 512].map(Case::closed).to_vec();
    cases.push(Case { in_flight: 512, pace: Some(TARGET), denied: false });
    cases.push(Case { in_flight: 512, pace: None, denied: true });
    for case in cases {
        let scene = Scene::new()?;
        let plane = plane(&scene, server).await?;
        let most = if case.in_flight == 1 { MOST_ALONE } else { MOST };
        let engine = match server {
            Server::Sqlite => "SQLite",
            Server::Postgres(_) => "PostgreSQL",
        };
        settings.progress(&format!("{NAME}: {}", case.title(engine)));
        let count = usize::try_from(most.saturating_mul(settings.seconds)).unwrap_or(usize::MAX);
        let supply = sign(&scene, count, case.denied)?;
        let plan = Plan { limit: Duration::from_secs(settings.seconds), pace: case.pace };
        let done = ask(&plane, supply, case.in_flight, plan).await?;
        let figure = case.figure(engine, &done);
        figures.push(match case.pace {
            Some(_) => figure.note("a latency counts from the moment at which the proposal was due, sent or not"),
            None => figure,
        });
        plane.stop().await?;
    }
    Ok(())
}

/// Memory of the control plane before and after many proposals that all stay open.
pub async fn memory(settings: &Settings, figures: &mut Vec<Figure>) -> anyhow::Result<()> {
    const MEBIBYTE: f64 = 1_048_576.0;
    let title = format!("{} open proposals, SQLite", settings.proposals);
    let scene = Scene::new()?;
    let plane = plane(&scene, &Server::Sqlite).await?;
    let Some(before) = plane.resident() else {
        figures.push(Figure::missing("memory", title, "this system has no /proc/PID/status"));
        return plane.stop().await;
    };
    let mut left = settings.proposals;
    while left > 0 {
        settings.progress(&format!("memory: {left} proposals to go"));
        let now = left.min(10_000);
        let supply = sign(&scene, usize::try_from(now)?, false)?;
        ask(&plane, supply, 64, Plan { limit: Duration::from_mins(10), pace: None }).await?;
        left = left.saturating_sub(now);
    }
    let after = plane.resident().unwrap_or(0);
    let each = number(after.saturating_sub(before)) / number(settings.proposals.max(1));
    figures.push(
        Figure::new("memory", title)
            .with("before", number(before) / MEBIBYTE, "MiB")
            .with("after", number(after) / MEBIBYTE, "MiB")
            .with("each", each, "B")
            .note("resident memory of the control plane's process; none of the proposals is paid out meanwhile"),
    );
    plane.stop().await
}
