//! A log with a bit of everything in it.

use crate::database::{Database, Server as Engine};
use control_plane::{Config, Server};
use countersign_tests::{Person, Signed, World, activation};
use domain::{Cid, Digest, Time};
use ed25519_dalek::Signer as _;
use ledger::{Verdict, args};
use log::{Checkpoint, Note, NoteKey};
use serde_json::Value;
use std::{path::PathBuf, time::Duration};
use tempfile::TempDir;
use tokio::{runtime::Runtime, task::JoinSet};

/// More than two full tiles.
const ENTRIES: u64 = 530;
const PATIENCE: Duration = Duration::from_mins(1);

/// A stopped log with what its owner knows about it.
pub struct Built {
    pub world: World,
    pub database: Database,
    pub anchor: PathBuf,
    pub runtime: Runtime,
    /// Entries.
    pub size: u64,
    /// What an outsider kept: the newest checkpoint that was published.
    pub held: Checkpoint,
    /// Where in it things are.
    pub seqs: Seqs,
    folder: TempDir,
}

/// Where in the log things are.
#[derive(Clone, Copy, Default)]
pub struct Seqs {
    pub grant: u64,
    pub policy: u64,
    /// Allowed, and still open.
    pub approved: u64,
    pub denied: u64,
    /// Waits for people.
    pub review: u64,
    /// Its approval.
    pub approval: u64,
    /// A payout that ended final, and the attestation that made it so.
    pub paid: u64,
    pub settled: u64,
    /// Refused by people.
    pub refusal: u64,
    /// The first of the many.
    pub many: u64,
}

/// A running control plane.
pub struct Node {
    server: Server,
    http: reqwest::Client,
}

#[expect(clippy::disallowed_methods, reason = "the server has its own clock, and tokens must be valid by it")]
fn now() -> Time {
    let now = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH);
    Time::from_unix(now.unwrap().as_secs())
}

/// A control plane of this world on a database.
pub fn config(world: &World, url: String, anchor: PathBuf) -> Config {
    let (sequencer, issuer) = (world.sequencer.key.to_bytes(), world.issuer.key.to_bytes());
    let mut config = Config::new(url, world.operator.did, &sequencer, &issuer, anchor);
    config.listen.set_port(0);
    config
}

impl Node {
    pub async fn start(config: Config) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { server: Server::start(config).await.unwrap(), http }
    }

    pub async fn stop(self) {
        self.server.stop().await.unwrap();
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.server.address())
    }

    /// Submits, and gives the entry's place and the proposal's status.
    pub async fn say(&self, signed: &Signed) -> (u64, String) {
        let command = signed.invocation.command().to_string();
        let path = if command.starts_with("/proposal/") { "/v1/proposals" } else { "/v1/statements" };
        let answer = self.http.post(self.url(path)).body(signed.container()).send().await.unwrap();
        let text = answer.text().await.unwrap();
        let body: Value = serde_json::from_str(&text).unwrap();
        let seq = body["seq"].as_u64().unwrap_or_else(|| panic!("{command}: {text}"));
        (seq, body["status"].as_str().unwrap_or_default().to_owned())
    }

    async fn review(&self, world: &World, id: Cid) -> Digest {
        let reader = world.reader(&world.operator, "/read").text();
        let answer = self.http.get(self.url(&format!("/v1/proposals/{id}"))).bearer_auth(reader).send().await.unwrap();
        let body: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        body["review_digest"].as_str().unwrap().parse().unwrap()
    }

    /// Waits until a checkpoint of so many entries is stored, and gives it.
    pub async fn checkpoint(&self, world: &World, size: u64) -> Note {
        let reader = world.reader(&world.operator, "/read").text();
        let url = self.url(&format!("/v1/log/checkpoints/{size}"));
        let mut looks = tokio::time::interval(Duration::from_millis(20));
        let stored = async {
            loop {
                looks.tick().await;
                let answer = self.http.get(&url).bearer_auth(&reader).send().await.unwrap();
                let note = answer.text().await.unwrap();
                if let Ok(note) = Note::parse(&note)
                    && note.unverified().size == size
                {
                    return note;
                }
            }
        };
        tokio::time::timeout(PATIENCE, stored).await.expect("a checkpoint every second")
    }

    /// Small allowed payouts until the log has `size` entries.
    pub async fn fill(&self, world: &World, from: u64, size: u64) {
        let chain = world.proposal_chain();
        let first = world.propose_over(chain.clone(), 10);
        assert_eq!(self.say(&first).await, (from, "approved".to_owned()));
        let mut sending = JoinSet::new();
        for _ in from + 1..size {
            let body = world.propose_over(chain.clone(), 10).without_proofs();
            let request = self.http.post(self.url("/v1/proposals")).body(body);
            sending.spawn(async move { request.send().await.unwrap().status().as_u16() });
            if sending.len() >= 64 {
                assert_eq!(sending.join_next().await.unwrap().unwrap(), 201);
            }
        }
        while let Some(status) = sending.join_next().await {
            assert_eq!(status.unwrap(), 201);
        }
    }

    /// Has the quorum sign a checkpoint, too.
    async fn cosign(&self, note: Note) {
        let quorum = Person::named("quorum");
        let name = format!("{}/quorum", note.unverified().origin).parse().unwrap();
        let key = NoteKey::new(name, &quorum.did).unwrap();
        let signature = quorum.key.sign(&note.unverified().signed_text()).to_bytes();
        let note = note.with_signature(&key, &signature).unwrap();
        let request = self.http.post(self.url("/v1/log/cosignatures")).header("content-type", "text/plain");
        let answer = request.body(note.to_string()).send().await.unwrap();
        assert_eq!(answer.status(), 204, "{}", answer.text().await.unwrap());
    }
}

