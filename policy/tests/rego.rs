//! The Rego tests of the default bundle, and the files that are kept beside it.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

use policy::{
    Bundle, Code, Engine, Input,
    testing::{TestOutcome, check, run},
};
use std::collections::{BTreeMap, BTreeSet};

const TESTS: [(&str, &str); 2] = [
    ("payout/payout_test.rego", include_str!("../rego/payout/payout_test.rego")),
    ("payout/recipients_test.rego", include_str!("../rego/payout/recipients_test.rego")),
];
const SOURCE: &str = include_str!("../rego/payout/payout.rego");

fn tests(source: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("payout/payout_test.rego".to_owned(), source.to_owned())])
}

#[test]
fn every_rego_test_passes() {
    let results =
        run(&Bundle::default_payout(), &TESTS.map(|(path, source)| (path.to_owned(), source.to_owned())).into())
            .unwrap();
    let failed: Vec<_> = results.iter().filter(|r| r.outcome != TestOutcome::Passed).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert_eq!(results.len(), 84);
}

#[test]
fn failing_rego_test_is_reported_with_its_line() {
    let source =
        "package payout_test\n\nimport rego.v1\n\ntest_good if true\n\ntest_bad if 1 == 2\n\ntest_not_true := 7\n";
    let results = run(&Bundle::default_payout(), &tests(source)).unwrap();
    let found: Vec<_> = results.iter().map(|r| (r.name.as_str(), r.line, r.outcome == TestOutcome::Passed)).collect();
    assert_eq!(found, [("test_good", 5, true), ("test_bad", 7, false), ("test_not_true", 9, false)]);
}

#[test]
fn rego_test_that_does_not_parse_is_an_error_with_its_place() {
    let error = run(&Bundle::default_payout(), &tests("package payout_test\n\ntest_x if {")).unwrap_err();
    assert_eq!(error.findings()[0].file, "payout/payout_test.rego");
    assert_eq!(error.findings()[0].line, 3);
}

#[test]
fn default_bundle_has_no_findings() {
    assert_eq!(check(&Bundle::default_payout()), []);
    Engine::load(&Bundle::default_payout()).unwrap();
}

#[test]
fn codes_in_rego_are_the_codes_in_rust() {
    let in_rego: BTreeSet<&str> = SOURCE.split("\"code\": \"").skip(1).filter_map(|s| s.split('"').next()).collect();
    let in_rust: BTreeSet<&str> =
        Code::ALL.iter().filter(|c| **c != Code::PolicyError).map(|code| code.as_str()).collect();
    assert_eq!(in_rego, in_rust);
}

#[test]
fn every_code_has_a_rego_test_a_name_and_a_description() {
    for code in Code::ALL {
        assert_eq!(code.as_str().parse(), Ok(*code));
        assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
        assert!(code.description().ends_with('.'), "{code}");
        let quoted = format!("\"{code}\"");
        assert!(
            *code == Code::PolicyError || TESTS.iter().any(|(_, source)| source.contains(&quoted)),
            "{code} has no Rego test"
        );
    }
}

#[test]
fn every_violation_rule_has_title_and_description() {
    let lines: Vec<&str> = SOURCE.lines().collect();
    for (i, line) in lines.iter().enumerate().filter(|(_, line)| line.starts_with("violation contains")) {
        assert!(lines[i - 1].starts_with("# description: "), "line {}: {line}", i + 1);
        assert!(lines[i - 2].starts_with("# title: "), "line {}: {line}", i + 1);
        assert_eq!(lines[i - 3], "# METADATA", "line {}: {line}", i + 1);
    }
}

#[test]
fn committed_schema_is_the_one_of_the_types() {
    let committed = include_str!("../schema/payout.input.json");
    let generated = Input::schema_json();
    assert!(committed == generated, "policy/schema/payout.input.json is not up to date; it must be:\n{generated}");
}
