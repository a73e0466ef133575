//! The whole system: starts, survives a restart and a crash, and leaves nothing running.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]

#[path = "support/system.rs"]
mod support;

use serde_json::Value;
use std::{path::Path, process::Command};
use support::{System, json, until};

fn is_running(folder: &Path) -> bool {
    let pids = std::fs::read(folder.join("pids.json")).unwrap_or_default();
    let pids: Value = serde_json::from_slice(&pids).unwrap_or(Value::Null);
    let alive = |pid: &Value| Path::new(&format!("/proc/{pid}")).exists();
    pids.as_object().is_some_and(|all| all.values().any(alive))
}

#[test]
fn a_system_survives_restarts_and_crashes() {
    let folder = tempfile::tempdir().unwrap();
    let system = System::start(folder.path());
    let status = system.run(&["quorum", "status", "--as", "operator"]);
    assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stderr));
    let status = json(&status);
    assert_eq!(status["signers"].as_array().unwrap().len(), 3);
    let (record, alice, carol) = (system.record.clone(), "alice", "carol");
    let account = |name: &str| record["recipients"][name].as_str().unwrap().to_owned();
    let asset = format!("eip155:31337/erc20:{}", record["chain"]["token"].as_str().unwrap());
    let (first, second) = (format!("{}=9500", account(alice)), format!("{}=500", account(carol)));
    let propose = |system: &System| {
        let proposed = system.run(&[
            "propose", "--as", "plugin", "--order", "order-1", "--asset", &asset, "--total", "1000000", "--split",
            &first, "--split", &second,
        ]);
        assert!(proposed.status.success(), "{}", String::from_utf8_lossy(&proposed.stderr));
        json(&proposed)
    };
    let before = propose(&system);
    assert_eq!(before["status"], "approved");
    plugins_take_back_what_they_proposed(&system, &propose(&system));
    a_freeze_is_lifted_by_two_admins_who_name_it(&system, before["id"].as_str().unwrap());
    what_was_signed_is_simulated(&system, folder.path(), &asset, [&first, &second]);
    keys_are_not_made_for_an_epoch_that_the_log_does_not_take(&system);
    openssl_verifies_what_the_quorum_says_of_the_log(&system, folder.path(), &status);
    receipts_say_what_they_cannot_show(&system, folder.path(), before["id"].as_str().unwrap());
    system.stop();
    assert!(!is_running(folder.path()), "everything has ended");
    assert_eq!(starts_that_verified(folder.path()), [1, 1]);

    let system = System::start(folder.path());
    assert_eq!(starts_that_verified(folder.path()), [2, 2]);
    assert_eq!(system.record["signers"], record["signers"], "the same signers at the same addresses");
    let id = before["id"].as_str().unwrap();
    let status = system.run(&["status", "--as", "operator", id]);
    assert_eq!(json(&status)["seq"], before["seq"], "the log is the same");
    system.crash();

    let system = System::start(folder.path());
    assert_eq!(propose(&system)["status"], "approved");
    system.stop();
}

fn plugins_take_back_what_they_proposed(system: &System, proposed: &Value) {
    let id = proposed["id"].as_str().unwrap();
    let cancelled = system.run(&["cancel", "--as", "plugin", id, "--reason", "a double"]);
    assert!(cancelled.status.success(), "{}", String::from_utf8_lossy(&cancelled.stderr));
    let status = system.run(&["status", "--as", "operator", id]);
    assert_eq!(json(&status)["status"], "cancelled");
}

fn a_freeze_is_lifted_by_two_admins_who_name_it(system: &System, proposal: &str) {
    let frozen = system.run(&["freeze", "--as", "guardian", "--reason", "suspicious payouts"]);
    assert_eq!(frozen.status.code(), Some(0));
    let frozen = json(&frozen);
    let signers = frozen["signers"].as_array().unwrap();
    assert!(signers.len() == 3 && signers.iter().all(|s| s.get("error").is_none()), "{frozen}");
    let id = frozen["id"].as_str().unwrap();
    assert_eq!(frozen["log"]["taken"]["id"], id);
    let thaw = |more: &[&str]| {
        let thawed = system.run(&[&["thaw"], more].concat());
        (thawed.status.code(), String::from_utf8_lossy(&thawed.stderr).into_owned())
    };
    assert_eq!(thaw(&["--as", "admin-1"]), (Some(0), String::new()));
    let (code, error) = thaw(&["--as", "admin-2", "--freeze", proposal]);
    assert!(code == Some(1) && error.contains("\"field\":\"args.freeze\"") && error.contains(id), "{error}");
    assert_eq!(thaw(&["--as", "admin-2", "--freeze", id]), (Some(0), String::new()));
    let (code, error) = thaw(&["--as", "admin-2"]);
    assert!(code == Some(1) && error.contains("not frozen"), "{error}");
}

