use super::{
    MAX_STEPS,
    module::{Node, Parsed, path, rule_name, walk},
};
use crate::Finding;
use regorus::unstable::Expr;
use std::collections::{BTreeMap, BTreeSet};

/// Reports rules that depend on themselves: the engine would recurse without end on some inputs. And chains of rules that
/// take too much of its stack.
///
/// A name counts as used when it is written, even where a local variable of the same name hides it, and a reference to
/// a package uses all of its rules. So a recursion cannot hide, at the price that a bundle may have to rename a variable.
pub(super) fn check(modules: &[Parsed], findings: &mut Vec<Finding>) {
    let mut graph = Graph::default();
    let mut rules = Vec::new();
    let mut places: BTreeMap<usize, Finding> = BTreeMap::new();
    for module in modules {
        for rule in module.rules() {
            let name = rule_name(rule);
            let at = graph.define(&format!("{}.{name}", module.package));
            let package = module.package.strip_prefix("data.").unwrap_or(&module.package);
            let reason = || format!("{package}.{name} depends on itself");
            places.entry(at).or_insert_with(|| module.finding(rule.span(), reason()));
            rules.push((module, rule, at));
        }
    }
    for (module, rule, at) in rules {
        walk(rule, &mut |node| {
            if let Node::Expr(expr) = node
                && let Some(full) = full_name(module, expr)
            {
                graph.uses(at, &full);
            }
        });
    }
    let before = findings.len();
    findings.extend(places.iter().filter(|(at, _)| graph.recurs(**at)).map(|(_, finding)| finding.clone()));
    if findings.len() > before {
        return;
    }
    let deep = graph.deep();
    if let Some((_, finding)) = places.into_iter().find(|(at, _)| deep.contains(at)) {
        let reason = format!("rules use each other in a row of more than {MAX_STEPS} from here");
        findings.push(Finding { reason, ..finding });
    }
}

/// Rules and the packages above them, by full name. A package uses what is right below it, so that there are no more
/// edges than names are written.
#[derive(Default)]
struct Graph {
    names: BTreeMap<String, usize>,
    nodes: Vec<Place>,
}

#[derive(Default)]
struct Place {
    rule: bool,
    uses: Vec<usize>,
}

impl Graph {
    fn define(&mut self, full: &str) -> usize {
        let mut above: Option<usize> = None;
        let mut last = 0;
        for name in beginnings(full) {
            let next = self.nodes.len();
            let at = *self.names.entry(name.to_owned()).or_insert(next);
            if at == next {
                self.nodes.push(Place::default());
                if let Some(package) = above.and_then(|above| self.nodes.get_mut(above)) {
                    package.uses.push(at);
                }
            }
            above = Some(at);
            last = at;
        }
        if let Some(place) = self.nodes.get_mut(last) {
            place.rule = true;
        }
        last
    }

    /// A name uses the rule or all of the package that it is, and the rules that it leads into.
    fn uses(&mut self, by: usize, full: &str) {
        for name in beginnings(full) {
            let Some(&at) = self.names.get(name) else { return };
            let is_used = name == full || self.nodes.get(at).is_some_and(|place| place.rule);
            if let Some(place) = self.nodes.get_mut(by).filter(|_| is_used) {
                place.uses.push(at);
            }
        }
    }

    /// What begins a row of more than [`MAX_STEPS`] rules; nothing may depend on itself.
    fn deep(&self) -> BTreeSet<usize> {
        // Whatever only uses what is already settled is one rule further away from what uses nothing.
        let mut open: BTreeSet<usize> = (0..self.nodes.len()).collect();
        for _ in 0..=MAX_STEPS {
            let held =
                |at: &usize| self.nodes.get(*at).is_some_and(|place| place.uses.iter().any(|next| open.contains(next)));
            open = open.iter().copied().filter(held).collect();
        }
        open
    }

    fn recurs(&self, start: usize) -> bool {
        let mut seen = vec![false; self.nodes.len()];
        let mut open = vec![start];
        while let Some(place) = open.pop().and_then(|at| self.nodes.get(at)) {
            for &next in &place.uses {
                if next == start {
                    return true;
                }
                if let Some(seen) = seen.get_mut(next).filter(|seen| !**seen) {
                    *seen = true;
                    open.push(next);
                }
            }
        }
        false
    }
}

/// A path and those above it, the shortest first.
pub(super) fn beginnings(full: &str) -> impl Iterator<Item = &str> {
    full.match_indices('.').filter_map(|(at, _)| full.get(..at)).chain(std::iter::once(full))
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
        (_, Some(root)) => root.to_owned(),
        (_, None) => format!("{}.{first}", module.package),
    };
    Some(std::iter::once(root.as_str()).chain(rest.iter().map(String::as_str)).collect::<Vec<_>>().join("."))
}
