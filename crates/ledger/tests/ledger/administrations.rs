//! Changes of escrow contracts: who asks, how many must, what is signed and what holds it.

use crate::{
    commands::{administer, genesis},
    stage::{MAX_PER_PAYOUT, Stage, map, quorum, reason},
};
use countersign_ledger::{Act, Administration, AdministrationPermit, Freshness, Hold, Measure, Scope, args};
use countersign_tests::{Person, Signed, asset};
use domain::{Address, AssetId, AssetKind, ChainId, ContractMeasure, Did, Digest, Time};
use ipld_core::ipld::Ipld;

/// A log of whose operator two admins together make a change.
fn stage() -> Stage {
    let mut stage = Stage::empty();
    stage.say(&stage.operator("/log/genesis", &args::Genesis { lift_admins: 2, ..genesis(&stage) }));
    for signed in stage.world.setup(MAX_PER_PAYOUT, MAX_PER_PAYOUT).iter().skip(1) {
        stage.say(signed);
    }
    stage.say(&stage.operator("/quorum/set", &quorum(1)));
    stage
}

fn thaw(stage: &Stage, nonce: u64) -> args::Administer {
    args::Administer { measure: Measure::Thaw { guardian: Address([9; 20]) }, nonce, ..administer(stage) }
}

/// By somebody to whom the operator's root delegates it, over a chain of these people.
fn over(stage: &Stage, chain: &[&str], args: &impl serde::Serialize) -> Signed {
    let operator = stage.world.operator.clone();
    let (mut holder, mut proofs) = (operator.clone(), Vec::new());
    for name in chain {
        let next = Person::named(name);
        proofs.push(stage.world.delegate(&holder, next.did, operator.did, "/escrow"));
        holder = next;
    }
    stage.world.invoke(&holder, operator.did, "/escrow/administer", args, proofs)
}

fn by(stage: &Stage, name: &str, args: &impl serde::Serialize) -> Signed {
    over(stage, &[name], args)
}

fn permit(stage: &Stage, id: &Digest) -> Result<AdministrationPermit, Hold> {
    stage.state.administration_permit(id, stage.at, Freshness { checkpoint: stage.at, lease: 10 })
}

fn hold(stage: &Stage, id: &Digest) -> Option<Hold> {
    permit(stage, id).err()
}

fn open<'a>(stage: &'a Stage, id: &Digest) -> &'a Administration {
    stage.state.administrations().get(id).expect("an open administration")
}

/// A thaw that two admins have asked for.
fn approved() -> (Stage, args::Administer) {
    let mut stage = stage();
    let args = thaw(&stage, 3);
    for name in ["ann", "ben"] {
        stage.say(&by(&stage, name, &args));
    }
    (stage, args)
}

const TAKEN: &str = "nonce: another change under this nonce is approved and has not ended";

#[test]
fn two_admins_make_it_and_the_permit_says_exactly_what_is_signed() {
    let mut stage = stage();
    let wide = args::Administer { nonce: 4, ..administer(&stage) };
    for (args, measure) in [
        (thaw(&stage, 3), ContractMeasure::Thaw { guardian: Address([9; 20]) }),
        (wide, ContractMeasure::SetCap { asset: asset().address(), cap: "5000000".to_owned().try_into().unwrap() }),
    ] {
        let id = args.id();
        assert_eq!(hold(&stage, &id), Some(Hold::UnknownAdministration));
        stage.say(&by(&stage, "ann", &args));
        assert_eq!(hold(&stage, &id), Some(Hold::InReview), "one admin alone is not enough");
        // The second says why in words of their own.
        let joined = args::Administer { reason: "I checked the recipients.".parse().unwrap(), ..args.clone() };
        stage.say(&by(&stage, "ben", &joined));
        let permit = permit(&stage, &id).unwrap();
        let signed = *permit.authorisation();
        assert_eq!(permit.tenant(), stage.world.tenant.did);
        assert_eq!(signed.domain, stage.state.tenant(&stage.world.tenant.did).unwrap().escrow);
        assert_eq!((signed.measure, signed.nonce), (measure, args.nonce));
        assert_eq!((signed.valid_until, signed.epoch), (args.valid_until, 1));
        assert_eq!(open(&stage, &id).reason, reason());
        assert_eq!(open(&stage, &id).approved_at, Some(stage.at));
    }
}

