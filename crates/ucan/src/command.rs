use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Longest command accepted, in bytes: the catalogue's longest is below 30, and every hop compares it.
pub const MAX_COMMAND_BYTES: usize = 256;

/// A UCAN command: `/` or lowercase segments each led by one slash, such as `/proposal/payout`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Command(String);

/// A text is not a UCAN command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a lowercase command such as /proposal/payout, at most {MAX_COMMAND_BYTES} bytes")]
pub struct ParseCommandError;

impl Command {
    /// The command that covers every other one, `/`.
    pub fn top() -> Self {
        Self("/".to_owned())
    }

    /// The text form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a delegation of this command entitles to `other`: the same command, or one below it *by segment*
    /// (`/crypto` does not cover `/cryptocurrency`).
    pub fn covers(&self, other: &Self) -> bool {
        self.0 == "/" || other.0.strip_prefix(&self.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl FromStr for Command {
    type Err = ParseCommandError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let tail = s.strip_prefix('/').filter(|_| s.len() <= MAX_COMMAND_BYTES).ok_or(ParseCommandError)?;
        let lower = s.chars().all(|c| !c.is_uppercase() && !c.is_control() && !c.is_whitespace());
        let segments = tail.is_empty() || tail.split('/').all(|segment| !segment.is_empty());
        if lower && segments { Ok(Self(s.to_owned())) } else { Err(ParseCommandError) }
    }
}

impl TryFrom<String> for Command {
    type Error = ParseCommandError;

    fn try_from(s: String) -> Result<Self, Self::Error> {
        s.parse()
    }
}

impl From<Command> for String {
    fn from(c: Command) -> Self {
        c.0
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
