//! Envelopes: what opens, and that nothing else does.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use countersign_messages::{
    Base64, Direction, Envelope, EnvelopeError, Expected, MAX_BODY, Nonce, Opened, ReplayGuard, Replayed, Seal, paths,
};
use domain::{Did, Digest, Time};
use ed25519_dalek::{Signer, SigningKey};
use proptest::prelude::*;
use std::num::NonZeroUsize;

const NOW: Time = Time::from_unix(1_800_000_000);

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn did(seed: u8) -> Did {
    Did::from_key(key(seed).verifying_key().to_bytes())
}

fn seal(in_reply_to: Option<Digest>) -> Seal<'static> {
    Seal { path: paths::SESSION_SIGN, to: did(2), at: NOW, nonce: Nonce([7; 16]), in_reply_to }
}

fn sealed(in_reply_to: Option<Digest>) -> Envelope {
    Envelope::seal(&key(1), &seal(in_reply_to), &vec![1_u8, 2]).unwrap()
}

fn open_at(
    e: &Envelope,
    to: &Did,
    path: &str,
    reply: Option<Digest>,
    now: Time,
) -> Result<Opened<Vec<u8>>, EnvelopeError> {
    let pinned = |d: &Did| *d == did(1);
    e.open(&Expected { to, path, in_reply_to: reply, now, tolerance: 30, is_pinned: &pinned })
}

fn open(e: &Envelope) -> Result<Opened<Vec<u8>>, EnvelopeError> {
    open_at(e, &did(2), paths::SESSION_SIGN, None, NOW)
}

#[test]
fn what_is_sealed_opens() {
    let envelope = sealed(None);
    let opened = open(&envelope).unwrap();
    assert_eq!((opened.body(), opened.from(), opened.at()), (&vec![1, 2], did(1), NOW));
    assert_eq!(opened.digest(), envelope.digest());
    let again: Envelope = serde_json::from_str(&serde_json::to_string(&envelope).unwrap()).unwrap();
    assert_eq!(again, envelope);
}

#[test]
fn json_and_signed_bytes_are_fixed() {
    let envelope = sealed(Some(Digest::sha256(b"request")));
    insta::assert_snapshot!("envelope_json", serde_json::to_string_pretty(&envelope).unwrap());
    insta::assert_snapshot!("envelope_signed_bytes", countersign_messages::Hex(envelope.signed_bytes()).to_text());
    assert_eq!(envelope.digest(), Digest::sha256(&envelope.signed_bytes()));
}

#[test]
fn an_envelope_opens_only_where_it_belongs() {
    use EnvelopeError as E;
    let (e, request) = (sealed(None), Digest::sha256(b"request"));
    let sign = paths::SESSION_SIGN;
    assert!(matches!(open_at(&e, &did(3), sign, None, NOW), Err(E::WrongRecipient(d)) if d == did(2)));
    assert!(matches!(open_at(&e, &did(2), paths::SESSION_COMMIT, None, NOW), Err(E::WrongPath)));
    assert!(matches!(open_at(&e, &did(2), sign, Some(request), NOW), Err(E::WrongExchange)));
    let reply = sealed(Some(request));
    assert!(open_at(&reply, &did(2), sign, Some(request), NOW).is_ok());
    assert!(matches!(open(&reply), Err(E::WrongExchange)));
    let other = Some(Digest::sha256(b"another request"));
    assert!(matches!(open_at(&reply, &did(2), sign, other, NOW), Err(E::WrongExchange)));
    let stranger = Envelope::seal(&key(9), &seal(None), &vec![1_u8]).unwrap();
    assert!(matches!(open(&stranger), Err(E::UnknownSender(d)) if d == did(9)));
}

