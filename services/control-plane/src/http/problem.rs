//! The only place that says in the API's words why something was refused.

use crate::{
    gate::ReadFailed,
    opener::OpenError,
    sequencer::{QueueError, Rejected},
};
use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use ledger::{ParseError, Refusal};
use messages::{PROBLEM_JSON, Problem, ProblemType as Type};
use std::time::Duration;
use ucan::{Denied, ErrorClass};

/// An answer that is a problem.
#[derive(Debug)]
pub(crate) struct Failure(pub Box<Problem>);

/// When to come back, in seconds: a commit takes milliseconds, so a second clears a burst.
const RETRY_SOON: u64 = 1;
/// When to come back while the database or the leader is away.
const RETRY_LATER: u64 = 5;

impl Failure {
    pub fn new(kind: Type, detail: impl Into<String>) -> Self {
        let problem = Problem::new(kind, detail);
        Self(Box::new(match kind {
            Type::RateLimited | Type::Overloaded | Type::Starting => problem.with_retry_after(RETRY_SOON),
            Type::Unavailable | Type::Fenced => problem.with_retry_after(RETRY_LATER),
            _ => problem,
        }))
    }

    /// What a tenant is told whose policy has taken too much of everybody's time.
    pub fn in_debt(wait: Duration) -> Self {
        // Rounded up: who comes back then need not come twice.
        let seconds = wait.as_secs().saturating_add(1);
        let detail = format!(
            "the tenant's policy takes long to decide and is asked again in {seconds} seconds; activate one that takes less"
        );
        Self(Box::new(Problem::new(Type::RateLimited, detail).with_retry_after(seconds)))
    }

    pub fn field(self, field: impl Into<String>) -> Self {
        Self(Box::new(self.0.with_field(field)))
    }

    fn cid(self, cid: domain::Cid) -> Self {
        Self(Box::new(self.0.with_cid(cid)))
    }

    fn hop(self, hop: usize) -> Self {
        Self(Box::new(self.0.with_hop(u64::try_from(hop).unwrap_or(u64::MAX))))
    }
}

/// The path of a field inside of something; of all of it, when the field is none.
pub(super) fn within(whole: &str, field: &str) -> String {
    if field.is_empty() { whole.to_owned() } else { format!("{whole}.{field}") }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self(Box::new(problem))
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self.0).unwrap_or_default();
        let mut response = (status, [(header::CONTENT_TYPE, PROBLEM_JSON)], body).into_response();
        if let Some(seconds) = self.0.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response.extensions_mut().insert(self.0.kind);
        response
    }
}

const fn type_of(class: ErrorClass) -> Type {
    match class {
        ErrorClass::InvalidSignature => Type::SignatureInvalid,
        ErrorClass::Expired => Type::TokenExpired,
        ErrorClass::TooEarly => Type::TokenNotYetValid,
        ErrorClass::InvalidAudience => Type::AudienceMismatch,
        ErrorClass::InvalidSubject => Type::SubjectUnknown,
        ErrorClass::InvalidClaim => Type::ClaimInvalid,
        ErrorClass::UnavailableProof => Type::ProofUnavailable,
        ErrorClass::MatchError => Type::PolicyMismatch,
        ErrorClass::Revoked => Type::Revoked,
        ErrorClass::Command => Type::CommandMismatch,
        ErrorClass::Malformed => Type::TokenMalformed,
        ErrorClass::NonCanonical => Type::TokenNonCanonical,
        ErrorClass::TooLarge => Type::PayloadTooLarge,
    }
}

/// What a token says wrongly is its sender's mistake in writing it; a chain with such a claim is another thing.
const fn type_of_token(class: ErrorClass) -> Type {
    match class {
        ErrorClass::InvalidClaim => Type::TokenMalformed,
        other => type_of(other),
    }
}

/// The field of a bad token, where one can be told from the rest.
fn field_of(error: &ucan::Error) -> Option<&str> {
    match error {
        ucan::Error::InvalidSignature => Some("signature"),
        ucan::Error::WeakKey => Some("iss"),
        ucan::Error::InvalidClaim(field) => Some(field),
        ucan::Error::UnknownField(field) => Some(field),
        ucan::Error::TooLarge("nonce") => Some("nonce"),
        ucan::Error::TooLarge("proofs") => Some("prf"),
        ucan::Error::TooLarge(part) | ucan::Error::Malformed(part) if part.starts_with("policy") => Some("pol"),
        ucan::Error::TooLarge(_) | ucan::Error::Malformed(_) | ucan::Error::NonCanonical => None,
    }
}

impl From<Denied> for Failure {
    fn from(denied: Denied) -> Self {
        let advice = match denied.class {
            ErrorClass::Expired => "; issue a new token",
            ErrorClass::TooEarly => "; wait, or check the clock that issued it",
            ErrorClass::UnavailableProof => "; send it in the container",
            ErrorClass::InvalidAudience if denied.field == "aud" => "; set aud to the control plane's DID",
            _ => "",
        };
        let kind = match denied.field {
            // The invocation's own: no fault of the chain.
            "nonce" => Type::TokenMalformed,
            _ => type_of(denied.class),
        };
        let mut failure = Self::new(kind, format!("{}{advice}", denied.detail)).field(denied.field);
        if let Some(hop) = denied.hop {
            failure = failure.hop(hop);
        }
        match denied.cid {
            Some(cid) => failure.cid(cid),
            None => failure,
        }
    }
}

