//! Three signers of a quorum of two, each with a control plane and an RPC endpoint of its own, and who asks them.

use crate::{
    chain::{Chain, Shown},
    keys::{self, pid},
    plane::{Line, Plane},
};
use client::{Ambient, ClientError, Exchange, SignerClient};
use countersign_tests::{Person, Signed, World};
use domain::{Cid, Did};
use keyfile::{Identity, Kind, Passphrase};
use ledger::{GroupKeys, GroupPackages, Participant, Quorum, Scope, args};
use log::NoteKey;
use messages::{
    CommitReply, CommitRequest, Envelope, Hex, NodeStatus, Refusal, SignReply, SignRequest, SigningSubject, paths,
};
use rand::{SeedableRng as _, rngs::StdRng};
use relayer::{Horizon, Panel};
use replica::Replica;
use signer::{Config, Signer};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::Arc,
    time::Duration,
};
use tempfile::TempDir;
use threshold::{Secp256k1, dkg::Keys};
use tokio::sync::oneshot;
use ucan::container::{self, Encoding};

const PATIENCE: Duration = Duration::from_secs(20);

pub struct Stage {
    pub world: World,
    pub log: Vec<Line>,
    pub planes: Vec<Arc<Plane>>,
    pub chains: Vec<Arc<Chain>>,
    pub signers: Vec<Arc<SignerClient>>,
    pub nodes: Vec<Person>,
    pub folders: Vec<TempDir>,
    pub proposal: Cid,
    replica: Replica,
    known: BTreeSet<Cid>,
    keys: Vec<Keys>,
    urls: Vec<domain::NodeUrl>,
    rpcs: Vec<domain::NodeUrl>,
    running: Vec<(oneshot::Sender<()>, Signer)>,
}

fn relayer() -> Identity {
    Identity::from_key(Person::named("relayer").key)
}

impl Stage {
    /// Everything up to an approved proposal, which all signers have seen.
    pub async fn set() -> Self {
        let world = World::new(Ambient::system().now());
        let keys = keys::generate(3, 2, &mut StdRng::seed_from_u64(3));
        let nodes: Vec<Person> = (1..=3).map(|id| Person::named(&format!("signer {id}"))).collect();
        let mut stage = Self {
            replica: Replica::new(world.operator.did),
            proposal: Cid::of(b"none yet"),
            world,
            log: Vec::new(),
            known: BTreeSet::new(),
            planes: Vec::new(),
            chains: Vec::new(),
            signers: Vec::new(),
            nodes,
            folders: Vec::new(),
            keys,
            urls: Vec::new(),
            rpcs: Vec::new(),
            running: Vec::new(),
        };
        for signed in stage.world.setup(1_000, 100_000) {
            stage.append(&signed);
        }
        let set = args::SetQuorum(stage.quorum());
        let operator = &stage.world.operator;
        let set = stage.world.invoke(operator, operator.did, "/quorum/set", &set, Vec::new());
        stage.append(&set);
        stage.proposal = stage.propose(100);
        for at in 0..3 {
            let (plane, url) = Plane::start(&stage.world.sequencer, &stage.log).await;
            let (chain, rpc) = Chain::start().await;
            let folder = tempfile::tempdir().unwrap();
            stage.furnish(folder.path(), at);
            stage.planes.push(plane);
            stage.urls.push(url);
            stage.chains.push(chain);
            stage.rpcs.push(rpc);
            stage.folders.push(folder);
            stage.start(at).await;
        }
        for at in 0..3 {
            stage.until(at, |status| status.fresh && status.head == Some(stage.last())).await;
        }
        stage
    }

    /// Puts a statement into the log, whoever is shown it.
    pub fn append(&mut self, signed: &Signed) {
        let admitted = self.replica.admit(&signed.statement(), self.world.now).unwrap();
        let tokens = signed.tokens().into_iter().filter(|t| self.known.insert(Cid::of(t))).collect();
        self.log.push((admitted.entry, tokens));
    }

    pub fn propose(&mut self, total: u64) -> Cid {
        let proposed = self.world.propose(total);
        self.append(&proposed);
        proposed.cid()
    }

    pub fn freeze(&mut self) {
        let set = args::Set { scope: Scope::All, reason: "stop".parse().unwrap() };
        let set = self.world.by(&self.world.admin, "/freeze/set", &set);
        self.append(&set);
    }

