//! Changes of an escrow contract: signed by what each signer's own log and RPC endpoint say, and one digest for a nonce
//! at a time.

use crate::{chain::Shown, stage::Stage};
use client::Ambient;
use countersign_tests::Person;
use domain::{Address, Digest, Time};
use ledger::{CHAIN_LAG, Measure, args::Administer};
use messages::{RefusalCode, SigningSubject};
use relayer::{Patience, Unsigned, gather};
use std::time::Duration;
use storage::{LockOutcome, NonceLock, NoncePlace, Storage};

/// As relayers have it, but for a machine that does other things.
const PATIENCE: Patience =
    Patience { request: Duration::from_secs(20), hurry: Duration::from_millis(250), total: Duration::from_mins(1) };

fn thaw(stage: &Stage) -> Administer {
    Administer {
        tenant: stage.world.tenant.did,
        measure: Measure::Thaw { guardian: Address([9; 20]) },
        nonce: 3,
        valid_until: stage.world.now.plus(3_600),
        reason: "a false alarm".parse().unwrap(),
    }
}

/// The operator and an admin of its ask for it, which is enough, and every signer has seen that.
async fn approve(stage: &mut Stage, args: &Administer) {
    let (operator, admin) = (stage.world.operator.clone(), Person::named("operator-admin"));
    let proof = stage.world.delegate(&operator, admin.did, operator.did, "/escrow");
    for (person, proofs) in [(&operator, Vec::new()), (&admin, vec![proof])] {
        let said = stage.world.invoke(person, operator.did, "/escrow/administer", args, proofs);
        stage.append(&said);
    }
    show(stage).await;
}

async fn show(stage: &Stage) {
    for plane in &stage.planes {
        plane.show(&stage.log);
    }
    for at in 0..3 {
        stage.until(at, |status| status.fresh && status.head == Some(stage.last())).await;
    }
}

fn digest(stage: &Stage, args: &Administer) -> [u8; 32] {
    escrow::administration_digest(&stage.state().administration_authorisation(&args.id()).unwrap())
}

async fn try_to_sign(stage: &Stage, id: Digest, message: [u8; 32]) -> Result<(), Unsigned> {
    let panel = stage.panel();
    let subject = SigningSubject::Administration { administration: id };
    let gathered = gather(&panel, &subject, message.to_vec(), 0, PATIENCE).await?;
    panel.group.verify(&message, &gathered.signature).unwrap();
    Ok(())
}

/// As a signer with this key seals its locks on nonces.
fn seal(secret: &[u8; 32], place: &NoncePlace, lock: &NonceLock) -> Digest {
    let key = Digest::sha256(&[b"countersign seal v1".as_slice(), secret].concat());
    let [nonce, attempt, until] = [place.nonce, place.attempt, lock.valid_until.unix()].map(u64::to_be_bytes);
    let row: [&[u8]; 5] = [place.contract.as_bytes(), &nonce, &attempt, lock.digest.as_bytes(), &until];
    Digest::sha256(&[key.as_bytes().as_slice(), b"countersign nonce lock v1", &row.concat()].concat())
}

fn codes(unsigned: Unsigned) -> Vec<RefusalCode> {
    let mut codes: Vec<_> = unsigned.refusals.into_iter().map(|(_, code)| code).collect();
    codes.dedup();
    codes
}

