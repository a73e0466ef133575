//! The gate before every signature: every reason to hold.

use crate::stage::{MAX_PER_PAYOUT, SMALL, Stage, quorum, reason};
use countersign_ledger::{Freshness, Hold, Permit, Scope, Verdict, args};
use countersign_tests::{Person, asset, recipient};
use domain::{Address, Cid, Digest};

fn permit(stage: &Stage, id: &Cid) -> Result<Permit, Hold> {
    stage.state.permit(id, stage.at, Freshness { checkpoint: stage.at, lease: 10 })
}

pub fn hold(stage: &Stage, id: &Cid) -> Option<Hold> {
    permit(stage, id).err()
}

fn approved() -> (Stage, Cid) {
    let mut stage = Stage::ready();
    let id = stage.approved();
    (stage, id)
}

#[test]
fn a_permit_says_exactly_what_is_signed() {
    let (stage, id) = approved();
    let permit = permit(&stage, &id).unwrap();
    assert_eq!(permit.proposal(), id);
    let signed = permit.authorisation();
    let installation = stage.world.installation.did.to_string();
    assert_eq!(signed.intent, *id.digest());
    assert_eq!(signed.installation, Digest::sha256(installation.as_bytes()));
    assert_eq!(signed.order, Digest::sha256(b"order-1"));
    assert_eq!(signed.asset, asset().address());
    assert_eq!(signed.domain.contract, Address([0xee; 20]));
    assert_eq!(signed.recipients, [recipient(1).address, recipient(2).address]);
    let amounts: Vec<u128> = signed.amounts.iter().map(|a| a.get()).collect();
    assert_eq!(amounts, [u128::from(SMALL) * 9 / 10, u128::from(SMALL) / 10]);
    assert_eq!((signed.valid_until, signed.epoch), (stage.world.payout(SMALL).valid_until, 1));
}

#[test]
fn unknown_is_what_was_never_proposed_or_denied_or_settled() {
    let (mut stage, id) = approved();
    assert_eq!(hold(&stage, &Cid::of(b"nothing")), Some(Hold::Unknown));
    let denied = stage.propose(MAX_PER_PAYOUT + 1);
    assert_eq!(hold(&stage, &denied), Some(Hold::Unknown));
    for node in crate::stage::nodes().iter().take(2) {
        stage.say(&stage.attestation(node, id, Verdict::Final));
    }
    assert_eq!(hold(&stage, &id), Some(Hold::Unknown));
}

#[test]
fn reviews_and_cancelled_ones_are_held() {
    let (mut stage, id) = approved();
    let review = stage.in_review();
    assert_eq!(hold(&stage, &review), Some(Hold::InReview));
    stage.say(&stage.cancel(id));
    assert_eq!(hold(&stage, &id), Some(Hold::Cancelled));
}

#[test]
fn a_freeze_holds() {
    let (mut stage, id) = approved();
    stage.say(&stage.admin("/freeze/set", &args::Set { scope: Scope::All, reason: reason() }));
    assert_eq!(hold(&stage, &id), Some(Hold::Frozen));
}

#[test]
fn the_end_of_validity_holds_also_when_the_clock_lags_the_log() {
    let (mut stage, id) = approved();
    let until = stage.proposal(&id).payout.valid_until;
    let at = |now: domain::Time| stage.state.permit(&id, now, Freshness { checkpoint: now, lease: 10 }).err();
    assert_eq!(at(until.minus(1)), None);
    assert_eq!(at(until), Some(Hold::Expired));
    stage.wait(1_800);
    stage.tick();
    let lagging = stage.at.minus(60);
    let view = Freshness { checkpoint: stage.at, lease: 10 };
    assert_eq!(stage.state.permit(&id, lagging, view).unwrap_err(), Hold::Expired);
}

