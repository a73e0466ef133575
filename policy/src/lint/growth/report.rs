//! What of it is too large.

use super::{Grown, Growth, MAX_FACTOR, MAX_FACTORS, Scope, constant, is_pattern, partial, results, small};
use crate::{
    Finding,
    lint::{
        MAX_FINDINGS, PACKAGE, cycle,
        module::{Node, rule_name, start, walk},
        rule,
    },
};
use regorus::unstable::{ArithOp, AssignOp, BoolOp, Expr};

/// What is held many times may have so many values: an object of a list, such as a split.
const MAX_HELD: u32 = 32;
/// A text of an account or a DID has so many values, and a number one.
const MAX_SCALAR: u32 = 4;
/// What a variable may hold where it is ordered: a setting beside the longest list.
const MAX_PRINTED: u32 = 1_200;
/// Something that is no number and no short text is looked for in no more values.
const MAX_SEARCHED: u32 = 256;
/// What is held once in a collection that is written out.
const MAX_WRITTEN: u32 = 128;

impl Growth<'_> {
    pub(super) fn report(&self, findings: &mut Vec<Finding>) {
        for (scope, _, rule) in &self.rules {
            let scope = *scope;
            let told = scope.module.package == PACKAGE && rule_name(rule) == "violation" && rule::head(rule).is_some();
            if partial(rule) && !told {
                for value in results(rule) {
                    self.held(scope, value, MAX_HELD, findings);
                }
            }
            walk(rule, &mut |node| {
                if let Node::Expr(expr) = node {
                    self.expression(scope, expr, findings);
                }
            });
        }
    }

    fn expression(&self, scope: Scope<'_>, expr: &Expr, findings: &mut Vec<Finding>) {
        match expr {
            _ if findings.len() >= MAX_FINDINGS => {}
            Expr::Array { items, .. } | Expr::Set { items, .. } => {
                for item in items {
                    self.held(scope, item, MAX_WRITTEN, findings);
                }
            }
            Expr::Object { fields, .. } => {
                for (_, key, value) in fields {
                    self.held(scope, key, MAX_WRITTEN, findings);
                    self.held(scope, value, MAX_WRITTEN, findings);
                }
            }
            Expr::ArrayCompr { term, .. } | Expr::SetCompr { term, .. } => self.held(scope, term, MAX_HELD, findings),
            Expr::ObjectCompr { key, value, .. } => {
                self.held(scope, key, MAX_HELD, findings);
                self.held(scope, value, MAX_HELD, findings);
            }
            Expr::ArithExpr { op: ArithOp::Mul, span, lhs, rhs, .. }
                if !small(lhs) && !small(rhs) && (self.grown(scope, lhs) | self.grown(scope, rhs)).product =>
            {
                let reason = format!("a product is multiplied again: only a constant up to {MAX_FACTOR} may");
                findings.push(scope.module.finding(span, reason));
            }
            Expr::ArithExpr { op: ArithOp::Mul, span, .. } | Expr::Call { span, .. }
                if self.grown(scope, expr).factors > MAX_FACTORS =>
            {
                let reason = format!("more than {MAX_FACTORS} constant factors go into this");
                findings.push(scope.module.finding(span, reason));
            }
            // One instruction goes through all of both.
            Expr::BoolExpr { op: BoolOp::Eq | BoolOp::Ne, lhs, rhs, .. } => self.compared(scope, [lhs, rhs], findings),
            // What a pattern takes apart is compared piece by piece, and holds nothing that the policy builds.
            Expr::AssignExpr { op: AssignOp::Eq, lhs, rhs, .. } if !is_pattern(lhs) && !is_pattern(rhs) => {
                self.compared(scope, [lhs, rhs], findings);
            }
            Expr::Membership { value, collection, .. }
                if self.is_large(scope, collection) && !self.is_scalar(scope, value) =>
            {
                let reason = "what is looked for in a collection that is large, or that the policy builds, is a number or a text";
                findings.push(scope.module.finding(start(value), reason));
            }
            Expr::ArithExpr { op: ArithOp::Sub, span, lhs, .. } if self.grown(scope, lhs).collection => {
                let reason =
                    "nothing is subtracted from a set that the policy builds: write {x | some x in a; not x in b}";
                findings.push(scope.module.finding(span, reason));
            }
            // When the kinds differ the engine prints both sides before it goes on.
            Expr::BoolExpr { op: BoolOp::Lt | BoolOp::Le | BoolOp::Gt | BoolOp::Ge, lhs, rhs, .. } => {
                for side in [lhs, rhs] {
                    let Grown { collection, sizes: [size, ..], .. } = self.grown(scope, side);
                    let [piece, ..] = self.piece(scope, side).sizes;
                    if collection || piece > MAX_HELD || size > MAX_PRINTED {
                        let reason = "a collection is not ordered: compare what is in it, or its count";
                        findings.push(scope.module.finding(start(side), reason));
                    }
                }
            }
            // A package as a value holds the values of all its rules, which may be collections themselves.
            Expr::Var { .. } | Expr::RefDot { .. } | Expr::RefBrack { .. } => {
                let Some(full) = cycle::full_name(scope.module, expr) else { return };
                if self
                    .names
                    .range(format!("{full}.")..)
                    .next()
                    .is_some_and(|(rule, _)| rule.starts_with(&format!("{full}.")))
                {
                    let reason = format!("{full} is a package: name the rule");
                    findings.push(scope.module.finding(start(expr), reason));
                }
            }
            _ => {}
        }
    }

    /// Reports a collection that the policy builds where it is compared with anything but a constant or what is no collection.
    fn compared(&self, scope: Scope<'_>, sides: [&Expr; 2], findings: &mut Vec<Finding>) {
        let [left, right] = sides;
        for (side, other) in [(left, right), (right, left)] {
            let is_small = |expr: &Expr| constant(expr) || self.is_scalar(scope, expr) || self.is_tuple(scope, expr);
            if self.is_large(scope, side) && !is_small(side) && !is_small(other) {
                let reason = "a collection that is large, or that the policy builds, is compared with constants only: \
                              compare its count or what is in it, and bind it with :=";
                findings.push(scope.module.finding(start(side), reason));
                return;
            }
        }
    }

    /// Whether it is a list that is written out, of nothing but numbers and short texts.
    fn is_tuple(&self, scope: Scope<'_>, expr: &Expr) -> bool {
        matches!(expr, Expr::Array { items, .. } if items.iter().all(|item| self.is_scalar(scope, item)))
    }

    /// Whether it may have more values than one instruction should go through for each of many others.
    fn is_large(&self, scope: Scope<'_>, expr: &Expr) -> bool {
        let Grown { collection, sizes: [size, ..], .. } = self.grown(scope, expr);
        collection || size > MAX_SEARCHED
    }

    /// Whether it is a number, a truth value or a text that is not long.
    fn is_scalar(&self, scope: Scope<'_>, expr: &Expr) -> bool {
        let Grown { collection, sizes: [size, ..], .. } = self.grown(scope, expr);
        !collection && size <= MAX_SCALAR
    }

    /// Reports an item of a collection that is itself one that the policy builds, or larger than this.
    fn held(&self, scope: Scope<'_>, item: &Expr, most: u32, findings: &mut Vec<Finding>) {
        let grown = self.grown(scope, item);
        let [size, ..] = grown.sizes;
        if grown.collection {
            let reason = "a collection that the policy builds may not hold another one that it builds";
            findings.push(scope.module.finding(start(item), reason));
        } else if size > most && !(most == MAX_WRITTEN && constant(item)) {
            let reason =
                format!("what a collection that the policy builds holds may have {most} values; this has {size}");
            findings.push(scope.module.finding(start(item), reason));
        }
    }
}
