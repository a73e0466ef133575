//! What a bundle must be to be loaded: it decides, it terminates, and it has nothing to decide by but its input and data.

mod cycle;
mod growth;
mod module;
mod rule;
mod size;
mod types;

use crate::{
    Bundle, Engine, Finding, LoadError,
    engine::{BUILTINS, ENTRY_RULE, Fault, first_line, timed_interpreter},
    probe, value,
};
use regorus::{
    rvm::program::Program,
    unstable::{Expr, Rule},
};
use std::cell::Cell;

pub(crate) use module::{Nesting, Parsed, parse, rule_name};
pub(crate) use rule::head;

/// The package that decides payouts.
pub(crate) const PACKAGE: &str = "data.payout";
/// The rules of [`PACKAGE`] that the engine reads.
const RESULTS: [&str; 3] = ["approvals", "effect", "violation"];

/// A value passes through at most this many names from where it is made: more than readable policies need, and a bound
/// of the work here.
const MAX_STEPS: usize = 64;
/// What following values through a bundle may cost, in steps of some tens of nanoseconds: far more than the largest
/// readable bundle takes. It is counted and not timed, so that every machine ends at the same place.
const MAX_WORK: usize = 16_000_000;
/// At most about this many findings are reported, which bounds the work on a bundle that is all mistakes.
pub(crate) const MAX_FINDINGS: usize = 100;

/// What is left of [`MAX_WORK`].
struct Work(Cell<usize>);

impl Work {
    const fn new() -> Self {
        Self(Cell::new(MAX_WORK))
    }

    /// Pays for so many steps; false when all is spent, and then nothing that was found counts.
    fn spend(&self, steps: usize) -> bool {
        self.0.set(self.0.get().saturating_sub(steps));
        !self.is_spent()
    }

    const fn is_spent(&self) -> bool {
        self.0.get() == 0
    }
}

/// The sources and the data of a bundle that decides deterministically and within bounds.
pub(crate) struct Sources {
    modules: Vec<Parsed>,
    data: serde_json::Value,
    /// Where it says that it denies by default.
    anchor: Finding,
}

/// Checks the sources and the data of a bundle.
pub(crate) fn sources(bundle: &Bundle) -> Result<Sources, LoadError> {
    let (document, mut findings) = data(bundle.data());
    let mut modules = Vec::new();
    let nesting = Nesting::new();
    for (path, source) in bundle.modules() {
        match parse(path, source, &nesting) {
            Ok(module) => modules.push(module),
            Err(finding) => findings.push(finding),
        }
    }
    module::share_imports(&mut modules, &mut findings);
    size::check(&modules, &mut findings);
    if !findings.is_empty() {
        return Err(LoadError::new(findings));
    }
    let anchor = entry(&modules, &mut findings);
    let named = rule::Named::new(&modules);
    for module in &modules {
        rule::check(module, &modules, &named, &mut findings);
    }
    cycle::check(&modules, &mut findings);
    growth::check(&modules, &document, &mut findings);
    match anchor {
        Some(anchor) if findings.is_empty() => Ok(Sources { modules, data: document, anchor }),
        _ => Err(LoadError::new(findings)),
    }
}

/// Checks that what a bundle does with its input and data can make sense.
pub(crate) fn types(sources: &Sources) -> Result<(), LoadError> {
    let mut findings = Vec::new();
    types::check(&sources.modules, &sources.data, &mut findings);
    if findings.is_empty() { Ok(()) } else { Err(LoadError::new(findings)) }
}

/// The second line of defence: the builtins that the compiled program links, whatever its source looked like.
pub(crate) fn program(program: &Program) -> Result<(), LoadError> {
    let foreign = program.builtin_info_table.iter().map(|b| &b.name).filter(|name| !BUILTINS.contains(&name.as_str()));
    let findings: Vec<_> = foreign.map(|name| Finding::whole("bundle", not_allowed(name))).collect();
    if findings.is_empty() { Ok(()) } else { Err(LoadError::new(findings)) }
}

/// Tries the compiled bundle on inputs at the edges of what it can meet.
pub(crate) fn hold(engine: &Engine, sources: &Sources) -> Result<(), LoadError> {
    for (name, input) in probe::all() {
        if let Err(fault) = engine.evaluate(&input) {
            return Err(tried(name, Finding { reason: fault.to_string(), ..sources.anchor.clone() }));
        }
    }
    Ok(())
}

