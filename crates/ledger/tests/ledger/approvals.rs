//! Who counts, how often, and for what.

use crate::stage::{APPROVALS, LARGE, Stage, reason, stranger};
use countersign_ledger::{Freshness, Hold, Phase, Refusal, Status, args};
use countersign_tests::{Person, Signed};
use domain::{Cid, Digest};

fn people(stage: &Stage) -> [Person; 3] {
    stage.world.approvers.clone().try_into().expect("three approvers")
}

fn approvals(stage: &Stage, id: &Cid) -> usize {
    stage.proposal(id).approvals().len()
}

/// Approved by `deputy` over a delegation from `person`.
fn through(stage: &Stage, person: &Person, deputy: &Person, id: &Cid) -> Signed {
    let world = &stage.world;
    let root = world.delegate(&world.tenant, person.did, world.tenant.did, "/approval");
    let sub = world.delegate(person, deputy.did, world.tenant.did, "/approval/give");
    let give = args::Give { proposal: *id, review: stage.review(id) };
    world.invoke(deputy, world.tenant.did, "/approval/give", &give, vec![root, sub])
}

#[test]
fn distinct_people_approve_and_the_last_one_makes_it_so() {
    let mut stage = Stage::ready();
    let id = stage.in_review();
    let [ada, bob, _] = people(&stage);
    stage.say(&stage.approval(&ada, &id));
    assert!(!stage.proposal(&id).is_approved());
    assert_eq!(stage.status(), None);
    assert_eq!(
        stage.proposal(&id).phase,
        Phase::Review { needed: APPROVALS, approvals: stage.proposal(&id).approvals().clone() }
    );
    stage.say(&stage.approval(&bob, &id));
    assert_eq!(stage.status(), Some(Status::Approved));
    assert!(stage.proposal(&id).is_approved());
    assert_eq!(approvals(&stage, &id), 2);
}

#[test]
fn one_person_counts_once_whichever_key_signs() {
    let mut stage = Stage::ready();
    let id = stage.in_review();
    let [ada, bob, _] = people(&stage);
    stage.say(&stage.approval(&ada, &id));
    let twice = "proposal: you have approved it already; others must";
    assert_eq!(stage.why_not(&stage.approval(&ada, &id)), twice);
    let second_key = Person::named("ada's phone");
    assert_eq!(stage.why_not(&through(&stage, &ada, &second_key, &id)), twice);
    assert_eq!(approvals(&stage, &id), 1);
    // The key is not what counts: over bob's delegation the same phone speaks for bob.
    stage.say(&through(&stage, &bob, &second_key, &id));
    assert!(stage.proposal(&id).is_approved());
}

#[test]
fn two_keys_of_one_person_do_not_make_two() {
    let mut stage = Stage::ready();
    let id = stage.in_review();
    let [ada, ..] = people(&stage);
    stage.say(&through(&stage, &ada, &Person::named("phone"), &id));
    let refusal = stage.refusal(&through(&stage, &ada, &Person::named("laptop"), &id));
    assert!(matches!(refusal, Refusal::Conflict { field: "proposal", .. }));
}

#[test]
fn nobody_reviews_their_own() {
    let mut stage = Stage::ready();
    let id = stage.in_review();
    let own = "not entitled: nobody reviews a proposal of their own";
    let installation = stage.world.installation.clone();
    let issuer = stage.world.issuer.clone();
    let [ada, ..] = people(&stage);
    for author in [&installation, &issuer] {
        assert_eq!(stage.why_not(&stage.approval(author, &id)), own, "as a person");
        assert_eq!(stage.why_not(&through(&stage, &ada, author, &id)), own, "as somebody's deputy");
        assert_eq!(stage.why_not(&through(&stage, author, &Person::named("phone"), &id)), own, "through a deputy");
    }
    let withdraw = stage.world.by(&installation, "/approval/withdraw", &args::Withdraw { proposal: id });
    assert_eq!(stage.why_not(&withdraw), own);
    let refuse = args::Refuse { proposal: id, reason: reason() };
    assert_eq!(stage.why_not(&stage.world.by(&installation, "/approval/refuse", &refuse)), own);
}

