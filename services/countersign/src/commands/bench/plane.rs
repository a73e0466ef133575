//! A control plane in a process of its own.

use super::{
    database::Database,
    http::{Connection, get, post},
    scene::{Said, Scene},
};
use crate::dev::until;
use anyhow::{Context as _, ensure};
use keyfile::{Hardness, Passphrase};
use rand_core::OsRng;
use std::{fs, io::Write, net::SocketAddr, os::unix::fs::OpenOptionsExt, path::Path, process::Stdio, time::Duration};
use tokio::process::{Child, Command};
use toml::{Table, Value};

/// A control plane with an empty log is up in far less.
const START: Duration = Duration::from_mins(1);
/// The service itself gives its requests twenty seconds.
const STOP: Duration = Duration::from_secs(30);
/// Guards keys that live as long as the measurement.
const PASSPHRASE: &str = "keys of one measurement";

/// A running control plane over a fresh database.
pub struct Plane {
    /// Where it listens.
    pub address: SocketAddr,
    child: Child,
    database: Database,
    _folder: tempfile::TempDir,
}

impl Plane {
    /// Starts one whose log is empty.
    pub async fn start(scene: &Scene, database: Database) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let address = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let config = configure(folder.path(), scene, &database, address)?;
        let mut command = Command::new(std::env::current_exe().context("this program does not know where it is")?);
        command.args(["control-plane", "--leashed", "--config"]).arg(config);
        for (name, _) in std::env::vars_os().filter(|(n, _)| n.to_string_lossy().starts_with("COUNTERSIGN_")) {
            command.env_remove(name);
        }
        command.env("RUST_LOG", "warn").stdin(Stdio::piped()).stdout(Stdio::null()).kill_on_drop(true);
        let child = command.spawn().context("the control plane cannot be started")?;
        let mut plane = Self { address, child, database, _folder: folder };
        let up = until(START, async || {
            ensure!(plane.child.try_wait()?.is_none(), "the control plane ended at once");
            let Ok(mut connection) = Connection::open(address).await else { return Ok(None) };
            Ok(connection.ask(&get("/readyz")).await.ok().filter(|answer| answer.status == 200).map(|_| ()))
        });
        up.await.context("the control plane does not start")?;
        Ok(plane)
    }

    /// Submits statements one after the other; each must be accepted.
    pub async fn submit(&self, path: &str, statements: &[Said]) -> anyhow::Result<()> {
        let mut connection = Connection::open(self.address).await?;
        for said in statements {
            let answer = connection.ask(&post(path, &said.container()?)).await?;
            ensure!(answer.status == 201, "{}: {}", answer.status, String::from_utf8_lossy(answer.body));
        }
        Ok(())
    }

    /// Bytes of memory that the process has resident; `None` where the system does not say.
    pub fn resident(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()?)).ok()?;
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
        let kibibytes: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
        kibibytes.checked_mul(1024)
    }

    /// Stops it in order and removes its database.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        drop(self.child.stdin.take());
        let ended = tokio::time::timeout(STOP, self.child.wait()).await;
        if ended.is_err() {
            self.child.kill().await?;
        }
        self.database.remove().await
    }
}

fn configure(
    folder: &Path,
    scene: &Scene,
    database: &Database,
    address: SocketAddr,
) -> anyhow::Result<std::path::PathBuf> {
    let passphrase = Passphrase::new(PASSPHRASE.to_owned())?;
    for (name, identity) in [("sequencer", &scene.sequencer), ("issuer", &scene.issuer)] {
        identity.save(Hardness::Testing, &folder.join(format!("{name}.key")), &passphrase, &mut OsRng)?;
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(folder.join("passphrase"))?;
    file.write_all(PASSPHRASE.as_bytes())?;
    let fields = [
        ("listen", address.to_string()),
        ("database", database.url.clone()),
        ("operator", scene.operator.did().to_string()),
        ("sequencer", "sequencer.key".to_owned()),
        ("issuer", "issuer.key".to_owned()),
        ("anchor", "anchor".to_owned()),
        ("passphrase_file", "passphrase".to_owned()),
    ];
    let table: Table = fields.into_iter().map(|(name, value)| (name.to_owned(), Value::String(value))).collect();
    let file = folder.join("config.toml");
    fs::write(&file, toml::to_string(&table)?)?;
    Ok(file)
}
