use crate::Error;
use std::str::FromStr;

/// Longest selector in bytes.
pub const MAX_SELECTOR_BYTES: usize = 256;
/// Most segments in one selector; deeper than any token nests.
pub const MAX_SEGMENTS: usize = 64;

/// A parsed selector: where in the arguments a statement looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Selector(Vec<Segment>);

/// One step of a selector; `optional` turns a step that cannot be taken into null.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) step: Step,
    pub(super) optional: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Key(String),
    Index(i64),
    Slice(Option<i64>, Option<i64>),
    Values,
}

impl Selector {
    pub(super) fn segments(&self) -> &[Segment] {
        &self.0
    }
}

const fn bad() -> Error {
    Error::Malformed("selector")
}

/// Grammar: `.` alone, or `.name`, `.[…]` and `[…]` one after another from a leading dot, each with any number of `?`.
/// Quoted keys hold no `"` and no `\`: implementations disagree on escapes, and a key read differently by two
/// verifiers is worse than a refused token.
impl FromStr for Selector {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text.len() > MAX_SELECTOR_BYTES {
            return Err(Error::TooLarge("selector"));
        }
        if text.trim_end_matches('?') == "." {
            return Ok(Self(Vec::new()));
        }
        let mut segments = Vec::new();
        let mut rest = text;
        if !rest.starts_with('.') {
            return Err(bad());
        }
        while !rest.is_empty() {
            let (step, tail) = step(rest)?;
            rest = tail.trim_start_matches('?');
            segments.push(Segment { step, optional: rest.len() < tail.len() });
            if segments.len() > MAX_SEGMENTS {
                return Err(Error::TooLarge("selector"));
            }
        }
        Ok(Self(segments))
    }
}

fn step(text: &str) -> Result<(Step, &str), Error> {
    let after_dot = text.strip_prefix('.');
    if let Some(body) = after_dot.unwrap_or(text).strip_prefix('[') {
        return bracket(body);
    }
    let body = after_dot.ok_or_else(bad)?;
    let end = body.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-' || !c.is_ascii()));
    let (name, tail) = body.split_at(end.unwrap_or(body.len()));
    if name.is_empty() { Err(bad()) } else { Ok((Step::Key(name.to_owned()), tail)) }
}

fn bracket(body: &str) -> Result<(Step, &str), Error> {
    if let Some(quoted) = body.strip_prefix('"') {
        let (key, tail) = quoted.split_once("\"]").ok_or_else(bad)?;
        if key.contains(['"', '\\']) {
            return Err(bad());
        }
        return Ok((Step::Key(key.to_owned()), tail));
    }
    let (inner, tail) = body.split_once(']').ok_or_else(bad)?;
    let step = match inner.split_once(':') {
        None if inner.is_empty() => Step::Values,
        None => Step::Index(index(inner)?),
        Some(("", "")) => return Err(bad()),
        Some((from, to)) => Step::Slice(bound(from)?, bound(to)?),
    };
    Ok((step, tail))
}

fn bound(text: &str) -> Result<Option<i64>, Error> {
    if text.is_empty() { Ok(None) } else { index(text).map(Some) }
}

/// A decimal integer with exactly one spelling: no plus sign, no leading zero, no negative zero.
fn index(text: &str) -> Result<i64, Error> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let minimal = text == "0" || !digits.starts_with('0');
    if plain && minimal { text.parse().map_err(|_| bad()) } else { Err(bad()) }
}
