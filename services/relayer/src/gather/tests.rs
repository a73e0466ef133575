//! What comes in an order that no network can be made to keep.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "tests")]

#[path = "../../tests/relayer/keys.rs"]
mod keys;

use super::*;
use client::Ambient;
use domain::{Cid, Did, Time};
use ed25519_dalek::SigningKey;
use keyfile::Identity;
use keys::pid;
use log::{Checkpoint, NoteKey, Tree, leaf_hash};
use messages::{Hex, Nonce, Seal};
use rand::{SeedableRng as _, rngs::StdRng};
use serde::Serialize;
use threshold::{CommitmentSet, KeyShare, NoncePool, Secp256k1};

const MESSAGE: &[u8; 32] = b"thirty-two bytes of one message.";
const ORIGIN: &str = "log.example.com/test";

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn did(seed: u8) -> Did {
    Identity::from_key(key(seed)).did()
}

fn subject() -> SigningSubject {
    SigningSubject::Intent { proposal: Cid::from_digest(Digest::sha256(b"proposal")) }
}

/// The key of a participant's node.
fn node(id: ParticipantId) -> SigningKey {
    key(id.get().try_into().unwrap())
}

/// A signer's answer.
fn exchange<T: Serialize>(from: ParticipantId, path: &str, reply: T) -> Exchange<T> {
    let (at, request) = (Ambient::system().now(), Digest::sha256(b"request"));
    let seal = Seal { path, to: did(200), at, nonce: Nonce([0; 16]), in_reply_to: Some(request) };
    let envelope = Envelope::seal(&node(from), &seal, &reply).unwrap();
    Exchange { reply, envelope, request }
}

struct Signer {
    share: KeyShare<Secp256k1>,
    pool: NoncePool<Secp256k1>,
}

impl Signer {
    fn of(keys: threshold::dkg::Keys) -> Self {
        Self { share: keys.secp256k1, pool: NoncePool::new(64.try_into().unwrap()) }
    }

    fn commit(&mut self) -> Answer {
        let id = self.share.id();
        let made = self.pool.commit(&self.share, None, &mut rand::rngs::OsRng).unwrap();
        let reply = CommitReply {
            participant: id.get(),
            epoch: 1,
            suite: subject().suite(),
            commitment_id: made.id,
            commitment: Hex(made.bytes),
            subject: subject().digest(),
            checkpoint: None,
        };
        Answer::Commitment(id, Ok(exchange(id, paths::SESSION_COMMIT, reply)))
    }

    fn sign(&mut self, attempt: SessionNumber, commitments: &[(ParticipantId, Vec<u8>)]) -> Answer {
        let id = self.share.id();
        let set = CommitmentSet::new(self.share.group(), commitments.iter().map(|(p, b)| (*p, b))).unwrap();
        let share = self.pool.sign(&self.share, Digest::sha256(b"session"), &set, MESSAGE).unwrap();
        let reply = SignReply { participant: id.get(), share: Hex(share), message: Digest::sha256(MESSAGE) };
        Answer::Share(id, attempt, Ok(exchange(id, paths::SESSION_SIGN, reply)))
    }
}

fn panel(group: GroupKey<Secp256k1>) -> Panel<Secp256k1> {
    let client = |id: &ParticipantId| {
        let (base, did) = ("http://127.0.0.1:9".parse().unwrap(), Identity::from_key(node(*id)).did());
        let client = SignerClient::new(base, did, Identity::from_key(key(200)), Ambient::system());
        (*id, Arc::new(client.unwrap()))
    };
    let signers = group.participants().iter().map(client).collect();
    let log = NoteKey::new(ORIGIN.parse().unwrap(), &did(201)).unwrap();
    Panel { epoch: 1, group, signers, horizon: Some(Arc::new(Horizon::new(log))) }
}

fn refusal() -> Refusal {
    let tree = Tree::from_leaves([leaf_hash(b"entry")]);
    let note = Checkpoint::of(ORIGIN.parse().unwrap(), &tree, Time::from_unix(9)).sign(&key(201)).to_string();
    Refusal { checkpoints: vec![note], ..Refusal::new(RefusalCode::Frozen, "frozen") }
}