#[test]
fn an_agent_of_the_installation_is_an_author_too() {
    let mut stage = Stage::ready();
    let agent = Person::named("agent");
    let mut chain = stage.world.proposal_chain();
    chain.push(stage.world.delegate(&stage.world.installation, agent.did, stage.world.tenant.did, "/proposal/payout"));
    let payout = stage.world.payout(LARGE);
    let signed = stage.world.invoke(&agent, stage.world.tenant.did, "/proposal/payout", &payout, chain);
    stage.say(&signed);
    for author in [&agent, &stage.world.installation] {
        let refusal = stage.refusal(&stage.approval(author, &signed.cid()));
        assert!(matches!(refusal, Refusal::NotEntitled { field: "iss", hop: None, .. }), "{refusal}");
    }
}

#[test]
fn an_approval_confirms_what_is_there_to_be_seen() {
    let mut stage = Stage::ready();
    let (one, two) = (stage.in_review(), stage.in_review());
    let [ada, ..] = people(&stage);
    assert_ne!(stage.review(&one), stage.review(&two));
    for wrong in [stage.review(&two), Digest::sha256(b""), *one.digest()] {
        let signed = stage.world.approve(&ada, one, wrong);
        assert_eq!(stage.why_not(&signed), "review: this is not the digest of the proposal and its decision");
    }
}

#[test]
fn an_approval_taken_back_does_not_count() {
    let mut stage = Stage::ready();
    let id = stage.in_review();
    let [ada, bob, cyd] = people(&stage);
    let withdraw =
        |stage: &Stage, person: &Person| stage.world.by(person, "/approval/withdraw", &args::Withdraw { proposal: id });
    assert_eq!(stage.why_not(&withdraw(&stage, &ada)), "proposal: you have not approved it");
    stage.say(&stage.approval(&ada, &id));
    assert_eq!(stage.why_not(&withdraw(&stage, &bob)), "proposal: you have not approved it");
    stage.say(&withdraw(&stage, &ada));
    assert_eq!(approvals(&stage, &id), 0);
    stage.say(&stage.approval(&bob, &id));
    assert!(!stage.proposal(&id).is_approved());
    stage.say(&stage.approval(&ada, &id));
    assert!(stage.proposal(&id).is_approved());
    let late = "proposal: it is not in review any more";
    assert_eq!(stage.why_not(&withdraw(&stage, &ada)), late);
    assert_eq!(stage.why_not(&stage.approval(&cyd, &id)), late);
}

#[test]
fn one_no_ends_it_and_frees_its_budgets() {
    let mut stage = Stage::ready();
    let id = stage.in_review();
    let [ada, bob, _] = people(&stage);
    stage.say(&stage.approval(&ada, &id));
    assert_eq!(stage.budgets(), [(LARGE, 0), (LARGE, 0)]);
    let refuse = stage.world.by(&bob, "/approval/refuse", &args::Refuse { proposal: id, reason: reason() });
    let approval = stage.approval(&bob, &id);
    stage.say(&refuse);
    assert_eq!(stage.status(), Some(Status::Refused));
    assert_eq!(stage.budgets(), [(0, 0), (0, 0)]);
    assert_eq!(stage.why_not(&approval), "proposal: unknown open proposal of this tenant");
}

