//! Keeps what a policy computes small. The limit of instructions bounds how many values a decision makes; these rules
//! bound how large one can become, so that neither memory nor the time of one instruction runs away:
//!
//! - A collection that a policy builds from anything but constants holds no other such collection. Its items are
//!   numbers, texts, or pieces of the input, of the data and of constants, whose sizes are bounded. Without this, forty
//!   lines that each hold the line before twice would make a value of 2^40 items.
//! - Nor does it hold large pieces of the input, of the data and of constants: one instruction goes through all of them.
//! - A product is not multiplied again, except with a constant up to [`MAX_FACTOR`], and with few of these. Without this,
//!   every squaring would double the digits.
//!
//! These rules follow values through variables, rules and functions. Variables of one name in one rule count as one, so a
//! bundle may have to rename one, but nothing hides.

mod piece;
mod report;

use super::{
    MAX_STEPS, Work, cycle,
    module::{Node, Parsed, Part, links, path, root, rule_name, walk},
    too_many_steps, too_much_work,
};
use crate::Finding;
use piece::{Pieces, Sizes};
use regorus::unstable::{ArithOp, AssignOp, Expr, Ref, Rule, RuleHead};
use serde_json::Value;
use std::{collections::BTreeMap, ops::BitOr};

/// A constant factor is at most this: the whole in basis points, which shares are compared in.
const MAX_FACTOR: u64 = 10_000;
/// So many constant factors may go into one value: more than a share of a share of a share needs, and hardly longer
/// numbers than two amounts make.
const MAX_FACTORS: u8 = 8;
/// Builtins whose result is a truth value, a text or a count.
const SCALAR: &[&str] =
    &["contains", "count", "endswith", "indexof", "lower", "sprintf", "startswith", "substring", "type_name"];
/// Builtins that make a collection of the items of what they are given.
const BUILDING: &[&str] = &["array.reverse", "array.slice", "sort"];
/// Builtins whose result is one of the items of what they are given, or a number made of them.
const ITEM: &[&str] = &["abs", "max", "min", "sum"];

/// What a value may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Grown {
    /// A collection that the policy built.
    collection: bool,
    /// A product of two variables, or made from one.
    product: bool,
    /// How many constant factors went into it.
    factors: u8,
    /// How large it is as a piece of the input, the data or constants, then its items, and what is in them.
    sizes: Sizes,
}

impl Grown {
    /// What an item of it may be.
    const fn item(self) -> Self {
        let [_, first, second, third, fourth, rest] = self.sizes;
        Self { collection: false, sizes: [first, second, third, fourth, rest, rest], ..self }
    }

    /// What a collection of it is.
    fn held(self) -> Self {
        let [own, first, second, third, fourth, rest] = self.sizes;
        Self { collection: true, sizes: [own, own, first, second, third, fourth.max(rest)], ..self }
    }

    /// It after so many more constant factors.
    fn with_factors(self, more: u8) -> Self {
        // Counted no further, so that what leads in circles comes to an end.
        Self { factors: self.factors.saturating_add(more).min(MAX_FACTORS.saturating_add(1)), ..self }
    }

    /// A piece of what the policy is given.
    fn stored(sizes: Sizes) -> Self {
        Self { sizes, ..Self::default() }
    }
}

impl BitOr for Grown {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        let mut sizes = self.sizes;
        sizes.iter_mut().zip(other.sizes).for_each(|(own, more)| *own = (*own).max(more));
        Self {
            collection: self.collection || other.collection,
            product: self.product || other.product,
            factors: self.factors.max(other.factors),
            sizes,
        }
    }
}

/// Reports collections inside collections, products of products, and references to whole packages.
pub(super) fn check(modules: &[Parsed], data: &Value, findings: &mut Vec<Finding>) {
    let before = findings.len();
    let mut growth = Growth::new(modules, data);
    for _ in 0..MAX_STEPS {
        if !growth.spread() {
            growth.report(findings);
            if growth.work.is_spent() {
                findings.truncate(before);
                findings.push(too_much_work());
            }
            return;
        }
    }
    findings.push(too_many_steps());
}

/// Where an expression stands: its module, and the first rule of its rule's name by place.
#[derive(Clone, Copy)]
struct Scope<'a> {
    module: &'a Parsed,
    rule: usize,
}

