//! The JSON shape of every body, word for word.
#![allow(clippy::unwrap_used, reason = "tests")]

use countersign_messages::{
    Approval, AuditRecord, Base64, CommitReply, CommitRequest, Decision, DkgAccept, DkgAccepted, DkgBegin, DkgConfirm,
    DkgConfirmed, DkgEcho, DkgFinish, DkgGroupKeys, DkgParticipant, DkgRound1, DkgRound1Reply, DkgRound2,
    DkgRound2Reply, DkgSealed, Effect, Envelope, Execution, FreezeReply, FreezeScope, Health, HeldFreeze, Hex,
    LogEntryView, MAX_BODY, MAX_FROZEN, NodeStatus, Nonce, PageOf, Problem, ProblemType, ProposalStatus, ProposalView,
    Refusal, RefusalCode, Seal, SignReply, SignRequest, SigningSubject, Stage, SubmitReply, Suite, Violation, paths,
};
use domain::{Address, ChainId, Cid, Did, Digest, EscrowDomain, PayoutAuthorisation, Time};
use ed25519_dalek::SigningKey;
use serde::{Serialize, de::DeserializeOwned};
use std::fmt::Debug;

fn cid() -> Cid {
    Cid::of(b"proposal")
}

fn digest() -> Digest {
    Digest::sha256(b"digest")
}

fn did() -> Did {
    Did::from_key([1; 32])
}

fn hex(byte: u8) -> Hex {
    Hex(vec![byte; 3])
}

/// Checks that a value survives its JSON and that a field nobody knows is refused at its top, and returns the JSON.
fn shape<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) -> String {
    let text = serde_json::to_string_pretty(value).unwrap();
    assert_eq!(&serde_json::from_str::<T>(&text).unwrap(), value);
    let mut json: serde_json::Value = serde_json::from_str(&text).unwrap();
    if let Some(object) = json.as_object_mut() {
        object.insert("surprise".into(), 1.into());
        assert!(serde_json::from_str::<T>(&json.to_string()).is_err(), "an unknown field was accepted: {text}");
    }
    text
}

/// An answer as a node signs it.
fn answer<T: Serialize>(body: &T) -> Envelope {
    let (path, at, nonce) = (paths::SESSION_COMMIT, Time::from_unix(1_800_000_000), Nonce([4; 16]));
    let seal = Seal { path, to: did(), at, nonce, in_reply_to: Some(digest()) };
    Envelope::seal(&SigningKey::from_bytes(&[3; 32]), &seal, body).unwrap()
}

#[test]
fn subjects() {
    let all = [
        SigningSubject::Intent { proposal: cid() },
        SigningSubject::Administration { administration: digest() },
        SigningSubject::Checkpoint { note: "origin\n7\n…\n".to_owned() },
        SigningSubject::DkgTest { ceremony: digest(), suite: Suite::Ed25519 },
    ];
    insta::assert_snapshot!("subjects", all.iter().map(shape).collect::<Vec<_>>().join("\n"));
    assert_eq!(all.map(|s| s.suite()), [Suite::Secp256k1, Suite::Secp256k1, Suite::Ed25519, Suite::Ed25519]);
}

#[test]
fn sessions() {
    let subject = SigningSubject::Checkpoint { note: "origin\n7\n…\n".to_owned() };
    let note = "origin\n8\n…\n".to_owned();
    let notes = vec![note.clone(), "origin\n9\n…\n".to_owned()];
    let commit = CommitReply {
        participant: 1,
        epoch: 1,
        suite: Suite::Ed25519,
        commitment_id: digest(),
        commitment: hex(2),
        subject: subject.digest(),
        checkpoint: None,
    };
    let commitments = vec![answer(&commit)];
    let shapes = [
        shape(&CommitRequest { subject: subject.clone(), min_seq: 6, checkpoints: Vec::new() }),
        shape(&CommitRequest { subject: subject.clone(), min_seq: 6, checkpoints: notes.clone() }),
        shape(&commit),
        shape(&CommitReply { checkpoint: Some(note), ..commit }),
        shape(&SignRequest { subject, epoch: 1, commitments, checkpoints: notes.clone() }),
        shape(&SignReply { participant: 1, share: hex(3), message: digest() }),
        shape(&Refusal::new(RefusalCode::StaleView, "the newest checkpoint is 75 s old")),
        shape(&Refusal { culprits: vec![3], retry_after: Some(5), ..Refusal::new(RefusalCode::DkgFailed, "x") }),
        shape(&Refusal { checkpoints: notes, ..Refusal::new(RefusalCode::Frozen, "x") }),
    ];
    insta::assert_snapshot!("sessions", shapes.join("\n"));
}

