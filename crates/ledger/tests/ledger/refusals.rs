//! What each command alone refuses: one row per reason.

use crate::{
    commands::{create, create_with, other_installation, prepared, publish, second_grant},
    stage::{Stage, map, nodes, quorum, reason, stranger, strict_policy},
};
use countersign_ledger::{Scope, args};
use countersign_tests::{Person, Signed, activation, asset};
use domain::{Address, AssetId, AssetKind, ChainId, Did};
use ucan::issue::NewDelegation;

type Row = (&'static str, fn(&Stage) -> Signed, &'static str);

fn check(rows: &[Row]) {
    let (stage, _) = prepared();
    for (what, signed, expected) in rows {
        assert_eq!(stage.why_not(&signed(&stage)), *expected, "{what}");
    }
}

fn other_asset() -> AssetId {
    AssetId { chain: ChainId(31_337), kind: AssetKind::Native }
}

fn grant(stage: &Stage, change: impl FnOnce(&mut args::Grant)) -> Signed {
    let mut args = second_grant(stage, &Person::named("installation-3"));
    change(&mut args);
    stage.admin("/installation/grant", &args)
}

fn grant_to(stage: &Stage, did: Did) -> Signed {
    grant(stage, |g| g.installation = did)
}

const TAKEN: &str = "installation: this key already has another part";

#[test]
fn tenants() {
    check(&[
        (
            "a tenant twice",
            |s| {
                let args = create_with(s.world.tenant.did, 0xef, &s.world.tenant_to_issuer());
                s.operator("/tenant/create", &args)
            },
            "tenant: this DID is taken",
        ),
        (
            "the operator as a tenant",
            |s| {
                let args = create(s, &s.world.operator, 0xef);
                s.operator("/tenant/create", &args)
            },
            "tenant: this DID is taken",
        ),
        (
            "an escrow twice",
            |s| s.operator("/tenant/create", &create(s, &Person::named("tenant-2"), 0xee)),
            "escrow: another tenant has this contract",
        ),
        (
            "a delegation to another issuer",
            |s| {
                let tenant = Person::named("tenant-2");
                let new = NewDelegation::new(stranger().did, tenant.did, "/proposal".parse().unwrap(), [4; 16]);
                let delegation = ucan::issue::delegate(&tenant.key, new).unwrap();
                s.operator("/tenant/create", &create_with(tenant.did, 0xef, &delegation))
            },
            "delegation: its audience is not the log's issuer key",
        ),
    ]);
}

#[test]
fn quorums() {
    check(&[
        ("the same epoch again", |s| s.operator("/quorum/set", &quorum(1)), "epoch: the next epoch is 2"),
        ("an epoch skipped", |s| s.operator("/quorum/set", &quorum(3)), "epoch: the next epoch is 2"),
        (
            "an installation as a signer",
            |s| {
                let mut next = quorum(2);
                next.0.participants[0].node = s.world.installation.did;
                s.operator("/quorum/set", &next)
            },
            "participants: a node's key already has another part",
        ),
        ("epoch 0", |s| s.operator("/quorum/set", &quorum(0)), "epoch: the next epoch is 2"),
    ]);
}

#[test]
fn publishers_and_plugins() {
    check(&[
        ("a publisher twice", |s| s.world.register_publisher(), "publisher: already registered"),
        (
            "somebody who is no publisher",
            |s| {
                let proof = s.world.delegate(&s.world.operator, stranger().did, s.world.operator.did, "/plugin");
                let args = publish(s, "2.0.0");
                s.world.invoke(&stranger(), s.world.operator.did, "/plugin/publish", &args, vec![proof])
            },
            "not entitled: only a registered publisher publishes",
        ),
        ("a version twice", |s| s.world.publish_plugin(), "version: already published; a version never changes"),
    ]);
}

