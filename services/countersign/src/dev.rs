//! The whole system on loopback in one folder: a chain, a control plane, signers and a relayer, each a process of its
//! own, with keys, delegations and a first tenant. What the first start makes, later starts find again.

pub mod chain;
mod children;
mod configs;
mod folder;
mod people;
mod ports;
pub mod provision;
mod record;

pub use folder::Folder;
pub use people::PEOPLE;
pub use record::{DatabaseUrl, Record};

use crate::{
    connection::Connection,
    failure::{Unavailable, Usage},
    settings::ClientSettings,
};
use anyhow::Context as _;
use chain::Chain;
use children::{Children, Spec};
use client::Ambient;
use ports::Ports;
use std::{ffi::OsString, path::PathBuf, time::Duration};

/// More processes than one machine runs well.
const MAX_SIGNERS: u16 = 32;
/// A process that is not up by then will not come up by itself.
const START: Duration = Duration::from_mins(2);
/// A chain that runs already answers by then.
const THERE: Duration = Duration::from_secs(5);
/// How often a condition is looked at while it is waited for.
const LOOK: Duration = Duration::from_millis(50);

/// What the system is made of. Only the first start of a folder asks for it, except where the chain is.
#[derive(Clone, Debug)]
pub struct Options {
    /// Everything is kept here.
    pub folder: PathBuf,
    /// How many signers.
    pub signers: u16,
    /// How many of them sign together.
    pub threshold: u16,
    /// First of the ports to use; free ones when `None`.
    pub port: Option<u16>,
    /// The control plane's database, instead of SQLite in the folder.
    pub database: Option<DatabaseUrl>,
    /// A chain that runs already, instead of anvil.
    pub rpc: Option<domain::NodeUrl>,
    /// The program that runs a chain, instead of one that is found.
    pub anvil: Option<PathBuf>,
}

impl Options {
    /// Refuses what no system can be made of, before anything is made.
    fn check(&self) -> Result<(), Usage> {
        let Self { signers, threshold, port, .. } = self;
        let wrong = if *signers > MAX_SIGNERS {
            format!("--signers {signers}: {MAX_SIGNERS} at most")
        } else if *threshold < 2 {
            format!("--threshold {threshold}: at least 2 signers sign together, so that none does alone")
        } else if threshold > signers {
            format!("--threshold {threshold}: there are only {signers} signers; --signers makes it more")
        } else if let Some(first) = port
            && let Err(error) = ports::from(*first, people::ports(*signers))
        {
            format!("--port {first}: {error}")
        } else {
            return Ok(());
        };
        Err(Usage(wrong))
    }
}

/// A running system.
pub struct Dev {
    record: Record,
    folder: Folder,
    children: Children,
}

/// Hears what is being done.
pub type Progress<'a> = &'a mut (dyn FnMut(&str) + Send);

impl Dev {
    /// Starts everything, and on the first start makes everything. Returns when the whole system is ready.
    pub async fn start(options: &Options, progress: Progress<'_>) -> anyhow::Result<Self> {
        options.check()?;
        let anvil = if options.rpc.is_none() { Some(chain::find(options.anvil.as_deref())?) } else { None };
        let chain = match &options.rpc {
            Some(rpc) => chain::local_id(rpc, THERE).await?,
            None => chain::LOCAL,
        };
        let folder = Folder::open(&options.folder)?;
        folder.end_leftovers(progress).await?;
        let ambient = Ambient::system();
        let passphrase = folder.passphrase(&ambient)?;
        let mut ports = Ports::default();
        let mut record = match Record::read(&folder)? {
            Some(record) => record,
            None => people::make(&folder, &passphrase, options, chain, &mut ports, progress)?,
        };
        if let Some(rpc) = &options.rpc {
            record.chain.rpc = rpc.clone();
        }
        if record.chain.id != chain {
            let (before, now) = (record.chain.id.0, chain.0);
            return Err(Usage(format!("this system is on a chain with id {before}; this one has id {now}")).into());
        }
        configs::write(&folder, &record, options)?;
        record.write(&folder)?;
        let mut dev = Self { children: Children::new(folder.pids()), record, folder };
        dev.run(options, anvil, &ambient, ports, progress).await?;
        Ok(dev)
    }

