//! An approval is of what its approver named and was shown, whatever the control plane says.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "tests")]

#[path = "support/fake.rs"]
mod fake;
#[path = "support/system.rs"]
mod support;

use domain::{Cid, Digest, Payout};
use fake::{Answer, Fake};
use serde_json::{Value, json};
use std::{path::Path, process::Output};
use support::countersign;
use ucan::{Ipld, Limits, Token, container};

const TOTAL: u64 = 1_100_000_000;

fn proposal(name: &str) -> Cid {
    Cid::of(name.as_bytes())
}

fn intent(total: u64) -> Value {
    let account = |n: u8| format!("eip155:31337:0x{}", format!("{n:02x}").repeat(20));
    json!({
        "order": "order-2",
        "asset": format!("eip155:31337/erc20:0x{}", "0a".repeat(20)),
        "total": total,
        "splits": [{"recipient": account(1), "bps": 9_500}, {"recipient": account(2), "bps": 500}],
        "valid_until": 4_000_000_000_u64,
    })
}

/// A decision in the ledger's words.
fn decision() -> Value {
    json!({
        "effect": "review",
        "violations": [],
        "approvals": 1,
        "bundle": Digest::sha256(b"bundle"),
        "input": Digest::sha256(b"input"),
        "engine": policy::ENGINE,
    })
}

fn digest(id: Cid, intent: &Value) -> Digest {
    let payout: Payout = serde_json::from_value(intent.clone()).unwrap();
    let decision = policy::Decision {
        effect: policy::Effect::Review,
        violations: Vec::new(),
        approvals: 1,
        bundle: Digest::sha256(b"bundle"),
        input: Digest::sha256(b"input"),
        engine: policy::ENGINE,
    };
    ledger::review_digest(id, &payout, &decision)
}

fn view(id: Cid, intent: &Value, review: Digest) -> Value {
    let mut decision = decision();
    let fields = decision.as_object_mut().unwrap();
    let approvals = fields.remove("approvals").unwrap();
    fields.insert("approvals_required".to_owned(), approvals);
    json!({
        "id": id, "seq": 7, "status": "review", "decision": decision, "command": "/proposal/payout", "intent": intent,
        "approvals": [], "review_digest": review, "audit_trail": [],
        "waits_for": "one\u{1b}[2J\n  total     1 minor units",
    })
}

/// Runs `approve` of proposal `a` with `arguments` against a control plane that answers with `view`; what came of it, and
/// what was posted.
fn approve(folder: &Path, view: Value, arguments: &[&str]) -> (Output, Vec<Vec<u8>>) {
    let plane = Fake::start(move |asked| match asked.what.split(' ').next() {
        Some("GET") => Answer::json(&view),
        _ => Answer::json(&json!({"id": proposal("said"), "seq": 8})),
    });
    let key = folder.join("tenant.key");
    let run = |arguments: &[&str]| {
        let mut command = countersign(arguments);
        command.env("COUNTERSIGN_PASSPHRASE", "words").current_dir(folder).output().unwrap()
    };
    let kind = if key.exists() { "--show" } else { "--kind=identity" };
    let made = run(&["--json", "keygen", kind, key.to_str().unwrap()]);
    let did = support::json(&made)["did"].as_str().unwrap().to_owned();
    let id = proposal("a").to_string();
    let call = ["approve", &id, "--key", key.to_str().unwrap(), "--tenant", &did, "--sequencer", &did];
    let output = run(&[&call[..], &["--control-plane", &plane.url], arguments].concat());
    (output, plane.asked("POST").into_iter().map(|asked| asked.body).collect())
}

/// What an approval names, as `[proposal, review]`.
fn named(container: &[u8]) -> [Ipld; 2] {
    let tokens = container::decode(container, &Limits::default()).unwrap();
    let [token] = tokens.as_slice() else { panic!("the tenant's root needs no delegation") };
    let Token::Invocation(said) = ucan::open(token).unwrap() else { panic!("not an invocation") };
    assert_eq!(said.command().as_str(), "/approval/give");
    let Ipld::Map(args) = said.args() else { panic!("args are a map") };
    ["proposal", "review"].map(|name| args[name].clone())
}

