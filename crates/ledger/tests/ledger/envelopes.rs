//! What is refused whatever the command: replays, wrong times, realms, keys, chains.

use crate::{
    commands::{Case, every},
    stage::{LARGE, MAX_PER_PAYOUT, SMALL, Stage, nobody, stranger},
};
use countersign_ledger::{Act, Refusal, Statement, Status};
use countersign_tests::{Person, Signed};
use ipld_core::ipld::Ipld;
use std::collections::BTreeMap;
use ucan::{ErrorClass, Policy, issue::NewDelegation};

type Spoil = fn(&Case, &Stage) -> Signed;

/// A chain that does not entitle, and what it is refused as.
const CHAINS: &[(&str, ErrorClass, Spoil)] = &[
    ("no proofs", ErrorClass::InvalidClaim, |c, s| c.sign(s, Vec::new(), |_| {})),
    ("somebody else's proofs", ErrorClass::InvalidAudience, |c, s| {
        s.world.invoke(&stranger(), c.root.did, c.command, &c.args, c.chain(s, |_| {}))
    }),
    ("delegated by nobody who may", ErrorClass::InvalidAudience, |c, s| {
        let new = NewDelegation::new(c.issuer.did, c.root.did, c.command.parse().unwrap(), [6; 16]);
        let proof = ucan::issue::delegate(&stranger().key, new).unwrap();
        c.sign(s, vec![proof], |_| {})
    }),
    ("another command delegated", ErrorClass::Command, |c, s| {
        let other = if c.is_payout() { "/proposal/cancel" } else { "/elsewhere" };
        c.sign(s, c.chain(s, |d| d.command = other.parse().unwrap()), |_| {})
    }),
    ("a prefix of the command that is not a segment", ErrorClass::Command, |c, s| {
        let cut = &c.command[..c.command.len() - 1];
        c.sign(s, c.chain(s, |d| d.command = cut.parse().unwrap()), |_| {})
    }),
    ("a delegation about another subject", ErrorClass::InvalidSubject, |c, s| {
        c.sign(s, c.chain(s, |d| d.subject = Some(nobody())), |_| {})
    }),
    ("a delegation that has ended", ErrorClass::Expired, |c, s| {
        c.sign(s, c.chain(s, |d| d.expiration = Some(s.at.minus(30))), |_| {})
    }),
    ("a delegation that has not begun", ErrorClass::TooEarly, |c, s| {
        c.sign(s, c.chain(s, |d| d.not_before = Some(s.at.plus(31))), |_| {})
    }),
    ("a delegation whose policy does not hold", ErrorClass::MatchError, |c, s| {
        let wants =
            Ipld::List(vec![Ipld::String("==".to_owned()), Ipld::String(".nothing".to_owned()), Ipld::Integer(1)]);
        c.sign(s, c.chain(s, |d| d.policy = Policy::parse(vec![wants]).unwrap()), |_| {})
    }),
    ("an invocation that has expired", ErrorClass::Expired, |c, s| {
        c.sign(s, c.chain(s, |_| {}), |i| i.expiration = Some(s.at.minus(30)))
    }),
    ("a nonce of 11 bytes", ErrorClass::InvalidClaim, |c, s| c.sign(s, c.chain(s, |_| {}), |i| i.nonce = vec![1; 11])),
];

#[test]
fn a_chain_that_does_not_entitle_is_refused_whatever_the_command() {
    for case in every() {
        let stage = case.stage();
        for (what, class, spoil) in CHAINS {
            match stage.refusal(&spoil(&case, &stage)) {
                Refusal::Unauthorised(denied) => assert_eq!(denied.class, *class, "{}: {what}", case.command),
                other => panic!("{}: {what}: {other}", case.command),
            }
        }
    }
}

#[test]
fn a_delegation_without_subject_entitles_to_nothing() {
    for case in every() {
        let stage = case.stage();
        let class = if case.is_payout() { ErrorClass::InvalidSubject } else { ErrorClass::InvalidClaim };
        let signed = case.sign(&stage, case.chain(&stage, |d| d.subject = None), |_| {});
        assert!(matches!(stage.refusal(&signed), Refusal::Unauthorised(d) if d.class == class), "{}", case.command);
    }
}

