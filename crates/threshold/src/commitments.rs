use crate::{GroupKey, ParticipantId};
use frost_core::{Ciphersuite, SigningPackage, round1::SigningCommitments, round2::SignatureShare};
use std::collections::BTreeMap;

/// The commitments of the participants who sign one message together: at least t, at most n, all different and of the
/// group. It holds no message: whoever signs or aggregates adds the one that it computed itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitmentSet<C: Ciphersuite> {
    bytes: BTreeMap<ParticipantId, Vec<u8>>,
    parsed: BTreeMap<frost_core::Identifier<C>, SigningCommitments<C>>,
}

/// Commitments do not make a set, or a share does not fit it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    /// This identifier is not of the group.
    #[error("participant {0} is not of the group")]
    Stranger(ParticipantId),
    /// This participant is named twice.
    #[error("participant {0} is named twice")]
    Duplicate(ParticipantId),
    /// Fewer than t.
    #[error("{got} signers are fewer than the threshold of {needed}")]
    TooFew {
        /// How many there are.
        got: usize,
        /// The threshold.
        needed: u16,
    },
    /// This participant's bytes are not a commitment of the suite.
    #[error("the commitment of participant {0} is malformed")]
    MalformedCommitment(ParticipantId),
    /// This participant's bytes are not a signature share of the suite.
    #[error("the signature share of participant {0} is malformed")]
    MalformedShare(ParticipantId),
    /// This participant's share is not the one for this set and message.
    #[error("the signature share of participant {0} is wrong")]
    WrongShare(ParticipantId),
    /// Shares of exactly the set's participants are needed.
    #[error("the signature share of participant {0} is missing")]
    MissingShare(ParticipantId),
    /// The shares add up to no valid signature.
    #[error("the shares add up to no valid signature")]
    Aggregate,
}

impl SetError {
    /// Who sent what is wrong, where that is known.
    pub const fn culprit(&self) -> Option<ParticipantId> {
        match *self {
            Self::MalformedCommitment(id) | Self::MalformedShare(id) | Self::WrongShare(id) => Some(id),
            Self::Stranger(_) | Self::Duplicate(_) | Self::TooFew { .. } | Self::MissingShare(_) | Self::Aggregate => {
                None
            }
        }
    }
}

pub(crate) fn parse_commitment<C: Ciphersuite>(bytes: &[u8]) -> Option<SigningCommitments<C>> {
    let parsed = SigningCommitments::<C>::deserialize(bytes).ok()?;
    // frost-core ignores trailing bytes: one commitment would have many spellings, and many cache keys.
    parsed.serialize().is_ok_and(|again| again == bytes).then_some(parsed)
}

fn parse_share<C: Ciphersuite>(id: ParticipantId, bytes: &[u8]) -> Result<SignatureShare<C>, SetError> {
    let parsed = SignatureShare::<C>::deserialize(bytes).map_err(|_| SetError::MalformedShare(id))?;
    if parsed.serialize() == bytes { Ok(parsed) } else { Err(SetError::MalformedShare(id)) }
}

impl<C: Ciphersuite> CommitmentSet<C> {
    /// Parses the commitments of `entries` for a signature of `group`.
    pub fn new<B: AsRef<[u8]>>(
        group: &GroupKey<C>,
        entries: impl IntoIterator<Item = (ParticipantId, B)>,
    ) -> Result<Self, SetError> {
        let (mut bytes, mut parsed) = (BTreeMap::new(), BTreeMap::new());
        for (id, raw) in entries {
            if !group.participants().contains(&id) {
                return Err(SetError::Stranger(id));
            }
            let identifier = id.identifier::<C>().map_err(|_| SetError::Stranger(id))?;
            let commitments = parse_commitment(raw.as_ref()).ok_or(SetError::MalformedCommitment(id))?;
            if bytes.insert(id, raw.as_ref().to_vec()).is_some() {
                return Err(SetError::Duplicate(id));
            }
            parsed.insert(identifier, commitments);
        }
        let set = Self { bytes, parsed };
        set.check_members(group)?;
        Ok(set)
    }

    /// Whether these are at least t participants of a group. The set may have been parsed for another.
    pub(crate) fn check_members(&self, group: &GroupKey<C>) -> Result<(), SetError> {
        if let Some(id) = self.bytes.keys().find(|id| !group.participants().contains(id)) {
            return Err(SetError::Stranger(*id));
        }
        if self.bytes.len() < usize::from(group.threshold()) {
            return Err(SetError::TooFew { got: self.bytes.len(), needed: group.threshold() });
        }
        Ok(())
    }

    /// Who signs, in order, with the bytes of each commitment.
    pub fn entries(&self) -> impl Iterator<Item = (ParticipantId, &[u8])> + '_ {
        self.bytes.iter().map(|(id, b)| (*id, b.as_slice()))
    }

    /// The commitment bytes of one signer.
    pub fn get(&self, id: ParticipantId) -> Option<&[u8]> {
        self.bytes.get(&id).map(Vec::as_slice)
    }

    pub(crate) fn package(&self, message: &[u8]) -> SigningPackage<C> {
        SigningPackage::new(self.parsed.clone(), message)
    }
}

/// Checks one signer's share alone. Aggregation checks only the sum, which two swapped shares still satisfy, so
/// that only this check says who contributed.
pub fn verify_share<C: Ciphersuite>(
    group: &GroupKey<C>,
    set: &CommitmentSet<C>,
    message: &[u8],
    from: ParticipantId,
    share: &[u8],
) -> Result<(), SetError> {
    if set.get(from).is_none() {
        return Err(SetError::Stranger(from));
    }
    let identifier = from.identifier::<C>().map_err(|_| SetError::Stranger(from))?;
    let verifying = group.package.verifying_shares().get(&identifier).ok_or(SetError::Stranger(from))?;
    let share = parse_share(from, share)?;
    let key = group.package.verifying_key();
    frost_core::verify_signature_share(identifier, verifying, &share, &set.package(message), key)
        .map_err(|_| SetError::WrongShare(from))
}

/// Adds up the shares of exactly the set's signers to a signature of the group, checking each share and the result.
/// Returns 65 bytes (compressed R ‖ z) for secp256k1 and the 64 bytes of RFC 8032 for Ed25519.
pub fn aggregate<C: Ciphersuite>(
    group: &GroupKey<C>,
    set: &CommitmentSet<C>,
    message: &[u8],
    shares: &BTreeMap<ParticipantId, Vec<u8>>,
) -> Result<Vec<u8>, SetError> {
    for (id, _) in set.entries() {
        verify_share(group, set, message, id, shares.get(&id).ok_or(SetError::MissingShare(id))?)?;
    }
    add_up(group, set, message, shares)
}

/// Adds up shares that were checked one by one, and checks the result.
pub(crate) fn add_up<C: Ciphersuite>(
    group: &GroupKey<C>,
    set: &CommitmentSet<C>,
    message: &[u8],
    shares: &BTreeMap<ParticipantId, Vec<u8>>,
) -> Result<Vec<u8>, SetError> {
    let mut parsed = BTreeMap::new();
    for (id, bytes) in shares {
        set.get(*id).ok_or(SetError::Stranger(*id))?;
        parsed.insert(id.identifier::<C>().map_err(|_| SetError::Stranger(*id))?, parse_share(*id, bytes)?);
    }
    // It verifies the signature before it gives it.
    frost_core::aggregate(&set.package(message), &parsed, &group.package)
        .and_then(|s| s.serialize())
        .map_err(|_| SetError::Aggregate)
}
