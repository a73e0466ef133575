//! Keeps a bundle as small as a readable one in every direction in which the engine's parser, its compiler or one of its
//! instructions takes more time than the bundle has letters. What is refused here is refused before any of them sees it.

use super::{
    MAX_FINDINGS,
    growth::constant,
    module::{Node, Parsed, expression, links, path, rule_name, start, statement, walk},
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
/// Definitions of any other rule, which the machine looks at whenever it is asked for.
const MAX_PARTS: usize = 256;
/// Ways through the variables that find something in one reference: the engine's planner goes them all.
const MAX_WAYS: usize = 64;
/// Bytes of a constant text, in a module or in the data: one instruction may go through all of it.
const MAX_TEXT: usize = 1_024;
/// Items of a list, a set or an object that is written out, in a module or in the data: one instruction may go through
/// all of it.
const MAX_ITEMS: usize = 1_024;
/// What it takes to plan all rules. The engine's planner tries a statement for each variable of its rule, and tries it in
/// time that grows with the cube of the variables in the statement. A readable bundle takes a thousandth.
const MAX_PLANNING: u64 = 10_000_000;

/// Planning one part of a head takes as long as this many steps of planning a statement.
const PART: u64 = 16;

/// Checks every module.
pub(super) fn check(modules: &[Parsed], findings: &mut Vec<Finding>) {
    let mut definitions: BTreeMap<String, usize> = BTreeMap::new();
    let mut left = MAX_PLANNING;
    for module in modules {
        for rule in module.rules() {
            expressions(module, rule, findings);
            let report = |reason: String| module.finding(rule.span(), reason);
            let (most, what) = match rule {
                Rule::Spec { head: RuleHead::Func { .. }, .. } => (MAX_DEFINITIONS, "function"),
                _ => (MAX_PARTS, "rule"),
            };
            let name = rule_name(rule);
            if name.starts_with("__") {
                findings.push(report("names that begin with __ are the engine's".to_owned()));
            }
            match rule {
                Rule::Default { value, .. } if !fixed(value) => {
                    findings.push(module.finding(start(value), "a default is a constant"));
                }
                // Another name could be a builtin's, and then be called for it.
                Rule::Default { refr, .. } | Rule::Spec { head: RuleHead::Func { refr, .. }, .. }
                    if !matches!(refr.as_ref(), Expr::Var { .. }) =>
                {
                    findings.push(report("functions and defaults have names of one word".to_owned()));
                }
                // What is below the first word is a rule of its own to the engine.
                Rule::Spec { head: RuleHead::Set { refr, .. }, .. } if links(refr).count() > 0 => {
                    findings.push(report("a set has a name of one word".to_owned()));
                }
                Rule::Spec { head: RuleHead::Compr { refr, .. }, .. } if links(refr).count() > 1 => {
                    findings.push(report("a rule's name goes one step down at most".to_owned()));
                }
                _ => {}
            }
            let count = definitions.entry(format!("{}.{name}", module.package)).or_default();
            *count = count.saturating_add(1);
            if *count == most.saturating_add(1) {
                findings.push(report(format!("a {what} of more than {most} definitions")));
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

/// A default is computed while the engine compiles, and nothing counts what that takes.
fn fixed(value: &Expr) -> bool {
    match value {
        Expr::UnaryExpr { expr, .. } => matches!(expr.as_ref(), Expr::Number { .. }),
        value => constant(value),
    }
}

fn expressions(module: &Parsed, rule: &Rule, findings: &mut Vec<Finding>) {
    walk(rule, &mut |node| {
        let Node::Expr(expr) = node else { return };
        let (size, limit, what) = match expr {
            Expr::String { span, .. } | Expr::RawString { span, .. } => {
                (span.text().len(), MAX_TEXT, "a text of more bytes than")
            }
            Expr::Array { items, .. } | Expr::Set { items, .. } => (items.len(), MAX_ITEMS, "more items than"),
            Expr::Object { fields, .. } => (fields.len(), MAX_ITEMS, "more fields than"),
            Expr::RefBrack { .. } | Expr::RefDot { .. } => {
                (ways(expr), MAX_WAYS, "more ways through a reference's variables than")
            }
            _ => return,
        };
        if size > limit {
            findings.push(module.finding(start(expr), format!("{what} {limit}")));
        }
    });
}

fn ways(reference: &Expr) -> usize {
    let indices = links(reference).filter_map(|link| match link {
        Expr::RefBrack { index, .. } => Some(index),
        _ => None,
    });
    indices.fold(1, |ways: usize, index| {
        let mut places: usize = 1;
        expression(index, &mut |node| places = places.saturating_add(self::places(&node)));
        ways.saturating_mul(places)
    })
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
        let mut size = Self { bodies: 1, ..Self::default() };
        walk(rule, &mut |node| {
            size.parts = size.parts.saturating_add(1);
            size.head = size.head.saturating_add(places(&node));
            names.extend(variable(&node).map(Span::text));
        });
        size.variables = names.len();
        if let Rule::Spec { bodies, .. } = rule {
            size.bodies = bodies.len().max(1);
            for line in bodies.iter().flat_map(|body| &body.query.stmts) {
                let mut own: usize = 0;
                statement(line, &mut |node| {
                    size.parts = size.parts.saturating_sub(1);
                    own = own.saturating_add(places(&node));
                });
                size.head = size.head.saturating_sub(own);
                size.statements = size.statements.saturating_add(cube(own));
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

fn cube(places: usize) -> u64 {
    u64::try_from(places).unwrap_or(u64::MAX).saturating_pow(3)
}

/// What the planner meets here: variables that stand by themselves, find something or begin a reference, and what two
/// patterns hold against each other.
fn places(node: &Node<'_>) -> usize {
    let written = |side: &Expr| matches!(side, Expr::Array { .. } | Expr::Object { .. });
    match node {
        // Each part of the one is planned with its part of the other.
        Node::Expr(Expr::AssignExpr { lhs, rhs, .. }) if written(lhs) && written(rhs) => {
            let mut parts: usize = 0;
            for side in [lhs, rhs] {
                expression(side, &mut |_| parts = parts.saturating_add(1));
            }
            parts
        }
        Node::Expr(expr @ (Expr::RefDot { .. } | Expr::RefBrack { .. })) => {
            let local = !matches!(path(expr).0.first().map(String::as_str), Some("input" | "data"));
            usize::from(local)
        }
        node => usize::from(variable(node).is_some()),
    }
}

/// The name of a variable, or what may be one, where it stands by itself or finds something.
const fn variable<'a>(node: &Node<'a>) -> Option<&'a Span> {
    match *node {
        Node::Expr(Expr::Var { span, .. }) | Node::Declared(span) | Node::Named { name: span, .. } => Some(span),
        _ => None,
    }
}
