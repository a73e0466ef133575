//! What a simulation sends is a question, and no proposal that whoever sees it could post.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "tests")]

#[path = "support/fake.rs"]
mod fake;
#[path = "support/system.rs"]
mod support;

use fake::{Answer, Fake};
use serde_json::json;
use support::countersign;
use ucan::{Limits, Token, container};

#[test]
fn a_simulation_sends_nothing_that_a_log_takes() {
    let folder = tempfile::tempdir().unwrap();
    let decision = json!({
        "effect": "allow", "violations": [], "approvals_required": 0, "engine": policy::ENGINE,
        "bundle": domain::Digest::sha256(b"bundle"), "input": domain::Digest::sha256(b"input"),
    });
    let plane = Fake::start(move |_| Answer::json(&json!({"decision": decision, "seq": 8})));
    let run = |arguments: &[&str]| {
        let mut command = countersign(arguments);
        command.env("COUNTERSIGN_PASSPHRASE", "words").current_dir(folder.path()).output().unwrap()
    };
    let made = run(&["--json", "keygen", "tenant.key"]);
    let did = support::json(&made)["did"].as_str().unwrap().to_owned();
    let account = format!("eip155:31337:0x{}=10000", "0a".repeat(20));
    let asset = "eip155:31337/slip44:60";
    let call = ["simulate", "--key", "tenant.key", "--tenant", &did, "--sequencer", &did, "--order", "order-1"];
    let payout = ["--asset", asset, "--total", "5", "--split", &account, "--control-plane", &plane.url];
    let output = run(&[&call[..], &payout].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let asked = plane.asked("POST");
    let [asked] = asked.as_slice() else { panic!("one question: {asked:?}") };
    assert_eq!(asked.what, "POST /v1/simulations");
    let tokens = container::decode(&asked.body, &Limits::default()).unwrap();
    let [token] = tokens.as_slice() else { panic!("the tenant's root needs no delegation") };
    let Token::Invocation(said) = ucan::open(token).unwrap() else { panic!("not an invocation") };
    assert_eq!(said.command().as_str(), ledger::Simulation::COMMAND);
    let refused = ledger::Statement::parse(said, Vec::new()).unwrap_err();
    assert!(matches!(&refused, ledger::ParseError::UnknownCommand(command) if command == ledger::Simulation::COMMAND));
}
