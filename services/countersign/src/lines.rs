//! What a person reads before something is signed. Others chose some of it, and nothing of theirs passes for a line of ours.

use crate::output::one_line;
use std::fmt::{Display, Write as _};

/// Fewer columns than a terminal has, so that no terminal breaks a line where it likes. A digest still fits.
const COLUMNS: usize = 76;
/// What begins a line that goes on with the one above: no part's name begins so.
const CONTINUED: &str = "          | ";
/// Enough for what a control plane has to say beside what is signed.
const EXCERPT: usize = 100;

/// What is about to be signed, part by part.
pub struct Lines(String);

impl Lines {
    /// Begins with a line that says what it is.
    pub fn new(what: &'static str) -> Self {
        Self(what.to_owned())
    }

    /// Adds a part, over several lines when it is long.
    pub fn add(&mut self, name: &'static str, value: impl Display) {
        let value = one_line(&value.to_string());
        let (mut begin, mut rest) = (format!("  {name:<9} "), value.as_str());
        loop {
            let (row, more) = rest.split_at(row(rest));
            // Writing to memory cannot fail.
            let _ = write!(self.0, "\n{begin}{row}");
            if more.is_empty() {
                break;
            }
            (begin, rest) = (CONTINUED.to_owned(), more);
        }
    }

    /// All of them.
    pub fn text(&self) -> &str {
        &self.0
    }
}

/// Where the first row of a text ends: behind the last blank that fits, or else where the row is full.
fn row(text: &str) -> usize {
    let room = COLUMNS.saturating_sub(CONTINUED.len());
    let mut used = 0_usize;
    let mut blank = None;
    for (at, c) in text.char_indices() {
        let end = at.saturating_add(c.len_utf8());
        if c == ' ' {
            // One at the end of a row may hang over: nothing is seen of it.
            blank = Some(end);
        }
        used = used.saturating_add(columns(c));
        if used > room {
            return blank.unwrap_or(at);
        }
    }
    text.len()
}

/// The most columns that a terminal gives a character. Which of the others are wide, and which stand on the one before,
/// terminals do not agree on.
const fn columns(c: char) -> usize {
    if c.is_ascii() { 1 } else { 2 }
}

/// What somebody else wrote, as JSON writes it, but with a number for a run of blanks: `\u0020{7}`.
pub fn quoted(text: &str) -> String {
    let json = serde_json::Value::from(text).to_string();
    let (mut written, mut rest) = (String::with_capacity(json.len()), json.as_str());
    while let Some(at) = rest.find("  ") {
        let (before, blanks) = rest.split_at(at);
        rest = blanks.trim_start_matches(' ');
        // Writing to memory cannot fail.
        let _ = write!(written, "{before}\\u0020{{{}}}", blanks.len().saturating_sub(rest.len()));
    }
    written.push_str(rest);
    one_line(&written)
}

/// The beginning of what somebody else wrote, and how much more there is.
pub fn excerpt(text: &str) -> String {
    let begin: String = text.chars().take(EXCERPT).collect();
    match text.chars().skip(EXCERPT).count() {
        0 => quoted(&begin),
        more => format!("{}, and {more} characters more", quoted(&begin)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(value: &str) -> Vec<String> {
        let mut lines = Lines::new("a test");
        lines.add("part", value);
        lines.text().lines().skip(1).map(str::to_owned).collect()
    }

    #[test]
    fn a_line_ends_before_the_terminal_does_and_goes_on_marked() {
        let digest = "0".repeat(64);
        assert_eq!(shown(&digest), [format!("  part      {digest}")]);
        assert_eq!(shown(&format!("{digest}1")), [format!("  part      {digest}"), "          | 1".to_owned()]);
        assert_eq!(shown(&format!("{digest} 1")), [format!("  part      {digest} "), "          | 1".to_owned()]);
        assert_eq!(shown(&format!("a b {digest}")), ["  part      a b ".to_owned(), format!("          | {digest}")]);
        assert_eq!(shown(""), ["  part      "]);
        // Half as many of what may be twice as wide, cut between characters.
        for c in ["椅", "e\u{301}", "🎧"] {
            let rows = shown(&c.repeat(100));
            assert!(rows.len() >= 3 && rows.iter().all(|row| row.chars().count() <= 12 + 43), "{rows:?}");
            let joined: String = rows.iter().filter_map(|row| row.get(12..)).collect();
            assert_eq!(joined, c.repeat(100));
        }
        for row in shown(&"so many words ".repeat(90)).iter().skip(1) {
            assert!(row.starts_with("          | ") && row.trim_end().len() <= 76, "{row:?}");
        }
    }

    #[test]
    fn what_others_wrote_ends_where_it_is_seen_to_end() {
        for (said, written) in [
            ("Stühle, 椅子", r#""Stühle, 椅子""#),
            ("", r#""""#),
            ("a \"b\" \\", r#""a \"b\" \\""#),
            ("chairs          total     1", r#""chairs\u0020{10}total\u0020{5}1""#),
            (r"chairs\u0020{10}total", r#""chairs\\u0020{10}total""#),
            (" a ", r#"" a ""#),
            ("a\n  total\u{a0}\u{1b}[2J", r#""a\n\u0020{2}total\u00a0\u001b[2J""#),
        ] {
            assert_eq!(quoted(said), written);
            assert_eq!(one_line(written), written, "once is enough");
        }
        assert_eq!(excerpt(&"é".repeat(100)), format!("\"{}\"", "é".repeat(100)));
        assert_eq!(excerpt(&"é".repeat(103)), format!("\"{}\", and 3 characters more", "é".repeat(100)));
    }
}