    async fn run(
        &mut self,
        options: &Options,
        anvil: Option<Vec<OsString>>,
        ambient: &Ambient,
        mut ports: Ports,
        progress: Progress<'_>,
    ) -> anyhow::Result<()> {
        if let Some(anvil) = anvil {
            let rpc = &self.record.chain.rpc;
            ports.release(rpc);
            // Another chain there would be taken for this one.
            let free = until(THERE, async || Ok(ports::is_free(rpc).then_some(()))).await;
            let taken = format!("the chain cannot start: another process listens at {rpc}; end it, then start again");
            free.map_err(|_| Unavailable(taken))?;
            self.children.start(chain::anvil(&self.folder, &self.record, anvil)?)?;
        }
        ports.release(&self.record.control_plane.url);
        self.role("control-plane", "control-plane")?;
        let chain = chain::wait(&self.record.chain.rpc, START).await.map_err(|e| self.explain("chain", &e))?;
        progress("the chain answers");
        self.ready("control-plane", &self.record.control_plane.url.to_string(), "/readyz").await?;
        progress("the control plane listens");
        provision::genesis(self).await?;
        for signer in self.record.signers.clone() {
            ports.release(&signer.url);
            self.role(&signer.name, "signer")?;
        }
        for signer in self.record.signers.clone() {
            self.ready(&signer.name, signer.url.as_str(), "/healthz").await?;
        }
        progress(&format!("{} signers listen", self.record.signers.len()));
        provision::all(self, &chain, ambient, options, progress).await?;
        ports.release(&self.record.relayer.url);
        self.role("relayer", "relayer")?;
        self.ready("relayer", self.record.relayer.url.as_str(), "/healthz").await?;
        for signer in self.record.signers.clone() {
            self.ready(&signer.name, signer.url.as_str(), "/readyz").await?;
        }
        progress("the relayer listens and every signer has a fresh view of the log");
        self.record.provisioned = true;
        self.record.write(&self.folder)
    }

    fn role(&mut self, name: &str, role: &str) -> anyhow::Result<()> {
        let config = self.folder.path().join(name).join("config.toml");
        let arguments: Vec<OsString> = vec![role.into(), "--leashed".into(), "--config".into(), config.into()];
        let program = std::env::current_exe().context("this program does not know where it is")?;
        self.children.start(Spec { name: name.to_owned(), program, arguments, log: self.folder.log(name) })
    }

    async fn ready(&self, name: &str, url: &str, path: &str) -> anyhow::Result<()> {
        let url = format!("{}{path}", url.trim_end_matches('/'));
        let http = reqwest::Client::builder().timeout(Duration::from_secs(5)).no_proxy().build()?;
        let up = until(START, async || {
            let answer = http.get(&url).send().await;
            Ok(answer.is_ok_and(|a| a.status().is_success()).then_some(()))
        });
        up.await.map_err(|e| self.explain(name, &e))
    }

    /// An error with the end of the process's log, which usually says why.
    fn explain(&self, name: &str, error: &anyhow::Error) -> anyhow::Error {
        let log = self.folder.log(name);
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(12).collect();
        let tail: Vec<&str> = lines.into_iter().rev().collect();
        Unavailable(format!("{name}: {error:#}\n{} ends with:\n{}", log.display(), tail.join("\n"))).into()
    }

    /// What runs where, and who is who.
    pub const fn record(&self) -> &Record {
        &self.record
    }

    /// Where everything is kept.
    pub const fn folder(&self) -> &Folder {
        &self.folder
    }

    /// A connection that speaks as one of the people, by the name of the key.
    pub fn connect(&self, name: &str) -> Connection {
        Connection::new(ClientSettings {
            control_plane: Some(self.record.control_plane.url.clone()),
            sequencer: Some(self.record.control_plane.sequencer),
            operator: Some(self.record.operator),
            tenant: Some(self.record.tenant),
            delegations: Some(self.folder.delegations()),
            keys: Some(self.folder.keys()),
            key: Some(self.folder.key(name)),
            passphrase_file: Some(self.folder.passphrase_file()),
            rpc: Some(self.record.chain.rpc.clone()),
            signers: self.record.signers.iter().map(|s| s.url.clone()).collect(),
        })
    }

    /// The chain, with the account that funds things.
    pub fn chain(&self) -> anyhow::Result<Chain> {
        Chain::connect(&self.record.chain.rpc)
    }

    /// Kills a process, as a crash would. It stays down until [`Dev::resume`].
    pub async fn kill(&mut self, name: &str) -> anyhow::Result<()> {
        self.children.kill(name).await
    }

    /// Starts a killed process again and waits until it is ready.
    pub async fn resume(&mut self, name: &str) -> anyhow::Result<()> {
        self.children.resume(name)?;
        let signer = self.record.signers.iter().find(|s| s.name == name);
        let url = signer.map_or_else(|| self.record.control_plane.url.to_string(), |s| s.url.to_string());
        self.ready(name, &url, "/readyz").await
    }

    /// Stops everything, the chain last, and waits for it.
    pub async fn stop(self) {
        for name in ["relayer", "control-plane"] {
            self.children.stop(name).await;
        }
        self.children.stop_all().await;
    }
}

/// Looks at a condition until it holds, for at most `patience`.
pub async fn until<T>(
    patience: Duration,
    mut look: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let looking = async {
        let mut ticks = tokio::time::interval(LOOK);
        loop {
            ticks.tick().await;
            if let Some(found) = look().await? {
                return Ok(found);
            }
        }
    };
    let ended = tokio::time::timeout(patience, looking).await;
    ended.unwrap_or_else(|_| Err(Unavailable(format!("it took longer than {} s", patience.as_secs())).into()))
}
