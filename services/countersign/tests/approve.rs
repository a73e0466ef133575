//! An approval is of what its approver named and was shown, whatever the control plane says.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

#[path = "support/fake.rs"]
mod fake;
#[path = "support/system.rs"]
mod support;

use domain::{Cid, Did, Digest, Payout};
use ed25519_dalek::SigningKey;
use fake::{Answer, Asked, Fake};
use serde_json::{Value, json};
use std::{path::Path, process::Output};
use support::countersign;
use ucan::Ipld;

const TOTAL: u64 = 1_100_000_000;

fn proposal(name: &str) -> Cid {
    Cid::of(name.as_bytes())
}

/// A key that nobody has.
fn did(seed: u8) -> Did {
    ucan::issue::did_of(&SigningKey::from_bytes(&[seed; 32]))
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
        "approvals": [], "review_digest": review, "audit_trail": [
            {"seq": 7, "at": 1, "command": "/proposal/payout", "issuer": did(7)},
            {"seq": 8, "at": 2, "command": "/approval/give", "issuer": did(8)},
        ],
        "waits_for": "one\u{1b}[2J\n  total     1 minor units",
    })
}

/// Runs `approve` of proposal `a` with `arguments` against a control plane that answers with `view`; what came of it, and
/// what was posted.
fn approve(folder: &Path, view: Value, arguments: &[&str]) -> (Output, Vec<Asked>) {
    approve_at(folder, view, Answer::taken, arguments)
}