#[test]
fn time_is_checked_both_ways_to_the_second() {
    let e = sealed(None);
    let at = |now| open_at(&e, &did(2), paths::SESSION_SIGN, None, now);
    assert!(at(NOW.plus(30)).is_ok() && at(NOW.minus(30)).is_ok());
    for now in [NOW.plus(31), NOW.minus(31), Time::ZERO, Time::from_unix(u64::MAX)] {
        assert!(matches!(at(now), Err(EnvelopeError::Stale { .. })), "{now}");
    }
}

#[test]
fn a_malformed_body_is_told_from_a_bad_signature() {
    let e = Envelope::seal(&key(1), &seal(None), &"not a list").unwrap();
    assert!(matches!(open(&e), Err(EnvelopeError::MalformedBody(_))));
    let huge = "x".repeat(MAX_BODY);
    assert!(matches!(Envelope::seal(&key(1), &seal(None), &huge), Err(EnvelopeError::TooLarge)));
}

/// Every way to change one field, with the signature left as it was.
fn changed() -> Vec<(&'static str, Envelope)> {
    let e = sealed(None);
    let with = |name, change: fn(&mut Envelope)| {
        let mut copy = e.clone();
        change(&mut copy);
        (name, copy)
    };
    vec![
        with("version", |e| e.v = 2),
        with("direction", |e| e.direction = Direction::Response),
        with("path", |e| e.path.push('x')),
        with("from", |e| e.from = did(9)),
        with("to", |e| e.to = did(3)),
        with("at", |e| e.at = e.at.plus(1)),
        with("nonce", |e| e.nonce.0[0] ^= 1),
        with("in_reply_to", |e| e.in_reply_to = Some(Digest::from_bytes([0; 32]))),
        with("body", |e| e.body.0[1] ^= 1),
        with("empty signature", |e| e.signature.0.clear()),
        with("long signature", |e| e.signature.0.push(0)),
    ]
}

#[test]
fn no_field_can_be_changed_even_when_the_opener_expects_the_change() {
    for (name, e) in changed() {
        let anyone = |_: &Did| true;
        let expected = Expected {
            to: &e.to,
            path: &e.path,
            in_reply_to: e.in_reply_to,
            now: e.at,
            tolerance: 30,
            is_pinned: &anyone,
        };
        let result = e.open::<Vec<u8>>(&expected);
        match name {
            "version" => assert!(matches!(result, Err(EnvelopeError::Version(2)))),
            "direction" | "in_reply_to" => assert!(matches!(result, Err(EnvelopeError::WrongExchange))),
            _ => assert!(matches!(result, Err(EnvelopeError::BadSignature)), "{name}: {result:?}"),
        }
        assert!(open(&e).is_err(), "{name}");
    }
}

#[test]
fn fields_cannot_run_into_each_other() {
    let mut a = sealed(None);
    let mut b = a.clone();
    a.path = "/v1/a".into();
    a.body = Base64(b"b[]".to_vec());
    b.path = "/v1/ab".into();
    b.body = Base64(b"[]".to_vec());
    assert_ne!(a.signed_bytes(), b.signed_bytes());
    // An absent digest and one of zeros are different statements.
    let mut zero = a.clone();
    zero.in_reply_to = Some(Digest::from_bytes([0; 32]));
    assert_ne!(a.signed_bytes(), zero.signed_bytes());
}

#[test]
fn a_request_is_no_response_under_any_signature() {
    let mut e = sealed(None);
    e.direction = Direction::Response;
    e.signature = Base64(key(1).sign(&e.signed_bytes()).to_bytes().to_vec());
    assert!(matches!(open(&e), Err(EnvelopeError::WrongExchange)));
    assert!(matches!(
        e.open_forwarded::<Vec<u8>>(&did(1), paths::SESSION_SIGN, NOW, 30),
        Err(EnvelopeError::WrongExchange)
    ));
}

