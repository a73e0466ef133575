use crate::cluster::{
    Map, begin, ceremony, confirm, echo, finish, keys, mail, pid, rng, round2, step, test_signatures, untested,
};
use domain::Digest;
use proptest::prelude::*;
use threshold::{
    ParticipantId,
    dkg::{self, Ceremony, DkgError, DkgFault, Packages, SecretPackages},
};

/// What one participant does wrong, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Round1Missing,
    Round1Garbage,
    Round1Trailing,
    Round1Stolen,
    Round1Degree,
    Equivocates,
    EchoMissing,
    EchoWrong,
    Round2Missing,
    Round2Garbage,
    Round2Trailing,
    Round2Swapped,
    ConfirmationMissing,
    ConfirmationWrong,
}

const FAULTS: [Fault; 14] = [
    Fault::Round1Missing,
    Fault::Round1Garbage,
    Fault::Round1Trailing,
    Fault::Round1Stolen,
    Fault::Round1Degree,
    Fault::Equivocates,
    Fault::EchoMissing,
    Fault::EchoWrong,
    Fault::Round2Missing,
    Fault::Round2Garbage,
    Fault::Round2Trailing,
    Fault::Round2Swapped,
    Fault::ConfirmationMissing,
    Fault::ConfirmationWrong,
];

/// Runs a ceremony of n in which `bad` commits `fault` against `victim`; returns what the others end with.
fn run(n: u16, t: u16, bad: ParticipantId, victim: ParticipantId, fault: Fault, seed: u64) -> (usize, Map<DkgError>) {
    let mut rng = rng(seed);
    let (states, honest) = begin(n, t, &mut rng);
    let other = begin(n, t, &mut rng).1[&bad].clone();
    let wide = begin(n, if t == n { t - 1 } else { t + 1 }, &mut rng).1[&bad].clone();
    let packages = |id: ParticipantId| {
        let mut view = honest.clone();
        match fault {
            _ if id == bad => {}
            Fault::Round1Missing => drop(view.remove(&bad)),
            Fault::Round1Garbage => view.get_mut(&bad).unwrap().ed25519.truncate(9),
            Fault::Round1Trailing => view.get_mut(&bad).unwrap().secp256k1.push(0),
            Fault::Round1Stolen => drop(view.insert(bad, honest[&victim].clone())),
            Fault::Round1Degree => drop(view.insert(bad, wide.clone())),
            Fault::Equivocates if id == victim => drop(view.insert(bad, other.clone())),
            _ => {}
        }
        view
    };
    let views: Vec<Map<Packages>> = honest.keys().map(|id| packages(*id)).collect();
    if fault == Fault::Equivocates {
        assert_eq!(dkg::equivocators(&views).into_iter().collect::<Vec<_>>(), [bad]);
    }
    let (states, mut echoes, mut errors) = step(states, packages, echo);
    if fault == Fault::Round1Stolen {
        // The thief echoes what it sent, so that only its proof of knowledge gives it away.
        let claimed = *echoes.iter().find(|(id, _)| **id != bad).unwrap().1;
        echoes.insert(bad, claimed);
    }
    let digests = |all: &Map<Digest>, missing, wrong| {
        let mut view = all.clone();
        if fault == missing {
            view.remove(&bad);
        }
        if fault == wrong {
            view.insert(bad, Digest::sha256(b"wrong"));
        }
        view
    };
    let (states, secret, more) = step(states, |_| digests(&echoes, Fault::EchoMissing, Fault::EchoWrong), round2);
    errors.extend(more);
    let inbox = |id: ParticipantId| {
        let mut mine = mail(&secret, id);
        if id == victim && mine.contains_key(&bad) {
            let sent = &secret[&bad];
            let sent_to = |to: ParticipantId| sent[&to].to_bytes();
            match fault {
                Fault::Round2Missing => drop(mine.remove(&bad)),
                Fault::Round2Garbage => {
                    let mut bytes = sent_to(victim);
                    let last = bytes.len() - 1;
                    bytes[last - 8] ^= 1;
                    mine.insert(bad, SecretPackages::from_bytes(&bytes).unwrap());
                }
                Fault::Round2Trailing => {
                    let mut bytes = sent_to(victim).to_vec();
                    // The last byte of the length before the last package of 37 bytes.
                    let length = bytes.len() - 38;
                    bytes[length] += 1;
                    bytes.push(0);
                    mine.insert(bad, SecretPackages::from_bytes(&bytes).unwrap());
                }
                Fault::Round2Swapped => {
                    let third = *sent.keys().find(|id| **id != victim).unwrap();
                    mine.insert(bad, SecretPackages::from_bytes(&sent_to(third)).unwrap());
                }
                _ => {}
            }
        }
        mine
    };
    let (states, confirmations, more) = step(states, inbox, finish);
    errors.extend(more);
    let all = digests(&confirmations, Fault::ConfirmationMissing, Fault::ConfirmationWrong);
    let (states, _, more) = step(states, |_| all.clone(), confirm);
    errors.extend(more);
    errors.remove(&bad);
    (states.keys().filter(|id| **id != bad).count(), errors)
}

