use crate::{ParticipantId, Roster, encoding};
use domain::Digest;
use frost_core::{
    Ciphersuite, Element, Group, Identifier, Signature, VerifyingKey, compute_lagrange_coefficient,
    keys::{KeyPackage, PublicKeyPackage},
};
use std::{collections::BTreeSet, fmt};
use zeroize::{ZeroizeOnDrop, Zeroizing};

/// The only layout of stored keys there has been.
const VERSION: u8 = 1;

/// The public half of a quorum's key: group verifying key, every participant's verifying share, t and n.
#[derive(Clone, PartialEq, Eq)]
pub struct GroupKey<C: Ciphersuite> {
    pub(crate) package: PublicKeyPackage<C>,
    participants: Vec<ParticipantId>,
    threshold: u16,
    /// Kept: making it takes an inversion for each participant, and every step of a session asks for it.
    digest: Digest,
}

/// One participant's secret share, with the group key that it belongs to. Erased when dropped, absent from `Debug`.
#[derive(ZeroizeOnDrop)]
pub struct KeyShare<C: Ciphersuite> {
    #[zeroize(skip)]
    id: ParticipantId,
    #[zeroize(skip)]
    epoch: u64,
    #[zeroize(skip)]
    group: GroupKey<C>,
    pub(crate) package: KeyPackage<C>,
}

/// Bytes are not a key, or a signature is not the group's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not the stored form of a key of this suite.
    #[error("not a key of suite {0} in the stored form")]
    Malformed(&'static str),
    /// The parts of a key contradict each other, or a share its group key.
    #[error("the parts of the key do not fit together")]
    Inconsistent,
    /// The signature is not a valid one of the group over the message.
    #[error("not a valid signature of the group")]
    Signature,
}

impl<C: Ciphersuite> GroupKey<C> {
    pub(crate) fn new(package: PublicKeyPackage<C>) -> Result<Self, KeyError> {
        let malformed = KeyError::Malformed(C::ID);
        let ids = package.verifying_shares().keys().map(ParticipantId::of).collect::<Option<Vec<_>>>();
        let (Some(participants), Some(threshold)) = (ids, package.min_signers()) else { return Err(malformed) };
        if threshold < 2 || usize::from(threshold) > participants.len() || participants.len() > crate::MAX_PARTICIPANTS
        {
            return Err(malformed);
        }
        if !lies_on_one_polynomial(&package, threshold) {
            return Err(KeyError::Inconsistent);
        }
        let digest = digest(&package)?;
        Ok(Self { package, participants, threshold, digest })
    }

    /// How many must sign together (t).
    pub const fn threshold(&self) -> u16 {
        self.threshold
    }

    /// The identifiers of all n participants in order.
    pub fn participants(&self) -> &[ParticipantId] {
        &self.participants
    }

    /// Whether the key is one of exactly this roster: the same identifiers and threshold.
    pub fn belongs_to(&self, roster: &Roster) -> bool {
        self.threshold == roster.threshold() && roster.ids().eq(self.participants.iter().copied())
    }

    /// The group's verifying key: 33 bytes SEC1 compressed for secp256k1, the 32 bytes of RFC 8032 for Ed25519.
    pub fn verifying_key(&self) -> Result<Vec<u8>, KeyError> {
        self.package.verifying_key().serialize().map_err(|_| KeyError::Malformed(C::ID))
    }

    /// One participant's verifying share, encoded like the verifying key; `None` for who is not of the group.
    pub fn verifying_share(&self, id: ParticipantId) -> Option<Vec<u8>> {
        let identifier = id.identifier::<C>().ok()?;
        self.package.verifying_shares().get(&identifier)?.serialize().ok()
    }

    /// The stored form: version byte 1, then frost-core's serialisation, which names the suite in its header.
    pub fn to_bytes(&self) -> Result<Vec<u8>, KeyError> {
        to_bytes(&self.package)
    }

    /// Parses [`Self::to_bytes`]; refuses another suite, another version and every second spelling.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        let malformed = || KeyError::Malformed(C::ID);
        let [package] = encoding::unpack(VERSION, bytes).ok_or_else(malformed)?;
        let key = Self::new(PublicKeyPackage::deserialize(package).map_err(|_| malformed())?)?;
        if key.to_bytes()? == bytes { Ok(key) } else { Err(malformed()) }
    }

    /// SHA-256 that names this key: of the suite and the stored form.
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// Verifies a group signature: 65 bytes (compressed R ‖ z) for secp256k1, 64 bytes of RFC 8032 for Ed25519.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), KeyError> {
        verify(self.package.verifying_key(), message, signature)
    }
}

fn to_bytes<C: Ciphersuite>(package: &PublicKeyPackage<C>) -> Result<Vec<u8>, KeyError> {
    let package = package.serialize().map_err(|_| KeyError::Malformed(C::ID))?;
    Ok(encoding::pack(VERSION, &[&package]).to_vec())
}

