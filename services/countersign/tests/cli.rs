//! The command line by itself: help, exit codes, key files, measurements.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

#[path = "support/system.rs"]
mod support;

use serde_json::Value;
use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    process::Stdio,
};
use support::{countersign, json, run};

const COMMANDS: [&str; 27] = [
    "dev",
    "demo",
    "control-plane",
    "signer",
    "relayer",
    "keygen",
    "delegate",
    "quorum",
    "propose",
    "simulate",
    "approve",
    "refuse",
    "cancel",
    "resend",
    "status",
    "grant",
    "verify-recipient",
    "open-order",
    "revoke",
    "freeze",
    "thaw",
    "escrow",
    "log",
    "receipt",
    "ucan",
    "policy",
    "bench",
];

#[test]
fn every_command_has_help() {
    let all = help(&[]);
    for command in COMMANDS {
        assert!(all.contains(&format!("\n  {command} ")), "{command} is missing in --help");
    }
    assert!(all.contains("Exit codes: 0 done"));
    assert!(!all.contains("leash"), "hidden commands stay hidden");
    assert_eq!(subcommands(&all), COMMANDS, "every command is listed here");
    let mut leaves = Vec::new();
    collect_leaves(&[], &mut leaves);
    for path in ["control-plane", "quorum status", "log export", "policy eval", "escrow approve"] {
        assert!(leaves.iter().any(|leaf| leaf.join(" ") == path), "{path} is not among {leaves:?}");
    }
}

/// Finds the commands that have none below them. Each shows an example that is about itself.
fn collect_leaves(path: &[String], leaves: &mut Vec<Vec<String>>) {
    let text = help(&path.iter().map(String::as_str).collect::<Vec<_>>());
    let below = subcommands(&text);
    for name in &below {
        collect_leaves(&[path, &[(*name).to_owned()]].concat(), leaves);
    }
    if below.is_empty() {
        let name = path.join(" ");
        let examples = text.split_once("\nExample:\n").or_else(|| text.split_once("\nExamples:\n"));
        let (_, examples) = examples.unwrap_or_else(|| panic!("{name}: no example in its help:\n{text}"));
        assert!(examples.contains(&format!("countersign {name}")), "{name}: {examples}");
        leaves.push(path.to_vec());
    }
}

