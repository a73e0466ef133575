use crate::cluster::{Pick, Signer, pid, rng, signers};
use domain::Digest;
use std::collections::BTreeMap;
use threshold::{
    Commitment, CommitmentSet, Ed25519, GroupKey, KeyError, Secp256k1, SetError, SignError, aggregate, verify_share,
};

const MESSAGE: &[u8] = b"the digest that this signer computed";

fn session() -> Digest {
    Digest::sha256(b"session")
}

fn commit<C: Pick>(signers: &mut [Signer<C>], seed: u64) -> Vec<Commitment> {
    let mut rng = rng(seed);
    signers.iter_mut().map(|s| s.pool.commit(&s.share, Some(session()), &mut rng).unwrap()).collect()
}

fn set<C: Pick>(group: &GroupKey<C>, made: &[Commitment]) -> CommitmentSet<C> {
    CommitmentSet::new(group, made.iter().enumerate().map(|(i, c)| (pid(u16::try_from(i).unwrap() + 1), &c.bytes)))
        .unwrap()
}

fn signature<C: Pick>(n: u16, t: u16, message: &[u8]) -> (GroupKey<C>, Vec<u8>) {
    let (group, mut all) = signers::<C>(n, t);
    let made = commit(&mut all[..t.into()], 1);
    let set = set(&group, &made);
    let shares: BTreeMap<_, _> = (all.iter_mut().take(t.into()))
        .map(|s| (s.share.id(), s.pool.sign(&s.share, session(), &set, message).unwrap()))
        .collect();
    let signature = aggregate(&group, &set, message, &shares).unwrap();
    (group, signature)
}

fn signs_and_verifies<C: Pick>(len: usize) {
    for (n, t) in [(2, 2), (3, 2), (5, 3)] {
        let (group, signature) = signature::<C>(n, t, MESSAGE);
        assert_eq!(signature.len(), len);
        group.verify(MESSAGE, &signature).unwrap();
        assert_eq!(group.verify(b"another", &signature), Err(KeyError::Signature));
        let mut longer = signature.clone();
        longer.push(0);
        assert_eq!(group.verify(MESSAGE, &longer), Err(KeyError::Signature));
    }
}

#[test]
fn any_t_sign_for_the_group() {
    signs_and_verifies::<Secp256k1>(65);
    signs_and_verifies::<Ed25519>(64);
}

#[test]
fn more_than_t_may_sign() {
    let (group, mut all) = signers::<Ed25519>(3, 2);
    let made = commit(&mut all, 2);
    let set = set(&group, &made);
    let shares = all.iter_mut().map(|s| (s.share.id(), s.pool.sign(&s.share, session(), &set, MESSAGE).unwrap()));
    assert!(aggregate(&group, &set, MESSAGE, &shares.collect()).is_ok());
}

#[test]
fn ed25519_dalek_accepts_the_group_signature() {
    let (group, signature) = signature::<Ed25519>(3, 2, MESSAGE);
    let key: [u8; 32] = group.verifying_key().unwrap().try_into().unwrap();
    let key = ed25519_dalek::VerifyingKey::from_bytes(&key).unwrap();
    key.verify_strict(MESSAGE, &ed25519_dalek::Signature::from_slice(&signature).unwrap()).unwrap();
}

#[test]
fn a_pair_of_nonces_signs_one_package() {
    let (group, mut all) = signers::<Secp256k1>(3, 2);
    let made = commit(&mut all, 3);
    let first = set(&group, &made[..2]);
    let me = &mut all[0];
    let share = me.pool.sign(&me.share, session(), &first, MESSAGE).unwrap();
    assert_eq!(me.pool.sign(&me.share, session(), &first, MESSAGE).unwrap(), share, "the same again");
    assert_eq!(me.pool.sign(&me.share, session(), &first, b"another"), Err(SignError::Used));
    let second = set(&group, &made);
    assert_eq!(me.pool.sign(&me.share, session(), &second, MESSAGE), Err(SignError::Used), "another set");
    assert_eq!(me.pool.sign(&me.share, session(), &first, MESSAGE).unwrap(), share, "a refusal forgets nothing");
    assert_eq!(me.pool.open(), 0);
}