/// Two of four sign, and the fourth objects.
#[test]
fn a_share_that_comes_after_the_signature_is_not_what_made_it() {
    let keys = keys::generate(4, 2, &mut StdRng::seed_from_u64(4));
    let mut signers: Vec<Signer> = keys.into_iter().map(Signer::of).collect();
    let panel = panel(signers[0].share.group().clone());
    let (subject, patience) = (subject(), Patience::default());
    let task = Task { panel: &panel, subject: &subject, min_seq: 0, patience, message: MESSAGE.to_vec() };
    let (coordinator, _) = Coordinator::new(panel.group.clone(), task.message.clone());
    let (answers, told, digest) = (BTreeMap::new(), BTreeMap::new(), Digest::sha256(MESSAGE));
    let mut found = Findings::default();
    let mut session = Session { task: &task, digest, coordinator, found: &mut found, answers, told, last: 0 };
    // Asks what is wanted, without waiting for it, and gives what the attempt's signers are to sign.
    let ask = |session: &mut Session<'_, Secp256k1>, requests: Vec<Request>| {
        let commitments = requests.iter().find_map(|r| match r {
            Request::Sign { commitments, .. } => Some(commitments.clone()),
            Request::Commit { .. } => None,
        });
        for request in requests {
            drop(session.ask(request));
        }
        commitments
    };

    // The first attempt is of the first two.
    let requests = session.take(signers[0].commit());
    assert_eq!(ask(&mut session, requests), None);
    let requests = session.take(signers[1].commit());
    let first = ask(&mut session, requests).unwrap();
    session.take(signers[1].sign(0, &first));
    // The fourth objects after they were asked, and what it shows is told to the second attempt: of the second and third.
    session.take(Answer::Commitment(pid(4), Err(ClientError::Refused(Box::new(refusal())))));
    session.take(signers[2].commit());
    let requests = session.coordinator.hurry();
    assert_eq!(ask(&mut session, requests), None);
    let requests = session.take(signers[1].commit());
    let second = ask(&mut session, requests).unwrap();
    assert_eq!(second.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [pid(2), pid(3)]);
    for at in [1, 2] {
        session.take(signers[at].sign(1, &second));
    }
    let signature = session.coordinator.outcome().unwrap().clone().unwrap();
    panel.group.verify(MESSAGE, &signature).unwrap();
    // The first has been slow.
    session.take(signers[0].sign(0, &first));
    assert!(!session.told[&0].cover(&session.found.objections) && session.told[&1].cover(&session.found.objections));
    assert_eq!(session.last, 1, "those who signed have been told");
}

/// What a signer is told before it commits for the first epoch.
fn told(panel: &Panel<Secp256k1>, to: ParticipantId) -> Vec<String> {
    panel.commit_request(to, &subject(), 0, &Notes::default()).checkpoints
}

#[test]
fn everyone_is_told_of_the_appointment_until_it_agrees() {
    let keys = keys::generate(4, 2, &mut StdRng::seed_from_u64(4));
    let mut signer = keys.into_iter().next().map(Signer::of).unwrap();
    let panel = panel(signer.share.group().clone());
    let (horizon, [note]) = (panel.horizon.clone().unwrap(), <[String; 1]>::try_from(refusal().checkpoints).unwrap());
    assert_eq!(told(&panel, pid(1)), [""; 0]);
    horizon.appoint(1, log::Note::parse(&note).unwrap().signed_by_log(horizon.key()).unwrap());
    assert!((1..=4).all(|id| told(&panel, pid(id)) == [note.as_str()]));

    let (subject, patience) = (subject(), Patience::default());
    let task = Task { panel: &panel, subject: &subject, min_seq: 0, patience, message: MESSAGE.to_vec() };
    let (coordinator, _) = Coordinator::new(panel.group.clone(), task.message.clone());
    let (answers, told_of, digest) = (BTreeMap::new(), BTreeMap::new(), Digest::sha256(MESSAGE));
    let mut found = Findings::default();
    let mut session = Session { task: &task, digest, coordinator, found: &mut found, answers, told: told_of, last: 0 };
    session
        .take(Answer::Commitment(pid(2), Err(ClientError::Refused(Box::new(Refusal::new(RefusalCode::Busy, "no"))))));
    session.take(signer.commit());
    assert_eq!(told(&panel, pid(1)), [""; 0]);
    assert_eq!(told(&panel, pid(2)), [note.as_str()], "who refuses has agreed to nothing");
    let other = Panel { epoch: 2, ..panel.clone() };
    assert_eq!(told(&other, pid(2)), [""; 0], "another epoch is appointed by another entry");
}
