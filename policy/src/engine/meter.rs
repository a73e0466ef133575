//! What the builtins of one decision may go through. The machine counts a call as one instruction whatever it is given;
//! here it is counted by size, so that every machine stops at the same place. What a builtin cannot take is refused before
//! the engine writes it out in an error that nobody reads.

use regorus::{Value, rvm::program::Program, unstable::BUILTINS as ENGINE_BUILTINS};
use std::cell::Cell;

/// So many values, long texts counted by their length: some milliseconds, and a hundred times what the default policy
/// goes through for the widest payout.
pub(crate) const MAX_BUILTIN_WORK: usize = 200_000;
/// Bytes of a text that count as one value.
const TEXT: usize = 32;

thread_local! {
    static LEFT: Cell<usize> = const { Cell::new(MAX_BUILTIN_WORK) };
    /// The builtin for which nothing was left.
    static ENDED: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// Begins a decision on this thread.
pub(super) fn begin() {
    LEFT.set(MAX_BUILTIN_WORK);
    ENDED.set(None);
}

/// The builtin that went too far in the decision on this thread. Its failure ends a rule only, so this must be asked.
pub(super) fn ended() -> Option<&'static str> {
    ENDED.get()
}

/// What a builtin can be given in one place.
#[derive(Clone, Copy)]
enum Kind {
    Any,
    Number,
    Text,
    List,
    /// A list or a set.
    Items,
    /// A list or a set of numbers.
    Numbers,
    Object,
    /// Anything but a number, a truth value or null.
    Countable,
}

impl Kind {
    fn takes(self, value: &Value) -> bool {
        let is_number = |value: &Value| matches!(value, Value::Number(_));
        match self {
            Self::Any => true,
            Self::Number => is_number(value),
            Self::Text => matches!(value, Value::String(_)),
            Self::List => matches!(value, Value::Array(_)),
            Self::Items => matches!(value, Value::Array(_) | Value::Set(_)),
            Self::Numbers => match value {
                Value::Array(items) => items.iter().all(is_number),
                Value::Set(items) => items.iter().all(is_number),
                _ => false,
            },
            Self::Object => matches!(value, Value::Object(_)),
            Self::Countable => {
                matches!(value, Value::Array(_) | Value::Set(_) | Value::Object(_) | Value::String(_))
            }
        }
    }
}

/// What a builtin goes through.
#[derive(Clone, Copy)]
enum Cost {
    /// The texts that it is given.
    Texts,
    /// What it looks for, which is given second.
    Key,
    /// One text for each part of the other.
    Search,
    /// All that it is given.
    All,
    /// All that it is given, as often as sorting looks at it.
    Sort,
}

impl Cost {
    fn of(self, args: &[Value], most: usize) -> usize {
        let all = || args.iter().fold(0, |sum: usize, arg| sum.saturating_add(size(arg, most)));
        match self {
            Self::Texts => args.iter().map(long).fold(1, usize::saturating_add),
            Self::Key => args.get(1).map_or(0, |key| size(key, most)),
            Self::Search => args.iter().map(bytes).fold(1, usize::saturating_mul).div_ceil(TEXT).max(1),
            Self::All => all(),
            Self::Sort => {
                let items = args.first().map_or(0, items);
                let looks = items.checked_ilog2().map_or(1, |log| log.saturating_add(1));
                all().saturating_mul(usize::try_from(looks).unwrap_or(usize::MAX))
            }
        }
    }
}