#[test]
fn randomness_that_repeats_itself_makes_no_second_use() {
    let (group, mut all) = signers::<Ed25519>(3, 2);
    let made = commit(&mut all[..2], 11);
    let set = set(&group, &made);
    let me = &mut all[0];
    let repeat = |me: &mut Signer<Ed25519>| me.pool.commit(&me.share, None, &mut rng(11));
    assert_eq!(repeat(me), Err(SignError::Used), "while it is open");
    assert_eq!(me.pool.open(), 1);
    let share = me.pool.sign(&me.share, session(), &set, MESSAGE).unwrap();
    assert_eq!(repeat(me), Err(SignError::Used), "once it is spent");
    assert_eq!(me.pool.sign(&me.share, session(), &set, b"another"), Err(SignError::Used));
    assert_eq!(me.pool.sign(&me.share, session(), &set, MESSAGE).unwrap(), share);
}

#[test]
fn only_a_share_spends_nonces() {
    let (group, mut all) = signers::<Ed25519>(3, 2);
    let (bigger, mut others) = signers::<Ed25519>(5, 3);
    let (made, foreign) = (commit(&mut all, 12), commit(&mut others, 13));
    let good = set(&group, &made);
    let with_stranger = [(1, &made[0]), (4, &foreign[3]), (5, &foreign[4])].map(|(id, c)| (pid(id), &c.bytes));
    let with_stranger = CommitmentSet::new(&bigger, with_stranger).unwrap();
    let (smaller, _) = signers::<Ed25519>(2, 2);
    let too_few = CommitmentSet::new(&smaller, [(pid(1), &foreign[0].bytes), (pid(2), &foreign[1].bytes)]).unwrap();
    let me = &mut all[0];
    assert_eq!(
        me.pool.sign(&me.share, session(), &with_stranger, MESSAGE),
        Err(SignError::Set(SetError::Stranger(pid(4))))
    );
    assert_eq!(
        me.pool.sign(&me.share, Digest::sha256(b"another session"), &good, MESSAGE),
        Err(SignError::OtherSession)
    );
    assert_eq!(me.pool.open(), 1);
    assert!(me.pool.sign(&me.share, session(), &good, MESSAGE).is_ok());
    let you = &mut others[0];
    assert_eq!(
        you.pool.sign(&you.share, session(), &too_few, MESSAGE),
        Err(SignError::Set(SetError::TooFew { got: 2, needed: 3 }))
    );
    assert_eq!(you.pool.open(), 1);
}

#[test]
fn a_commitment_is_bound_to_its_session_unless_preprocessed() {
    let (group, mut all) = signers::<Ed25519>(3, 2);
    let (mut rng, other) = (rng(40), Digest::sha256(b"another session"));
    let bound = commit(&mut all, 4);
    let set_bound = set(&group, &bound);
    let me = &mut all[0];
    assert_eq!(me.pool.sign(&me.share, other, &set_bound, MESSAGE), Err(SignError::OtherSession));
    let free = me.pool.commit(&me.share, None, &mut rng).unwrap();
    let set_free = set(&group, &[free, bound[1].clone()]);
    let share = me.pool.sign(&me.share, other, &set_free, MESSAGE).unwrap();
    assert!(verify_share(&group, &set_free, MESSAGE, pid(1), &share).is_ok());
    assert!(me.pool.sign(&me.share, session(), &set_bound, MESSAGE).is_ok(), "a wrong session spends nothing");
}

