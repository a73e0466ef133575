use super::Statement;
use super::number::Number;
use super::view::{View, select};
use ipld_core::ipld::Ipld;

/// Work that one policy may do: values compared plus text looked at. It keeps the worst policy over the largest
/// arguments below a few milliseconds and is the same on every machine, so replicas agree.
const FUEL: u32 = 200_000;
/// Bytes of text or of a byte string that cost one unit.
const BYTES_PER_UNIT: usize = 16;

/// The statement that does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// The statement at this index of the policy is false.
    #[error("policy statement {0} does not hold")]
    False(usize),
    /// The statement at this index takes more work than a policy may do.
    #[error("policy statement {0} takes too much work")]
    TooMuchWork(usize),
}

/// The budget ran out: neither true nor false, so that `not` cannot turn it into permission.
struct Exhausted;

struct Fuel(u32);

impl Fuel {
    fn burn(&mut self, bytes: usize) -> Result<(), Exhausted> {
        let units = u32::try_from(bytes / BYTES_PER_UNIT).unwrap_or(u32::MAX).saturating_add(1);
        self.0 = self.0.checked_sub(units).ok_or(Exhausted)?;
        Ok(())
    }
}

pub(super) fn all(statements: &[Statement], args: &Ipld) -> Result<(), Mismatch> {
    let mut fuel = Fuel(FUEL);
    for (index, statement) in statements.iter().enumerate() {
        match holds(statement, args, &mut fuel) {
            Ok(true) => {}
            Ok(false) => return Err(Mismatch::False(index)),
            Err(Exhausted) => return Err(Mismatch::TooMuchWork(index)),
        }
    }
    Ok(())
}

fn holds(statement: &Statement, root: &Ipld, fuel: &mut Fuel) -> Result<bool, Exhausted> {
    fuel.burn(0)?;
    match statement {
        // A selector that cannot be resolved makes its statement false, `!=` included.
        Statement::Equal { selector, value, wanted } => match select(root, selector) {
            Some(view) => Ok(view_equals(&view, value, fuel)? == *wanted),
            None => Ok(false),
        },
        Statement::Compare { selector, operator, value } => Ok(select(root, selector)
            .and_then(|view| view.number()?.compare(*value))
            .is_some_and(|order| operator.holds(order))),
        Statement::Like { selector, glob } => match select(root, selector).and_then(|view| view.text()) {
            Some(text) => {
                fuel.burn(text.len())?;
                Ok(glob.matches(text))
            }
            None => Ok(false),
        },
        Statement::And(list) => every(list, |inner| holds(inner, root, fuel)),
        // By the specification an empty `or` is true.
        Statement::Or(list) => Ok(list.is_empty() || some(list, |inner| holds(inner, root, fuel))?),
        Statement::Not(inner) => holds(inner, root, fuel).map(|truth| !truth),
        Statement::All { selector, each } => match select(root, selector).and_then(|view| view.elements()) {
            Some(elements) => every(elements, |element| holds(each, element, fuel)),
            None => Ok(false),
        },
        Statement::Any { selector, some: inner } => match select(root, selector).and_then(|view| view.elements()) {
            Some(elements) => some(elements, |element| holds(inner, element, fuel)),
            None => Ok(false),
        },
    }
}

fn every<T>(
    items: impl IntoIterator<Item = T>,
    mut test: impl FnMut(T) -> Result<bool, Exhausted>,
) -> Result<bool, Exhausted> {
    for item in items {
        if !test(item)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn some<T>(
    items: impl IntoIterator<Item = T>,
    mut test: impl FnMut(T) -> Result<bool, Exhausted>,
) -> Result<bool, Exhausted> {
    every(items, |item| test(item).map(|truth| !truth)).map(|none| !none)
}

fn view_equals(view: &View<'_>, value: &Ipld, fuel: &mut Fuel) -> Result<bool, Exhausted> {
    match (view, value) {
        (View::Node(node), value) => equals(node, value, fuel),
        (View::Items(items), Ipld::List(list)) => lists_equal(items.iter(), list, fuel),
        (View::Values(values), Ipld::List(list)) => lists_equal(values.iter().copied(), list, fuel),
        (View::Bytes(bytes), Ipld::Bytes(other)) => {
            fuel.burn(bytes.len())?;
            Ok(*bytes == other.as_slice())
        }
        (View::Byte(_), value) => Ok(numbers_equal(view.number(), Number::of(value))),
        (View::Null, Ipld::Null) => Ok(true),
        _ => Ok(false),
    }
}

fn lists_equal<'a>(
    items: impl ExactSizeIterator<Item = &'a Ipld>,
    list: &[Ipld],
    fuel: &mut Fuel,
) -> Result<bool, Exhausted> {
    Ok(items.len() == list.len() && every(items.zip(list), |(a, b)| equals(a, b, fuel))?)
}

fn numbers_equal(a: Option<Number>, b: Option<Number>) -> bool {
    matches!((a, b), (Some(a), Some(b)) if a.compare(b).is_some_and(std::cmp::Ordering::is_eq))
}

/// Deep equality; numbers are equal by value whatever their kind (`1 == 1.0`).
fn equals(a: &Ipld, b: &Ipld, fuel: &mut Fuel) -> Result<bool, Exhausted> {
    match (a, b) {
        (Ipld::List(a), Ipld::List(b)) => lists_equal(a.iter(), b, fuel),
        (Ipld::Map(a), Ipld::Map(b)) => Ok(a.len() == b.len()
            && every(a.iter().zip(b), |((ka, va), (kb, vb))| {
                fuel.burn(ka.len())?;
                Ok(ka == kb && equals(va, vb, fuel)?)
            })?),
        (Ipld::String(a), Ipld::String(b)) => {
            fuel.burn(a.len())?;
            Ok(a == b)
        }
        (Ipld::Bytes(a), Ipld::Bytes(b)) => {
            fuel.burn(a.len())?;
            Ok(a == b)
        }
        _ => {
            fuel.burn(0)?;
            Ok(a == b || numbers_equal(Number::of(a), Number::of(b)))
        }
    }
}
