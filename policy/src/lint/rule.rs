use super::{
    BUILTINS, PACKAGE, cycle,
    module::{Node, Parsed, path, rule_name, start, walk},
    not_allowed,
};
use crate::{Code, Finding, engine::ENTRY_PACKAGE};
use regorus::unstable::{ArithOp, BinOp, Expr, Ref, Rule, RuleHead};
use std::collections::BTreeSet;

/// Checks the header and every rule of a module.
pub(super) fn check(parsed: &Parsed, modules: &[Parsed], named: &Named, findings: &mut Vec<Finding>) {
    let reserved = format!("data.{ENTRY_PACKAGE}");
    if parsed.package == reserved || parsed.package.starts_with(&format!("{reserved}.")) {
        findings.push(parsed.finding(&parsed.module.package.span, format!("package {ENTRY_PACKAGE} is reserved")));
    }
    if parsed.module.target.is_some() {
        findings.push(parsed.finding(&parsed.module.package.span, "__target__ is not Rego"));
    }
    for import in &parsed.module.imports {
        let name = path(&import.refr).0.join(".");
        let own = |m: &Parsed| name == m.package || name.strip_prefix(&m.package).is_some_and(|r| r.starts_with('.'));
        if name != "rego.v1" && !modules.iter().any(own) {
            let reason = format!("import {name}: only rego.v1 and packages of the bundle may be imported");
            findings.push(parsed.finding(&import.span, reason));
        }
    }
    for rule in parsed.rules() {
        let message = if parsed.package == PACKAGE && rule_name(rule) == "violation" {
            violation(parsed, rule, findings)
        } else {
            None
        };
        walk(rule, &mut |node| match node {
            Node::With(span) => findings.push(parsed.finding(span, "`with` is for tests only")),
            Node::Expr(expr) => expression(parsed, named, expr, message, findings),
            Node::Item { .. } | Node::Named { .. } | Node::Declared(_) => {}
        });
    }
}

/// Checks the head of a violation rule; the answer is its message.
fn violation<'a>(parsed: &Parsed, rule: &'a Rule, findings: &mut Vec<Finding>) -> Option<&'a Expr> {
    let Some((code, message)) = head(rule) else {
        let reason = "violation is not `violation contains {\"code\": \"...\", \"msg\": ...}` with a constant code";
        findings.push(parsed.finding(rule.span(), reason));
        return None;
    };
    match code.1.parse::<Code>() {
        Ok(Code::PolicyError) => {
            findings.push(parsed.finding(code.0.span(), "code \"policy_error\" is the engine's own"));
        }
        Ok(_) => {}
        Err(_) => findings.push(parsed.finding(code.0.span(), format!("unknown code {:?}", code.1))),
    }
    Some(message)
}

/// The constant code and the message expression in the head of a violation rule.
pub(crate) fn head(rule: &Rule) -> Option<((&Expr, String), &Expr)> {
    let Rule::Spec { head: RuleHead::Set { key: Some(key), .. }, .. } = rule else { return None };
    let Expr::Object { fields, .. } = key.as_ref() else { return None };
    let field = |name: &str| {
        let named = |key: &Expr| matches!(key, Expr::String { value, .. } if value.as_string().is_ok_and(|s| s.as_ref() == name));
        fields.iter().find(|(_, key, _)| named(key)).map(|(_, _, value)| value.as_ref())
    };
    let code = field("code")?;
    let Expr::String { value, .. } = code else { return None };
    let text = value.as_string().ok()?.to_string();
    (fields.len() == 2).then_some(((code, text), field("msg")?))
}