#[test]
fn the_pool_is_bounded_and_forgetful() {
    let (group, mut all) = signers::<Ed25519>(3, 2);
    let (made, mut rng) = (commit(&mut all[..2], 5), rng(50));
    let set = set(&group, &made);
    let me = &mut all[0];
    for _ in 0..8 {
        me.pool.commit(&me.share, None, &mut rng).unwrap();
    }
    assert_eq!(me.pool.open(), 8);
    assert_eq!(me.pool.sign(&me.share, session(), &set, MESSAGE), Err(SignError::UnknownCommitment), "the oldest");
    me.pool.clear();
    assert_eq!(me.pool.open(), 0);
    let you = &mut all[1];
    you.pool.sign(&you.share, session(), &set, MESSAGE).unwrap();
    you.pool.clear();
    let again = you.pool.sign(&you.share, session(), &set, MESSAGE);
    assert_eq!(again, Err(SignError::UnknownCommitment), "a cleared pool does not sign twice either");
}

#[test]
fn a_signer_is_not_led_by_its_coordinator() {
    let (group, mut all) = signers::<Ed25519>(3, 2);
    let made = commit(&mut all, 6);
    let others = CommitmentSet::new(&group, [(pid(2), &made[1].bytes), (pid(3), &made[2].bytes)]).unwrap();
    let swapped = CommitmentSet::new(&group, [(pid(1), &made[1].bytes), (pid(2), &made[0].bytes)]).unwrap();
    let me = &mut all[0];
    assert_eq!(me.pool.sign(&me.share, session(), &others, MESSAGE), Err(SignError::NotInvited(pid(1))));
    assert_eq!(me.pool.sign(&me.share, session(), &swapped, MESSAGE), Err(SignError::UnknownCommitment));
    assert_eq!(me.pool.open(), 1, "no refusal spends the nonces");
}

#[test]
fn a_coordinator_that_shows_different_packages_gets_no_signature() {
    let (group, mut all) = signers::<Secp256k1>(3, 2);
    let made = commit(&mut all, 7);
    let with_two = CommitmentSet::new(&group, [(pid(1), &made[0].bytes), (pid(2), &made[1].bytes)]).unwrap();
    let with_three = CommitmentSet::new(&group, [(pid(1), &made[0].bytes), (pid(3), &made[2].bytes)]).unwrap();
    let sign = |s: &mut Signer<Secp256k1>, set| s.pool.sign(&s.share, session(), set, MESSAGE);
    let one = sign(&mut all[0], &with_two).unwrap();
    let three = sign(&mut all[2], &with_three).unwrap();
    let shares = BTreeMap::from([(pid(1), one), (pid(3), three)]);
    assert_eq!(aggregate(&group, &with_three, MESSAGE, &shares), Err(SetError::WrongShare(pid(1))));
    assert_eq!(sign(&mut all[0], &with_three), Err(SignError::Used));
}

#[test]
fn shares_name_their_senders() {
    let (group, mut all) = signers::<Ed25519>(3, 2);
    let made = commit(&mut all[..2], 8);
    let set = set(&group, &made);
    let share = |s: &mut Signer<Ed25519>, m| s.pool.sign(&s.share, session(), &set, m).unwrap();
    let (one, two) = (share(&mut all[0], MESSAGE), share(&mut all[1], MESSAGE));
    let try_with = |a: &[u8], b: &[u8]| {
        aggregate(&group, &set, MESSAGE, &BTreeMap::from([(pid(1), a.to_vec()), (pid(2), b.to_vec())]))
    };
    assert!(try_with(&one, &two).is_ok());
    assert_eq!(try_with(&two, &one), Err(SetError::WrongShare(pid(1))), "swapped, though the sum is right");
    assert_eq!(try_with(&one, &one).unwrap_err().culprit(), Some(pid(2)));
    assert_eq!(try_with(&one, &two[1..]), Err(SetError::MalformedShare(pid(2))));
    assert_eq!(
        aggregate(&group, &set, MESSAGE, &BTreeMap::from([(pid(1), one.clone())])),
        Err(SetError::MissingShare(pid(2)))
    );
    let extra = BTreeMap::from([(pid(1), one.clone()), (pid(2), two), (pid(3), one.clone())]);
    assert_eq!(aggregate(&group, &set, MESSAGE, &extra), Err(SetError::Stranger(pid(3))));
    assert_eq!(verify_share(&group, &set, b"another", pid(1), &one), Err(SetError::WrongShare(pid(1))));
}