impl From<ParseError> for Failure {
    fn from(error: ParseError) -> Self {
        match error {
            ParseError::UnknownCommand(command) => {
                Self::new(Type::ArgsInvalid, format!("no statement has the command {command}")).field("cmd")
            }
            ParseError::Args { field, detail } => Self::new(Type::ArgsInvalid, detail).field(within("args", &field)),
        }
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Container(error) => {
                Self::new(type_of_token(error.class()), error.to_string()).field("container")
            }
            OpenError::Token { cid, hop, error } => {
                let failure = Self::new(type_of_token(error.class()), error.to_string()).cid(cid);
                let failure = match (field_of(&error), hop) {
                    (Some(field), _) => failure.field(field),
                    (None, Some(_)) => failure,
                    (None, None) => failure.field("container"),
                };
                match hop {
                    Some(hop) => failure.hop(hop),
                    None => failure,
                }
            }
            OpenError::Invocations(0) => {
                Self::new(Type::MalformedRequest, "the container has no invocation; send exactly one")
                    .field("container")
            }
            OpenError::Invocations(count) => {
                let detail = format!("the container has {count} invocations; send exactly one");
                Self::new(Type::MalformedRequest, detail).field("container")
            }
            OpenError::Known { cid, seq } => {
                Self::new(Type::Conflict, format!("the log has it at {seq}")).field("container").cid(cid)
            }
            OpenError::ProofMissing { hop, cid } => {
                let detail = "a proof is neither in the container nor in the log; send it in the container";
                Self::new(Type::ProofUnavailable, detail).field("prf").hop(hop).cid(cid)
            }
            OpenError::Args(error) => error.into(),
            OpenError::Database(failed) => failed.into(),
        }
    }
}

impl From<ReadFailed> for Failure {
    fn from(failed: ReadFailed) -> Self {
        match failed {
            ReadFailed::Busy => Self::new(Type::Overloaded, "too many reads wait for the database; try again"),
            ReadFailed::Unavailable => Self::new(Type::Unavailable, "the database does not answer; try again"),
        }
    }
}

impl From<QueueError> for Failure {
    fn from(error: QueueError) -> Self {
        match error {
            QueueError::Full => Self::new(Type::Overloaded, "too many statements wait for their place; try again"),
            QueueError::Closed => Self::new(Type::Unavailable, "the service is shutting down; try again"),
        }
    }
}

impl From<Rejected> for Failure {
    fn from(rejected: Rejected) -> Self {
        match rejected {
            Rejected::Refused(refusal) => refusal.into(),
            Rejected::InDebt(wait) => Self::in_debt(wait),
            Rejected::Internal => Self::new(Type::Internal, "the statement could not be decided; nothing was written"),
            Rejected::Unavailable => Self::new(
                Type::Unavailable,
                "the database does not answer; nothing was written; send the same bytes again",
            ),
            Rejected::Unknown => Self::new(
                Type::Unavailable,
                "it is not known whether the statement was written; send the same bytes again to find out",
            ),
            Rejected::Stopped(why) => {
                Self::new(Type::Fenced, format!("{}; send the same bytes again to whoever leads", why.told()))
            }
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let text = refusal.to_string();
        match refusal {
            Refusal::Unauthorised(denied) => denied.into(),
            Refusal::AlreadyKnown { seq } => {
                Self::new(Type::Conflict, format!("the log has it at {seq}")).field("container")
            }
            Refusal::Envelope { field: "exp", detail } => Self::new(Type::LifetimeTooLong, detail).field("exp"),
            Refusal::Envelope { field, detail } => Self::new(Type::TokenMalformed, detail).field(field),
            Refusal::Subject { expected } => {
                Self::new(Type::SubjectUnknown, format!("the subject of this command is {expected}")).field("sub")
            }
            Refusal::Unknown { field, what } => {
                Self::new(Type::UnknownReference, format!("unknown {what}")).field(format!("args.{field}"))
            }
            Refusal::Conflict { field: "cmd", detail } => Self::new(Type::Conflict, detail).field("cmd"),
            Refusal::Conflict { field, detail } => Self::new(Type::Conflict, detail).field(format!("args.{field}")),
            Refusal::NotEntitled { field, hop, detail } => {
                let failure = Self::new(Type::NotEntitled, detail).field(field);
                match hop {
                    Some(hop) => failure.hop(hop),
                    None => failure,
                }
            }
            Refusal::TimeReversed { .. } => Self::new(Type::Internal, text),
            // The enum may grow with the ledger; what this build does not know it still refuses.
            _ => Self::new(Type::Conflict, text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_or_not_there_now_says_when_to_come_back_and_nothing_else_does() {
        for kind in Type::ALL {
            let response = Failure::new(*kind, "a test").into_response();
            let status = response.status().as_u16();
            assert_eq!(status, kind.status());
            let seconds =
                response.headers().get(header::RETRY_AFTER).map(|v| v.to_str().unwrap().parse::<u64>().unwrap());
            assert_eq!(seconds.is_some_and(|s| s > 0), matches!(status, 429 | 503), "{kind}: {seconds:?}");
        }
    }
}