#[test]
fn a_plugin_belongs_to_its_first_publisher() {
    let mut stage = Stage::ready();
    let rival = Person::named("rival");
    let args = args::Register { publisher: rival.did, name: "Rival".parse().unwrap() };
    stage.say(&stage.operator("/publisher/register", &args));
    let proof = stage.world.delegate(&stage.world.operator, rival.did, stage.world.operator.did, "/plugin");
    let mut args = publish(&stage, "9.9.9");
    let by = |args: &args::Publish| {
        stage.world.invoke(&rival, stage.world.operator.did, "/plugin/publish", args, vec![proof.clone()])
    };
    let why = "not entitled: com.example.payouts belongs to another publisher";
    assert_eq!(stage.why_not(&by(&args)), why);
    args.plugin = "com.rival.payouts".parse().unwrap();
    assert!(stage.consider(&by(&args)).is_ok());
}

#[test]
fn grants() {
    check(&[
        (
            "an unknown plugin",
            |s| grant(s, |g| g.plugin = "com.example.none".parse().unwrap()),
            "plugin: unknown plugin",
        ),
        (
            "an unknown version",
            |s| grant(s, |g| g.version = "1.0.1".parse().unwrap()),
            "version: unknown version of this plugin",
        ),
        (
            "an asset that the tenant does not deal in",
            |s| grant(s, |g| g.limits[0].asset = other_asset()),
            "limits: unknown asset in the tenant's asset table",
        ),
        (
            "an installation that is suspended",
            |s| grant_to(s, other_installation().did),
            "installation: it is suspended; resume or remove it first",
        ),
        ("a grant that has ended", |s| grant(s, |g| g.expires_at = s.at), "expires_at: lies in the past"),
        ("the tenant's key", |s| grant_to(s, s.world.tenant.did), TAKEN),
        ("the operator's key", |s| grant_to(s, s.world.operator.did), TAKEN),
        ("the sequencer's key", |s| grant_to(s, s.world.sequencer.did), TAKEN),
        ("the issuer's key", |s| grant_to(s, s.world.issuer.did), TAKEN),
        ("the admin's own key", |s| grant_to(s, s.world.admin.did), TAKEN),
        ("a signer's key", |s| grant_to(s, nodes()[0].did), TAKEN),
    ]);
}

#[test]
fn installations() {
    type Say = fn(&Stage, Did) -> Signed;
    let suspend: Say = |s, i| s.admin("/installation/suspend", &args::Suspend { installation: i, reason: reason() });
    let resume: Say = |s, i| s.admin("/installation/resume", &args::Resume { installation: i, reason: reason() });
    let remove: Say = |s, i| s.admin("/installation/remove", &args::Remove { installation: i, reason: reason() });
    let (mut stage, _) = prepared();
    for signed in [suspend, resume, remove] {
        assert_eq!(stage.why_not(&signed(&stage, stranger().did)), "installation: unknown installation");
    }
    let (active, suspended) = (stage.world.installation.did, other_installation().did);
    let only_active = "installation: only an active installation can be suspended";
    let only_suspended = "installation: only a suspended installation can be resumed";
    assert_eq!(stage.why_not(&suspend(&stage, suspended)), only_active);
    assert_eq!(stage.why_not(&resume(&stage, active)), only_suspended);
    stage.say(&remove(&stage, active));
    stage.say(&remove(&stage, suspended));
    for did in [active, suspended] {
        assert_eq!(stage.why_not(&suspend(&stage, did)), only_active);
        assert_eq!(stage.why_not(&resume(&stage, did)), only_suspended);
        assert_eq!(stage.why_not(&remove(&stage, did)), "installation: it is removed already");
    }
}