#[test]
fn the_same_admin_does_not_count_twice_and_neither_does_a_deputy() {
    let mut stage = stage();
    let args = thaw(&stage, 3);
    stage.say(&by(&stage, "ann", &args));
    let twice = "measure: you have asked for it already; others must";
    assert_eq!(stage.why_not(&by(&stage, "ann", &args)), twice);
    assert_eq!(stage.why_not(&over(&stage, &["ann", "phone"], &args)), twice);
    assert_eq!(hold(&stage, &args.id()), Some(Hold::InReview));
}

#[test]
fn what_differs_does_not_count_together() {
    let mut stage = stage();
    let args = thaw(&stage, 3);
    stage.say(&by(&stage, "ann", &args));
    let others = [
        thaw(&stage, 4),
        args::Administer { measure: Measure::Thaw { guardian: Address([8; 20]) }, ..args.clone() },
        args::Administer { valid_until: args.valid_until.plus(1), ..args.clone() },
        args::Administer { nonce: 3, ..administer(&stage) },
    ];
    for other in others {
        stage.say(&by(&stage, "ben", &other));
        assert_eq!(hold(&stage, &other.id()), Some(Hold::InReview), "{other:?}");
    }
    assert_eq!(hold(&stage, &args.id()), Some(Hold::InReview));
}

#[test]
fn only_the_operators_admins_ask() {
    let stage = stage();
    let args = thaw(&stage, 3);
    let by_tenant = stage.admin("/escrow/administer", &args);
    assert_eq!(stage.why_not(&by_tenant), "the subject of this command is the operator");
    let stranger = stage.world.invoke(
        &Person::named("stranger"),
        stage.world.operator.did,
        "/escrow/administer",
        &args,
        Vec::new(),
    );
    assert!(stage.why_not(&stranger).starts_with("not authorised"));
    // Who may lift freezes may not therefore change contracts.
    let operator = &stage.world.operator;
    let ann = Person::named("ann");
    let freezer = stage.world.delegate(operator, ann.did, operator.did, "/freeze");
    let signed = stage.world.invoke(&ann, operator.did, "/escrow/administer", &args, vec![freezer]);
    assert!(stage.why_not(&signed).starts_with("not authorised"));
}

#[test]
fn args_name_a_tenant_an_asset_and_a_time_that_are_possible() {
    let stage = stage();
    let good = administer(&stage);
    let cap = |asset, cap: u64| Measure::SetCap { asset, cap: cap.try_into().unwrap() };
    let foreign = AssetId { chain: ChainId(31_337), kind: AssetKind::Erc20(Address([0x12; 20])) };
    let bad_asset = "measure: no asset of the tenant's, or above what the contract can hold";
    let change = |change: fn(&mut args::Administer, Time)| {
        let mut args = good.clone();
        change(&mut args, stage.at);
        args
    };
    for (args, why) in [
        (args::Administer { tenant: Person::named("other").did, ..good.clone() }, "tenant: unknown tenant"),
        (args::Administer { measure: cap(foreign, 1), ..good.clone() }, bad_asset),
        (change(|a, at| a.valid_until = at), "valid_until: it has passed"),
        (change(|a, at| a.valid_until = at.minus(1)), "valid_until: it has passed"),
        (change(|a, at| a.valid_until = at.plus(86_401)), "valid_until: at most 24 hours ahead"),
    ] {
        assert_eq!(stage.why_not(&by(&stage, "ann", &args)), why);
    }
    for args in [
        change(|a, at| a.valid_until = at.plus(86_400)),
        args::Administer { measure: cap(asset(), 0), ..good.clone() },
        args::Administer { measure: cap(asset(), domain::MAX_AMOUNT), ..good.clone() },
        change(|a, _| a.nonce = 0),
    ] {
        stage.consider(&by(&stage, "ann", &args)).unwrap();
    }
    let field =
        |args: &args::Administer| Act::parse("/escrow/administer", &Ipld::Map(map(args))).unwrap_err().to_string();
    assert_eq!(field(&change(|a, _| a.nonce = 1 << 53)), "args.nonce: at most 2^53-1");
    let nobody = change(|a, _| a.measure = Measure::Thaw { guardian: Address([0; 20]) });
    assert_eq!(field(&nobody), "args.measure.thaw.guardian: the zero address cannot freeze");
}

