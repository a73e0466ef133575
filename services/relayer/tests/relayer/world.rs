//! A local chain with an escrow contract, and a control plane with one approved proposal.

use crate::node::identity;
use alloy::{
    network::TransactionBuilder,
    primitives::{Address as EvmAddress, Bytes, U256},
    providers::{Provider, RootProvider},
    rpc::{
        client::RpcClient,
        types::{BlockId, TransactionRequest},
    },
    transports::http::reqwest,
};
use axum::{
    Json, Router,
    body::{Body, Bytes as Chunk},
    extract::{Path, Query, State},
    http::StatusCode,
    routing::{get, post},
};
use client::Ambient;
use domain::{Address, ChainId, Cid, Digest, EscrowDomain, NodeUrl, PayoutAuthorisation, Time};
use escrow::{Deployment, GroupKey};
use futures_util::stream;
use keyfile::Identity;
use log::{Checkpoint, Hash, TileRef, Tree, leaf_hash};
use messages::{Base64, FollowLine, LogEntryView, Problem, ProblemType};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    env, future,
    path::PathBuf,
    process::Stdio,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};
use ucan::{
    Ipld, Limits, Token, container,
    issue::{NewInvocation, invoke},
};

pub const ETHER: u128 = 1_000_000_000_000_000_000;
/// Long enough for a busy machine; nothing waits this long unless it fails.
const PATIENCE: Duration = Duration::from_mins(1);

/// Waits until `check` gives something.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut check: impl FnMut() -> F) -> T {
    let search = async {
        loop {
            if let Some(found) = check().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, search).await.unwrap_or_else(|_| panic!("waited in vain: {what}"))
}

pub struct Anvil {
    _child: Child,
    pub url: String,
    pub provider: RootProvider,
    pub accounts: Vec<EvmAddress>,
}

impl Anvil {
    /// A chain that mines at once; `None`, with a message, when the node is not installed and nobody insists on it.
    pub async fn start() -> Option<Self> {
        let contracts = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../contracts");
        if !contracts.join("node_modules/@foundry-rs").is_dir() {
            let insisted = env::var("CI").is_ok_and(|v| !v.is_empty() && v != "false")
                || env::var("COUNTERSIGN_TESTS").is_ok_and(|v| v == "all");
            assert!(!insisted, "anvil is not installed; run npm ci in contracts");
            eprintln!("not run: anvil is not installed; run npm ci in contracts");
            return None;
        }
        let mut child = Command::new(contracts.join("tool.sh"))
            .args(["anvil", "--port", "0", "--accounts", "4"])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = loop {
            let line = lines.next_line().await.unwrap().expect("the node says where it listens");
            if let Some(address) = line.strip_prefix("Listening on ") {
                break address.to_owned();
            }
        };
        // Whoever prints into a closed pipe dies.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let url = format!("http://{address}");
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let provider = RootProvider::new(RpcClient::new_http_with_client(http, url.parse().unwrap()));
        let accounts = provider.get_accounts().await.unwrap();
        Some(Self { _child: child, url, provider, accounts })
    }

    pub async fn rpc(&self, method: &'static str, params: Value) -> Value {
        self.provider.raw_request(method.into(), params).await.unwrap()
    }

    async fn transact(&self, request: TransactionRequest) -> Option<EvmAddress> {
        let request = request.with_from(self.accounts[0]);
        let sent = self.provider.send_transaction(request).await.unwrap();
        let receipt = sent.with_timeout(Some(PATIENCE)).get_receipt().await.unwrap();
        assert!(receipt.status());
        receipt.contract_address
    }

    /// An escrow contract with ten coins for an order, and what an approved payout of it authorises.
    pub async fn escrow(&self, key: GroupKey) -> PayoutAuthorisation {
        let units = |n: u128| n.to_string().try_into().unwrap();
        let native = Address([0; 20]);
        let guardian = self.guardian();
        let code = escrow::deployment_code(&Deployment { key, guardian, caps: vec![(native, units(100 * ETHER))] });
        let contract = self.transact(TransactionRequest::default().with_deploy_code(Bytes::from(code))).await.unwrap();
        let order = Digest::sha256(b"order-1");
        let deposit = escrow::deposit_calldata(&order, native, units(10 * ETHER));
        let request = TransactionRequest::default().with_to(contract).with_value(U256::from(10 * ETHER));
        self.transact(request.with_input(Bytes::from(deposit))).await;
        PayoutAuthorisation {
            domain: EscrowDomain { chain: ChainId(31_337), contract: Address(contract.into_array()) },
            intent: *Cid::of(b"proposal").digest(),
            installation: Digest::sha256(b"installation"),
            order,
            asset: native,
            recipients: vec![Address([5; 20])],
            amounts: vec![units(ETHER)],
            valid_until: Time::from_unix(4_000_000_000),
            epoch: 1,
        }
    }