/// What a step gives to variables, by their rule and name.
type Flows<'a> = Vec<((usize, &'a str), Grown)>;

struct Growth<'a> {
    /// Every rule with its full name.
    rules: Vec<(Scope<'a>, String, &'a Rule)>,
    names: BTreeMap<String, usize>,
    /// The parameters of each definition, by full name.
    functions: BTreeMap<String, Vec<&'a [Ref<Expr>]>>,
    /// By full name.
    values: BTreeMap<String, Grown>,
    variables: BTreeMap<(usize, &'a str), Grown>,
    pieces: Pieces<'a>,
    work: Work,
}

impl<'a> Growth<'a> {
    fn new(modules: &'a [Parsed], data: &'a Value) -> Self {
        let mut rules = Vec::new();
        let mut names = BTreeMap::new();
        let mut functions: BTreeMap<String, Vec<&'a [Ref<Expr>]>> = BTreeMap::new();
        for module in modules {
            for rule in module.rules() {
                let name = format!("{}.{}", module.package, rule_name(rule));
                if let Rule::Spec { head: RuleHead::Func { args, .. }, .. } = rule {
                    functions.entry(name.clone()).or_default().push(args);
                }
                let first = *names.entry(name.clone()).or_insert(rules.len());
                rules.push((Scope { module, rule: first }, name, rule));
            }
        }
        let (values, variables) = (BTreeMap::new(), BTreeMap::new());
        Self { rules, names, functions, values, variables, pieces: Pieces::of(data), work: Work::new() }
    }

    /// Carries what is known one step further; false when there was nothing new, or all work is spent.
    fn spread(&mut self) -> bool {
        let mut changed = false;
        for at in 0..self.rules.len() {
            let Some((scope, name, rule)) = self.rules.get(at).map(|(scope, name, rule)| (*scope, name.clone(), *rule))
            else {
                break;
            };
            for value in results(rule) {
                let grown = self.grown(scope, value);
                let grown = if partial(rule) { grown.held() } else { grown };
                changed |= join(&mut self.values, name.clone(), grown);
            }
            let mut variables = Flows::new();
            walk(rule, &mut |node| self.flow(scope, &node, &mut variables));
            if !self.work.spend(variables.len()) {
                return false;
            }
            for (variable, grown) in variables {
                changed |= join(&mut self.variables, variable, grown);
            }
        }
        changed
    }

    /// What a node gives to variables.
    fn flow(&self, scope: Scope<'a>, node: &Node<'a>, out: &mut Flows<'a>) {
        match node {
            Node::Item { item, part, domain } => bind(scope.rule, item, self.part(scope, *part, domain), out),
            Node::Named { name, part, domain } => {
                out.push(((scope.rule, name.text()), self.part(scope, *part, domain)));
            }
            Node::Expr(Expr::AssignExpr { op, lhs, rhs, .. }) => {
                bind(scope.rule, lhs, self.grown(scope, rhs), out);
                if *op == AssignOp::Eq {
                    bind(scope.rule, rhs, self.grown(scope, lhs), out);
                }
            }
            Node::Expr(expr @ (Expr::RefDot { .. } | Expr::RefBrack { .. })) => {
                for (found_in, index) in indices(expr) {
                    bind(scope.rule, index, self.key(scope, found_in), out);
                }
            }
            Node::Expr(call @ Expr::Call { fcn, params, .. }) => {
                let function = cycle::full_name(scope.module, fcn).and_then(|name| self.functions.get_key_value(&name));
                let mut arity = 0;
                if let Some((name, definitions)) = function {
                    let given: Vec<Grown> = params.iter().map(|param| self.grown(scope, param)).collect();
                    let rule = self.names.get(name).copied().unwrap_or_default();
                    for args in definitions {
                        arity = args.len();
                        for (arg, grown) in args.iter().zip(&given) {
                            // Each call counts the factors of what it is given for itself.
                            bind(rule, arg, Grown { factors: 0, ..*grown }, out);
                        }
                    }
                }
                // Rego allows one argument more, which the result is unified with.
                if let Some(last) = params.last().filter(|_| params.len() > arity) {
                    bind(scope.rule, last, self.grown(scope, call), out);
                }
            }
            Node::Expr(_) | Node::With(_) | Node::Declared(_) => {}
        }
    }

