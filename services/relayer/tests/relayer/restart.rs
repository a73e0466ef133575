//! Killed at any moment and started again, or running twice: the money moves once.

use crate::{
    keys,
    node::{Manner, Node, identity},
    world::{Anvil, ETHER, Plane, until},
};
use alloy::{rpc::types::BlockId, signers::local::PrivateKeySigner};
use client::{Ambient, Delegations};
use domain::{Address, ChainId, NodeUrl, Time};
use escrow::GroupKey;
use messages::Hex;
use rand::{
    RngCore as _, SeedableRng as _,
    rngs::{OsRng, StdRng},
};
use relayer::{ChainConfig, Config, run};
use serde_json::json;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use threshold::{KeyShare, Secp256k1};
use tokio::task::JoinHandle;
use ucan::issue::{NewDelegation, delegate};

/// Keys of the node's accounts 1 and 2, which its documentation publishes.
const WALLETS: [&str; 2] = [
    "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
    "5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
];

pub struct Scene {
    pub anvil: Anvil,
    pub plane: Arc<Plane>,
    url: NodeUrl,
    pub nodes: Vec<Arc<Node<Secp256k1>>>,
    ambient: Ambient,
}

impl Scene {
    /// A chain, a control plane with one approved proposal and three honest signers of which two sign.
    pub async fn set() -> Option<Self> {
        let anvil = Anvil::start().await?;
        let shares = keys::generate(3, 2, &mut StdRng::seed_from_u64(3));
        let (secp, ed) = (shares[0].secp256k1.group().clone(), shares[0].ed25519.group().clone());
        let point = secp.verifying_key().unwrap();
        let authorisation = anvil.escrow(GroupKey::from_sec1(point.as_slice().try_into().unwrap()).unwrap()).await;
        let message = escrow::payout_digest(&authorisation);
        let (mut nodes, mut members) = (Vec::new(), Vec::new());
        for keys in shares {
            let id = keys.secp256k1.id().get();
            let bytes = keys.secp256k1.to_secret_bytes().unwrap();
            let node = Node::new(KeyShare::from_secret_bytes(&bytes).unwrap(), &message, Manner::Honest);
            let url = node.listen().await;
            members.push(json!({"id": id, "node": identity(u8::try_from(id).unwrap()).did(), "url": url}));
            nodes.push(node);
        }
        let ed_key: [u8; 32] = ed.verifying_key().unwrap().try_into().unwrap();
        let group = json!({"secp256k1": Hex(point), "ed25519": domain::Did::from_key(ed_key)});
        let packages = json!({"secp256k1": Hex(secp.to_bytes().unwrap()), "ed25519": Hex(ed.to_bytes().unwrap())});
        let quorum = json!({"epoch": 1, "threshold": 2, "participants": members, "keys": group, "packages": packages});
        let (plane, url) = Plane::start(authorisation, quorum).await;
        Some(Self { anvil, plane, url, nodes, ambient: Ambient::system() })
    }

    pub fn relayer(&self, wallet: usize, stuck_after: u64) -> JoinHandle<()> {
        let (tenant, own) = (identity(50), identity(200));
        let new = NewDelegation::new(own.did(), tenant.did(), "/execution".parse().unwrap(), [1; 12]);
        let read = NewDelegation::new(own.did(), identity(60).did(), "/read".parse().unwrap(), [2; 12]);
        let mut delegations = Delegations::default();
        delegations.add(delegate(tenant.key(), new).unwrap());
        delegations.add(delegate(identity(60).key(), read).unwrap());
        let mut chain = ChainConfig::new(ChainId(31_337), self.anvil.url.parse().unwrap());
        chain.poll_ms = 20.try_into().unwrap();
        chain.stuck_after = stuck_after.try_into().unwrap();
        let config = Config {
            control_plane: self.url.clone(),
            sequencer: identity(61).did(),
            operator: identity(60).did(),
            identity: own,
            wallet: WALLETS[wallet].parse::<PrivateKeySigner>().unwrap(),
            delegations,
            chains: vec![chain],
            listen: "127.0.0.1:0".parse().unwrap(),
            concurrency: 4,
            ambient: self.ambient.clone(),
        };
        tokio::spawn(async move { run(config, std::future::pending()).await.unwrap() })
    }

    pub async fn mine(&self) {
        self.anvil.rpc("evm_mine", json!([])).await;
    }

    pub async fn sent(&self, wallet: usize, block: BlockId) -> u64 {
        self.anvil.sent_by(self.anvil.accounts[wallet + 1], block).await
    }

