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
    let signers = status["signers"].as_array().unwrap();
    assert!(signers.len() == 3 && signers.iter().all(|s| s["status"]["fresh"] == true), "{status}");
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
    who_is_given_no_token_is_told_what_is_missing(&system, before["id"].as_str().unwrap(), &asset, &first);
    a_freeze_is_lifted_by_two_admins_who_name_it(&system, before["id"].as_str().unwrap());
    people_decide_what_is_in_review(&system, &asset, [&first, &second]);
    who_is_new_is_granted_paid_and_revoked(&system, folder.path(), &asset);
    what_was_signed_is_simulated(&system, folder.path(), &asset, [&first, &second]);
    keys_are_not_made_for_an_epoch_that_the_log_does_not_take(&system);
    openssl_verifies_what_the_quorum_says_of_the_log(&system, folder.path(), &status);
    receipts_say_what_they_cannot_show(&system, folder.path(), before["id"].as_str().unwrap());
    an_exported_log_is_verified_by_its_operator_alone(&system, folder.path());
    new_keys_are_made_and_become_the_quorums(&system, folder.path());
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

fn who_is_given_no_token_is_told_what_is_missing(system: &System, id: &str, asset: &str, share: &str) {
    let payout = ["--order", "order-1", "--asset", asset, "--total", "1", "--split", share];
    let (tenant, operator) = (system.record["tenant"].as_str().unwrap(), system.record["operator"].as_str().unwrap());
    let commands = [
        [&["propose"][..], &payout].concat(),
        [&["simulate"][..], &payout].concat(),
        ["cancel", id, "--reason", "a double"].to_vec(),
    ];
    for command in commands {
        for (more, missing, remedy) in [
            (
                ["--as", "operator", "--tenant", tenant],
                format!("no installation of tenant {tenant} at http://"),
                "--as",
            ),
            (["--as", "plugin", "--tenant", operator], format!("no tenant {operator} at http://"), "--tenant"),
        ] {
            let output = system.run(&[&command[..], &more].concat());
            let error: Value = serde_json::from_slice(&output.stderr).unwrap();
            let said = error["error"].as_str().unwrap();
            assert!(said.contains(&missing) && said.contains(remedy), "{command:?}: {error}");
            assert_eq!((output.status.code(), error["problem"].is_object()), (Some(1), true), "{command:?}: {error}");
        }
    }
}