/// Pays for a call and refuses what it cannot take.
fn admit(builtin: &'static str, kinds: &[Kind], cost: Cost, args: &[Value]) -> Result<(), &'static str> {
    let left = LEFT.get();
    let left = left.saturating_sub(cost.of(args, left));
    LEFT.set(left);
    if left == 0 {
        ENDED.set(Some(builtin));
        return Err("the builtins of this decision go through too much");
    }
    let fits = kinds.len() == args.len() && kinds.iter().zip(args).all(|(kind, arg)| kind.takes(arg));
    if fits { Ok(()) } else { Err("a builtin is given what it cannot take") }
}

/// Every builtin that a bundle may use: its name, what it takes and what it goes through.
macro_rules! builtins {
    ($($name:literal $($kind:ident)+, $cost:ident;)+) => {
        /// Builtins that are total, deterministic and whose result is not larger than what they are given. `sprintf` is
        /// the exception to the last, and allowed only where nothing can be built on its result, as a violation's
        /// message, and with a format that is written out and pads nothing.
        pub(crate) const BUILTINS: &[&str] = &[$($name),+];

        /// Makes the calls of a program pay.
        pub(super) fn install(program: &mut Program) {
            for (builtin, (call, _)) in program.builtin_info_table.iter().zip(&mut program.resolved_builtins) {
                match builtin.name.as_str() {
                    $($name => *call = |span, params, args, strict| {
                        admit($name, &[$(Kind::$kind),+], Cost::$cost, args).map_err(|reason| span.error(reason))?;
                        let Some((engine, _)) = ENGINE_BUILTINS.get($name) else { return Ok(Value::Undefined) };
                        if $name == "sprintf" { engine(span, params, &shown(args), strict) }
                        else { engine(span, params, args, strict) }
                    },)+
                    _ => {}
                }
            }
        }
    };
}

builtins! {
    "abs" Number, Texts;
    "array.reverse" List, All;
    "array.slice" List Number Number, All;
    "contains" Text Text, Texts;
    "count" Countable, Texts;
    "endswith" Text Text, Texts;
    "indexof" Text Text, Search;
    "is_array" Any, Texts;
    "is_boolean" Any, Texts;
    "is_null" Any, Texts;
    "is_number" Any, Texts;
    "is_object" Any, Texts;
    "is_set" Any, Texts;
    "is_string" Any, Texts;
    "lower" Text, Texts;
    "max" Items, All;
    "min" Items, All;
    "object.get" Object Any Any, Key;
    "object.keys" Object, All;
    "sort" Items, Sort;
    "sprintf" Text List, Texts;
    "startswith" Text Text, Texts;
    "substring" Text Number Number, Texts;
    "sum" Numbers, All;
    "trim" Text Text, Search;
    "trim_left" Text Text, Search;
    "trim_prefix" Text Text, Texts;
    "trim_right" Text Text, Search;
    "trim_space" Text, Texts;
    "trim_suffix" Text Text, Texts;
    "type_name" Any, Texts;
    "upper" Text, Texts;
}

/// A value in a message is at most this long: as long as a text of the data.
const MAX_SHOWN_BYTES: usize = 1_024;
/// Stands in a message for what it does not show.
const NOT_SHOWN: &str = "(…)";

/// The arguments of `sprintf` without collections, long texts and long numbers: one message could take all memory
/// otherwise, since it costs one instruction whatever it shows.
fn shown(args: &[Value]) -> Vec<Value> {
    let shown = |value: &Value| match value {
        Value::String(text) if text.len() > MAX_SHOWN_BYTES => Value::from(NOT_SHOWN),
        Value::Number(number) if number.as_i128().is_none() => Value::from(NOT_SHOWN),
        Value::Array(_) | Value::Set(_) | Value::Object(_) => Value::from(NOT_SHOWN),
        other => other.clone(),
    };
    let each = |arg: &Value| match arg.as_array() {
        Ok(values) => Value::from(values.iter().map(shown).collect::<Vec<_>>()),
        Err(_) => arg.clone(),
    };
    args.iter().map(each).collect()
}

fn bytes(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        _ => 0,
    }
}

/// What a text counts more than a number.
fn long(value: &Value) -> usize {
    bytes(value).div_euclid(TEXT)
}

fn items(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.len(),
        Value::Set(items) => items.len(),
        Value::Object(fields) => fields.len(),
        _ => 0,
    }
}

