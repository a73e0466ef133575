//! Processes that are kept running until they are stopped on purpose, and that end with their parent.

use anyhow::Context as _;
use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs::OpenOptions,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    process::{ChildStdin, Command},
    sync::watch,
    task::JoinHandle,
};

/// The wait before the first restart; doubles with every further one.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The longest wait between restarts.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// A process that has run for this long was well, so the next pause is short again.
const WELL: Duration = Duration::from_secs(30);
/// Time to finish what is in work before a process is killed.
const GRACE: Duration = Duration::from_secs(25);

/// A program to keep running.
#[derive(Clone, Debug)]
pub struct Spec {
    /// What the process is called.
    pub name: String,
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Where its output goes.
    pub log: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Run,
    Stop,
    Kill,
}

struct Child {
    wish: watch::Sender<Wish>,
    /// Whether it runs.
    state: watch::Receiver<bool>,
    task: JoinHandle<()>,
}

/// All processes of one system.
pub struct Children {
    children: BTreeMap<String, Child>,
    pids: Pids,
}

/// Which processes run, also in a file, so that a later start finds what a crash has left.
#[derive(Clone)]
struct Pids {
    file: Arc<PathBuf>,
    all: Arc<Mutex<BTreeMap<String, u32>>>,
}

impl Pids {
    fn set(&self, name: &str, pid: Option<u32>) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        match pid {
            Some(pid) => all.insert(name.to_owned(), pid),
            None => all.remove(name),
        };
        let text = serde_json::to_vec(&*all).unwrap_or_default();
        if let Err(error) = std::fs::write(self.file.as_path(), text) {
            tracing::warn!(%error, "the pid file cannot be written");
        }
    }
}

impl Children {
    /// No process yet; their pids are written to `pids`.
    pub fn new(pids: PathBuf) -> Self {
        let pids = Pids { file: Arc::new(pids), all: Arc::default() };
        Self { children: BTreeMap::new(), pids }
    }

    /// Starts a process and keeps it running.
    pub fn start(&mut self, spec: Spec) -> anyhow::Result<()> {
        let name = spec.name.clone();
        // The first start is done here, so that a program that is not there is an error at once. One that a leash runs
        // is the leash's to start, and looked for before.
        let first = spawn(&spec)?;
        let (wish, wished) = watch::channel(Wish::Run);
        let (up, state) = watch::channel(true);
        let task = tokio::spawn(keep(spec, first, wished, up, self.pids.clone()));
        self.children.insert(name, Child { wish, state, task });
        Ok(())
    }

    /// Kills a process and leaves it down.
    pub async fn kill(&self, name: &str) -> anyhow::Result<()> {
        let child = self.children.get(name).with_context(|| format!("there is no process {name}"))?;
        child.wish.send_replace(Wish::Kill);
        let _ = child.state.clone().wait_for(|up| !up).await;
        Ok(())
    }

    /// Runs a process again.
    pub fn resume(&self, name: &str) -> anyhow::Result<()> {
        let child = self.children.get(name).with_context(|| format!("there is no process {name}"))?;
        child.wish.send_replace(Wish::Run);
        Ok(())
    }

    /// Stops a process and waits until it has ended.
    pub async fn stop(&self, name: &str) {
        if let Some(child) = self.children.get(name) {
            child.wish.send_replace(Wish::Stop);
            let _ = child.state.clone().wait_for(|up| !up).await;
        }
    }

    /// Stops every process and waits until all have ended, those that others need last.
    pub async fn stop_all(mut self) {
        let chain = self.children.remove("chain");
        for child in self.children.values() {
            child.wish.send_replace(Wish::Stop);
        }
        for child in self.children.into_values().chain(chain) {
            child.wish.send_replace(Wish::Stop);
            let _ = child.state.clone().wait_for(|up| !up).await;
            child.task.abort();
        }
    }
}

fn spawn(spec: &Spec) -> anyhow::Result<tokio::process::Child> {
    let log = open_log(&spec.log)?;
    let mut command = Command::new(&spec.program);
    command.args(&spec.arguments).stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log);
    // Their own configuration says everything; the parent's variables would override it.
    for (name, _) in std::env::vars_os() {
        if name == "DATABASE_URL" || name.to_string_lossy().starts_with("COUNTERSIGN_") {
            command.env_remove(&name);
        }
    }
    // A terminal's interrupt reaches the parent alone, which stops its children in order.
    command.process_group(0);
    command.spawn().with_context(|| format!("{} cannot be started", spec.program.display()))
}

fn open_log(path: &Path) -> anyhow::Result<std::fs::File> {
    let log = OpenOptions::new().create(true).append(true).open(path);
    log.with_context(|| format!("cannot write {}", path.display()))
}

async fn keep(
    spec: Spec,
    first: tokio::process::Child,
    mut wish: watch::Receiver<Wish>,
    up: watch::Sender<bool>,
    pids: Pids,
) {
    let mut pause = FIRST_PAUSE;
    let mut next = Some(first);
    loop {
        let child = match next.take() {
            Some(child) => Some(child),
            None => spawn(&spec).inspect_err(|error| tracing::warn!(%error, "not started")).ok(),
        };
        let since = tokio::time::Instant::now();
        if let Some(mut child) = child {
            pids.set(&spec.name, child.id());
            up.send_replace(true);
            // Out of the child's hands, because waiting for it would close its input, and with that cut the leash.
            let leash = child.stdin.take();
            let dead = tokio::select! {
                status = child.wait() => Some(status),
                // A closed channel is the end of the parent's interest.
                _ = wish.wait_for(|w| *w != Wish::Run) => None,
            };
            if let Some(status) = dead {
                tracing::warn!(process = spec.name, ?status, "ended by itself; starting it again");
            } else {
                let wished = *wish.borrow();
                end(&mut child, leash, wished).await;
            }
            pids.set(&spec.name, None);
            up.send_replace(false);
        }
        if wish.has_changed().is_err() {
            return;
        }
        if *wish.borrow() == Wish::Run {
            if since.elapsed() >= WELL {
                pause = FIRST_PAUSE;
            }
            let _ = tokio::time::timeout(pause, wish.wait_for(|w| *w != Wish::Run)).await;
            pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
        }
        if wish.wait_for(|w| *w == Wish::Run).await.is_err() {
            return;
        }
    }
}

async fn end(child: &mut tokio::process::Child, leash: Option<ChildStdin>, wish: Wish) {
    if wish != Wish::Kill {
        drop(leash);
        if tokio::time::timeout(GRACE, child.wait()).await.is_ok() {
            return;
        }
    }
    if let Err(error) = child.kill().await {
        tracing::warn!(%error, "a process could not be killed");
    }
}
