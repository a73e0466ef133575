//! A quorum of 2 of 3 in one process.

use countersign_tests::Person;
use data_encoding::HEXLOWER;
use domain::Digest;
use ledger::{GroupKeys, GroupPackages, Participant, Quorum};
use rand::{SeedableRng as _, rngs::StdRng};
use std::{cell::RefCell, collections::BTreeMap};
use threshold::{
    Ciphersuite, CommitmentSet, KeyShare, Nonces, ParticipantId, Roster,
    dkg::{self, Ceremony, Keys, SecretPackages},
};

pub struct Signers {
    pub nodes: Vec<Person>,
    pub quorum: Quorum,
    keys: Vec<Keys>,
    rng: RefCell<StdRng>,
}

type Map<T> = BTreeMap<ParticipantId, T>;

impl Signers {
    pub fn new(epoch: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(epoch);
        let nodes: Vec<Person> = (1..=3).map(|id| Person::named(&format!("node {epoch} {id}"))).collect();
        let keys = generate(epoch, &nodes, &mut rng);
        let (secp, ed) = (keys[0].secp256k1.group(), keys[0].ed25519.group());
        let hex = |bytes: Vec<u8>| HEXLOWER.encode(&bytes);
        let ed_key: [u8; 32] = ed.verifying_key().unwrap().try_into().unwrap();
        let quorum = Quorum {
            epoch,
            threshold: 2,
            participants: (1..)
                .zip(&nodes)
                .map(|(id, node)| Participant { id, node: node.did, url: url(id) })
                .collect(),
            keys: GroupKeys { secp256k1: hex(secp.verifying_key().unwrap()), ed25519: domain::Did::from_key(ed_key) },
            packages: GroupPackages { secp256k1: hex(secp.to_bytes().unwrap()), ed25519: hex(ed.to_bytes().unwrap()) },
        };
        Self { nodes, quorum, keys, rng: RefCell::new(rng) }
    }

    pub fn sign_secp256k1(&self, message: &[u8]) -> Vec<u8> {
        sign(&self.keys.iter().map(|k| &k.secp256k1).take(2).collect::<Vec<_>>(), message, &mut self.rng.borrow_mut())
    }

    pub fn sign_ed25519(&self, message: &[u8]) -> [u8; 64] {
        let shares: Vec<_> = self.keys.iter().map(|k| &k.ed25519).skip(1).collect();
        sign(&shares, message, &mut self.rng.borrow_mut()).try_into().unwrap()
    }
}

fn url(id: u16) -> domain::NodeUrl {
    format!("http://127.0.0.1:{}", 7710 + id).parse().unwrap()
}

fn sign<C: Ciphersuite>(shares: &[&KeyShare<C>], message: &[u8], rng: &mut StdRng) -> Vec<u8> {
    let nonces: Vec<Nonces<C>> = shares.iter().map(|s| Nonces::generate(s, rng).unwrap()).collect();
    let commitments = shares.iter().zip(&nonces).map(|(s, n)| (s.id(), n.commitment().bytes));
    let set = CommitmentSet::new(shares[0].group(), commitments).unwrap();
    let made: Map<Vec<u8>> =
        shares.iter().zip(nonces).map(|(s, n)| (s.id(), n.sign(s, &set, message).unwrap())).collect();
    threshold::aggregate(shares[0].group(), &set, message, &made).unwrap()
}

/// A key generation in which nobody misbehaves.
fn generate(epoch: u64, nodes: &[Person], rng: &mut StdRng) -> Vec<Keys> {
    let member = |(id, node): (u16, &Person)| threshold::Participant {
        id: ParticipantId::new(id).unwrap(),
        node: node.did,
        url: url(id),
    };
    let roster = Roster::new(epoch, 2, (1..).zip(nodes).map(member).collect()).unwrap();
    let id = Digest::sha256(b"ceremony");
    let begin =
        |me: ParticipantId, rng: &mut StdRng| dkg::begin(Ceremony::new(id, roster.clone(), me).unwrap(), rng).unwrap();
    let ids: Vec<ParticipantId> = roster.ids().collect();
    let (states, packages): (Vec<_>, Map<_>) = ids
        .iter()
        .map(|me| {
            let (state, package) = begin(*me, rng);
            (state, (*me, package))
        })
        .unzip();
    let (states, echoes): (Vec<_>, Map<_>) = ids
        .iter()
        .zip(states)
        .map(|(me, state)| {
            let (state, echo) = state.echo(&packages).unwrap();
            (state, (*me, echo))
        })
        .unzip();
    let (states, mut mail): (Vec<_>, Map<_>) = ids
        .iter()
        .zip(states)
        .map(|(me, state)| {
            let (state, secret) = state.round2(&echoes).unwrap();
            (state, (*me, secret))
        })
        .unzip();
    let (states, confirmations): (Vec<_>, Map<_>) = ids
        .iter()
        .zip(states)
        .map(|(me, state)| {
            let mine: Map<SecretPackages> =
                mail.iter_mut().filter_map(|(from, all)| Some((*from, all.remove(me)?))).collect();
            let (state, confirmation) = state.finish(&mine).unwrap();
            (state, (*me, confirmation))
        })
        .unzip();
    let mut untested: Map<_> =
        ids.iter().copied().zip(states).map(|(me, s)| (me, s.confirm(&confirmations).unwrap())).collect();
    let groups = untested.values().next().unwrap().groups();
    let (secp, ed) = (groups.secp256k1.clone(), groups.ed25519.clone());
    let made: Vec<_> = untested.iter_mut().take(2).map(|(me, s)| (*me, s.commit(rng).unwrap())).collect();
    let secp_set = CommitmentSet::new(&secp, made.iter().map(|(me, c)| (*me, &c.secp256k1.bytes))).unwrap();
    let ed_set = CommitmentSet::new(&ed, made.iter().map(|(me, c)| (*me, &c.ed25519.bytes))).unwrap();
    let (mut secp_shares, mut ed_shares) = (Map::new(), Map::new());
    for (me, _) in &made {
        let state = untested.get_mut(me).unwrap();
        secp_shares.insert(*me, state.sign_secp256k1(&secp_set).unwrap());
        ed_shares.insert(*me, state.sign_ed25519(&ed_set).unwrap());
    }
    let message = dkg::test_message(&id, &secp).unwrap();
    let secp_signature = threshold::aggregate(&secp, &secp_set, message.as_bytes(), &secp_shares).unwrap();
    let message = dkg::test_message(&id, &ed).unwrap();
    let ed_signature = threshold::aggregate(&ed, &ed_set, message.as_bytes(), &ed_shares).unwrap();
    untested.into_values().map(|s| s.accept(&secp_signature, &ed_signature).unwrap()).collect()
}