#[test]
fn a_set_is_of_distinct_members_and_enough() {
    let (group, mut all) = signers::<Ed25519>(3, 2);
    let (_, mut secp) = signers::<Secp256k1>(3, 2);
    let (made, foreign) = (commit(&mut all, 9), commit(&mut secp, 9));
    let parse =
        |entries: &[(u16, &[u8])]| CommitmentSet::new(&group, entries.iter().map(|(id, b)| (pid(*id), *b))).map(|_| ());
    let (one, two) = (made[0].bytes.as_slice(), made[1].bytes.as_slice());
    assert_eq!(parse(&[(1, one), (2, two)]), Ok(()));
    assert_eq!(parse(&[(1, one)]), Err(SetError::TooFew { got: 1, needed: 2 }));
    assert_eq!(parse(&[]), Err(SetError::TooFew { got: 0, needed: 2 }));
    assert_eq!(parse(&[(1, one), (1, two)]), Err(SetError::Duplicate(pid(1))));
    assert_eq!(parse(&[(1, one), (4, two)]), Err(SetError::Stranger(pid(4))));
    assert_eq!(parse(&[(1, one), (2, &foreign[1].bytes)]), Err(SetError::MalformedCommitment(pid(2))));
    assert_eq!(parse(&[(1, one), (2, &[two, &[0]].concat())]), Err(SetError::MalformedCommitment(pid(2))));
    assert_eq!(parse(&[(1, one), (2, &[])]), Err(SetError::MalformedCommitment(pid(2))));
}

/// The low half of the order of Ed25519's group, 2^252 + …, in little-endian bytes.
const ORDER: [u8; 16] =
    [0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14];

#[test]
fn no_degenerate_point_or_second_spelling_of_a_number_is_accepted() {
    // The identity, the point of order two, and one of order four, which a cofactor would hide.
    let mut order_two = [0xff; 32];
    (order_two[0], order_two[31]) = (0xec, 0x7f);
    let mut identity = [0; 32];
    identity[0] = 1;
    let (group, mut all) = signers::<Ed25519>(3, 2);
    let made = commit(&mut all, 14);
    for point in [identity, order_two, [0; 32], [0xff; 32]] {
        for at in [5, 37] {
            let mut bytes = made[1].bytes.clone();
            bytes[at..at + 32].copy_from_slice(&point);
            let parsed = CommitmentSet::new(&group, [(pid(1), &made[0].bytes), (pid(2), &bytes)]);
            assert_eq!(parsed, Err(SetError::MalformedCommitment(pid(2))));
        }
    }
    // The same number plus the group's order (RFC 8032 §5.1.7).
    let (group, mut bytes) = signature::<Ed25519>(3, 2, MESSAGE);
    let mut carry = 0;
    for (i, byte) in bytes[32..].iter_mut().enumerate() {
        let order = if i == 31 { 0x10 } else { ORDER.get(i).copied().unwrap_or(0) };
        let sum = u16::from(*byte) + u16::from(order) + carry;
        (*byte, carry) = (sum.to_le_bytes()[0], sum >> 8);
    }
    assert_eq!(group.verify(MESSAGE, &bytes), Err(KeyError::Signature));
}

#[test]
fn nonces_of_one_key_do_not_sign_with_another() {
    let (group, mut all) = signers::<Ed25519>(3, 2);
    let (_, other) = signers::<Ed25519>(5, 3);
    let made = commit(&mut all[..2], 10);
    let set = set(&group, &made);
    let me = &mut all[0];
    assert_eq!(me.pool.sign(&other[0].share, session(), &set, MESSAGE), Err(SignError::OtherKey));
    assert!(me.pool.sign(&me.share, session(), &set, MESSAGE).is_ok());
}
