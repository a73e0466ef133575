//! Who revokes what, and what it stops.

use crate::stage::{SMALL, Stage, reason, stranger};
use countersign_ledger::{Refusal, args};
use countersign_tests::{Person, Signed};
use domain::{Cid, Did};
use ipld_core::ipld::Ipld;
use ucan::{Delegation, ErrorClass, Verified};

const PAYOUT: &str = "/proposal/payout";

/// tenant → issuer → installation → agent → the agent's deputy.
struct Line {
    stage: Stage,
    chain: Vec<Verified<Delegation>>,
    people: Vec<Person>,
}

fn line() -> Line {
    let stage = Stage::ready();
    let world = &stage.world;
    let (agent, deputy) = (Person::named("agent"), Person::named("agent's deputy"));
    let mut chain = world.proposal_chain();
    chain.push(world.delegate(&world.installation, agent.did, world.tenant.did, PAYOUT));
    chain.push(world.delegate(&agent, deputy.did, world.tenant.did, PAYOUT));
    let people = vec![world.tenant.clone(), world.issuer.clone(), world.installation.clone(), agent, deputy];
    Line { stage, chain, people }
}

impl Line {
    fn proposal(&self) -> Signed {
        let world = &self.stage.world;
        let deputy = self.people.last().unwrap();
        world.invoke(deputy, world.tenant.did, PAYOUT, &world.payout(SMALL), self.chain.clone())
    }

    /// Revocation of the `n`th delegation by one of its issuers or their upstream.
    fn by_issuer(&self, revoker: &Person, n: usize) -> Signed {
        let path = self.chain[..=n].iter().map(|d| Ipld::Bytes(d.bytes().to_vec())).collect();
        let args = args::Revoke { revoke: args::Revocation::Delegation(self.chain[n].cid()), path, reason: reason() };
        self.stage.world.invoke(revoker, revoker.did, "/ucan/revoke", &args, Vec::new())
    }
}

fn revoke(revoke: args::Revocation) -> args::Revoke {
    args::Revoke { revoke, path: Vec::new(), reason: reason() }
}

fn class(refusal: Refusal) -> ErrorClass {
    match refusal {
        Refusal::Unauthorised(denied) => denied.class,
        other => panic!("{other}"),
    }
}

#[test]
fn an_admin_revokes_a_delegation_at_every_hop() {
    for n in 0..4 {
        for by_operator in [false, true] {
            let mut line = line();
            assert!(line.stage.consider(&line.proposal()).is_ok());
            let args = revoke(args::Revocation::Delegation(line.chain[n].cid()));
            let signed = if by_operator {
                line.stage.operator("/ucan/revoke", &args)
            } else {
                line.stage.admin("/ucan/revoke", &args)
            };
            line.stage.say(&signed);
            match line.stage.refusal(&line.proposal()) {
                Refusal::Unauthorised(denied) => {
                    assert_eq!((denied.class, denied.hop), (ErrorClass::Revoked, Some(n)));
                }
                other => panic!("{other}"),
            }
        }
    }
}

#[test]
fn an_admin_revokes_a_key_wherever_it_stands() {
    for n in 1..5 {
        let mut line = line();
        let args = revoke(args::Revocation::Key(line.people[n].did));
        line.stage.say(&line.stage.admin("/ucan/revoke", &args));
        assert_eq!(class(line.stage.refusal(&line.proposal())), ErrorClass::Revoked, "hop {n}");
    }
}

#[test]
fn an_admin_revokes_a_grant() {
    let mut line = line();
    let args = revoke(args::Revocation::Grant(line.stage.world.installation.did));
    line.stage.say(&line.stage.admin("/ucan/revoke", &args));
    let outcome = line.stage.consider(&line.proposal()).unwrap();
    let codes: Vec<_> = outcome.decision().unwrap().violations.iter().map(|v| v.code).collect();
    assert!(codes.contains(&policy::Code::InstallationInactive), "{codes:?}");
}

#[test]
fn every_issuer_upstream_revokes_a_delegation() {
    for n in 0..4 {
        for upstream in 0..=n {
            let mut line = line();
            let signed = line.by_issuer(&line.people[upstream], n);
            line.stage.say(&signed);
            assert_eq!(class(line.stage.refusal(&line.proposal())), ErrorClass::Revoked, "{upstream} revokes {n}");
        }
    }
}

#[test]
fn nobody_downstream_and_no_stranger_revokes_a_delegation() {
    let why = "not entitled: only an issuer of the path revokes its end";
    for n in 0..4 {
        let line = line();
        for downstream in n + 1..5 {
            assert_eq!(line.stage.why_not(&line.by_issuer(&line.people[downstream], n)), why, "{downstream}, {n}");
        }
        assert_eq!(line.stage.why_not(&line.by_issuer(&stranger(), n)), why);
    }
}