#[test]
fn orders() {
    check(&[
        ("an order twice", |s| s.world.open_order("order-1", 5), "order: this order exists"),
        (
            "an unknown asset",
            |s| {
                let mut order = crate::commands::order("order-2");
                order.asset = other_asset();
                s.world.by(&s.world.market, "/order/open", &order)
            },
            "asset: unknown asset in the tenant's asset table",
        ),
        (
            "closing an unknown order",
            |s| s.world.by(&s.world.market, "/order/close", &args::Close { order: "none".parse().unwrap() }),
            "order: unknown order",
        ),
    ]);
    let mut stage = Stage::ready();
    let close = args::Close { order: "order-1".parse().unwrap() };
    stage.say(&stage.world.by(&stage.world.market, "/order/close", &close));
    let again = stage.world.by(&stage.world.market, "/order/close", &close);
    assert_eq!(stage.why_not(&again), "order: it is closed already");
    assert_eq!(stage.why_not(&stage.world.open_order("order-1", 5)), "order: this order exists");
}

#[test]
fn evidence() {
    fn about(stage: &Stage, culprit: u16, epoch: u64) -> Signed {
        let args = args::Evidence { culprit, epoch, proposal: None, reason: reason(), message: "{}".to_owned() };
        stage.operator("/signer/evidence", &args)
    }
    check(&[
        ("an unknown signer", |s| about(s, 4, 1), "culprit: unknown participant of this epoch"),
        ("an epoch to come", |s| about(s, 1, 2), "epoch: unknown epoch"),
    ]);
    let mut stage = Stage::empty();
    stage.say(&stage.world.genesis());
    assert_eq!(stage.why_not(&about(&stage, 1, 1)), "epoch: unknown quorum");
}

#[test]
fn attestations_need_a_quorum() {
    let mut stage = Stage::empty();
    for signed in stage.world.setup(crate::stage::MAX_PER_PAYOUT, crate::stage::DAILY) {
        stage.say(&signed);
    }
    let id = stage.approved();
    let signed = stage.attestation(&nodes()[0], id, countersign_ledger::Verdict::Final);
    assert_eq!(stage.why_not(&signed), "proposal: unknown quorum");
}

/// A bundle of one module, correctly addressed.
fn bundle(source: &str) -> args::Activate {
    let modules = std::collections::BTreeMap::from([("payout/payout.rego".to_owned(), source.to_owned())]);
    activation(&policy::Bundle::new(modules, "{}".to_owned()).unwrap(), "because")
}

#[test]
fn a_policy_that_does_not_load_is_not_activated_and_the_old_one_decides_on() {
    let stage = Stage::ready();
    let active = |s: &Stage| *s.state.tenant(&s.world.tenant.did).unwrap().policy.engine.bundle();
    assert_eq!(active(&stage), strict_policy().bundle);
    for source in ["", "package payout\nimport rego.v1\nallow if {", "package payout\nx := time.now_ns()\n"] {
        let why = stage.why_not(&stage.admin("/policy/activate", &bundle(source)));
        assert!(why.starts_with("modules: "), "{why}");
    }
    assert_eq!(active(&stage), strict_policy().bundle);
}

/// What only authors are asked may be asked differently by another build, which must follow this log all the same.
#[test]
fn a_log_is_followed_past_a_policy_that_is_not_let_in() {
    let mut stage = Stage::ready();
    let slip = "package payout\nimport rego.v1\ndefault effect := \"deny\"\ndefault approvals := 0\nviolation contains \
                {\"code\": \"frozen\", \"msg\": \"no\"} if not input.totl > 5\n";
    let signed = stage.admin("/policy/activate", &bundle(slip));
    let why = signed.statement().prepare(&stage.state, stage.at).unwrap_err().to_string();
    assert!(why.contains("payout/payout.rego:5:65: input has no field totl; did you mean total?"), "{why}");
    stage.say(&signed);
    let active = stage.state.tenant(&stage.world.tenant.did).unwrap().policy.engine.bundle();
    assert_eq!(*active, bundle(slip).bundle);
}

