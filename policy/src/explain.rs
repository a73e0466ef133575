//! Which rules of a policy fired on an input, and which did not: what `policy eval` shows.

use crate::{
    Bundle, Code, Decision, Engine, Input, LoadError,
    engine::timed_interpreter,
    lint::{self, PACKAGE},
    value,
};
use regorus::{
    Value,
    unstable::{Expr, Rule, RuleHead},
};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// A decision and how each violation rule came out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// What [`Engine::decide`] says.
    pub decision: Decision,
    /// Every violation rule, in the order of file and line.
    pub rules: Vec<RuleTrace>,
    /// Every definition of the other rules beside them that take no arguments, in the same order: what made the effect.
    pub definitions: Vec<DefinitionTrace>,
}

/// How one definition of a rule came out, by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DefinitionTrace {
    /// The rule, such as `effect`.
    pub rule: String,
    /// The module's path inside the bundle.
    pub file: String,
    /// The line that the definition begins on, from 1.
    pub line: u32,
    /// It is what the rule is when no other definition holds.
    pub default: bool,
    /// What it gives; nothing when it does not hold.
    pub value: Option<serde_json::Value>,
    /// Why it could not be evaluated, if so.
    pub error: Option<String>,
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
    let places = places(bundle)?;
    let (mut rules, mut definitions) = (Vec::new(), Vec::new());
    for place in &places {
        let others = places.iter().filter(|other| *other != place && other.rule == place.rule);
        let outcome = alone(&without(bundle, others)?, &place.rule, &value)?;
        let error = outcome.as_ref().err().cloned();
        let (file, line) = (place.file.clone(), place.line);
        match place.kind {
            Kind::Violation(code) => {
                let msgs = outcome.as_ref().map(messages).unwrap_or_default();
                rules.push(RuleTrace { code, file, line, fired: !msgs.is_empty(), msgs, error });
            }
            Kind::Definition { default } => {
                let value = outcome.ok().filter(|value| *value != Value::Undefined);
                let value = value.and_then(|value| serde_json::to_value(value).ok());
                definitions.push(DefinitionTrace { rule: place.rule.clone(), file, line, default, value, error });
            }
        }
    }
    Ok(Explanation { decision: engine.decide(input), rules, definitions })
}

/// What a rule of [`PACKAGE`] gives, or why it gives nothing.
fn alone(bundle: &Bundle, rule: &str, input: &Value) -> Result<Result<Value, String>, LoadError> {
    let mut interpreter = timed_interpreter(bundle)?;
    interpreter.set_input(input.clone());
    let outcome = interpreter.eval_rule(format!("{PACKAGE}.{rule}"));
    Ok(outcome.map_err(|e| crate::engine::first_line(&e.to_string())))
}

/// What is explained of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Violation(Code),
    Definition { default: bool },
}

/// A definition of a rule and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    kind: Kind,
    rule: String,
    file: String,
    line: u32,
    start: usize,
    end: usize,
}

fn places(bundle: &Bundle) -> Result<Vec<Place>, LoadError> {
    let mut places = Vec::new();
    for (path, source) in bundle.modules() {
        let parsed =
            lint::parse(path, source, &lint::Nesting::new()).map_err(|finding| LoadError::new(vec![finding]))?;
        for rule in parsed.rules().filter(|_| parsed.package == PACKAGE) {
            places.extend(place(path, rule));
        }
    }
    Ok(places)
}

fn place(path: &str, rule: &Rule) -> Option<Place> {
    let name = lint::rule_name(rule);
    let kind = match rule {
        _ if name == "violation" => Kind::Violation(lint::head(rule)?.0.1.parse().ok()?),
        Rule::Default { .. } => Kind::Definition { default: true },
        Rule::Spec { head: RuleHead::Compr { refr, .. }, .. } if matches!(refr.as_ref(), Expr::Var { .. }) => {
            Kind::Definition { default: false }
        }
        Rule::Spec { .. } => return None,
    };
    let span = rule.span();
    Some(Place {
        kind,
        rule: name,
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
        // The engine ends a rule inside of its last text's quotes, and nothing else begins on that line.
        let rest = source.get(rule.end..).unwrap_or_default();
        let end = rule.end.saturating_add(rest.find('\n').unwrap_or(rest.len()));
        let (Some(before), Some(text), Some(after)) =
            (source.get(..rule.start), source.get(rule.start..end), source.get(end..))
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