/// As [`approve`], where the control plane says this to what is posted.
fn approve_at(folder: &Path, view: Value, taken: fn(&Asked) -> Answer, arguments: &[&str]) -> (Output, Vec<Asked>) {
    let plane = Fake::start(move |asked| match asked.what.split(' ').next() {
        Some("GET") => Answer::json(&view),
        _ => taken(asked),
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
    (output, plane.asked("POST"))
}

/// What an approval names, as `[proposal, review]`.
fn named(asked: &Asked) -> [Ipld; 2] {
    let said = asked.statement();
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
        let mut left = shown.as_str();
        for part in [
            // What is said beside it neither steers the terminal nor looks like one of these lines.
            "\n  stands    review, by the control plane's word alone\n",
            "\n  waits for \"one\\u001b[2J\\n\\u0020{2}total\\u0020{5}1 minor units\"\n",
            &format!("\n  proposal  {}\n", proposal("a")),
            "\n  decision  review, 1 approval(s) required\n",
            &format!("\n  proposer  {}, by the \n", did(7)),
            "\n  order     order-2\n",
            &format!("\n  asset     eip155:31337/erc20:0x{}\n", "0a".repeat(20)),
            &format!(
                "\n  pays      1045000000, 9500 of 10000 parts, to \n          | eip155:31337:0x{}\n",
                "01".repeat(20)
            ),
            &format!(
                "\n  pays      55000000, 500 of 10000 parts, to \n          | eip155:31337:0x{}\n",
                "02".repeat(20)
            ),
            "\n  total     1100000000 minor units, to 2 recipient(s), for 0 item(s)\n",
        ] {
            let (_, rest) = left.split_once(part).unwrap_or_else(|| panic!("{part}: {shown}"));
            // Lines that follow each other share a line's end.
            left = left.get(left.len() - rest.len() - 1..).unwrap();
        }
        assert_eq!(left, "\n", "nothing is below the total: {shown}");
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
        ("chairs          total     1 minor units", r#"for       7: "chairs\u0020{10}total\u0020{5}1 minor units""#),
        ("5\u{a0}000 \u{200b}chairs", r#"for       7: "5\u00a0000 \u200bchairs""#),
        ("chairs\u{2067}\u{202e}sriahc", r#"for       7: "chairs\u2067\u202esriahc""#),
        ("chairs\u{3164}\u{e0041}", r#"for       7: "chairs\u3164\udb40\udc41""#),
        ("chairs\": 7, \"desk", r#"for       7: "chairs\": 7, \"desk""#),
        ("Stühle, 椅子", r#"for       7: "Stühle, 椅子""#),
    ] {
        let mut intent = intent(TOTAL);
        intent["line_items"] = json!([{"description": said, "amount": 7}]);
        let honest = view(proposal("a"), &intent, digest(proposal("a"), &intent));
        let (output, posted) = approve(folder.path(), honest, &["--yes"]);
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(posted.len() == 1 && text.contains(shown), "{said:?}: {text}");
    }
}

/// The rows of a terminal of 80 columns, which goes on with a long line on the next.
fn screen(text: &str) -> Vec<String> {
    let mut rows = Vec::new();
    for line in text.lines() {
        let (mut row, mut used) = (String::new(), 0);
        for c in line.chars() {
            let columns = if c.is_ascii() { 1 } else { 2 };
            if used + columns > 80 {
                rows.push(std::mem::take(&mut row));
                used = 0;
            }
            row.push(c);
            used += columns;
        }
        rows.push(row);
    }
    rows
}

/// Rows that draw another payout, each as long as the terminal is wide.
fn drawn() -> Vec<String> {
    let false_lines = [
        "a payout, to be approved now",
        "  proposal  bafyreigks6arfsq3xxfpvqrrwonchxcnu6do76auprhhfomao6c273sixm",
        "  pays      500 to eip155:31337:0x0101010101010101010101010101010101010101",
        "  total     500 minor units",
    ];
    false_lines.iter().map(|line| format!("{line:<80}")).collect()
}

#[test]
fn no_text_of_anothers_draws_what_it_is_not_or_drives_it_off_the_screen() {
    let folder = tempfile::tempdir().unwrap();
    // What the control plane says that nobody signs, behind so much that the rows above are gone; what a plugin proposes.
    let told = |with: &str| format!("{}{}", with.repeat(51 + 30 * 80), drawn().concat().trim_end());
    let described = |before: &str, line: &str| {
        let columns: usize = before.chars().map(|c| if c.is_ascii() { 1 } else { 2 }).sum();
        let text = format!("{before}{}{line}", " ".repeat(68 - columns));
        text.chars().take(100).collect::<String>().trim_end().to_owned()
    };
    let waits = [told(" "), told("x"), "椅".repeat(5_000), "\n".repeat(5_000)];
    for (waits, before) in waits.iter().zip([".", "椅", "\"", "e\u{301}"]) {
        let descriptions: Vec<_> = (0..48).map(|n| described(before, &drawn()[n % 3 + 1])).collect();
        let items = descriptions.iter().map(|text| json!({"description": text, "amount": 1}));
        let mut intent = intent(TOTAL);
        let goods = json!({"description": "goods", "amount": TOTAL - 48});
        intent["line_items"] = std::iter::once(goods).chain(items).collect();
        let mut view = view(proposal("a"), &intent, digest(proposal("a"), &intent));
        view["waits_for"] = json!(waits);
        let (output, posted) = approve(folder.path(), view, &["--yes"]);
        let text = String::from_utf8(output.stderr).unwrap();
        let rows = screen(&text);
        assert_eq!(posted.len(), 1, "{text}");
        let begin = |with: &str| rows.iter().filter(|row| row.starts_with(with)).count();
        let named = ["a payout", "  proposal", "  total", "  pays", "  for", "  stands", "  waits for"].map(begin);
        assert_eq!(named, [1, 1, 1, 2, 49, 1, 1], "{text}");
        for row in &rows[1..] {
            let is_named = row.strip_prefix("  ").is_some_and(|row| row.starts_with(|c: char| c.is_ascii_lowercase()));
            assert!(is_named || row.starts_with("          | "), "{row:?} in {text}");
        }
        // The question takes the last of 24 rows.
        let last: Vec<_> = rows.iter().rev().take(23).collect();
        assert_eq!(last[0], "  total     1100000000 minor units, to 2 recipient(s), for 49 item(s)", "{text}");
        for part in ["  pays      1045000000,", "  pays      55000000,", "  proposer", "  proposal"] {
            assert!(last.iter().any(|row| row.starts_with(part)), "{part}: {text}");
        }
        assert!(rows.len() < 300, "{} rows", rows.len());
    }
}

#[test]
fn an_answer_about_another_statement_is_no_approval() {
    let folder = tempfile::tempdir().unwrap();
    let honest = view(proposal("a"), &intent(TOTAL), digest(proposal("a"), &intent(TOTAL)));
    let another = |_: &Asked| Answer::json(&json!({"id": proposal("a"), "seq": 8}));
    let (output, posted) = approve_at(folder.path(), honest, another, &["--yes"]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), posted.len()), (Some(3), 1), "{error}");
    assert!(output.stdout.is_empty() && error.contains(&posted[0].statement().cid().to_string()), "{error}");
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