    pub fn shares_asked(&self) -> usize {
        self.nodes.iter().map(|n| n.asked_to_sign.load(Ordering::SeqCst)).sum()
    }

    pub async fn until_included(&self) {
        until("an inclusion in the log", || async { self.plane.has("/execution/included").then_some(()) }).await;
    }
}

#[tokio::test]
async fn a_relayer_does_not_run_with_settings_that_it_could_not_work_with() {
    let chain = || ChainConfig::new(ChainId(1), "http://127.0.0.1:1".parse().unwrap());
    let refused = |chains, concurrency, listen: &'static str| async move {
        let config = Config {
            control_plane: "http://127.0.0.1:1".parse().unwrap(),
            sequencer: identity(61).did(),
            operator: identity(60).did(),
            identity: identity(200),
            wallet: WALLETS[0].parse::<PrivateKeySigner>().unwrap(),
            delegations: Delegations::default(),
            chains,
            listen: listen.parse().unwrap(),
            concurrency,
            ambient: Ambient::system(),
        };
        run(config, std::future::ready(())).await.map_err(|error| error.to_string())
    };
    let local = "127.0.0.1:0";
    let twice = refused(vec![chain(), chain()], 0, local).await.unwrap_err();
    assert_eq!(twice, "concurrency: 1 to 1024; chains: eip155:1 is named twice");
    assert_eq!(refused(Vec::new(), 1, local).await.unwrap_err(), "chains: name at least one");
    assert!(refused(vec![chain()], 1, "0.0.0.0:0").await.unwrap_err().starts_with("listen: a loopback address"));
    refused(vec![chain()], 1, local).await.expect("this is good");
}

#[tokio::test]
async fn an_approved_proposal_is_paid_once_and_reported() {
    let Some(scene) = Scene::set().await else { return };
    let relayer = scene.relayer(0, 60);
    scene.until_included().await;
    relayer.abort();
    assert_eq!(scene.anvil.paid().await, ETHER);
    let said: Vec<_> = scene.plane.said.lock().unwrap().iter().map(|(c, _)| c.clone()).collect();
    assert_eq!(said, ["/execution/submitted", "/execution/included"]);
}

#[tokio::test]
async fn who_is_killed_after_sending_is_finished_without_a_second_transaction() {
    let Some(scene) = Scene::set().await else { return };
    scene.anvil.rpc("evm_setAutomine", json!([false])).await;
    scene.plane.deaf.store(true, Ordering::SeqCst);
    let first = scene.relayer(0, 60);
    until("a pending transaction", || async { (scene.sent(0, BlockId::pending()).await == 1).then_some(()) }).await;
    first.abort();
    let _ = first.await;
    let asked = scene.shares_asked();

    scene.plane.deaf.store(false, Ordering::SeqCst);
    let second = scene.relayer(0, 60);
    until("the second to work", || async { (scene.shares_asked() > asked).then_some(()) }).await;
    scene.mine().await;
    scene.until_included().await;
    scene.mine().await;
    second.abort();
    assert_eq!(scene.sent(0, BlockId::pending()).await, 1, "nothing was sent twice");
    assert_eq!(scene.anvil.paid().await, ETHER);
}

#[tokio::test]
async fn two_relayers_at_once_pay_once() {
    let Some(scene) = Scene::set().await else { return };
    let both = [scene.relayer(0, 60), scene.relayer(1, 60)];
    scene.until_included().await;
    scene.mine().await;
    for relayer in both {
        relayer.abort();
    }
    assert_eq!(scene.anvil.paid().await, ETHER);
}

#[tokio::test]
async fn a_stuck_transaction_is_replaced_under_the_same_nonce() {
    let Some(scene) = Scene::set().await else { return };
    scene.anvil.rpc("evm_setAutomine", json!([false])).await;
    let relayer = scene.relayer(0, 1);
    let pending = || async {
        let block = scene.anvil.rpc("eth_getBlockByNumber", json!(["pending", true])).await;
        block["transactions"].get(0).map(|t| t["hash"].clone())
    };
    let first = until("a pending transaction", pending).await;
    until("a replacement", || async { pending().await.filter(|hash| *hash != first) }).await;
    scene.mine().await;
    scene.until_included().await;
    relayer.abort();
    assert_eq!(scene.sent(0, BlockId::pending()).await, 1);
    assert_eq!(scene.anvil.paid().await, ETHER);
}

