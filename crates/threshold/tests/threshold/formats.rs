use crate::cluster::{
    Map, begin, echo, finish, hex, keys, mail, pid, rng, roster, round2, step, stored, test_signatures, untested,
};
use std::fmt::Write as _;
use threshold::{
    Ed25519, GroupKey, KeyError, KeyShare, NoncePool, ParticipantId, Roster, RosterError, Secp256k1,
    dkg::SecretPackages,
};

#[test]
fn key_generation_messages_are_fixed() {
    let (states, packages) = begin(3, 2, &mut rng(7));
    let (states, echoes, _) = step(states, |_| packages.clone(), echo);
    let (states, secret, _) = step(states, |_| echoes.clone(), round2);
    let (_, confirmations, _) = step(states, |id| mail(&secret, id), finish);
    let mut text = String::new();
    writeln!(text, "round 1 secp256k1  {}", hex(&packages[&pid(1)].secp256k1)).unwrap();
    writeln!(text, "round 1 ed25519    {}", hex(&packages[&pid(1)].ed25519)).unwrap();
    writeln!(text, "echo               {}", echoes[&pid(1)]).unwrap();
    writeln!(text, "round 2 for 2      {}", hex(&secret[&pid(1)][&pid(2)].to_bytes())).unwrap();
    writeln!(text, "confirmation       {}", confirmations[&pid(1)]).unwrap();
    insta::assert_snapshot!("key_generation", text);
}

#[test]
fn stored_keys_and_signing_messages_are_fixed() {
    let mut rng = rng(8);
    let mut states = untested(3, 2, &mut rng);
    let commitments = states.get_mut(&pid(3)).unwrap().commit(&mut rng).unwrap();
    let (secp, ed) = test_signatures(&mut states, 2, &mut rng);
    let keys = states.pop_first().unwrap().1.accept(&secp, &ed).unwrap();
    let mut text = String::new();
    writeln!(text, "secp256k1 commitment  {} {}", commitments.secp256k1.id, hex(&commitments.secp256k1.bytes)).unwrap();
    writeln!(text, "secp256k1 signature   {}", hex(&secp)).unwrap();
    writeln!(text, "secp256k1 group       {}", hex(&keys.secp256k1.group().to_bytes().unwrap())).unwrap();
    writeln!(text, "secp256k1 share       {}", hex(&keys.secp256k1.to_secret_bytes().unwrap())).unwrap();
    writeln!(text, "ed25519 commitment    {} {}", commitments.ed25519.id, hex(&commitments.ed25519.bytes)).unwrap();
    writeln!(text, "ed25519 signature     {}", hex(&ed)).unwrap();
    writeln!(text, "ed25519 group         {}", hex(&keys.ed25519.group().to_bytes().unwrap())).unwrap();
    writeln!(text, "ed25519 share         {}", hex(&keys.ed25519.to_secret_bytes().unwrap())).unwrap();
    insta::assert_snapshot!("keys_and_signing", text);
}

#[test]
fn roster_json_is_fixed_and_checked() {
    let text = serde_json::to_string_pretty(&roster(2, 2)).unwrap();
    insta::assert_snapshot!("roster", text);
    assert_eq!(serde_json::from_str::<Roster>(&text).unwrap(), roster(2, 2));
    for (from, to) in [
        ("\"threshold\": 2", "\"threshold\": 3"),
        ("\"id\": 2", "\"id\": 1"),
        ("\"epoch\"", "\"age\""),
        ("\"id\": 2", "\"id\": 256"),
    ] {
        assert!(serde_json::from_str::<Roster>(&text.replace(from, to)).is_err(), "{to}");
    }
}

#[test]
fn a_roster_has_distinct_members_and_a_real_threshold() {
    let of = |t, n: u16| {
        let all = (1..=n).map(|id| roster(32, 2).participants()[usize::from(id - 1) % 32].clone());
        Roster::new(1, t, all.collect())
    };
    assert!(of(2, 2).is_ok() && of(32, 32).is_ok());
    assert_eq!(of(2, 33), Err(RosterError::TooMany));
    for (t, n) in [(0, 3), (1, 3), (4, 3), (2, 1), (2, 0)] {
        assert_eq!(of(t, n), Err(RosterError::Threshold), "{t} of {n}");
    }
    let mut members = roster(3, 2).participants().to_vec();
    members[1].node = members[0].node;
    assert_eq!(Roster::new(1, 2, members.clone()), Err(RosterError::DuplicateNode(members[0].node)));
    members[1].id = pid(1);
    assert_eq!(Roster::new(1, 2, members), Err(RosterError::DuplicateId(pid(1))));
    let mut reversed = roster(3, 2).participants().to_vec();
    reversed.reverse();
    assert_eq!(Roster::new(1, 2, reversed).unwrap(), roster(3, 2), "order says nothing");
    assert!(ParticipantId::new(0).is_err() && ParticipantId::new(256).is_err() && ParticipantId::new(255).is_ok());
}

