//! Distributed key generation as a typestate: each step consumes the one before, so none runs twice or out of order.
//!
//! One ceremony makes both keys of a roster. [`begin`] → packages broadcast → [`Round1::echo`] → echoes compared in
//! [`Echoed::round2`] → packages sealed to each recipient → [`Round2::finish`] → confirmations compared in
//! [`Unconfirmed::confirm`] → a test signature by [`Untested`] → [`Keys`]. Key generation has no robustness: after any
//! error the ceremony is over, and another starts without the culprits. Every step needs a message of each of the n
//! participants, its own included, whose sender the caller has authenticated.

mod error;
mod packages;
mod proof;
mod suite;

pub use error::{DkgError, DkgFault};
pub use packages::{Packages, SecretPackages};
pub use proof::{Keys, Untested, test_message};

use crate::{Both, Ed25519, ParticipantId, Roster, Secp256k1, encoding};
use domain::Digest;
use rand_core::{CryptoRng, RngCore};
use std::collections::{BTreeMap, BTreeSet};

/// What everyone in one key generation agrees on beforehand, and who runs it here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ceremony {
    id: Digest,
    roster: Roster,
    me: ParticipantId,
}

/// The first packages are made; those of the others are awaited.
#[derive(Debug)]
pub struct Round1 {
    ceremony: Ceremony,
    own: Packages,
    secret: Both<suite::Secret1<Secp256k1>, suite::Secret1<Ed25519>>,
}

/// All first packages are here; that everyone has the same ones is not yet known.
#[derive(Debug)]
pub struct Echoed {
    ceremony: Ceremony,
    echo: Digest,
    secret: Both<suite::Secret1<Secp256k1>, suite::Secret1<Ed25519>>,
    received: Both<suite::Round1Map<Secp256k1>, suite::Round1Map<Ed25519>>,
}

/// Everyone has the same first packages; the confidential ones are awaited.
#[derive(Debug)]
pub struct Round2 {
    ceremony: Ceremony,
    secret: Both<suite::Secret2<Secp256k1>, suite::Secret2<Ed25519>>,
    received: Both<suite::Round1Map<Secp256k1>, suite::Round1Map<Ed25519>>,
}

/// The keys are computed; that everyone computed the same ones is not yet known.
#[derive(Debug)]
pub struct Unconfirmed {
    ceremony: Ceremony,
    confirmation: Digest,
    keys: Keys,
}

impl Ceremony {
    /// The ceremony `id` for `roster`, run by `me`. The id is fresh for every attempt.
    pub fn new(id: Digest, roster: Roster, me: ParticipantId) -> Result<Self, DkgError> {
        if roster.get(me).is_none() {
            return Err(DkgError::of(DkgFault::Stranger, [me]));
        }
        Ok(Self { id, roster, me })
    }

    /// The id of this attempt.
    pub const fn id(&self) -> Digest {
        self.id
    }

    /// Who takes part.
    pub const fn roster(&self) -> &Roster {
        &self.roster
    }

    /// Who runs it here.
    pub const fn me(&self) -> ParticipantId {
        self.me
    }

    /// Hashes `parts` together with everything agreed on beforehand.
    fn digest(&self, context: &str, parts: &[&[u8]]) -> Digest {
        let epoch = self.roster.epoch().to_be_bytes();
        let (t, n) = (self.roster.threshold().to_be_bytes(), self.roster.size().to_be_bytes());
        let members: Vec<u8> = (self.roster.participants().iter())
            .flat_map(|p| p.id.get().to_be_bytes().into_iter().chain(*p.node.key()))
            .collect();
        let agreed: [&[u8]; 5] = [self.id.as_bytes(), &epoch, &t, &n, &members];
        encoding::digest(context, &[agreed.as_slice(), parts].concat())
    }

    /// Requires one message of each participant and no other.
    fn complete<T>(&self, messages: &BTreeMap<ParticipantId, T>) -> Result<(), DkgError> {
        let strangers: Vec<_> = messages.keys().copied().filter(|id| self.roster.get(*id).is_none()).collect();
        if !strangers.is_empty() {
            return Err(DkgError::of(DkgFault::Stranger, strangers));
        }
        let missing: Vec<_> = self.roster.ids().filter(|id| !messages.contains_key(id)).collect();
        if missing.is_empty() { Ok(()) } else { Err(DkgError::of(DkgFault::Missing, missing)) }
    }

    /// Requires `own` of every participant.
    fn equal(&self, own: Digest, all: &BTreeMap<ParticipantId, Digest>, fault: DkgFault) -> Result<(), DkgError> {
        self.complete(all)?;
        let different: Vec<_> = all.iter().filter(|(_, d)| **d != own).map(|(id, _)| *id).collect();
        if different.is_empty() { Ok(()) } else { Err(DkgError::disagreement(fault, different)) }
    }
}

/// Starts a ceremony. The packages go to every other participant, the same to each.
pub fn begin<R: RngCore + CryptoRng>(ceremony: Ceremony, rng: &mut R) -> Result<(Round1, Packages), DkgError> {
    let (secp_secret, secp256k1) = suite::part1::<Secp256k1, R>(&ceremony, rng)?;
    let (ed_secret, ed25519) = suite::part1::<Ed25519, R>(&ceremony, rng)?;
    let own = Packages { secp256k1, ed25519 };
    let secret = Both { secp256k1: secp_secret, ed25519: ed_secret };
    Ok((Round1 { ceremony, own: own.clone(), secret }, own))
}

