#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "tests")]

use super::*;
use messages::DkgGroupKeys;
use rand::{SeedableRng as _, rngs::StdRng};
use std::collections::BTreeMap;
use threshold::{ParticipantId, Roster, dkg};

const THRESHOLD: u16 = 2;

fn ceremony() -> Digest {
    Digest::sha256(b"ceremony")
}

fn participants() -> Vec<Participant> {
    let one = |id: u16| Participant {
        id,
        node: Did::from_key([u8::try_from(id).unwrap(); 32]),
        url: format!("http://127.0.0.1:{}", 7700 + id).parse().unwrap(),
    };
    (1..=3).map(one).collect()
}

/// What three honest signers confirm.
fn confirmed(seed: u64) -> Vec<DkgConfirmed> {
    let mut rng = StdRng::seed_from_u64(seed);
    let member =
        |p: Participant| threshold::Participant { id: ParticipantId::new(p.id).unwrap(), node: p.node, url: p.url };
    let roster = Roster::new(1, THRESHOLD, participants().into_iter().map(member).collect()).unwrap();
    let (mut states, mut packages) = (BTreeMap::new(), BTreeMap::new());
    for id in roster.ids() {
        let own = dkg::Ceremony::new(ceremony(), roster.clone(), id).unwrap();
        let (state, package) = dkg::begin(own, &mut rng).unwrap();
        states.insert(id, state);
        packages.insert(id, package);
    }
    let echoed: BTreeMap<_, _> = states.into_iter().map(|(id, s)| (id, s.echo(&packages).unwrap())).collect();
    let echoes = echoed.iter().map(|(id, (_, echo))| (*id, *echo)).collect();
    let sent: BTreeMap<_, _> = echoed.into_iter().map(|(id, (s, _))| (id, s.round2(&echoes).unwrap())).collect();
    let mut mail: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
    let mut waiting = Vec::new();
    for (from, (state, secrets)) in sent {
        for (to, secret) in secrets {
            mail.entry(to).or_default().insert(from, secret);
        }
        waiting.push((from, state));
    }
    let finished: BTreeMap<_, _> = waiting.into_iter().map(|(id, s)| (id, s.finish(&mail[&id]).unwrap())).collect();
    let confirmations = finished.iter().map(|(id, (_, c))| (*id, *c)).collect();
    let confirm = |(id, (state, _)): (ParticipantId, (dkg::Unconfirmed, _))| {
        let tested = state.confirm(&confirmations).unwrap();
        let groups = tested.groups();
        DkgConfirmed {
            ceremony: ceremony(),
            participant: id.get(),
            confirmation: Digest::sha256(b"confirmation"),
            group_keys: DkgGroupKeys {
                secp256k1: Hex(groups.secp256k1.verifying_key().unwrap()),
                ed25519: Hex(groups.ed25519.verifying_key().unwrap()),
            },
            packages: DkgGroupKeys {
                secp256k1: Hex(groups.secp256k1.to_bytes().unwrap()),
                ed25519: Hex(groups.ed25519.to_bytes().unwrap()),
            },
        }
    };
    finished.into_iter().map(confirm).collect()
}

fn agreed(confirmed: &[DkgConfirmed], threshold: u16, participants: &[Participant]) -> anyhow::Result<Made> {
    Made::agreed(&ceremony(), threshold, participants, &confirmed.iter().collect::<Vec<_>>())
}

#[test]
fn the_keys_are_those_of_the_packages() {
    let all = confirmed(1);
    let (keys, packages) = agreed(&all, THRESHOLD, &participants()).unwrap().into_parts().unwrap();
    assert_eq!(keys.secp256k1, all[0].group_keys.secp256k1.to_text());
    assert_eq!(keys.ed25519, Did::from_key(all[0].group_keys.ed25519.0.clone().try_into().unwrap()));
    assert_eq!(packages.ed25519, all[2].packages.ed25519.to_text());
}

#[test]
fn no_signer_can_say_another_key() {
    let (honest, other) = (confirmed(1), confirmed(2)[0].clone());
    for liar in 0..3 {
        let lies: [fn(&mut DkgConfirmed, &DkgConfirmed); 6] = [
            |said, other| said.group_keys.secp256k1 = other.group_keys.secp256k1.clone(),
            |said, other| said.group_keys.ed25519 = other.group_keys.ed25519.clone(),
            |said, other| said.packages.secp256k1 = other.packages.secp256k1.clone(),
            |said, other| said.packages = other.packages.clone(),
            |said, _| said.participant = 7,
            |said, _| said.ceremony = Digest::sha256(b"another ceremony"),
        ];
        for (n, lie) in lies.iter().enumerate() {
            let mut all = honest.clone();
            lie(&mut all[liar], &other);
            assert!(agreed(&all, THRESHOLD, &participants()).is_err(), "lie {n} of signer {liar}");
        }
    }
}

#[test]
fn another_quorums_keys_are_refused() {
    let all = confirmed(1);
    assert!(agreed(&all, 3, &participants()).is_err(), "another threshold");
    assert!(agreed(&all[..2], THRESHOLD, &participants()).is_err(), "an answer is missing");
    assert!(agreed(&all[..2], THRESHOLD, &participants()[..2]).is_err(), "fewer participants");
    let mut renamed = participants();
    renamed[2].id = 4;
    assert!(agreed(&all, THRESHOLD, &renamed).is_err(), "other identifiers");
    assert!(agreed(&[], THRESHOLD, &[]).is_err());
}
