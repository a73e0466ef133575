use serde::Serialize;
use std::{fmt::Write as _, io::Write as _};

/// Text as a terminal is given it: characters that would steer the terminal, turn around what is read on it, or are not
/// seen on it, are written by number, as JSON writes them. Others said much of what is shown.
pub fn legible(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    for c in text.chars() {
        put(&mut written, c, c == '\n' || is_seen(c));
    }
    written
}

/// As [`legible`], and a line for certain, in which blanks stand one by one between what is seen: others could push what
/// follows to where it looks like the next line.
pub fn one_line(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    let (mut before, mut rest) = (' ', text.chars());
    while let Some(c) = rest.next() {
        let after = rest.clone().next().unwrap_or(' ');
        let is_lone = before != ' ' && after != ' ';
        put(&mut written, c, if c == ' ' { is_lone } else { is_seen(c) });
        before = c;
    }
    written
}

fn put(written: &mut String, c: char, as_it_is: bool) {
    if as_it_is {
        return written.push(c);
    }
    for unit in c.encode_utf16(&mut [0; 2]) {
        // Writing to memory cannot fail.
        let _ = write!(written, "\\u{unit:04x}");
    }
}

/// Whether a character is seen where it stands. Not so are controls, blanks other than a space, and Unicode's
/// `Default_Ignorable_Code_Point`: marks of writing from right to left, joiners, fillers, selectors, tags; nor the marks of
/// annotations and the empty Braille cell.
fn is_seen(c: char) -> bool {
    let is_ignorable = matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fff8}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    );
    let is_blank = c != ' ' && (c.is_whitespace() || c == '\u{2800}');
    !(c.is_control() || is_blank || is_ignorable || matches!(c, '\u{fff9}'..='\u{fffb}'))
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

    /// Writes to standard error what is no result.
    pub fn aside<T: Serialize>(self, value: &T, text: &str) {
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
    }

    #[test]
    fn what_is_not_seen_is_written_by_number() {
        let unseen = [
            "\u{a0}\u{1680}\u{2000}\u{2003}\u{200a}\u{202f}\u{205f}\u{3000}\u{2800}",
            "\u{85}\u{2028}\u{2029}\r\u{b}\u{c}",
            "\u{200b}\u{200c}\u{200d}\u{2060}\u{feff}\u{ad}\u{34f}\u{180e}\u{fe0f}",
            "\u{61c}\u{200e}\u{200f}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}",
            "\u{115f}\u{1160}\u{3164}\u{ffa0}\u{17b4}\u{2061}\u{206a}\u{fff9}\u{fffb}",
            "\u{1bca0}\u{1d173}\u{e0001}\u{e0041}\u{e007f}\u{e0100}\u{e01ef}",
        ];
        for c in unseen.concat().chars() {
            let said = format!("a{c}b");
            let units: Vec<_> = c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect();
            for shown in [legible(&said), one_line(&said)] {
                assert_eq!(shown, format!("a{}b", units.concat()));
            }
            // In JSON it is what it was.
            let json = serde_json::to_string(&said).unwrap();
            assert_eq!(serde_json::from_str::<String>(&legible(&json)).unwrap(), said);
        }
        for seen in ["Grüße – «5 €»", "кафе", "東京", "हिन्दी", "e\u{301}", "שלום", "🎧🏽", r"C:\u200b"]
        {
            assert_eq!((legible(seen), one_line(seen)), (seen.to_owned(), seen.to_owned()));
        }
    }

    #[test]
    fn blanks_stand_alone_in_a_line() {
        for (said, shown) in [
            ("", ""),
            ("a b c", "a b c"),
            (" a", r"\u0020a"),
            ("a ", r"a\u0020"),
            ("a  b", r"a\u0020\u0020b"),
            (" ", r"\u0020"),
            ("a \u{a0} b", r"a \u00a0 b"),
        ] {
            assert_eq!(one_line(said), shown);
            assert_eq!(one_line(shown), shown, "once is enough");
            assert_eq!(legible(said), said.replace('\u{a0}', r"\u00a0"));
        }
    }
}
