use serde::Serialize;
use std::fmt;

/// What was being checked when a receipt failed, in the order of the checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// The file is a receipt in its one canonical form.
    File,
    /// An entry is well-formed and in its place in the file.
    Entry,
    /// The tokens are those that the entry and its statement name, and their signatures hold.
    Tokens,
    /// The statement's args are of their schema.
    Statement,
    /// The file has the entries that a receipt needs, and no others.
    Cast,
    /// The entries are in an order that the ledger allows.
    Order,
    /// The chain of delegations entitled the issuer.
    Authority,
    /// The quorum's entry contradicts itself.
    Quorum,
    /// The checkpoint is signed by the log's key and by the quorum.
    Checkpoint,
    /// An entry is in the log of the checkpoint.
    Inclusion,
    /// The outcome is one that the ledger writes, and policy did not deny.
    Outcome,
    /// Enough different people approved this decision.
    Approval,
    /// The quorum signed this payout.
    Signature,
    /// The submission carries that signature in that transaction.
    Submission,
    /// Enough different signers attest that transaction.
    Attestation,
}

impl Step {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Entry => "entry",
            Self::Tokens => "tokens",
            Self::Statement => "statement",
            Self::Cast => "cast",
            Self::Order => "order",
            Self::Authority => "authority",
            Self::Quorum => "quorum",
            Self::Checkpoint => "checkpoint",
            Self::Inclusion => "inclusion",
            Self::Outcome => "outcome",
            Self::Approval => "approval",
            Self::Signature => "signature",
            Self::Submission => "submission",
            Self::Attestation => "attestation",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A receipt does not prove a payout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReceiptError {
    /// The check that failed.
    pub step: Step,
    /// The entry at fault, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// What is wrong, for people.
    pub detail: String,
}

impl ReceiptError {
    #[expect(clippy::needless_pass_by_value, reason = "an error is told and done with")]
    pub(crate) fn new(step: Step, detail: impl ToString) -> Self {
        Self { step, seq: None, detail: detail.to_string() }
    }

    #[expect(clippy::needless_pass_by_value, reason = "an error is told and done with")]
    pub(crate) fn at(step: Step, seq: u64, detail: impl ToString) -> Self {
        Self { step, seq: Some(seq), detail: detail.to_string() }
    }
}

impl std::error::Error for ReceiptError {}

impl fmt::Display for ReceiptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.seq {
            Some(seq) => write!(f, "{}: entry {seq}: {}", self.step, self.detail),
            None => write!(f, "{}: {}", self.step, self.detail),
        }
    }
}