fn digest<C: Ciphersuite>(package: &PublicKeyPackage<C>) -> Result<Digest, KeyError> {
    Ok(encoding::digest("countersign group key v1", &[C::ID.as_bytes(), &to_bytes(package)?]))
}

/// Whether verifying shares and key are values of one polynomial of degree t − 1, at the identifiers and at zero. Any
/// other ones would name honest signers as culprits, or let fewer than t sign.
fn lies_on_one_polynomial<C: Ciphersuite>(package: &PublicKeyPackage<C>, threshold: u16) -> bool {
    let (key, t) = (package.verifying_key().to_element(), usize::from(threshold));
    let at = |count, x| interpolate(package, count, x);
    at(t, None) == Some(key)
        && at(t.saturating_sub(1), None) != Some(key)
        && (package.verifying_shares().iter().skip(t)).all(|(id, share)| at(t, Some(*id)) == Some(share.to_element()))
}

/// The value at `x`, or at zero, of the polynomial through the first `count` verifying shares.
#[expect(clippy::arithmetic_side_effects, reason = "group arithmetic cannot overflow")]
fn interpolate<C: Ciphersuite>(
    package: &PublicKeyPackage<C>,
    count: usize,
    x: Option<Identifier<C>>,
) -> Option<Element<C>> {
    let points = || package.verifying_shares().iter().take(count);
    let ids: BTreeSet<_> = points().map(|(id, _)| *id).collect();
    points().try_fold(C::Group::identity(), |sum, (id, share)| {
        Some(sum + share.to_element() * compute_lagrange_coefficient(&ids, x, *id).ok()?)
    })
}

fn verify<C: Ciphersuite>(key: &VerifyingKey<C>, message: &[u8], signature: &[u8]) -> Result<(), KeyError> {
    let signature = Signature::<C>::deserialize(signature).map_err(|_| KeyError::Signature)?;
    key.verify(message, &signature).map_err(|_| KeyError::Signature)
}

impl<C: Ciphersuite> KeyShare<C> {
    #[expect(clippy::arithmetic_side_effects, reason = "group arithmetic cannot overflow")]
    pub(crate) fn new(epoch: u64, package: KeyPackage<C>, group: GroupKey<C>) -> Result<Self, KeyError> {
        let id = ParticipantId::of(package.identifier()).ok_or(KeyError::Inconsistent)?;
        let public = C::Group::generator() * package.signing_share().to_scalar();
        let consistent = package.verifying_key() == group.package.verifying_key()
            && *package.min_signers() == group.threshold
            && group.package.verifying_shares().get(package.identifier()) == Some(package.verifying_share())
            && package.verifying_share().to_element() == public;
        if consistent { Ok(Self { id, epoch, group, package }) } else { Err(KeyError::Inconsistent) }
    }

    /// Whose share it is.
    pub const fn id(&self) -> ParticipantId {
        self.id
    }

    /// The epoch of the key.
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The group key that it is a share of.
    pub const fn group(&self) -> &GroupKey<C> {
        &self.group
    }

    /// The plaintext for an encrypted key store: version byte 1, then epoch (8 bytes), frost-core's key package and
    /// the group key, each after its length as four big-endian bytes. Both packages name the suite in their header.
    pub fn to_secret_bytes(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let package = Zeroizing::new(self.package.serialize().map_err(|_| KeyError::Malformed(C::ID))?);
        Ok(encoding::pack(VERSION, &[&self.epoch.to_be_bytes(), &package, &self.group.to_bytes()?]))
    }

    /// Parses [`Self::to_secret_bytes`] and checks that secret share, verifying share and group key belong together.
    pub fn from_secret_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        let malformed = || KeyError::Malformed(C::ID);
        let [epoch, package, group] = encoding::unpack(VERSION, bytes).ok_or_else(malformed)?;
        let epoch = u64::from_be_bytes(epoch.try_into().map_err(|_| malformed())?);
        let package = KeyPackage::deserialize(package).map_err(|_| malformed())?;
        let share = Self::new(epoch, package, GroupKey::from_bytes(group)?)?;
        if share.to_secret_bytes()?.as_slice() == bytes { Ok(share) } else { Err(malformed()) }
    }
}

impl<C: Ciphersuite> fmt::Debug for KeyShare<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyShare")
            .field("suite", &C::ID)
            .field("id", &self.id.get())
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}

impl<C: Ciphersuite> fmt::Debug for GroupKey<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n = self.participants.len();
        f.debug_struct("GroupKey")
            .field("suite", &C::ID)
            .field("t", &self.threshold)
            .field("n", &n)
            .finish_non_exhaustive()
    }
}
