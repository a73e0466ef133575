//! The pure state machine: **state is a fold over the log**.
//!
//! [`State::step`] takes a [`Statement`] and the moment at which the log places it, and gives the next state and the
//! [`Outcome`] that the log records, or a [`Refusal`] that changes nothing. The sequencer, every signer, a dry-run and
//! the offline verifier all run this one function.
//!
//! **Invariant:** no clock, no randomness, no I/O, no floats, no hash-order iteration: the same state, statement and
//! moment give the same outcome bytes on every machine.

mod administration;
mod authority;
mod budget;
mod facts;
mod freeze;
mod outcome;
mod permit;
mod proposal;
mod quorum;
mod simulation;
mod state;
mod statement;
mod statements;
mod tenant;

pub use administration::{Administration, AdministrationPermit, Administrations, CHAIN_LAG, Measure};
pub use authority::{Authority, Hop, Revocations};
pub use budget::{Budget, Budgets, Reservation, Window};
pub use freeze::{Freeze, Freezes, Scope};
pub use outcome::{Change, Changes, Outcome, Refusal, Status};
pub use permit::{Freshness, Hold, Permit};
pub use proposal::{Approval, Approvals, Attestation, Execution, Phase, Progress, Proposal, Verdict};
pub use quorum::{GroupKeys, GroupPackages, Participant, Quorum};
pub use simulation::Simulation;
pub use state::{Limits, Origin, Plugin, PluginVersion, Publisher, State, Step};
pub use statement::{Act, ParseError, Statement, detail_of, field_of};
pub use statements::log::MAX_CLOCK_TOLERANCE;
pub use statements::proposal::review_digest;
pub use tenant::{Asset, Installation, InstallationState, Order, Royalty, Tenant, TenantPolicy, Verification};

/// The args of every command, one type per statement kind.
pub mod args {
    pub use crate::statements::approval::{Give, Refuse, Withdraw};
    pub use crate::statements::escrow::Administer;
    pub use crate::statements::execution::{Attest, Included, Reverted, Submitted};
    pub use crate::statements::freeze::{Lift, Set};
    pub use crate::statements::installation::{Grant, GrantLimit, Remove, Resume, Suspend};
    pub use crate::statements::log::Genesis;
    pub use crate::statements::order::{Close, Open};
    pub use crate::statements::plugin::Publish;
    pub use crate::statements::policy::Activate;
    pub use crate::statements::proposal::Cancel;
    pub use crate::statements::publisher::Register;
    pub use crate::statements::quorum::SetQuorum;
    pub use crate::statements::recipient::Verify;
    pub use crate::statements::signer::Evidence;
    pub use crate::statements::tenant::Create;
    pub use crate::statements::ucan::{Revocation, Revoke};
}
