//! How long a control plane with a long log takes from its start until it serves: it derives everything again.

use super::{
    Settings,
    clock::instant,
    database::Server,
    figure::{Figure, number},
    rows,
    scene::{Fate, Scene, on_every_core},
};
use anyhow::Context as _;
use client::Ambient;
use control_plane::{Config, Server as ControlPlane};
use domain::{Cid, Time};
use ledger::Statement;
use replica::Replica;
use std::{collections::HashSet, net::SocketAddr, path::Path, sync::mpsc::sync_channel, thread};
use storage::{Batch, Storage};
use tokio::task::spawn_blocking;

/// Entries per commit: fewer syncs than a control plane's own batches would take.
const BATCH: usize = 2_048;
/// Entries that are signed while the ones before are committed; a multiple of ten.
const CHUNK: u64 = 20_000;
/// Entries a second as the log's times say, which decides how many statements have not expired yet at any time.
const PER_SECOND: u64 = 1_000;
/// For so many seconds one chain is used, as an installation uses a token.
const CHAIN: u64 = 300;
/// Longer than any build.
const LEASE: u64 = 86_400;
/// As `Config::new` says, so that the lease need not be waited for.
const HOLDER: &str = "control-plane";

/// Builds a log and times the start over it.
pub async fn startup(settings: &Settings, figures: &mut Vec<Figure>) -> anyhow::Result<()> {
    let database = Server::Sqlite.database().await?;
    let folder = database.folder().context("a SQLite database is in a folder")?.to_owned();
    let scene = Scene::new()?;
    let config = config(&scene, &database.url, &folder);
    let (own, url) = (settings.clone(), database.url.clone());
    let begun = instant();
    let size = spawn_blocking(move || build(&own, &scene, &url)).await??;
    let built = begun.elapsed();
    settings.progress(&format!("startup: {size} entries were built in {:.0} s; starting", built.as_secs_f64()));
    let begun = instant();
    let server = ControlPlane::start(config).await?;
    let elapsed = begun.elapsed().as_secs_f64();
    server.stop().await?;
    let bytes = std::fs::metadata(folder.join("log.db")).map_or(0, |m| m.len());
    figures.push(
        Figure::new("startup", format!("{size} entries, SQLite"))
            .with("time", elapsed, "s")
            .with("rate", number(size) / elapsed.max(f64::MIN_POSITIVE), "entries/s")
            .with("database", number(bytes) / 1_048_576.0, "MiB")
            .note(
                "of ten entries four are proposals in review, four withdraw them, one is a proposal that stays open and \
                 one is denied; signatures, decisions, tree and every row are checked before it serves",
            ),
    );
    database.remove().await
}

fn config(scene: &Scene, url: &str, folder: &Path) -> Config {
    let (sequencer, issuer) = (scene.sequencer.key().to_bytes(), scene.issuer.key().to_bytes());
    let mut config = Config::new(url, scene.operator.did(), &sequencer, &issuer, folder.join("anchor"));
    config.listen = SocketAddr::from(([127, 0, 0, 1], 0));
    // The log was made without a control plane that would have written one.
    config.accept_missing_anchor = true;
    config
}

/// Writes the log; gives its size.
fn build(settings: &Settings, scene: &Scene, url: &str) -> anyhow::Result<u64> {
    let storage = Storage::open(url)?;
    let now = Ambient::system().now();
    let lease = storage.acquire(HOLDER, now, LEASE)?.context("the lease is taken")?;
    let begin = now.minus(settings.entries / PER_SECOND).minus(60);
    let mut log =
        Log { storage, epoch: lease.epoch, replica: Replica::new(scene.operator.did()), held: HashSet::new() };
    let setup = scene.setup(begin)?.into_iter().map(|s| Ok((begin, s.statement()?)));
    log.append(&setup.collect::<anyhow::Result<Vec<_>>>()?)?;
    let (chunks, inbox) = sync_channel(1);
    thread::scope(|scope| {
        scope.spawn(move || {
            for first in (0..settings.entries).step_by(usize::try_from(CHUNK).unwrap_or(usize::MAX)) {
                let last = first.saturating_add(CHUNK).min(settings.entries);
                if chunks.send(chunk(scene, begin, first, last)).is_err() {
                    return;
                }
            }
        });
        // Consumed here, so that a failure ends the signing thread, too.
        for statements in inbox {
            for batch in statements?.chunks(BATCH) {
                log.append(batch)?;
            }
            settings.progress(&format!("startup: {} of {} entries", log.replica.next_seq(), settings.entries));
        }
        anyhow::Ok(())
    })?;
    Ok(log.replica.next_seq())
}

/// The statements of ten entries each: four in review and withdrawn, one allowed, one denied.
fn chunk(scene: &Scene, begin: Time, first: u64, last: u64) -> anyhow::Result<Vec<(Time, Statement)>> {
    let time = |entry: u64| begin.plus(entry / PER_SECOND);
    let start = time(first);
    let chains = (0..=(CHUNK / PER_SECOND / CHAIN)).map(|n| scene.chain(start.plus(n.saturating_mul(CHAIN))));
    let chains = chains.collect::<anyhow::Result<Vec<_>>>()?;
    let tens = usize::try_from(last.saturating_sub(first).div_ceil(10))?;
    let made = on_every_core(tens, |ten| {
        let at = time(first.saturating_add(u64::try_from(ten)?.saturating_mul(10)));
        let which = usize::try_from(at.since(start) / CHAIN)?;
        let chain = chains.get(which).context("a chain for every moment")?;
        let mut statements = Vec::with_capacity(10);
        for _ in 0..4 {
            let reviewed = scene.propose(chain, Fate::Reviewed, at)?.statement()?;
            let withdrawn = scene.cancel(reviewed.cid(), at)?.statement()?;
            statements.extend([(at, reviewed), (at, withdrawn)]);
        }
        for fate in [Fate::Allowed, Fate::Denied] {
            statements.push((at, scene.propose(chain, fate, at)?.statement()?));
        }
        Ok(statements)
    })?;
    Ok(made.into_iter().flatten().collect())
}

/// A log that is being written.
struct Log {
    storage: Storage,
    epoch: u64,
    replica: Replica,
    held: HashSet<Cid>,
}

impl Log {
    fn append(&mut self, statements: &[(Time, Statement)]) -> anyhow::Result<()> {
        let old_head = self.replica.head().map(|h| h.seq);
        let mut batch = Batch { epoch: self.epoch, old_head, ..Batch::default() };
        for (at, statement) in statements {
            let before = self.replica.clone();
            let admitted = self.replica.admit(statement, *at)?;
            rows::add(&mut batch, before.state(), statement, admitted, &mut self.held).context("no rows")?;
        }
        Ok(self.storage.append(&batch)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Output;

    #[tokio::test]
    async fn a_built_log_is_what_a_control_plane_accepts() {
        let settings = Settings { seconds: 1, proposals: 1, entries: 40, payouts: 1, out: Output::new(true) };
        let mut figures = Vec::new();
        startup(&settings, &mut figures).await.unwrap();
        assert!(figures.iter().all(Figure::is_measured) && figures.len() == 1);
    }
}
