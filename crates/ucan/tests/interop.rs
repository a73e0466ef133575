//! Exchanges tokens with iso-ucan in both directions, through the Node project in `tests/interop`.
//!
//! Without its `node_modules` (`npm ci` there) the job has nothing to run and says so; with
//! `COUNTERSIGN_INTEROP=required` that is a failure.

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
use base64::prelude::BASE64_STANDARD;
use chain::{call, did, grant, map, policy};
use domain::Time;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use ucan::container::{Encoding, Limits, decode, encode};

/// iso-ucan reads the machine's clock for invocations, so its chains end far in the future.
const FAR: Time = Time::from_unix(4_102_444_800);

fn project() -> Option<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/interop");
    if folder.join("node_modules/iso-ucan").is_dir() {
        return Some(folder);
    }
    let required = std::env::var("COUNTERSIGN_INTEROP").is_ok_and(|value| value == "required");
    assert!(!required, "tests/interop is not installed: run `npm ci` there");
    println!("tests/interop is not installed; run `npm ci` there to exchange tokens with iso-ucan");
    None
}

fn node(folder: &PathBuf, command: &str, input: &Value) -> Value {
    let mut child = Command::new("node")
        .args(["iso.mjs", command])
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "iso.mjs {command}: {}", output.status);
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn iso_ucan_issues_the_vectors_that_are_checked_here() {
    let Some(folder) = project() else { return };
    let vectors: Value = serde_json::from_str(include_str!("vectors/iso-ucan.json")).unwrap();
    // Their verdicts are in `fixtures.rs`; here it is shown that they are what iso-ucan says today.
    let issued = node(&folder, "issue", &Value::Null);
    assert_eq!(unpacked(&issued), unpacked(&vectors));
}

/// With the tokens of every container in its place: compressors differ in the bytes that they make of the same content.
/// Every header must occur, so that each is read here as Node writes it.
fn unpacked(vectors: &Value) -> Value {
    let mut vectors = vectors.clone();
    let mut headers = BTreeSet::new();
    for chain in vectors["chains"].as_array_mut().unwrap() {
        let packed = BASE64_STANDARD.decode(chain["container"].as_str().unwrap()).unwrap();
        headers.insert(packed[0]);
        chain["container"] = decode(&packed, &Limits::default()).unwrap().into();
    }
    assert_eq!(headers, Encoding::ALL.map(Encoding::header).into());
    vectors
}

#[test]
fn iso_ucan_accepts_what_is_issued_here_and_refuses_what_is_not_entitled() {
    let Some(folder) = project() else { return };
    let far = |new: &mut ucan::issue::NewDelegation| new.expiration = Some(FAR);
    let hops = [
        grant(1, 2, |new| {
            far(new);
            new.policy = policy(r#"[["<=", ".total", 1000], ["any", ".splits", [">", ".bps", 0]]]"#);
        }),
        grant(2, 3, |new| {
            far(new);
            new.policy = policy(r#"[["like", ".order", "A-*"], ["==", ".splits[0].bps", 10000]]"#);
            new.meta = map(r#"{"note": "grüße", "n": -1}"#);
        }),
        grant(3, 4, |new| {
            far(new);
            new.command = "/proposal/payout".parse().unwrap();
            new.not_before = Some(Time::from_unix(1));
        }),
    ];
    let refs: Vec<_> = hops.iter().collect();
    let args = r#"{"total": 999, "order": "A-1", "splits": [{"account": "eip155:1:0xabc", "bps": 10000}]}"#;
    let payout = |by: u8, args: &str, proofs: &[&ucan::Verified<ucan::Delegation>]| {
        call(by, proofs, |new| {
            new.expiration = Some(FAR);
            new.audience = Some(did(2));
            new.issued_at = Some(Time::from_unix(1_700_000_000));
            new.cause = Some(hops[0].cid());
            new.args = map(args);
        })
    };
    let good = payout(4, args, &refs);
    let own = call(1, &[], |new| new.expiration = Some(FAR));
    let over = payout(4, &args.replace("999", "1001"), &refs);
    let stolen = payout(5, args, &refs);
    let expired = call(4, &refs, |new| {
        new.expiration = Some(Time::from_unix(1_700_000_000));
        new.args = map(args);
    });
    let mut forged = good.bytes().to_vec();
    *forged.last_mut().unwrap() ^= 1;

    let case = |invocation: &[u8]| {
        let tokens = hops.iter().map(|hop| hop.bytes()).chain([invocation]);
        let tokens: Vec<_> = tokens.map(|token| BASE64_STANDARD.encode(token)).collect();
        json!({ "tokens": tokens, "audience": did(2) })
    };
    let mut cases = vec![(case(good.bytes()), Some(good.cid()))];
    let own_case = json!({ "tokens": [BASE64_STANDARD.encode(own.bytes())] });
    cases.push((own_case, Some(own.cid())));
    for refused in [over.bytes(), stolen.bytes(), expired.bytes(), &forged] {
        cases.push((case(refused), None));
    }
    for encoding in Encoding::ALL {
        let tokens: Vec<_> = hops.iter().map(|hop| hop.bytes()).chain([good.bytes()]).collect();
        let packed = BASE64_STANDARD.encode(encode(encoding, &tokens).unwrap());
        cases.push((json!({ "container": packed, "audience": did(2) }), Some(good.cid())));
    }

    let input: Vec<_> = cases.iter().map(|(case, _)| case.clone()).collect();
    let verdicts = node(&folder, "verify", &Value::Array(input));
    let verdicts = verdicts.as_array().unwrap();
    assert_eq!(verdicts.len(), cases.len());
    for (index, (verdict, (_, accepted))) in verdicts.iter().zip(&cases).enumerate() {
        assert_eq!(verdict["ok"].as_bool(), Some(accepted.is_some()), "case {index}: {verdict}");
        if let Some(cid) = accepted {
            assert_eq!(verdict["cid"], json!(cid), "case {index}");
        }
    }
}
