//! What a bundle must be to be loaded: it decides, it terminates, and it has nothing to decide by but its input and data.

mod cycle;
mod growth;
mod module;
mod rule;

use crate::{
    Bundle, Engine, Finding, LoadError,
    engine::{ENTRY_RULE, Fault, first_line, interpreter},
    probe, value,
};
use regorus::rvm::program::Program;

pub(crate) use module::{Parsed, parse, rule_name};
pub(crate) use rule::head;

/// The package that decides payouts.
pub(crate) const PACKAGE: &str = "data.payout";
/// The rules of [`PACKAGE`] that the engine reads.
const RESULTS: [&str; 3] = ["approvals", "effect", "violation"];

/// Builtins that are total, deterministic and whose result is not larger than what they are given. `sprintf` is the
/// exception to the last, and allowed only where nothing can be built on its result, as a violation's message, and with
/// a format that is written out and pads nothing.
const BUILTINS: &[&str] = &[
    "abs",
    "array.reverse",
    "array.slice",
    "contains",
    "count",
    "endswith",
    "indexof",
    "intersection",
    "is_array",
    "is_boolean",
    "is_null",
    "is_number",
    "is_object",
    "is_set",
    "is_string",
    "lower",
    "max",
    "min",
    "object.get",
    "object.keys",
    "sort",
    "sprintf",
    "startswith",
    "strings.any_prefix_match",
    "strings.any_suffix_match",
    "substring",
    "sum",
    "trim",
    "trim_left",
    "trim_prefix",
    "trim_right",
    "trim_space",
    "trim_suffix",
    "type_name",
    "union",
    "upper",
];

/// Checks the sources and the data of a bundle; the answer is where it says that it denies by default.
pub(crate) fn sources(bundle: &Bundle) -> Result<Finding, LoadError> {
    let mut findings = data(bundle.data());
    let mut modules = Vec::new();
    for (path, source) in bundle.modules() {
        match parse(path, source) {
            Ok(module) => modules.push(module),
            Err(finding) => findings.push(finding),
        }
    }
    if !findings.is_empty() {
        return Err(LoadError::new(findings));
    }
    let anchor = entry(&modules, &mut findings);
    for module in &modules {
        rule::check(module, &modules, &mut findings);
    }
    cycle::check(&modules, &mut findings);
    growth::check(&modules, &mut findings);
    match anchor {
        Some(anchor) if findings.is_empty() => Ok(anchor),
        _ => Err(LoadError::new(findings)),
    }
}

/// The second line of defence: the builtins that the compiled program links, whatever its source looked like.
pub(crate) fn program(program: &Program) -> Result<(), LoadError> {
    let foreign = program.builtin_info_table.iter().map(|b| &b.name).filter(|name| !BUILTINS.contains(&name.as_str()));
    let findings: Vec<_> = foreign.map(|name| Finding::whole("bundle", not_allowed(name))).collect();
    if findings.is_empty() { Ok(()) } else { Err(LoadError::new(findings)) }
}

/// Tries the compiled bundle on inputs at the edges of what it can meet. Then the engine's interpreter tries it as well:
/// a builtin or an operator that is given what it cannot take silently ends the body of its rule in the machine, and a
/// rule that denies would be lost.
pub(crate) fn probe(engine: &Engine, bundle: &Bundle, anchor: &Finding) -> Result<(), LoadError> {
    let mut interpreter = interpreter(bundle)?;
    for (name, input) in probe::all() {
        if let Err(fault) = engine.evaluate(&input) {
            let hint = match fault {
                Fault::Unexplained => " (is a setting missing in the data?)",
                _ => "",
            };
            let reason = format!("on the {name} input: {fault}{hint}");
            return Err(LoadError::new(vec![Finding { reason, ..anchor.clone() }]));
        }
        interpreter.set_input(value::of(&input));
        if let Err(error) = interpreter.eval_rule(ENTRY_RULE.to_owned()) {
            let mut finding = finding(&error.to_string(), bundle);
            finding.reason = format!("on the {name} input: {}", finding.reason);
            return Err(LoadError::new(vec![finding]));
        }
    }
    Ok(())
}

/// The place that an engine's message names, `--> file:line:column`.
pub(crate) fn located(message: &str, bundle: &Bundle) -> LoadError {
    LoadError::new(vec![finding(message, bundle)])
}

fn finding(message: &str, bundle: &Bundle) -> Finding {
    let reason = first_line(message);
    let place = message.lines().find_map(|line| {
        let mut parts = line.strip_prefix("--> ")?.rsplitn(3, ':');
        let column = parts.next()?.parse().ok()?;
        let line = parts.next()?.parse().ok()?;
        let file = parts.next().filter(|file| bundle.modules().contains_key(*file))?;
        Some(Finding { file: file.to_owned(), line, column, reason: reason.clone() })
    });
    place.unwrap_or_else(|| Finding::whole("bundle", reason))
}

fn not_allowed(name: &str) -> String {
    format!("{name} is not among the functions that a policy may call")
}

fn data(text: &str) -> Vec<Finding> {
    let value: serde_json::Value = match serde_json::from_str(text) {
        Ok(value) => value,
        Err(e) => {
            let clip = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).max(1);
            return vec![Finding {
                file: "data".to_owned(),
                line: clip(e.line()),
                column: clip(e.column()),
                reason: e.to_string(),
            }];
        }
    };
    let mut findings = Vec::new();
    if !value.is_object() {
        findings.push(Finding::whole("data", "the data document is not a JSON object"));
    }
    let mut open = vec![&value];
    while let Some(value) = open.pop() {
        match value {
            serde_json::Value::Number(n) if n.to_string().parse::<i64>().is_err() => {
                findings.push(Finding::whole("data", format!("{n} is not an integer below 2^63")));
            }
            serde_json::Value::Array(items) => open.extend(items),
            serde_json::Value::Object(fields) => open.extend(fields.values()),
            _ => {}
        }
    }
    findings
}

/// Checks that the payout package says what the engine reads, and that it denies by default.
fn entry(modules: &[Parsed], findings: &mut Vec<Finding>) -> Option<Finding> {
    let payout: Vec<&Parsed> = modules.iter().filter(|m| m.package == PACKAGE).collect();
    let Some(first) = payout.first() else {
        findings.push(Finding::whole("bundle", "no module has `package payout`"));
        return None;
    };
    for name in RESULTS {
        if !payout.iter().any(|m| m.rules().any(|r| rule_name(r) == name)) {
            findings
                .push(first.finding(&first.module.package.span, format!("package payout does not define `{name}`")));
        }
    }
    let anchor = payout.iter().find_map(|m| module::default_deny(m));
    if anchor.is_none() {
        findings.push(first.finding(&first.module.package.span, "missing `default effect := \"deny\"`"));
    }
    anchor
}