#[test]
fn a_cap_beyond_what_the_contract_holds_is_refused() {
    let mut stage = stage();
    let tenant = Person::named("tenant-2");
    let mut create = crate::commands::create(&stage, &tenant, 0xef);
    create.assets[0].scale = 18.try_into().unwrap();
    stage.say(&stage.operator("/tenant/create", &create));
    let cap = |cap: u64| args::Administer {
        tenant: tenant.did,
        measure: Measure::SetCap { asset: asset(), cap: cap.try_into().unwrap() },
        ..administer(&stage)
    };
    // 112 bits hold 5192296858534827 and a bit times 10^18.
    stage.consider(&by(&stage, "ann", &cap(5_192_296_858_534_827))).unwrap();
    let above = stage.why_not(&by(&stage, "ann", &cap(5_192_296_858_534_828)));
    assert_eq!(above, "measure: no asset of the tenant's, or above what the contract can hold");
}

#[test]
fn one_change_is_approved_under_a_nonce() {
    let (mut stage, args) = approved();
    let other = args::Administer { measure: Measure::Thaw { guardian: Address([8; 20]) }, ..args.clone() };
    assert_eq!(stage.why_not(&by(&stage, "ann", &other)), TAKEN);
    // Another nonce and another tenant's contract are not concerned.
    stage.consider(&by(&stage, "ann", &thaw(&stage, 4))).unwrap();
    let tenant = Person::named("tenant-2");
    stage.say(&stage.operator("/tenant/create", &crate::commands::create(&stage, &tenant, 0xef)));
    let elsewhere = args::Administer { tenant: tenant.did, ..other };
    stage.consider(&by(&stage, "ann", &elsewhere)).unwrap();
}

#[test]
fn of_two_that_wait_under_a_nonce_the_first_to_be_approved_wins() {
    let mut stage = stage();
    let (one, two) = (thaw(&stage, 3), args::Administer { nonce: 3, ..administer(&stage) });
    stage.say(&by(&stage, "ann", &one));
    stage.say(&by(&stage, "ann", &two));
    stage.say(&by(&stage, "ben", &two));
    assert_eq!(hold(&stage, &two.id()), None);
    assert_eq!(stage.why_not(&by(&stage, "ben", &one)), TAKEN);
    assert_eq!(hold(&stage, &one.id()), Some(Hold::InReview));
}

#[test]
fn its_end_holds_it_and_frees_the_nonce_when_no_chain_can_execute_it_any_more() {
    let (mut stage, args) = approved();
    let id = args.id();
    stage.wait(3_599);
    assert_eq!(hold(&stage, &id), None);
    stage.wait(1);
    assert_eq!(hold(&stage, &id), Some(Hold::Expired));
    // A clock that lags the log does not bring it back.
    stage.tick();
    let view = Freshness { checkpoint: stage.at, lease: 10 };
    assert_eq!(stage.state.administration_permit(&id, stage.at.minus(60), view).unwrap_err(), Hold::Expired);
    let again = thaw(&stage, 3);
    assert_ne!(again.id(), id);
    assert_eq!(stage.why_not(&by(&stage, "ann", &again)), TAKEN, "a chain's clock may lag");
    stage.wait(600);
    assert_eq!(stage.why_not(&by(&stage, "ann", &again)), TAKEN);
    stage.wait(1);
    for name in ["ann", "ben"] {
        stage.say(&by(&stage, name, &again));
    }
    assert_eq!(hold(&stage, &id), Some(Hold::UnknownAdministration));
    assert_eq!(hold(&stage, &again.id()), None);
    assert_eq!(stage.state.administrations().iter().count(), 1);
}

