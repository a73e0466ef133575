//! The walk from subject to issuer: what it accepts, and every way it must refuse.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests"
)]

#[path = "support/chain.rs"]
mod chain;

use chain::{END, NOW, call, did, grant, judge, map, policy, three_hops};
use domain::Time;
use ucan::{ErrorClass, Trust};

type Verdict = (ErrorClass, Option<usize>);

fn verdict(result: Result<ucan::Chain, ucan::Denied>) -> Verdict {
    let denied = result.unwrap_err();
    (denied.class, denied.hop)
}

#[test]
fn accepts_a_chain_in_both_proof_orders() {
    let (invocation, hops) = three_hops();
    let chain = judge(&invocation, &hops, |_| {}).unwrap();
    assert_eq!(chain.hops(), hops);
    assert_eq!(
        (chain.subject(), chain.principal(), chain.issuer(), chain.invocation().cid()),
        (did(1), did(2), did(4), invocation.cid())
    );
    let leaf_first = call(4, &[&hops[2], &hops[1], &hops[0]], |_| {});
    assert_eq!(judge(&leaf_first, &hops, |_| {}).unwrap().hops(), hops);
    let shuffled = call(4, &[&hops[1], &hops[0], &hops[2]], |_| {});
    assert_eq!(verdict(judge(&shuffled, &hops, |_| {})).0, ErrorClass::InvalidAudience);
}

#[test]
fn leaf_first_is_recognised_when_the_subject_issued_both_ends() {
    let hops = [grant(1, 3, |_| {}), grant(3, 1, |_| {}), grant(1, 2, |new| new.nonce = vec![9; 12])];
    let leaf_first = call(2, &[&hops[2], &hops[1], &hops[0]], |_| {});
    assert_eq!(judge(&leaf_first, &hops, |_| {}).unwrap().hops(), hops);
}

#[test]
fn a_self_issued_invocation_needs_a_trusted_subject() {
    let own = call(1, &[], |_| {});
    let chain = judge(&own, &[], |_| {}).unwrap();
    assert!(chain.hops().is_empty());
    assert_eq!(chain.principal(), did(1));
    // Valid by the specification, and worthless: anyone is the subject of their own key.
    let attacker = call(9, &[], |new| new.subject = did(9));
    assert_eq!(verdict(judge(&attacker, &[], |_| {})), (ErrorClass::InvalidSubject, None));
    let is_nine = |subject: &domain::Did| *subject == did(9);
    judge(&attacker, &[], |context| context.trusted = Trust::Any).unwrap();
    judge(&attacker, &[], |context| context.trusted = Trust::Check(&is_nine)).unwrap();
}

#[test]
fn a_stranger_needs_proofs_that_are_at_hand() {
    assert_eq!(verdict(judge(&call(2, &[], |_| {}), &[], |_| {})), (ErrorClass::InvalidClaim, None));
    let (invocation, hops) = three_hops();
    let denied = judge(&invocation, &hops[..2], |_| {}).unwrap_err();
    assert_eq!((denied.class, denied.cid), (ErrorClass::UnavailableProof, Some(hops[2].cid())));
}

#[test]
fn a_source_that_hands_out_another_token_is_not_believed() {
    let (invocation, hops) = three_hops();
    let wide = grant(1, 4, |_| {});
    let roots = [did(1)];
    let context = ucan::Context::new(NOW, Trust::Only(&roots));
    let lying = |_: &domain::Cid| Some(wide.clone());
    assert_eq!(
        ucan::authorise(&invocation, &lying, &context).unwrap_err().class,
        ErrorClass::UnavailableProof,
        "hops: {hops:?}"
    );
}

#[test]
fn time_is_checked_at_every_token_with_tolerance() {
    let (invocation, hops) = three_hops();
    let at = |now: u64, tolerance: u64| {
        judge(&invocation, &hops, |context| {
            context.now = Time::from_unix(now);
            context.clock_tolerance = tolerance;
        })
    };
    at(END.unix() - 1, 0).unwrap();
    assert_eq!(verdict(at(END.unix(), 0)), (ErrorClass::Expired, None));
    at(END.unix() + 29, 30).unwrap();
    assert_eq!(verdict(at(END.unix() + 30, 30)), (ErrorClass::Expired, None));

    for index in 0..3 {
        let from = u8::try_from(index).unwrap() + 1;
        let early = grant(from, from + 1, |new| new.not_before = Some(NOW.plus(10)));
        let late = grant(from, from + 1, |new| new.expiration = Some(NOW));
        for (bad, class) in [(early, ErrorClass::TooEarly), (late, ErrorClass::Expired)] {
            let mut changed = hops.clone();
            changed[index] = bad;
            let invocation = call(4, &changed.iter().collect::<Vec<_>>(), |_| {});
            assert_eq!(verdict(judge(&invocation, &changed, |_| {})), (class, Some(index)));
            judge(&invocation, &changed, |context| context.clock_tolerance = 10).unwrap();
        }
    }
    let endless = call(1, &[], |new| new.expiration = None);
    judge(&endless, &[], |context| context.now = Time::from_unix(u64::MAX)).unwrap();
}

