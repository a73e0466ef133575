//! Freezes: who sets them, what they stop, who lifts them.

use crate::{
    commands::create,
    stage::{SMALL, Stage, reason},
};
use countersign_ledger::{Freshness, Hold, Outcome, Scope, args};
use countersign_tests::{Person, Signed};
use policy::{Code, Effect};

fn set(stage: &Stage, scope: Scope) -> Signed {
    stage.admin("/freeze/set", &args::Set { scope, reason: reason() })
}

fn scopes(stage: &Stage) -> [Scope; 5] {
    [
        Scope::All,
        Scope::Tenant(stage.world.tenant.did),
        Scope::Plugin(stage.world.plugin()),
        Scope::Installation(stage.world.installation.did),
        Scope::Action("/proposal/payout".to_owned()),
    ]
}

fn codes(outcome: &Outcome) -> (Effect, Vec<Code>) {
    let decision = outcome.decision().expect("a decision");
    (decision.effect, decision.violations.iter().map(|v| v.code).collect())
}

#[test]
fn whatever_the_scope_and_the_realm_nothing_is_decided_or_signed_and_a_lift_undoes_it() {
    for scope in scopes(&Stage::ready()) {
        for by_operator in [false, true] {
            let mut stage = Stage::ready();
            let id = stage.approved();
            let view = Freshness { checkpoint: stage.at, lease: 60 };
            let args = args::Set { scope: scope.clone(), reason: reason() };
            let lift = args::Lift { scope: scope.clone() };
            let (set, lift) = if by_operator {
                (stage.operator("/freeze/set", &args), stage.operator("/freeze/lift", &lift))
            } else {
                (stage.admin("/freeze/set", &args), stage.admin("/freeze/lift", &lift))
            };
            stage.say(&set);
            assert_eq!(stage.state.permit(&id, stage.at, view).unwrap_err(), Hold::Frozen, "{scope:?}");
            let (effect, codes) = codes(&stage.consider(&stage.world.propose(SMALL)).unwrap());
            assert_eq!((effect, codes), (Effect::Deny, vec![Code::Frozen]), "{scope:?}");
            stage.say(&lift);
            assert!(stage.state.permit(&id, stage.at, view).is_ok(), "{scope:?}");
            assert_eq!(stage.state.freezes().iter().count(), 0);
        }
    }
}

#[test]
fn other_scopes_stop_nothing() {
    let mut stage = Stage::ready();
    let id = stage.approved();
    for scope in [Scope::Plugin("com.example.other".parse().unwrap()), Scope::Installation(Person::named("other").did)]
    {
        stage.say(&set(&stage, scope));
    }
    let foreign = args::Set { scope: Scope::Tenant(Person::named("other").did), reason: reason() };
    stage.say(&stage.operator("/freeze/set", &foreign));
    let view = Freshness { checkpoint: stage.at, lease: 60 };
    assert!(stage.state.permit(&id, stage.at, view).is_ok());
}

#[test]
fn a_tenant_freezes_itself_and_no_other() {
    let mut stage = Stage::ready();
    let other = Person::named("tenant-2");
    stage.say(&stage.operator("/tenant/create", &create(&stage, &other, 0xef)));
    assert_eq!(
        stage.why_not(&set(&stage, Scope::Tenant(other.did))),
        "not entitled: a tenant freezes itself, not another"
    );
    let id = stage.approved();
    let all = args::Set { scope: Scope::All, reason: reason() };
    stage.say(&stage.world.invoke(&other, other.did, "/freeze/set", &all, Vec::new()));
    let view = Freshness { checkpoint: stage.at, lease: 60 };
    assert!(stage.state.permit(&id, stage.at, view).is_ok(), "its own everything is not everybody's");
}

#[test]
fn a_freeze_is_set_once_and_lifted_where_it_was_set() {
    let mut stage = Stage::ready();
    stage.say(&set(&stage, Scope::All));
    assert_eq!(stage.why_not(&set(&stage, Scope::All)), "scope: it is frozen already");
    let lift = args::Lift { scope: Scope::All };
    assert_eq!(stage.why_not(&stage.operator("/freeze/lift", &lift)), "scope: unknown freeze");
    let other = args::Lift { scope: Scope::Plugin(stage.world.plugin()) };
    assert_eq!(stage.why_not(&stage.admin("/freeze/lift", &other)), "scope: unknown freeze");
}

#[test]
fn distinct_admins_lift_it_and_a_deputy_is_not_distinct() {
    let mut stage = Stage::ready();
    let tenant = Person::named("tenant-2");
    stage.say(&stage.operator("/tenant/create", &create(&stage, &tenant, 0xef)));
    let [ada, bob] = ["ada", "bob"].map(Person::named);
    let by = |stage: &Stage, chain: &[&Person]| {
        let mut holder = &tenant;
        let mut proofs = Vec::new();
        for next in chain {
            proofs.push(stage.world.delegate(holder, next.did, tenant.did, "/freeze"));
            holder = next;
        }
        stage.world.invoke(holder, tenant.did, "/freeze/lift", &args::Lift { scope: Scope::All }, proofs)
    };
    let all = args::Set { scope: Scope::All, reason: reason() };
    stage.say(&stage.world.invoke(&tenant, tenant.did, "/freeze/set", &all, Vec::new()));
    stage.say(&by(&stage, &[&ada]));
    assert_eq!(stage.state.freezes().iter().count(), 1);
    let twice = "scope: you have asked to lift it already; others must";
    assert_eq!(stage.why_not(&by(&stage, &[&ada])), twice);
    assert_eq!(stage.why_not(&by(&stage, &[&ada, &Person::named("phone")])), twice);
    stage.say(&by(&stage, &[&bob]));
    assert_eq!(stage.state.freezes().iter().count(), 0);
    // A new freeze does not remember who lifted the old one.
    stage.say(&stage.world.invoke(&tenant, tenant.did, "/freeze/set", &all, Vec::new()));
    stage.say(&by(&stage, &[&ada]));
    assert_eq!(stage.state.freezes().iter().count(), 1);
    // Setting it again takes back what was said for lifting it.
    stage.say(&stage.world.invoke(&tenant, tenant.did, "/freeze/set", &all, Vec::new()));
    stage.say(&by(&stage, &[&bob]));
    assert_eq!(stage.state.freezes().iter().count(), 1);
    // Whoever has lost their key since does not count any more.
    let revoke = args::Revoke { revoke: args::Revocation::Key(bob.did), path: Vec::new(), reason: reason() };
    stage.say(&stage.world.invoke(&tenant, tenant.did, "/ucan/revoke", &revoke, Vec::new()));
    stage.say(&by(&stage, &[&ada]));
    assert_eq!(stage.state.freezes().iter().count(), 1);
    stage.say(&by(&stage, &[&Person::named("cyd")]));
    assert_eq!(stage.state.freezes().iter().count(), 0);
}