/// Tries the compiled bundle on inputs at the edges of what it can meet, and says where it fails. Then the engine's interpreter tries it as well:
/// a builtin or an operator that is given what it cannot take silently ends the body of its rule in the machine, and a
/// rule that denies would be lost.
pub(crate) fn probe(engine: &Engine, bundle: &Bundle, sources: &Sources) -> Result<(), LoadError> {
    let mut interpreter = timed_interpreter(bundle)?;
    for (name, input) in probe::all() {
        interpreter.set_input(value::of(&input));
        let Err(fault) = engine.evaluate(&input) else {
            match interpreter.eval_rule(ENTRY_RULE.to_owned()) {
                Ok(_) => continue,
                Err(error) => return Err(tried(name, finding(&error.to_string(), bundle))),
            }
        };
        let place = match &fault {
            Fault::Unbounded { instruction } => spent(engine, bundle, *instruction),
            Fault::Result { rule, .. } => said(&mut interpreter, bundle, rule),
            // What the machine takes for no value at all may be an error to the interpreter.
            Fault::Evaluation(_) | Fault::Laborious { .. } | Fault::Unexplained => {
                match interpreter.eval_rule(ENTRY_RULE.to_owned()) {
                    Ok(_) => None,
                    Err(error) => return Err(tried(name, finding(&error.to_string(), bundle))),
                }
            }
        };
        let hint = if fault == Fault::Unexplained { " (is a setting missing in the data?)" } else { "" };
        let reason = format!("{fault}{hint}");
        return Err(tried(name, Finding { reason, ..place.unwrap_or_else(|| sources.anchor.clone()) }));
    }
    Ok(())
}

/// What was found by trying a bundle on an input.
fn tried(input: &str, finding: Finding) -> LoadError {
    LoadError::new(vec![Finding { reason: format!("on the {input} input: {}", finding.reason), ..finding }])
}

/// Where the machine was when it had done all that it may, if only one module has a rule there.
fn spent(engine: &Engine, bundle: &Bundle, instruction: usize) -> Option<Finding> {
    let (line, column) = engine.place(instruction)?;
    let has_it = |rule: &Rule| {
        let lines = rule.span().text().matches('\n').count();
        let last = rule.span().line.saturating_add(u32::try_from(lines).unwrap_or(u32::MAX));
        (rule.span().line..=last).contains(&line)
    };
    let mut files = bundle.modules().iter().filter_map(|(path, source)| {
        parse(path, source, &Nesting::new()).ok().filter(|module| module.rules().any(has_it)).map(|module| module.file)
    });
    let file = files.next()?;
    files.next().is_none().then(|| Finding { file, line, column, reason: String::new() })
}

/// Where a rule says what it says of the interpreter's input: the definition with just this constant, or the first.
fn said(interpreter: &mut regorus::Engine, bundle: &Bundle, rule: &str) -> Option<Finding> {
    let said = interpreter.eval_rule(format!("{PACKAGE}.{rule}")).ok();
    let mut first = None;
    for (path, source) in bundle.modules() {
        let Some(module) = parse(path, source, &Nesting::new()).ok().filter(|module| module.package == PACKAGE) else {
            continue;
        };
        for definition in module.rules().filter(|definition| rule_name(definition) == rule) {
            let Rule::Spec { .. } = definition else { continue };
            let place = || module.finding(definition.span(), "");
            let constant = types::given(definition).into_iter().flatten().any(|value| {
                matches!(value, Expr::String { value, .. } | Expr::Number { value, .. } if Some(value) == said.as_ref())
            });
            if constant {
                return Some(place());
            }
            first.get_or_insert_with(place);
        }
    }
    first
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

fn too_much_work() -> Finding {
    Finding::whole("bundle", "too much to follow: values pass through too many rules, names and uses")
}

fn too_many_steps() -> Finding {
    Finding::whole("bundle", format!("values pass through more than {MAX_STEPS} names"))
}

/// The data document, and what is wrong with it.
fn data(text: &str) -> (serde_json::Value, Vec<Finding>) {
    let value: serde_json::Value = match serde_json::from_str(text) {
        Ok(value) => value,
        Err(e) => {
            let clip = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).max(1);
            let finding = Finding {
                file: "data".to_owned(),
                line: clip(e.line()),
                column: clip(e.column()),
                reason: e.to_string(),
            };
            return (serde_json::Value::Null, vec![finding]);
        }
    };
    let mut findings = Vec::new();
    if !value.is_object() {
        findings.push(Finding::whole("data", "the data document is not a JSON object"));
    }
    let mut open = vec![&value];
    while let Some(inner) = open.pop() {
        size::data(inner, &mut findings);
        match inner {
            serde_json::Value::Number(n) if n.to_string().parse::<i64>().is_err() => {
                findings.push(Finding::whole("data", format!("{n} is not an integer below 2^63")));
            }
            serde_json::Value::Array(items) => open.extend(items),
            serde_json::Value::Object(fields) => open.extend(fields.values()),
            _ => {}
        }
    }
    (value, findings)
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
