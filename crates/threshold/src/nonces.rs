use crate::{CommitmentSet, KeyError, KeyShare, ParticipantId, SetError, encoding};
use domain::Digest;
use frost_core::{Ciphersuite, round1, round2};
use rand_core::{CryptoRng, RngCore};
use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    num::NonZeroUsize,
};
use zeroize::ZeroizeOnDrop;

/// One pair of FROST nonces. It can be neither copied, stored nor shown, and signing consumes it, because three
/// shares made with one pair give away the key share.
///
/// ```
/// use countersign_threshold::{Ciphersuite, CommitmentSet, KeyShare, Nonces};
/// fn once<C: Ciphersuite>(n: Nonces<C>, k: &KeyShare<C>, s: &CommitmentSet<C>) {
///     let _ = n.sign(k, s, b"one");
/// }
/// ```
///
/// ```compile_fail,E0382
/// use countersign_threshold::{Ciphersuite, CommitmentSet, KeyShare, Nonces};
/// fn twice<C: Ciphersuite>(n: Nonces<C>, k: &KeyShare<C>, s: &CommitmentSet<C>) {
///     let _ = n.sign(k, s, b"one");
///     let _ = n.sign(k, s, b"two");
/// }
/// ```
///
/// ```compile_fail,E0599
/// use countersign_threshold::{Ciphersuite, Nonces};
/// fn copy<C: Ciphersuite>(n: Nonces<C>) -> (Nonces<C>, Nonces<C>) {
///     (n.clone(), n)
/// }
/// ```
#[derive(ZeroizeOnDrop)]
pub struct Nonces<C: Ciphersuite> {
    pair: round1::SigningNonces<C>,
    #[zeroize(skip)]
    commitment: Vec<u8>,
    #[zeroize(skip)]
    owner: (ParticipantId, Digest),
}

/// A commitment to a fresh pair of nonces, as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commitment {
    /// SHA-256 of suite and bytes: names the commitment in logs and replies.
    pub id: Digest,
    /// frost-core's serialisation of the commitment, with the suite in its header.
    pub bytes: Vec<u8>,
}

/// A signer did not make a share.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The set holds no commitment of this participant.
    #[error("the commitment set does not name participant {0}")]
    NotInvited(ParticipantId),
    /// The commitment is not one that is open: never made here, dropped as one of too many, or from before a restart.
    #[error("the commitment is not open")]
    UnknownCommitment,
    /// The commitment was made for another session.
    #[error("the commitment was made for another session")]
    OtherSession,
    /// The commitment has already been used for another message or set, or the source of randomness made it twice.
    #[error("the commitment has been made or used before")]
    Used,
    /// The nonces were made for another key.
    #[error("the nonces were made for another key")]
    OtherKey,
    /// The set is not one of the group.
    #[error(transparent)]
    Set(#[from] SetError),
    /// The key share cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// FROST refused.
    #[error("FROST refused to sign: {0}")]
    Frost(String),
}

impl<C: Ciphersuite> Nonces<C> {
    /// A fresh pair for `share`.
    pub fn generate<R: RngCore + CryptoRng>(share: &KeyShare<C>, rng: &mut R) -> Result<Self, SignError> {
        let (pair, commitments) = round1::commit(share.package.signing_share(), rng);
        let commitment = commitments.serialize().map_err(|e| SignError::Frost(e.to_string()))?;
        Ok(Self { pair, commitment, owner: (share.id(), share.group().digest()) })
    }

    /// The commitment to this pair.
    pub fn commitment(&self) -> Commitment {
        Commitment { id: commitment_id::<C>(&self.commitment), bytes: self.commitment.clone() }
    }

    /// Consumes the pair and makes the share of `message`, which the caller has computed itself, within `set`.
    pub fn sign(self, share: &KeyShare<C>, set: &CommitmentSet<C>, message: &[u8]) -> Result<Vec<u8>, SignError> {
        self.check(share, set)?;
        let made = round2::sign(&set.package(message), &self.pair, &share.package)
            .map_err(|e| SignError::Frost(e.to_string()))?;
        Ok(made.serialize())
    }

    fn check(&self, share: &KeyShare<C>, set: &CommitmentSet<C>) -> Result<(), SignError> {
        if self.owner != (share.id(), share.group().digest()) {
            return Err(SignError::OtherKey);
        }
        match set.get(share.id()) {
            None => return Err(SignError::NotInvited(share.id())),
            Some(own) if own != self.commitment => return Err(SignError::UnknownCommitment),
            Some(_) => {}
        }
        // The set may have been parsed for another group; membership and size are of this one.
        set.check_members(share.group())?;
        Ok(())
    }
}

