//! Sans-IO FROST (RFC 9591): distributed key generation and signing, generic over the ciphersuite.
//!
//! Randomness is an argument, messages are bytes, and nothing here knows a socket, a disk or a clock. One roster runs
//! two suites side by side: secp256k1 for what a contract verifies, Ed25519 for what is read off chain.

mod commitments;
mod coordinator;
pub mod dkg;
mod encoding;
mod key;
mod nonces;
mod participant;
mod roster;

pub use commitments::{CommitmentSet, SetError, aggregate, verify_share};
pub use coordinator::{Coordinator, Failure, Request, SessionNumber};
pub use frost_core::Ciphersuite;
pub use frost_ed25519::Ed25519Sha512 as Ed25519;
pub use frost_secp256k1::Secp256K1Sha256 as Secp256k1;
pub use key::{GroupKey, KeyError, KeyShare};
pub use nonces::{Commitment, NoncePool, Nonces, SignError};
pub use participant::{MAX_PARTICIPANT_ID, ParseParticipantError, ParticipantId};
pub use roster::{MAX_PARTICIPANTS, Participant, Roster, RosterError};

/// One value per suite, for what always happens to both keys together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Both<S, E> {
    /// The one of FROST(secp256k1, SHA-256).
    pub secp256k1: S,
    /// The one of FROST(Ed25519, SHA-512).
    pub ed25519: E,
}