#[test]
fn an_invocation_for_another_audience_is_refused_whatever_the_command() {
    for case in every().into_iter().filter(|c| !c.is_genesis()) {
        let stage = case.stage();
        for audience in [None, Some(stage.world.issuer.did), Some(stranger().did)] {
            let signed = case.sign(&stage, case.chain(&stage, |_| {}), |i| i.audience = audience);
            let refusal = stage.refusal(&signed);
            assert!(
                matches!(&refusal, Refusal::Unauthorised(d) if d.class == ErrorClass::InvalidAudience),
                "{}: {refusal}",
                case.command
            );
        }
    }
}

#[test]
fn an_invocation_lives_for_minutes() {
    for case in every() {
        let stage = case.stage();
        for (expiration, ok) in [
            (None, false),
            (Some(stage.at.plus(931)), false),
            (Some(stage.at.plus(930)), true),
            (Some(stage.at.minus(29)), true),
        ] {
            let signed = case.sign(&stage, case.chain(&stage, |_| {}), |i| i.expiration = expiration);
            match stage.consider(&signed) {
                Ok(_) => assert!(ok, "{} {expiration:?}", case.command),
                Err(Refusal::Envelope { field: "exp", .. }) => assert!(!ok, "{} {expiration:?}", case.command),
                Err(other) => panic!("{}: {other}", case.command),
            }
        }
    }
}

#[test]
fn the_same_bytes_are_known_however_often_they_come() {
    for case in every() {
        let mut stage = case.stage();
        let signed = case.good(&stage);
        let seq = stage.seq;
        stage.say(&signed);
        for later in [0, 300, 330] {
            stage.at = stage.at.plus(later);
            let refusal = stage.refusal(&signed);
            assert_eq!(refusal, Refusal::AlreadyKnown { seq }, "{} after {later}", case.command);
        }
        assert_eq!(stage.state.seen(&signed.cid()), Some(seq));
    }
}

/// A statement is known by its bytes: whoever takes nonces from a counter, or too few of them, repeats one.
#[test]
fn a_nonce_that_came_before_makes_no_replay_of_another_statement() {
    for case in every() {
        let mut stage = case.stage();
        let with = |expiration: u64| {
            let set = |i: &mut ucan::issue::NewInvocation| {
                (i.nonce, i.expiration) = (vec![7; 16], Some(stage.at.plus(expiration)));
            };
            case.sign(&stage, case.chain(&stage, |_| {}), set)
        };
        let (first, second) = (with(300), with(301));
        assert_eq!(first.invocation.nonce(), second.invocation.nonce());
        assert_ne!(first.cid(), second.cid());
        stage.consider(&second).unwrap_or_else(|refusal| panic!("{}: {refusal}", case.command));
        stage.say(&first);
        let answer = stage.consider(&second);
        assert!(!matches!(answer, Err(Refusal::AlreadyKnown { .. })), "{}: {answer:?}", case.command);
    }
}

#[test]
fn two_payouts_under_one_nonce_both_count() {
    let case = every().into_iter().find(Case::is_payout).unwrap();
    let mut stage = case.stage();
    let [before, _] = stage.budgets();
    let mut cids = Vec::new();
    for total in [SMALL, SMALL - 1] {
        let args = crate::stage::map(&stage.world.payout(total));
        let signed = case.sign(&stage, case.chain(&stage, |_| {}), |i| (i.nonce, i.args) = (vec![7; 16], args));
        let seq = stage.seq;
        stage.say(&signed);
        assert_eq!((stage.status(), stage.state.seen(&signed.cid())), (Some(Status::Approved), Some(seq)));
        cids.push(signed.cid());
    }
    let totals: Vec<u64> = cids.iter().map(|id| stage.proposal(id).payout.total.get()).collect();
    assert_eq!(totals, [SMALL, SMALL - 1]);
    assert_eq!(stage.budgets()[0].0, before.0 + SMALL + SMALL - 1);
}

