//! The UCAN policy language (ucan-wg/delegation, "Policy"): statements over the arguments of an invocation.
//!
//! A policy is parsed once, when its delegation is opened. Negative statements (`!=`, `not`) hold when the selected
//! argument is absent, and `all` holds over an empty collection: whoever accepts invocations must check the arguments
//! against a strict schema first.

mod evaluate;
mod glob;
mod number;
mod selector;
mod view;

use crate::Error;
use glob::Glob;
use ipld_core::ipld::Ipld;
use number::Number;
use selector::Selector;
use std::cmp::Ordering;

pub use evaluate::Mismatch;
pub use selector::{MAX_SEGMENTS, MAX_SELECTOR_BYTES};

/// Most statements in one policy, nested ones included: far above any policy that a person reads.
pub const MAX_STATEMENTS: usize = 256;
/// Deepest nesting of statements: evaluation recurses this far.
pub const MAX_POLICY_DEPTH: usize = 16;
/// Longest `like` pattern in bytes.
pub const MAX_PATTERN_BYTES: usize = 1024;

/// A parsed policy: statements that must all hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    source: Vec<Ipld>,
    statements: Vec<Statement>,
}

#[derive(Clone, Debug, PartialEq)]
enum Statement {
    Equal { selector: Selector, value: Ipld, wanted: bool },
    Compare { selector: Selector, operator: Comparison, value: Number },
    Like { selector: Selector, glob: Glob },
    And(Vec<Statement>),
    Or(Vec<Statement>),
    Not(Box<Statement>),
    All { selector: Selector, each: Box<Statement> },
    Any { selector: Selector, some: Box<Statement> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }
}

impl Policy {
    /// The policy without statements: it holds for all arguments.
    pub const fn empty() -> Self {
        Self { source: Vec::new(), statements: Vec::new() }
    }

    /// Parses the list of statements of a delegation's `pol` field, such as `[["<=", ".total", 500]]`.
    pub fn parse(statements: Vec<Ipld>) -> Result<Self, Error> {
        let mut budget = MAX_STATEMENTS;
        let parsed = parse_list(&statements, MAX_POLICY_DEPTH, &mut budget)?;
        Ok(Self { source: statements, statements: parsed })
    }

    /// The statements in their IPLD form, as they stand in the token.
    pub fn source(&self) -> &[Ipld] {
        &self.source
    }

    /// Whether the policy has no statement.
    pub fn is_empty(&self) -> bool {
        self.statements.is_empty()
    }

    /// Checks every statement against `args`; the error names the first one that does not hold.
    pub fn check(&self, args: &Ipld) -> Result<(), Mismatch> {
        evaluate::all(&self.statements, args)
    }
}

impl TryFrom<Ipld> for Policy {
    type Error = Error;

    fn try_from(value: Ipld) -> Result<Self, Error> {
        match value {
            Ipld::List(statements) => Self::parse(statements),
            _ => Err(Error::Malformed("policy is not a list")),
        }
    }
}

fn parse_list(list: &[Ipld], depth: usize, budget: &mut usize) -> Result<Vec<Statement>, Error> {
    list.iter().map(|statement| parse_statement(statement, depth, budget)).collect()
}

fn parse_statement(statement: &Ipld, depth: usize, budget: &mut usize) -> Result<Statement, Error> {
    *budget = budget.checked_sub(1).ok_or(Error::TooLarge("policy statements"))?;
    let depth = depth.checked_sub(1).ok_or(Error::TooLarge("policy depth"))?;
    let Ipld::List(parts) = statement else { return Err(Error::Malformed("policy statement is not a list")) };
    match parts.as_slice() {
        [Ipld::String(operator), Ipld::String(selector), value] => {
            parse_selecting(operator, selector.parse()?, value, depth, budget)
        }
        [Ipld::String(operator), Ipld::List(list)] if operator == "and" => {
            Ok(Statement::And(parse_list(list, depth, budget)?))
        }
        [Ipld::String(operator), Ipld::List(list)] if operator == "or" => {
            Ok(Statement::Or(parse_list(list, depth, budget)?))
        }
        [Ipld::String(operator), inner] if operator == "not" => {
            Ok(Statement::Not(Box::new(parse_statement(inner, depth, budget)?)))
        }
        _ => Err(Error::Malformed("policy statement")),
    }
}

fn parse_selecting(
    operator: &str,
    selector: Selector,
    value: &Ipld,
    depth: usize,
    budget: &mut usize,
) -> Result<Statement, Error> {
    let compare = |selector, operator| {
        let value = Number::of(value).ok_or(Error::Malformed("policy comparison with a non-number"))?;
        Ok(Statement::Compare { selector, operator, value })
    };
    match operator {
        "==" => Ok(Statement::Equal { selector, value: value.clone(), wanted: true }),
        "!=" => Ok(Statement::Equal { selector, value: value.clone(), wanted: false }),
        "<" => compare(selector, Comparison::Less),
        "<=" => compare(selector, Comparison::LessOrEqual),
        ">" => compare(selector, Comparison::Greater),
        ">=" => compare(selector, Comparison::GreaterOrEqual),
        "like" => match value {
            Ipld::String(pattern) if pattern.len() > MAX_PATTERN_BYTES => Err(Error::TooLarge("policy pattern")),
            Ipld::String(pattern) => Ok(Statement::Like { selector, glob: Glob::parse(pattern) }),
            _ => Err(Error::Malformed("policy pattern is not a string")),
        },
        "all" => Ok(Statement::All { selector, each: Box::new(parse_statement(value, depth, budget)?) }),
        "any" => Ok(Statement::Any { selector, some: Box::new(parse_statement(value, depth, budget)?) }),
        _ => Err(Error::Malformed("policy operator")),
    }
}
