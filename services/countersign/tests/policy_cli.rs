//! `countersign policy`, as programs and people see it.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]

use policy::{Bundle, probe};
use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;

fn run(args: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_countersign")).args(args).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

fn json(args: &[&str]) -> (i32, Value) {
    let (code, text) = run(&[&["--json"], args].concat());
    (code, serde_json::from_str(&text).unwrap())
}

fn rego() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policy/rego")
}

/// A copy of the built-in bundle with something changed.
fn changed(from: &str, to: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    let bundle = Bundle::default_payout();
    for (path, source) in bundle.modules() {
        assert!(source.contains(from), "{from}");
        let file = folder.path().join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, source.replacen(from, to, 1)).unwrap();
    }
    std::fs::write(folder.path().join("config.json"), bundle.data()).unwrap();
    folder
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn built_in_bundle_passes_its_tests_without_a_path() {
    let (code, answer) = json(&["policy", "test"]);
    assert_eq!((code, answer["ok"].as_bool()), (0, Some(true)), "{answer}");
    assert!(answer["passed"].as_u64().unwrap() >= 60);
    assert_eq!(answer["passed"], answer["total"]);
    let (code, out) = run(&["policy", "test", text(&rego())]);
    assert_eq!(code, 0, "{out}");
    assert!(out.contains("tests passed"), "{out}");
}

#[test]
fn failing_and_absent_tests_do_not_pass() {
    let folder = changed("package payout", "package payout");
    assert_eq!(json(&["policy", "test", text(folder.path())]).0, 1, "no tests");
    let source = "package payout_test\n\nimport rego.v1\n\ntest_wrong if 1 == 2\n";
    std::fs::write(folder.path().join("payout/payout_test.rego"), source).unwrap();
    let (code, out) = run(&["policy", "test", text(folder.path())]);
    assert_eq!(code, 1);
    assert!(out.contains("FAILED payout_test.test_wrong  payout/payout_test.rego:5"), "{out}");
}

#[test]
fn check_gives_the_content_address_or_every_finding() {
    let (code, answer) = json(&["policy", "check", text(&rego())]);
    assert_eq!(code, 0, "{answer}");
    assert_eq!(answer["bundle"], Bundle::default_payout().id().to_string());
    let folder = changed("default effect := \"deny\"", "default effect := \"allow\"");
    let (code, out) = run(&["policy", "check", text(folder.path())]);
    assert_eq!(code, 1, "{out}");
    assert!(out.contains("payout/payout.rego:"), "{out}");
    let (code, answer) = json(&["policy", "check", text(folder.path())]);
    assert_eq!((code, answer["ok"].as_bool()), (1, Some(false)));
    assert!(!answer["findings"].as_array().unwrap().is_empty());
}

#[test]
fn check_tells_a_slip_where_it_stands() {
    let folder = changed("input.total > input.order.available", "input.totl > input.order.available");
    let source = std::fs::read_to_string(folder.path().join("payout/payout.rego")).unwrap();
    let line = 1 + source.lines().position(|line| line.contains("totl")).unwrap();
    let (code, out) = run(&["policy", "check", text(folder.path())]);
    assert_eq!(code, 1, "{out}");
    let told = format!("payout/payout.rego:{line}:11: input has no field totl; did you mean total?");
    assert!(out.contains(&told), "{out}");
    let (_, answer) = json(&["policy", "check", text(folder.path())]);
    let findings = answer["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 1, "{answer}");
    assert_eq!((findings[0]["line"].as_u64(), findings[0]["column"].as_u64()), (Some(line as u64), Some(11)));
}

#[test]
fn eval_explains_rule_by_rule() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("input.json");
    let probes = [(probe::bare(), "deny"), (probe::widest(), "deny"), (probe::ordinary(), "allow")];
    for (input, expected) in probes {
        let input = input.unwrap();
        std::fs::write(&file, serde_json::to_vec(&input).unwrap()).unwrap();
        let (code, answer) = json(&["policy", "eval", "--input", text(&file)]);
        assert_eq!(answer["decision"]["effect"], expected, "{answer}");
        assert_eq!(code, i32::from(expected == "deny"), "{answer}");
        let fired = answer["rules"].as_array().unwrap().iter().filter(|r| r["fired"] == true).count();
        assert_eq!(fired > 0, expected == "deny", "{answer}");
    }
    let (_, out) = run(&["policy", "eval", text(&rego()), "--input", text(&file)]);
    assert!(out.starts_with("decision: ") && out.contains("rules:"), "{out}");
}

#[test]
fn wrong_use_is_told_apart() {
    assert_eq!(run(&["policy", "check", "/nowhere/at/all"]).0, 2);
    assert_eq!(run(&["policy", "eval", "--input", "/nowhere/at/all"]).0, 2);
    assert_eq!(run(&["policy"]).0, 2);
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("input.json");
    std::fs::write(&file, "{}").unwrap();
    assert_eq!(run(&["policy", "eval", "--input", text(&file)]).0, 2);
    let two = changed("package payout", "package payout");
    std::fs::write(two.path().join("more.json"), "{}").unwrap();
    assert_eq!(run(&["policy", "check", text(two.path())]).0, 2);
}