#[test]
fn a_freeze_of_the_log_holds_even_a_thaw() {
    let tenant = Scope::Tenant(Stage::empty().world.tenant.did);
    for scope in [Scope::All, tenant] {
        let set = args::Set { scope: scope.clone(), reason: reason() };
        let (mut stage, args) = approved();
        stage.say(&stage.operator("/freeze/set", &set));
        assert_eq!(hold(&stage, &args.id()), Some(Hold::Frozen));
        let (mut stage, args) = approved();
        let set = stage.admin("/freeze/set", &set);
        stage.say(&set);
        assert_eq!(hold(&stage, &args.id()), Some(Hold::Frozen));
        let lift = args::Lift { scope, freeze: set.cid() };
        stage.say(&stage.admin("/freeze/lift", &lift));
        assert_eq!(hold(&stage, &args.id()), None);
    }
    // One that does not cover the tenant as a whole concerns payouts alone.
    let (mut stage, args) = approved();
    let plugin = args::Set { scope: Scope::Plugin(stage.world.plugin()), reason: reason() };
    stage.say(&stage.operator("/freeze/set", &plugin));
    assert_eq!(hold(&stage, &args.id()), None);
}

#[test]
fn who_is_revoked_does_not_count_any_more() {
    let revoke = |key: Did| args::Revoke { revoke: args::Revocation::Key(key), path: Vec::new(), reason: reason() };
    let (mut stage, args) = approved();
    stage.say(&stage.operator("/ucan/revoke", &revoke(Person::named("ann").did)));
    assert_eq!(hold(&stage, &args.id()), Some(Hold::InReview));
    // The nonce stays taken: somebody may have signed it before.
    let other = args::Administer { nonce: 3, ..administer(&stage) };
    assert_eq!(stage.why_not(&by(&stage, "ben", &other)), TAKEN);
    stage.say(&by(&stage, "cat", &args));
    assert_eq!(hold(&stage, &args.id()), None);

    let mut waiting = self::stage();
    let args = thaw(&waiting, 3);
    waiting.say(&by(&waiting, "ann", &args));
    waiting.say(&waiting.operator("/ucan/revoke", &revoke(Person::named("ann").did)));
    waiting.say(&by(&waiting, "ben", &args));
    assert_eq!(hold(&waiting, &args.id()), Some(Hold::InReview));
    assert_eq!(open(&waiting, &args.id()).approved_at, None);
}

#[test]
fn the_operators_root_key_counts_as_one_admin_and_not_as_two() {
    let mut stage = Stage::empty();
    for signed in stage.world.setup(MAX_PER_PAYOUT, MAX_PER_PAYOUT) {
        stage.say(&signed);
    }
    stage.say(&stage.operator("/quorum/set", &quorum(1)));
    let args = thaw(&stage, 3);
    stage.say(&stage.operator("/escrow/administer", &args));
    assert_eq!(hold(&stage, &args.id()), Some(Hold::InReview));
    let twice = "measure: you have asked for it already; others must";
    assert_eq!(stage.why_not(&stage.operator("/escrow/administer", &args)), twice);
    stage.say(&by(&stage, "ann", &args));
    assert_eq!(hold(&stage, &args.id()), None);
}

#[test]
fn who_was_revoked_asks_again_by_another_delegation() {
    let mut stage = stage();
    let args = thaw(&stage, 3);
    let (operator, ann) = (stage.world.operator.clone(), Person::named("ann"));
    let old = stage.world.delegate(&operator, ann.did, operator.did, "/escrow");
    let revoke = args::Revoke { revoke: args::Revocation::Delegation(old.cid()), path: Vec::new(), reason: reason() };
    stage.say(&stage.world.invoke(&ann, operator.did, "/escrow/administer", &args, vec![old]));
    stage.say(&by(&stage, "ben", &args));
    assert_eq!(hold(&stage, &args.id()), None);
    stage.say(&stage.operator("/ucan/revoke", &revoke));
    assert_eq!(hold(&stage, &args.id()), Some(Hold::InReview));
    stage.say(&by(&stage, "ann", &args));
    assert_eq!(hold(&stage, &args.id()), None);
    let twice = "measure: you have asked for it already; others must";
    assert_eq!(stage.why_not(&by(&stage, "ann", &args)), twice);
}

