//! Opening tokens: one byte string per token, every bit signed, every malformed input refused.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests"
)]

#[path = "support/cbor.rs"]
mod cbor;
#[path = "support/chain.rs"]
mod chain;

use cbor::{cid_link, envelope, payload, sealed};
use chain::{call, did, grant, json, key, map, three_hops};
use domain::Time;
use ipld_core::ipld::Ipld;
use proptest::prelude::*;
use std::collections::BTreeMap;
use ucan::issue::{NewDelegation, NewInvocation, delegate, invoke};
use ucan::{Error, ErrorClass, MAX_DEPTH, MAX_PROOFS, MAX_TOKEN_BYTES, Policy, Token, Version, open};
use ucan::{open_delegation, open_invocation};

fn class(bytes: &[u8]) -> ErrorClass {
    open(bytes).unwrap_err().class()
}

#[test]
fn signed_bytes_are_stable() {
    let (invocation, hops) = three_hops();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    let tokens = [("delegation", hops[0].bytes()), ("invocation", invocation.bytes())];
    for (name, bytes) in tokens {
        insta::assert_snapshot!(name, hex(bytes));
    }
    insta::assert_snapshot!("cids", format!("{}\n{}", hops[0].cid(), invocation.cid()));
}

#[test]
fn getters_return_what_was_issued() {
    let mut new = NewInvocation::new(did(1), "/a/b".parse().unwrap(), [7; 12]);
    let cause = grant(1, 2, |_| {}).cid();
    new.audience = Some(did(3));
    new.args = map(r#"{"x": [1, {"y": null}], "z": 1.5}"#);
    new.proofs = vec![cause];
    new.expiration = Some(Time::from_unix(2));
    new.issued_at = Some(Time::from_unix(1));
    new.cause = Some(cause);
    new.meta = map(r#"{"note": "n"}"#);
    let token = invoke(&key(2), new.clone()).unwrap();
    assert_eq!((token.issuer(), token.audience(), token.subject()), (did(2), Some(did(3)), did(1)));
    assert_eq!(
        (token.command().as_str(), token.nonce(), token.version()),
        ("/a/b", [7; 12].as_slice(), Version::V1Rc1)
    );
    assert_eq!((token.args(), token.meta()), (&Ipld::Map(new.args), &new.meta));
    assert_eq!((token.proofs(), token.cause()), ([cause].as_slice(), Some(cause)));
    assert_eq!(
        (token.not_before(), token.expiration(), token.issued_at()),
        (None, Some(Time::from_unix(2)), Some(Time::from_unix(1)))
    );
    assert_eq!(token.cid(), domain::Cid::of(token.bytes()));
}

#[test]
fn no_bit_of_a_token_can_change() {
    let (invocation, hops) = three_hops();
    for bytes in [hops[0].bytes(), invocation.bytes()] {
        let mut copy = bytes.to_vec();
        for position in 0..bytes.len() * 8 {
            copy[position / 8] ^= 1 << (position % 8);
            assert!(open(&copy).is_err(), "bit {position}");
            copy[position / 8] ^= 1 << (position % 8);
        }
        assert!(open(&copy).is_ok());
    }
}

#[test]
fn no_prefix_and_no_extension_of_a_token_opens() {
    let (invocation, _) = three_hops();
    let bytes = invocation.bytes();
    for length in 0..bytes.len() {
        assert!(open(&bytes[..length]).is_err(), "{length}");
    }
    assert_eq!(class(&[bytes, &[0]].concat()), ErrorClass::Malformed);
    assert_eq!(class(&[bytes, bytes].concat()), ErrorClass::Malformed);
}

#[test]
fn both_tags_open_and_the_kinds_do_not_mix() {
    for (tag, version) in [("1.0.0", Version::V1), ("1.0.0-rc.1", Version::V1Rc1)] {
        let delegation = open_delegation(&sealed(&format!("ucan/dlg@{tag}"), payload::delegation())).unwrap();
        let invocation = open_invocation(&sealed(&format!("ucan/inv@{tag}"), payload::invocation())).unwrap();
        assert_eq!((delegation.version(), invocation.version()), (version, version));
    }
    for tag in ["ucan/dlg@0.10.0", "ucan/dlg@1.0.0-rc.2", "ucan/dlg", "ucan/inv@1.0.0"] {
        assert!(open(&sealed(tag, payload::delegation())).is_err(), "{tag}");
    }
    let (invocation, hops) = three_hops();
    assert!(open_delegation(invocation.bytes()).is_err());
    assert!(open_invocation(hops[0].bytes()).is_err());
    assert!(matches!(open(hops[0].bytes()), Ok(Token::Delegation(_))));
    assert!(matches!(open(invocation.bytes()), Ok(Token::Invocation(_))));
}

#[test]
fn every_field_is_required_typed_and_known() {
    let delegation = "ucan/dlg@1.0.0";
    let invocation = "ucan/inv@1.0.0";
    for field in ["iss", "aud", "sub", "cmd", "pol", "nonce", "exp"] {
        assert!(open(&sealed(delegation, payload::without(payload::delegation(), field))).is_err(), "{field}");
    }
    for field in ["iss", "sub", "cmd", "args", "prf", "nonce", "exp"] {
        assert!(open(&sealed(invocation, payload::without(payload::invocation(), field))).is_err(), "{field}");
    }
    let all =
        ["iss", "aud", "sub", "cmd", "pol", "args", "prf", "nonce", "exp", "nbf", "iat", "cause", "meta", "extra"];
    for field in all {
        let odd = Ipld::Bool(true);
        for (tag, base) in [(delegation, payload::delegation()), (invocation, payload::invocation())] {
            assert!(open(&sealed(tag, payload::with(base, field, odd.clone()))).is_err(), "{tag} {field}");
        }
    }
    for (name, told) in [("extra", "extra"), (&*"x".repeat(100), &*"x".repeat(64))] {
        let bytes = sealed(invocation, payload::with(payload::invocation(), name, Ipld::Null));
        assert_eq!(open(&bytes).unwrap_err(), Error::UnknownField(told.to_owned()));
    }
    let bytes = sealed(invocation, payload::with(payload::invocation(), "x\n\u{1b}[2J", Ipld::Null));
    let shown = open(&bytes).unwrap_err().to_string();
    assert_eq!(shown, r#"invalid claim: unknown field "x\n\u{1b}[2J""#, "a log stays one line of plain text");
    // The subject of an invocation is never absent; a bound that is null is not a bound.
    for field in ["sub", "nbf", "iat", "cause", "aud"] {
        assert!(open(&sealed(invocation, payload::with(payload::invocation(), field, Ipld::Null))).is_err(), "{field}");
    }
}

#[test]
fn times_are_integers_of_53_bits() {
    let at = |value| open(&sealed("ucan/inv@1.0.0", payload::with(payload::invocation(), "exp", value)));
    assert!(at(Ipld::Integer((1 << 53) - 1)).is_ok());
    for bad in [Ipld::Integer(1 << 53), Ipld::Integer(-1), Ipld::Float(1.0), Ipld::String("1".into())] {
        assert_eq!(at(bad).unwrap_err(), Error::InvalidClaim("exp"));
    }
}

#[test]
fn links_are_sha256_dag_cbor_and_few() {
    let with = |links| open(&sealed("ucan/inv@1.0.0", payload::with(payload::invocation(), "prf", Ipld::List(links))));
    assert!(with(vec![cid_link(0x71, 0x12); MAX_PROOFS]).is_ok());
    assert_eq!(with(vec![cid_link(0x71, 0x12); MAX_PROOFS + 1]).unwrap_err(), Error::TooLarge("proofs"));
    for (codec, hash) in [(0x55, 0x12), (0x71, 0x1b)] {
        assert_eq!(with(vec![cid_link(codec, hash)]).unwrap_err(), Error::InvalidClaim("prf"));
    }
}

#[test]
fn sizes_are_bounded() {
    let nonce =
        |length| sealed("ucan/inv@1.0.0", payload::with(payload::invocation(), "nonce", Ipld::Bytes(vec![0; length])));
    assert!(open(&nonce(0)).is_ok());
    assert!(open(&nonce(ucan::MAX_NONCE_BYTES)).is_ok());
    assert_eq!(class(&nonce(ucan::MAX_NONCE_BYTES + 1)), ErrorClass::TooLarge);

    let sized = |padding| {
        let args = Ipld::Map(BTreeMap::from([("pad".to_owned(), Ipld::Bytes(vec![0; padding]))]));
        sealed("ucan/inv@1.0.0", payload::with(payload::invocation(), "args", args))
    };
    let fixed = sized(40_000).len() - 40_000;
    assert!(open(&sized(MAX_TOKEN_BYTES - fixed)).is_ok());
    assert_eq!(class(&sized(MAX_TOKEN_BYTES - fixed + 1)), ErrorClass::TooLarge);

    let nested = |levels| {
        let deep = (0..levels).fold(Ipld::Null, |inner, _| Ipld::List(vec![inner]));
        let args = Ipld::Map(BTreeMap::from([("deep".to_owned(), deep)]));
        sealed("ucan/inv@1.0.0", payload::with(payload::invocation(), "args", args))
    };
    // Envelope, signed map, payload and args are four levels.
    assert!(open(&nested(MAX_DEPTH - 4)).is_ok());
    assert_eq!(class(&nested(MAX_DEPTH - 3)), ErrorClass::TooLarge);
    assert_eq!(class(&[vec![0x81; 60_000], vec![0x80]].concat()), ErrorClass::TooLarge);
}

#[test]
fn dishonest_cbor_is_refused() {
    let (invocation, _) = three_hops();
    let honest = invocation.bytes();
    let replace = |from: &[u8], to: &[u8]| {
        let at = honest.windows(from.len()).position(|window| window == from).unwrap();
        [&honest[..at], to, &honest[at + from.len()..]].concat()
    };
    // The same content with a longer head: a second CID for one token. (The head is inside the signed part, so the
    // class shows which guard spoke.)
    assert_eq!(class(&replace(b"\x63cmd", b"\x78\x03cmd")), ErrorClass::NonCanonical);
    assert_eq!(class(&replace(b"\x65total\x19\x01\xf4", b"\x65total\x1a\x00\x00\x01\xf4")), ErrorClass::NonCanonical);
    assert_eq!(class(&replace(b"\x82\x58\x40", b"\x82\x59\x00\x40")), ErrorClass::NonCanonical);
    // Indefinite list, string and map.
    assert_eq!(class(&[&[0x9f], &honest[1..], &[0xff]].concat()), ErrorClass::Malformed);
    assert_eq!(class(&replace(b"\x63cmd", b"\x7f\x63cmd\xff")), ErrorClass::Malformed);
    assert_eq!(class(&[0xbf, 0xff]), ErrorClass::Malformed);
    // Lengths beyond the input cost nothing.
    assert_eq!(class(&[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), ErrorClass::Malformed);
    assert_eq!(class(&[0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), ErrorClass::Malformed);
    assert_eq!(class(&[0xbb, 0x80, 0, 0, 0, 0, 0, 0, 1]), ErrorClass::Malformed);
    // Foreign tags, undefined, half floats, non-string keys.
    for bytes in [&[0xc1, 0x00][..], &[0xf7], &[0xf9, 0x3c, 0x00], &[0xa1, 0x01, 0x02], &[]] {
        assert!(open(bytes).is_err(), "{bytes:02x?}");
    }
    // Duplicate and unsorted keys, wherever the decoder would have let one win.
    let twice = envelope(&[&[0xa2][..], b"\x61a\x01", b"\x61a\x02"].concat());
    let unsorted = envelope(&[&[0xa2][..], b"\x61b\x01", b"\x61a\x02"].concat());
    assert_eq!(open(&twice).unwrap_err(), Error::Malformed("dag-cbor"));
    assert_eq!(open(&unsorted).unwrap_err(), Error::NonCanonical);
    // NaN and infinity cannot stand in DAG-CBOR.
    for float in [f64::NAN, f64::INFINITY] {
        let bits = float.to_be_bytes();
        let number = [&[0xfb][..], &bits].concat();
        assert!(open(&replace(b"\x19\x01\xf4", &number)).is_err(), "{float}");
    }
}

#[test]
fn only_the_issuers_strict_signature_counts() {
    let (invocation, hops) = three_hops();
    // Signed by someone else in the issuer's name.
    let forged = cbor::sealed_by(&key(9), "ucan/dlg@1.0.0", payload::delegation());
    assert_eq!(open(&forged).unwrap_err(), Error::InvalidSignature);
    // A signature of another token.
    let mut swapped = invocation.bytes().to_vec();
    swapped[3..67].copy_from_slice(&hops[0].bytes()[3..67]);
    assert_eq!(open(&swapped).unwrap_err(), Error::InvalidSignature);
    // S + L verifies in lax implementations.
    let order: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut malleable = invocation.bytes().to_vec();
    let mut carry = 0u16;
    for (byte, add) in malleable[35..67].iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
    assert_eq!(open(&malleable).unwrap_err(), Error::InvalidSignature);
}

#[test]
fn weak_and_misspelt_keys_prove_nothing() {
    let mut identity = [0u8; 32];
    identity[0] = 1;
    // Every y from p to 2^255 - 1 is a second spelling of a point; the others are of small order.
    let mut beyond = [0xff; 32];
    beyond[31] = 0x7f;
    let spelling = |low: u8| {
        let mut key = beyond;
        key[0] = low;
        key
    };
    let keys: Vec<[u8; 32]> = (0xed..=0xff).map(spelling).chain([identity, [0; 32]]).collect();
    for weak in keys {
        let issuer = domain::Did::from_key(weak).to_string();
        let forged = payload::with(payload::delegation(), "iss", Ipld::String(issuer));
        // With a small-order key and R = identity, S = 0, lax verification accepts any message.
        let bytes = cbor::with_signature("ucan/dlg@1.0.0", forged, &[&identity[..], &[0; 32]].concat());
        assert_eq!(open(&bytes).unwrap_err(), Error::WeakKey, "{weak:02x?}");
    }
}

#[test]
fn dids_have_one_spelling_and_one_kind_of_key() {
    let good = did(1).to_string();
    let fragment = format!("{good}#{}", &good[8..]);
    for bad in [
        "",
        "did:web:example.com",
        "did:key:zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme",
        &good.to_uppercase(),
        &fragment,
        &format!("{good} "),
        &good.replace("did:key:z", "did:key:z1"),
    ] {
        let bytes = sealed("ucan/dlg@1.0.0", payload::with(payload::delegation(), "iss", Ipld::String(bad.into())));
        assert_eq!(open(&bytes).unwrap_err(), Error::InvalidClaim("iss"), "{bad}");
    }
}

#[test]
fn a_signature_of_another_scheme_or_length_is_refused() {
    for length in [0, 63, 65] {
        let bytes = cbor::with_signature("ucan/dlg@1.0.0", payload::delegation(), &vec![1; length]);
        assert_eq!(open(&bytes).unwrap_err(), Error::InvalidSignature, "{length}");
    }
    // varsig of the drafts before version 1.
    let bytes = cbor::with_header("ucan/dlg@1.0.0", payload::delegation(), &[0x34, 0xed, 0x01, 0x71]);
    assert_eq!(class(&bytes), ErrorClass::Malformed);
}

#[test]
fn issuing_refuses_what_opening_would_refuse() {
    let mut new = NewDelegation::new(did(2), did(1), "/a".parse().unwrap(), [0; 12]);
    new.nonce = vec![0; 65];
    assert_eq!(delegate(&key(1), new).unwrap_err(), Error::TooLarge("nonce"));
    let mut new = NewInvocation::new(did(1), "/a".parse().unwrap(), [0; 12]);
    new.args = BTreeMap::from([("x".to_owned(), Ipld::Float(f64::NAN))]);
    assert!(invoke(&key(1), new).is_err());
}

fn any_ipld() -> impl Strategy<Value = Ipld> {
    let leaf = prop_oneof![
        Just(Ipld::Null),
        any::<bool>().prop_map(Ipld::Bool),
        (-(1i128 << 64)..(1i128 << 64)).prop_map(Ipld::Integer),
        any::<f64>().prop_filter("finite", |x| x.is_finite()).prop_map(Ipld::Float),
        ".{0,8}".prop_map(Ipld::String),
        proptest::collection::vec(any::<u8>(), 0..40).prop_map(Ipld::Bytes),
        Just(cid_link(0x55, 0x12)),
    ];
    leaf.prop_recursive(4, 24, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Ipld::List),
            proptest::collection::btree_map(".{0,6}", inner, 0..6).prop_map(Ipld::Map),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn opened_is_what_was_issued(
        args in proptest::collection::btree_map(".{0,6}", any_ipld(), 0..6),
        meta in proptest::collection::btree_map(".{0,6}", any_ipld(), 0..3),
        value in any_ipld(),
        nonce in proptest::collection::vec(any::<u8>(), 0..64),
        exp in proptest::option::of(0u64..(1 << 53)),
        flip in any::<prop::sample::Index>(),
    ) {
        let token = call(4, &[], |new| {
            new.args = args.clone();
            new.meta = meta.clone();
            new.nonce = nonce.clone();
            new.expiration = exp.map(Time::from_unix);
        });
        prop_assert_eq!(token.args(), &Ipld::Map(args));
        prop_assert_eq!(token.meta(), &meta);
        prop_assert_eq!(token.nonce(), nonce);
        prop_assert_eq!(token.expiration(), exp.map(Time::from_unix));
        prop_assert_eq!(&open_invocation(token.bytes()).unwrap(), &token);

        let statement = Ipld::List(vec![json(r#""==""#), json(r#"".a""#), value]);
        let policy = Policy::parse(vec![statement]).unwrap();
        let delegation = grant(1, 2, |new| new.policy = policy.clone());
        prop_assert_eq!(delegation.policy(), &policy);
        prop_assert_eq!(&open_delegation(delegation.bytes()).unwrap(), &delegation);

        let bit = flip.index(token.bytes().len() * 8);
        let mut flipped = token.bytes().to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(open(&flipped).is_err());
    }

    #[test]
    fn no_bytes_make_the_openers_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(open(&bytes).is_err());
    }
}
