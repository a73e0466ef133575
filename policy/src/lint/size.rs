//! Keeps a bundle as small as a readable one in every direction in which the engine's parser, its compiler or one of its
//! instructions takes more time than the bundle has letters. What is refused here is refused before any of them sees it.

use super::{
    MAX_FINDINGS,
    module::{Node, Parsed, rule_name, statement, walk},
};
use crate::Finding;
use regorus::unstable::{Expr, Rule, RuleHead, Span};
use std::collections::{BTreeMap, BTreeSet};

/// Variables of one rule: each query in a rule is planned with all of them.
const MAX_VARIABLES: usize = 256;
/// Bodies of one definition, which has its head planned anew with each.
const MAX_BODIES: usize = 32;
/// Definitions of one function: each call gives its arguments to all of them.
const MAX_DEFINITIONS: usize = 64;
/// Bytes of a constant text, in a module or in the data: one instruction may go through all of it.
const MAX_TEXT: usize = 1_024;
/// Items of a list or an object in the data: one instruction may go through all of it.
const MAX_ITEMS: usize = 1_024;
/// What it takes to plan all rules. The engine's planner tries a statement for each variable of its rule, and tries it in
/// time that grows with the cube of the variables in the statement. A readable bundle takes a thousandth.
const MAX_PLANNING: u64 = 10_000_000;

/// Checks every module.
pub(super) fn check(modules: &[Parsed], findings: &mut Vec<Finding>) {
    let mut definitions: BTreeMap<String, usize> = BTreeMap::new();
    let mut left = MAX_PLANNING;
    for module in modules {
        for rule in module.rules() {
            texts(module, rule, findings);
            let report = |reason: String| module.finding(rule.span(), reason);
            if let Rule::Spec { head: RuleHead::Func { .. }, .. } = rule {
                let count = definitions.entry(format!("{}.{}", module.package, rule_name(rule))).or_default();
                *count = count.saturating_add(1);
                if *count == MAX_DEFINITIONS.saturating_add(1) {
                    findings.push(report(format!("a function of more than {MAX_DEFINITIONS} definitions")));
                }
            }
            let size = Size::of(rule);
            if size.bodies > MAX_BODIES {
                findings.push(report(format!("a definition of more than {MAX_BODIES} bodies")));
            }
            if size.variables > MAX_VARIABLES {
                findings.push(report(format!("a rule of more than {MAX_VARIABLES} variables")));
            }
            let planning = size.planning();
            if planning > left {
                findings
                    .push(report("too many variables in statements as long as these: make several rules".to_owned()));
                return;
            }
            left = left.saturating_sub(planning);
            if findings.len() >= MAX_FINDINGS {
                return;
            }
        }
    }
}

/// How large the texts, lists and objects of the data document are.
pub(super) fn data(value: &serde_json::Value, findings: &mut Vec<Finding>) {
    let (size, limit, what) = match value {
        serde_json::Value::String(text) => (text.len(), MAX_TEXT, "a text of {} bytes"),
        serde_json::Value::Array(items) => (items.len(), MAX_ITEMS, "a list of {} items"),
        serde_json::Value::Object(fields) => {
            for name in fields.keys().filter(|name| name.len() > MAX_TEXT) {
                findings
                    .push(Finding::whole("data", format!("a name of {} bytes; it may have {MAX_TEXT}", name.len())));
            }
            (fields.len(), MAX_ITEMS, "an object of {} fields")
        }
        _ => return,
    };
    if size > limit {
        let said = what.replace("{}", &size.to_string());
        findings.push(Finding::whole("data", format!("{said}; it may have {limit}")));
    }
}

fn texts(module: &Parsed, rule: &Rule, findings: &mut Vec<Finding>) {
    walk(rule, &mut |node| {
        if let Node::Expr(Expr::String { span, .. } | Expr::RawString { span, .. }) = node
            && span.text().len() > MAX_TEXT
        {
            findings.push(module.finding(span, format!("a text of more than {MAX_TEXT} bytes")));
        }
    });
}

/// What planning a rule depends on.
#[derive(Default)]
struct Size {
    variables: usize,
    bodies: usize,
    /// Places where variables stand in the head, and all that there is in it.
    head: usize,
    parts: usize,
    /// The cubes of the places in each statement.
    statements: u64,
}

impl Size {
    fn of(rule: &Rule) -> Self {
        let mut names = BTreeSet::new();
        let mut all: usize = 0;
        let mut parts: usize = 0;
        walk(rule, &mut |node| {
            parts = parts.saturating_add(1);
            if let Some(name) = variable(&node) {
                names.insert(name.text());
                all = all.saturating_add(1);
            }
        });
        let mut size = Self { variables: names.len(), bodies: 1, head: all, parts, statements: 0 };
        if let Rule::Spec { bodies, .. } = rule {
            size.bodies = bodies.len().max(1);
            for line in bodies.iter().flat_map(|body| &body.query.stmts) {
                let mut places: usize = 0;
                statement(line, &mut |node| {
                    size.parts = size.parts.saturating_sub(1);
                    places = places.saturating_add(usize::from(variable(&node).is_some()));
                });
                size.head = size.head.saturating_sub(places);
                size.statements = size.statements.saturating_add(cube(places));
            }
        }
        size
    }

    fn planning(&self) -> u64 {
        let bodies = u64::try_from(self.bodies).unwrap_or(u64::MAX);
        let variables = u64::try_from(self.variables).unwrap_or(u64::MAX).max(1);
        let heads = bodies.saturating_mul(cube(self.head));
        let again = bodies.saturating_mul(u64::try_from(self.parts).unwrap_or(u64::MAX)).saturating_mul(PART);
        variables.saturating_mul(self.statements.saturating_add(heads)).saturating_add(again)
    }
}

/// Planning one part of a head takes as long as this many steps of planning a statement.
const PART: u64 = 16;

fn cube(places: usize) -> u64 {
    u64::try_from(places).unwrap_or(u64::MAX).saturating_pow(3)
}

/// The name of a variable, or what may be one, where it stands by itself or finds something.
const fn variable<'a>(node: &Node<'a>) -> Option<&'a Span> {
    match *node {
        Node::Expr(Expr::Var { span, .. }) | Node::Declared(span) | Node::Named { name: span, .. } => Some(span),
        _ => None,
    }
}
