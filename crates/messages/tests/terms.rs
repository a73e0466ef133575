//! Answers to requests for commitments, as coordinators and signers open them.
#![allow(clippy::unwrap_used, reason = "tests")]

use countersign_messages::{
    Base64, CLOCK_TOLERANCE, CommitReply, CommitTerms, Envelope, EnvelopeError, Expected, FORWARDED_TOLERANCE, Hex,
    MAX_CHECKPOINT, Nonce, Refusal, RefusalCode, Seal, Suite, TermsError, paths,
};
use domain::{Did, Digest, Time};
use ed25519_dalek::{Signer as _, SigningKey};
use serde::Serialize;

const NOW: Time = Time::from_unix(1_800_000_000);

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn did(seed: u8) -> Did {
    Did::from_key(key(seed).verifying_key().to_bytes())
}

fn reply() -> CommitReply {
    CommitReply {
        participant: 3,
        epoch: 1,
        suite: Suite::Secp256k1,
        commitment_id: Digest::sha256(b"id"),
        commitment: Hex(vec![2; 70]),
        subject: Digest::sha256(b"subject"),
        checkpoint: None,
    }
}

fn sealed<T: Serialize>(path: &str, body: &T) -> Envelope {
    let in_reply_to = Some(Digest::sha256(b"request"));
    Envelope::seal(&key(1), &Seal { path, to: did(2), at: NOW, nonce: Nonce([7; 16]), in_reply_to }, body).unwrap()
}

/// The answer with another text as its body, signed.
fn saying(text: &str) -> Envelope {
    let mut envelope = sealed(paths::SESSION_COMMIT, &reply());
    envelope.body = Base64(text.as_bytes().to_vec());
    envelope.signature = Base64(key(1).sign(&envelope.signed_bytes()).to_bytes().to_vec());
    envelope
}

fn open_at(envelope: &Envelope, now: Time, tolerance: u64) -> Result<CommitReply, TermsError> {
    let (node, subject) = (did(1), Digest::sha256(b"subject"));
    let terms = CommitTerms { participant: 3, node: &node, epoch: 1, suite: Suite::Secp256k1, subject };
    terms.open(envelope, now, tolerance)
}

fn open(envelope: &Envelope) -> Result<CommitReply, TermsError> {
    open_at(envelope, NOW, CLOCK_TOLERANCE)
}

fn text() -> String {
    serde_json::to_string(&reply()).unwrap()
}

#[test]
fn an_answer_on_the_terms_opens() {
    assert_eq!(open(&sealed(paths::SESSION_COMMIT, &reply())).unwrap(), reply());
    let longest = CommitReply { checkpoint: Some("n".repeat(MAX_CHECKPOINT)), ..reply() };
    assert_eq!(open(&sealed(paths::SESSION_COMMIT, &longest)).unwrap(), longest);
}

#[test]
fn an_answer_of_another_session_is_told_from_a_lie() {
    for other in [
        CommitReply { participant: 4, ..reply() },
        CommitReply { epoch: 2, ..reply() },
        CommitReply { suite: Suite::Ed25519, ..reply() },
        CommitReply { subject: Digest::sha256(b"other"), ..reply() },
    ] {
        assert!(matches!(open(&sealed(paths::SESSION_COMMIT, &other)), Err(TermsError::Session)), "{other:?}");
    }
    let longer = CommitReply { checkpoint: Some("n".repeat(MAX_CHECKPOINT + 1)), ..reply() };
    assert!(matches!(open(&sealed(paths::SESSION_COMMIT, &longer)), Err(TermsError::Checkpoint)));
    assert!(matches!(
        open(&sealed(paths::SESSION_SIGN, &reply())),
        Err(TermsError::Envelope(EnvelopeError::WrongPath))
    ));
}

#[test]
fn what_is_said_twice_or_beside_the_point_is_malformed_for_everybody() {
    let expected_to = did(2);
    for text in [
        text().replace("\"epoch\":1", "\"epoch\":1,\"epoch\":1"),
        text().replace("\"epoch\":1", "\"epoch\":2,\"epoch\":1"),
        text().replace("\"epoch\":1", "\"epoch\":1,\"more\":1"),
        text().replace("\"epoch\":1", "\"epoch\":1.0"),
        text() + "1",
        text().replace("\"epoch\":1,", ""),
    ] {
        let envelope = saying(&text);
        assert!(matches!(open(&envelope), Err(TermsError::Envelope(EnvelopeError::MalformedBody(_)))), "{text}");
        let expected = Expected {
            to: &expected_to,
            path: paths::SESSION_COMMIT,
            in_reply_to: envelope.in_reply_to,
            now: NOW,
            tolerance: CLOCK_TOLERANCE,
            is_pinned: &|node| *node == did(1),
        };
        let asked = envelope.open_answer::<CommitReply>(&expected);
        assert!(matches!(asked, Err(EnvelopeError::MalformedBody(_))), "who asked: {text}");
    }
}

#[test]
fn who_asks_tells_an_answer_from_a_refusal() {
    let to = did(2);
    let expected = |in_reply_to| Expected {
        to: &to,
        path: paths::SESSION_COMMIT,
        in_reply_to,
        now: NOW,
        tolerance: CLOCK_TOLERANCE,
        is_pinned: &|node| *node == did(1),
    };
    let answer = sealed(paths::SESSION_COMMIT, &reply());
    let opened = answer.open_answer::<CommitReply>(&expected(answer.in_reply_to)).unwrap();
    assert_eq!((opened.from(), opened.into_body()), (did(1), Ok(reply())));
    let refusal = Refusal { culprits: vec![2], ..Refusal::new(RefusalCode::BadView, "no") };
    let refused = sealed(paths::SESSION_COMMIT, &refusal);
    let opened = refused.open_answer::<CommitReply>(&expected(refused.in_reply_to)).unwrap();
    assert_eq!(opened.into_body(), Err(refusal));
    let other = Some(Digest::sha256(b"another request"));
    assert!(matches!(answer.open_answer::<CommitReply>(&expected(other)), Err(EnvelopeError::WrongExchange)));
}

#[test]
fn what_a_coordinator_takes_by_its_clock_every_signer_takes_by_its_own() {
    let envelope = sealed(paths::SESSION_COMMIT, &reply());
    // The coordinator is ahead of whoever answered, or behind, by as much as it takes; a session later its request is as
    // far away from the clock of the signer.
    let session = 60;
    for coordinator in [NOW.plus(CLOCK_TOLERANCE), Time::from_unix(NOW.unix() - CLOCK_TOLERANCE)] {
        open_at(&envelope, coordinator, CLOCK_TOLERANCE).unwrap();
        for asked in [coordinator, coordinator.plus(session)] {
            for signer in [asked.plus(CLOCK_TOLERANCE), Time::from_unix(asked.unix() - CLOCK_TOLERANCE)] {
                open_at(&envelope, signer, FORWARDED_TOLERANCE).unwrap();
            }
        }
    }
    let late = NOW.plus(CLOCK_TOLERANCE + 1);
    let stale = open_at(&envelope, late, CLOCK_TOLERANCE);
    assert!(matches!(stale, Err(TermsError::Envelope(EnvelopeError::Stale { .. }))));
}