/// The policy of a delegation holds for args of which it asks only what they are not, and which are not there: what must
/// be there is asked before, whatever a policy says.
#[test]
fn args_that_are_left_out_are_missed_before_a_policy_that_they_would_satisfy() {
    for case in every().into_iter().filter(|case| !case.args.is_empty()) {
        let stage = case.stage();
        let mut missed = Vec::new();
        // A bundle's modules are more than a delegation may hold.
        for (name, value) in case.args.iter().filter(|(name, _)| *name != "modules") {
            let text = |text: &str| Ipld::String(text.to_owned());
            let selector = format!(".[\"{name}\"]");
            let forbidden = vec![text("!="), text(&selector), value.clone()];
            let policy = Policy::parse(vec![Ipld::List(forbidden)]).unwrap();
            let mut without = case.args.clone();
            without.remove(name);
            assert!(policy.check(&Ipld::Map(case.args.clone())).is_err(), "{}: {name}", case.command);
            assert!(policy.check(&Ipld::Map(without.clone())).is_ok(), "{}: {name}", case.command);

            let chain = || case.chain(&stage, |d| d.policy = policy.clone());
            let with = case.sign(&stage, chain(), |_| {});
            match stage.refusal(&with) {
                Refusal::Unauthorised(denied) => assert_eq!(denied.class, ErrorClass::MatchError),
                other => panic!("{}: {name}: {other}", case.command),
            }
            let signed = case.sign(&stage, chain(), |i| i.args = without);
            // What need not be there says nothing when it is not.
            if Statement::parse(signed.invocation.clone(), signed.proofs.clone()).is_err() {
                missed.push(name.as_str());
            }
        }
        assert!(!missed.is_empty(), "{} takes anything", case.command);
        if case.is_payout() {
            assert_eq!(missed, ["asset", "order", "splits", "total", "valid_until"], "{:?}", case.args.keys());
        }
    }
}

#[test]
fn what_is_forgotten_has_expired() {
    for case in every().into_iter().filter(|c| !c.is_genesis()) {
        let mut stage = case.stage();
        let signed = case.good(&stage);
        stage.say(&signed);
        stage.wait(631);
        stage.tick();
        assert_eq!(stage.state.seen(&signed.cid()), None, "{}", case.command);
        let refusal = stage.refusal(&signed);
        assert!(matches!(&refusal, Refusal::Unauthorised(d) if d.class == ErrorClass::Expired), "{refusal}");
    }
}

#[test]
fn the_genesis_is_known_for_as_long_as_its_own_tolerance_lets_it_live() {
    let mut stage = Stage::empty();
    let args = countersign_ledger::args::Genesis { clock_tolerance: 120, ..crate::commands::genesis(&stage) };
    let signed = stage.operator("/log/genesis", &args);
    stage.say(&signed);
    stage.wait(700);
    stage.say(&stage.world.register_publisher());
    assert_eq!(stage.refusal(&signed), Refusal::AlreadyKnown { seq: 0 });
}

#[test]
fn a_subject_of_another_realm_is_refused() {
    for case in every() {
        let stage = case.stage();
        let own = |root: &Person| stage.world.invoke(root, root.did, case.command, &case.args, Vec::new());
        let expected = |refusal: Refusal| match refusal {
            Refusal::Subject { expected } => expected,
            other => panic!("{}: {other}", case.command),
        };
        let by_nobody = expected(stage.refusal(&own(&Person::named("nobody"))));
        match by_nobody {
            "the operator" => assert_eq!(expected(stage.refusal(&own(&stage.world.tenant))), by_nobody),
            "a tenant of this log" => assert_eq!(expected(stage.refusal(&own(&stage.world.operator))), by_nobody),
            both => assert_eq!(both, "the operator or a tenant of this log"),
        }
    }
}

#[test]
fn a_named_proof_that_is_not_at_hand_is_refused() {
    for case in every() {
        let stage = case.stage();
        let signed = case.good(&stage);
        let statement = Statement::parse(signed.invocation.clone(), Vec::new()).unwrap();
        match stage.state.step(&statement, stage.seq, stage.at) {
            Err(Refusal::Unauthorised(denied)) => assert_eq!(denied.class, ErrorClass::UnavailableProof),
            other => panic!("{}: {other:?}", case.command),
        }
    }
}

#[test]
fn time_does_not_go_backwards() {
    for case in every().into_iter().filter(|c| !c.is_genesis()) {
        let mut stage = case.stage();
        let (last, at) = (stage.at, stage.at.minus(1));
        stage.at = at;
        assert_eq!(stage.refusal(&case.good(&stage)), Refusal::TimeReversed { at, last }, "{}", case.command);
    }
}

#[test]
fn nothing_comes_before_the_genesis_and_no_second_one_after() {
    for case in every() {
        let stage = if case.is_genesis() { Stage::ready() } else { Stage::empty() };
        let why = stage.why_not(&case.good(&stage));
        let expected = if case.is_genesis() {
            "cmd: a log has one genesis, its first entry"
        } else {
            "cmd: the first statement of a log is /log/genesis"
        };
        assert_eq!(why, expected, "{}", case.command);
    }
}

