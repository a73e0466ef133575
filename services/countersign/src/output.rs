use serde::Serialize;
use std::{fmt::Write as _, io::Write as _};

/// Text as a terminal is given it: characters that would steer the terminal, or turn around what is read on it, are
/// written by number, as JSON writes them. Others said much of what is shown.
pub fn legible(text: &str) -> String {
    written(text, |c| c != '\n' && steers(c))
}

/// As [`legible`], and a line for certain.
pub fn one_line(text: &str) -> String {
    written(text, steers)
}

fn written(text: &str, by_number: impl Fn(char) -> bool) -> String {
    let mut written = String::with_capacity(text.len());
    for c in text.chars() {
        if by_number(c) {
            // Writing to memory cannot fail.
            let _ = write!(written, "\\u{:04x}", u32::from(c));
        } else {
            written.push(c);
        }
    }
    written
}

/// Control characters, separators of lines, and marks of writing from right to left.
fn steers(c: char) -> bool {
    let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns
}

/// Where results go: text for people, or one JSON object per line for programs.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    json: bool,
}

impl Output {
    /// Results as JSON, or as text.
    pub const fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether a program reads along.
    pub const fn is_json(self) -> bool {
        self.json
    }

    /// Writes a result: as one line of JSON, or as `text`.
    pub fn show<T: Serialize>(self, value: &T, text: &str) -> anyhow::Result<()> {
        let line = if self.json { serde_json::to_string(value)? } else { text.to_owned() };
        let mut out = std::io::stdout().lock();
        writeln!(out, "{}", legible(&line))?;
        Ok(out.flush()?)
    }

    /// Tells people what is going on; programs are not told.
    pub fn note(self, text: &str) {
        if !self.json {
            Self::tell(text);
        }
    }

    /// Tells whoever reads standard error.
    pub fn tell(text: &str) {
        // Nobody to tell is no reason to stop.
        let _ = writeln!(std::io::stderr().lock(), "{}", legible(text));
    }

    /// Writes an error to standard error.
    pub fn error<T: Serialize>(self, value: &T, text: &str) {
        let line = if self.json { serde_json::to_string(value).unwrap_or_default() } else { text.to_owned() };
        let _ = writeln!(std::io::stderr().lock(), "{}", legible(&line));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_steer_a_terminal_is_written_by_number() {
        let said = "a\u{1b}[2J\u{7f}\u{9b}1m\t\u{202e}z\u{2028}ä\nb";
        let whole = r"a\u001b[2J\u007f\u009b1m\u0009\u202ez\u2028ä";
        assert_eq!(legible(said), format!("{whole}\nb"));
        assert_eq!(one_line(said), format!("{whole}\\u000ab"));
        // In JSON it is what it was.
        let json = serde_json::to_string(said).unwrap();
        assert_eq!(serde_json::from_str::<String>(&legible(&json)).unwrap(), said);
    }
}