fn expression(parsed: &Parsed, named: &Named, expr: &Expr, message: Option<&Expr>, findings: &mut Vec<Finding>) {
    match expr {
        Expr::Call { fcn, params, .. } => {
            let span = start(fcn);
            let name = path(fcn).0.join(".");
            // First, so that a function of the bundle with the same name changes nothing.
            if name == "sprintf" {
                if !message.is_some_and(|message| std::ptr::eq(message, expr)) {
                    findings.push(parsed.finding(span, "sprintf may only be a violation's \"msg\" itself"));
                }
                if let Err((place, reason)) = format(expr, params) {
                    findings.push(parsed.finding(place.span(), reason));
                }
            } else if let Some(rule) = named.value(parsed, fcn) {
                findings.push(parsed.finding(span, format!("{name} is called, and {rule} is no function")));
            } else if named.is_function(parsed, fcn) {
                // Whatever it is called, it is the bundle's own.
            } else if !BUILTINS.contains(&name.as_str()) {
                findings.push(parsed.finding(span, not_allowed(&name)));
            } else if SEARCHES.contains(&name.as_str())
                && let Some(sought) = params.get(1).filter(|sought| !is_short(sought))
            {
                let reason = format!("what {name} looks for is not a constant text of at most {MAX_SOUGHT} bytes");
                findings.push(parsed.finding(start(sought), reason));
            }
        }
        Expr::ArithExpr { op: ArithOp::Div, span, .. } => {
            let reason = "division is not exact: multiply the other side instead";
            findings.push(parsed.finding(span, reason));
        }
        Expr::BinExpr { span, op, .. } => {
            let sign = if *op == BinOp::Union { "|" } else { "&" };
            findings.push(parsed.finding(span, format!("{sign} is not among the operators that a policy may use")));
        }
        Expr::Number { span, .. } if span.text().parse::<i64>().is_err() => {
            findings.push(parsed.finding(span, format!("{} is not an integer below 2^63", span.text())));
        }
        _ => {}
    }
}

/// Builtins that hold each letter of one text against each of the other.
const SEARCHES: &[&str] = &["indexof", "trim", "trim_left", "trim_right"];
const MAX_SOUGHT: usize = 64;

fn is_short(sought: &Expr) -> bool {
    matches!(sought, Expr::String { span, .. } | Expr::RawString { span, .. } if span.text().len() <= MAX_SOUGHT)
}

/// A message shows at most so many values: each may be as long as a text of the data.
const MAX_VERBS: usize = 8;

/// Checks the arguments of `sprintf`: the engine makes a message as wide as a format says, however wide that is, and a
/// format with too few arguments would fail and take its violation with it.
fn format<'a>(call: &'a Expr, params: &'a [Ref<Expr>]) -> Result<(), (&'a Expr, &'static str)> {
    let [format, arguments] = params else {
        return Err((call, "sprintf takes a format and a list"));
    };
    let Expr::Array { items, .. } = arguments.as_ref() else {
        return Err((arguments.as_ref(), "sprintf's second argument is not a list that is written out"));
    };
    let (Expr::String { value, .. } | Expr::RawString { value, .. }) = format.as_ref() else {
        return Err((format.as_ref(), "sprintf's format is not a constant string"));
    };
    match value.as_string().ok().and_then(|text| verbs(text)) {
        None => {
            let reason = "sprintf's format may only use %s, %d, %v and %%, without flags, width or precision";
            Err((format.as_ref(), reason))
        }
        Some(count) if count > MAX_VERBS => Err((format.as_ref(), "sprintf's format has more than 8 verbs")),
        Some(count) if count != items.len() => {
            Err((format.as_ref(), "sprintf's format has not as many verbs as there are arguments"))
        }
        Some(_) => Ok(()),
    }
}

/// How many arguments a format takes, if it has only plain verbs.
fn verbs(format: &str) -> Option<usize> {
    let mut count: usize = 0;
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        match (c == '%').then(|| chars.next()) {
            None | Some(Some('%')) => {}
            Some(Some('s' | 'd' | 'v')) => count = count.saturating_add(1),
            Some(_) => return None,
        }
    }
    Some(count)
}

/// The full names of a bundle's rules.
pub(super) struct Named {
    functions: BTreeSet<String>,
    values: BTreeSet<String>,
}

impl Named {
    pub(super) fn new(modules: &[Parsed]) -> Self {
        let (mut functions, mut values) = (BTreeSet::new(), BTreeSet::new());
        for module in modules {
            for rule in module.rules() {
                let full = format!("{}.{}", module.package, rule_name(rule));
                match rule {
                    Rule::Spec { head: RuleHead::Func { .. }, .. } => functions.insert(full),
                    _ => values.insert(full),
                };
            }
        }
        Self { functions, values }
    }

    fn is_function(&self, module: &Parsed, fcn: &Expr) -> bool {
        cycle::full_name(module, fcn).is_some_and(|full| self.functions.contains(&full))
    }

    /// The rule that the engine takes a call for, although it is no function: it has the name, or a part of it has.
    fn value(&self, module: &Parsed, fcn: &Expr) -> Option<String> {
        let full = cycle::full_name(module, fcn)?;
        let mut names = cycle::beginnings(&full);
        names.find(|name| self.values.contains(*name) && !self.functions.contains(*name)).map(ToOwned::to_owned)
    }
}
