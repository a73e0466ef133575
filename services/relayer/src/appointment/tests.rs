//! What a control plane can make a relayer believe of whom the operator has appointed.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "tests")]

use super::*;
use axum::{Json, Router, routing::get};
use domain::{Cid, Time};
use ed25519_dalek::SigningKey;
use log::{Checkpoint, NoteKey, Tree};
use messages::{Base64, ProofView};
use serde_json::json;
use ucan::{
    Ipld,
    issue::{NewDelegation, NewInvocation, delegate, did_of, invoke},
};

const OPERATOR: u8 = 1;
const SEQUENCER: u8 = 2;
const ADMIN: u8 = 3;
const ORIGIN: &str = "log.example.com/test";
const AT: Time = Time::from_unix(1_800_000_000);

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn did(seed: u8) -> Did {
    did_of(&key(seed))
}

/// A statement, by whom and in whose realm it is made, and the delegations beside it.
struct Case {
    command: &'static str,
    by: u8,
    subject: u8,
    audience: u8,
    expires_at: Time,
    named: bool,
    proofs: Vec<Verified<Delegation>>,
}

impl Case {
    fn by(by: u8, proofs: Vec<Verified<Delegation>>) -> Self {
        let expires_at = AT.plus(300);
        Self { command: "/quorum/set", by, subject: OPERATOR, audience: SEQUENCER, expires_at, named: true, proofs }
    }

    fn made(self) -> LogEntryView {
        let mut new = NewInvocation::new(did(self.subject), self.command.parse().unwrap(), [1; 12]);
        let member = json!({"id": 1, "node": did(11), "url": "http://127.0.0.1:7711"});
        let participants = if self.named { json!([member]) } else { json!("everybody") };
        let args = json!({
            "epoch": 1, "threshold": 2, "participants": participants,
            "keys": {"secp256k1": "02", "ed25519": did(20)}, "packages": {"secp256k1": "00", "ed25519": "00"},
        });
        let Ipld::Map(args) = serde_json::from_value(args).unwrap() else { panic!("args are a map") };
        new.args = args;
        new.audience = Some(did(self.audience));
        new.proofs = self.proofs.iter().map(|proof| proof.cid()).collect();
        new.expiration = Some(self.expires_at);
        let token = invoke(&key(self.by), new).unwrap();
        let tokens = [token.bytes()].into_iter().chain(self.proofs.iter().map(|proof| proof.bytes()));
        entry(7, token.cid(), tokens.map(|bytes| Base64(bytes.to_vec())).collect())
    }
}

fn entry(seq: u64, stmt: Cid, tokens: Vec<Base64>) -> LogEntryView {
    let entry = Entry { seq, prev: Hash::ZERO, at: AT, stmt, out: Ipld::Null };
    LogEntryView { seq, entry: Base64(entry.encode().unwrap()), tokens }
}

fn entitled(by: u8, to: u8, command: &str) -> Verified<Delegation> {
    let new = NewDelegation::new(did(to), did(OPERATOR), command.parse().unwrap(), [to; 12]);
    delegate(&key(by), new).unwrap()
}

fn read(shown: &LogEntryView) -> Result<QuorumView, AppointmentError> {
    stated(shown, did(OPERATOR), did(SEQUENCER))
}

#[test]
fn the_operator_and_whom_it_entitles_appoint() {
    let quorum = read(&Case::by(OPERATOR, vec![]).made()).unwrap();
    assert_eq!((quorum.epoch, quorum.participants[0].node), (1, did(11)));
    assert_eq!(read(&Case::by(ADMIN, vec![entitled(OPERATOR, ADMIN, "/quorum")]).made()).unwrap(), quorum);
    let chain = vec![entitled(OPERATOR, 4, "/"), entitled(4, ADMIN, "/quorum/set")];
    assert_eq!(read(&Case::by(ADMIN, chain).made()).unwrap(), quorum);
}

#[test]
fn nobody_else_does() {
    let late = AT.plus(3_600);
    for (what, case) in [
        ("the sequencer", Case::by(SEQUENCER, vec![])),
        ("somebody entitled to something else", Case::by(ADMIN, vec![entitled(OPERATOR, ADMIN, "/escrow")])),
        ("somebody entitled by a stranger", Case::by(ADMIN, vec![entitled(4, ADMIN, "/quorum")])),
        ("a stranger in its own realm", Case { subject: ADMIN, ..Case::by(ADMIN, vec![]) }),
        ("the operator, to another control plane", Case { audience: 9, ..Case::by(OPERATOR, vec![]) }),
    ] {
        assert!(matches!(read(&case.made()), Err(AppointmentError::Denied(_))), "{what}");
    }
    let expired = Case { expires_at: Time::from_unix(AT.unix() - 3_600), ..Case::by(OPERATOR, vec![]) };
    assert!(matches!(read(&expired.made()), Err(AppointmentError::Denied(_))));
    read(&Case { expires_at: late, ..Case::by(OPERATOR, vec![]) }.made()).unwrap();
    // The chain is there, but for one link.
    let mut cut = Case::by(ADMIN, vec![entitled(OPERATOR, ADMIN, "/quorum")]).made();
    cut.tokens.truncate(1);
    assert!(matches!(read(&cut), Err(AppointmentError::Denied(_))));
}

