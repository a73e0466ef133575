//! Who is asked is who the operator has named, whatever the control plane says.

use crate::{
    keys,
    node::{Manner, Node, identity},
    world::{Plane, until},
};
use alloy::signers::local::PrivateKeySigner;
use client::{Ambient, Delegations};
use domain::{Address, ChainId, Digest, EscrowDomain, NodeUrl, PayoutAuthorisation, Time};
use messages::Hex;
use rand::{SeedableRng as _, rngs::StdRng};
use relayer::{ChainConfig, Config, run};
use serde_json::{Value, json};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use threshold::{Secp256k1, dkg::Keys};
use tokio::task::JoinHandle;
use ucan::issue::{NewDelegation, delegate};

type Nodes = Vec<Arc<Node<Secp256k1>>>;

/// Nodes that listen, and how a quorum names them.
async fn nodes(keys: Vec<Keys>) -> (Nodes, Vec<Value>) {
    let (mut nodes, mut members) = (Vec::new(), Vec::new());
    for keys in keys {
        let id = keys.secp256k1.id().get();
        let node = Node::new(keys.secp256k1, b"message", Manner::Honest);
        let url = node.listen().await;
        members.push(json!({"id": id, "node": identity(u8::try_from(id).unwrap()).did(), "url": url}));
        nodes.push(node);
    }
    (nodes, members)
}

fn generate() -> Vec<Keys> {
    keys::generate(5, 3, &mut StdRng::seed_from_u64(9))
}

fn quorum(epoch: u64, members: &[Value]) -> Value {
    let keys = generate();
    let (secp, ed) = (keys[0].secp256k1.group(), keys[0].ed25519.group());
    let ed_key: [u8; 32] = ed.verifying_key().unwrap().try_into().unwrap();
    json!({
        "epoch": epoch, "threshold": 3, "participants": members,
        "keys": {"secp256k1": Hex(secp.verifying_key().unwrap()), "ed25519": domain::Did::from_key(ed_key)},
        "packages": {"secp256k1": Hex(secp.to_bytes().unwrap()), "ed25519": Hex(ed.to_bytes().unwrap())},
    })
}

/// Something that is never asked for here.
fn authorisation() -> PayoutAuthorisation {
    PayoutAuthorisation {
        domain: EscrowDomain { chain: ChainId(1), contract: Address([1; 20]) },
        intent: Digest::sha256(b"intent"),
        installation: Digest::sha256(b"installation"),
        order: Digest::sha256(b"order"),
        asset: Address([0; 20]),
        recipients: vec![],
        amounts: vec![],
        valid_until: Time::from_unix(4_000_000_000),
        epoch: 1,
    }
}

fn relayer(control_plane: NodeUrl) -> JoinHandle<()> {
    let own = identity(200);
    let read = NewDelegation::new(own.did(), identity(60).did(), "/read".parse().unwrap(), [2; 12]);
    let mut delegations = Delegations::default();
    delegations.add(delegate(identity(60).key(), read).unwrap());
    let config = Config {
        control_plane,
        sequencer: identity(61).did(),
        operator: identity(60).did(),
        identity: own,
        wallet: PrivateKeySigner::from_slice(&[7; 32]).unwrap(),
        delegations,
        // Nobody answers there, and nothing is to be paid.
        chains: vec![ChainConfig::new(ChainId(1), "http://127.0.0.1:1".parse().unwrap())],
        listen: "127.0.0.1:0".parse().unwrap(),
        concurrency: 4,
        ambient: Ambient::system(),
    };
    tokio::spawn(async move { run(config, std::future::pending()).await.unwrap() })
}

fn count(counter: &AtomicUsize) -> usize {
    counter.load(Ordering::SeqCst)
}

/// Waits until each of these was asked what it sees once more.
async fn surveyed(nodes: &Nodes) {
    let before: Vec<usize> = nodes.iter().map(|n| count(&n.surveyed)).collect();
    let asked = || nodes.iter().zip(&before).all(|(n, before)| count(&n.surveyed) > *before);
    until("the signers are asked what they see", async || asked().then_some(())).await;
}

#[tokio::test]
async fn all_whom_the_operator_named_are_asked_and_nobody_else() {
    let (real, members) = nodes(generate()).await;
    let (others, posing) = nodes(generate()).await;
    // Three are named rightly; what the other two see would never be heard.
    let said = quorum(1, &[&members[..3], &posing[3..]].concat());
    let (plane, url) = Plane::showing(authorisation(), said).await;
    plane.idle.store(true, Ordering::SeqCst);
    plane.appoint(&identity(60), &quorum(1, &members));
    let running = relayer(url);
    surveyed(&real).await;

    // What nobody entitled has said takes nothing away, nor does what was said of this quorum or one before it.
    for (by, epoch) in [(61, 2), (60, 1), (60, 0)] {
        let asked = count(&plane.statement_asked);
        plane.appoint(&identity(by), &quorum(epoch, &posing));
        until("the statement is read", async || (count(&plane.statement_asked) > asked).then_some(())).await;
        surveyed(&real).await;
    }
    assert!(others.iter().all(|n| count(&n.surveyed) == 0));
    running.abort();
}

#[tokio::test]
async fn a_later_quorum_is_asked_once_the_operator_has_named_it() {
    let (before, members) = nodes(generate()).await;
    let (after, successors) = nodes(generate()).await;
    let (plane, url) = Plane::start(authorisation(), quorum(1, &members)).await;
    plane.idle.store(true, Ordering::SeqCst);
    let running = relayer(url);
    surveyed(&before).await;
    plane.appoint(&identity(60), &quorum(2, &successors));
    surveyed(&after).await;
    // The control plane shows the earlier one again.
    let asked = count(&plane.statement_asked);
    plane.show(1);
    until("the statement is read", async || (count(&plane.statement_asked) > asked).then_some(())).await;
    surveyed(&after).await;
    running.abort();
}