    /// Who may freeze the escrow contract.
    pub fn guardian(&self) -> Address {
        Address(self.accounts[3].into_array())
    }

    /// The guardian freezes the contract.
    pub async fn freeze(&self, contract: Address) {
        let request = TransactionRequest::default()
            .with_from(self.accounts[3])
            .with_to(EvmAddress::new(contract.0))
            .with_input(Bytes::from(escrow::freeze_calldata()));
        let sent = self.provider.send_transaction(request).await.unwrap();
        assert!(sent.with_timeout(Some(PATIENCE)).get_receipt().await.unwrap().status());
    }

    /// What a view of the contract returns.
    pub async fn ask(&self, contract: Address, data: Vec<u8>) -> Vec<u8> {
        let request = TransactionRequest::default().with_to(EvmAddress::new(contract.0)).with_input(Bytes::from(data));
        self.provider.call(request).await.unwrap().to_vec()
    }

    pub async fn sent_by(&self, account: EvmAddress, block: BlockId) -> u64 {
        self.provider.get_transaction_count(account).block_id(block).await.unwrap()
    }

    pub async fn paid(&self) -> u128 {
        self.provider.get_balance(EvmAddress::new([5; 20])).await.unwrap().to()
    }
}

/// What a control plane knows of one proposal.
pub struct Plane {
    pub proposal: Cid,
    pub authorisation: PayoutAuthorisation,
    /// What it says that the quorum is.
    quorum: Value,
    /// The log: how it began, and who was appointed since.
    log: Mutex<Vec<LogEntryView>>,
    /// Which entry it shows as the one that set the quorum.
    shown: AtomicUsize,
    /// How often it was asked for that.
    pub statement_asked: AtomicUsize,
    /// Entries that it has yet to tell its followers of.
    told: Mutex<Vec<LogEntryView>>,
    /// Changes of the escrow contract that it lists.
    pub administrations: Mutex<Vec<Value>>,
    /// How often it was asked for them.
    pub administrations_asked: AtomicUsize,
    /// How many of these requests it answers; later ones wait for ever.
    pub administrations_answered: AtomicUsize,
    execution: Mutex<Option<Value>>,
    /// Statements that it took, in order.
    pub said: Mutex<Vec<(String, BTreeMap<String, Ipld>)>>,
    /// While set, it takes no statement.
    pub deaf: AtomicBool,
    /// While set, it lists no proposal.
    pub idle: AtomicBool,
}

impl Plane {
    pub async fn start(authorisation: PayoutAuthorisation, quorum: Value) -> (Arc<Self>, NodeUrl) {
        let (plane, url) = Self::showing(authorisation, quorum.clone()).await;
        plane.appoint(&identity(60), &quorum);
        (plane, url)
    }

