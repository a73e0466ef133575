//! t honest signers are enough, whatever the others do.

use crate::{
    keys::{self, pid},
    node::{Manner, Node, ORIGIN, forked, note, sequencer},
};
use domain::{Cid, Digest};
use log::NoteKey;
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
    let key = NoteKey::new(ORIGIN.parse().unwrap(), &sequencer().did()).unwrap();
    let horizon = Some(Arc::new(Horizon::new(key)));
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
    use Manner::{
        Boasting, Dead, Differing, Frozen, Garbled, Honest, Impostor, Lying, Padding, Repeating, Repetitive, Slow,
    };
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
        [Padding, Padding, Honest, Honest, Honest],
        [Repetitive, Padding, Honest, Honest, Honest],
        [Repetitive, Garbled, Honest, Honest, Honest],
    ] {
        let (panel, gathered) = run(manners).await;
        let gathered = gathered.unwrap_or_else(|e| panic!("{manners:?}: {e}"));
        panel.group.verify(MESSAGE, &gathered.signature).unwrap();
        // Evidence is only ever about liars, and is their own signed message.
        for proven in &gathered.culprits {
            let at = usize::from(proven.participant.get()) - 1;
            assert!(matches!(manners[at], Lying | Boasting | Padding | Garbled));
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
    // Nobody is so slow that somebody else is asked instead.
    let ample = Duration::from_mins(1);
    let patience = Patience { request: ample, hurry: ample, total: ample };
    gather(&panel, &subject, MESSAGE.to_vec(), 0, patience).await.unwrap();
    let asked: usize = nodes.iter().map(|n| n.asked_to_sign.load(Ordering::SeqCst)).sum();
    assert_eq!(asked, 3);
}

#[tokio::test]
async fn who_claims_a_longer_log_without_proof_is_named() {
    use Manner::{Boasting, Honest, Renaming};
    let (panel, gathered) = run([Boasting, Honest, Renaming, Honest, Honest]).await;
    let mut named: Vec<_> = gathered.unwrap().culprits.iter().map(|c| (c.participant, c.reason)).collect();
    named.sort();
    let reason = "sees a checkpoint that the log's key has not signed";
    assert_eq!(named, [(pid(1), reason), (pid(3), reason)]);
    assert_eq!(panel.horizon.unwrap().size(), 0, "neither moves what signers must follow");
}

#[tokio::test]
async fn nobody_is_asked_to_sign_beside_an_answer_that_honest_signers_refuse() {
    use Manner::{Boasting, Dead, Garbled, Honest, Padding, Repetitive};
    // The liar is needed: whatever is taken of it goes to the two honest ones.
    for (manner, reason) in [
        (Padding, Some("sees a checkpoint that is too long to be shown")),
        (Boasting, Some("sees a checkpoint that the log's key has not signed")),
        (Garbled, Some("commits to what is no commitment")),
        // Signed by it, but perhaps of another version.
        (Repetitive, None),
    ] {
        let (panel, nodes) = panel([manner, Honest, Honest, Dead, Dead]).await;
        let unsigned = gather(&panel, &subject(), MESSAGE.to_vec(), 0, Patience::default()).await.unwrap_err();
        let named: Vec<_> = unsigned.culprits.iter().map(|c| (c.participant, c.reason)).collect();
        assert_eq!(named, reason.map(|reason| (pid(1), reason)).into_iter().collect::<Vec<_>>(), "{manner:?}");
        assert_eq!(unsigned.refusals, []);
        assert!(nodes.iter().all(|n| n.asked_to_sign.load(Ordering::SeqCst) == 0), "{manner:?}");
    }
}

fn subject() -> SigningSubject {
    SigningSubject::Intent { proposal: Cid::from_digest(Digest::sha256(b"proposal")) }
}

fn told(node: &Arc<Node<Secp256k1>>) -> Vec<String> {
    let mut told = node.told.lock().unwrap().clone();
    told.sort();
    told
}

#[tokio::test]
async fn what_one_signer_sees_the_others_are_told() {
    let (panel, nodes) = panel([Manner::Objecting, Manner::Honest, Manner::Honest, Manner::Honest, Manner::Dead]).await;
    let horizon = panel.horizon.clone().unwrap();
    // When the objection comes before the others have signed, or just after, they are asked again within one gathering,
    // and it is gathered again when it comes later still.
    for _ in 0..2 {
        gather(&panel, &subject(), MESSAGE.to_vec(), 0, Patience::default()).await.unwrap();
        assert!(horizon.size() == 0 || nodes[1..4].iter().all(|n| told(n) == [note(7)]));
    }
    assert_eq!((horizon.size(), horizon.longest()), (7, Some(note(7))));
}

#[tokio::test]
async fn who_objects_with_a_shorter_log_is_heard_as_well() {
    use Manner::{Ahead, Dead, Objecting};
    let (panel, nodes) = panel([Objecting, Ahead, Ahead, Ahead, Dead]).await;
    for _ in 0..2 {
        gather(&panel, &subject(), MESSAGE.to_vec(), 0, Patience::default()).await.unwrap();
    }
    let mut both = [note(7), forked(9)];
    both.sort();
    assert!(nodes[1..4].iter().all(|n| told(n) == both), "they judge whether their log goes on from it");
}

#[tokio::test]
async fn nothing_is_signed_once_two_notes_of_one_size_differ_and_signers_are_told_of_both() {
    use Manner::{Dead, Honest, Parted};
    let (panel, nodes) = panel([Dead, Parted, Honest, Honest, Dead]).await;
    let horizon = panel.horizon.clone().unwrap();
    horizon.hear(&note(7));
    for _ in 0..2 {
        let unsigned = gather(&panel, &subject(), MESSAGE.to_vec(), 0, Patience::default()).await.unwrap_err();
        assert_eq!(unsigned.failure, "the log's key has signed two logs");
        assert!(unsigned.culprits.is_empty(), "no signer is to blame");
    }
    assert_eq!(horizon.fork(), Some([note(7), forked(7)]));
    let mut both = [note(7), forked(7)];
    both.sort();
    assert!(nodes[1..4].iter().all(|n| told(n) == both));
}
