use super::number::Number;
use super::selector::{Selector, Step};
use ipld_core::ipld::Ipld;

/// What a selector found: borrowed from the arguments, never a copy of them.
#[derive(Clone, Debug)]
pub(super) enum View<'a> {
    Node(&'a Ipld),
    Items(&'a [Ipld]),
    /// The values of a map, in key order.
    Values(Vec<&'a Ipld>),
    Bytes(&'a [u8]),
    Byte(u8),
    Null,
}

/// Follows `selector` from `root`; `None` when a step cannot be taken and is not optional.
pub(super) fn select<'a>(root: &'a Ipld, selector: &Selector) -> Option<View<'a>> {
    let mut current = View::Node(root);
    for segment in selector.segments() {
        current = match current.step(&segment.step) {
            Some(next) => next,
            None if segment.optional => View::Null,
            None => return None,
        };
    }
    Some(current)
}

impl<'a> View<'a> {
    fn step(self, step: &Step) -> Option<Self> {
        match (step, self) {
            // A missing key of a map selects null; it does not fail.
            (Step::Key(key), View::Node(Ipld::Map(map))) => Some(map.get(key).map_or(View::Null, View::Node)),
            (Step::Values, View::Node(Ipld::Map(map))) => Some(View::Values(map.values().collect())),
            (Step::Key(_), _) => None,
            (step, View::Node(Ipld::List(list))) => View::Items(list).step_in_list(step),
            (step, View::Node(Ipld::Bytes(bytes))) => View::Bytes(bytes).step_in_list(step),
            (step, view) => view.step_in_list(step),
        }
    }

    fn step_in_list(self, step: &Step) -> Option<Self> {
        match (self, step) {
            (View::Node(_) | View::Byte(_) | View::Null, _) | (_, Step::Key(_)) => None,
            (view, Step::Values) => Some(view),
            (View::Items(items), Step::Index(i)) => items.get(position(*i, items.len())?).map(View::Node),
            (View::Values(values), Step::Index(i)) => {
                values.get(position(*i, values.len())?).map(|value| View::Node(value))
            }
            (View::Bytes(bytes), Step::Index(i)) => bytes.get(position(*i, bytes.len())?).copied().map(View::Byte),
            (View::Items(items), Step::Slice(from, to)) => Some(View::Items(slice(items, *from, *to))),
            (View::Values(values), Step::Slice(from, to)) => Some(View::Values(slice(&values, *from, *to).to_vec())),
            (View::Bytes(bytes), Step::Slice(from, to)) => Some(View::Bytes(slice(bytes, *from, *to))),
        }
    }

    /// The number here, if it is one.
    pub(super) fn number(&self) -> Option<Number> {
        match self {
            View::Node(value) => Number::of(value),
            View::Byte(byte) => Some(Number::Integer(i128::from(*byte))),
            _ => None,
        }
    }

    /// The string here, if it is one.
    pub(super) fn text(&self) -> Option<&'a str> {
        match self {
            View::Node(Ipld::String(text)) => Some(text),
            _ => None,
        }
    }

    /// The elements here, if this is a list or a map; a map gives its values.
    pub(super) fn elements(&self) -> Option<Vec<&'a Ipld>> {
        match self {
            View::Items(items) => Some(items.iter().collect()),
            View::Values(values) => Some(values.clone()),
            View::Node(Ipld::List(list)) => Some(list.iter().collect()),
            View::Node(Ipld::Map(map)) => Some(map.values().collect()),
            _ => None,
        }
    }
}

/// The offset that `index` names in a list of `len`; negative indices count from the end.
fn position(index: i64, len: usize) -> Option<usize> {
    match usize::try_from(index) {
        Ok(index) => Some(index),
        Err(_) => len.checked_sub(usize::try_from(index.unsigned_abs()).ok()?),
    }
}

/// The part between two indices, clamped to the list as in jq.
fn slice<T>(items: &[T], from: Option<i64>, to: Option<i64>) -> &[T] {
    let clamp = |bound: i64| position(bound, items.len()).unwrap_or(0).min(items.len());
    let from = from.map_or(0, clamp);
    let to = to.map_or(items.len(), clamp);
    items.get(from..to).unwrap_or(&[])
}
