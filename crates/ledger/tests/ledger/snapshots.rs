//! One outcome of each kind of statement, byte for byte: what changes here changes every log.

use crate::commands::every;
use countersign_ledger::Outcome;
use std::fmt::Write;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, b| {
        let _ = write!(text, "{b:02x}");
        text
    })
}

/// Statement, outcome and the state after it.
#[test]
fn every_statement_and_its_outcome() {
    let mut lines = String::new();
    for case in every() {
        let mut stage = case.stage();
        let signed = case.good(&stage);
        let outcome: Outcome = stage.say(&signed);
        let ipld = ipld_core::serde::to_ipld(&outcome).unwrap();
        let bytes = serde_ipld_dagcbor::to_vec(&ipld).unwrap();
        // Both ways to the bytes are one: entries hold the tree, digests are over the value.
        assert_eq!(bytes, serde_ipld_dagcbor::to_vec(&outcome).unwrap());
        let _ = writeln!(lines, "{}", case.command);
        let _ = writeln!(lines, "  statement {}", signed.cid());
        let _ = writeln!(lines, "  outcome {}", hex(&bytes));
        let _ = writeln!(lines, "  outcome {}", serde_json::to_string(&outcome).unwrap());
        let _ = writeln!(lines, "  state {}", stage.state.hash());
    }
    insta::assert_snapshot!(lines);
}

#[test]
fn the_empty_state() {
    let state = crate::stage::Stage::empty().state;
    let bytes = serde_ipld_dagcbor::to_vec(&state).unwrap();
    assert_eq!(state.hash(), domain::Digest::sha256(&bytes));
    insta::assert_snapshot!(hex(&bytes));
}
