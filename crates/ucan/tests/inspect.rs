//! Reports for people: what is in a file, and whether an invocation is entitled.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests"
)]

#[path = "support/chain.rs"]
mod chain;

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD};
use chain::{END, NOW, call, did, grant, map, policy, three_hops};
use domain::{Cid, Time};
use ipld_core::ipld::Ipld;
use ucan::container::{Encoding, encode};
use ucan::inspect::{dag_json, describe};
use ucan::{VerifyOptions, verify_report};

fn pretty(bytes: &[u8]) -> String {
    serde_json::to_string_pretty(&describe(bytes)).unwrap()
}

#[test]
fn a_delegation_is_described_with_every_field() {
    let token = grant(1, 2, |new| {
        new.policy = policy(r#"[["<=", ".total", 1000]]"#);
        new.not_before = Some(NOW);
        new.meta = map(r#"{"note": "n"}"#);
    });
    insta::assert_snapshot!("delegation_report", pretty(token.bytes()));
}

#[test]
fn an_invocation_is_described_with_every_field() {
    let cause = grant(1, 2, |_| {});
    let token = call(4, &[&cause], |new| {
        new.audience = Some(did(3));
        new.issued_at = Some(NOW);
        new.cause = Some(cause.cid());
    });
    insta::assert_snapshot!("invocation_report", pretty(token.bytes()));
}

#[test]
fn tokens_and_containers_are_found_in_every_form() {
    let (invocation, hops) = three_hops();
    let expected = describe(invocation.bytes());
    assert_eq!((expected.input, expected.tokens[0].signature_ok), ("token", true));
    for text in [
        BASE64_STANDARD.encode(invocation.bytes()),
        BASE64_STANDARD_NO_PAD.encode(invocation.bytes()),
        BASE64_URL_SAFE.encode(invocation.bytes()),
        format!(" {}\n", BASE64_URL_SAFE_NO_PAD.encode(invocation.bytes())),
    ] {
        assert_eq!(describe(text.as_bytes()), expected);
    }
    for encoding in Encoding::ALL {
        let packed = encode(encoding, &[hops[0].bytes(), invocation.bytes()]).unwrap();
        for form in [packed.clone(), BASE64_STANDARD.encode(&packed).into_bytes()] {
            let report = describe(&form);
            assert_eq!((report.input, report.container), ("container", Some(char::from(encoding.header()))));
            assert_eq!(report.tokens.len(), 2);
            assert!(report.tokens.iter().all(|token| token.signature_ok && token.problems.is_empty()));
        }
        if packed[0].is_ascii_alphabetic() && packed[0] != b'M' {
            assert_eq!(describe(&[&packed[..], b"\n"].concat()).tokens.len(), 2);
        }
    }
}

#[test]
fn problems_are_named_and_fields_still_shown() {
    let (invocation, _) = three_hops();
    let mut forged = invocation.bytes().to_vec();
    forged[10] ^= 1;
    let report = &describe(&forged).tokens[0];
    assert!(!report.signature_ok);
    assert_eq!(
        (report.kind, report.issuer, report.problems[0].class),
        ("invocation", Some(did(4)), "InvalidSignature")
    );

    let mut header = invocation.bytes().to_vec();
    let at = header.windows(8).position(|window| window == [0x34, 1, 0xed, 1, 0xed, 1, 0x13, 0x71]).unwrap();
    header[at] = 0;
    let report = &describe(&header).tokens[0];
    assert_eq!((report.kind, report.problems[0].class), ("unknown", "Malformed"));
    assert!(report.raw.is_some());

    for (bytes, class) in [(&b"hello"[..], "Malformed"), (b"", "Malformed"), (&[0x80], "Malformed")] {
        let report = describe(bytes);
        assert_eq!((report.input, report.problems[0].class), ("unknown", class));
    }
    assert_eq!(describe(&vec![b'A'; 5 << 20]).problems[0].class, "TooLarge");
    assert_eq!(describe(&[0x82]).tokens[0].problems[0].class, "Malformed");
}

#[test]
fn dag_json_renders_every_kind() {
    let link = Ipld::Link(ipld_core::cid::Cid::try_from(Cid::of(b"x").to_bytes()).unwrap());
    let value = Ipld::List(vec![
        Ipld::Null,
        Ipld::Bool(true),
        Ipld::Integer(-(1 << 64)),
        Ipld::Integer(i128::from(u64::MAX)),
        Ipld::Integer(-1),
        Ipld::Float(1.5),
        Ipld::Bytes(vec![1, 2, 3]),
        Ipld::Map(map(r#"{"k": "v"}"#)),
        link,
    ]);
    let expected = format!(
        r#"[null,true,-18446744073709551616,18446744073709551615,-1,1.5,{{"/":{{"bytes":"AQID"}}}},{{"k":"v"}},{{"/":"{}"}}]"#,
        Cid::of(b"x")
    );
    assert_eq!(dag_json(&value).to_string(), expected);
}

#[test]
fn verification_is_reported_with_class_hop_and_cid() {
    let (invocation, hops) = three_hops();
    let all: Vec<_> = hops.iter().map(|hop| hop.bytes()).chain([invocation.bytes()]).collect();
    let packed = encode(Encoding::Base64Url, &all).unwrap();
    let options = VerifyOptions { at: NOW, trust: vec![did(1)], ..VerifyOptions::default() };
    let good = verify_report(&packed, &[], &options);
    assert!(good.ok && good.trusted && good.error.is_none());
    assert_eq!(good.hops, hops.iter().map(|hop| hop.cid()).collect::<Vec<_>>());
    assert_eq!((good.invocation, good.issuer, good.subject), (Some(invocation.cid()), Some(did(4)), Some(did(1))));

    let text = BASE64_STANDARD.encode(hops[0].bytes());
    let files = [text.as_bytes(), hops[1].bytes(), hops[2].bytes()];
    assert!(verify_report(invocation.bytes(), &files, &options).ok);

    let untrusting = VerifyOptions { trust: vec![], ..options.clone() };
    let report = verify_report(&packed, &[], &untrusting);
    assert!(report.ok && !report.trusted);

    let fails = |input: &[u8], proofs: &[&[u8]], options: &VerifyOptions| {
        let report = verify_report(input, proofs, options);
        assert!(!report.ok && report.hops.is_empty());
        let error = report.error.unwrap();
        (error.class, error.hop, error.cid)
    };
    let late = VerifyOptions { at: END, ..options.clone() };
    assert_eq!(fails(&packed, &[], &late), ("Expired", None, Some(invocation.cid())));
    let other = VerifyOptions { audience: Some(did(9)), ..options.clone() };
    assert_eq!(fails(&packed, &[], &other), ("InvalidAudience", None, Some(invocation.cid())));
    let stranger = VerifyOptions { trust: vec![did(9)], ..options.clone() };
    assert_eq!(fails(&packed, &[], &stranger), ("InvalidSubject", None, Some(invocation.cid())));
    assert_eq!(fails(invocation.bytes(), &files[..2], &options), ("UnavailableProof", Some(2), Some(hops[2].cid())));
    let over = call(4, &hops.iter().collect::<Vec<_>>(), |new| new.args = map(r#"{"total": 0}"#));
    assert_eq!(fails(over.bytes(), &files, &options), ("MatchError", Some(1), Some(hops[1].cid())));

    let mut forged = hops[1].bytes().to_vec();
    forged[10] ^= 1;
    // The invocation does not name the changed bytes; they are taken for the proof that is missing where they fit.
    let fault = fails(invocation.bytes(), &[files[0], &forged, files[2]], &options);
    assert_eq!(fault, ("InvalidSignature", Some(1), Some(Cid::of(&forged))));
    assert_eq!(fails(hops[0].bytes(), &[], &options), ("Malformed", None, None));
    assert_eq!(fails(b"nothing", &[], &options), ("Malformed", None, None));
    assert_eq!(fails(&packed, &[over.bytes()], &options), ("Malformed", None, Some(over.cid())));
    let json = serde_json::to_value(verify_report(&packed, &[], &late)).unwrap();
    assert_eq!(json["error"]["class"], "Expired");
    assert_eq!(Time::from_unix(0), VerifyOptions::default().at);
}

/// A token with one byte of its signature changed.
fn forged(token: &[u8]) -> Vec<u8> {
    let mut bytes = token.to_vec();
    bytes[10] ^= 1;
    bytes
}

#[test]
fn a_bad_token_is_told_by_its_hop() {
    let (invocation, hops) = three_hops();
    let options = VerifyOptions { at: NOW, trust: vec![did(1)], ..VerifyOptions::default() };
    let verdict = |invocation: &[u8], given: &[Vec<u8>]| {
        let given: Vec<&[u8]> = given.iter().map(Vec::as_slice).collect();
        let error = verify_report(invocation, &given, &options).error.unwrap();
        (error.class, error.hop, error.cid)
    };
    let tokens: Vec<Vec<u8>> = hops.iter().map(|hop| hop.bytes().to_vec()).collect();
    for at in 0..3 {
        let mut given = tokens.clone();
        given[at] = forged(&tokens[at]);
        let cid = Some(Cid::of(&given[at]));
        // Changed after it was named.
        assert_eq!(verdict(invocation.bytes(), &given), ("InvalidSignature", Some(at), cid));
        // Named as it is, in either order.
        let mut named: Vec<Cid> = given.iter().map(|token| Cid::of(token)).collect();
        let naming = call(4, &[], |new| new.proofs.clone_from(&named));
        assert_eq!(verdict(naming.bytes(), &given), ("InvalidSignature", Some(at), cid));
        named.reverse();
        let naming = call(4, &[], |new| new.proofs = named);
        assert_eq!(verdict(naming.bytes(), &given), ("InvalidSignature", Some(at), cid));
        // What cannot even be read is told by the name that it goes by, or by the only gap.
        given[at].truncate(80);
        let cid = Some(Cid::of(&given[at]));
        assert_eq!(verdict(invocation.bytes(), &given), ("Malformed", Some(at), cid));
        let mut named: Vec<Cid> = given.iter().map(|token| Cid::of(token)).collect();
        let naming = call(4, &[], |new| new.proofs.clone_from(&named));
        assert_eq!(verdict(naming.bytes(), &given), ("Malformed", Some(at), cid));
        named.reverse();
        let naming = call(4, &[], |new| new.proofs = named);
        assert_eq!(verdict(naming.bytes(), &given), ("Malformed", Some(at), cid));
    }
    // Two gaps: what can be read goes where it fits, what cannot stays without a place.
    let two = [forged(&tokens[2]), tokens[1].clone()];
    assert_eq!(verdict(invocation.bytes(), &two), ("InvalidSignature", Some(2), Some(Cid::of(&two[0]))));
    let two = [tokens[2][..80].to_vec(), tokens[1].clone()];
    assert_eq!(verdict(invocation.bytes(), &two), ("Malformed", None, Some(Cid::of(&two[0]))));
    // No part of the chain, and the invocation itself.
    let stray = forged(grant(7, 8, |_| {}).bytes());
    let more = [tokens.clone(), vec![stray.clone()]].concat();
    assert_eq!(verdict(invocation.bytes(), &more), ("InvalidSignature", None, Some(Cid::of(&stray))));
    let own = forged(invocation.bytes());
    assert_eq!(verdict(&own, &tokens), ("InvalidSignature", None, Some(Cid::of(&own))));
}