/// How many values there are in `value`, itself included. Counts no further than a little above `most`.
fn size(value: &Value, most: usize) -> usize {
    let add = |sum: usize, item: &Value| {
        if sum > most { sum } else { sum.saturating_add(size(item, most.saturating_sub(sum))) }
    };
    match value {
        Value::Array(items) => items.iter().fold(1, add),
        Value::Set(items) => items.iter().fold(1, add),
        Value::Object(fields) => fields.iter().fold(1, |sum, (key, item)| add(add(sum, key), item)),
        other => long(other).saturating_add(1),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::arithmetic_side_effects, reason = "tests")]

    use super::*;

    #[test]
    fn default_policy_takes_a_hundredth_of_it() {
        let engine = crate::Engine::load(&crate::Bundle::default_payout()).unwrap();
        let input = crate::probe::widest().unwrap();
        engine.decide(&input);
        let spent = MAX_BUILTIN_WORK - LEFT.get();
        assert!((1..=MAX_BUILTIN_WORK / 100).contains(&spent), "{spent}");
    }

    /// A list that would take long to write out.
    fn list() -> Value {
        Value::from(vec![Value::from("x".repeat(64)); 100])
    }

    #[test]
    fn what_a_builtin_cannot_take_is_refused_in_constant_words() {
        let (text, number) = (Value::from("x"), Value::from(7_u64));
        let cases: [(&'static str, &[Kind], &[Value], bool); 10] = [
            ("lower", &[Kind::Text], std::slice::from_ref(&text), true),
            ("lower", &[Kind::Text], &[list()], false),
            ("abs", &[Kind::Number], std::slice::from_ref(&number), true),
            ("abs", &[Kind::Number], &[list()], false),
            ("sum", &[Kind::Numbers], &[Value::from(vec![number.clone()])], true),
            ("sum", &[Kind::Numbers], &[Value::from(vec![number.clone(), list()])], false),
            ("sort", &[Kind::Items], std::slice::from_ref(&text), false),
            ("count", &[Kind::Countable], std::slice::from_ref(&number), false),
            ("object.keys", &[Kind::Object], &[list()], false),
            ("contains", &[Kind::Text, Kind::Text], std::slice::from_ref(&text), false),
        ];
        for (builtin, kinds, args, taken) in cases {
            begin();
            let admitted = admit(builtin, kinds, Cost::All, args);
            assert_eq!(admitted.is_ok(), taken, "{builtin}");
            assert!(admitted.is_ok() || admitted == Err("a builtin is given what it cannot take"), "{admitted:?}");
            assert_eq!(ended(), None);
        }
    }

    #[test]
    fn calls_are_paid_by_what_they_go_through() {
        let texts = [Value::from("x".repeat(320)), Value::from("y".repeat(64))];
        // Items of three values each: 64 bytes count as two more than the value itself.
        for (cost, args, expected) in [
            (Cost::Texts, texts.as_slice(), 1 + 10 + 2),
            (Cost::Texts, &[list()], 1),
            (Cost::Search, texts.as_slice(), 320 * 64 / 32),
            (Cost::All, &[list()], 1 + 100 * 3),
            (Cost::Sort, &[list()], (1 + 100 * 3) * 7),
            (Cost::Key, &[list(), list(), list()], 1 + 100 * 3),
        ] {
            assert_eq!(cost.of(args, MAX_BUILTIN_WORK), expected);
        }
        assert!(Cost::All.of(&[list()], 10) > 10, "counts far enough to end a decision");
    }

    #[test]
    fn decision_ends_when_nothing_is_left_and_the_next_one_begins_anew() {
        begin();
        let args = [Value::from(vec![list(); 50])];
        let paid = (0..10).take_while(|_| admit("sort", &[Kind::Items], Cost::Sort, &args).is_ok()).count();
        assert_eq!((paid, ended()), (2, Some("sort")));
        assert!(admit("lower", &[Kind::Text], Cost::Texts, &[Value::from("x")]).is_err());
        begin();
        assert!(admit("lower", &[Kind::Text], Cost::Texts, &[Value::from("x")]).is_ok());
        assert_eq!(ended(), None);
    }
}