#[test]
fn a_review_ends_with_the_validity_and_frees_its_budgets() {
    let mut stage = Stage::ready();
    let id = stage.in_review();
    let [ada, bob, _] = people(&stage);
    stage.say(&stage.approval(&ada, &id));
    stage.wait(1_799);
    assert!(stage.consider(&stage.approval(&bob, &id)).is_ok());
    stage.wait(1);
    assert_eq!(stage.why_not(&stage.approval(&bob, &id)), "proposal: its validity has ended");
    stage.wait(1);
    let late = stage.approval(&bob, &id);
    assert_eq!(stage.why_not(&late), "proposal: unknown open proposal of this tenant");
    assert!(stage.state.proposal(&id).is_some(), "a refusal changes nothing, not even the time");
    stage.tick();
    assert_eq!(stage.changes, vec![countersign_ledger::Change::Status(id, Status::Expired)]);
    assert_eq!(stage.budgets(), [(0, 0), (0, 0)]);
    assert!(stage.state.proposal(&id).is_none());
}

#[test]
fn what_was_approved_does_not_expire_with_the_reviews() {
    let mut stage = Stage::ready();
    let id = stage.in_review();
    let [ada, bob, _] = people(&stage);
    stage.say(&stage.approval(&ada, &id));
    stage.say(&stage.approval(&bob, &id));
    stage.wait(1_801);
    stage.tick();
    assert_eq!(stage.budgets(), [(LARGE, 0), (LARGE, 0)], "it may have been executed");
}

#[test]
fn whose_key_is_revoked_since_does_not_count_any_more() {
    let mut stage = Stage::ready();
    let id = stage.in_review();
    let [ada, bob, cyd] = people(&stage);
    stage.say(&stage.approval(&ada, &id));
    let revoke = args::Revoke { revoke: args::Revocation::Key(ada.did), path: Vec::new(), reason: reason() };
    stage.say(&stage.admin("/ucan/revoke", &revoke));
    stage.say(&stage.approval(&bob, &id));
    assert!(!stage.proposal(&id).is_approved());
    stage.say(&stage.approval(&cyd, &id));
    assert!(stage.proposal(&id).is_approved());
}

/// Why the quorum must not sign it, if it must not.
fn hold(stage: &Stage, id: &Cid) -> Option<Hold> {
    stage.state.permit(id, stage.at, Freshness { checkpoint: stage.at, lease: 10 }).err()
}

#[test]
fn whose_key_is_revoked_after_the_approval_holds_the_signature() {
    let mut stage = Stage::ready();
    let id = stage.in_review();
    let [ada, bob, _] = people(&stage);
    stage.say(&stage.approval(&ada, &id));
    stage.say(&stage.approval(&bob, &id));
    assert_eq!(hold(&stage, &id), None);
    let revoke = args::Revoke { revoke: args::Revocation::Key(bob.did), path: Vec::new(), reason: reason() };
    stage.say(&stage.admin("/ucan/revoke", &revoke));
    assert_eq!(hold(&stage, &id), Some(Hold::InReview));
}

/// It is a word on this very proposal, given by right: its end is not taken back as a revocation takes it back.
#[test]
fn an_approval_outlives_the_delegation_that_it_was_given_by() {
    let mut stage = Stage::ready();
    let id = stage.in_review();
    let [ada, bob, _] = people(&stage);
    let tenant = stage.world.tenant.clone();
    let until = stage.at.plus(60);
    let short = stage.world.delegate_until(&tenant, ada.did, tenant.did, "/approval", Some(until));
    let give = args::Give { proposal: id, review: stage.review(&id) };
    stage.say(&stage.world.invoke(&ada, tenant.did, "/approval/give", &give, vec![short]));
    stage.wait(61);
    stage.say(&stage.approval(&bob, &id));
    assert!(stage.proposal(&id).is_approved());
    assert_eq!(hold(&stage, &id), None);
}

#[test]
fn strangers_approve_nothing() {
    let mut stage = Stage::ready();
    let id = stage.in_review();
    let give = args::Give { proposal: id, review: stage.review(&id) };
    let tenant = stage.world.tenant.did;
    let signed = stage.world.invoke(&stranger(), tenant, "/approval/give", &give, Vec::new());
    assert!(matches!(stage.refusal(&signed), Refusal::Unauthorised(_)));
}