#[test]
fn node_and_freeze() {
    let scopes = [
        FreezeScope::All {},
        FreezeScope::Tenant { tenant: did() },
        FreezeScope::Plugin { plugin: "com.example.payouts".parse().unwrap() },
        FreezeScope::Installation { installation: did() },
        FreezeScope::Action { action: "/proposal/payout".into() },
    ];
    let held = |scope| HeldFreeze {
        statement: Cid::of(b"freeze"),
        realm: did(),
        scope,
        expires_at: Time::from_unix(1_800_000_900),
    };
    let status = NodeStatus {
        node: did(),
        participant: Some(1),
        epochs: vec![1],
        active_epoch: Some(1),
        head: Some(41),
        view_time: Some(Time::from_unix(1_800_000_000)),
        fresh: true,
        frozen: scopes.clone().map(held).to_vec(),
        frozen_count: 5,
        halted: None,
        checkpoints: vec!["origin\n8\n…\n".to_owned()],
        open_commitments: 0,
        version: "0.1.0".into(),
    };
    let shapes = [shape(&status), shape(&FreezeReply { statement: cid(), frozen: Vec::new() })];
    insta::assert_snapshot!("node_and_freeze", shapes.join("\n"));
    for scope in &scopes {
        shape(scope);
    }
}

#[test]
fn the_longest_list_of_freezes_fits_into_a_body() {
    let held = HeldFreeze {
        statement: Cid::of(b"freeze"),
        realm: did(),
        scope: FreezeScope::Plugin { plugin: format!("com.{}", "x".repeat(96)).parse().unwrap() },
        expires_at: Time::from_unix(u64::MAX),
    };
    let list = serde_json::to_vec(&vec![held; MAX_FROZEN]).unwrap();
    assert!(list.len() * 2 < MAX_BODY, "{}", list.len());
}

#[test]
fn key_generation() {
    let ceremony = digest();
    let keys = DkgGroupKeys { secp256k1: hex(1), ed25519: hex(2) };
    let participants = vec![DkgParticipant { id: 1, node: did(), url: "http://127.0.0.1:7701".parse().unwrap() }];
    let shapes = [
        shape(&DkgBegin { ceremony, epoch: 1, threshold: 2, participants }),
        shape(&DkgRound1Reply { ceremony, participant: 1, secp256k1: hex(1), ed25519: hex(2), sealing_key: hex(3) }),
        shape(&DkgRound1 { ceremony, replies: vec![] }),
        shape(&DkgEcho { ceremony, participant: 1, echo: digest(), sealing_keys: digest() }),
        shape(&DkgRound2 { ceremony, echoes: vec![] }),
        shape(&DkgRound2Reply { ceremony, participant: 1, packages: vec![DkgSealed { to: 2, sealed: hex(4) }] }),
        shape(&DkgFinish { ceremony, replies: vec![] }),
        shape(&DkgConfirmed {
            ceremony,
            participant: 1,
            confirmation: digest(),
            group_keys: keys.clone(),
            packages: keys,
        }),
        shape(&DkgConfirm { ceremony, confirmations: vec![] }),
        shape(&DkgAccept { ceremony, secp256k1: hex(1), ed25519: hex(2) }),
        shape(&DkgAccepted { ceremony, participant: 1, usable: true }),
    ];
    insta::assert_snapshot!("key_generation", shapes.join("\n"));
}

fn decision() -> Decision {
    Decision {
        effect: Effect::Review,
        violations: vec![Violation { code: "large_payout".into(), msg: "above 1000".into() }],
        approvals_required: 2,
        bundle: digest(),
        input: digest(),
        engine: "regorus-0.14.1".into(),
    }
}