#[tokio::test]
async fn a_report_of_an_unrelated_transaction_holds_nobody_up() {
    let Some(scene) = Scene::set().await else { return };
    // The deposit: included, successful, sent to the very contract.
    let block = scene.anvil.rpc("eth_getBlockByNumber", json!(["latest", true])).await;
    scene.plane.claim("included", block["transactions"][0]["hash"].as_str().unwrap());
    let relayer = scene.relayer(0, 600);
    until("the payout", || async { (scene.anvil.paid().await == ETHER).then_some(()) }).await;
    relayer.abort();
}

#[tokio::test]
async fn a_report_of_an_unrelated_pending_transaction_is_not_waited_for() {
    let Some(scene) = Scene::set().await else { return };
    scene.anvil.rpc("evm_setAutomine", json!([false])).await;
    let own = scene.anvil.accounts[0];
    let pending = scene.anvil.rpc("eth_sendTransaction", json!([{"from": own, "to": own}])).await;
    scene.plane.claim("submitted", pending.as_str().unwrap());
    let relayer = scene.relayer(0, 600);
    until("a payout", || async { (scene.sent(0, BlockId::pending()).await == 1).then_some(()) }).await;
    scene.mine().await;
    assert_eq!(scene.anvil.paid().await, ETHER);
    relayer.abort();
}

#[tokio::test]
async fn a_recipient_that_burns_gas_is_not_paid_for() {
    let Some(scene) = Scene::set().await else { return };
    // Whoever sends it coins fills so many storage slots, 22,100 gas each.
    let burning = |slots: u8| {
        let code: Vec<_> = (0..slots).map(|slot| format!("600160{slot:02x}55")).collect();
        scene.anvil.rpc("anvil_setCode", json!([Address([5; 20]), format!("0x{}", code.concat())]))
    };
    burning(20).await;
    let relayer = scene.relayer(0, 60);
    until("three attempts", || async { (scene.shares_asked() >= 6).then_some(()) }).await;
    relayer.abort();
    assert_eq!(scene.sent(0, BlockId::pending()).await, 0);
    assert_eq!(scene.anvil.paid().await, 0);

    burning(5).await;
    let relayer = scene.relayer(0, 60);
    scene.until_included().await;
    relayer.abort();
    assert_eq!(scene.anvil.paid().await, ETHER);
}

#[tokio::test]
async fn a_nonce_that_the_node_forgot_is_filled() {
    let Some(scene) = Scene::set().await else { return };
    scene.anvil.rpc("evm_setAutomine", json!([false])).await;
    let own = scene.anvil.accounts[1];
    let earlier = scene.anvil.rpc("eth_sendTransaction", json!([{"from": own, "to": own}])).await;
    // Long enough to see the gap before it is filled.
    let relayer = scene.relayer(0, 5);
    until("the payout behind it", || async { (scene.sent(0, BlockId::pending()).await == 2).then_some(()) }).await;
    scene.anvil.rpc("anvil_dropTransaction", json!([earlier])).await;
    assert_eq!(scene.sent(0, BlockId::pending()).await, 0, "the payout waits for the missing nonce");
    until("both to be pending", || async { (scene.sent(0, BlockId::pending()).await == 2).then_some(()) }).await;
    scene.mine().await;
    scene.until_included().await;
    relayer.abort();
    assert_eq!(scene.sent(0, BlockId::latest()).await, 2);
    assert_eq!(scene.anvil.paid().await, ETHER);
}

#[tokio::test]
async fn a_stuck_transaction_of_an_expired_intent_is_taken_back() {
    let Some(mut scene) = Scene::set().await else { return };
    scene.anvil.rpc("evm_setAutomine", json!([false])).await;
    let late = Arc::new(AtomicBool::new(false));
    let (system, is_late) = (Ambient::system(), late.clone());
    let now = move || if is_late.load(Ordering::SeqCst) { Time::from_unix(4_000_000_001) } else { system.now() };
    scene.ambient = Ambient::new(now, |bytes| {
        OsRng.fill_bytes(bytes);
        true
    });
    let relayer = scene.relayer(0, 1);
    let pays = || async {
        let block = scene.anvil.rpc("eth_getBlockByNumber", json!(["pending", true])).await;
        block["transactions"].get(0).map(|t| t["input"] != "0x")
    };
    until("the payout", || async { pays().await.filter(|pays| *pays) }).await;
    late.store(true, Ordering::SeqCst);
    until("nothing in its place", || async { pays().await.filter(|pays| !*pays) }).await;
    scene.mine().await;
    relayer.abort();
    assert_eq!(scene.sent(0, BlockId::latest()).await, 1);
    assert_eq!(scene.anvil.paid().await, 0);
}
