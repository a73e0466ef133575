//! What the values of a bundle may be, and expressions that can mean nothing for it. In Rego these are no errors: a name
//! that is not there, or a comparison of two kinds, just ends the rule, and a rule that denies never would.
//!
//! Types start at the input's schema, the data document and constants, and follow values through variables, rules,
//! functions and builtins. Only what can never make sense is refused: a value of two kinds may be used as either, and
//! one of which nothing is known as anything. Variables of one name in one rule count as one.

mod builtin;
mod infer;
mod reference;
mod shape;
mod source;
mod word;

use super::{
    MAX_FINDINGS, MAX_STEPS, PACKAGE,
    module::{Node, Parsed, path, rule_name, start, walk},
    rule, too_many_steps, too_much_work,
};
use crate::{Effect, Finding};
pub(super) use infer::given;
use infer::{Inferred, Scope};
use reference::matched;
use regorus::unstable::{ArithOp, AssignOp, Expr, Rule, Span};
use shape::{Apart, Kinds, Type};
use word::{clipped, shown};

/// Reports names that nothing has, lookups in what holds nothing, comparisons that are always the same, and operators and
/// builtins that are given what they cannot take.
pub(super) fn check(modules: &[Parsed], data: &serde_json::Value, findings: &mut Vec<Finding>) {
    let before = findings.len();
    let mut inferred = Inferred::new(modules, data);
    for _ in 0..MAX_STEPS {
        if !inferred.spread() {
            Check { inferred: &inferred, findings, called: None }.all();
            if inferred.work.is_spent() {
                findings.truncate(before);
                findings.push(too_much_work());
            }
            return;
        }
    }
    findings.push(too_many_steps());
}

struct Check<'a> {
    inferred: &'a Inferred<'a>,
    findings: &'a mut Vec<Finding>,
    /// The name of the function that is called, which a walk visits next. It is no use of a variable of that name.
    called: Option<&'a Expr>,
}

impl<'a> Check<'a> {
    fn all(&mut self) {
        for (scope, _, rule) in &self.inferred.rules {
            if scope.module.package == PACKAGE {
                self.result(*scope, rule);
            }
            walk(rule, &mut |node| {
                if self.findings.len() < MAX_FINDINGS {
                    match node {
                        Node::Expr(expr) => self.expression(*scope, expr),
                        Node::Item { item, part, domain } => {
                            self.collection(*scope, domain);
                            self.pattern(
                                *scope,
                                item,
                                &self.inferred.part(*scope, part, domain),
                                &format!("an item of {}", shown(domain)),
                            );
                        }
                        Node::Named { domain, .. } => self.collection(*scope, domain),
                        Node::With(_) | Node::Declared(_) => {}
                    }
                }
            });
        }
    }

    fn report(&mut self, scope: Scope<'_>, span: &Span, reason: String) {
        self.findings.push(scope.module.finding(span, reason));
    }

    /// Holds what a rule of the payout package gives to what the engine reads.
    fn result(&mut self, scope: Scope<'a>, rule: &'a Rule) {
        let name = rule_name(rule);
        if name == "violation" {
            if let Some((_, msg)) = rule::head(rule) {
                self.kind(scope, msg, Kinds::TEXT, "a violation's \"msg\" is a text");
            }
            return;
        }
        let expected = match name.as_str() {
            "effect" => Kinds::TEXT,
            "approvals" => Kinds::NUMBER,
            _ => return,
        };
        for value in given(rule) {
            let Some(value) = value else {
                self.report(scope, rule.span(), format!("{name} is {expected}, and this rule says true"));
                continue;
            };
            let known = self.inferred.of(scope, value);
            self.kind(scope, value, expected, &format!("{name} is {expected}"));
            let effect = |word: &String| word.parse::<Effect>().is_ok();
            if name == "effect" && known.known_words().is_some_and(|words| !words.iter().any(effect)) {
                self.report(scope, start(value), "effect is not allow, review or deny".to_owned());
            }
        }
    }

    /// Reports an expression that can never be of any of these kinds.
    fn kind(&mut self, scope: Scope<'a>, expr: &'a Expr, kinds: Kinds, expected: &str) {
        let known = self.inferred.of(scope, expr);
        if !known.may_be(kinds) {
            self.report(scope, start(expr), format!("{expected}, and {}", is(expr, known.kinds())));
        }
    }

    fn collection(&mut self, scope: Scope<'a>, domain: &'a Expr) {
        self.kind(scope, domain, Kinds::COLLECTION, "only a list, a set or an object has items");
    }