    /// What a pattern takes of each entry of a domain.
    fn part(&self, scope: Scope<'_>, part: Part, domain: &Expr) -> Grown {
        match part {
            Part::Key => self.key(scope, domain),
            Part::Value => self.grown(scope, domain).item(),
        }
    }

    fn grown(&self, scope: Scope<'_>, expr: &Expr) -> Grown {
        if !self.work.spend(1) {
            return Grown::default();
        }
        let all = |items: &mut dyn Iterator<Item = &Ref<Expr>>| {
            items.map(|item| self.grown(scope, item)).fold(Grown::default(), Grown::bitor)
        };
        match expr {
            _ if constant(expr) => Grown::stored(piece::written(&self.work, expr)),
            Expr::Var { span, .. } => {
                self.variable(scope, span.text()) | self.rule(scope, expr) | self.piece(scope, expr)
            }
            Expr::RefDot { .. } | Expr::RefBrack { .. } => {
                let piece = self.piece(scope, expr);
                let base = match root(expr) {
                    Expr::Var { span, .. } => self.variable(scope, span.text()),
                    other => self.grown(scope, other),
                };
                piece | self.rule(scope, expr) | links(expr).skip(1).fold(base.item(), |found, _| found.item())
            }
            Expr::Array { items, .. } | Expr::Set { items, .. } => all(&mut items.iter()).held(),
            Expr::Object { fields, .. } => {
                (all(&mut fields.iter().map(|f| &f.1)) | all(&mut fields.iter().map(|f| &f.2))).held()
            }
            Expr::ArrayCompr { term, .. } | Expr::SetCompr { term, .. } => self.grown(scope, term).held(),
            Expr::ObjectCompr { key, value, .. } => (self.grown(scope, key) | self.grown(scope, value)).held(),
            Expr::Call { fcn, params, .. } => {
                let name = path(fcn).0.join(".");
                let own = cycle::full_name(scope.module, fcn).and_then(|name| self.functions.get_key_value(&name));
                // An argument more is what the result is unified with.
                let arity =
                    own.and_then(|(_, definitions)| definitions.first()).map_or(params.len(), |args| args.len());
                let given = all(&mut params.iter().take(arity));
                match (own, name.as_str()) {
                    (Some((own, _)), _) => {
                        self.values.get(own).copied().unwrap_or_default().with_factors(given.factors)
                    }
                    (None, name) if SCALAR.contains(&name) || name.starts_with("is_") => Grown::default(),
                    (None, name) if ITEM.contains(&name) => given.item(),
                    (None, name) if BUILDING.contains(&name) => Grown { collection: true, ..given },
                    (None, "object.keys") => given.item().held(),
                    // The item that is found, or the last argument as it is. A list of keys, which may be empty, leads
                    // anywhere.
                    (None, "object.get") if params.get(1).is_some_and(|key| constant(key) && !is_list(key)) => {
                        given.item() | all(&mut params.iter().skip(2))
                    }
                    (None, _) => given,
                }
            }
            Expr::UnaryExpr { expr, .. } => self.grown(scope, expr).item(),
            Expr::BinExpr { lhs, rhs, .. } => self.grown(scope, lhs) | self.grown(scope, rhs),
            Expr::ArithExpr { op, lhs, rhs, .. } => {
                let both = self.grown(scope, lhs) | self.grown(scope, rhs);
                match op {
                    ArithOp::Mul if small(lhs) || small(rhs) => both.with_factors(1),
                    ArithOp::Mul => Grown { product: true, ..both },
                    _ => both,
                }
            }
            _ => Grown::default(),
        }
    }

    /// What a reference takes of the input or the data, if it leads there.
    fn piece(&self, scope: Scope<'_>, expr: &Expr) -> Grown {
        Grown::stored(self.pieces.sizes(&self.work, scope.module, expr).unwrap_or_default())
    }

    /// What finds something in a domain: an item of a set finds itself, and what is stored is found by texts and numbers.
    fn key(&self, scope: Scope<'_>, domain: &Expr) -> Grown {
        let is_stored = match root(domain) {
            Expr::Var { span, .. } => self.variable(scope, span.text()) | self.rule(scope, domain) == Grown::default(),
            _ => false,
        };
        match self.pieces.keys(&self.work, scope.module, domain).filter(|_| is_stored) {
            Some(keys) => Grown::stored(keys),
            None => self.grown(scope, domain).item(),
        }
    }

