//! Sends a statement until it is answered. A lost answer must not become a second statement: the log takes the same bytes
//! once, however often they come, and a command that is run anew signs other bytes.

mod bytes;
mod unknown;

pub use bytes::{Kept, read};
pub use unknown::Unknown;

use crate::{connection::Connection, output::Output, process};
use anyhow::Context as _;
use client::{ClientError, Statement};
use domain::{Cid, Did};
use messages::{ProblemType, SubmitReply};
use serde::Serialize;
use std::time::Duration;
use tokio::time::Instant;

/// The wait before the bytes are sent again; doubles with every further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest wait: what the control plane asks for while its database is away.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How proposals of payouts are called; a second one is a second payment.
const PAYOUT: &str = "/proposal/payout";

/// What a failed attempt says of the statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// No.
    Refused,
    /// This time it was not taken.
    NotTaken,
    /// Perhaps it was taken.
    Unknown,
    /// Perhaps it was taken, and whoever answers does not say it in a way that is understood.
    Garbled,
}

fn fate(error: &anyhow::Error) -> Fate {
    match error.chain().find_map(|cause| cause.downcast_ref()) {
        Some(ClientError::Transport { source, .. }) if source.is_connect() => Fate::NotTaken,
        Some(error) => match error.problem() {
            Some(ProblemType::RateLimited | ProblemType::Overloaded | ProblemType::TokenNotYetValid) => Fate::NotTaken,
            _ if error.is_retryable() => Fate::Unknown,
            _ if matches!(error, ClientError::Malformed(_) | ClientError::TooLarge { .. }) => Fate::Garbled,
            _ => Fate::Refused,
        },
        None => Fate::Refused,
    }
}

#[derive(Serialize)]
struct Unanswered<'a> {
    #[serde(rename = "unanswered")]
    statement: Cid,
    error: &'a str,
    again_in_seconds: u64,
}

/// Says something in a realm, and sends it until it is answered.
pub async fn submit<A: Serialize + Sync>(
    connection: &Connection,
    out: Output,
    command: &str,
    subject: Did,
    args: &A,
) -> anyhow::Result<SubmitReply> {
    let said = connection.speaker()?.say(command, subject, args)?;
    send(connection, out, command, &said, Kept::nowhere(said.id)).await
}

/// Sends the same bytes until they are answered, for as long as the connection has patience and they are valid. If
/// they are not kept yet, they are from the first lost answer on, until there is one.
pub async fn send(
    connection: &Connection,
    out: Output,
    command: &str,
    said: &Statement,
    mut kept: Kept,
) -> anyhow::Result<SubmitReply> {
    let valid = Duration::from_secs(said.expires_at.since(connection.ambient().now()));
    let patience = connection.patience().min(valid);
    let stop = process::shutdown(false)?;
    let mut may_be_taken = kept.is_old();
    let (began, mut pause) = (Instant::now(), FIRST_PAUSE);
    let unknown = |kept: Kept, source: Option<ClientError>| {
        let what = if command == PAYOUT { "proposal" } else { "statement" };
        anyhow::Error::from(Unknown::new(what, said.id, kept, connection.url().ok(), source))
    };
    loop {
        let answer = tokio::select! {
            answer = connection.send(command, said) => answer,
            () = process::told(stop.clone()) => {
                kept.write(&said.container);
                return Err(unknown(kept, None));
            }
        };
        let error = match answer {
            Ok(reply) => {
                kept.remove();
                return Ok(reply);
            }
            Err(error) => error,
        };
        let fate = fate(&error);
        match fate {
            Fate::Refused => {
                kept.remove();
                return Err(error);
            }
            Fate::NotTaken => {}
            Fate::Unknown | Fate::Garbled => may_be_taken = true,
        }
        if may_be_taken {
            kept.write(&said.container);
        }
        let asked = error.downcast_ref().and_then(ClientError::retry_after).map(Duration::from_secs);
        let next = asked.unwrap_or(pause).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        if fate == Fate::Garbled || began.elapsed().saturating_add(next) > patience {
            if may_be_taken {
                return Err(unknown(kept, error.downcast().ok()));
            }
            return Err(error).context(format!("{} has not been taken", said.id));
        }
        tell(out, said.id, &error, next);
        tokio::select! {
            () = tokio::time::sleep(next) => {}
            () = process::told(stop.clone()) => {
                kept.write(&said.container);
                return Err(unknown(kept, error.downcast().ok()));
            }
        }
        pause = pause.saturating_mul(2);
    }
}

fn tell(out: Output, id: Cid, error: &anyhow::Error, next: Duration) {
    let (error, seconds) = (format!("{error:#}"), next.as_secs());
    let text =
        format!("{id} is not answered: {error}\nthe same bytes, which count once, are sent again in {seconds} s");
    out.aside(&Unanswered { statement: id, error: &error, again_in_seconds: seconds }, &text);
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_control_plane_answers_first() {
        let limits = control_plane::Limits::default();
        assert!(limits.commit < limits.request && limits.request < client::SUBMIT_TIMEOUT);
    }
}