    fn expression(&mut self, scope: Scope<'a>, expr: &'a Expr) {
        if self.called.take().is_some_and(|name| std::ptr::eq(name, expr)) {
            return;
        }
        if let Expr::Call { fcn, .. } = expr {
            self.called = Some(fcn);
        }
        match expr {
            Expr::Var { .. } | Expr::RefDot { .. } | Expr::RefBrack { .. } => {
                if let Err(astray) = self.inferred.reference(scope, expr) {
                    self.report(scope, astray.span, astray.reason());
                }
            }
            Expr::BoolExpr { lhs, rhs, .. } | Expr::AssignExpr { op: AssignOp::Eq, lhs, rhs, .. } => {
                self.compared(scope, lhs, rhs);
                for (pattern, other) in [(lhs, rhs), (rhs, lhs)] {
                    self.pattern(scope, pattern, &self.inferred.of(scope, other), &shown(other));
                }
            }
            Expr::AssignExpr { lhs, rhs, .. } => self.pattern(scope, lhs, &self.inferred.of(scope, rhs), &shown(rhs)),
            Expr::ArithExpr { op, lhs, rhs, .. } => {
                let kinds = if *op == ArithOp::Sub { Kinds::NUMBER | Kinds::SET } else { Kinds::NUMBER };
                for side in [lhs, rhs] {
                    self.kind(scope, side, kinds, &format!("arithmetic takes {kinds}"));
                }
            }
            Expr::UnaryExpr { expr, .. } => self.kind(scope, expr, Kinds::NUMBER, "a minus takes a number"),
            Expr::Membership { key, value, collection, .. } => {
                self.collection(scope, collection);
                let known = self.inferred.of(scope, collection).only(Kinds::COLLECTION);
                self.member(scope, value, collection, &known.item());
                if let Some(key) = key {
                    self.member(scope, key, collection, &known.key());
                }
            }
            Expr::Call { fcn, params, .. } if !self.inferred.is_function(scope, fcn) => {
                let name = path(fcn).0.join(".");
                if let ("object.get", [object, key, ..]) = (name.as_str(), params.as_slice())
                    && let Err(astray) = self.inferred.got(scope, object, key)
                {
                    self.report(scope, astray.span, astray.reason());
                }
                if let ("sprintf", [_, items]) = (name.as_str(), params.as_slice())
                    && let Expr::Array { items, .. } = items.as_ref()
                {
                    for item in items {
                        self.kind(scope, item, Kinds::SHOWN, "a message shows no collections");
                    }
                }
                for (param, kinds) in params.iter().zip(builtin::takes(&name).unwrap_or_default()) {
                    self.kind(scope, param, *kinds, &format!("{name} takes {kinds}"));
                    let item = self.inferred.of(scope, param).item();
                    if name == "sum" && !item.may_be(Kinds::NUMBER) {
                        let reason = format!("sum takes numbers, and an item of this is {}", item.kinds());
                        self.report(scope, start(param), reason);
                    }
                }
            }
            _ => {}
        }
    }

    /// Holds a pattern's names to what it is matched with.
    fn pattern(&mut self, scope: Scope<'a>, pattern: &'a Expr, known: &Type, name: &str) {
        if let Err(astray) = matched(pattern, known, name) {
            self.report(scope, astray.span, astray.reason());
        }
    }

    fn compared(&mut self, scope: Scope<'a>, lhs: &'a Expr, rhs: &'a Expr) {
        match self.inferred.of(scope, lhs).apart(&self.inferred.of(scope, rhs)) {
            None => {}
            Some(Apart::Kinds(left, right)) => {
                let reason =
                    format!("{} and {}: this comparison always comes out alike", is(lhs, left), is(rhs, right));
                self.report(scope, start(lhs), reason);
            }
            Some(Apart::Words(words)) => {
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                let (left, right) = (shown(lhs), shown(rhs));
                let reason = format!("{left} is never {right}: there are only {}", clipped(&words.join(", ")));
                self.report(scope, start(lhs), reason);
            }
        }
    }

    fn member(&mut self, scope: Scope<'a>, value: &'a Expr, collection: &'a Expr, item: &Type) {
        let reason = match self.inferred.of(scope, value).apart(item) {
            None => return,
            Some(Apart::Kinds(left, right)) => {
                format!("{}, and in {} is {right}", is(value, left), shown(collection))
            }
            Some(Apart::Words(words)) => {
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                let (value, collection) = (shown(value), shown(collection));
                format!("{value} is never in {collection}: there are only {}", clipped(&words.join(", ")))
            }
        };
        self.report(scope, start(value), reason);
    }
}

fn is(expr: &Expr, kinds: Kinds) -> String {
    format!("{} is {kinds}", shown(expr))
}