/// What a command that is to succeed answers.
fn answer(system: &System, arguments: &[&str]) -> Value {
    let output = system.run(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    json(&output)
}

fn people_decide_what_is_in_review(system: &System, asset: &str, [first, second]: [&str; 2]) {
    let payout =
        |total| ["--order", "order-2", "--asset", asset, "--total", total, "--split", first, "--split", second];
    let simulate = |total| answer(system, &[&["simulate", "--as", "plugin"], &payout(total)[..]].concat());
    assert_eq!(simulate("1000000")["decision"]["effect"], "allow");
    assert_eq!(simulate("1100000000")["decision"]["effect"], "review");
    let installation = system.record["plugin"]["installation"].as_str().unwrap();
    let draft = ["simulate", "--as", "operator", "--installation", installation];
    let over = system.run(&[&draft, &payout("2100000000")[..]].concat());
    assert_eq!((over.status.code(), &json(&over)["decision"]["effect"]), (Some(1), &Value::from("deny")));
    let denied = system.run(&[&["propose", "--as", "plugin"], &payout("2100000000")[..]].concat());
    assert_eq!((denied.status.code(), &json(&denied)["status"]), (Some(1), &Value::from("denied")));
    let denied = json(&denied)["id"].as_str().unwrap().to_owned();
    // A checkpoint has to cover it first.
    until("that a denied proposal has no receipt", || {
        let receipt = system.run(&["receipt", "get", &denied, "--as", "operator", "--out", "/nowhere/at/all"]);
        let error = String::from_utf8(receipt.stderr).unwrap();
        receipt.status.code() == Some(1) && error.contains("no execution, and so no receipt")
    });

    let proposed = [1, 2].map(|_| {
        let proposed = answer(system, &[&["propose", "--as", "plugin"], &payout("1100000000")[..]].concat());
        assert_eq!(proposed["status"], "review");
        proposed["id"].as_str().unwrap().to_owned()
    });
    let [approved, refused] = proposed.each_ref();
    let view = |id: &str| answer(system, &["status", "--as", "operator", id]);
    let given = answer(system, &["approve", "--as", "approver", "--yes", approved]);
    let approver = &system.record["people"]["approver"]["did"];
    let seen = view(approved);
    assert_eq!(&seen["approvals"][0]["principal"], approver, "{seen}");
    assert!(seen["status"] != "review" && trail(&seen).contains(&given["seq"]), "{seen}");
    let given = answer(system, &["refuse", "--as", "approver", refused, "--reason", "no invoice"]);
    let seen = view(refused);
    assert!(seen["status"] == "refused" && trail(&seen).contains(&given["seq"]), "{seen}");
}

/// The places in the log of what concerns a proposal.
fn trail(view: &Value) -> Vec<Value> {
    view["audit_trail"].as_array().unwrap().iter().map(|record| record["seq"].clone()).collect()
}

fn who_is_new_is_granted_paid_and_revoked(system: &System, folder: &Path, asset: &str) {
    let (key, passphrase) = (folder.join("keys/second.key"), folder.join("passphrase"));
    let keygen = ["keygen", "--passphrase-file", passphrase.to_str().unwrap(), key.to_str().unwrap()];
    let second = answer(system, &keygen)["did"].as_str().unwrap().to_owned();
    let account = "eip155:31337:0x00000000000000000000000000000000000000a1";
    let share = format!("{account}=10000");
    let limit = format!("{asset}=5000000,8000000");
    let grant = ["grant", "--as", "admin-1", &second, "--plugin", "com.example.payouts", "--version", "1.0.0"];
    let steps = [
        answer(system, &[&grant, &["--limit", &limit][..]].concat()),
        answer(system, &["verify-recipient", "--as", "provider", account, "--kyc-level", "2"]),
        answer(
            system,
            &[
                "open-order",
                "--as",
                "marketplace",
                "order-7",
                "--buyer",
                account,
                "--asset",
                asset,
                "--amount",
                "9000000",
            ],
        ),
    ];
    let places: Vec<_> = steps.iter().map(|reply| reply["seq"].as_u64().unwrap()).collect();
    assert!(places.is_sorted_by(|a, b| a < b), "{places:?}");
    // All three count: the recipient, the order and the limit, which the token of a grant of one asset says itself.
    let simulate = |total| {
        let output = system.run(&[
            "simulate", "--as", "second", "--order", "order-7", "--asset", asset, "--total", total, "--split", &share,
        ]);
        (output.status.code(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let allowed = simulate("5000000");
    assert!(allowed.0 == Some(0) && allowed.1.contains("\"effect\":\"allow\""), "{allowed:?}");
    let denied = simulate("5000001");
    assert!(denied.0 == Some(1) && denied.2.contains("policy-mismatch"), "{denied:?}");
    answer(system, &["revoke", "--as", "admin-1", "--grant", &second, "--reason", "uninstalled"]);
    let gone = simulate("1");
    assert!(gone.0 == Some(1) && gone.1.is_empty() && gone.2.contains("\"problem\""), "{gone:?}");
}

fn an_exported_log_is_verified_by_its_operator_alone(system: &System, folder: &Path) {
    let file = folder.join("log.jsonl");
    let file = file.to_str().unwrap();
    let exported = answer(system, &["log", "export", "--as", "operator", "--out", file]);
    let operator = system.record["operator"].as_str().unwrap();
    let verified = answer(system, &["log", "verify", file, "--operator", operator]);
    assert!(verified["ok"] == true && verified["entries"] == exported["entries"], "{verified} {exported}");
    assert_eq!(verified["origin"], system.record["control_plane"]["origin"]);
    let other = system.run(&["log", "verify", file, "--operator", system.record["tenant"].as_str().unwrap()]);
    assert_eq!((other.status.code(), &json(&other)["ok"]), (Some(1), &Value::Bool(false)));
    assert_eq!(verified["signed"], true);
    let no_log = system.run(&["log", "verify", folder.to_str().unwrap(), "--operator", operator]);
    assert_eq!(no_log.status.code(), Some(2), "{}", String::from_utf8_lossy(&no_log.stderr));
    what_nobody_has_signed_is_said_to_be_unsigned(system, folder, file, operator);
}

fn what_nobody_has_signed_is_said_to_be_unsigned(system: &System, folder: &Path, file: &str, operator: &str) {
    let whole = std::fs::read_to_string(file).unwrap();
    let is_entry = |line: &&str| serde_json::from_str::<Value>(line).unwrap().get("checkpoint").is_none();
    let entries: Vec<&str> = whole.lines().filter(is_entry).collect();
    assert!(entries.len() < whole.lines().count(), "there was a checkpoint");
    let file = folder.join("unsigned.jsonl");
    std::fs::write(&file, entries.join("\n") + "\n").unwrap();
    let verify = ["log", "verify", file.to_str().unwrap(), "--operator", operator];
    let unsigned = system.run(&verify);
    let told = json(&unsigned);
    assert!(unsigned.status.code() == Some(1) && told["ok"] == false && told["signed"] == false, "{told}");
    assert!(told["error"].as_str().unwrap().contains("holds no checkpoint") && told["entries"].is_u64(), "{told}");
    let accepted = answer(system, &[&verify[..], &["--unsigned"]].concat());
    assert!(accepted["ok"] == true && accepted["signed"] == false, "{accepted}");
    let text = String::from_utf8(support::run(&[&verify[..], &["--unsigned"]].concat()).stdout).unwrap();
    assert!(text.starts_with("nothing here is signed"), "{text}");
}

fn new_keys_are_made_and_become_the_quorums(system: &System, folder: &Path) {
    let file = folder.join("quorum.json");
    let signers = participants(system);
    let mut arguments = vec!["quorum", "dkg", "--as", "operator", "--threshold", "3", "--submit"];
    arguments.extend(["--out", file.to_str().unwrap()]);
    arguments.extend(signers.iter().flat_map(|s| ["--signer", s.as_str()]));
    // Keys that are in use are not replaced by the way, nor without a yes; standard input is no terminal here.
    for (more, told) in [
        (&["--yes"][..], "--replace 1"),
        (&["--yes", "--replace", "2"], "--replace 1"),
        (&["--replace", "1"], "no terminal"),
    ] {
        let refused = system.run(&[&arguments, more].concat());
        // One line again, where a line goes on.
        let error = String::from_utf8_lossy(&refused.stderr).replace("\n          | ", "");
        assert_eq!(refused.status.code(), Some(2), "{more:?}: {error}");
        assert!(error.contains(told) && error.contains("payouts, thaws and caps stop"), "{more:?}: {error}");
        assert!(refused.stdout.is_empty() && !file.exists(), "no step of a key generation was taken");
    }
    let status = system.run(&["quorum", "status", "--as", "operator"]);
    assert_eq!(json(&status)["epoch"], 1);
    let made = answer(system, &[&arguments[..], &["--yes", "--replace", "1"]].concat());
    let (quorum, entry) = (&made["quorum"], &made["statement"]["seq"]);
    assert!(quorum["epoch"] == 2 && quorum["threshold"] == 3 && entry.is_u64(), "{made}");
    let written: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(&written, quorum);
    until("signers of the new epoch", || {
        let status = system.run(&["quorum", "status", "--as", "operator"]);
        status.status.success() && json(&status)["epoch"] == 2 && json(&status)["keys"] == quorum["keys"]
    });
}

/// The signers as `quorum dkg` takes them.
fn participants(system: &System) -> Vec<String> {
    let signer = |s: &Value| format!("{}={}@{}", s["id"], s["node"].as_str().unwrap(), s["url"].as_str().unwrap());
    system.record["signers"].as_array().unwrap().iter().map(signer).collect()
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
        (thawed.status.code(), String::from_utf8_lossy(&thawed.stderr).into_owned(), thawed)
    };
    // What is lifted is shown before it is signed, also where a program reads the answer.
    let (code, shown, first) = thaw(&["--as", "admin-1"]);
    assert!(code == Some(0) && shown.contains(id) && shown.contains("suspicious payouts"), "{shown}");
    let (first, admin) = (json(&first), &system.record["people"]["admin-1"]["did"]);
    assert!(first["lifted"] == false && first["missing"] == 1 && &first["lifts"][0] == admin, "{first}");
    let (code, error, _) = thaw(&["--as", "admin-2", "--freeze", proposal]);
    assert!(code == Some(1) && error.contains("\"field\":\"args.freeze\"") && error.contains(id), "{error}");
    let (code, error, second) = thaw(&["--as", "admin-2", "--freeze", id]);
    assert!(code == Some(0) && error.is_empty() && json(&second)["lifted"] == true, "{error}");
    let (code, error, _) = thaw(&["--as", "admin-2"]);
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
    let signers = participants(system);
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
