//! UCAN 1.0 delegations, invocations, policies and containers: issue and verify.
//!
//! A [`Verified`] token was decoded from canonical bytes, is well-formed and carries a valid signature of its issuer;
//! only the openers of this crate make one; one that was read and not verified is [`Unverified`]. A [`Chain`] is authority: an invocation together with the delegations that
//! entitle its issuer, all walked under one [`Context`] by [`authorise`]. Ed25519 `did:key` principals only.
//!
//! Formats: UCAN 1.0 (ucan-wg/spec, delegation, invocation), varsig v1, ucan-container v0.1.0. No clock, no randomness
//! and no I/O: time, nonces and keys are arguments.

mod authorise;
mod cbor;
mod command;
pub mod container;
mod envelope;
mod error;
mod hop;
pub mod inspect;
pub mod issue;
pub mod policy;
mod report;
mod token;

pub use authorise::{Chain, Context, Denied, Trust, authorise, refuse};
pub use cbor::MAX_DEPTH;
pub use command::{Command, MAX_COMMAND_BYTES, ParseCommandError};
pub use container::Limits;
pub use envelope::{MAX_TOKEN_BYTES, Version};
pub use error::{Error, ErrorClass};
pub use hop::{Suspect, hop_of};
pub use ipld_core::ipld::Ipld;
pub use policy::Policy;
pub use report::{VerifyError, VerifyOptions, VerifyReport, verify_report};
pub use token::{
    Delegation, Invocation, MAX_NONCE_BYTES, MAX_PROOFS, Parsed, Token, Unverified, Verified, open, open_delegation,
    open_invocation, parse,
};