#[test]
fn an_entry_of_something_else_appoints_nobody() {
    let right = Case::by(OPERATOR, vec![]).made();
    let other = entry(7, Cid::of(b"another statement"), right.tokens.clone());
    let elsewhere = LogEntryView { seq: 8, ..right.clone() };
    let bare = LogEntryView { tokens: vec![], ..right.clone() };
    let scribbled = LogEntryView { entry: Base64(b"entry".to_vec()), ..right };
    let another = Case { command: "/escrow/administer", ..Case::by(OPERATOR, vec![]) }.made();
    let nameless = Case { named: false, ..Case::by(OPERATOR, vec![]) }.made();
    for shown in [other, elsewhere, bare, scribbled, another, nameless] {
        assert!(matches!(read(&shown), Err(AppointmentError::Foreign)), "{shown:?}");
    }
}

/// A control plane that shows this statement, its checkpoint of `size` entries, and as a proof what its tree gives.
async fn plane(shown: LogEntryView, in_tree: &LogEntryView, size: u64, signer: u8) -> ControlPlane {
    let leaves: Vec<Hash> = (0..size)
        .map(|seq| if seq == in_tree.seq { leaf_hash(&in_tree.entry.0) } else { leaf_hash(&seq.to_be_bytes()) })
        .collect();
    let tree = Tree::from_leaves(leaves.clone());
    let note = Checkpoint::of(ORIGIN.parse().unwrap(), &tree, AT).sign(&key(signer)).to_string();
    let tile = move |wanted: log::TileRef| {
        let width = usize::from(wanted.width);
        let hashes = leaves.iter().take(width).flat_map(|leaf| *leaf.as_bytes()).collect();
        (wanted.level == 0).then_some(hashes)
    };
    let seq = shown.seq;
    let hashes = log::inclusion_proof(size.max(seq + 1), seq, &tile).unwrap_or_default();
    let proof = ProofView { hashes: hashes.iter().map(|h| domain::Digest::from_bytes(*h.as_bytes())).collect() };
    let router = Router::new()
        .route("/v1/quorum/statement", get(|| async move { Json(shown) }))
        .route("/v1/log/checkpoint", get(|| async move { note }))
        .route("/v1/log/proofs/inclusion", get(|| async move { Json(proof) }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    ControlPlane::new(url, None).unwrap()
}

async fn found(plane: &ControlPlane, horizon: &Horizon) -> Result<Option<Appointment>, AppointmentError> {
    appointed(plane, horizon, did(OPERATOR), did(SEQUENCER)).await
}

fn horizon() -> Horizon {
    Horizon::new(NoteKey::new(ORIGIN.parse().unwrap(), &did(SEQUENCER)).unwrap())
}

#[tokio::test]
async fn the_statement_must_be_in_the_log_that_signers_are_told_of() {
    let right = Case::by(OPERATOR, vec![]).made();
    let known = horizon();
    let appointed = found(&plane(right.clone(), &right, 9, SEQUENCER).await, &known).await.unwrap().unwrap();
    assert_eq!(appointed.covered_by.checkpoint().size, 9);
    assert_eq!(known.longest().as_deref(), Some(appointed.covered_by.note()), "they are told of nothing else");

    // Signed by the operator, and never taken by the ledger: another entry is in its place.
    let other = entry(7, Cid::of(b"another statement"), vec![]);
    let refused = found(&plane(right.clone(), &other, 9, SEQUENCER).await, &horizon()).await;
    assert!(matches!(refused, Err(AppointmentError::Unproven)), "{refused:?}");
    let early = found(&plane(right.clone(), &right, 7, SEQUENCER).await, &horizon()).await;
    assert!(matches!(early, Err(AppointmentError::Early)), "{early:?}");
    let unsigned = found(&plane(right.clone(), &right, 9, ADMIN).await, &horizon()).await;
    assert!(matches!(unsigned, Err(AppointmentError::Early)), "{unsigned:?}");
    // What is known of the log counts, not what the control plane would rather show.
    let again = Case { expires_at: AT.plus(301), ..Case::by(OPERATOR, vec![]) }.made();
    found(&plane(again.clone(), &again, 9, SEQUENCER).await, &horizon()).await.unwrap().unwrap();
    let parted = found(&plane(again.clone(), &again, 9, SEQUENCER).await, &known).await;
    assert!(matches!(parted, Err(AppointmentError::Unproven)), "{parted:?}");
}