#[test]
fn a_revoked_delegation_or_key_ends_the_chain_at_every_hop() {
    let (invocation, hops) = three_hops();
    for (index, hop) in hops.iter().enumerate() {
        let above: Vec<_> = hops[..=index].iter().map(|hop| hop.issuer()).collect();
        let by_cid = |cid: &domain::Cid, issuers: &[domain::Did]| *cid == hop.cid() && issuers == above;
        let by_key = |key: &domain::Did| *key == hop.issuer();
        let revoked = (ErrorClass::Revoked, Some(index));
        assert_eq!(verdict(judge(&invocation, &hops, |context| context.revoked_delegation = &by_cid)), revoked);
        assert_eq!(verdict(judge(&invocation, &hops, |context| context.revoked_key = &by_key)), revoked);
    }
    let leaf = |key: &domain::Did| *key == did(4);
    assert_eq!(verdict(judge(&invocation, &hops, |context| context.revoked_key = &leaf)), (ErrorClass::Revoked, None));
}

#[test]
fn the_invocation_must_be_addressed_to_the_verifier() {
    let (invocation, hops) = three_hops();
    judge(&invocation, &hops, |context| context.audience = Some(did(1))).unwrap();
    assert_eq!(
        verdict(judge(&invocation, &hops, |context| context.audience = Some(did(7)))),
        (ErrorClass::InvalidAudience, None)
    );
    let to_seven = call(1, &[], |new| new.audience = Some(did(7)));
    judge(&to_seven, &[], |context| context.audience = Some(did(7))).unwrap();
    assert_eq!(
        verdict(judge(&to_seven, &[], |context| context.audience = Some(did(1)))),
        (ErrorClass::InvalidAudience, None)
    );
}

#[test]
fn audience_and_issuer_must_align_at_every_hop() {
    let stolen = [grant(1, 2, |_| {})];
    let invocation = call(3, &[&stolen[0]], |_| {});
    assert_eq!(verdict(judge(&invocation, &stolen, |_| {})), (ErrorClass::InvalidAudience, None));
    let gap = [grant(1, 2, |_| {}), grant(3, 4, |_| {})];
    let invocation = call(4, &[&gap[0], &gap[1]], |_| {});
    assert_eq!(verdict(judge(&invocation, &gap, |_| {})), (ErrorClass::InvalidAudience, Some(1)));
    let rootless = [grant(2, 3, |_| {})];
    let invocation = call(3, &[&rootless[0]], |_| {});
    assert_eq!(verdict(judge(&invocation, &rootless, |_| {})), (ErrorClass::InvalidAudience, Some(0)));
}

#[test]
fn the_subject_must_be_the_same_at_every_hop() {
    let hops = [grant(1, 2, |_| {}), grant(2, 3, |new| new.subject = Some(did(2)))];
    let invocation = call(3, &[&hops[0], &hops[1]], |_| {});
    assert_eq!(verdict(judge(&invocation, &hops, |_| {})), (ErrorClass::InvalidSubject, Some(1)));
}

#[test]
fn a_powerline_is_never_a_root_and_needs_permission_elsewhere() {
    let root = [grant(1, 2, |new| new.subject = None)];
    let invocation = call(2, &[&root[0]], |_| {});
    assert_eq!(
        verdict(judge(&invocation, &root, |context| context.allow_powerline = true)),
        (ErrorClass::InvalidClaim, Some(0))
    );
    let below = [grant(1, 2, |_| {}), grant(2, 3, |new| new.subject = None)];
    let invocation = call(3, &[&below[0], &below[1]], |_| {});
    assert_eq!(verdict(judge(&invocation, &below, |_| {})), (ErrorClass::InvalidSubject, Some(1)));
    judge(&invocation, &below, |context| context.allow_powerline = true).unwrap();
}

