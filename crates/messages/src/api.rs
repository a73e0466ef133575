//! JSON bodies of the control plane that servers and clients share.

use crate::{Base64, schema};
use domain::{Cid, Did, Digest, PayoutAuthorisation, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a proposal stands. The ledger has the same words; it and the wire know nothing of each other, and a test of the
/// control plane, which knows both, holds them together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProposalStatus {
    /// Waits for approvals.
    Review,
    /// The quorum may sign it.
    Approved,
    /// Policy said no.
    Denied,
    /// An approver said no.
    Refused,
    /// Its proposer or an admin withdrew it.
    Cancelled,
    /// It was not executed in time.
    Expired,
    /// A transaction is on its way.
    Submitted,
    /// The transaction is in a block.
    Included,
    /// It has executed and cannot be undone.
    Final,
    /// It can no longer execute.
    Void,
}

impl ProposalStatus {
    /// Every status.
    pub const ALL: &[Self] = &[
        Self::Review,
        Self::Approved,
        Self::Denied,
        Self::Refused,
        Self::Cancelled,
        Self::Expired,
        Self::Submitted,
        Self::Included,
        Self::Final,
        Self::Void,
    ];

    /// The word used in JSON and in the read models.
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

    /// The status that `word` names.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|s| s.as_str() == word)
    }
}

/// What policy says about a proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Approved at once.
    Allow,
    /// Approved when enough people say so.
    Review,
    /// Not possible.
    Deny,
}

impl Effect {
    /// The stable text, as in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Review => "review",
            Self::Deny => "deny",
        }
    }
}

/// One thing that policy found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Violation {
    /// Stable word for programs.
    pub code: String,
    /// Explanation for people.
    pub msg: String,
}

/// What evaluated a policy, such as `regorus-0.14.1`.
pub type Engine = String;

/// A policy decision and everything needed to reach it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// What follows.
    pub effect: Effect,
    /// Why.
    pub violations: Vec<Violation>,
    /// How many people must approve.
    pub approvals_required: u8,
    /// Content address of the policy bundle.
    #[schemars(with = "schema::Digest")]
    pub bundle: Digest,
    /// SHA-256 of the policy's input.
    #[schemars(with = "schema::Digest")]
    pub input: Digest,
    /// Engine and version.
    pub engine: Engine,
}

/// A decision as the log records it, which is what approvals are signed over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedDecision {
    /// What follows.
    pub effect: Effect,
    /// Why.
    pub violations: Vec<Violation>,
    /// How many people must approve.
    pub approvals: u8,
    /// Content address of the policy bundle.
    pub bundle: Digest,
    /// SHA-256 of the policy's input.
    pub input: Digest,
    /// Engine and version: a text, because the log outlives them.
    pub engine: Engine,
}

impl From<RecordedDecision> for Decision {
    fn from(recorded: RecordedDecision) -> Self {
        let RecordedDecision { effect, violations, approvals, bundle, input, engine } = recorded;
        Self { effect, violations, approvals_required: approvals, bundle, input, engine }
    }
}

impl From<Decision> for RecordedDecision {
    fn from(shown: Decision) -> Self {
        let Decision { effect, violations, approvals_required, bundle, input, engine } = shown;
        Self { effect, violations, approvals: approvals_required, bundle, input, engine }
    }
}

/// One approval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// The approver as delegated by the tenant.
    #[schemars(with = "schema::Did")]
    pub principal: Did,
    /// The key that signed.
    #[schemars(with = "schema::Did")]
    pub issuer: Did,
    /// When it entered the log.
    #[schemars(with = "schema::Time")]
    pub at: Time,
    /// The statement.
    #[schemars(with = "schema::Cid")]
    pub statement: Cid,
}

/// One entry of the log that concerns a proposal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuditRecord {
    /// Its place in the log.
    pub seq: u64,
    /// When it got it.
    #[schemars(with = "schema::Time")]
    pub at: Time,
    /// The statement's command.
    pub command: String,
    /// Who signed the statement.
    #[schemars(with = "schema::Did")]
    pub issuer: Did,
}

/// How far an execution has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Sent.
    Submitted,
    /// In a block.
    Included,
    /// In a block that stays.
    Final,
    /// Can no longer happen.
    Void,
}

impl Stage {
    /// The stable text, as in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Submitted => "submitted",
            Self::Included => "included",
            Self::Final => "final",
            Self::Void => "void",
        }
    }
}

/// What is known of an execution on chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Execution {
    /// How far it has come.
    pub stage: Stage,
    /// The transaction's hash, `0x` and 64 hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction: Option<String>,
    /// The block's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<u64>,
}

/// A proposal with all that led to where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProposalView {
    /// The invocation's CID.
    #[schemars(with = "schema::Cid")]
    pub id: Cid,
    /// Its entry in the log.
    pub seq: u64,
    /// Where it stands.
    pub status: ProposalStatus,
    /// What policy said.
    pub decision: Decision,
    /// The invocation's command, such as `/proposal/payout`.
    pub command: String,
    /// The invocation's args.
    pub intent: serde_json::Value,
    /// Approvals that count; of what is closed, those that were given last.
    pub approvals: Vec<Approval>,
    /// What an approval names as what the approver saw.
    #[schemars(with = "schema::Digest")]
    pub review_digest: Digest,
    /// Every entry that concerns it, oldest first.
    pub audit_trail: Vec<AuditRecord>,
    /// What is known from the chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execution: Option<Execution>,
    /// What has to happen next, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
    /// What the quorum signs, once it is approved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::PayoutAuthorisation>")]
    pub authorisation: Option<PayoutAuthorisation>,
}

/// Answer to an accepted statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SubmitReply {
    /// The statement's CID.
    #[schemars(with = "schema::Cid")]
    pub id: Cid,
    /// Its entry in the log.
    pub seq: u64,
    /// For a proposal, where it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<ProposalStatus>,
    /// For a proposal, what policy said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decision>,
}

/// An entry of the log with the tokens that it introduced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogEntryView {
    /// Its place in the log.
    pub seq: u64,
    /// The entry's bytes.
    pub entry: Base64,
    /// Statement first, then delegations that the log did not hold before.
    pub tokens: Vec<Base64>,
}

/// A checkpoint: a C2SP signed note, served as `text/plain`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct CheckpointView(pub String);

/// Most items of a page.
pub const MAX_PAGE: usize = 200;

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PageOf{T}")]
pub struct PageOf<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// Ask with this for the next page; absent on the last.
    #[serde(default = "Option::<String>::default", skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// What a process says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Health {
    /// Whether it serves.
    pub ready: bool,
    /// Whether it gives statements their place now.
    pub leader: bool,
    /// The last entry that it holds.
    pub head: Option<u64>,
    /// The program's version.
    pub version: String,
}
