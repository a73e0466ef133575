//! What a command's exit code says: 0 done, 1 refused, denied or invalid, 2 used wrongly, 3 not available now.

use crate::{output::Output, sending::Unknown, settings::Mistakes};
use clap::error::ErrorKind;
use client::{ClientError, DelegationsError, SpeakError};
use control_plane::Error;
use keyfile::{OpenError, PassphraseError};
use serde::Serialize;
use std::{fmt::Write as _, process::ExitCode};

/// Said no.
pub const REFUSED: u8 = 1;
/// Asked wrongly: flags, configuration, key files.
pub const USAGE: u8 = 2;
/// Not reachable or not ready; the same may work later.
pub const UNAVAILABLE: u8 = 3;

/// The caller has to change something about the call.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// Something that has to run does not.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unavailable(pub String);

#[derive(Serialize)]
struct Report<'a> {
    error: String,
    causes: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<&'a messages::Problem>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unknown: Option<&'a Unknown>,
}

fn is_database_away(cause: &(dyn std::error::Error + 'static)) -> bool {
    matches!(cause.downcast_ref(), Some(storage::Error::Unavailable(_) | storage::Error::Unknown(_)))
}

/// Whether this side has not been given what it takes, whoever noticed.
fn lacks_delegation(cause: &(dyn std::error::Error + 'static)) -> bool {
    let said = match cause.downcast_ref() {
        Some(ClientError::Speak(error)) => Some(error),
        _ => cause.downcast_ref(),
    };
    matches!(said, Some(SpeakError::NoDelegation(_)))
}

fn is_led_by_another(cause: &(dyn std::error::Error + 'static)) -> bool {
    matches!(cause.downcast_ref(), Some(Error::Led { .. } | Error::AnchorInUse(_)))
}

/// The exit code of a command that failed so.
pub fn code(error: &anyhow::Error) -> u8 {
    for cause in error.chain() {
        if cause.is::<Usage>()
            || cause.is::<Mistakes>()
            || cause.is::<PassphraseError>()
            || cause.is::<OpenError>()
            || cause.is::<keyfile::CreateError>()
            || cause.is::<DelegationsError>()
        {
            return USAGE;
        }
        if cause.is::<Unavailable>() || cause.is::<Unknown>() || is_database_away(cause) || is_led_by_another(cause) {
            return UNAVAILABLE;
        }
        if lacks_delegation(cause) {
            return USAGE;
        }
        if let Some(error) = cause.downcast_ref::<ClientError>() {
            return if error.is_retryable() { UNAVAILABLE } else { REFUSED };
        }
    }
    REFUSED
}

/// Tells of a command line that cannot be understood, or shows the help that it asks for.
pub fn misused(out: Output, error: &clap::Error) -> ExitCode {
    if !out.is_json() || !error.use_stderr() {
        // Nobody to tell is no reason to fail in another way.
        let _ = error.print();
        return ExitCode::from(if error.use_stderr() { USAGE } else { 0 });
    }
    let text = error.render().to_string();
    // What follows is the usage, which is for people.
    let what = text.split("\n\nUsage:").next().unwrap_or_default();
    let what = match error.kind() {
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => "a command is missing; --help shows all of them",
        _ => what.strip_prefix("error: ").unwrap_or(what).trim(),
    };
    out.aside(&Report { error: what.to_owned(), causes: Vec::new(), problem: None, unknown: None }, &text);
    ExitCode::from(USAGE)
}

/// Tells the user and gives the exit code.
pub fn report(out: Output, error: &anyhow::Error) -> ExitCode {
    let mut text = format!("error: {error}");
    for cause in error.chain().skip(1) {
        let _ = write!(text, "\n  because: {cause}");
    }
    let problem = error.chain().find_map(|c| match c.downcast_ref::<ClientError>() {
        Some(ClientError::Problem(problem)) => Some(problem.as_ref()),
        _ => None,
    });
    if let Some(problem) = problem {
        let _ = write!(text, "\n  type: {}", problem.kind);
        if let Some(field) = &problem.field {
            let _ = write!(text, "\n  field: {field}");
        }
    }
    let causes = error.chain().skip(1).map(ToString::to_string).collect();
    let unknown = error.chain().find_map(|cause| cause.downcast_ref());
    out.aside(&Report { error: error.to_string(), causes, problem, unknown }, &text);
    ExitCode::from(code(error))
}
