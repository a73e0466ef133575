//! The rounds of one suite.

use super::{Ceremony, DkgError, DkgFault, Packages, SecretPackages};
use crate::{GroupKey, KeyShare, ParticipantId};
use frost_core::{
    Ciphersuite, Identifier,
    keys::dkg::{self, round1, round2},
};
use rand_core::{CryptoRng, RngCore};
use std::collections::BTreeMap;
use zeroize::Zeroizing;

pub(super) type Secret1<C> = round1::SecretPackage<C>;
pub(super) type Secret2<C> = round2::SecretPackage<C>;
/// The first packages of the n − 1 others.
pub(super) type Round1Map<C> = BTreeMap<Identifier<C>, round1::Package<C>>;

/// A secret package for each of the n − 1 others.
pub(super) type Outgoing = BTreeMap<ParticipantId, Zeroizing<Vec<u8>>>;

pub(super) fn part1<C: Ciphersuite, R: RngCore + CryptoRng>(
    ceremony: &Ceremony,
    rng: &mut R,
) -> Result<(Secret1<C>, Vec<u8>), DkgError> {
    let (n, t) = (ceremony.roster().size(), ceremony.roster().threshold());
    let (secret, package) = dkg::part1::<C, _>(ceremony.me().identifier()?, n, t, rng)?;
    Ok((secret, package.serialize()?))
}

pub(super) fn parse_round1<C: Ciphersuite>(
    ceremony: &Ceremony,
    all: &BTreeMap<ParticipantId, Packages>,
    bytes: fn(&Packages) -> &Vec<u8>,
) -> Result<Round1Map<C>, DkgError> {
    let degree = usize::from(ceremony.roster().threshold());
    let mut parsed = BTreeMap::new();
    for (id, packages) in all.iter().filter(|(id, _)| **id != ceremony.me()) {
        let package = round1::Package::<C>::deserialize(bytes(packages))
            .ok()
            .filter(|p| p.commitment().coefficients().len() == degree)
            // frost-core ignores trailing bytes, which would give one package many spellings.
            .filter(|p| p.serialize().is_ok_and(|again| again == *bytes(packages)))
            .ok_or_else(|| DkgError::of(DkgFault::Malformed, [*id]))?;
        parsed.insert(id.identifier()?, package);
    }
    Ok(parsed)
}

pub(super) fn part2<C: Ciphersuite>(
    ceremony: &Ceremony,
    secret: Secret1<C>,
    round1: &Round1Map<C>,
) -> Result<(Secret2<C>, Outgoing), DkgError> {
    let (secret, packages) = dkg::part2(secret, round1)?;
    let mut out = Outgoing::new();
    for id in ceremony.roster().ids().filter(|id| *id != ceremony.me()) {
        let package = packages.get(&id.identifier()?).ok_or_else(|| DkgError::of(DkgFault::Missing, [id]))?;
        out.insert(id, Zeroizing::new(package.serialize()?));
    }
    Ok((secret, out))
}

pub(super) fn part3<C: Ciphersuite>(
    ceremony: &Ceremony,
    secret: &Secret2<C>,
    round1: &Round1Map<C>,
    received: &BTreeMap<ParticipantId, SecretPackages>,
    bytes: fn(&SecretPackages) -> &Zeroizing<Vec<u8>>,
) -> Result<KeyShare<C>, DkgError> {
    let strangers: Vec<_> =
        (received.keys().copied()).filter(|id| *id == ceremony.me() || ceremony.roster().get(*id).is_none()).collect();
    if !strangers.is_empty() {
        return Err(DkgError::of(DkgFault::Stranger, strangers));
    }
    let others = || ceremony.roster().ids().filter(|id| *id != ceremony.me());
    let missing: Vec<_> = others().filter(|id| !received.contains_key(id)).collect();
    if !missing.is_empty() {
        return Err(DkgError::of(DkgFault::Missing, missing));
    }
    let mut packages = BTreeMap::new();
    for (id, secret_packages) in received {
        let package = round2::Package::<C>::deserialize(bytes(secret_packages))
            .ok()
            .filter(|p| p.serialize().is_ok_and(|again| Zeroizing::new(again) == *bytes(secret_packages)))
            .ok_or_else(|| DkgError::of(DkgFault::Malformed, [*id]))?;
        packages.insert(id.identifier::<C>()?, package);
    }
    let (key, public) = dkg::part3(secret, round1, &packages)?;
    let group = GroupKey::new(public)?;
    Ok(KeyShare::new(ceremony.roster().epoch(), key, group)?)
}
