use crate::SpeakError;
use messages::{EnvelopeError, Problem, ProblemType, Refusal};

/// A request got no usable answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The control plane said no, and why.
    #[error(transparent)]
    Problem(Box<Problem>),
    /// A signer said no, and why.
    #[error("the signer refuses: {0}")]
    Refused(Box<Refusal>),
    /// No answer: not reachable, cut off or too slow.
    #[error("no answer from {url}")]
    Transport {
        /// Who was asked.
        url: String,
        /// What failed underneath.
        #[source]
        source: reqwest::Error,
    },
    /// A stream said nothing for longer than its heartbeat allows.
    #[error("the stream has gone silent")]
    Silent,
    /// A status without the problem that explains it, as proxies answer.
    #[error("status {0} without problem details")]
    Status(u16),
    /// An answer that is not what the endpoint gives.
    #[error("malformed answer: {0}")]
    Malformed(String),
    /// An answer above the limit for this endpoint.
    #[error("the answer is larger than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// The answering node is not who it should be, or its answer is not to this request.
    #[error("the node's answer is not authentic")]
    Unauthentic(#[source] EnvelopeError),
    /// This side could not make what it wanted to send.
    #[error(transparent)]
    Speak(#[from] SpeakError),
}

impl ClientError {
    /// Whether the same request may succeed later. Statements are idempotent, so asking again is always safe.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Problem(problem) => {
                problem.status >= 500
                    || matches!(problem.kind, ProblemType::RateLimited | ProblemType::TokenNotYetValid)
            }
            Self::Refused(refusal) => refusal.retry_after.is_some(),
            Self::Status(status) => *status >= 500,
            Self::Transport { .. } | Self::Silent => true,
            Self::Malformed(_) | Self::TooLarge { .. } | Self::Unauthentic(_) | Self::Speak(_) => false,
        }
    }

    /// Seconds after which the other side asked to be asked again.
    pub fn retry_after(&self) -> Option<u64> {
        match self {
            Self::Problem(problem) => problem.retry_after,
            Self::Refused(refusal) => refusal.retry_after,
            _ => None,
        }
    }

    /// The kind of problem the control plane named.
    pub fn problem(&self) -> Option<ProblemType> {
        match self {
            Self::Problem(problem) => Some(problem.kind),
            _ => None,
        }
    }
}
