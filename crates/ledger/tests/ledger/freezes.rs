//! Freezes: who sets them, what they stop, who lifts them.

use crate::{
    commands::create,
    stage::{SMALL, Stage, reason},
};
use countersign_ledger::{Freshness, Hold, Outcome, Scope, args};
use countersign_tests::{Person, Signed};
use domain::{Did, PluginId, Time};
use ipld_core::ipld::Ipld;
use policy::{Code, Effect};
use ucan::{Delegation, Verified};

fn set(stage: &Stage, scope: Scope) -> Signed {
    stage.admin("/freeze/set", &args::Set { scope, reason: reason() })
}

fn lift(scope: Scope, freeze: &Signed) -> args::Lift {
    args::Lift { scope, freeze: freeze.cid() }
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
            let set =
                if by_operator { stage.operator("/freeze/set", &args) } else { stage.admin("/freeze/set", &args) };
            let args = lift(scope.clone(), &set);
            let lift =
                if by_operator { stage.operator("/freeze/lift", &args) } else { stage.admin("/freeze/lift", &args) };
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

/// A second plugin, installation and tenant.
fn others(stage: &mut Stage) -> (PluginId, Did, Did) {
    let (installation, tenant) = (Person::named("other"), Person::named("other tenant"));
    stage.say(&stage.admin("/installation/grant", &crate::commands::second_grant(stage, &installation)));
    stage.say(&stage.operator("/tenant/create", &create(stage, &tenant, 0xef)));
    let world = &stage.world;
    let mut publish = world.publish_plugin().invocation.args().clone();
    let Ipld::Map(fields) = &mut publish else { panic!("args are a map") };
    fields.insert("plugin".to_owned(), Ipld::String("com.example.other".to_owned()));
    let proofs = world.publish_plugin().proofs;
    let signed = world.invoke(&world.publisher, world.operator.did, "/plugin/publish", &publish, proofs);
    stage.say(&signed);
    ("com.example.other".parse().unwrap(), installation.did, tenant.did)
}

/// Whoever mistypes a name is told that nothing has stopped.
#[test]
fn a_freeze_of_what_does_not_exist_is_refused() {
    let mut stage = Stage::ready();
    let nobody = Person::named("nobody").did;
    let unknown = |stage: &Stage, scope: Scope, what: &str| {
        let args = args::Set { scope, reason: reason() };
        let by_operator = stage.why_not(&stage.operator("/freeze/set", &args));
        assert_eq!(by_operator, format!("scope.{what}: unknown {what}"));
        if !matches!(args.scope, Scope::Tenant(_)) {
            assert_eq!(stage.why_not(&stage.admin("/freeze/set", &args)), by_operator);
        }
    };
    unknown(&stage, Scope::Plugin("com.example.nope".parse().unwrap()), "plugin");
    unknown(&stage, Scope::Installation(nobody), "installation");
    unknown(&stage, Scope::Tenant(nobody), "tenant");
    // What is in another tenant is unknown to this one, and known to the operator.
    let (_, _, tenant) = others(&mut stage);
    let args = args::Set { scope: Scope::Installation(stage.world.installation.did), reason: reason() };
    let other = Person::named("other tenant");
    let by_other = stage.world.invoke(&other, tenant, "/freeze/set", &args, Vec::new());
    assert_eq!(stage.why_not(&by_other), "scope.installation: unknown installation");
    assert!(stage.consider(&stage.operator("/freeze/set", &args)).is_ok());
    // It has been removed, and its approved payouts are what may have to be stopped.
    let removal = args::Remove { installation: stage.world.installation.did, reason: reason() };
    stage.say(&stage.admin("/installation/remove", &removal));
    assert!(stage.consider(&stage.operator("/freeze/set", &args)).is_ok());
}

#[test]
fn other_scopes_stop_nothing() {
    let mut stage = Stage::ready();
    let id = stage.approved();
    let (plugin, installation, tenant) = others(&mut stage);
    for scope in [Scope::Plugin(plugin), Scope::Installation(installation)] {
        stage.say(&set(&stage, scope));
    }
    let foreign = args::Set { scope: Scope::Tenant(tenant), reason: reason() };
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
fn a_freeze_is_lifted_where_it_was_set() {
    let mut stage = Stage::ready();
    let all = set(&stage, Scope::All);
    stage.say(&all);
    assert_eq!(stage.why_not(&stage.operator("/freeze/lift", &lift(Scope::All, &all))), "scope: unknown freeze");
    let other = lift(Scope::Plugin(stage.world.plugin()), &all);
    assert_eq!(stage.why_not(&stage.admin("/freeze/lift", &other)), "scope: unknown freeze");
}

#[test]
fn of_two_freezes_of_one_scope_the_later_one_is_lifted() {
    let mut stage = Stage::ready();
    let [first, second] = [(); 2].map(|()| set(&stage, Scope::All));
    stage.say(&first);
    stage.say(&second);
    assert_eq!(stage.state.freezes().iter().count(), 1);
    let why = format!("freeze: the freeze in force was set by {}", second.cid());
    assert_eq!(stage.why_not(&stage.admin("/freeze/lift", &lift(Scope::All, &first))), why);
    stage.say(&stage.admin("/freeze/lift", &lift(Scope::All, &second)));
    assert_eq!(stage.state.freezes().iter().count(), 0);
}

#[test]
fn a_word_that_was_kept_back_does_not_lift_a_later_freeze() {
    let mut stage = Stage::ready();
    let first = set(&stage, Scope::All);
    let [kept, heard] = [(); 2].map(|()| stage.admin("/freeze/lift", &lift(Scope::All, &first)));
    stage.say(&first);
    stage.say(&heard);
    let second = set(&stage, Scope::All);
    stage.say(&second);
    let why = format!("freeze: the freeze in force was set by {}", second.cid());
    assert_eq!(stage.why_not(&kept), why);
    stage.say(&stage.admin("/freeze/lift", &lift(Scope::All, &second)));
    assert_eq!(stage.state.freezes().iter().count(), 0);
}

#[test]
fn distinct_admins_lift_it_and_a_deputy_is_not_distinct() {
    let mut stage = Stage::ready();
    let tenant = Person::named("tenant-2");
    stage.say(&stage.operator("/tenant/create", &create(&stage, &tenant, 0xef)));
    let [ada, bob] = ["ada", "bob"].map(Person::named);
    let by = |stage: &Stage, freeze: &Signed, chain: &[&Person]| {
        let mut holder = &tenant;
        let mut proofs = Vec::new();
        for next in chain {
            proofs.push(stage.world.delegate(holder, next.did, tenant.did, "/freeze"));
            holder = next;
        }
        stage.world.invoke(holder, tenant.did, "/freeze/lift", &lift(Scope::All, freeze), proofs)
    };
    let all = args::Set { scope: Scope::All, reason: reason() };
    let set = |stage: &Stage| stage.world.invoke(&tenant, tenant.did, "/freeze/set", &all, Vec::new());
    let freeze = set(&stage);
    stage.say(&freeze);
    stage.say(&by(&stage, &freeze, &[&ada]));
    assert_eq!(stage.state.freezes().iter().count(), 1);
    let twice = "scope: you have asked to lift it already; others must";
    assert_eq!(stage.why_not(&by(&stage, &freeze, &[&ada])), twice);
    assert_eq!(stage.why_not(&by(&stage, &freeze, &[&ada, &Person::named("phone")])), twice);
    stage.say(&by(&stage, &freeze, &[&bob]));
    assert_eq!(stage.state.freezes().iter().count(), 0);
    // A new freeze does not remember who lifted the old one.
    let freeze = set(&stage);
    stage.say(&freeze);
    stage.say(&by(&stage, &freeze, &[&ada]));
    assert_eq!(stage.state.freezes().iter().count(), 1);
    // Setting it again takes back what was said for lifting it.
    let freeze = set(&stage);
    stage.say(&freeze);
    stage.say(&by(&stage, &freeze, &[&bob]));
    assert_eq!(stage.state.freezes().iter().count(), 1);
    // Whoever has lost their key since does not count any more.
    let revoke = args::Revoke { revoke: args::Revocation::Key(bob.did), path: Vec::new(), reason: reason() };
    stage.say(&stage.world.invoke(&tenant, tenant.did, "/ucan/revoke", &revoke, Vec::new()));
    stage.say(&by(&stage, &freeze, &[&ada]));
    assert_eq!(stage.state.freezes().iter().count(), 1);
    stage.say(&by(&stage, &freeze, &[&Person::named("cyd")]));
    assert_eq!(stage.state.freezes().iter().count(), 0);
}

/// A tenant of which two admins together lift a freeze, frozen, and one of them has asked to lift it.
struct Lifting {
    stage: Stage,
    tenant: Person,
    freeze: Signed,
    first: Verified<Delegation>,
}

impl Lifting {
    /// The first admin's delegation lasts until then.
    fn begun(until: Option<Time>) -> Self {
        let mut stage = Stage::ready();
        let tenant = Person::named("tenant-2");
        stage.say(&stage.operator("/tenant/create", &create(&stage, &tenant, 0xef)));
        let all = args::Set { scope: Scope::All, reason: reason() };
        let freeze = stage.world.invoke(&tenant, tenant.did, "/freeze/set", &all, Vec::new());
        stage.say(&freeze);
        let ada = Person::named("ada");
        let first = stage.world.delegate_until(&tenant, ada.did, tenant.did, "/freeze", until);
        let mut lifting = Self { stage, tenant, freeze, first: first.clone() };
        lifting.say("ada", first);
        lifting
    }

    fn lift(&self, name: &str, proof: Verified<Delegation>) -> Signed {
        let args = lift(Scope::All, &self.freeze);
        self.stage.world.invoke(&Person::named(name), self.tenant.did, "/freeze/lift", &args, vec![proof])
    }

    fn delegation(&self, name: &str) -> Verified<Delegation> {
        self.stage.world.delegate(&self.tenant, Person::named(name).did, self.tenant.did, "/freeze")
    }

    fn say(&mut self, name: &str, proof: Verified<Delegation>) {
        let signed = self.lift(name, proof);
        self.stage.say(&signed);
    }

    fn is_frozen(&self) -> bool {
        self.stage.state.freezes().iter().any(|(realm, ..)| *realm == self.tenant.did)
    }

    fn standing(&self) -> Vec<Did> {
        let (realm, _, freeze) =
            self.stage.state.freezes().iter().find(|(realm, ..)| **realm == self.tenant.did).expect("a freeze");
        self.stage.state.standing_lifts(realm, freeze).collect()
    }
}

#[test]
fn who_is_revoked_since_does_not_lift_a_freeze() {
    let ada = Person::named("ada").did;
    for by_key in [false, true] {
        for by_operator in [false, true] {
            let mut lifting = Lifting::begun(None);
            assert_eq!(lifting.standing(), [ada]);
            let revoke =
                if by_key { args::Revocation::Key(ada) } else { args::Revocation::Delegation(lifting.first.cid()) };
            let args = args::Revoke { revoke, path: Vec::new(), reason: reason() };
            let (stage, tenant) = (&lifting.stage, &lifting.tenant);
            let signed = if by_operator {
                stage.operator("/ucan/revoke", &args)
            } else {
                stage.world.invoke(tenant, tenant.did, "/ucan/revoke", &args, Vec::new())
            };
            lifting.stage.say(&signed);
            assert_eq!(lifting.standing(), []);
            lifting.say("bob", lifting.delegation("bob"));
            assert!(lifting.is_frozen(), "by_key {by_key}, by_operator {by_operator}");
            assert_eq!(lifting.standing(), [Person::named("bob").did]);
            lifting.say("cyd", lifting.delegation("cyd"));
            assert!(!lifting.is_frozen());
        }
    }
}

#[test]
fn who_was_revoked_asks_to_lift_a_freeze_again_by_another_delegation() {
    let mut lifting = Lifting::begun(None);
    let revoke = args::Revocation::Delegation(lifting.first.cid());
    let args = args::Revoke { revoke, path: Vec::new(), reason: reason() };
    let signed = lifting.stage.world.invoke(&lifting.tenant, lifting.tenant.did, "/ucan/revoke", &args, Vec::new());
    lifting.stage.say(&signed);
    lifting.say("ada", lifting.delegation("ada"));
    assert!(lifting.is_frozen(), "it counts once");
    let twice = "scope: you have asked to lift it already; others must";
    assert_eq!(lifting.stage.why_not(&lifting.lift("ada", lifting.delegation("ada"))), twice);
    lifting.say("bob", lifting.delegation("bob"));
    assert!(!lifting.is_frozen());
}

#[test]
fn whose_delegation_has_expired_does_not_lift_a_freeze() {
    let until = crate::stage::NOON.plus(600);
    let mut lifting = Lifting::begun(Some(until));
    lifting.stage.wait(until.since(lifting.stage.at));
    lifting.say("bob", lifting.delegation("bob"));
    assert!(lifting.is_frozen());
    lifting.say("cyd", lifting.delegation("cyd"));
    assert!(!lifting.is_frozen());
}