fn what_was_signed_is_simulated(system: &System, folder: &Path, asset: &str, splits: [&str; 2]) {
    let file = folder.join("proposal.ucan");
    let file = file.to_str().unwrap();
    let [first, second] = splits;
    let proposed = system.run(&[
        "propose", "--as", "plugin", "--order", "order-1", "--asset", asset, "--total", "1000", "--split", first,
        "--split", second, "--save", file,
    ]);
    assert!(proposed.status.success(), "{}", String::from_utf8_lossy(&proposed.stderr));
    let again = system.run(&["propose", "--container", file]);
    assert_eq!(json(&again)["seq"], json(&proposed)["seq"], "the same bytes, the same answer");
    // What the log holds already is not decided again, and the answer says so.
    let simulated = system.run(&["simulate", "--container", file]);
    assert_eq!(simulated.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&simulated.stderr).contains("the log has it at"));
}

fn keys_are_not_made_for_an_epoch_that_the_log_does_not_take(system: &System) {
    let signer = |s: &Value| format!("{}={}@{}", s["id"], s["node"].as_str().unwrap(), s["url"].as_str().unwrap());
    let signers: Vec<String> = system.record["signers"].as_array().unwrap().iter().map(signer).collect();
    let mut arguments = vec!["quorum", "dkg", "--as", "operator", "--threshold", "2", "--epoch", "7", "--submit"];
    arguments.extend(signers.iter().flat_map(|s| ["--signer", s.as_str()]));
    let refused = system.run(&arguments);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("next epoch is 2"));
    assert!(refused.stdout.is_empty(), "no step of a key generation was taken");
}

/// How many starts of the control plane and of a signer have said that their log is verified.
fn starts_that_verified(folder: &Path) -> [usize; 2] {
    [("control-plane", "every entry of the log has been verified"), ("signer-1", "every entry of this node's copy")]
        .map(|(name, line)| {
            let log = std::fs::read_to_string(folder.join("logs").join(format!("{name}.log"))).unwrap();
            log.matches(line).count()
        })
}

fn receipts_say_what_they_cannot_show(system: &System, folder: &Path, payout: &str) {
    let file = folder.join("receipt.json");
    let file = file.to_str().unwrap();
    // It takes a block, attestations, and a checkpoint over them that the quorum has cosigned.
    let get = ["receipt", "get", payout, "--as", "operator", "--out", file];
    until("a receipt", || system.run(&get).status.success());
    let operator = system.record["operator"].as_str().unwrap();
    let verify = ["receipt", "verify", file, "--operator", operator];
    let verified = system.run(&verify);
    assert!(verified.status.success() && verified.stderr.is_empty(), "programs are told by JSON alone");
    let verified = json(&verified);
    let caveat = verified["caveat"].as_str().unwrap();
    assert!(verified["ok"] == true && caveat.contains("no withdrawals, corrections or revocations"), "{verified}");
    let text = String::from_utf8(support::run(&verify).stdout).unwrap();
    assert_eq!(text.lines().last().unwrap(), format!("caveat: {caveat}"));
    // What proves nothing has nothing to be wary of.
    let refused =
        json(&system.run(&["receipt", "verify", file, "--operator", system.record["tenant"].as_str().unwrap()]));
    assert!(refused["ok"] == false && refused.get("caveat").is_none(), "{refused}");
}

/// OpenSSL knows nothing of FROST, nor of this code.
fn openssl_verifies_what_the_quorum_says_of_the_log(system: &System, folder: &Path, status: &Value) {
    let file = folder.join("cosigned.jsonl");
    let file = file.to_str().unwrap();
    until("a checkpoint with the quorum's signature", || {
        !json(&system.run(&["log", "export", "--as", "operator", "--out", file]))["cosigned_size"].is_null()
    });
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/cosigned.mjs");
    let key = status["keys"]["ed25519"].as_str().unwrap();
    let out = Command::new("node").args([script, file, key]).output().unwrap();
    let said = String::from_utf8_lossy(&out.stdout);
    assert_eq!(said.trim(), "true true false", "{}", String::from_utf8_lossy(&out.stderr));
}
