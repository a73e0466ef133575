//! `countersign dev`: the processes, what they are called and where they listen.

use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    env, fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::{interval, timeout},
};

/// Keys, a ceremony and contracts: the first start does much, and a loaded machine does it slowly.
const START: Duration = Duration::from_secs(100);
/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// What `dev.json` says of interest here.
#[derive(Clone, Debug, Deserialize)]
pub struct Record {
    pub control_plane: Plane,
    pub operator: domain::Did,
    pub tenant: domain::Did,
    pub signers: Vec<Signer>,
    pub relayer: Relayer,
    pub chain: Chain,
    pub plugin: Plugin,
    pub recipients: BTreeMap<String, domain::AccountId>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Plane {
    pub url: domain::NodeUrl,
    pub sequencer: domain::Did,
    pub database: String,
    pub origin: String,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Signer {
    pub name: String,
    pub url: domain::NodeUrl,
    #[allow(dead_code, reason = "the outage test asks signers as the relayer does")]
    pub node: domain::Did,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Relayer {
    pub url: domain::NodeUrl,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Chain {
    pub rpc: domain::NodeUrl,
    pub id: domain::ChainId,
    pub escrow: domain::Address,
    pub token: domain::Address,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Plugin {
    pub installation: domain::Did,
}

/// A running system in a folder of its own.
pub struct System {
    folder: TempDir,
    supervisor: Child,
    pub record: Record,
    pub http: reqwest::Client,
}

/// The program under test: next to the folder of this test's executable, unless `COUNTERSIGN_BIN` says otherwise.
pub fn program() -> PathBuf {
    if let Some(path) = env::var_os("COUNTERSIGN_BIN") {
        return path.into();
    }
    let own = env::current_exe().unwrap();
    let program = own.ancestors().nth(2).unwrap().join("countersign");
    assert!(
        program.is_file(),
        "{} is missing: run `cargo build -p countersign` first, or name the program in COUNTERSIGN_BIN",
        program.display()
    );
    program
}

/// Looks at a condition until it holds; `None` when it does not in time.
pub async fn within<T>(patience: Duration, look: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    looking(LOOK, patience, look).await
}

/// The same, with looks so often.
pub async fn looking<T>(often: Duration, patience: Duration, mut look: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let looking = async {
        let mut looks = interval(often);
        loop {
            looks.tick().await;
            if let Some(found) = look().await {
                return found;
            }
        }
    };
    timeout(patience, looking).await.ok()
}

impl System {
    /// Starts everything and waits until it is ready.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same, with more said on the command line.
    pub async fn start_with(arguments: &[&str]) -> Self {
        // A system does not start in a folder that others may use.
        let private = fs::Permissions::from_mode(0o700);
        let folder = tempfile::Builder::new().permissions(private).tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        let errors = fs::File::create(folder.path().join("errors")).unwrap();
        let mut command = Command::new(program());
        command.args(["--json", "dev", "--folder", path]).args(arguments);
        // Where the program finds the chain's.
        command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        command.env_remove("DATABASE_URL").env_remove("RUST_LOG");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors).kill_on_drop(true);
        let mut supervisor = command.spawn().unwrap();
        let mut lines = BufReader::new(supervisor.stdout.take().unwrap()).lines();
        let ready = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                let said: Value = serde_json::from_str(&line).unwrap_or_default();
                if let Some(record) = said.get("ready") {
                    return Some(record.clone());
                }
            }
            None
        };
        let ready = timeout(START, ready).await.ok().flatten();
        let complaints = || fs::read_to_string(folder.path().join("errors")).unwrap_or_default();
        let ready = ready.unwrap_or_else(|| panic!("the system did not start: {}", complaints()));
        let record = serde_json::from_value(ready).unwrap();
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build().unwrap();
        Self { folder, supervisor, record, http }
    }

    /// Where the system keeps everything.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Everything that may be killed.
    pub fn processes(&self) -> Vec<String> {
        let signers = self.record.signers.iter().map(|s| s.name.clone());
        ["control-plane".to_owned(), "relayer".to_owned()].into_iter().chain(signers).collect()
    }

    /// What runs now; `None` when the file is caught half-written.
    pub fn pids(&self) -> Option<BTreeMap<String, i32>> {
        let text = fs::read(self.folder().join("pids.json")).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Waits until a process runs.
    pub async fn pid(&self, name: &str) -> i32 {
        let pid = within(Duration::from_secs(30), async || self.pids()?.get(name).copied()).await;
        pid.unwrap_or_else(|| panic!("{name} is not started again"))
    }

    /// Sends a signal to a process of this system.
    pub fn signal(pid: i32, signal: Signal) {
        // It may have ended meanwhile.
        let _ = kill_process(Pid::from_raw(pid).unwrap(), signal);
    }

    /// The text at a public address; `None` when nobody answers or the answer is no.
    pub async fn text(&self, base: &domain::NodeUrl, path: &str) -> Option<String> {
        let url = format!("{}{path}", base.as_str().trim_end_matches('/'));
        let answer = self.http.get(url).send().await.ok()?;
        if answer.status().is_success() { answer.text().await.ok() } else { None }
    }

    /// Waits until every process says that it is ready.
    pub async fn ready(&self) {
        let signers = self.record.signers.iter().map(|s| (s.name.as_str(), &s.url));
        let others = [("control-plane", &self.record.control_plane.url), ("relayer", &self.record.relayer.url)];
        for (name, url) in others.into_iter().chain(signers) {
            let ready = within(Duration::from_mins(1), async || self.text(url, "/readyz").await).await;
            assert!(ready.is_some(), "{name} is not ready; its log ends with:\n{}", self.log(name));
        }
    }

    /// The end of a process's log.
    pub fn log(&self, name: &str) -> String {
        let text = fs::read_to_string(self.folder().join(format!("logs/{name}.log"))).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    /// Ends everything in order.
    pub async fn stop(self) {
        self.end().await;
    }

    /// The same, and gives the folder.
    pub async fn end(mut self) -> TempDir {
        if let Some(pid) = self.supervisor.id() {
            Self::signal(pid.try_into().unwrap(), Signal::TERM);
        }
        let ended = timeout(Duration::from_mins(1), self.supervisor.wait()).await;
        assert!(ended.is_ok_and(|status| status.is_ok()), "the system does not stop");
        self.folder
    }
}