/// Limits, approvals and a decision, where a careless reader could look for them.
fn boast() -> BTreeMap<String, Ipld> {
    let number = |n: i128| Ipld::Integer(n);
    let limits = BTreeMap::from([
        ("asset".to_owned(), Ipld::String(countersign_tests::asset().to_string())),
        ("max_per_payout".to_owned(), number(i128::from(domain::MAX_AMOUNT))),
        ("daily_total".to_owned(), number(i128::from(domain::MAX_AMOUNT))),
    ]);
    BTreeMap::from([
        ("limits".to_owned(), Ipld::List(vec![Ipld::Map(limits)])),
        ("capabilities".to_owned(), Ipld::List(vec![Ipld::String("/".to_owned())])),
        ("approvals".to_owned(), number(0)),
        ("effect".to_owned(), Ipld::String("allow".to_owned())),
        ("total".to_owned(), number(1)),
    ])
}

#[test]
fn meta_carries_no_authority_and_no_limits() {
    let stage = Stage::ready();
    let world = &stage.world;
    let (tenant, payout) = (world.tenant.did, "/proposal/payout");
    let until = Some(stage.at.plus(600));
    let delegated = |issuer: &Person, audience: &Person, meta: BTreeMap<String, Ipld>| {
        let new = NewDelegation::new(audience.did, tenant, payout.parse().unwrap(), [9; 16]);
        ucan::issue::delegate(&issuer.key, NewDelegation { expiration: until, meta, ..new }).unwrap()
    };
    let agent = Person::named("agent");
    let decided = |total: u64, meta: &BTreeMap<String, Ipld>| {
        let chain = vec![
            world.tenant_to_issuer(),
            delegated(&world.issuer, &world.installation, meta.clone()),
            delegated(&world.installation, &agent, meta.clone()),
        ];
        let set = |new: &mut ucan::issue::NewInvocation| new.meta = meta.clone();
        let signed = world.invoke_with(&agent, tenant, payout, &world.payout(total), chain, set);
        assert_eq!(signed.invocation.meta(), meta);
        stage.consider(&signed).unwrap().decision().unwrap().clone()
    };
    let expected =
        [(SMALL, policy::Effect::Allow), (LARGE, policy::Effect::Review), (MAX_PER_PAYOUT + 1, policy::Effect::Deny)];
    for (total, effect) in expected {
        let plain = decided(total, &BTreeMap::new());
        assert_eq!((plain.effect, &plain), (effect, &decided(total, &boast())), "{total}");
    }
    // Nor does it lend what a chain does not delegate.
    let set = |new: &mut ucan::issue::NewInvocation| new.meta = boast();
    let chain = vec![world.tenant_to_issuer(), delegated(&world.issuer, &agent, boast())];
    let past = world.invoke_with(&agent, tenant, payout, &world.payout(SMALL), chain, set);
    assert!(matches!(stage.refusal(&past), Refusal::NotEntitled { field: "prf", hop: None, .. }));
}

#[test]
fn meta_of_a_grant_is_not_the_grant() {
    let mut stage = Stage::ready();
    let grant = crate::commands::second_grant(&stage, &stage.world.installation);
    let world = &stage.world;
    let proof = world.delegate(&world.tenant, world.admin.did, world.tenant.did, "/installation/grant");
    let set = |new: &mut ucan::issue::NewInvocation| new.meta = boast();
    let signed = world.invoke_with(&world.admin, world.tenant.did, "/installation/grant", &grant, vec![proof], set);
    stage.say(&signed);
    let tenant = stage.state.tenant(&stage.world.tenant.did).unwrap();
    let installation = &tenant.installations[&stage.world.installation.did];
    assert_eq!(installation.capabilities, grant.capabilities);
    let limits = installation.limits[&countersign_tests::asset()];
    assert_eq!((limits.max_per_payout.get(), limits.daily_total.get()), (SMALL, MAX_PER_PAYOUT));
}

#[test]
fn no_other_command_is_a_statement() {
    for command in ["/", "/log", "/log/genesis/again", "/proposal", "/installation/token", "/LOG/GENESIS", ""] {
        let error = Act::parse(command, &Ipld::Map(BTreeMap::new())).unwrap_err();
        assert_eq!(error.to_string(), format!("unknown command {command}"));
    }
}