    /// A control plane that says this of the quorum, and in whose log nobody has been appointed.
    pub async fn showing(authorisation: PayoutAuthorisation, quorum: Value) -> (Arc<Self>, NodeUrl) {
        let plane = Arc::new(Self {
            proposal: Cid::from_digest(authorisation.intent),
            authorisation,
            quorum,
            log: Mutex::new(vec![genesis()]),
            shown: AtomicUsize::new(0),
            statement_asked: AtomicUsize::new(0),
            told: Mutex::default(),
            administrations: Mutex::default(),
            administrations_asked: AtomicUsize::new(0),
            administrations_answered: AtomicUsize::new(usize::MAX),
            execution: Mutex::default(),
            said: Mutex::default(),
            deaf: AtomicBool::new(false),
            idle: AtomicBool::new(false),
        });
        let router = Router::new()
            .route("/v1/log/entries", get(|| async { Json(json!({"entries": [genesis()], "head": 4})) }))
            .route("/v1/log/follow", get(follow))
            .route("/v1/proposals", get(list))
            .route("/v1/proposals/{id}", get(one))
            .route("/v1/tenants", get(tenants))
            .route("/v1/administrations", get(administrations))
            .route("/v1/quorum", get(|State(p): State<Arc<Self>>| async move { Json(p.quorum.clone()) }))
            .route("/v1/quorum/statement", get(statement))
            .route("/v1/log/checkpoint", get(checkpoint))
            .route("/v1/log/proofs/inclusion", get(inclusion))
            .route("/v1/statements", post(take))
            .with_state(plane.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        (plane, url)
    }

    /// Somebody says in the log who the quorum is, and it is shown as what counts.
    pub fn appoint(&self, by: &Identity, quorum: &Value) {
        let seq = self.log.lock().unwrap().len();
        self.log.lock().unwrap().push(appointing(by, quorum, seq.try_into().unwrap()));
        self.show(seq);
    }

    /// Shows this entry as what counts, as if it had just come.
    pub fn show(&self, seq: usize) {
        self.shown.store(seq, Ordering::SeqCst);
        self.told.lock().unwrap().push(self.log.lock().unwrap()[seq].clone());
    }

    fn leaves(&self) -> Vec<Hash> {
        self.log.lock().unwrap().iter().map(|entry| leaf_hash(&entry.entry.0)).collect()
    }

    /// Somebody reports that this transaction carries the proposal.
    pub fn claim(&self, stage: &str, transaction: &str) {
        *self.execution.lock().unwrap() = Some(json!({"stage": stage, "transaction": transaction, "block": 1}));
    }

    pub fn has(&self, command: &str) -> bool {
        self.said.lock().unwrap().iter().any(|(c, _)| c == command)
    }

    fn status(&self) -> &'static str {
        match self.execution.lock().unwrap().as_ref().map(|e| e["stage"] == "submitted") {
            None => "approved",
            Some(true) => "submitted",
            Some(false) => "included",
        }
    }
}

/// How the log began.
fn genesis() -> LogEntryView {
    let operator = identity(60);
    let mut new = NewInvocation::new(operator.did(), "/log/genesis".parse().unwrap(), [1; 12]);
    let args = [("origin", "log.example.com/test".to_owned()), ("sequencer", identity(61).did().to_string())];
    new.args.extend(args.map(|(field, text)| (field.to_owned(), Ipld::String(text))));
    let token = invoke(operator.key(), new).unwrap();
    LogEntryView { seq: 0, entry: Base64(vec![]), tokens: vec![Base64(token.bytes().to_vec())] }
}

/// An entry by which somebody appoints a quorum now.
fn appointing(by: &Identity, quorum: &Value, seq: u64) -> LogEntryView {
    let now = Ambient::system().now();
    let mut new = NewInvocation::new(identity(60).did(), "/quorum/set".parse().unwrap(), [2; 12]);
    let Ipld::Map(args) = serde_json::from_value(quorum.clone()).unwrap() else { panic!("args") };
    new.args = args;
    new.audience = Some(identity(61).did());
    new.expiration = Some(now.plus(300));
    let token = invoke(by.key(), new).unwrap();
    let entry = log::Entry { seq, prev: Hash::ZERO, at: now, stmt: token.cid(), out: Ipld::Null };
    LogEntryView { seq, entry: Base64(entry.encode().unwrap()), tokens: vec![Base64(token.bytes().to_vec())] }
}

async fn statement(State(p): State<Arc<Plane>>) -> Result<Json<LogEntryView>, (StatusCode, String)> {
    p.statement_asked.fetch_add(1, Ordering::SeqCst);
    match p.shown.load(Ordering::SeqCst) {
        0 => {
            let problem = Problem::new(ProblemType::NotFound, "nobody is appointed");
            Err((StatusCode::NOT_FOUND, serde_json::to_string(&problem).unwrap()))
        }
        seq => Ok(Json(p.log.lock().unwrap()[seq].clone())),
    }
}

async fn checkpoint(State(p): State<Arc<Plane>>) -> String {
    let (origin, tree) = ("log.example.com/test".parse().unwrap(), Tree::from_leaves(p.leaves()));
    Checkpoint::of(origin, &tree, Ambient::system().now()).sign(identity(61).key()).to_string()
}

async fn inclusion(State(p): State<Arc<Plane>>, Query(q): Query<BTreeMap<String, u64>>) -> Json<Value> {
    let leaves = p.leaves();
    let tile = |wanted: TileRef| {
        let hashes = leaves.iter().take(wanted.width.into()).flat_map(|leaf| *leaf.as_bytes()).collect();
        (wanted.level == 0).then_some(hashes)
    };
    let hashes = log::inclusion_proof(q["size"], q["seq"], &tile).unwrap();
    Json(json!({"hashes": hashes.iter().map(|h| Digest::from_bytes(*h.as_bytes())).collect::<Vec<_>>()}))
}

