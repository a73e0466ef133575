//! Which rules of a policy fired on an input, and which did not: what `policy eval` shows.

use crate::{
    Bundle, Code, Decision, Engine, Input, LoadError,
    engine::timed_interpreter,
    lint::{self, PACKAGE},
    value,
};
use regorus::{Value, unstable::Rule};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// A decision and how each violation rule came out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// What [`Engine::decide`] says.
    pub decision: Decision,
    /// Every violation rule, in the order of file and line.
    pub rules: Vec<RuleTrace>,
}

/// How one violation rule came out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleTrace {
    /// The code that the rule gives.
    pub code: Code,
    /// The module's path inside the bundle.
    pub file: String,
    /// The line that the rule begins on, from 1.
    pub line: u32,
    /// The rule gave at least one violation.
    pub fired: bool,
    /// The messages of the violations that it gave, sorted.
    pub msgs: Vec<String>,
    /// Why the rule by itself could not be evaluated, if so.
    pub error: Option<String>,
}

/// Decides `input` and evaluates every violation rule by itself. The bundle must be one that loads.
pub fn explain(bundle: &Bundle, input: &Input) -> Result<Explanation, LoadError> {
    let engine = Engine::load(bundle)?;
    let value = value::of(input);
    let rules = violation_rules(bundle)?;
    let mut traces = Vec::with_capacity(rules.len());
    for rule in &rules {
        let others = rules.iter().filter(|other| *other != rule);
        let alone = without(bundle, others)?;
        let mut interpreter = timed_interpreter(&alone)?;
        interpreter.set_input(value.clone());
        let outcome = interpreter.eval_rule(format!("{PACKAGE}.violation"));
        let (msgs, error) = match &outcome {
            Ok(set) => (messages(set), None),
            Err(e) => (Vec::new(), Some(crate::engine::first_line(&e.to_string()))),
        };
        traces.push(RuleTrace {
            code: rule.code,
            file: rule.file.clone(),
            line: rule.line,
            fired: !msgs.is_empty(),
            msgs,
            error,
        });
    }
    Ok(Explanation { decision: engine.decide(input), rules: traces })
}

/// A violation rule: its code and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    code: Code,
    file: String,
    line: u32,
    start: usize,
    end: usize,
}

fn violation_rules(bundle: &Bundle) -> Result<Vec<Place>, LoadError> {
    let mut places = Vec::new();
    for (path, source) in bundle.modules() {
        let parsed =
            lint::parse(path, source, &lint::Nesting::new()).map_err(|finding| LoadError::new(vec![finding]))?;
        for rule in parsed.rules().filter(|rule| parsed.package == PACKAGE && lint::rule_name(rule) == "violation") {
            places.extend(place(path, rule));
        }
    }
    Ok(places)
}

fn place(path: &str, rule: &Rule) -> Option<Place> {
    let code = lint::head(rule)?.0.1.parse().ok()?;
    let span = rule.span();
    Some(Place {
        code,
        file: path.to_owned(),
        line: span.line,
        start: usize::try_from(span.start).ok()?,
        end: usize::try_from(span.end).ok()?,
    })
}

/// The bundle with some rules blanked out, lines kept.
fn without<'a>(bundle: &Bundle, rules: impl Iterator<Item = &'a Place>) -> Result<Bundle, LoadError> {
    let mut modules: BTreeMap<String, String> = bundle.modules().clone();
    for rule in rules {
        let Some(source) = modules.get_mut(&rule.file) else { continue };
        let (Some(before), Some(text), Some(after)) =
            (source.get(..rule.start), source.get(rule.start..rule.end), source.get(rule.end..))
        else {
            continue;
        };
        let blank: String = text.bytes().map(|b| if b == b'\n' { '\n' } else { ' ' }).collect();
        *source = [before, &blank, after].concat();
    }
    Bundle::new(modules, bundle.data().to_owned())
}

fn messages(set: &Value) -> Vec<String> {
    let message = |v: &Value| v.as_object().ok()?.get(&Value::from("msg"))?.as_string().ok().map(ToString::to_string);
    let sorted: BTreeSet<String> = set.as_set().into_iter().flat_map(|set| set.iter()).filter_map(message).collect();
    sorted.into_iter().collect()
}
