//! Keys of a quorum, made by a key generation in one process.

use domain::{Did, Digest};
use rand::rngs::StdRng;
use std::collections::BTreeMap;
use threshold::{
    CommitmentSet, Participant, ParticipantId, Roster,
    dkg::{self, Ceremony, Keys, SecretPackages},
};

type Map<T> = BTreeMap<ParticipantId, T>;

pub fn pid(id: u16) -> ParticipantId {
    ParticipantId::new(id).unwrap()
}

fn each<S, T>(states: Map<S>, mut step: impl FnMut(ParticipantId, S) -> T) -> Map<T> {
    states.into_iter().map(|(id, state)| (id, step(id, state))).collect()
}

fn split<A, B>(pairs: Map<(A, B)>) -> (Map<A>, Map<B>) {
    pairs.into_iter().map(|(id, (a, b))| ((id, a), (id, b))).unzip()
}

/// Shares of a fresh key of both suites.
pub fn generate(n: u16, t: u16, rng: &mut StdRng) -> Vec<Keys> {
    let id = Digest::sha256(b"ceremony");
    let member = |id: u16| Participant {
        id: pid(id),
        node: Did::from_key([u8::try_from(id).unwrap(); 32]),
        url: format!("http://127.0.0.1:{}", 7700 + id).parse().unwrap(),
    };
    let roster = Roster::new(1, t, (1..=n).map(member).collect()).unwrap();
    let begun = (1..=n).map(|p| (pid(p), dkg::begin(Ceremony::new(id, roster.clone(), pid(p)).unwrap(), rng).unwrap()));
    let (states, packages) = split(begun.collect());
    let (states, echoes) = split(each(states, |_, s| s.echo(&packages).unwrap()));
    let (states, secret) = split(each(states, |_, s| s.round2(&echoes).unwrap()));
    let mail = |to: ParticipantId| -> Map<SecretPackages> {
        let copy = |p: &SecretPackages| SecretPackages::from_bytes(&p.to_bytes()).unwrap();
        secret.iter().filter_map(|(from, all)| all.get(&to).map(|p| (*from, copy(p)))).collect()
    };
    let (states, confirmations) = split(each(states, |p, s| s.finish(&mail(p)).unwrap()));
    let mut states = each(states, |_, s| s.confirm(&confirmations).unwrap());

    let groups = states[&pid(1)].groups();
    let (secp, ed) = (groups.secp256k1.clone(), groups.ed25519.clone());
    let made: Vec<_> = states.iter_mut().take(t.into()).map(|(p, s)| (*p, s.commit(rng).unwrap())).collect();
    let secp_set = CommitmentSet::new(&secp, made.iter().map(|(p, c)| (*p, &c.secp256k1.bytes))).unwrap();
    let ed_set = CommitmentSet::new(&ed, made.iter().map(|(p, c)| (*p, &c.ed25519.bytes))).unwrap();
    let (mut secp_shares, mut ed_shares) = (Map::new(), Map::new());
    for (p, _) in &made {
        let state = states.get_mut(p).unwrap();
        secp_shares.insert(*p, state.sign_secp256k1(&secp_set).unwrap());
        ed_shares.insert(*p, state.sign_ed25519(&ed_set).unwrap());
    }
    let (m, e) = (dkg::test_message(&id, &secp).unwrap(), dkg::test_message(&id, &ed).unwrap());
    let secp_signature = threshold::aggregate(&secp, &secp_set, m.as_bytes(), &secp_shares).unwrap();
    let ed_signature = threshold::aggregate(&ed, &ed_set, e.as_bytes(), &ed_shares).unwrap();
    states.into_values().map(|s| s.accept(&secp_signature, &ed_signature).unwrap()).collect()
}