impl<C: Ciphersuite> fmt::Debug for Nonces<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nonces").field("commitment", &commitment_id::<C>(&self.commitment)).finish_non_exhaustive()
    }
}

fn commitment_id<C: Ciphersuite>(bytes: &[u8]) -> Digest {
    encoding::digest("countersign commitment v1", &[C::ID.as_bytes(), bytes])
}

enum Slot<C: Ciphersuite> {
    Fresh { session: Option<Digest>, nonces: Nonces<C> },
    Spent { session: Option<Digest>, package: Digest, share: Vec<u8> },
}

/// A signer's open commitments, in memory only: a restart forgets them and coordinators ask again. A stored pool could
/// be restored from a backup and would then sign twice with one pair.
pub struct NoncePool<C: Ciphersuite> {
    capacity: usize,
    order: VecDeque<Digest>,
    slots: BTreeMap<Digest, Slot<C>>,
}

impl<C: Ciphersuite> NoncePool<C> {
    /// A pool that keeps at most `capacity` commitments, used and unused, and drops the oldest.
    pub fn new(capacity: NonZeroUsize) -> Self {
        Self { capacity: capacity.get(), order: VecDeque::new(), slots: BTreeMap::new() }
    }

    /// A fresh commitment. With a `session` it signs only there; without, it is preprocessed and signs in any. Refuses
    /// with [`SignError::Used`] a pair that the pool still holds, spent or not, which only a source of randomness that
    /// repeats itself makes.
    pub fn commit<R: RngCore + CryptoRng>(
        &mut self,
        share: &KeyShare<C>,
        session: Option<Digest>,
        rng: &mut R,
    ) -> Result<Commitment, SignError> {
        let nonces = Nonces::generate(share, rng)?;
        let commitment = nonces.commitment();
        // A second slot for a spent pair would let it sign again.
        if self.order.contains(&commitment.id) {
            return Err(SignError::Used);
        }
        while self.order.len() >= self.capacity {
            if let Some(oldest) = self.order.pop_front() {
                self.slots.remove(&oldest);
            }
        }
        self.order.push_back(commitment.id);
        self.slots.insert(commitment.id, Slot::Fresh { session, nonces });
        Ok(commitment)
    }

    /// The share of `message` within `set`, with the nonces behind this participant's commitment in the set. Asked
    /// again with the same message and set it returns the same share; with any other it refuses.
    pub fn sign(
        &mut self,
        share: &KeyShare<C>,
        session: Digest,
        set: &CommitmentSet<C>,
        message: &[u8],
    ) -> Result<Vec<u8>, SignError> {
        let own = set.get(share.id()).ok_or(SignError::NotInvited(share.id()))?;
        let id = commitment_id::<C>(own);
        let package = package_digest(share, set, message)?;
        match self.slots.get(&id).ok_or(SignError::UnknownCommitment)? {
            Slot::Fresh { session: bound, .. } | Slot::Spent { session: bound, .. }
                if bound.is_some_and(|b| b != session) =>
            {
                return Err(SignError::OtherSession);
            }
            Slot::Spent { package: done, share, .. } => {
                return if *done == package { Ok(share.clone()) } else { Err(SignError::Used) };
            }
            Slot::Fresh { nonces, .. } => nonces.check(share, set)?,
        }
        // Moved out before the share is computed: whatever happens next, this pair cannot be reached again.
        let Some(Slot::Fresh { session: bound, nonces }) = self.slots.remove(&id) else {
            return Err(SignError::UnknownCommitment);
        };
        let made = nonces.sign(share, set, message)?;
        self.slots.insert(id, Slot::Spent { session: bound, package, share: made.clone() });
        Ok(made)
    }

    /// How many commitments can still be used.
    pub fn open(&self) -> usize {
        self.slots.values().filter(|s| matches!(s, Slot::Fresh { .. })).count()
    }

    /// Forgets everything, as a new key or a freeze demands.
    pub fn clear(&mut self) {
        self.order.clear();
        self.slots.clear();
    }
}

impl<C: Ciphersuite> fmt::Debug for NoncePool<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NoncePool").field("suite", &C::ID).field("open", &self.open()).finish_non_exhaustive()
    }
}

fn package_digest<C: Ciphersuite>(
    share: &KeyShare<C>,
    set: &CommitmentSet<C>,
    message: &[u8],
) -> Result<Digest, SignError> {
    let key = share.group().digest();
    let package = set.package(message).serialize().map_err(|e| SignError::Frost(e.to_string()))?;
    Ok(encoding::digest("countersign signing package v1", &[key.as_bytes(), &package]))
}
