//! Runs a policy's own tests and checks: what `policy test` and `policy check` show.

use crate::{
    Bundle, Engine, Finding, LoadError,
    engine::{first_line, timed_interpreter},
    lint,
};
use regorus::{
    Value,
    unstable::{Rule, RuleHead},
};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// One `test_…` rule and how it came out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TestResult {
    /// The package that the rule is in, without `data.`.
    pub package: String,
    /// The rule's name.
    pub name: String,
    /// The test module's path.
    pub file: String,
    /// The line that the rule begins on, from 1.
    pub line: u32,
    /// How it came out.
    pub outcome: TestOutcome,
}

/// How a test came out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TestOutcome {
    /// The rule is true.
    Passed,
    /// The rule is undefined or something other than true.
    Failed,
    /// The rule could not be evaluated, and why.
    Error(String),
}

/// Everything that keeps a bundle from being loaded; empty when it loads.
pub fn check(bundle: &Bundle) -> Vec<Finding> {
    Engine::load(bundle).err().map(|e| e.findings().to_vec()).unwrap_or_default()
}

/// Runs every rule whose name begins with `test_` in `tests` (path to source) against a bundle.
///
/// Tests are Rego with `with`, so they run in the engine's interpreter; that it and the compiled machine agree is tested
/// by this crate. The bundle is not linted here: see [`check`].
pub fn run(bundle: &Bundle, tests: &BTreeMap<String, String>) -> Result<Vec<TestResult>, LoadError> {
    let mut engine = timed_interpreter(bundle)?;
    let mut found = Vec::new();
    for (path, source) in tests {
        let parsed =
            lint::parse(path, source, &lint::Nesting::new()).map_err(|finding| LoadError::new(vec![finding]))?;
        engine
            .add_policy(path.clone(), source.clone())
            .map_err(|e| LoadError::whole(path, first_line(&e.to_string())))?;
        let mut names = BTreeSet::new();
        for rule in parsed.rules() {
            let name = lint::rule_name(rule);
            let complete = matches!(rule, Rule::Spec { head: RuleHead::Compr { .. }, .. });
            if complete && name.starts_with("test_") && names.insert(name.clone()) {
                found.push((parsed.package.clone(), name, path.clone(), rule.span().line));
            }
        }
    }
    engine.set_input(Value::new_object());
    let outcome = |rule: String| match engine.eval_rule(rule) {
        Ok(Value::Bool(true)) => TestOutcome::Passed,
        Ok(_) => TestOutcome::Failed,
        Err(e) => TestOutcome::Error(first_line(&e.to_string())),
    };
    Ok(results(found, outcome))
}

fn results(
    found: Vec<(String, String, String, u32)>,
    mut outcome: impl FnMut(String) -> TestOutcome,
) -> Vec<TestResult> {
    found
        .into_iter()
        .map(|(package, name, file, line)| {
            let outcome = outcome(format!("{package}.{name}"));
            let package = package.strip_prefix("data.").map(str::to_owned).unwrap_or(package);
            TestResult { package, name, file, line, outcome }
        })
        .collect()
}
