//! How large the pieces are that a policy is given: of its input, its data and the constants in its modules.

use crate::{
    lint::{
        Work,
        module::{Parsed, links, root},
    },
    probe,
};
use regorus::unstable::Expr;
use serde_json::Value;
use std::sync::LazyLock;

/// At each depth, how many values the largest there has, long texts counted by their length. What is deeper than this
/// counts at the last.
pub(super) type Sizes = [u32; 6];

/// Bytes of a text that count as one value more.
const TEXT: usize = 32;

/// The largest input that is tried: no payout is wider.
static INPUT: LazyLock<Value> =
    LazyLock::new(|| probe::widest().ok().and_then(|input| serde_json::to_value(input).ok()).unwrap_or_default());

/// The documents that references lead into.
pub(super) struct Pieces<'a> {
    data: &'a Value,
}

impl<'a> Pieces<'a> {
    pub(super) const fn of(data: &'a Value) -> Self {
        Self { data }
    }

    /// How large what a reference leads to can be, if it leads into the input or the data.
    pub(super) fn sizes(&self, work: &Work, module: &Parsed, reference: &Expr) -> Option<Sizes> {
        let mut sizes = Sizes::default();
        for value in self.found(work, module, reference)? {
            measure(work, value, 0, &mut sizes);
        }
        Some(sizes)
    }

    /// How large what is found by can be in what a reference leads to: the names in objects, or a number in a list.
    pub(super) fn keys(&self, work: &Work, module: &Parsed, reference: &Expr) -> Option<Sizes> {
        let mut longest = 1;
        for value in self.found(work, module, reference)? {
            for name in value.as_object().into_iter().flat_map(serde_json::Map::keys) {
                work.spend(1);
                longest = longest.max(long(name).saturating_add(1));
            }
        }
        let mut sizes = Sizes::default();
        largest(&mut sizes, 0, longest);
        Some(sizes)
    }

    fn found(&self, work: &Work, module: &Parsed, reference: &Expr) -> Option<Vec<&Value>> {
        let Expr::Var { span, .. } = root(reference) else { return None };
        let (document, above) = match (span.text(), module.imported(span.text())) {
            ("input", _) => (&*INPUT, ""),
            ("data", _) => (self.data, "data"),
            (_, Some(path)) => (self.data, path),
            _ => return None,
        };
        let mut steps: Vec<Option<String>> = links(reference).map(name).collect();
        steps.reverse();
        let above = above.split('.').skip(1).map(|name| Some(name.to_owned()));
        let mut found = vec![document];
        for name in above.chain(steps) {
            work.spend(found.len());
            found = found.into_iter().flat_map(|value| below(value, name.as_deref())).collect();
        }
        Some(found)
    }
}

/// The constant name of a step of a reference; none for what is computed or counted.
fn name(step: &Expr) -> Option<String> {
    match step {
        Expr::RefDot { field, .. } => Some(field.0.text().to_owned()),
        Expr::RefBrack { index, .. } => match index.as_ref() {
            Expr::String { value, .. } | Expr::RawString { value, .. } => {
                value.as_string().ok().map(ToString::to_string)
            }
            _ => None,
        },
        _ => None,
    }
}

/// What a step finds in a value.
fn below<'v>(value: &'v Value, name: Option<&str>) -> Vec<&'v Value> {
    match (value, name) {
        (Value::Object(fields), Some(name)) => fields.get(name).into_iter().collect(),
        (Value::Object(fields), None) => fields.values().collect(),
        (Value::Array(items), None) => items.iter().collect(),
        _ => Vec::new(),
    }
}

fn measure(work: &Work, value: &Value, depth: usize, sizes: &mut Sizes) -> u32 {
    let below = depth.saturating_add(1);
    let mut size = 1_u32;
    match value {
        Value::String(text) => size = size.saturating_add(long(text)),
        Value::Array(items) => {
            for item in items {
                size = size.saturating_add(measure(work, item, below, sizes));
            }
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                let name = long(name).saturating_add(1);
                largest(sizes, below, name);
                size = size.saturating_add(name).saturating_add(measure(work, value, below, sizes));
            }
        }
        _ => {}
    }
    work.spend(1);
    largest(sizes, depth, size);
    size
}

/// How large a constant is that is written out in a module.
pub(super) fn written(work: &Work, constant: &Expr) -> Sizes {
    fn measure(work: &Work, expr: &Expr, depth: usize, sizes: &mut Sizes) -> u32 {
        let below = depth.saturating_add(1);
        let mut size = 1_u32;
        match expr {
            Expr::String { span, .. } | Expr::RawString { span, .. } => size = size.saturating_add(long(span.text())),
            Expr::Array { items, .. } | Expr::Set { items, .. } => {
                for item in items {
                    size = size.saturating_add(measure(work, item, below, sizes));
                }
            }
            Expr::Object { fields, .. } => {
                for (_, key, value) in fields {
                    size = size.saturating_add(measure(work, key, below, sizes));
                    size = size.saturating_add(measure(work, value, below, sizes));
                }
            }
            _ => {}
        }
        work.spend(1);
        largest(sizes, depth, size);
        size
    }
    let mut sizes = Sizes::default();
    measure(work, constant, 0, &mut sizes);
    sizes
}

/// What a text counts more than a number.
fn long(text: &str) -> u32 {
    u32::try_from(text.len().checked_div(TEXT).unwrap_or_default()).unwrap_or(u32::MAX)
}

fn largest(sizes: &mut Sizes, depth: usize, size: u32) {
    let last = sizes.len().saturating_sub(1);
    if let Some(own) = sizes.get_mut(depth.min(last)) {
        *own = (*own).max(size);
    }
}