    /// Lifts the freeze in force.
    pub fn lift(&mut self) {
        let (_, scope, freeze) = self.replica.state().freezes().iter().next().unwrap();
        let lift = args::Lift { scope: scope.clone(), freeze: freeze.statement };
        let lift = self.world.by(&self.world.admin, "/freeze/lift", &lift);
        self.append(&lift);
    }

    /// Something that has nothing to do with the proposal.
    pub fn grow(&mut self) {
        let verified = self.world.verify_recipient(countersign_tests::recipient(9));
        self.append(&verified);
    }

    /// The log as it would be had this happened instead.
    pub fn aside(&mut self, happen: impl FnOnce(&mut Self)) -> Vec<Line> {
        let (replica, known, log) = (self.replica.clone(), self.known.clone(), self.log.clone());
        happen(self);
        (self.replica, self.known) = (replica, known);
        std::mem::replace(&mut self.log, log)
    }

    pub fn last(&self) -> u64 {
        self.replica.head().unwrap().seq
    }

    pub fn state(&self) -> &ledger::State {
        self.replica.state()
    }

    fn quorum(&self) -> Quorum {
        let (secp, ed) = (self.keys[0].secp256k1.group(), self.keys[0].ed25519.group());
        let hex = |bytes: Vec<u8>| Hex(bytes).to_text();
        let participant = |(id, node): (u16, &Person)| Participant {
            id,
            node: node.did,
            url: format!("http://127.0.0.1:{}", 7_710 + id).parse().unwrap(),
        };
        Quorum {
            epoch: 1,
            threshold: 2,
            participants: (1..).zip(&self.nodes).map(participant).collect(),
            keys: GroupKeys {
                secp256k1: hex(secp.verifying_key().unwrap()),
                ed25519: Did::from_key(ed.verifying_key().unwrap().try_into().unwrap()),
            },
            packages: GroupPackages { secp256k1: hex(secp.to_bytes().unwrap()), ed25519: hex(ed.to_bytes().unwrap()) },
        }
    }

    /// The key shares and delegations of one signer.
    fn furnish(&self, folder: &Path, at: usize) {
        let (shares, delegations) = (folder.join("shares"), folder.join("delegations"));
        fs::create_dir(&shares).unwrap();
        fs::create_dir(&delegations).unwrap();
        let first = self.keys[at].secp256k1.to_secret_bytes().unwrap();
        let second = self.keys[at].ed25519.to_secret_bytes().unwrap();
        let length = u32::try_from(first.len()).unwrap().to_be_bytes();
        let secret = [&length[..], &first, &second].concat();
        let (file, rng) = (shares.join("epoch-1.key"), &mut rand::rngs::OsRng);
        keyfile::create(&file, &passphrase(), Kind::FROST_SHARE, &secret, rng).unwrap();
        let operator = &self.world.operator;
        let read = self.world.delegate(operator, self.nodes[at].did, operator.did, "/read");
        let read = container::encode(Encoding::Base64, &[read.bytes()]).unwrap();
        fs::write(delegations.join("read.ucan"), read).unwrap();
    }

    /// Starts one signer, again perhaps.
    pub async fn start(&mut self, at: usize) {
        let data = self.folders[at].path().to_owned();
        let config = Config {
            listen: "127.0.0.1:0".parse().unwrap(),
            delegations: data.join("delegations"),
            data,
            database: None,
            identity: Identity::from_key(self.nodes[at].key.clone()),
            passphrase: passphrase(),
            operator: self.world.operator.did,
            sequencer: self.world.sequencer.did,
            control_plane: self.urls[at].clone(),
            coordinators: vec![relayer().did()],
            administrators: vec![self.world.operator.did],
            rpc: self.rpcs[at].clone(),
            lease: 60,
        };
        let (stop, stopped) = oneshot::channel();
        let stopped = async {
            let _ = stopped.await;
        };
        let signer = Signer::start(config, Ambient::system(), stopped).await.unwrap();
        let url = format!("http://{}", signer.address()).parse().unwrap();
        let asked = SignerClient::new(url, self.nodes[at].did, relayer(), Ambient::system()).unwrap();
        self.signers.insert(at, Arc::new(asked));
        self.running.insert(at, (stop, signer));
    }

    /// Where one signer listens.
    pub fn address(&self, at: usize) -> String {
        format!("http://{}", self.running[at].1.address())
    }

    /// Ends one signer.
    pub async fn stop(&mut self, at: usize) {
        let (stop, signer) = self.running.remove(at);
        self.signers.remove(at);
        let _ = stop.send(());
        signer.stopped().await;
    }