/// Nobody honest gets a key, and whoever the fault can be pinned on is the one who did it.
fn check(n: u16, t: u16, bad: u16, victim: u16, fault: Fault, seed: u64) {
    let (bad, victim) = (pid(bad), pid(victim));
    let (usable, errors) = run(n, t, bad, victim, fault, seed);
    assert_eq!(usable, 0, "{fault:?}: somebody went on");
    let named = |kind: DkgFault| {
        for (id, e) in &errors {
            assert_eq!((&e.fault, e.culprits.as_slice()), (&kind, [bad].as_slice()), "{fault:?} at {id}");
        }
    };
    let differs = |kind: DkgFault, who: &[ParticipantId]| {
        for e in errors.values() {
            assert_eq!((&e.fault, e.culprits.as_slice()), (&kind, [].as_slice()), "{fault:?} accuses without proof");
            assert!(who.is_empty() || e.disagreeing == who, "{fault:?}: {e}");
        }
    };
    let victim_names = |kinds: &[DkgFault]| {
        let e = &errors[&victim];
        assert!(kinds.contains(&e.fault) && e.culprits == [bad], "{fault:?}: {e}");
    };
    match fault {
        Fault::Round1Missing | Fault::EchoMissing | Fault::ConfirmationMissing => named(DkgFault::Missing),
        Fault::Round1Garbage | Fault::Round1Trailing | Fault::Round1Degree => named(DkgFault::Malformed),
        Fault::Round1Stolen => named(DkgFault::ProofOfKnowledge),
        Fault::Equivocates => differs(DkgFault::EchoesDiffer, &[]),
        Fault::EchoWrong => differs(DkgFault::EchoesDiffer, &[bad]),
        Fault::ConfirmationWrong => differs(DkgFault::KeysDiffer, &[bad]),
        Fault::Round2Missing => victim_names(&[DkgFault::Missing]),
        Fault::Round2Trailing => victim_names(&[DkgFault::Malformed]),
        Fault::Round2Garbage | Fault::Round2Swapped => victim_names(&[DkgFault::SecretShare, DkgFault::Malformed]),
    }
}

#[test]
fn every_fault_stops_a_ceremony_of_three_and_names_who_can_be_named() {
    for fault in FAULTS {
        check(3, 2, 2, 3, fault, 1);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn faults_in_any_cluster(n in 3_u16..=5, t in 2_u16..=5, bad in 0_u16..5, skip in 1_u16..5, fault in 0..FAULTS.len(), seed: u64) {
        let t = t.min(n);
        let (bad, skip) = (bad % n, 1 + skip % (n - 1));
        check(n, t, 1 + bad, 1 + (bad + skip) % n, FAULTS[fault], seed);
    }
}

#[test]
fn everyone_ends_with_the_same_two_keys() {
    let keys = keys(3, 2, &mut rng(3));
    for k in &keys {
        assert_eq!(k.secp256k1.group(), keys[0].secp256k1.group());
        assert_eq!(k.ed25519.group(), keys[0].ed25519.group());
    }
    let (secp, ed) = (keys[0].secp256k1.group(), keys[0].ed25519.group());
    assert_eq!((secp.verifying_key().unwrap().len(), ed.verifying_key().unwrap().len()), (33, 32));
    assert!(secp.belongs_to(&crate::cluster::roster(3, 2)));
    assert!(!secp.belongs_to(&crate::cluster::roster(3, 3)) && !secp.belongs_to(&crate::cluster::roster(4, 2)));
}

#[test]
fn no_key_is_released_without_its_own_test_signatures() {
    let mut rng = rng(4);
    let mut states = untested(3, 2, &mut rng);
    let (secp, ed) = test_signatures(&mut states, 2, &mut rng);
    let (_, state) = states.pop_first().unwrap();
    state.check(&secp, &ed).unwrap();
    let mut wrong = ed.clone();
    wrong[40] ^= 1;
    for (s, e) in [(&secp, &wrong), (&ed, &secp), (&secp, &Vec::new())] {
        assert!(matches!(state.check(s, e).unwrap_err().fault, DkgFault::Test(_)));
    }
    let mut other = untested(3, 2, &mut rng);
    let (other_secp, other_ed) = test_signatures(&mut other, 2, &mut rng);
    assert!(state.accept(&other_secp, &other_ed).is_err(), "a signature of another key");
}

#[test]
fn an_altered_own_package_is_noticed() {
    let mut rng = rng(5);
    let (mut states, packages) = begin(3, 2, &mut rng);
    let mut view = packages.clone();
    view.insert(pid(1), begin(3, 2, &mut rng).1[&pid(1)].clone());
    let e = states.remove(&pid(1)).unwrap().echo(&view).unwrap_err();
    assert_eq!((e.fault, e.culprits), (DkgFault::Altered, vec![]));
    let mut view = packages.clone();
    view.insert(pid(9), packages[&pid(3)].clone());
    let e = states.remove(&pid(2)).unwrap().echo(&view).unwrap_err();
    assert_eq!((e.fault, e.culprits), (DkgFault::Stranger, vec![pid(9)]));
}

#[test]
fn an_echo_covers_what_was_agreed_on() {
    let (id, other) = (Digest::sha256(b"ceremony"), Digest::sha256(b"another"));
    let echo_of = |id: Digest| {
        let mut rng = rng(6);
        let run: Vec<_> = (1..=3)
            .map(|me| dkg::begin(Ceremony::new(id, crate::cluster::roster(3, 2), pid(me)).unwrap(), &mut rng).unwrap())
            .collect();
        let all: Map<Packages> = (1..=3).map(pid).zip(run.iter().map(|(_, p)| p.clone())).collect();
        run.into_iter().next().unwrap().0.echo(&all).unwrap().1
    };
    assert_eq!(echo_of(id), echo_of(id));
    assert_ne!(echo_of(id), echo_of(other));
    assert!(Ceremony::new(id, crate::cluster::roster(3, 2), pid(4)).is_err());
    assert_eq!(ceremony(3, 2, 1).me(), pid(1));
}
