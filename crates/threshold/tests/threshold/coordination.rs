use crate::cluster::{Pick, Signer, pid, rng, signers};
use domain::Digest;
use proptest::prelude::*;
use rand::{Rng as _, rngs::StdRng};
use std::collections::VecDeque;
use threshold::{Commitment, CommitmentSet, Coordinator, Ed25519, Failure, ParticipantId, Request, Secp256k1};

const MESSAGE: &[u8] = b"what everyone computed";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Behaviour {
    Honest,
    /// Answers nothing.
    Dead,
    /// Commits, then answers no more.
    DiesAfterCommit,
    /// Answers only after somebody has lost patience.
    Slow,
    WrongShare,
    OtherMessage,
    GarbageCommitment,
    /// Sends its first commitment again and again.
    RepeatsCommitment,
    /// Sends the latest commitment of anyone as its own.
    StealsCommitment,
}

const BEHAVIOURS: [Behaviour; 9] = [
    Behaviour::Honest,
    Behaviour::Dead,
    Behaviour::DiesAfterCommit,
    Behaviour::Slow,
    Behaviour::WrongShare,
    Behaviour::OtherMessage,
    Behaviour::GarbageCommitment,
    Behaviour::RepeatsCommitment,
    Behaviour::StealsCommitment,
];

struct Run<C: Pick> {
    coordinator: Coordinator<C>,
    signers: Vec<Signer<C>>,
    behaviours: Vec<Behaviour>,
    first: Vec<Option<Commitment>>,
    latest: Option<Commitment>,
    rng: StdRng,
    sent: usize,
}

impl<C: Pick> Run<C> {
    fn answer(&mut self, request: Request) -> Vec<Request> {
        let to = match &request {
            Request::Commit { to } | Request::Sign { to, .. } => *to,
        };
        let at = usize::from(to.get()) - 1;
        let (behaviour, me) = (self.behaviours[at], &mut self.signers[at]);
        match (behaviour, request) {
            (Behaviour::Dead, _) | (Behaviour::DiesAfterCommit, Request::Sign { .. }) => self.coordinator.failed(to),
            (Behaviour::GarbageCommitment, Request::Commit { .. }) => self.coordinator.commitment(to, b"garbage"),
            (_, Request::Commit { .. }) => {
                let mut made = me.pool.commit(&me.share, None, &mut self.rng).unwrap();
                if behaviour == Behaviour::RepeatsCommitment {
                    made = self.first[at].get_or_insert(made).clone();
                }
                if behaviour == Behaviour::StealsCommitment {
                    made = self.latest.clone().unwrap_or(made);
                }
                self.latest = Some(made.clone());
                self.coordinator.commitment(to, &made.bytes)
            }
            (_, Request::Sign { session, commitments, .. }) => {
                let set = CommitmentSet::new(me.share.group(), commitments).unwrap();
                let message = if behaviour == Behaviour::OtherMessage { b"a lie" } else { MESSAGE };
                match me.pool.sign(&me.share, Digest::sha256(b"any"), &set, message) {
                    Ok(mut share) => {
                        if behaviour == Behaviour::WrongShare {
                            share[3] ^= 1;
                        }
                        self.coordinator.share(to, session, &share)
                    }
                    Err(_) => self.coordinator.failed(to),
                }
            }
        }
    }

    /// Delivers requests in random order; slow ones last, after everyone else has been hurried.
    fn play(&mut self, mut queue: Vec<Request>) {
        while self.coordinator.outcome().is_none() {
            let slow = |r: &Request| matches!(r, Request::Sign { to, .. } if self.behaviours[usize::from(to.get()) - 1] == Behaviour::Slow);
            let quick: Vec<usize> = (0..queue.len()).filter(|i| !slow(&queue[*i])).collect();
            if quick.is_empty() {
                let hurried = self.coordinator.hurry();
                if hurried.is_empty() {
                    let late = queue.remove(self.rng.gen_range(0..queue.len()));
                    queue.extend(self.answer(late));
                }
                queue.extend(hurried);
                continue;
            }
            let next = queue.remove(quick[self.rng.gen_range(0..quick.len())]);
            self.sent += 1;
            queue.extend(self.answer(next));
        }
    }
}