#[test]
fn whose_delegation_has_expired_does_not_count_any_more() {
    let mut stage = stage();
    let args = thaw(&stage, 3);
    let (operator, ann) = (stage.world.operator.clone(), Person::named("ann"));
    let until = stage.at.plus(100);
    let short = stage.world.delegate_until(&operator, ann.did, operator.did, "/escrow", Some(until));
    // A deputy's own delegation lasts; the one that it hangs on does not.
    let phone = Person::named("phone");
    let deputy = stage.world.delegate(&ann, phone.did, operator.did, "/escrow");
    stage.say(&stage.world.invoke(&phone, operator.did, "/escrow/administer", &args, vec![short, deputy]));
    stage.say(&by(&stage, "ben", &args));
    let left = until.unix() - stage.at.unix();
    stage.wait(left - 1);
    assert_eq!(hold(&stage, &args.id()), None);
    stage.wait(1);
    assert_eq!(hold(&stage, &args.id()), Some(Hold::InReview));
    stage.say(&by(&stage, "ann", &args));
    assert_eq!(hold(&stage, &args.id()), None);
}

#[test]
fn a_contract_has_room_for_16_approved_changes() {
    let mut stage = stage();
    for nonce in 0..16 {
        for name in ["ann", "ben"] {
            stage.say(&by(&stage, name, &thaw(&stage, nonce)));
        }
    }
    let more = thaw(&stage, 16);
    stage.say(&by(&stage, "ann", &more));
    let full = "tenant: 16 others of its contract are approved and have not ended";
    assert_eq!(stage.why_not(&by(&stage, "ben", &more)), full);
    let tenant = Person::named("tenant-2");
    stage.say(&stage.operator("/tenant/create", &crate::commands::create(&stage, &tenant, 0xef)));
    let elsewhere = args::Administer { tenant: tenant.did, ..thaw(&stage, 0) };
    for name in ["ann", "ben"] {
        stage.say(&by(&stage, name, &elsewhere));
    }
    assert_eq!(hold(&stage, &elsewhere.id()), None);
}

#[test]
fn one_admin_leaves_room_for_the_others() {
    let mut stage = stage();
    for nonce in 0..8 {
        stage.say(&by(&stage, "ann", &thaw(&stage, nonce)));
    }
    let ninth = thaw(&stage, 8);
    assert_eq!(
        stage.why_not(&by(&stage, "ann", &ninth)),
        "measure: you have asked for 8 others that nobody has joined yet"
    );
    stage.say(&by(&stage, "ben", &ninth));
    // Joining takes no room, and what is joined gives its room back.
    stage.say(&by(&stage, "ann", &ninth));
    stage.say(&by(&stage, "ben", &thaw(&stage, 0)));
    stage.say(&by(&stage, "ann", &thaw(&stage, 9)));
}

#[test]
fn a_view_that_is_not_fresh_or_a_missing_quorum_holds() {
    let (stage, args) = approved();
    let view = |age: u64| Freshness { checkpoint: stage.at.minus(age), lease: 10 };
    let ask = |age| stage.state.administration_permit(&args.id(), stage.at, view(age));
    assert!(ask(9).is_ok());
    assert_eq!(ask(10).unwrap_err(), Hold::StaleView);

    let mut stage = Stage::empty();
    for signed in stage.world.setup(MAX_PER_PAYOUT, MAX_PER_PAYOUT) {
        stage.say(&signed);
    }
    let args = thaw(&stage, 3);
    stage.say(&by(&stage, "ann", &args));
    assert_eq!(hold(&stage, &args.id()), Some(Hold::InReview), "where one admin lifts freezes, one is not enough");
    stage.say(&by(&stage, "ben", &args));
    assert_eq!(hold(&stage, &args.id()), Some(Hold::NoQuorum));
}

#[test]
fn a_state_that_never_had_one_has_the_hash_that_it_always_had() {
    let (mut stage, _) = approved();
    assert!(String::from_utf8_lossy(&serde_ipld_dagcbor::to_vec(&stage.state).unwrap()).contains("administrations"));
    stage.wait(3_600 + 601);
    stage.tick();
    assert!(!String::from_utf8_lossy(&serde_ipld_dagcbor::to_vec(&stage.state).unwrap()).contains("administrations"));
}