#[test]
fn commands_narrow_by_whole_segments() {
    let crypto = [grant(1, 2, |new| new.command = "/crypto".parse().unwrap())];
    let with = |command: &str| call(2, &[&crypto[0]], |new| new.command = command.parse().unwrap());
    judge(&with("/crypto"), &crypto, |_| {}).unwrap();
    judge(&with("/crypto/sign"), &crypto, |_| {}).unwrap();
    for other in ["/cryptocurrency", "/", "/stack/crypto"] {
        assert_eq!(verdict(judge(&with(other), &crypto, |_| {})), (ErrorClass::Command, None), "{other}");
    }
    // The last hop covers the invocation but not its own parent.
    let widened = [crypto[0].clone(), grant(2, 3, |new| new.command = "/".parse().unwrap())];
    let invocation = call(3, &[&widened[0], &widened[1]], |_| {});
    assert_eq!(verdict(judge(&invocation, &widened, |_| {})), (ErrorClass::Command, Some(1)));
}

#[test]
fn every_policy_of_the_chain_must_hold() {
    let (_, hops) = three_hops();
    let refs: Vec<_> = hops.iter().collect();
    let with = |args: &str| call(4, &refs, |new| new.args = map(args));
    assert_eq!(verdict(judge(&with(r#"{"total": 1001}"#), &hops, |_| {})), (ErrorClass::MatchError, Some(0)));
    assert_eq!(verdict(judge(&with(r#"{"total": 0}"#), &hops, |_| {})), (ErrorClass::MatchError, Some(1)));
    assert_eq!(verdict(judge(&with("{}"), &hops, |_| {})), (ErrorClass::MatchError, Some(0)));
    let negative = [grant(1, 2, |new| new.policy = policy(r#"[["!=", ".asset.id", 1]]"#))];
    let invocation = call(2, &[&negative[0]], |_| {});
    let denied = judge(&invocation, &negative, |_| {}).unwrap_err();
    assert_eq!(denied.detail, "policy statement 0 does not hold");
}

#[test]
fn a_short_nonce_is_refused_where_uniqueness_matters() {
    let short = call(1, &[], |new| new.nonce = vec![1; 11]);
    judge(&short, &[], |_| {}).unwrap();
    assert_eq!(verdict(judge(&short, &[], |context| context.min_nonce = 12)), (ErrorClass::InvalidClaim, None));
    judge(&call(1, &[], |_| {}), &[], |context| context.min_nonce = 12).unwrap();
}

#[test]
fn commands_have_one_spelling() {
    for good in ["/", "/a", "/proposal/payout", "/a-b/c_d.e", "/ü"] {
        assert_eq!(good.parse::<ucan::Command>().unwrap().as_str(), good);
    }
    let long = format!("/{}", "a".repeat(ucan::MAX_COMMAND_BYTES));
    for bad in ["", "a", "/a/", "//", "/a//b", "/A", "/a b", "/a\n", long.as_str()] {
        assert!(bad.parse::<ucan::Command>().is_err(), "{bad:?}");
    }
}

#[test]
fn what_no_signature_can_save_is_refused_without_one() {
    let (invocation, hops) = three_hops();
    let claims = |cid: &domain::Cid| hops.iter().map(|hop| &**hop).find(|hop| hop.cid() == *cid);
    let trusted = [did(1)];
    let context = ucan::Context::new(NOW, Trust::Only(&trusted));
    ucan::refuse(&invocation, &claims, &context).unwrap();
    // Policies alone are left to those who have verified: the rest of the verdict is the walk's own.
    let over = call(4, &hops.iter().collect::<Vec<_>>(), |new| new.args = map(r#"{"total": 0}"#));
    ucan::refuse(&over, &claims, &context).unwrap();
    let late = ucan::Context { now: END, ..context };
    let other = ucan::Context { audience: Some(did(9)), ..context };
    let nobody = ucan::Context { trusted: Trust::Only(&[]), ..context };
    let revoked = ucan::Context { revoked_key: &|key| *key == did(2), ..context };
    let cases = [
        (late, ErrorClass::Expired, None, "exp"),
        (other, ErrorClass::InvalidAudience, None, "aud"),
        (nobody, ErrorClass::InvalidSubject, None, "sub"),
        (revoked, ErrorClass::Revoked, Some(1), "iss"),
    ];
    for (context, class, hop, field) in cases {
        let denied = ucan::refuse(&invocation, &claims, &context).unwrap_err();
        assert_eq!((denied.class, denied.hop, denied.field), (class, hop, field));
        let proofs = chain::store(&hops);
        assert_eq!(ucan::authorise(&invocation, &proofs, &context).unwrap_err(), denied);
    }
    let stolen = call(5, &hops.iter().collect::<Vec<_>>(), |_| {});
    let denied = ucan::refuse(&stolen, &claims, &context).unwrap_err();
    assert_eq!((denied.class, denied.field), (ErrorClass::InvalidAudience, "iss"));
    let denied = ucan::refuse(&invocation, &|_| None::<&ucan::Delegation>, &context).unwrap_err();
    assert_eq!((denied.class, denied.hop), (ErrorClass::UnavailableProof, Some(0)));
}