impl Built {
    /// A log of this engine, stopped.
    pub fn on(engine: &Engine) -> Self {
        let folder = TempDir::new().unwrap();
        let database = engine.database(folder.path());
        let runtime = Runtime::new().unwrap();
        let (world, anchor) = (World::new(now()), folder.path().join("anchor"));
        let (seqs, held) = runtime.block_on(async {
            let node = Node::start(config(&world, database.url(), anchor.clone())).await;
            let seqs = everything(&world, &node).await;
            node.fill(&world, seqs.many, ENTRIES).await;
            let held = node.checkpoint(&world, ENTRIES).await;
            node.stop().await;
            // Another epoch.
            Node::start(config(&world, database.url(), anchor.clone())).await.stop().await;
            (seqs, held.unverified().clone())
        });
        Self { world, database, anchor, runtime, size: ENTRIES, held, seqs, folder }
    }

    /// A path in the log's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// One of each kind of end that a payout can have, and checkpoints in between.
async fn everything(world: &World, node: &Node) -> Seqs {
    let mut seqs = Seqs::default();
    for signed in world.setup(5_000_000_000, 20_000_000_000) {
        let (seq, _) = node.say(&signed).await;
        if signed.invocation.command().to_string() == "/installation/grant" {
            seqs.grant = seq;
        }
    }
    let (size, _) = node.say(&world.set_quorum()).await;
    let first = node.checkpoint(world, size + 1).await;
    node.cosign(first).await;

    let activate = activation(&policy::Bundle::default_payout(), "reviewed");
    seqs.policy = node.say(&world.by(&world.admin, "/policy/activate", &activate)).await.0;

    let propose = async |total: u64, status: &str| {
        let proposal = world.propose(total);
        let (seq, is) = node.say(&proposal).await;
        assert_eq!(is, status);
        (seq, proposal.cid())
    };
    seqs.approved = propose(500, "approved").await.0;
    seqs.denied = propose(6_000_000_000, "denied").await.0;
    seqs.review = propose(2_000_000_000, "review").await.0;

    let (_, reviewed) = propose(2_000_000_001, "review").await;
    let review = node.review(world, reviewed).await;
    seqs.approval = node.say(&world.approve(&world.approvers[0], reviewed, review)).await.0;

    let (paid, proposal) = propose(700, "approved").await;
    seqs.paid = paid;
    let (relayer, transaction) = (&world.relayer, Digest::sha256(b"transaction"));
    let submitted = args::Submitted { proposal, transaction, signature: "02".repeat(65) };
    node.say(&world.by(relayer, "/execution/submitted", &submitted)).await;
    let included = args::Included { proposal, transaction, block: 7 };
    let (size, _) = node.say(&world.by(relayer, "/execution/included", &included)).await;
    node.checkpoint(world, size + 1).await;
    for signer in ["signer 1", "signer 2"] {
        let attest = args::Attest { proposal, verdict: Verdict::Final, block: 7, transaction: Some(transaction) };
        seqs.settled = node.say(&world.by(&Person::named(signer), "/execution/attest", &attest)).await.0;
    }

    let (_, proposal) = propose(800, "approved").await;
    let cancel = args::Cancel { proposal, reason: "a mistake".parse().unwrap() };
    node.say(&world.by(&world.admin, "/proposal/cancel", &cancel)).await;

    let (_, proposal) = propose(900, "approved").await;
    let transaction = Digest::sha256(b"another transaction");
    let submitted = args::Submitted { proposal, transaction, signature: "02".repeat(65) };
    node.say(&world.by(relayer, "/execution/submitted", &submitted)).await;
    let reverted = args::Reverted { proposal, transaction, block: 8, reason: "out of gas".parse().unwrap() };
    node.say(&world.by(relayer, "/execution/reverted", &reverted)).await;

    let (_, proposal) = propose(2_000_000_002, "review").await;
    let refuse = args::Refuse { proposal, reason: "not today".parse().unwrap() };
    seqs.refusal = node.say(&world.by(&world.approvers[1], "/approval/refuse", &refuse)).await.0;
    node.checkpoint(world, seqs.refusal + 1).await;
    seqs.many = seqs.refusal + 1;
    seqs
}
