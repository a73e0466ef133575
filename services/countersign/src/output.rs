use serde::Serialize;
use std::io::Write as _;

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
        writeln!(out, "{line}")?;
        Ok(out.flush()?)
    }

    /// Tells people what is going on; programs are not told.
    pub fn note(self, text: &str) {
        if !self.json {
            // Nobody to tell is no reason to stop.
            let _ = writeln!(std::io::stderr().lock(), "{text}");
        }
    }

    /// Writes an error to standard error.
    pub fn error<T: Serialize>(self, value: &T, text: &str) {
        let line = if self.json { serde_json::to_string(value).unwrap_or_default() } else { text.to_owned() };
        let _ = writeln!(std::io::stderr().lock(), "{line}");
    }
}