fn help(path: &[&str]) -> String {
    let output = run(&[path, &["--help"]].concat());
    assert!(output.status.success(), "{path:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The names under "Commands:", without "help" itself.
fn subcommands(text: &str) -> Vec<&str> {
    let below = text.split_once("\nCommands:\n").map_or("", |(_, rest)| rest);
    let lines = below.lines().take_while(|line| !line.is_empty());
    // A wrapped description is indented deeper than a name.
    let names = lines.filter_map(|line| line.strip_prefix("  ").filter(|l| !l.starts_with(' ')));
    names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").collect()
}

#[test]
fn wrong_usage_is_exit_code_2() {
    for arguments in [&["no-such-command"][..], &["approve"], &["approve", "not-a-cid"], &["dev", "--threshold", "x"]] {
        assert_eq!(run(arguments).status.code(), Some(2), "{arguments:?}");
    }
    let folder = tempfile::tempdir().unwrap();
    let cid = "bafyreigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi";
    let unknown = countersign(&["status", cid]).current_dir(folder.path()).output().unwrap();
    assert_eq!(unknown.status.code(), Some(2));
    let text = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert!(text.contains("--key") || text.contains("--as"), "{text}");
}

#[test]
fn programs_are_told_of_wrong_usage_by_json() {
    for (arguments, what) in [
        (&["--json", "no-such-command"][..], "unrecognized subcommand 'no-such-command'"),
        (&["approve", "--json", "--no-such-flag"], "unexpected argument '--no-such-flag' found"),
        (&["approve", "not-a-cid", "--json"], "invalid value 'not-a-cid' for '<PROPOSAL>'"),
        (&["--json", "quorum"], "a command is missing"),
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
        let report: Value = serde_json::from_slice(&output.stderr).unwrap();
        let error = report["error"].as_str().unwrap();
        assert!(error.starts_with(what) && !error.contains("Usage:"), "{error}");
        assert!(report["causes"].as_array().unwrap().is_empty());
    }
    // People and who asks for help read on.
    assert!(String::from_utf8(run(&["no-such-command"]).stderr).unwrap().contains("Usage: countersign"));
    let helped = run(&["--json", "approve", "--help"]);
    assert!(helped.status.success() && String::from_utf8(helped.stdout).unwrap().contains("Example:"));
    // What comes after the dashes is somebody else's.
    assert!(!run(&["leash", "--no-such-flag", "--", "x", "--json"]).stderr.starts_with(b"{"));
}

#[test]
fn one_kind_of_measurement_is_made_alone() {
    let measured = run(&["--json", "bench", "--quick", "--seconds", "1", "--only", "policy"]);
    assert!(measured.status.success(), "{}", String::from_utf8_lossy(&measured.stderr));
    let report = json(&measured);
    let figures = report["figures"].as_array().unwrap();
    assert!(!figures.is_empty() && figures.iter().all(|f| f["bench"] == "policy"), "{report}");
    for figure in figures {
        let values = figure["values"].as_array().unwrap();
        assert!(!values.is_empty() && figure.get("not_measured").is_none(), "{figure}");
        assert!(values.iter().all(|v| v["value"].as_f64().is_some_and(|n| n > 0.0)), "{figure}");
    }
    assert!(report["seconds"] == 1 && report["machine"]["cores"].as_u64().is_some_and(|n| n > 0), "{report}");
}

#[test]
fn a_key_survives_its_file() {
    let folder = tempfile::tempdir().unwrap();
    for (kind, field) in [("identity", "did"), ("gas-wallet", "address")] {
        let file = folder.path().join(kind);
        let file = file.to_str().unwrap();
        let with = |passphrase: &str, arguments: &[&str]| {
            let mut command = countersign(&["--json", "keygen"]);
            command.args(arguments).env("COUNTERSIGN_PASSPHRASE", passphrase).output().unwrap()
        };
        let made = with("words", &["--kind", kind, file]);
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
        let shown = with("words", &["--show", file]);
        assert_eq!(json(&made)[field], json(&shown)[field]);
        assert!(json(&made)[field].as_str().is_some_and(|t| t.len() > 20));
        assert_eq!(with("other words", &["--show", file]).status.code(), Some(2));
        assert_eq!(with("words", &["--kind", kind, file]).status.code(), Some(2), "never overwritten");
    }
}

#[test]
fn a_delegation_is_written_once_and_only_by_who_may() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let run = |arguments: &[&str]| {
        let mut command = countersign(&["--json"]);
        command.args(arguments).env("COUNTERSIGN_PASSPHRASE", "words").current_dir(folder.path()).output().unwrap()
    };
    let did = |name: &str| {
        let made = run(&["keygen", &path(name)]);
        json(&made)["did"].as_str().unwrap().to_owned()
    };
    let (tenant, approver) = (did("tenant.key"), did("approver.key"));
    let (key, out) = (path("tenant.key"), path("approver.ucan"));
    let first = ["delegate", "--key", &key, "--to", &approver, "--command", "/approval", "--out", &out];
    let issued = run(&first);
    assert!(issued.status.success(), "{}", String::from_utf8_lossy(&issued.stderr));
    assert_eq!(json(&issued)["subject"], tenant.as_str());
    assert_eq!(run(&first).status.code(), Some(1), "the file is there already");
    let (other_key, other) = (path("approver.key"), path("other.ucan"));
    let stolen = [
        "delegate",
        "--key",
        &other_key,
        "--to",
        &approver,
        "--subject",
        &tenant,
        "--command",
        "/freeze",
        "--out",
        &other,
    ];
    assert_eq!(run(&stolen).status.code(), Some(2));
    assert!(!fs::exists(&other).unwrap());
}

/// Whether it would read, say or pass on.
#[test]
fn who_was_given_no_delegation_has_used_it_wrongly() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let mut command = countersign(&["--json"]);
        command.args(arguments).env("COUNTERSIGN_PASSPHRASE", "words").current_dir(folder.path()).output().unwrap()
    };
    let made = ["own.key", "other.key"].map(|name| json(&run(&["keygen", name])));
    let [own, other] = made.each_ref().map(|made| made["did"].as_str().unwrap());
    let cid = "bafyreigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi";
    let whose = ["--key", "own.key", "--tenant", other, "--sequencer", other, "--control-plane", "http://127.0.0.1:1"];
    for call in [
        &["status", cid][..],
        &["approve", "--yes", cid],
        &["refuse", cid, "--reason", "a test"],
        &["revoke", "--revoked-key", own, "--reason", "a test"],
        &["freeze", "--reason", "a test"],
        &["delegate", "--to", own, "--subject", other, "--command", "/freeze", "--out", "new.ucan"],
    ] {
        let more: &[&str] = if call[0] == "delegate" { &whose[..2] } else { &whose };
        let output = run(&[call, more].concat());
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && error.contains("holds no delegation of"), "{call:?}: {error}");
    }
}