    /// Everyone, as a relayer that knows nothing yet asks them.
    pub fn panel(&self) -> Panel<Secp256k1> {
        Panel {
            epoch: 1,
            group: self.keys[0].secp256k1.group().clone(),
            signers: (1..).map(pid).zip(self.signers.iter().cloned()).collect::<BTreeMap<_, _>>(),
            horizon: Some(Arc::new(Horizon::new(self.log_key()))),
        }
    }

    /// The log's own key, as the genesis names it.
    fn log_key(&self) -> NoteKey {
        replica::key_name(self.state().origin().unwrap())
            .map(|name| NoteKey::new(name, &self.world.sequencer.did).unwrap())
            .unwrap()
    }

    /// What an honest quorum signs.
    pub fn message(&self) -> Vec<u8> {
        escrow::payout_digest(&self.replica.state().authorisation(&self.proposal).unwrap()).to_vec()
    }

    pub fn subject(&self) -> SigningSubject {
        SigningSubject::Intent { proposal: self.proposal }
    }

    pub async fn commit(&self, at: usize, subject: SigningSubject) -> Result<Exchange<CommitReply>, Refusal> {
        let body = CommitRequest { subject, min_seq: 0, checkpoints: Vec::new() };
        refusal(self.signers[at].ask(paths::SESSION_COMMIT, &body, PATIENCE).await)
    }

    pub async fn sign(&self, at: usize, commitments: Vec<Envelope>) -> Result<SignReply, Refusal> {
        self.ask_share(at, self.subject(), commitments, Vec::new()).await
    }

    /// Asks for a share of another subject.
    pub async fn sign_for(
        &self,
        at: usize,
        subject: SigningSubject,
        commitments: Vec<Envelope>,
    ) -> Result<SignReply, Refusal> {
        self.ask_share(at, subject, commitments, Vec::new()).await
    }

    /// Asks for a share, telling of these checkpoints.
    pub async fn sign_knowing(
        &self,
        at: usize,
        commitments: Vec<Envelope>,
        checkpoints: Vec<String>,
    ) -> Result<SignReply, Refusal> {
        self.ask_share(at, self.subject(), commitments, checkpoints).await
    }

    async fn ask_share(
        &self,
        at: usize,
        subject: SigningSubject,
        commitments: Vec<Envelope>,
        checkpoints: Vec<String>,
    ) -> Result<SignReply, Refusal> {
        let body = SignRequest { subject, epoch: 1, commitments, checkpoints };
        refusal(self.signers[at].ask(paths::SESSION_SIGN, &body, PATIENCE).await).map(|e| e.reply)
    }

    /// What the signers' RPC endpoints say, each its own.
    pub fn show_chains(&self, shown: [Option<Shown>; 3]) {
        for (chain, shown) in self.chains.iter().zip(shown) {
            chain.show(shown);
        }
    }

    /// Waits until a signer has a signed checkpoint of the whole log, with which it proves what it sees to others.
    pub async fn proven(&self, at: usize) {
        let size = format!("\n{}\n", self.log.len());
        let looking = async {
            loop {
                let notes = match self.commit(at, self.subject()).await {
                    Ok(made) => made.reply.checkpoint.into_iter().collect(),
                    Err(refusal) => refusal.checkpoints,
                };
                if notes.iter().any(|note| note.contains(&size)) {
                    return;
                }
            }
        };
        tokio::time::timeout(PATIENCE, looking).await.unwrap();
    }

    pub async fn status(&self, at: usize) -> NodeStatus {
        self.signers[at].ask(paths::NODE_STATUS, &(), PATIENCE).await.unwrap().reply
    }

    /// Waits until a signer says so of itself.
    pub async fn until(&self, at: usize, holds: impl Fn(&NodeStatus) -> bool) {
        let looking = async {
            while !holds(&self.status(at).await) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let there = tokio::time::timeout(PATIENCE, looking).await;
        assert!(there.is_ok(), "signer {} is not there: {:?}", at + 1, self.status(at).await);
    }
}

fn passphrase() -> Passphrase {
    Passphrase::new("correct horse battery staple".to_owned()).unwrap()
}

fn refusal<T>(answer: Result<Exchange<T>, ClientError>) -> Result<Exchange<T>, Refusal> {
    answer.map_err(|error| match error {
        ClientError::Refused(refusal) => *refusal,
        other => panic!("{other:?}"),
    })
}
