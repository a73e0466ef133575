//! HTTP client of the control plane and of signers, and what a client needs to speak with authority.
//!
//! [`Speaker`] turns an identity and its delegations into statements and read tokens; [`ControlPlane`] submits and
//! reads, [`SignerClient`] asks a node whose key is pinned. Every request has a timeout and every answer a size limit;
//! trying again is the caller's decision, which [`ClientError::is_retryable`] helps with.

mod access;
mod ambient;
mod control_plane;
mod delegations;
mod error;
mod follow;
mod http;
mod signer;
mod speaker;

pub use access::ReadAccess;
pub use ambient::Ambient;
pub use control_plane::{ControlPlane, ProposalQuery, QuorumKeys, QuorumMember, QuorumView};
pub use delegations::{Delegations, DelegationsError};
pub use error::ClientError;
pub use follow::{FollowEvent, FollowStream};
pub use http::SUBMIT_TIMEOUT;
pub use signer::{Exchange, SignerClient, freeze};
pub use speaker::{NoDelegation, SpeakError, Speaker, Statement};
