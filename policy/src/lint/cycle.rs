use super::module::{Node, Parsed, path, rule_name, walk};
use crate::Finding;
use regorus::unstable::Expr;
use std::collections::{BTreeMap, BTreeSet};

/// Reports rules that depend on themselves: the engine would recurse without end on some inputs.
///
/// A name counts as used when it is written, even where a local variable of the same name hides it, and a reference to
/// a package uses all of its rules. So a recursion cannot hide, at the price that a bundle may have to rename a variable.
pub(super) fn check(modules: &[Parsed], findings: &mut Vec<Finding>) {
    let mut all = BTreeSet::new();
    for module in modules {
        all.extend(module.rules().map(|rule| format!("{}.{}", module.package, rule_name(rule))));
    }
    let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut places: BTreeMap<String, Finding> = BTreeMap::new();
    for module in modules {
        for rule in module.rules() {
            let name = format!("{}.{}", module.package, rule_name(rule));
            places.entry(name.clone()).or_insert_with(|| module.finding(rule.span(), ""));
            let found = uses.entry(name).or_default();
            walk(rule, &mut |node| {
                if let Node::Expr(expr) = node {
                    found.extend(targets(module, expr, &all));
                }
            });
        }
    }
    for (name, place) in places {
        if reaches(&name, &uses) {
            let short = name.strip_prefix("data.").unwrap_or(&name);
            findings.push(Finding { reason: format!("{short} depends on itself"), ..place });
        }
    }
}

/// The rules that an expression may evaluate.
fn targets(module: &Parsed, expr: &Expr, all: &BTreeSet<String>) -> Vec<String> {
    let Some(full) = full_name(module, expr) else { return Vec::new() };
    let below = |a: &str, b: &str| a == b || a.strip_prefix(b).is_some_and(|rest| rest.starts_with('.'));
    all.iter().filter(|rule| below(&full, rule) || below(rule, &full)).cloned().collect()
}

/// The path from `data` that the constant start of a reference stands for, as if no local variable hid it.
pub(super) fn full_name(module: &Parsed, expr: &Expr) -> Option<String> {
    if !matches!(expr, Expr::Var { .. } | Expr::RefDot { .. } | Expr::RefBrack { .. }) {
        return None;
    }
    let names = path(expr).0;
    let (first, rest) = names.split_first()?;
    let root = match (first.as_str(), module.imported(first)) {
        ("data", _) => "data".to_owned(),
        (_, Some(root)) => root,
        (_, None) => format!("{}.{first}", module.package),
    };
    Some(std::iter::once(root.as_str()).chain(rest.iter().map(String::as_str)).collect::<Vec<_>>().join("."))
}

fn reaches(start: &str, uses: &BTreeMap<String, BTreeSet<String>>) -> bool {
    let mut seen = BTreeSet::new();
    let mut open: Vec<&String> = uses.get(start).into_iter().flatten().collect();
    while let Some(name) = open.pop() {
        if name == start {
            return true;
        }
        if seen.insert(name) {
            open.extend(uses.get(name).into_iter().flatten());
        }
    }
    false
}