#[test]
fn flags_that_contradict_each_other_are_told() {
    let did = "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp";
    let account = format!("eip155:31337:0x{}=10000", "0a".repeat(20));
    let everywhere = ["--everywhere", "--only-tenant", did];
    let limit = ["--limit", "eip155:31337/slip44:60=5,6"];
    let mut calls = vec![
        [&["freeze", "--reason", "a test"][..], &everywhere].concat(),
        [&["thaw"][..], &everywhere].concat(),
        [
            &["grant", did, "--plugin", "com.example.a", "--version", "1.0.0"][..],
            &limit,
            &["--days", "1", "--hours", "1"],
        ]
        .concat(),
        vec!["propose", "--container", "x.ucan", "--save", "y.ucan"],
        vec!["simulate", "--container", "x.ucan", "--installation", did],
    ];
    for command in ["propose", "simulate"] {
        for other in [
            ["--file", "payout.json"],
            ["--order", "order-1"],
            ["--asset", "eip155:31337/slip44:60"],
            ["--total", "5"],
            ["--split", &account],
            ["--item", "goods=5"],
            ["--valid-for", "60"],
        ] {
            calls.push([&[command, "--container", "x.ucan"][..], &other].concat());
        }
    }
    for call in calls {
        let output = run(&call);
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && error.contains("cannot be used with"), "{call:?}: {error}");
    }
}

#[test]
fn a_chain_that_is_not_there_is_said_to_be_missing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let output = run(&["dev", "--folder", path, "--rpc", "http://127.0.0.1:1"]);
    assert_eq!(output.status.code(), Some(3));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("http://127.0.0.1:1") && text.contains("leave out --rpc"), "{text}");
}

#[test]
fn who_does_not_answer_is_exit_code_3() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("k.key");
    let with = |arguments: &[&str]| {
        let mut command = countersign(arguments);
        command.env("COUNTERSIGN_PASSPHRASE", "words").current_dir(folder.path()).output().unwrap()
    };
    let made = with(&["--json", "keygen", key.to_str().unwrap()]);
    let did = json(&made)["did"].as_str().unwrap().to_owned();
    // Port 1 is reserved; nothing listens there.
    let thaw = [
        "thaw",
        "--key",
        key.to_str().unwrap(),
        "--tenant",
        &did,
        "--sequencer",
        &did,
        "--control-plane",
        "http://127.0.0.1:1",
    ];
    assert_eq!(with(&thaw).status.code(), Some(3));
}

