//! What the quorum signs for the escrow contract, and how the contract is spoken to.
//!
//! EIP-712 digests of the contract's four signed structs, the layout of a FROST(secp256k1, SHA-256) group signature,
//! call data both ways, the `PayoutExecuted` event and the code to deploy. Pure encoding: this crate opens no
//! connection, holds no key and decides nothing. Start at [`payout_digest`] and [`payout_calldata`].
//!
//! ```
//! use domain::{Address, ChainId, Digest, EscrowDomain, PayoutAuthorisation, Time};
//! let authorisation = PayoutAuthorisation {
//!     domain: EscrowDomain { chain: ChainId(1), contract: Address([7; 20]) },
//!     intent: Digest::sha256(b"intent"),
//!     installation: Digest::sha256(b"did:key:z6Mk"),
//!     order: Digest::sha256(b"order-1"),
//!     asset: Address([0; 20]),
//!     recipients: vec![Address([1; 20])],
//!     amounts: vec!["1000".to_owned().try_into().unwrap()],
//!     valid_until: Time::from_unix(1_800_000_000),
//!     epoch: escrow::FIRST_EPOCH,
//! };
//! let message: [u8; 32] = escrow::payout_digest(&authorisation);
//! # assert_ne!(message, [0; 32]);
//! ```

pub mod abi;
mod administration;
mod call;
mod code;
mod convert;
mod curve;
mod deployment;
mod digest;
mod event;
mod payout;
pub mod token;

pub use administration::{
    CapChange, Rotation, Thaw, administration_calldata, administration_digest, decode_administration_calldata,
    freeze_calldata, rotate_calldata, rotate_digest, set_cap_calldata, set_cap_digest, thaw_calldata, thaw_digest,
};
pub use call::{DecodeError, deposit_calldata, read};
pub use curve::{CurveError, GroupKey, Signature};
pub use deployment::{Deployment, FIRST_EPOCH, MAX_CAP, creation_code, deployment_code};
pub use digest::domain_separator;
pub use event::{PAYOUT_EXECUTED_TOPIC, PayoutExecuted};
pub use payout::{decode_payout_calldata, payout_calldata, payout_digest};