#[tokio::test(flavor = "multi_thread")]
async fn what_admins_asked_for_is_signed_and_no_other_message() {
    let mut stage = Stage::set().await;
    let args = thaw(&stage);
    let refused = try_to_sign(&stage, args.id(), [7; 32]).await.unwrap_err();
    assert_eq!(codes(refused), [RefusalCode::UnknownAdministration]);

    approve(&mut stage, &args).await;
    let other = try_to_sign(&stage, args.id(), [7; 32]).await.unwrap_err();
    assert!(!other.differing.is_empty(), "they sign what their own state says");
    try_to_sign(&stage, args.id(), digest(&stage, &args)).await.unwrap();

    stage.freeze();
    show(&stage).await;
    let refused = try_to_sign(&stage, args.id(), digest(&stage, &args)).await.unwrap_err();
    assert_eq!(codes(refused), [RefusalCode::Frozen], "a frozen log holds a thaw of the contract");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nonce_that_is_bound_to_another_digest_is_not_signed_until_that_has_ended() {
    let mut stage = Stage::set().await;
    let (bound, free) = (thaw(&stage), Administer { nonce: 4, ..thaw(&stage) });
    approve(&mut stage, &bound).await;
    approve(&mut stage, &free).await;
    let domain = stage.state().tenant(&bound.tenant).unwrap().escrow;
    let contract = Digest::from_bytes(escrow::domain_separator(&domain));
    let now = Ambient::system().now();
    let (alive, lagging, ended) = (now.plus(600), now.minus(CHAIN_LAG - 300), now.minus(CHAIN_LAG + 5));
    // They have signed other digests before, as if their logs had said something else then.
    for (at, locks) in [(0, [(3, alive), (4, alive)]), (1, [(3, lagging), (4, ended)]), (2, [(3, ended), (4, ended)])] {
        stage.stop(at).await;
        let database = format!("sqlite:{}", stage.folders[at].path().join("log.db").display());
        let secret = stage.nodes[at].key.to_bytes();
        let seal = move |place: &NoncePlace, lock: &NonceLock| seal(&secret, place, lock);
        let locking = move || {
            let storage = Storage::open(&database).unwrap();
            for (nonce, valid_until) in locks {
                let lock = NonceLock { digest: Digest::sha256(b"another"), valid_until };
                assert_eq!(storage.lock_nonce(&contract, nonce, &lock, Time::ZERO, &seal).unwrap(), LockOutcome::Fresh);
            }
        };
        tokio::task::spawn_blocking(locking).await.unwrap();
        stage.start(at).await;
    }
    show(&stage).await;
    // Two of three hold themselves to the other digest, so that no two sign this one.
    let refused = try_to_sign(&stage, bound.id(), digest(&stage, &bound)).await.unwrap_err();
    assert!(codes(refused).contains(&RefusalCode::Conflict));
    stage.show_chains([Some(Shown { nonce: 4, ..Shown::default() }); 3]);
    try_to_sign(&stage, free.id(), digest(&stage, &free)).await.unwrap();
}

fn subject(args: &Administer) -> SigningSubject {
    SigningSubject::Administration { administration: args.id() }
}

/// How many locks on nonces a signer has written. It is stopped.
async fn nonce_locks(stage: &mut Stage, at: usize) -> usize {
    stage.stop(at).await;
    let database = format!("sqlite:{}", stage.folders[at].path().join("log.db").display());
    let count = move || Storage::open(&database).unwrap().nonce_locks(None, 10).unwrap().len();
    tokio::task::spawn_blocking(count).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_contract_does_not_take_now_is_not_signed_and_not_locked() {
    let mut stage = Stage::set().await;
    let args = thaw(&stage);
    approve(&mut stage, &args).await;
    let now = Shown::default();
    // Two commit while its turn is there, and are asked to sign when it is over.
    let mut late = Vec::new();
    for at in [0, 1] {
        late.push(stage.commit(at, subject(&args)).await.unwrap().envelope);
    }
    let (not_due, unavailable) = (RefusalCode::NotDue, RefusalCode::ChainUnavailable);
    for (shown, code) in [
        (Some(Shown { nonce: 2, ..now }), not_due),
        (Some(Shown { nonce: 4, ..now }), not_due),
        (Some(Shown { frozen: false, ..now }), not_due),
        (Some(Shown { epoch: 2, ..now }), not_due),
        (Some(Shown { chain: 1, ..now }), unavailable),
        (None, unavailable),
    ] {
        stage.show_chains([shown; 3]);
        for at in 0..3 {
            let refusal = stage.commit(at, subject(&args)).await.unwrap_err();
            assert_eq!((refusal.code, refusal.retry_after), (code, Some(5)), "{shown:?}: {refusal}");
        }
        let refusal = stage.sign_for(0, subject(&args), late.clone()).await.unwrap_err();
        assert_eq!((refusal.code, refusal.retry_after), (code, Some(5)), "{shown:?}: {refusal}");
        let refused = try_to_sign(&stage, args.id(), digest(&stage, &args)).await.unwrap_err();
        assert_eq!(codes(refused), [code], "{shown:?}");
    }
    // Payouts need no look at the chain.
    let panel = stage.panel();
    gather(&panel, &stage.subject(), stage.message(), 0, PATIENCE).await.unwrap();
    for at in [2, 1, 0] {
        assert_eq!(nonce_locks(&mut stage, at).await, 0, "a refusal binds to nothing");
    }
    for at in 0..3 {
        stage.start(at).await;
    }
    show(&stage).await;
    stage.show_chains([Some(now); 3]);
    try_to_sign(&stage, args.id(), digest(&stage, &args)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_signer_asks_its_own_endpoint() {
    let mut stage = Stage::set().await;
    let cap = Measure::SetCap { asset: countersign_tests::asset(), cap: 5_000_000.try_into().unwrap() };
    let args = Administer { measure: cap, ..thaw(&stage) };
    approve(&mut stage, &args).await;
    // A cap changes whether the contract is frozen or not.
    let (due, past) = (Some(Shown { frozen: false, ..Shown::default() }), Some(Shown { nonce: 4, ..Shown::default() }));
    stage.show_chains([due, past, None]);
    let refused = try_to_sign(&stage, args.id(), digest(&stage, &args)).await.unwrap_err();
    for (who, code) in &refused.refusals {
        let expected = [None, Some(RefusalCode::NotDue), Some(RefusalCode::ChainUnavailable)];
        assert_eq!(Some(*code), expected[usize::from(who.get()) - 1], "signer {who}");
    }
    assert!(!refused.refusals.is_empty());
    stage.show_chains([due, past, due]);
    try_to_sign(&stage, args.id(), digest(&stage, &args)).await.unwrap();
}
