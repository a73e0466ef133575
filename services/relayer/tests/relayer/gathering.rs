//! t honest signers are enough, whatever the others do.

use crate::{
    keys::{self, pid},
    node::{Manner, Node, note, sequencer},
};
use domain::{Cid, Digest};
use messages::{RefusalCode, SigningSubject};
use rand::{SeedableRng as _, rngs::StdRng};
use relayer::{Gathered, Horizon, Panel, Patience, Unsigned, gather};
use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock, atomic::Ordering},
    time::Duration,
};
use threshold::{KeyShare, Secp256k1};

const MESSAGE: &[u8; 32] = b"thirty-two bytes of one message.";

/// Shares of one 3-of-5 key in stored form.
static SHARES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let keys = keys::generate(5, 3, &mut StdRng::seed_from_u64(5));
    keys.iter().map(|k| k.secp256k1.to_secret_bytes().unwrap().to_vec()).collect()
});

type Nodes = Vec<Arc<Node<Secp256k1>>>;

async fn panel(manners: [Manner; 5]) -> (Panel<Secp256k1>, Nodes) {
    let (mut signers, mut nodes) = (BTreeMap::new(), Vec::new());
    let mut group = None;
    for (bytes, manner) in SHARES.iter().zip(manners) {
        let share = KeyShare::from_secret_bytes(bytes).unwrap();
        let (id, public) = (share.id(), share.group().clone());
        let node = Node::new(share, MESSAGE, manner);
        signers.insert(id, node.start().await);
        nodes.push(node);
        group = Some(public);
    }
    let horizon = Some(Arc::new(Horizon::new(sequencer().did())));
    (Panel { epoch: 1, group: group.unwrap(), signers, horizon }, nodes)
}

async fn run(manners: [Manner; 5]) -> (Panel<Secp256k1>, Result<Gathered, Unsigned>) {
    let (panel, _nodes) = panel(manners).await;
    let patience =
        Patience { request: Duration::from_secs(20), hurry: Duration::from_millis(50), total: Duration::from_secs(20) };
    let subject = SigningSubject::Intent { proposal: Cid::from_digest(Digest::sha256(b"proposal")) };
    let gathered = gather(&panel, &subject, MESSAGE.to_vec(), 0, patience).await;
    (panel, gathered)
}

#[tokio::test]
async fn three_honest_signers_overcome_every_pair_of_others() {
    use Manner::{Boasting, Dead, Differing, Frozen, Honest, Impostor, Lying, Repeating, Slow};
    for manners in [
        [Honest, Honest, Honest, Honest, Honest],
        [Dead, Dead, Honest, Honest, Honest],
        [Lying, Slow, Honest, Honest, Honest],
        [Slow, Honest, Slow, Honest, Honest],
        [Impostor, Frozen, Honest, Honest, Honest],
        [Differing, Lying, Honest, Honest, Honest],
        [Honest, Repeating, Slow, Honest, Honest],
        [Honest, Lying, Honest, Lying, Honest],
        [Boasting, Boasting, Honest, Honest, Honest],
    ] {
        let (panel, gathered) = run(manners).await;
        let gathered = gathered.unwrap_or_else(|e| panic!("{manners:?}: {e}"));
        panel.group.verify(MESSAGE, &gathered.signature).unwrap();
        // Evidence is only ever about liars, and is their own signed message.
        for proven in &gathered.culprits {
            let at = usize::from(proven.participant.get()) - 1;
            assert!(matches!(manners[at], Lying | Boasting));
            assert_eq!(proven.envelope.from, panel.signers[&proven.participant].node());
        }
    }
}

#[tokio::test]
async fn two_honest_signers_are_not_enough_and_the_answer_says_why() {
    use Manner::{Dead, Differing, Frozen, Honest, Lying};
    let (_, gathered) = run([Dead, Frozen, Frozen, Honest, Honest]).await;
    let unsigned = gathered.unwrap_err();
    let mut refused = unsigned.refusals;
    refused.sort();
    assert_eq!(refused, [(pid(2), RefusalCode::Frozen), (pid(3), RefusalCode::Frozen)]);

    let (_, gathered) = run([Lying, Lying, Lying, Honest, Honest]).await;
    assert_eq!(gathered.unwrap_err().culprits.len(), 3);

    let (_, gathered) = run([Differing, Differing, Differing, Honest, Honest]).await;
    let unsigned = gathered.unwrap_err();
    assert_eq!(unsigned.differing.len(), 3, "a different view is no lie");
    assert!(unsigned.culprits.is_empty());
}

#[tokio::test]
async fn only_as_many_as_needed_are_asked_to_sign() {
    let (panel, nodes) = panel([Manner::Honest; 5]).await;
    let subject = SigningSubject::Intent { proposal: Cid::from_digest(Digest::sha256(b"proposal")) };
    gather(&panel, &subject, MESSAGE.to_vec(), 0, Patience::default()).await.unwrap();
    let asked: usize = nodes.iter().map(|n| n.asked_to_sign.load(Ordering::SeqCst)).sum();
    assert_eq!(asked, 3);
}

#[tokio::test]
async fn who_claims_a_longer_log_without_proof_is_named() {
    use Manner::{Boasting, Honest};
    let (panel, gathered) = run([Boasting, Honest, Boasting, Honest, Honest]).await;
    let mut named: Vec<_> = gathered.unwrap().culprits.iter().map(|c| (c.participant, c.reason)).collect();
    named.sort();
    let reason = "sees a checkpoint that the log's key has not signed";
    assert_eq!(named, [(pid(1), reason), (pid(3), reason)]);
    assert_eq!(panel.horizon.unwrap().size(), 0);
}

#[tokio::test]
async fn what_one_signer_sees_the_others_are_told() {
    let (panel, nodes) = panel([Manner::Objecting, Manner::Honest, Manner::Honest, Manner::Honest, Manner::Dead]).await;
    let horizon = panel.horizon.clone().unwrap();
    let subject = SigningSubject::Intent { proposal: Cid::from_digest(Digest::sha256(b"proposal")) };
    // Whether the objection comes before or after the others have signed, the first attempt that they make without
    // knowing of it leads to nothing.
    let first = gather(&panel, &subject, MESSAGE.to_vec(), 0, Patience::default()).await;
    let told = |node: &Arc<Node<Secp256k1>>| node.told.lock().unwrap().clone();
    if first.is_ok() {
        assert!(nodes[1..4].iter().all(|n| told(n).as_deref() == Some(note(7).as_str())));
    }
    assert_eq!((horizon.size(), horizon.longest()), (7, Some(note(7))));
    // Once they know, an objection that shows nothing more holds nothing up.
    gather(&panel, &subject, MESSAGE.to_vec(), 0, Patience::default()).await.unwrap();
    assert!(nodes[1..4].iter().all(|n| told(n).as_deref() == Some(note(7).as_str())));
}
