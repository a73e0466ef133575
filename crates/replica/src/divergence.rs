use domain::Cid;
use ipld_core::ipld::Ipld;
use ledger::{Outcome, ParseError, Refusal};
use log::ChainError;

/// Where and why a log is not what its entries claim. It is evidence: it halts whoever finds it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Divergence {
    /// The entry does not continue the chain.
    #[error(transparent)]
    Chain(ChainError),
    /// The entry names another statement than the one that came with it.
    #[error("entry {seq} names another statement")]
    Statement {
        /// The entry.
        seq: u64,
    },
    /// A token of the entry is missing, malformed or badly signed.
    #[error("entry {seq}: token {token}: {reason}")]
    Token {
        /// The entry.
        seq: u64,
        /// The token's CID, or that of the statement that needs it.
        token: Cid,
        /// What is wrong.
        reason: String,
    },
    /// The statement's args are not of their schema.
    #[error("entry {seq} has no statement")]
    Args {
        /// The entry.
        seq: u64,
        /// What is wrong.
        #[source]
        error: ParseError,
    },
    /// The ledger refuses a statement that the log has an entry for.
    #[error("entry {seq} holds a statement that the ledger refuses")]
    Refused {
        /// The entry.
        seq: u64,
        /// Why.
        #[source]
        refusal: Box<Refusal>,
    },
    /// The ledger decides otherwise.
    #[error("entry {seq} records another outcome than the ledger gives")]
    Outcome {
        /// The entry.
        seq: u64,
        /// What the ledger gives.
        ours: Box<Outcome>,
        /// What the entry records.
        theirs: Box<Ipld>,
    },
}

impl Divergence {
    /// The first bad entry.
    pub const fn seq(&self) -> u64 {
        match self {
            Self::Chain(e) => e.seq,
            Self::Statement { seq }
            | Self::Token { seq, .. }
            | Self::Args { seq, .. }
            | Self::Refused { seq, .. }
            | Self::Outcome { seq, .. } => *seq,
        }
    }
}