fn ipld<T: serde::Serialize>(value: T) -> Ipld {
    ipld_core::serde::to_ipld(value).unwrap()
}

#[test]
fn what_is_shown_is_what_is_signed() {
    let folder = tempfile::tempdir().unwrap();
    let true_digest = digest(proposal("a"), &intent(TOTAL));
    let honest = || view(proposal("a"), &intent(TOTAL), true_digest);
    for arguments in [&["--yes"][..], &["--yes", "--json"]] {
        let (output, posted) = approve(folder.path(), honest(), arguments);
        let shown = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{shown}");
        let [said] = posted.as_slice() else { panic!("one statement: {posted:?}") };
        assert_eq!(named(said), [ipld(proposal("a")), ipld(true_digest)]);
        for part in [
            &format!("proposal  {}", proposal("a")),
            "order     order-2",
            "asset     eip155:31337/erc20:0x0a0a",
            "total     1100000000 minor units",
            "pays      1045000000 to eip155:31337:0x0101",
            "pays      55000000 to eip155:31337:0x0202",
            "decision  review, 1 approval(s) required",
            // What is said beside it neither steers the terminal nor looks like one of these lines.
            r"waits for one\u001b[2J\u000a\u0020\u0020total\u0020\u0020\u0020\u0020\u00201 minor units",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        assert!(!shown.contains('\u{1b}'), "{shown:?}");
    }
    // Standard input is no terminal here.
    let (output, posted) = approve(folder.path(), honest(), &[]);
    let shown = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), posted.len()), (Some(2), 0), "{shown}");
    assert!(shown.contains("total     1100000000") && shown.contains("there is no terminal"), "{shown}");
}

#[test]
fn no_text_of_anothers_looks_like_what_it_is_not() {
    let folder = tempfile::tempdir().unwrap();
    for (said, shown) in [
        ("chairs          total     1 minor units", &*format!("chairs{}total", r"\u0020".repeat(10))),
        ("5\u{a0}000 \u{200b}chairs", r"for       5\u00a0000 \u200bchairs: 7"),
        ("chairs\u{2067}\u{202e}sriahc", r"for       chairs\u2067\u202esriahc: 7"),
        ("chairs\u{3164}\u{e0041}", r"for       chairs\u3164\udb40\udc41: 7"),
        ("Stühle, 椅子", "for       Stühle, 椅子: 7"),
    ] {
        let mut intent = intent(TOTAL);
        intent["line_items"] = json!([{"description": said, "amount": 7}]);
        let honest = view(proposal("a"), &intent, digest(proposal("a"), &intent));
        let (output, posted) = approve(folder.path(), honest, &["--yes"]);
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(posted.len() == 1 && text.contains(shown), "{said:?}: {text}");
    }
}

#[test]
fn another_proposal_is_not_approved_in_place_of_the_one_that_is_named() {
    let folder = tempfile::tempdir().unwrap();
    // All of it true, of another proposal; and of the other under the name of this one.
    for id in ["b", "a"] {
        let other = view(proposal(id), &intent(TOTAL), digest(proposal("b"), &intent(TOTAL)));
        let (output, posted) = approve(folder.path(), other, &["--yes"]);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), posted.len()), (Some(1), 0), "{error}");
    }
}

#[test]
fn a_false_display_is_not_what_the_ledger_takes() {
    let folder = tempfile::tempdir().unwrap();
    let true_digest = digest(proposal("a"), &intent(TOTAL));
    let (output, posted) = approve(folder.path(), view(proposal("a"), &intent(11), true_digest), &["--yes"]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), posted.len()), (Some(1), 0), "{error}");
    assert!(error.contains("not that of what it shows"), "{error}");
    // A control plane that lies about the digest as well gets an approval of what it showed, which is nobody's.
    let shown = digest(proposal("a"), &intent(11));
    let (_, posted) = approve(folder.path(), view(proposal("a"), &intent(11), shown), &["--yes"]);
    let [said] = posted.as_slice() else { panic!("one statement: {posted:?}") };
    assert_eq!(named(said)[1], ipld(shown));
    assert_ne!(shown, true_digest);
}