fn proposal() -> ProposalView {
    let at = Time::from_unix(1_800_000_000);
    ProposalView {
        id: cid(),
        seq: 12,
        status: ProposalStatus::Submitted,
        decision: decision(),
        command: "/proposal/payout".into(),
        intent: serde_json::json!({"total": 9_007_199_254_740_991_u64}),
        approvals: vec![Approval { principal: did(), issuer: did(), at, statement: cid() }],
        review_digest: digest(),
        audit_trail: vec![AuditRecord { seq: 12, at, command: "/proposal/payout".into(), issuer: did() }],
        execution: Some(Execution { stage: Stage::Submitted, transaction: Some("0xab".into()), block: None }),
        waits_for: Some("the chain".into()),
        authorisation: Some(PayoutAuthorisation {
            domain: EscrowDomain { chain: ChainId(1), contract: Address([2; 20]) },
            intent: digest(),
            installation: digest(),
            order: digest(),
            asset: Address([0; 20]),
            recipients: vec![Address([3; 20])],
            amounts: vec![u128::MAX.to_string().try_into().unwrap()],
            valid_until: at,
            epoch: 1,
        }),
    }
}

#[test]
fn control_plane() {
    let least = ProposalView { execution: None, waits_for: None, authorisation: None, approvals: vec![], ..proposal() };
    let full = SubmitReply { id: cid(), seq: 1, status: Some(ProposalStatus::Review), decision: Some(decision()) };
    let shapes = [
        shape(&proposal()),
        shape(&least),
        shape(&full),
        shape(&SubmitReply { id: cid(), seq: 1, status: None, decision: None }),
        shape(&LogEntryView { seq: 0, entry: Base64(vec![1]), tokens: vec![Base64(vec![2, 3])] }),
        shape(&PageOf { items: vec![1, 2], next: Some("2".into()) }),
        shape(&PageOf::<u8> { items: vec![], next: None }),
        shape(&Health { ready: true, leader: false, head: None, version: "0.1.0".into() }),
    ];
    insta::assert_snapshot!("control_plane", shapes.join("\n"));
}

#[test]
fn every_status_has_one_word() {
    for status in ProposalStatus::ALL {
        assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
        assert_eq!(ProposalStatus::parse(status.as_str()), Some(*status));
    }
    let words: Vec<_> = ProposalStatus::ALL.iter().map(|s| s.as_str()).collect();
    assert_eq!(words.join(" "), "review approved denied refused cancelled expired submitted included final void");
    assert_eq!(ProposalStatus::parse("Final"), None);
}

#[test]
fn every_refusal_code_has_one_word() {
    for code in RefusalCode::ALL {
        assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
    }
    let words: Vec<_> = RefusalCode::ALL.iter().map(|c| c.as_str()).collect();
    insta::assert_snapshot!("refusal_codes", words.join("\n"));
}

#[test]
fn every_problem_type_is_stable() {
    let mut lines = Vec::new();
    for kind in ProblemType::ALL {
        assert_eq!(ProblemType::parse(kind.uri()), Some(*kind));
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.uri());
        assert!((400..600).contains(&kind.status()));
        lines.push(format!("{} {} {}", kind.status(), kind.uri(), kind.title()));
    }
    insta::assert_snapshot!("problem_types", lines.join("\n"));
    assert_eq!(ProblemType::parse("not-found"), None);
    let most = Problem::new(ProblemType::ArgsInvalid, "bps is 1 to 10000")
        .with_field("splits[1].bps")
        .with_hop(2)
        .with_cid(cid())
        .with_retry_after(5)
        .with_violations(vec![Violation { code: "c".into(), msg: "m".into() }]);
    let shapes = [shape(&Problem::new(ProblemType::NotFound, "no such proposal")), shape(&most)];
    insta::assert_snapshot!("problems", shapes.join("\n"));
}

#[test]
fn bytes_have_one_spelling() {
    assert_eq!(Hex::parse("00ff"), Some(Hex(vec![0, 255])));
    for text in ["0", "0G", "FF", "0x00", " 00", "é"] {
        assert_eq!(Hex::parse(text), None, "{text}");
    }
    assert_eq!(Base64::parse("AQI="), Some(Base64(vec![1, 2])));
    for text in ["AQI", "AQJ=", "AQI=\n", "_-8=", "AQ=="] {
        assert_ne!(Base64::parse(text), Some(Base64(vec![1, 2])), "{text}");
    }
}
