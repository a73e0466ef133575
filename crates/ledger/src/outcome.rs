use crate::{Reservation, Verdict};
use domain::{Cid, Digest, Time};
use policy::{Decision, Effect};
use serde::{Deserialize, Serialize};

/// What the log records beside a statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Outcome {
    /// The statement took effect.
    Accepted,
    /// The statement was a proposal, and this is what policy decided.
    Decided {
        /// Effect, violations and the hashes that name policy, input and engine.
        decision: Decision,
        /// The budgets that were reserved; empty when denied.
        reservations: Vec<Reservation>,
        /// What an approver confirms to have seen: SHA-256 over proposal, intent and decision.
        review: Digest,
    },
}

impl Outcome {
    /// The decision, when the statement was a proposal.
    pub const fn decision(&self) -> Option<&Decision> {
        match self {
            Self::Accepted => None,
            Self::Decided { decision, .. } => Some(decision),
        }
    }
}

/// Where a proposal stands. The order of the variants is the order of a proposal's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Waits for people.
    Review,
    /// The quorum may sign it.
    Approved,
    /// Policy said no.
    Denied,
    /// A person said no.
    Refused,
    /// Withdrawn before it could execute.
    Cancelled,
    /// Not approved in time.
    Expired,
    /// A relayer says that the chain's node has the transaction.
    Submitted,
    /// A relayer says that a block has the transaction.
    Included,
    /// t signers attest that it executed.
    Final,
    /// t signers attest that it can no longer execute.
    Void,
}

impl Status {
    /// The stable text, as in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Review => "review",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Refused => "refused",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::Submitted => "submitted",
            Self::Included => "included",
            Self::Final => "final",
            Self::Void => "void",
        }
    }

    pub(crate) const fn of_effect(effect: Effect) -> Self {
        match effect {
            Effect::Allow => Self::Approved,
            Effect::Review => Self::Review,
            Effect::Deny => Self::Denied,
        }
    }

    pub(crate) const fn of_verdict(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Final => Self::Final,
            Verdict::Void => Self::Void,
        }
    }
}

/// One thing that a step did to a proposal; read models are built from these alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The proposal has a new status.
    Status(Cid, Status),
    /// The statement is about this proposal.
    Mention(Cid),
}

/// What one step did to proposals, in order.
pub type Changes = Vec<Change>;

/// Why a statement has no place in the log. A refusal changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The chain of delegations does not entitle the issuer, now.
    #[error("not authorised: {0}")]
    Unauthorised(#[source] ucan::Denied),
    /// The log already holds these bytes, at this place.
    #[error("already in the log at {seq}")]
    AlreadyKnown {
        /// Where.
        seq: u64,
    },
    /// The invocation lives too long, has no expiration or too short a nonce.
    #[error("{field}: {detail}")]
    Envelope {
        /// The token's field.
        field: &'static str,
        /// What is wrong and what to do.
        detail: String,
    },
    /// The subject is not one that this command takes.
    #[error("the subject of this command is {expected}")]
    Subject {
        /// Who the subject must be.
        expected: &'static str,
    },
    /// A field names something that does not exist.
    #[error("{field}: unknown {what}")]
    Unknown {
        /// The args' field.
        field: &'static str,
        /// What it should name.
        what: &'static str,
    },
    /// The statement contradicts the state.
    #[error("{field}: {detail}")]
    Conflict {
        /// The args' field.
        field: &'static str,
        /// What contradicts what.
        detail: String,
    },
    /// The issuer is authorised for the command, but not for this.
    #[error("not entitled: {detail}")]
    NotEntitled {
        /// The field that shows it: the token's, or one of its args as `args.…`; with a hop, that delegation's field.
        field: &'static str,
        /// The delegation that shows it, counted from the root; `None` when it is the invocation.
        hop: Option<usize>,
        /// What the issuer lacks.
        detail: String,
    },
    /// The log's time would go backwards.
    #[error("time {at} lies before the log's {last}")]
    TimeReversed {
        /// The moment given.
        at: Time,
        /// The moment of the last entry.
        last: Time,
    },
}

impl Refusal {
    pub(crate) fn conflict(field: &'static str, detail: impl Into<String>) -> Self {
        Self::Conflict { field, detail: detail.into() }
    }

    pub(crate) fn not_entitled(field: &'static str, detail: impl Into<String>) -> Self {
        Self::NotEntitled { field, hop: None, detail: detail.into() }
    }

    pub(crate) fn not_entitled_at(hop: usize, field: &'static str, detail: impl Into<String>) -> Self {
        Self::NotEntitled { field, hop: Some(hop), detail: detail.into() }
    }
}