impl Round1 {
    /// Takes the first packages of all n participants and returns the echo: SHA-256 over all of them in the order of
    /// identifiers and over what was agreed on beforehand. It goes to every other participant, because somebody who
    /// sends different packages to two of them would otherwise leave them with different keys.
    pub fn echo(self, all: &BTreeMap<ParticipantId, Packages>) -> Result<(Echoed, Digest), DkgError> {
        let Self { ceremony, own, secret } = self;
        ceremony.complete(all)?;
        if all.get(&ceremony.me) != Some(&own) {
            return Err(DkgError::of(DkgFault::Altered, []));
        }
        let received = Both {
            secp256k1: suite::parse_round1(&ceremony, all, |p| &p.secp256k1)?,
            ed25519: suite::parse_round1(&ceremony, all, |p| &p.ed25519)?,
        };
        let ids: Vec<_> = all.keys().map(|id| id.get().to_be_bytes()).collect();
        let parts: Vec<&[u8]> = (ids.iter().zip(all.values()))
            .flat_map(|(id, p)| [id.as_slice(), p.secp256k1.as_slice(), p.ed25519.as_slice()])
            .collect();
        let echo = ceremony.digest("countersign dkg echo v1", &parts);
        Ok((Echoed { ceremony, echo, secret, received }, echo))
    }
}

impl Echoed {
    /// Takes the echoes of all n participants; only when all are equal are shares made. Each returned package is for
    /// its recipient alone and must be sealed to it.
    pub fn round2(
        self,
        echoes: &BTreeMap<ParticipantId, Digest>,
    ) -> Result<(Round2, BTreeMap<ParticipantId, SecretPackages>), DkgError> {
        let Self { ceremony, echo, secret, received } = self;
        ceremony.equal(echo, echoes, DkgFault::EchoesDiffer)?;
        let (secp_secret, secp_out) = suite::part2(&ceremony, secret.secp256k1, &received.secp256k1)?;
        let (ed_secret, mut ed_out) = suite::part2(&ceremony, secret.ed25519, &received.ed25519)?;
        let mut out = BTreeMap::new();
        for (id, secp256k1) in secp_out {
            let ed25519 = ed_out.remove(&id).ok_or_else(|| DkgError::of(DkgFault::Missing, [id]))?;
            out.insert(id, SecretPackages { secp256k1, ed25519 });
        }
        let secret = Both { secp256k1: secp_secret, ed25519: ed_secret };
        Ok((Round2 { ceremony, secret, received }, out))
    }
}

impl Round2 {
    /// Takes the packages that the n − 1 others made for this participant. The confirmation, SHA-256 over both group
    /// keys and what was agreed on beforehand, goes to every other participant.
    pub fn finish(self, received: &BTreeMap<ParticipantId, SecretPackages>) -> Result<(Unconfirmed, Digest), DkgError> {
        let Self { ceremony, secret, received: round1 } = self;
        let secp256k1 = suite::part3(&ceremony, &secret.secp256k1, &round1.secp256k1, received, |p| &p.secp256k1)?;
        let ed25519 = suite::part3(&ceremony, &secret.ed25519, &round1.ed25519, received, |p| &p.ed25519)?;
        let (secp_key, ed_key) = (secp256k1.group().to_bytes()?, ed25519.group().to_bytes()?);
        let confirmation = ceremony.digest("countersign dkg confirmation v1", &[&secp_key, &ed_key]);
        let keys = Keys { secp256k1, ed25519 };
        Ok((Unconfirmed { ceremony, confirmation, keys }, confirmation))
    }
}

impl Unconfirmed {
    /// The keys computed here, for showing to people; nothing can be signed with them yet.
    pub const fn groups(&self) -> Both<&crate::GroupKey<Secp256k1>, &crate::GroupKey<Ed25519>> {
        Both { secp256k1: self.keys.secp256k1.group(), ed25519: self.keys.ed25519.group() }
    }

    /// Takes the confirmations of all n participants; only when all are equal may the test signature be made.
    pub fn confirm(self, confirmations: &BTreeMap<ParticipantId, Digest>) -> Result<Untested, DkgError> {
        self.ceremony.equal(self.confirmation, confirmations, DkgFault::KeysDiffer)?;
        Ok(Untested::new(self.ceremony.id, self.keys))
    }
}

/// Who sent different first packages to different participants, given what several of them received. It is a proof
/// only as far as each package is authenticated by its sender's signature.
pub fn equivocators<'a>(
    views: impl IntoIterator<Item = &'a BTreeMap<ParticipantId, Packages>>,
) -> BTreeSet<ParticipantId> {
    let mut seen: BTreeMap<ParticipantId, &Packages> = BTreeMap::new();
    let mut found = BTreeSet::new();
    for (id, packages) in views.into_iter().flatten() {
        if seen.insert(*id, packages).is_some_and(|first| first != packages) {
            found.insert(*id);
        }
    }
    found
}