    fn variable(&self, scope: Scope<'_>, name: &str) -> Grown {
        self.variables.get(&(scope.rule, name)).copied().unwrap_or_default()
    }

    /// What a reference takes from the rule that it names, if it names one: its value, or an item below it.
    fn rule(&self, scope: Scope<'_>, expr: &Expr) -> Grown {
        let Some(full) = cycle::full_name(scope.module, expr) else { return Grown::default() };
        let value = |name: &str| self.values.get(name).copied().unwrap_or_default();
        let whole = if path(expr).1 { value(&full) } else { value(&full).item() };
        let above = full.match_indices('.').filter_map(|(at, _)| full.get(..at));
        above.map(|name| value(name).item()).fold(whole, Grown::bitor)
    }
}

fn join<K: Ord>(known: &mut BTreeMap<K, Grown>, key: K, more: Grown) -> bool {
    let grown = known.entry(key).or_default();
    let before = *grown;
    *grown = before | more;
    *grown != before
}

/// Gives a value to the variables of a pattern.
fn bind<'a>(rule: usize, pattern: &'a Expr, grown: Grown, out: &mut Flows<'a>) {
    match pattern {
        Expr::Var { span, .. } => out.push(((rule, span.text()), grown)),
        Expr::Array { items, .. } | Expr::Set { items, .. } => {
            for item in items {
                bind(rule, item, grown.item(), out);
            }
        }
        Expr::Object { fields, .. } => {
            for (_, _, value) in fields {
                bind(rule, value, grown.item(), out);
            }
        }
        _ => {}
    }
}

/// The values that a rule gives; of a partial rule, the items.
fn results(rule: &Rule) -> Vec<&Expr> {
    match rule {
        Rule::Default { value, .. } => vec![value.as_ref()],
        Rule::Spec { head, bodies, .. } => {
            let mut values: Vec<&Expr> =
                bodies.iter().filter_map(|body| body.assign.as_ref()).map(|assign| assign.value.as_ref()).collect();
            match head {
                RuleHead::Compr { assign, .. } | RuleHead::Func { assign, .. } => {
                    values.extend(assign.as_ref().map(|assign| assign.value.as_ref()));
                }
                RuleHead::Set { key, .. } => values.extend(key.as_ref().map(AsRef::as_ref)),
            }
            if let RuleHead::Compr { refr, .. } | RuleHead::Set { refr, .. } = head {
                values.extend(indices(refr).map(|(_, index)| index));
            }
            values
        }
    }
}

/// What a reference is looked up by, and in what.
fn indices(reference: &Expr) -> impl Iterator<Item = (&Expr, &Expr)> {
    links(reference).filter_map(|link| match link {
        Expr::RefBrack { refr, index, .. } => Some((refr.as_ref(), index.as_ref())),
        _ => None,
    })
}

/// Whether a rule gives one item of its value: `a contains x`, `a[k] := v`, `a.b := v`.
fn partial(rule: &Rule) -> bool {
    match rule {
        Rule::Spec { head: RuleHead::Set { .. }, .. } => true,
        Rule::Spec { head: RuleHead::Compr { refr, .. } | RuleHead::Func { refr, .. }, .. }
        | Rule::Default { refr, .. } => !matches!(refr.as_ref(), Expr::Var { .. }),
    }
}

const fn is_pattern(expr: &Expr) -> bool {
    matches!(expr, Expr::Array { .. } | Expr::Object { .. })
}

const fn is_list(expr: &Expr) -> bool {
    matches!(expr, Expr::Array { .. })
}

/// A text, number or collection that is written out: it is no larger than the bundle.
pub(super) fn constant(expr: &Expr) -> bool {
    match expr {
        Expr::String { .. } | Expr::RawString { .. } | Expr::Number { .. } | Expr::Bool { .. } | Expr::Null { .. } => {
            true
        }
        Expr::Array { items, .. } | Expr::Set { items, .. } => items.iter().all(|item| constant(item)),
        Expr::Object { fields, .. } => fields.iter().all(|(_, key, value)| constant(key) && constant(value)),
        _ => false,
    }
}

/// A constant that any number may be multiplied with.
fn small(expr: &Expr) -> bool {
    matches!(expr, Expr::Number { span, .. } if span.text().parse::<i64>().is_ok_and(|n| n.unsigned_abs() <= MAX_FACTOR))
}