#[test]
fn a_revocation_anywhere_in_the_chain_holds_in_both_realms() {
    let revoke = |revoke| args::Revoke { revoke, path: Vec::new(), reason: reason() };
    let (stage, id) = approved();
    let authority = stage.proposal(&id).authority.clone();
    let delegations = authority.hops.iter().map(|h| args::Revocation::Delegation(h.cid));
    let keys = authority.hops.iter().map(|h| args::Revocation::Key(h.audience));
    let all: Vec<_> = delegations.chain(keys).collect();
    assert_eq!(all.len(), 4);
    for revocation in all {
        for by_operator in [false, true] {
            // The clock of a world counts its nonces: the same calls give the same tokens again.
            let (mut stage, id) = approved();
            let args = revoke(revocation.clone());
            let signed =
                if by_operator { stage.operator("/ucan/revoke", &args) } else { stage.admin("/ucan/revoke", &args) };
            stage.say(&signed);
            assert_eq!(hold(&stage, &id), Some(Hold::Revoked), "{revocation:?}");
        }
    }
}

#[test]
fn an_installation_that_may_not_act_is_held() {
    let installation = Stage::empty().world.installation.did;
    let reason = reason();
    let (mut stage, id) = approved();
    stage.say(&stage.admin("/installation/suspend", &args::Suspend { installation, reason: reason.clone() }));
    assert_eq!(hold(&stage, &id), Some(Hold::InstallationInactive));
    stage.say(&stage.admin("/installation/resume", &args::Resume { installation, reason: reason.clone() }));
    assert_eq!(hold(&stage, &id), None);
    stage.say(&stage.admin("/installation/remove", &args::Remove { installation, reason: reason.clone() }));
    assert_eq!(hold(&stage, &id), Some(Hold::InstallationInactive));

    let (mut stage, id) = approved();
    let grant = args::Revocation::Grant(installation);
    stage.say(&stage.admin("/ucan/revoke", &args::Revoke { revoke: grant, path: Vec::new(), reason }));
    assert_eq!(hold(&stage, &id), Some(Hold::InstallationInactive));
}

#[test]
fn a_grant_that_ends_before_the_payout_does_holds_it() {
    let mut stage = Stage::ready();
    let person = stage.world.installation.clone();
    let mut shorter = crate::commands::second_grant(&stage, &person);
    shorter.expires_at = stage.at.plus(5);
    stage.say(&stage.admin("/installation/grant", &shorter));
    let id = stage.approved();
    stage.wait(4);
    assert_eq!(hold(&stage, &id), None);
    stage.wait(1);
    assert_eq!(hold(&stage, &id), Some(Hold::InstallationInactive));
}

#[test]
fn a_later_grant_does_not_revive_what_was_made_under_an_earlier_one() {
    let (mut stage, id) = approved();
    let person = stage.world.installation.clone();
    let again = crate::commands::second_grant(&stage, &person);
    stage.say(&stage.admin("/installation/grant", &again));
    assert_eq!(hold(&stage, &id), Some(Hold::InstallationInactive));
    let fresh = stage.approved();
    assert_eq!(hold(&stage, &fresh), None);
}

#[test]
fn a_recipient_who_is_not_verified_any_more_is_held() {
    let verify = |stage: &Stage, sanctioned, valid_until| {
        let args = args::Verify { account: recipient(2), kyc_level: 3, sanctioned, valid_until };
        stage.world.by(&stage.world.provider, "/recipient/verify", &args)
    };
    let (mut stage, id) = approved();
    stage.say(&verify(&stage, true, stage.at.plus(600)));
    assert_eq!(hold(&stage, &id), Some(Hold::Recipient));
    stage.say(&verify(&stage, false, stage.at.plus(5)));
    stage.wait(5);
    assert_eq!(hold(&stage, &id), None);
    stage.wait(1);
    assert_eq!(hold(&stage, &id), Some(Hold::Recipient));
}

