//! The test signature that every new key makes before it may be used.

use super::{DkgError, DkgFault};
use crate::{
    Both, Ciphersuite, Commitment, CommitmentSet, Ed25519, GroupKey, KeyShare, NoncePool, Secp256k1, SignError,
    encoding,
};
use domain::Digest;
use rand_core::{CryptoRng, RngCore};
use std::num::NonZeroUsize;

/// Both key shares of one participant, proven by a signature of each key.
#[derive(Debug)]
pub struct Keys {
    /// The share of the on-chain key.
    pub secp256k1: KeyShare<Secp256k1>,
    /// The share of the off-chain key.
    pub ed25519: KeyShare<Ed25519>,
}

/// Keys that everyone agrees on and that have signed nothing yet: they sign the test message and nothing else.
#[derive(Debug)]
pub struct Untested {
    ceremony: Digest,
    keys: Keys,
    pools: Both<NoncePool<Secp256k1>, NoncePool<Ed25519>>,
}

/// A test is retried a few times at most.
const TEST_COMMITMENTS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(7);

/// What the test signature of a ceremony's key signs: 32 bytes, SHA-256 over context, suite, ceremony id and group key,
/// so that it can never be mistaken for an authorisation.
pub fn test_message<C: Ciphersuite>(ceremony: &Digest, group: &GroupKey<C>) -> Result<Digest, DkgError> {
    let parts: [&[u8]; 3] = [C::ID.as_bytes(), ceremony.as_bytes(), &group.to_bytes()?];
    Ok(encoding::digest("countersign dkg test signature v1", &parts))
}

impl Untested {
    pub(super) fn new(ceremony: Digest, keys: Keys) -> Self {
        let pools = Both { secp256k1: NoncePool::new(TEST_COMMITMENTS), ed25519: NoncePool::new(TEST_COMMITMENTS) };
        Self { ceremony, keys, pools }
    }

    /// Both new group keys.
    pub const fn groups(&self) -> Both<&GroupKey<Secp256k1>, &GroupKey<Ed25519>> {
        Both { secp256k1: self.keys.secp256k1.group(), ed25519: self.keys.ed25519.group() }
    }

    /// A commitment of each suite for the test signature.
    pub fn commit<R: RngCore + CryptoRng>(&mut self, rng: &mut R) -> Result<Both<Commitment, Commitment>, SignError> {
        let session = Some(self.ceremony);
        Ok(Both {
            secp256k1: self.pools.secp256k1.commit(&self.keys.secp256k1, session, rng)?,
            ed25519: self.pools.ed25519.commit(&self.keys.ed25519, session, rng)?,
        })
    }

    /// This participant's share of the secp256k1 key's test signature.
    pub fn sign_secp256k1(&mut self, set: &CommitmentSet<Secp256k1>) -> Result<Vec<u8>, DkgError> {
        let message = test_message(&self.ceremony, self.keys.secp256k1.group())?;
        Ok(self.pools.secp256k1.sign(&self.keys.secp256k1, self.ceremony, set, message.as_bytes())?)
    }

    /// This participant's share of the Ed25519 key's test signature.
    pub fn sign_ed25519(&mut self, set: &CommitmentSet<Ed25519>) -> Result<Vec<u8>, DkgError> {
        let message = test_message(&self.ceremony, self.keys.ed25519.group())?;
        Ok(self.pools.ed25519.sign(&self.keys.ed25519, self.ceremony, set, message.as_bytes())?)
    }

    /// Checks the group's test signature of both keys without releasing them.
    pub fn check(&self, secp256k1: &[u8], ed25519: &[u8]) -> Result<(), DkgError> {
        fn one<C: Ciphersuite>(ceremony: &Digest, key: &KeyShare<C>, signature: &[u8]) -> Result<(), DkgError> {
            let message = test_message(ceremony, key.group())?;
            (key.group().verify(message.as_bytes(), signature))
                .map_err(|_| DkgError::of(DkgFault::Test(format!("the signature of {}", C::ID)), []))
        }
        one(&self.ceremony, &self.keys.secp256k1, secp256k1)?;
        one(&self.ceremony, &self.keys.ed25519, ed25519)
    }

    /// Releases the keys for use, against a valid test signature of each.
    pub fn accept(self, secp256k1: &[u8], ed25519: &[u8]) -> Result<Keys, DkgError> {
        self.check(secp256k1, ed25519)?;
        Ok(self.keys)
    }
}