fn run<C: Pick>(n: u16, t: u16, behaviours: &[Behaviour], seed: u64) -> Run<C> {
    let (group, signers) = signers::<C>(n, t);
    let (coordinator, requests) = Coordinator::new(group, MESSAGE.to_vec());
    let (behaviours, first) = (behaviours.to_vec(), vec![None; n.into()]);
    let mut run = Run { coordinator, signers, behaviours, first, latest: None, rng: rng(seed), sent: 0 };
    run.play(requests);
    run
}

fn check<C: Pick>(n: u16, t: u16, behaviours: &[Behaviour], seed: u64) {
    let run = run::<C>(n, t, behaviours, seed);
    let (group, _) = signers::<C>(n, t);
    let is = |who: &[Behaviour]| -> Vec<ParticipantId> {
        (1..=n).filter(|id| who.contains(&behaviours[usize::from(*id) - 1])).map(pid).collect()
    };
    let good = is(&[Behaviour::Honest, Behaviour::Slow]);
    let culprits = run.coordinator.culprits();
    assert!(culprits.iter().all(|c| !good.contains(c)), "an honest signer is accused: {culprits:?}");
    assert!(run.sent <= usize::from(n) * 2 * usize::from(n - t + 2), "{} messages", run.sent);
    match run.coordinator.outcome().unwrap() {
        Ok(signature) => group.verify(MESSAGE, signature).unwrap(),
        Err(Failure::NotEnough { ready, needed, culprits, silent }) => {
            assert!(good.len() < usize::from(t), "{good:?} could have signed");
            assert_eq!(*needed, t);
            assert!(good.iter().all(|g| ready.contains(g)), "{ready:?} {culprits:?} {silent:?}");
            assert!(ready.len() + culprits.len() + silent.len() == usize::from(n));
        }
        Err(e) => panic!("{e}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn t_honest_signers_cannot_be_stopped_and_fewer_cannot_sign(
        n in 2_u16..=6, t in 2_u16..=6, picks in prop::collection::vec(0..BEHAVIOURS.len() * 2, 6), seed: u64
    ) {
        let behaviours: Vec<_> = picks.iter().take(n.into())
            .map(|p| BEHAVIOURS.get(*p).copied().unwrap_or(Behaviour::Honest)).collect();
        check::<Ed25519>(n, t.min(n), &behaviours, seed);
    }
}

#[test]
fn one_of_each_kind_in_both_suites() {
    use Behaviour as B;
    for pair in BEHAVIOURS {
        check::<Secp256k1>(4, 2, &[pair, B::Honest, B::WrongShare, B::Honest], 1);
        check::<Ed25519>(4, 2, &[pair, B::Honest, B::WrongShare, B::Honest], 1);
    }
}

#[test]
fn a_quiet_run_needs_t_shares() {
    let run = run::<Ed25519>(3, 2, &[Behaviour::Honest; 3], 2);
    assert!(run.coordinator.outcome().unwrap().is_ok());
    assert!(run.sent <= 5, "3 commitments and 2 shares, not {}", run.sent);
}

#[test]
fn too_few_says_who_is_left_who_lied_and_who_is_silent() {
    let run = run::<Secp256k1>(
        4,
        3,
        &[Behaviour::Honest, Behaviour::Honest, Behaviour::GarbageCommitment, Behaviour::Dead],
        3,
    );
    let expected =
        Failure::NotEnough { ready: vec![pid(1), pid(2)], needed: 3, culprits: vec![pid(3)], silent: vec![pid(4)] };
    assert_eq!(run.coordinator.outcome(), Some(&Err(expected)));
}

#[test]
fn what_was_not_asked_for_is_ignored() {
    let (group, mut all) = signers::<Ed25519>(3, 2);
    let (mut coordinator, _) = Coordinator::new(group, MESSAGE.to_vec());
    assert!(coordinator.share(pid(1), 0, b"share").is_empty());
    assert!(coordinator.commitment(pid(9), b"stranger").is_empty());
    assert!(coordinator.failed(pid(9)).is_empty());
    let mut rng = rng(4);
    let me = &mut all[0];
    let made = me.pool.commit(&me.share, None, &mut rng).unwrap();
    coordinator.commitment(pid(1), &made.bytes);
    assert!(coordinator.commitment(pid(1), b"garbage now").is_empty());
    assert!(coordinator.culprits().is_empty());
}

/// Plays `requests` with signers that are honest from here on.
fn finish(coordinator: &mut Coordinator<Ed25519>, all: &mut [Signer<Ed25519>], requests: Vec<Request>, seed: u64) {
    let mut rng = rng(seed);
    let mut queue = VecDeque::from(requests);
    while let Some(request) = queue.pop_front() {
        match request {
            Request::Commit { to } => {
                let me = &mut all[usize::from(to.get()) - 1];
                let made = me.pool.commit(&me.share, None, &mut rng).unwrap();
                queue.extend(coordinator.commitment(to, &made.bytes));
            }
            Request::Sign { to, session, commitments } => {
                let me = &mut all[usize::from(to.get()) - 1];
                let set = CommitmentSet::new(me.share.group(), commitments).unwrap();
                queue.extend(match me.pool.sign(&me.share, Digest::sha256(b"any"), &set, MESSAGE) {
                    Ok(share) => coordinator.share(to, session, &share),
                    Err(_) => coordinator.failed(to),
                });
            }
        }
    }
}

#[test]
fn a_stolen_commitment_does_not_accuse_its_owner() {
    let (group, mut all) = signers::<Ed25519>(3, 2);
    let (mut coordinator, _) = Coordinator::new(group.clone(), MESSAGE.to_vec());
    let mut rng = rng(5);
    let made: Vec<_> = all.iter_mut().map(|s| s.pool.commit(&s.share, None, &mut rng).unwrap()).collect();
    coordinator.commitment(pid(2), &made[0].bytes);
    let requests = coordinator.commitment(pid(1), &made[0].bytes);
    assert!(coordinator.culprits().is_empty(), "the owner only lost a race against a thief");
    // The thief has nonces of its own at most, so its share is refused by its own pool or proven wrong here.
    coordinator.commitment(pid(3), &made[2].bytes);
    finish(&mut coordinator, &mut all, requests, 6);
    group.verify(MESSAGE, coordinator.outcome().unwrap().as_ref().unwrap()).unwrap();
    assert!(!coordinator.culprits().contains(&pid(1)) && !coordinator.culprits().contains(&pid(3)));
}

#[test]
fn who_failed_for_a_while_is_asked_again_and_never_accused() {
    let (group, mut all) = signers::<Ed25519>(3, 2);
    let mut rng = rng(7);
    // Two fail before they commit, or with a share still owed, which costs them the nonces of this attempt only.
    for late in [false, true] {
        let (mut first, _) = Coordinator::new(group.clone(), MESSAGE.to_vec());
        if late {
            for s in &mut all {
                let made = s.pool.commit(&s.share, None, &mut rng).unwrap();
                first.commitment(s.share.id(), &made.bytes);
            }
        }
        first.failed(pid(1));
        first.hurry();
        first.failed(pid(2));
        let expected =
            Failure::NotEnough { ready: vec![pid(3)], needed: 2, culprits: vec![], silent: vec![pid(1), pid(2)] };
        assert_eq!(first.outcome(), Some(&Err(expected)));
        assert!(first.hurry().is_empty() && first.failed(pid(3)).is_empty(), "an outcome is final");

        let (mut second, requests) = Coordinator::new(group.clone(), MESSAGE.to_vec());
        let everyone = (1..=3).map(|id| Request::Commit { to: pid(id) }).collect::<Vec<_>>();
        assert_eq!(requests, everyone);
        finish(&mut second, &mut all, requests, 8 + u64::from(late));
        group.verify(MESSAGE, second.outcome().unwrap().as_ref().unwrap()).unwrap();
        assert!(second.culprits().is_empty());
    }
}

#[test]
fn a_share_that_comes_after_its_sender_was_given_up_still_counts() {
    let (group, mut all) = signers::<Ed25519>(3, 2);
    let (mut coordinator, _) = Coordinator::new(group.clone(), MESSAGE.to_vec());
    let mut rng = rng(10);
    let mut asked = Vec::new();
    for s in &mut all[..2] {
        let made = s.pool.commit(&s.share, None, &mut rng).unwrap();
        asked.extend(coordinator.commitment(s.share.id(), &made.bytes));
    }
    coordinator.failed(pid(1));
    finish(&mut coordinator, &mut all, asked, 11);
    group.verify(MESSAGE, coordinator.outcome().unwrap().as_ref().unwrap()).unwrap();
    assert!(coordinator.culprits().is_empty());
}