#[test]
fn what_no_system_can_be_made_of_is_told_before_anything_is_made() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("dev");
    let path = folder.to_str().unwrap();
    let file = parent.path().join("no-program");
    fs::write(&file, "").unwrap();
    let file = file.to_str().unwrap();
    for (arguments, why) in [
        (&["--port", "65531"][..], "--port 65531: this system has 6 ports, so the first is 65530 at most"),
        (&["--port", "65530", "--signers", "4"], "65529 at most"),
        (&["--port", "0"], "--port 0: ports begin at 1"),
        (&["--threshold", "4"], "--threshold 4: there are only 3 signers"),
        (&["--threshold", "1"], "--threshold 1: at least 2"),
        (&["--signers", "33"], "--signers 33: 32 at most"),
        (&["--anvil", "/nonexistent"], "--anvil /nonexistent: there is no such program"),
        (&["--anvil", "nonexistent-anvil"], "--anvil nonexistent-anvil: there is no such program"),
        (&["--anvil", file], "there is no such program"),
    ] {
        let output = run(&[&["dev", "--folder", path], arguments].concat());
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && error.contains(why), "{arguments:?}: {error}");
        assert!(!folder.exists(), "{arguments:?}");
    }
    let told = run(&["demo", "--folder", path, "--anvil", "/nonexistent"]);
    assert!(told.status.code() == Some(2) && !folder.exists());
}

#[test]
fn amounts_are_told_what_is_wrong_with_them() {
    let account = format!("eip155:31337:0x{}", "0a".repeat(20));
    let (asset, split) = ("eip155:31337/slip44:60", format!("{account}=10000"));
    for (amount, why) in [
        ("-1", "at least 1 minor unit"),
        ("0", "at least 1 minor unit"),
        ("abc", "a whole number of minor units"),
        ("1.5", "a whole number of minor units"),
        ("1e2", "a whole number of minor units"),
        ("9007199254740992", "at most 2^53-1 minor units"),
        ("18446744073709551616", "at most 2^53-1 minor units"),
    ] {
        let limit = format!("{asset}={amount},5");
        let order = ["open-order", "order-1", "--buyer", &account, "--asset", asset, "--amount", amount];
        let did = "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp";
        for call in [
            &["propose", "--order", "order-1", "--asset", asset, "--total", amount, "--split", &split][..],
            &["simulate", "--order", "order-1", "--asset", asset, "--total", amount, "--split", &split],
            &order,
            &["grant", did, "--plugin", "com.example.a", "--version", "1.0.0", "--limit", &limit],
        ] {
            let output = run(call);
            let error = String::from_utf8(output.stderr).unwrap();
            assert!(output.status.code() == Some(2) && error.contains(why), "{call:?}: {error}");
        }
    }
}

/// What a leash holds does not outlive it: its next start would find the port taken, and another chain there.
#[cfg(target_os = "linux")]
#[test]
fn what_a_leash_holds_ends_with_a_leash_that_is_killed() {
    let mut command = countersign(&["leash", "--", "sh", "-c", "echo $$; exec sleep 1000"]);
    let mut leash = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut pid = String::new();
    BufReader::new(leash.stdout.take().unwrap()).read_line(&mut pid).unwrap();
    let stat = format!("/proc/{}/stat", pid.trim());
    // Nobody may be there to hear of its end, so that its entry stays.
    let is_running = || fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "));
    assert!(is_running());
    leash.kill().unwrap();
    leash.wait().unwrap();
    support::until("the end of what the leash held", || !is_running());
}

#[cfg(target_os = "linux")]
#[test]
fn what_a_leash_holds_is_interrupted_when_its_input_ends() {
    let mut command = countersign(&[
        "leash",
        "--",
        "sh",
        "-c",
        "trap 'echo interrupted; exit 7' INT; echo up; while :; do sleep 0.1; done",
    ]);
    let mut leash = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(leash.stdout.take().unwrap()).lines();
    assert_eq!(said.next().unwrap().unwrap(), "up");
    drop(leash.stdin.take());
    assert_eq!(said.next().unwrap().unwrap(), "interrupted");
    assert_eq!(leash.wait().unwrap().code(), Some(7));
}

#[test]
fn another_process_at_the_chains_port_is_not_taken_for_the_chain() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    // The control plane and the relayer come first.
    let first = (port - 2).to_string();
    let output = run(&["dev", "--folder", folder.path().to_str().unwrap(), "--port", &first, "--anvil", "true"]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{error}");
    assert!(error.contains(&format!("another process listens at http://127.0.0.1:{port}")), "{error}");
}