#[test]
fn forwarded_answers_open_as_their_author_only() {
    let e = sealed(Some(Digest::sha256(b"request")));
    let open = |from, path| e.open_forwarded::<Vec<u8>>(&did(from), path, NOW, 30);
    assert_eq!(open(1, paths::SESSION_SIGN).unwrap().from(), did(1));
    assert!(matches!(open(2, paths::SESSION_SIGN), Err(EnvelopeError::UnknownSender(_))));
    assert!(matches!(open(1, paths::DKG_BEGIN), Err(EnvelopeError::WrongPath)));
    let request = sealed(None);
    let forwarded = request.open_forwarded::<Vec<u8>>(&did(1), paths::SESSION_SIGN, NOW, 30);
    assert!(matches!(forwarded, Err(EnvelopeError::WrongExchange)));
}

#[test]
fn unknown_and_missing_fields_are_refused() {
    let json = serde_json::to_value(sealed(None)).unwrap();
    let names: Vec<String> = json.as_object().unwrap().keys().cloned().collect();
    for name in names {
        let mut without = json.clone();
        without.as_object_mut().unwrap().remove(&name);
        assert!(serde_json::from_value::<Envelope>(without).is_err(), "{name}");
    }
    let mut more = json.clone();
    more["admin"] = true.into();
    assert!(serde_json::from_value::<Envelope>(more).is_err());
    let mut short = json;
    short["nonce"] = "AAAA".into();
    assert!(serde_json::from_value::<Envelope>(short).is_err());
}

fn opened(from: u8, at: Time, nonce: u8) -> Opened<u8> {
    let seal = Seal { path: "/p", to: did(2), at, nonce: Nonce([nonce; 16]), in_reply_to: None };
    let e = Envelope::seal(&key(from), &seal, &0_u8).unwrap();
    let pinned = |_: &Did| true;
    e.open(&Expected { to: &did(2), path: "/p", in_reply_to: None, now: at, tolerance: 30, is_pinned: &pinned })
        .unwrap()
}

#[test]
fn an_envelope_is_admitted_once() {
    let mut guard = ReplayGuard::new(30, NonZeroUsize::new(2).unwrap());
    let first = opened(1, NOW, 1);
    assert_eq!(guard.admit(&first, NOW), Ok(()));
    assert_eq!(guard.admit(&first, NOW.plus(30)), Err(Replayed::Again));
    assert_eq!(guard.admit(&first, NOW.plus(31)), Err(Replayed::Stale), "forgotten, and refused all the same");
    assert!(guard.is_empty());
}

#[test]
fn one_sender_cannot_crowd_out_another() {
    let mut guard = ReplayGuard::new(30, NonZeroUsize::new(2).unwrap());
    assert_eq!(guard.admit(&opened(1, NOW, 1), NOW), Ok(()));
    assert_eq!(guard.admit(&opened(1, NOW, 2), NOW), Ok(()));
    assert_eq!(guard.admit(&opened(1, NOW, 3), NOW), Err(Replayed::Full));
    assert_eq!(guard.admit(&opened(1, NOW, 1), NOW), Err(Replayed::Again), "nothing was forgotten to make room");
    assert_eq!(guard.admit(&opened(3, NOW, 1), NOW), Ok(()));
    let later = NOW.plus(31);
    assert_eq!(guard.admit(&opened(1, later, 1), later), Ok(()));
    assert_eq!(guard.len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// No single changed byte of the JSON text opens, unless it says the same.
    #[test]
    fn no_byte_of_the_text_can_be_flipped(position in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let original = sealed(None);
        let mut text = serde_json::to_vec(&original).unwrap();
        let at = position.index(text.len());
        text[at] ^= 1 << bit;
        if let Ok(e) = serde_json::from_slice::<Envelope>(&text) && e != original {
            prop_assert!(open(&e).is_err());
        }
    }

    /// A signature over the same fields with any single flipped bit fails.
    #[test]
    fn no_bit_of_the_signature_can_be_flipped(bit in 0_usize..512) {
        let mut e = sealed(None);
        e.signature.0[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(matches!(open(&e), Err(EnvelopeError::BadSignature)));
    }
}