#[test]
fn whoever_may_not_activate_a_policy_has_none_loaded() {
    let stage = Stage::ready();
    let (world, args) = (&stage.world, bundle("no Rego at all"));
    let signed = world.invoke(&world.installation, world.tenant.did, "/policy/activate", &args, world.proposal_chain());
    let why = signed.statement().prepare(&stage.state, stage.at).unwrap_err();
    assert!(matches!(why, countersign_ledger::Refusal::Unauthorised(_)), "{why}");
}

#[test]
fn what_is_prepared_is_decided_as_what_is_not() {
    let stage = Stage::ready();
    let signed = stage.admin("/policy/activate", &activation(&policy::Bundle::default_payout(), "because"));
    let step = |statement| stage.state.step(&statement, stage.seq, stage.at).unwrap();
    let (prepared, plain) =
        (step(signed.statement().prepare(&stage.state, stage.at).unwrap()), step(signed.statement()));
    assert_eq!(prepared.outcome, plain.outcome);
    assert_eq!(prepared.state.hash(), plain.state.hash());
}

#[test]
fn an_active_policy_decides_from_the_next_entry_on() {
    let mut stage = Stage::ready();
    let before = stage.consider(&stage.world.propose(crate::stage::LARGE)).unwrap();
    assert_eq!(before.decision().unwrap().effect, policy::Effect::Review);
    let default = policy::Bundle::default_payout();
    stage.say(&stage.admin("/policy/activate", &activation(&default, "because")));
    let after = stage.consider(&stage.world.propose(crate::stage::LARGE)).unwrap();
    assert_eq!(after.decision().unwrap().effect, policy::Effect::Allow);
    assert_eq!(after.decision().unwrap().bundle, default.id());
}

#[test]
fn a_policy_that_allows_everything_does_not_lift_the_limits() {
    let mut stage = Stage::ready();
    let source = r#"package payout

import rego.v1

default effect := "deny"

effect := "allow" if input.total > 0

default approvals := 0

violation contains {"code": "frozen", "msg": "never"} if input.total < 0
"#;
    let mut data = bundle(source);
    let loaded = policy::Engine::load(&policy::Bundle::new(data.modules.clone(), data.data.clone()).unwrap());
    assert!(loaded.is_ok(), "{:?}", loaded.err());
    data.reason = "Anything goes.".parse().unwrap();
    stage.say(&stage.admin("/policy/activate", &data));
    let denied = |s: &Stage, total: u64| {
        let outcome = s.consider(&s.world.propose(total)).unwrap();
        let decision = outcome.decision().unwrap();
        (decision.effect, decision.violations.iter().map(|v| v.code).collect::<Vec<_>>())
    };
    assert_eq!(denied(&stage, crate::stage::SMALL), (policy::Effect::Allow, Vec::new()));
    let (effect, codes) = denied(&stage, crate::stage::DAILY + 1);
    assert_eq!(effect, policy::Effect::Deny);
    assert_eq!(codes, [policy::Code::PayoutLimit, policy::Code::DailyLimit]);
    stage.say(&stage.admin("/freeze/set", &args::Set { scope: Scope::All, reason: reason() }));
    assert_eq!(denied(&stage, 10), (policy::Effect::Deny, vec![policy::Code::Frozen]));
}

#[test]
fn an_installation_in_another_asset_or_order_is_denied_not_refused() {
    let stage = Stage::ready();
    let mut payout = stage.world.payout(crate::stage::SMALL);
    payout.order = "no-such-order".parse().unwrap();
    payout.asset = AssetId { kind: AssetKind::Erc20(Address([0x77; 20])), ..asset() };
    let signed = stage.world.invoke(
        &stage.world.installation,
        stage.world.tenant.did,
        "/proposal/payout",
        &map(&payout),
        stage.world.proposal_chain(),
    );
    let outcome = stage.consider(&signed).unwrap();
    let codes: Vec<_> = outcome.decision().unwrap().violations.iter().map(|v| v.code).collect();
    assert!(codes.contains(&policy::Code::UnknownOrder) && codes.contains(&policy::Code::UnknownAsset), "{codes:?}");
}
