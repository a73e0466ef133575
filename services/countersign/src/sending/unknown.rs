use super::Kept;
use client::ClientError;
use domain::{Cid, NodeUrl};
use serde::Serialize;
use std::{
    fmt,
    path::{Path, PathBuf},
};

/// Nobody has said whether the log has taken a statement.
#[derive(Debug, thiserror::Error, Serialize)]
#[error("{}", self.text())]
pub struct Unknown {
    /// What it is, for people.
    #[serde(skip)]
    what: &'static str,
    /// Which one.
    statement: Cid,
    /// Where its bytes are.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
    /// Why they are in no file.
    #[serde(skip)]
    not_kept: Option<String>,
    /// The command that sends them again.
    #[serde(skip_serializing_if = "Option::is_none")]
    again: Option<String>,
    /// The last failure.
    #[source]
    #[serde(skip)]
    source: Option<ClientError>,
}

impl Unknown {
    /// A statement with bytes that are `kept`, sent to `url`.
    pub fn new(
        what: &'static str,
        statement: Cid,
        kept: Kept,
        url: Option<NodeUrl>,
        source: Option<ClientError>,
    ) -> Self {
        let (file, not_kept) = match kept.into_file() {
            Some(Ok(file)) => (Some(file), None),
            Some(Err(error)) => (None, Some(error.to_string())),
            None => (None, None),
        };
        let to = url.map(|url| format!(" --control-plane {url}")).unwrap_or_default();
        let again = file.as_deref().map(|file| format!("countersign resend {}{to}", Quoted(file)));
        Self { what, statement, file, not_kept, again, source }
    }

    fn text(&self) -> String {
        let Self { what, statement, .. } = self;
        let known = format!(
            "it is not known whether {what} {statement} has been taken: perhaps it has, and the same command anew makes a \
             second {what}"
        );
        match (&self.again, &self.not_kept) {
            (Some(again), _) => {
                format!("{known}\nTo find out, send the same bytes again, which count once:\n  {again}")
            }
            (None, Some(error)) => format!("{known}\nits bytes could not be kept: {error}"),
            (None, None) => known,
        }
    }
}

/// A path as a shell takes it.
struct Quoted<'a>(&'a Path);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string_lossy();
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:@,".contains(c);
        if text.starts_with('-') {
            write!(f, "./")?;
        }
        if !text.is_empty() && text.chars().all(is_plain) {
            return f.write_str(&text);
        }
        write!(f, "'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_takes_every_path_as_one_word() {
        for (path, quoted) in [
            ("bafy.ucan", "bafy.ucan"),
            ("/tmp/a_b/c-d.ucan", "/tmp/a_b/c-d.ucan"),
            ("my file", "'my file'"),
            ("it's", r"'it'\''s'"),
            ("$(x)", "'$(x)'"),
            ("-x", "./-x"),
            ("", "''"),
        ] {
            assert_eq!(Quoted(Path::new(path)).to_string(), quoted);
        }
    }
}
