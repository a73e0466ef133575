use domain::{Address, ChainAmount, ChainId, Digest, EscrowDomain, PayoutAuthorisation, Time};
use escrow::{GroupKey, Signature};
use frost_secp256k1 as frost;
use rand::{Rng, rngs::StdRng};
use std::collections::BTreeMap;

/// A 2-of-3 quorum whose shares a dealer made.
pub struct Quorum {
    members: Vec<frost::keys::KeyPackage>,
    public: frost::keys::PublicKeyPackage,
}

impl Quorum {
    pub fn deal(rng: &mut StdRng) -> Self {
        let (shares, public) =
            frost::keys::generate_with_dealer(3, 2, frost::keys::IdentifierList::Default, rng).unwrap();
        Self { members: shares.into_values().map(|share| share.try_into().unwrap()).collect(), public }
    }

    pub fn key(&self) -> GroupKey {
        let bytes: [u8; 33] = self.public.verifying_key().serialize().unwrap().try_into().unwrap();
        GroupKey::from_sec1(&bytes).unwrap()
    }

    /// The library's 65 bytes, made by two members of the three.
    pub fn sign(&self, message: &[u8; 32], rng: &mut StdRng) -> [u8; 65] {
        let absent = rng.gen_range(0..self.members.len());
        let present = self.members.iter().enumerate().filter(|(i, _)| *i != absent).map(|(_, member)| member);
        let (mut nonces, mut commitments) = (Vec::new(), BTreeMap::new());
        for member in present {
            let (nonce, commitment) = frost::round1::commit(member.signing_share(), rng);
            commitments.insert(*member.identifier(), commitment);
            nonces.push((member, nonce));
        }
        let package = frost::SigningPackage::new(commitments, message);
        let shares = nonces
            .iter()
            .map(|(member, nonce)| (*member.identifier(), frost::round2::sign(&package, nonce, member).unwrap()))
            .collect();
        let signature = frost::aggregate(&package, &shares, &self.public).unwrap();
        signature.serialize().unwrap().try_into().unwrap()
    }

    pub fn sign_escrow(&self, message: &[u8; 32], rng: &mut StdRng) -> Signature {
        Signature::from_frost(&self.sign(message, rng)).unwrap()
    }
}

pub fn chain_amount(units: u128) -> ChainAmount {
    units.to_string().try_into().unwrap()
}

/// Any authorisation: one to 16 recipients, mostly few, amounts of every size.
pub fn random_authorisation(rng: &mut StdRng) -> PayoutAuthorisation {
    let recipients = if rng.gen_ratio(1, 25) { rng.gen_range(4..=16) } else { rng.gen_range(1..=3) };
    PayoutAuthorisation {
        domain: EscrowDomain {
            chain: ChainId(rng.r#gen::<u64>() >> rng.gen_range(0..63)),
            contract: Address(rng.r#gen()),
        },
        intent: Digest::from_bytes(rng.r#gen()),
        installation: Digest::from_bytes(rng.r#gen()),
        order: Digest::from_bytes(rng.r#gen()),
        asset: Address(if rng.r#gen() { [0; 20] } else { rng.r#gen() }),
        recipients: (0..recipients).map(|_| Address(rng.r#gen())).collect(),
        amounts: (0..recipients).map(|_| chain_amount(rng.r#gen::<u128>() >> rng.gen_range(0..127))).collect(),
        valid_until: Time::from_unix(rng.r#gen()),
        epoch: rng.r#gen(),
    }
}