#[test]
fn a_stored_key_survives_and_nothing_else_parses() {
    let keys = stored(3, 2);
    let (one, two) = (&keys[0].ed25519, &keys[1].ed25519);
    let bytes = one.to_secret_bytes().unwrap();
    let again = KeyShare::<Ed25519>::from_secret_bytes(&bytes).unwrap();
    assert_eq!((again.id(), again.epoch(), again.group()), (pid(1), 1, one.group()));
    let public = one.group().to_bytes().unwrap();
    assert_eq!(&GroupKey::<Ed25519>::from_bytes(&public).unwrap(), one.group());

    assert_eq!(
        KeyShare::<Secp256k1>::from_secret_bytes(&bytes).unwrap_err(),
        KeyError::Malformed("FROST-secp256k1-SHA256-v1")
    );
    assert!(GroupKey::<Secp256k1>::from_bytes(&public).is_err());
    for cut in 0..bytes.len() {
        assert!(KeyShare::<Ed25519>::from_secret_bytes(&bytes[..cut]).is_err());
    }
    assert!(KeyShare::<Ed25519>::from_secret_bytes(&[&bytes[..], &[0]].concat()).is_err());
    assert!(GroupKey::<Ed25519>::from_bytes(&[&public[..], &[0]].concat()).is_err());
    let mut version = bytes.to_vec();
    version[0] = 2;
    assert!(KeyShare::<Ed25519>::from_secret_bytes(&version).is_err());
    assert_ne!(two.to_secret_bytes().unwrap(), bytes);
}

#[test]
fn no_flipped_bit_of_a_share_is_accepted_as_the_same_key() {
    let keys = stored(3, 2);
    let bytes = keys[0].secp256k1.to_secret_bytes().unwrap();
    // The epoch is a label that the key itself cannot vouch for; every other byte can.
    for at in (0..bytes.len()).filter(|at| !(5..13).contains(at)).step_by(3) {
        let mut flipped = bytes.to_vec();
        flipped[at] ^= 1;
        assert!(KeyShare::<Secp256k1>::from_secret_bytes(&flipped).is_err(), "byte {at}");
    }
}

#[test]
fn a_group_key_of_valid_points_that_do_not_belong_together_is_refused() {
    // Each share takes 32 bytes of identifier and 32 of point from byte 11 on; then come the key and the threshold.
    const FIRST: usize = 11;
    let share = |i: usize| FIRST + 64 * i + 32..FIRST + 64 * (i + 1);
    let bytes = stored(5, 3)[0].ed25519.group().to_bytes().unwrap();
    let (key, threshold) = (FIRST + 64 * 5..FIRST + 64 * 5 + 32, bytes.len() - 1);
    assert_eq!(bytes[key.clone()], stored(5, 3)[0].ed25519.group().verifying_key().unwrap());
    assert_eq!(bytes[threshold], 3);
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut altered = bytes.clone();
        change(&mut altered);
        GroupKey::<Ed25519>::from_bytes(&altered).map(|_| ())
    };
    assert_eq!(with(&|_| {}), Ok(()));
    for i in 0..5 {
        let other = share((i + 1) % 5);
        assert_eq!(with(&|b| b.copy_within(other.clone(), share(i).start)), Err(KeyError::Inconsistent), "share {i}");
        assert_eq!(with(&|b| b.copy_within(share(i), key.start)), Err(KeyError::Inconsistent), "key is share {i}");
    }
    for t in [2, 4, 5] {
        assert_eq!(with(&|b| b[threshold] = t), Err(KeyError::Inconsistent), "threshold {t}");
    }
}

/// Whether any eight bytes of `secret` are in `text`, as hexadecimal digits or as a list of numbers.
fn shows(text: &str, secret: &[u8]) -> bool {
    secret.windows(8).any(|w| text.contains(&hex(w)) || text.contains(format!("{w:?}").trim_matches(['[', ']'])))
}

#[test]
fn a_leak_would_be_noticed() {
    let secret: Vec<u8> = (100..132).collect();
    assert!(shows(&format!("{secret:?}"), &secret) && shows(&hex(&secret[4..20]), &secret));
    assert!(!shows(&format!("{:?}", &secret[..7]), &secret));
}

#[test]
fn secrets_do_not_show() {
    let keys = keys(2, 2, &mut rng(9));
    let secret = keys[0].ed25519.to_secret_bytes().unwrap();
    let mut pool = NoncePool::new(2.try_into().unwrap());
    pool.commit(&keys[0].ed25519, None, &mut rng(9)).unwrap();
    let (states, packages) = begin(2, 2, &mut rng(9));
    let text = format!("{keys:?} {pool:?} {:?}", states[&pid(1)]);
    assert!(text.contains("KeyShare") && text.contains("NoncePool") && text.contains("redacted"), "{text}");
    // frost-core's key package is at byte 17: five bytes of header, 32 of identifier, then the signing share.
    assert!(!shows(&text, &secret[54..86]), "{text}");
    let (states, echoes, _) = step(states, |_| packages.clone(), echo);
    let (states, out, _): (_, Map<Map<SecretPackages>>, _) = step(states, |_| echoes.clone(), round2);
    let text = format!("{out:?} {:?}", states[&pid(1)]);
    let sent = out[&pid(1)][&pid(2)].to_bytes();
    // Each package ends with its share; the Ed25519 one is last.
    assert!(!shows(&text, &sent[sent.len() - 32..]) && text.contains("redacted"), "{text}");
    assert_eq!(format!("{:?}", out[&pid(1)][&pid(2)]), "SecretPackages { .. }");
}
