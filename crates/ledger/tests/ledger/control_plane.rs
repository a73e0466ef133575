//! The control plane's issuer key narrows authority and never exercises it.

use crate::{
    commands::{other_installation, second_grant},
    stage::{LARGE, SMALL, Stage, reason, stranger},
};
use countersign_ledger::{Status, args};
use countersign_tests::{Person, Signed};
use domain::{Did, Time};
use ucan::{Delegation, Verified};

const PAYOUT: &str = "/proposal/payout";
const CANCEL: &str = "/proposal/cancel";

fn passed_on(stage: &Stage, to: Did, command: &str, until: Option<Time>) -> Vec<Verified<Delegation>> {
    let world = &stage.world;
    vec![world.tenant_to_issuer(), world.delegate_until(&world.issuer, to, world.tenant.did, command, until)]
}

fn payout_by(stage: &Stage, person: &Person, chain: Vec<Verified<Delegation>>) -> Signed {
    stage.world.invoke(person, stage.world.tenant.did, PAYOUT, &stage.world.payout(SMALL), chain)
}

fn soon(stage: &Stage) -> Time {
    stage.at.plus(600)
}

#[test]
fn a_chain_without_the_installation_proposes_nothing() {
    let stage = Stage::ready();
    let world = &stage.world;
    let without = "not entitled: the chain does not pass through an installation of this tenant";
    let direct = world.delegate(&world.tenant, stranger().did, world.tenant.did, PAYOUT);
    assert_eq!(stage.why_not(&payout_by(&stage, &stranger(), vec![direct])), without);
    let by_issuer = passed_on(&stage, stranger().did, PAYOUT, Some(soon(&stage)));
    assert_eq!(stage.why_not(&payout_by(&stage, &stranger(), by_issuer)), without);
    let root = world.invoke(&world.tenant, world.tenant.did, PAYOUT, &world.payout(SMALL), Vec::new());
    assert_eq!(stage.why_not(&root), without, "not even the tenant's root");
}

#[test]
fn the_issuer_itself_proposes_nothing() {
    let stage = Stage::ready();
    let world = &stage.world;
    let own = payout_by(&stage, &world.issuer, vec![world.tenant_to_issuer()]);
    assert_eq!(stage.why_not(&own), "not entitled: the chain does not pass through an installation of this tenant");
    // Nor when the installation hands its authority back to the control plane.
    for person in [&world.issuer, &world.sequencer] {
        let mut chain = world.proposal_chain();
        chain.push(world.delegate(&world.installation, person.did, world.tenant.did, PAYOUT));
        assert_eq!(
            stage.why_not(&payout_by(&stage, person, chain)),
            "not entitled: the control plane passes authority on and never exercises it"
        );
    }
}

#[test]
fn the_issuer_delegates_to_the_installation_alone() {
    let stage = Stage::ready();
    let world = &stage.world;
    let middleman = Person::named("middleman");
    let mut chain = passed_on(&stage, middleman.did, PAYOUT, Some(soon(&stage)));
    chain.push(world.delegate(&middleman, world.installation.did, world.tenant.did, PAYOUT));
    assert_eq!(
        stage.why_not(&payout_by(&stage, &world.installation, chain)),
        "not entitled: the control plane delegates to the granted installation only"
    );
}

#[test]
fn the_issuer_delegates_for_minutes() {
    let stage = Stage::ready();
    let installation = &stage.world.installation;
    let long = "not entitled: the control plane delegates for at most 15 minutes";
    for until in [None, Some(stage.at.plus(931)), Some(stage.at.plus(86_400))] {
        let chain = passed_on(&stage, installation.did, PAYOUT, until);
        assert_eq!(stage.why_not(&payout_by(&stage, installation, chain)), long, "{until:?}");
    }
    let chain = passed_on(&stage, installation.did, PAYOUT, Some(stage.at.plus(930)));
    assert!(stage.consider(&payout_by(&stage, installation, chain)).is_ok());
}

#[test]
fn a_chain_passes_through_one_installation() {
    let mut stage = Stage::ready();
    let other = other_installation();
    stage.say(&stage.admin("/installation/grant", &second_grant(&stage, &other)));
    let mut chain = stage.world.proposal_chain();
    chain.push(stage.world.delegate(&stage.world.installation, other.did, stage.world.tenant.did, PAYOUT));
    assert_eq!(
        stage.why_not(&payout_by(&stage, &other, chain)),
        "not entitled: the chain passes through more than one installation"
    );
}

fn cancel_by(stage: &Stage, person: &Person, chain: Vec<Verified<Delegation>>, id: domain::Cid) -> Signed {
    let args = args::Cancel { proposal: id, reason: reason() };
    stage.world.invoke(person, stage.world.tenant.did, CANCEL, &args, chain)
}

#[test]
fn the_issuer_cancels_nothing_either() {
    let mut stage = Stage::ready();
    for id in [stage.approved(), stage.in_review()] {
        let world = &stage.world;
        let own = cancel_by(&stage, &world.issuer, vec![world.tenant_to_issuer()], id);
        assert_eq!(stage.why_not(&own), "not entitled: the control plane passes authority on and never exercises it");
        let handed = passed_on(&stage, stranger().did, CANCEL, Some(soon(&stage)));
        assert_eq!(
            stage.why_not(&cancel_by(&stage, &stranger(), handed, id)),
            "not entitled: the control plane delegates to the granted installation only"
        );
        let long = passed_on(&stage, world.installation.did, CANCEL, None);
        assert_eq!(
            stage.why_not(&cancel_by(&stage, &world.installation, long, id)),
            "not entitled: the control plane delegates for at most 15 minutes"
        );
    }
}

#[test]
fn an_installation_cancels_its_own_alone() {
    let mut stage = Stage::ready();
    let other = other_installation();
    stage.say(&stage.admin("/installation/grant", &second_grant(&stage, &other)));
    let id = stage.in_review();
    let foreign = passed_on(&stage, other.did, CANCEL, Some(soon(&stage)));
    let alone = "not entitled: a plugin cancels its own proposals only";
    assert_eq!(stage.why_not(&cancel_by(&stage, &other, foreign, id)), alone);
    let own = passed_on(&stage, stage.world.installation.did, CANCEL, Some(soon(&stage)));
    let mut lent = own.clone();
    lent.push(stage.world.delegate(&stage.world.installation, other.did, stage.world.tenant.did, CANCEL));
    assert_eq!(stage.why_not(&cancel_by(&stage, &other, lent, id)), alone, "not through another one either");
    stage.say(&cancel_by(&stage, &stage.world.installation, own, id));
    assert_eq!(stage.status(), Some(Status::Cancelled));
}

#[test]
fn the_tenants_consent_covers_proposals_alone() {
    let mut stage = Stage::ready();
    let id = stage.propose(LARGE);
    let world = &stage.world;
    let give = args::Give { proposal: id, review: stage.review(&id) };
    let own = world.invoke(&world.issuer, world.tenant.did, "/approval/give", &give, vec![world.tenant_to_issuer()]);
    assert!(stage.why_not(&own).starts_with("not authorised: Command"), "{}", stage.why_not(&own));
}
