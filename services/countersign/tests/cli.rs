//! The command line by itself: help, exit codes, configuration mistakes, key files.
#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

#[path = "support/system.rs"]
mod support;

use std::{fs, os::unix::fs::PermissionsExt};
use support::{countersign, json, run};

const COMMANDS: [&str; 26] = [
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
fn every_mistake_of_a_configuration_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("signer.toml");
    fs::write(&file, "listen = \"nowhere\"\noperator = \"did:web:x\"\nlease = 2\nseqencer = \"did:key:z6Mk\"\n")
        .unwrap();
    let output = countersign(&["signer", "--config", file.to_str().unwrap()]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    for mistake in [
        "listen:",
        "operator:",
        "seqencer: unknown field",
        "sequencer: missing",
        "data: missing",
        "rpc: missing",
        "passphrase_file:",
    ] {
        assert!(text.contains(mistake), "{mistake} is not named in\n{text}");
    }
    assert!(text.contains("COUNTERSIGN_RPC"), "the remedy is named");
}

#[test]
fn a_line_that_is_not_toml_is_not_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plane.toml");
    fs::write(&file, "listen = \"127.0.0.1:1\"\ndatabase = \"postgres://u:hunter2@h/d\n").unwrap();
    let output = run(&["control-plane", "--config", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("not TOML in line 2") && !text.contains("hunter2"), "{text}");
}

#[test]
fn variables_override_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("relayer.toml");
    fs::write(&file, "listen = \"127.0.0.1:1\"\n").unwrap();
    let mut command = countersign(&["relayer", "--config", file.to_str().unwrap()]);
    let output = command.env("COUNTERSIGN_LISTEN", "somewhere").output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("\"somewhere\""), "{text}");
}

#[test]
fn a_variable_that_no_field_has_is_a_mistake_of_a_service() {
    for role in ["control-plane", "signer", "relayer"] {
        let mut command = countersign(&[role]);
        command.env("COUNTERSIGN_LISTENN", "127.0.0.1:1").env("COUNTERSIGN_TESTS", "all");
        let output = command.env("COUNTERSIGN_CLIENT", "client.toml").output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains("COUNTERSIGN_LISTENN: unknown variable"), "{text}");
        assert!(!text.contains("COUNTERSIGN_TESTS") && !text.contains("COUNTERSIGN_CLIENT"), "{text}");
    }
}

#[test]
fn a_missing_configuration_file_is_said_to_be_missing() {
    let output = run(&["control-plane", "--config", "/no/such/file.toml"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("there is no such file"));
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
    assert_eq!(run(&stolen).status.code(), Some(1));
    assert!(!fs::exists(&other).unwrap());
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
