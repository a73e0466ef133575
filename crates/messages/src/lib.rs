//! Wire types between processes: authenticated envelopes, signer endpoints, the control plane's bodies and problems.
//!
//! JSON with unknown fields refused. Nothing here decides anything: types say what can be said, other crates what is true.

mod api;
mod bytes;
mod envelope;
mod keygen;
mod problem;
mod replay;
mod schema;
mod session;
mod terms;
mod views;

pub use api::{
    Approval, AuditRecord, CheckpointView, Decision, Effect, Engine, Execution, Health, LogEntryView, MAX_PAGE, PageOf,
    ProposalStatus, ProposalView, RecordedDecision, Stage, SubmitReply, Violation,
};
pub use bytes::{Base64, Hex};
pub use envelope::{
    CLOCK_TOLERANCE, Direction, Envelope, EnvelopeError, Expected, FORWARDED_TOLERANCE, MAX_BODY, Nonce, Opened, Seal,
};
pub use keygen::{
    DkgAccept, DkgAccepted, DkgBegin, DkgConfirm, DkgConfirmed, DkgEcho, DkgFinish, DkgGroupKeys, DkgParticipant,
    DkgRound1, DkgRound1Reply, DkgRound2, DkgRound2Reply, DkgSealed,
};
pub use problem::{PROBLEM_BASE, PROBLEM_JSON, Problem, ProblemType};
pub use replay::{ReplayGuard, Replayed};
pub use schema::schemas;
pub use session::{
    CommitReply, CommitRequest, FreezeReply, FreezeScope, HeldFreeze, MAX_CHECKPOINT, MAX_CHECKPOINTS, MAX_FROZEN,
    MAX_SHOWN, MAX_STATEMENT, NodeStatus, Refusal, RefusalCode, SignReply, SignRequest, SigningSubject, Suite,
};
pub use terms::{CommitTerms, TermsError};
pub use views::{
    AdministrationView, AssetView, BudgetView, EntriesView, FollowLine, FreezeView, InstallationView, LimitView,
    OrderView, PluginVersionView, PluginView, ProofView, ProposalSummary, PublisherView, RoyaltyView, SimulationDraft,
    SimulationReply, TenantView, TokenReply,
};

/// Paths of the endpoints that nodes answer with envelopes.
pub mod paths {
    /// What a node holds and how far it has followed the log.
    pub const NODE_STATUS: &str = "/v1/node/status";
    /// A commitment for a signature.
    pub const SESSION_COMMIT: &str = "/v1/sessions/commit";
    /// A signature share.
    pub const SESSION_SIGN: &str = "/v1/sessions/sign";
    /// Starts a key generation.
    pub const DKG_BEGIN: &str = "/v1/dkg/begin";
    /// Everyone's first packages in, echo out.
    pub const DKG_ROUND1: &str = "/v1/dkg/round1";
    /// Everyone's echoes in, sealed packages out.
    pub const DKG_ROUND2: &str = "/v1/dkg/round2";
    /// Packages sealed to this node in, confirmation out.
    pub const DKG_FINISH: &str = "/v1/dkg/finish";
    /// Everyone's confirmations in.
    pub const DKG_CONFIRM: &str = "/v1/dkg/confirm";
    /// Test signatures in; the key may be used.
    pub const DKG_ACCEPT: &str = "/v1/dkg/accept";
    /// Stop signing at once.
    pub const FREEZE: &str = "/v1/freeze";
}
