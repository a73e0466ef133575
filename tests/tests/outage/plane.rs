//! A control plane as a process of its own, with the keys of the tests' world.

use crate::system::{program, within};
use client::{Ambient, ControlPlane, Delegations, ReadAccess, Speaker};
use countersign_tests::{Person, Signed, World};
use domain::{Cid, NodeUrl};
use keyfile::{Hardness, Identity, Passphrase};
use log::{Note, export};
use messages::Problem;
use rand_core::OsRng;
use replica::Verifier;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// Far more than what happens by itself takes: leases of ten seconds, commits that are waited for as long.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// What to run, and where its files are.
pub struct Home {
    pub world: World,
    pub folder: TempDir,
    config: PathBuf,
    url: NodeUrl,
    /// Keeps the port from others until the first start.
    port: Option<TcpListener>,
}

/// A running control plane.
pub struct Plane {
    pub home: Home,
    process: Child,
    pub http: reqwest::Client,
    pub reader: ControlPlane,
}

/// An answer, as far as a client looks at it.
#[derive(Debug)]
pub enum Answer {
    /// The statement has its place.
    Placed(u64),
    /// It has none, for a reason that passes.
    Later(Problem),
}

fn write_private(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

impl Home {
    /// A configuration over a database, with the anchor at a path.
    pub fn new(folder: TempDir, database: &str, anchor: &Path) -> Self {
        let world = World::new(Ambient::system().now());
        write_private(&folder.path().join("passphrase"), "outage");
        let passphrase = Passphrase::read(&folder.path().join("passphrase")).unwrap();
        for (name, person) in [("sequencer", &world.sequencer), ("issuer", &world.issuer)] {
            let path = folder.path().join(format!("{name}.key"));
            identity(person).save(Hardness::Testing, &path, &passphrase, &mut OsRng).unwrap();
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap();
        let listen = port.local_addr().unwrap().to_string();
        let config = folder.path().join("control-plane.toml");
        let home = folder.path().display();
        let text = format!(
            "listen = \"{listen}\"\ndatabase = \"{database}\"\noperator = \"{}\"\nanchor = \"{}\"\n\
             sequencer = \"{home}/sequencer.key\"\nissuer = \"{home}/issuer.key\"\n\
             passphrase_file = \"{home}/passphrase\"\n",
            world.operator.did,
            anchor.display(),
        );
        write_private(&config, &text);
        Self { world, config, url: format!("http://{listen}").parse().unwrap(), port: Some(port), folder }
    }

    /// The command line of the control plane.
    pub fn command(&self) -> Vec<String> {
        let program = program().display().to_string();
        vec![program, "control-plane".into(), "--config".into(), self.config.display().to_string()]
    }

    /// Starts it by a command line, and waits until it is ready.
    pub async fn start(mut self, line: &[String]) -> Plane {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.folder.path().join("log")).unwrap();
        let mut command = Command::new(&line[0]);
        command.args(&line[1..]).env_remove("RUST_LOG").kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        drop(self.port.take());
        let process = command.spawn().unwrap();
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().unwrap();
        let operator = Speaker::new(
            identity(&self.world.operator),
            Delegations::default(),
            self.world.sequencer.did,
            Ambient::system(),
        );
        let access = ReadAccess::new(operator, self.world.operator.did, "/read".parse().unwrap());
        let reader = ControlPlane::new(self.url.clone(), Some(access)).unwrap();
        let plane = Plane { home: self, process, http, reader };
        plane.is_ready().await;
        plane
    }
}

fn identity(person: &Person) -> Identity {
    Identity::from_key(person.key.clone())
}

impl Plane {
    /// Its process.
    pub fn pid(&self) -> u32 {
        self.process.id().expect("it runs")
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.home.url.as_str().trim_end_matches('/'))
    }

    /// The status at a public path, with the problem when it is one.
    pub async fn ask(&self, path: &str) -> Option<(u16, Option<Problem>)> {
        let answer = self.http.get(self.url(path)).send().await.ok()?;
        let status = answer.status().as_u16();
        Some((status, answer.json().await.ok()))
    }

    /// Waits until it says that it is ready.
    pub async fn is_ready(&self) {
        let ready = within(PATIENCE, async || (self.ask("/readyz").await?.0 == 200).then_some(()));
        assert!(ready.await.is_some(), "it is not ready:\n{}", self.log());
    }

    /// Waits until it says that it is not, and why: a problem with a time to come back.
    pub async fn is_degraded(&self) -> Problem {
        let told = within(PATIENCE, async || {
            let (status, problem) = self.ask("/readyz").await?;
            (status == 503).then_some(problem)
        });
        let problem = told.await.unwrap_or_else(|| panic!("it says that it is ready:\n{}", self.log()));
        let problem = problem.expect("a problem");
        assert_eq!(problem.kind, messages::ProblemType::Unavailable, "{problem:?}");
        assert!(problem.retry_after.is_some(), "{problem:?}");
        assert_eq!(self.ask("/healthz").await.map(|a| a.0), Some(200), "it lives");
        problem
    }

    /// The end of what the process has said.
    pub fn log(&self) -> String {
        let text = fs::read_to_string(self.home.folder.path().join("log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    /// Submits once. Whatever is not a place in the log is a problem that says when to come back.
    pub async fn say(&self, signed: &Signed) -> Answer {
        let command = signed.invocation.command().to_string();
        let path = if command.starts_with("/proposal/") { "/v1/proposals" } else { "/v1/statements" };
        let answer = self.http.post(self.url(path)).body(signed.container()).send().await.expect("an answer in time");
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let text = answer.text().await.unwrap();
        if status == 503 {
            let problem: Problem = serde_json::from_str(&text).unwrap();
            let seconds = headers.get("retry-after").and_then(|h| h.to_str().ok()?.parse().ok());
            assert!(seconds.is_some() && seconds == problem.retry_after, "{headers:?} {text}");
            assert_eq!(headers["content-type"], messages::PROBLEM_JSON);
            return Answer::Later(problem);
        }
        assert!(status == 200 || status == 201, "{status}: {text}");
        let body: Value = serde_json::from_str(&text).unwrap();
        Answer::Placed(body["seq"].as_u64().unwrap())
    }

    /// Submits until it is acknowledged, and gives its place.
    pub async fn insist(&self, signed: &Signed) -> u64 {
        let placed = within(PATIENCE, async || match self.say(signed).await {
            Answer::Placed(seq) => Some(seq),
            Answer::Later(_) => None,
        });
        placed.await.unwrap_or_else(|| panic!("no place in the log:\n{}", self.log()))
    }

    /// A tenant with everything that payouts need, and a first checkpoint.
    pub async fn provision(&self) {
        for signed in self.home.world.setup(5_000_000_000, 20_000_000_000) {
            self.insist(&signed).await;
        }
        let published = within(PATIENCE, async || self.reader.checkpoint().await.ok()).await;
        assert!(published.is_some(), "no checkpoint:\n{}", self.log());
    }

    /// Finds every acknowledged statement at its place, and verifies an export of the whole log with nothing but the
    /// operator's DID and a published checkpoint.
    pub async fn holds(&self, acknowledged: &BTreeMap<Cid, u64>) {
        let size = acknowledged.values().max().unwrap() + 1;
        let held = within(PATIENCE, async || {
            let note = Note::parse(&self.reader.checkpoint().await.ok()?).ok()?.unverified().clone();
            (note.size >= size).then_some(note)
        });
        let held = held.await.expect("a checkpoint every second");
        let mut writer = export::Writer::new(Vec::new(), &held.origin).unwrap();
        let mut statements = Vec::new();
        loop {
            let page = self.reader.entries(statements.len().try_into().unwrap(), 1_000).await.unwrap();
            if page.entries.is_empty() {
                break;
            }
            for view in page.entries {
                statements.push(log::Entry::decode(&view.entry.0).unwrap().stmt);
                let tokens = view.tokens.into_iter().map(|t| t.0).collect();
                writer.write(&export::Record::Entry { entry: view.entry.0, tokens }).unwrap();
            }
        }
        for (id, seq) in acknowledged {
            assert_eq!(statements.get(usize::try_from(*seq).unwrap()), Some(id), "acknowledged at {seq}");
        }
        let verifier = Verifier::new(self.home.world.operator.did, vec![held]);
        let report = verifier.verify(writer.finish().unwrap().as_slice()).unwrap();
        assert_eq!(report.entries, u64::try_from(statements.len()).unwrap());
    }

    /// Ends it as a crash does.
    pub async fn crash(mut self) -> Home {
        self.process.kill().await.unwrap();
        self.home
    }

    /// Ends it in order.
    pub async fn stop(mut self) -> Home {
        let pid = rustix::process::Pid::from_raw(self.pid().try_into().unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let ended = tokio::time::timeout(PATIENCE, self.process.wait()).await;
        assert!(ended.is_ok_and(|status| status.is_ok_and(|s| s.success())), "{}", self.log());
        self.home
    }
}
