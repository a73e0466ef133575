//! Verdicts of other implementations: the official UCAN 1.0.0 fixtures where they are at hand, and chains issued by
//! iso-ucan, which always are.

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
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};
use chain::{from_json, store};
use domain::{Did, Time};
use serde_json::Value;
use std::path::{Path, PathBuf};
use ucan::{Context, Limits, Policy, Trust, Verified, authorise, container, open_delegation, open_invocation};

fn official(name: &str) -> Option<String> {
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors/ucan/official-1.0.0");
    folder.is_dir().then(|| std::fs::read_to_string(folder.join(name)).unwrap())
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a Vec<Value> {
    value[key].as_array().unwrap()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap()
}

fn dag_json_bytes(value: &Value) -> Vec<u8> {
    BASE64_STANDARD_NO_PAD.decode(value["/"]["bytes"].as_str().unwrap()).unwrap()
}

/// Opens everything and judges; the class name of the first refusal, or `ok`.
fn judge(
    invocation: &[u8],
    proofs: &[Vec<u8>],
    context: &Context<'_>,
) -> (&'static str, Vec<Verified<ucan::Delegation>>) {
    let opened: Result<Vec<_>, _> = proofs.iter().map(|proof| open_delegation(proof)).collect();
    let (invocation, proofs) = match (open_invocation(invocation), opened) {
        (Ok(invocation), Ok(proofs)) => (invocation, proofs),
        (Err(error), _) | (_, Err(error)) => return (error.class().as_str(), Vec::new()),
    };
    let verdict = authorise(&invocation, &store(&proofs), context);
    (verdict.map_or_else(|denied| denied.class.as_str(), |_| "ok"), proofs)
}

#[test]
fn official_invocations_get_their_verdict_and_class() {
    let Some(fixtures) = official("invocation.json") else { return };
    let fixtures = parse(&fixtures);
    let mut checked = (0, 0);
    for (kind, count) in [("valid", &mut checked.0), ("invalid", &mut checked.1)] {
        for case in list(&fixtures, kind) {
            let proofs: Vec<_> = list(case, "proofs").iter().map(dag_json_bytes).collect();
            let now = Time::from_unix(case["time"].as_u64().unwrap());
            let context = Context { allow_powerline: true, ..Context::new(now, Trust::Any) };
            let (verdict, _) = judge(&dag_json_bytes(&case["invocation"]), &proofs, &context);
            let expected = if kind == "valid" { "ok" } else { text(&case["error"], "name") };
            assert_eq!(verdict, expected, "{}", text(case, "name"));
            *count += 1;
        }
    }
    assert_eq!(checked, (7, 13));
}

#[test]
fn official_delegation_opens_with_its_fields() {
    let Some(fixtures) = official("delegation.json") else { return };
    for case in list(&parse(&fixtures), "valid") {
        let token = open_delegation(&BASE64_STANDARD.decode(text(case, "token")).unwrap()).unwrap();
        let payload = &case["envelope"]["payload"];
        assert_eq!(token.cid().to_string(), text(case, "cid"));
        assert_eq!(token.issuer().to_string(), text(payload, "iss"));
        assert_eq!(token.audience().to_string(), text(payload, "aud"));
        assert_eq!(token.subject().unwrap().to_string(), text(payload, "sub"));
        assert_eq!(token.command().as_str(), text(payload, "cmd"));
        assert_eq!(token.expiration().unwrap().unix(), payload["exp"].as_u64().unwrap());
        assert_eq!(BASE64_STANDARD.encode(token.nonce()), text(payload, "nonce"));
        assert_eq!(token.version().as_str(), text(&case["envelope"], "version"));
        assert!(token.policy().is_empty());
    }
}

#[test]
fn official_policies_get_their_verdict() {
    let Some(fixtures) = official("policy.json") else { return };
    // Upstream has one object literally inside another without a key: two stray braces.
    let broken = fixtures.find("{\n\t\t\t\t\t{").expect("the stray brace");
    let inner_end = fixtures[broken..].find("}\n\t\t\t\t\t}\n\t\t\t\t}").expect("its end") + broken;
    let mut fixed = fixtures.clone();
    fixed.replace_range(inner_end + 1..inner_end + 8, "");
    fixed.replace_range(broken..=broken, "");
    let fixtures = parse(&fixed);
    let mut checked = 0;
    for (kind, expected) in [("valid", true), ("invalid", false)] {
        for case in list(&fixtures, kind) {
            let args = from_json(&case["args"]);
            for statements in list(case, "policies") {
                let policy = Policy::try_from(from_json(statements)).unwrap();
                assert_eq!(policy.check(&args).is_ok(), expected, "{statements} on {}", case["args"]);
                checked += 1;
            }
        }
    }
    assert_eq!(checked, 25);
}

#[test]
fn chains_of_iso_ucan_get_their_verdict() {
    let vectors = parse(include_str!("vectors/iso-ucan.json"));
    for case in list(&vectors, "chains") {
        let decode = |text: &Value| BASE64_STANDARD.decode(text.as_str().unwrap()).unwrap();
        let invocation = decode(&case["invocation"]);
        let proofs: Vec<_> = list(case, "proofs").iter().map(decode).collect();
        let roots: [Did; 1] = [text(&vectors["chains"][0], "root").parse().unwrap()];
        let now = Time::from_unix(case["at"].as_u64().unwrap());
        let context = Context {
            audience: case["audience"].as_str().map(|did| did.parse().unwrap()),
            allow_powerline: case["powerline"].as_bool().unwrap_or(false),
            ..Context::new(now, Trust::Only(&roots))
        };
        let (verdict, opened) = judge(&invocation, &proofs, &context);
        assert_eq!(verdict, text(case, "expect"), "{}", text(case, "name"));
        let mut cids = vec![open_invocation(&invocation).unwrap().cid()];
        cids.extend(opened.iter().map(|proof| proof.cid()));
        let expected: Vec<_> = list(case, "cids").iter().map(|cid| cid.as_str().unwrap().parse().unwrap()).collect();
        assert_eq!(cids, expected);
        let mut packed = container::decode(&decode(&case["container"]), &Limits::default()).unwrap();
        let mut tokens = [proofs, vec![invocation]].concat();
        tokens.sort();
        packed.sort();
        assert_eq!(packed, tokens);
    }
}