/// A word counts while everything that it was said by does, down to the key that said it.
#[test]
fn a_recipient_verified_by_a_right_that_is_revoked_is_held() {
    let service = Person::named("the provider's service");
    let said = || {
        let mut stage = Stage::ready();
        let (world, verify) = (&stage.world, "/recipient/verify");
        let to_provider = world.delegate(&world.tenant, world.provider.did, world.tenant.did, verify);
        let to_service = world.delegate(&world.provider, service.did, world.tenant.did, verify);
        let args =
            args::Verify { account: recipient(2), kyc_level: 3, sanctioned: false, valid_until: stage.at.plus(600) };
        let chain = vec![to_provider.clone(), to_service.clone()];
        let signed = world.invoke(&service, world.tenant.did, verify, &args, chain);
        stage.say(&signed);
        let id = stage.approved();
        assert_eq!(hold(&stage, &id), None);
        (stage, id, to_provider.cid(), to_service.cid())
    };
    for which in 0..4 {
        let (mut stage, id, to_provider, to_service) = said();
        let revoke = match which {
            0 => args::Revocation::Key(service.did),
            1 => args::Revocation::Key(stage.world.provider.did),
            2 => args::Revocation::Delegation(to_provider),
            _ => args::Revocation::Delegation(to_service),
        };
        let args = args::Revoke { revoke, path: Vec::new(), reason: reason() };
        stage.say(&stage.admin("/ucan/revoke", &args));
        assert_eq!(hold(&stage, &id), Some(Hold::Recipient), "{which}");
        let outcome = stage.consider(&stage.world.propose(SMALL)).unwrap();
        let codes: Vec<_> = outcome.decision().unwrap().violations.iter().map(|v| v.code).collect();
        assert!(codes.contains(&policy::Code::RecipientUnverified), "{which}: {codes:?}");
    }
}

#[test]
fn a_view_that_is_not_fresh_holds_before_anything_else() {
    let (stage, id) = approved();
    let view = |age: u64| Freshness { checkpoint: stage.at.minus(age), lease: 10 };
    assert!(stage.state.permit(&id, stage.at, view(9)).is_ok());
    assert_eq!(stage.state.permit(&id, stage.at, view(10)).unwrap_err(), Hold::StaleView);
    assert_eq!(stage.state.permit(&Cid::of(b"x"), stage.at, view(10)).unwrap_err(), Hold::StaleView);
    // A checkpoint from before the last entry of this very view ages by the log's time, not by a lagging clock's.
    assert_eq!(stage.state.permit(&id, stage.at.minus(60), view(10)).unwrap_err(), Hold::StaleView);
    let never = Freshness { checkpoint: stage.at, lease: 0 };
    assert_eq!(stage.state.permit(&id, stage.at, never).unwrap_err(), Hold::StaleView);
}

#[test]
fn without_a_quorum_there_is_nothing_to_sign_with() {
    let mut stage = Stage::empty();
    for signed in stage.world.setup(MAX_PER_PAYOUT, MAX_PER_PAYOUT) {
        stage.say(&signed);
    }
    let id = stage.approved();
    assert_eq!(hold(&stage, &id), Some(Hold::NoQuorum));
    stage.say(&stage.operator("/quorum/set", &quorum(1)));
    assert_eq!(hold(&stage, &id), None);
}

#[test]
fn codes_are_stable_and_distinct() {
    let all = [
        (Hold::Unknown, "unknown_proposal"),
        (Hold::UnknownAdministration, "unknown_administration"),
        (Hold::InReview, "not_approved"),
        (Hold::Cancelled, "cancelled"),
        (Hold::Frozen, "frozen"),
        (Hold::Expired, "expired"),
        (Hold::Revoked, "revoked"),
        (Hold::InstallationInactive, "installation_inactive"),
        (Hold::Recipient, "recipient"),
        (Hold::StaleView, "stale_view"),
        (Hold::NoQuorum, "no_key"),
    ];
    assert_eq!(all.map(|(hold, _)| hold.code()), all.map(|(_, code)| code));
}