#[test]
fn a_stranger_revokes_nothing_in_the_tenants_name_or_their_own() {
    let line = line();
    let world = &line.stage.world;
    let args = revoke(args::Revocation::Key(world.installation.did));
    let in_its_name = world.invoke(&stranger(), world.tenant.did, "/ucan/revoke", &args, Vec::new());
    assert_eq!(class(line.stage.refusal(&in_its_name)), ErrorClass::InvalidClaim);
    let own = world.invoke(&stranger(), stranger().did, "/ucan/revoke", &args, Vec::new());
    assert_eq!(line.stage.why_not(&own), "the subject of this command is the operator or a tenant of this log");
}

/// A revocation by the agent with this path and target.
fn by_agent(line: &Line, path: &[&Verified<Delegation>], target: args::Revocation) -> String {
    let agent = &line.people[3];
    let path = path.iter().map(|d| Ipld::Bytes(d.bytes().to_vec())).collect();
    let args = args::Revoke { revoke: target, path, reason: reason() };
    line.stage.why_not(&line.stage.world.invoke(agent, agent.did, "/ucan/revoke", &args, Vec::new()))
}

#[test]
fn a_path_leads_from_a_tenants_root_to_what_is_revoked() {
    let line = line();
    let [root, second, third, last] = &line.chain[..] else { panic!("four hops") };
    let target = args::Revocation::Delegation(last.cid());
    let broken = "path: not a chain of delegations from a tenant's root";
    assert_eq!(by_agent(&line, &[root, second, last], target.clone()), broken);
    assert_eq!(by_agent(&line, &[last], target.clone()), broken);
    assert_eq!(by_agent(&line, &[root, third, second, last], target), broken);
    let not_last = "revoke: not the last delegation of the path";
    let all = [root, second, third, last];
    assert_eq!(by_agent(&line, &all, args::Revocation::Delegation(third.cid())), not_last);
    assert_eq!(by_agent(&line, &all, args::Revocation::Key(line.people[4].did)), not_last);
    assert_eq!(by_agent(&line, &all, args::Revocation::Grant(line.people[2].did)), not_last);
}

/// Whoever holds a delegation can lengthen it by hands that know nothing of it. What such a path says about the delegations
/// of others holds for whoever speaks through that path, and for nobody else.
#[test]
fn a_path_through_the_hands_of_others_ends_nothing_of_theirs() {
    let mut line = line();
    let world = &line.stage.world;
    let (tenant, admin, relayer) = (world.tenant.clone(), world.admin.clone(), world.relayer.clone());
    let installation = line.people[2].clone();
    let suspend = "/installation/suspend";
    let to_admin = world.delegate(&tenant, admin.did, tenant.did, suspend);
    let phone = Person::named("the admin's phone");
    let to_phone = world.delegate(&admin, phone.did, tenant.did, suspend);
    let to_relayer = world.delegate(&tenant, relayer.did, tenant.did, suspend);
    let to_tenant = world.delegate(&installation, tenant.did, tenant.did, PAYOUT);
    let from_relayer = world.delegate(&relayer, admin.did, tenant.did, suspend);
    let (root, granted) = (line.chain[0].clone(), line.chain[1].clone());
    for (revoker, path) in [
        (&installation, vec![&root, &granted, &to_tenant, &to_admin, &to_phone]),
        (&installation, vec![&root, &granted, &to_tenant, &to_admin]),
        (&installation, vec![&root, &granted, &to_tenant, &root]),
        (&relayer, vec![&to_relayer, &from_relayer, &to_phone]),
    ] {
        let target = args::Revocation::Delegation(path.last().unwrap().cid());
        let path = path.into_iter().map(|d| Ipld::Bytes(d.bytes().to_vec())).collect();
        let args = args::Revoke { revoke: target, path, reason: reason() };
        let signed = line.stage.world.invoke(revoker, revoker.did, "/ucan/revoke", &args, Vec::new());
        line.stage.say(&signed);
    }
    let proposal = line.proposal();
    line.stage.say(&proposal);
    assert_eq!(crate::permits::hold(&line.stage, &proposal.cid()), None);
    let world = &line.stage.world;
    let args = args::Suspend { installation: installation.did, reason: reason() };
    let suspension = |by: &Person, chain: Vec<&Verified<Delegation>>| {
        world.invoke(by, tenant.did, suspend, &args, chain.into_iter().cloned().collect())
    };
    assert!(line.stage.consider(&suspension(&admin, vec![&to_admin])).is_ok());
    assert!(line.stage.consider(&suspension(&phone, vec![&to_admin, &to_phone])).is_ok());
    let through_relayer = suspension(&phone, vec![&to_relayer, &from_relayer, &to_phone]);
    assert_eq!(class(line.stage.refusal(&through_relayer)), ErrorClass::Revoked);
}