/// A log in which little happens. Its heartbeat keeps followers from giving it up.
async fn follow(State(p): State<Arc<Plane>>) -> Body {
    let beats = stream::unfold((tokio::time::interval(Duration::from_millis(500)), p), |(mut beats, p)| async {
        beats.tick().await;
        let mut text = Vec::new();
        for entry in p.told.lock().unwrap().drain(..) {
            text.extend(serde_json::to_vec(&FollowLine::Entry(entry)).unwrap());
            text.push(b'\n');
        }
        text.push(b'\n');
        Some((Ok::<_, std::io::Error>(Chunk::from(text)), (beats, p)))
    });
    Body::from_stream(beats)
}

async fn list(State(p): State<Arc<Plane>>, Query(q): Query<BTreeMap<String, String>>) -> Json<Value> {
    let summary = json!({
        "id": p.proposal, "seq": 3, "at": 1, "tenant": identity(50).did(), "installation": identity(51).did(),
        "plugin": "com.example.payouts", "kind": "payout", "order": "order-1",
        "asset": "eip155:31337/slip44:60", "total": 1, "status": p.status(), "updated": 4,
    });
    let is_listed = q["status"] == p.status() && !p.idle.load(Ordering::SeqCst);
    let items = if is_listed { vec![summary] } else { vec![] };
    Json(json!({ "items": items }))
}

async fn one(State(p): State<Arc<Plane>>, Path(id): Path<String>) -> Json<Value> {
    assert_eq!(id, p.proposal.to_string());
    let digest = Digest::sha256(b"d");
    let mut view = json!({
        "id": p.proposal, "seq": 3, "status": p.status(), "command": "/proposal/payout", "intent": {},
        "decision": {"effect": "allow", "violations": [], "approvals_required": 0, "bundle": digest,
                     "input": digest, "engine": "e"},
        "approvals": [], "review_digest": digest, "audit_trail": [], "authorisation": p.authorisation,
    });
    if let Some(execution) = p.execution.lock().unwrap().clone() {
        view["execution"] = execution;
    }
    Json(view)
}

async fn tenants(State(p): State<Arc<Plane>>) -> Json<Value> {
    Json(json!({"items": [{
        "tenant": identity(50).did(), "name": "Market", "escrow": p.authorisation.domain, "confirmations": 0,
        "lift_admins": 1, "assets": [], "bundle": Digest::sha256(b"b"), "delegation": p.proposal,
        "installations": 1, "orders": 1,
    }]}))
}

async fn administrations(State(p): State<Arc<Plane>>) -> Json<Value> {
    let earlier = p.administrations_asked.fetch_add(1, Ordering::SeqCst);
    if earlier >= p.administrations_answered.load(Ordering::SeqCst) {
        return future::pending().await;
    }
    Json(json!({ "items": *p.administrations.lock().unwrap() }))
}

async fn take(State(p): State<Arc<Plane>>, body: Chunk) -> Result<Json<Value>, (StatusCode, String)> {
    if p.deaf.load(Ordering::SeqCst) {
        let problem = Problem::new(ProblemType::Unavailable, "deaf");
        return Err((StatusCode::SERVICE_UNAVAILABLE, serde_json::to_string(&problem).unwrap()));
    }
    let tokens = container::decode(&body, &Limits::default()).unwrap();
    let mut opened = tokens.iter().map(|t| ucan::open(t).unwrap());
    let statement = opened.find_map(|t| if let Token::Invocation(i) = t { Some(i) } else { None }).unwrap();
    let Ipld::Map(args) = statement.args().clone() else { panic!("args") };
    let command = statement.command().to_string();
    let text = |field: &str| if let Some(Ipld::String(s)) = args.get(field) { s.clone() } else { String::new() };
    let number = |field: &str| if let Some(Ipld::Integer(n)) = args.get(field) { *n } else { 0 };
    let transaction = format!("0x{}", text("transaction"));
    match command.as_str() {
        "/execution/submitted" => {
            *p.execution.lock().unwrap() = Some(json!({"stage": "submitted", "transaction": transaction}));
        }
        "/execution/included" => {
            let block = u64::try_from(number("block")).unwrap();
            let execution = json!({"stage": "included", "transaction": transaction, "block": block});
            *p.execution.lock().unwrap() = Some(execution);
        }
        _ => {}
    }
    p.said.lock().unwrap().push((command, args));
    Ok(Json(json!({"id": statement.cid(), "seq": 5})))
}