/// A delegation may be reached by two ways; who has a part in one of them ends that one.
#[test]
fn an_issuer_ends_a_delegation_in_its_own_chains() {
    let mut line = line();
    let world = &line.stage.world;
    let (tenant, agent, deputy) = (line.people[0].clone(), line.people[3].clone(), line.people[4].clone());
    let second = world.delegate(&world.issuer, world.installation.did, tenant.did, PAYOUT);
    let other = Person::named("another agent");
    let (to_other, to_agent) = (
        world.delegate(&world.installation, other.did, tenant.did, PAYOUT),
        world.delegate(&other, agent.did, tenant.did, PAYOUT),
    );
    let chain = vec![line.chain[0].clone(), second, to_other, to_agent, line.chain[3].clone()];
    let by_other_way = world.invoke(&deputy, tenant.did, PAYOUT, &world.payout(SMALL), chain.clone());
    let path = chain.iter().map(|d| Ipld::Bytes(d.bytes().to_vec())).collect();
    let args = args::Revoke { revoke: args::Revocation::Delegation(line.chain[3].cid()), path, reason: reason() };
    let signed = world.invoke(&other, other.did, "/ucan/revoke", &args, Vec::new());
    line.stage.say(&signed);
    assert_eq!(class(line.stage.refusal(&by_other_way)), ErrorClass::Revoked);
    assert!(line.stage.consider(&line.proposal()).is_ok());
    // Its own issuer ends it wherever it leads from.
    line.stage.say(&line.by_issuer(&agent, 3));
    assert_eq!(class(line.stage.refusal(&line.proposal())), ErrorClass::Revoked);
}

#[test]
fn a_path_from_another_root_revokes_nothing_here() {
    let line = line();
    let world = &line.stage.world;
    let agent = &line.people[3];
    // The agent's own realm: it may say what it likes there, but that is no tenant's.
    let own = world.delegate(agent, stranger().did, agent.did, PAYOUT);
    let why = by_agent(&line, &[&own], args::Revocation::Delegation(own.cid()));
    assert_eq!(why, "path: not a chain of delegations from a tenant's root");
    // A hop about another subject in an otherwise good path.
    let odd = world.delegate(agent, stranger().did, agent.did, PAYOUT);
    let path = [&line.chain[0], &line.chain[1], &line.chain[2], &odd];
    let why = by_agent(&line, &path, args::Revocation::Delegation(odd.cid()));
    assert_eq!(why, "path: not a chain of delegations from a tenant's root");
}

#[test]
fn who_is_revoked_revokes_nothing_and_what_has_ended_needs_no_revoking() {
    let mut line = line();
    line.stage.say(&line.by_issuer(&line.people[3], 3));
    let gone = "not entitled: the path is revoked already";
    assert_eq!(line.stage.why_not(&line.by_issuer(&line.people[2], 3)), gone);
    line.stage.say(&line.stage.admin("/ucan/revoke", &revoke(args::Revocation::Key(line.people[1].did))));
    assert_eq!(line.stage.why_not(&line.by_issuer(&line.people[1], 1)), gone);

    let mut line = self::line();
    line.stage.wait(600);
    let ended = "path: the delegation has expired, so nothing is left to revoke";
    assert_eq!(line.stage.why_not(&line.by_issuer(&line.people[1], 1)), ended);
}

#[test]
fn what_is_revoked_once_is_revoked() {
    let mut line = line();
    let grant = line.stage.world.installation.did;
    for target in [
        args::Revocation::Delegation(Cid::of(b"x")),
        args::Revocation::Key(stranger().did),
        args::Revocation::Grant(grant),
    ] {
        line.stage.say(&line.stage.admin("/ucan/revoke", &revoke(target.clone())));
        let again = line.stage.admin("/ucan/revoke", &revoke(target));
        assert_eq!(line.stage.why_not(&again), "revoke: it is revoked already");
    }
}

#[test]
fn roots_and_unknown_grants_are_not_revoked() {
    let stage = Stage::ready();
    let why = |did: Did, target: fn(Did) -> args::Revocation| {
        stage.why_not(&stage.admin("/ucan/revoke", &revoke(target(did))))
    };
    assert_eq!(why(stage.world.tenant.did, args::Revocation::Key), "revoke: a root key is replaced, not revoked");
    assert_eq!(why(stranger().did, args::Revocation::Grant), "revoke.grant: unknown installation");
    let of_operator = revoke(args::Revocation::Grant(stage.world.installation.did));
    assert_eq!(
        stage.why_not(&stage.operator("/ucan/revoke", &of_operator)),
        "the subject of this command is a tenant of this log"
    );
}

#[test]
fn a_revocation_of_one_tenant_is_none_of_another() {
    let mut stage = Stage::ready();
    let other = Person::named("tenant-2");
    stage.say(&stage.operator("/tenant/create", &crate::commands::create(&stage, &other, 0xef)));
    let args = revoke(args::Revocation::Key(stage.world.installation.did));
    stage.say(&stage.world.invoke(&other, other.did, "/ucan/revoke", &args, Vec::new()));
    assert!(stage.consider(&stage.world.propose(SMALL)).is_ok());
}

#[test]
fn a_revoked_approver_approves_nothing() {
    let mut stage = Stage::ready();
    let id = stage.in_review();
    let ada = stage.world.approvers[0].clone();
    let signed = stage.approval(&ada, &id);
    stage.say(&stage.admin("/ucan/revoke", &revoke(args::Revocation::Key(ada.did))));
    assert_eq!(class(stage.refusal(&signed)), ErrorClass::Revoked);
}
