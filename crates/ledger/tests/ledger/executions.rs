//! Reports, attestations and what they do to budgets.

use crate::stage::{LARGE, SMALL, Stage, nodes, quorum, stranger};
use countersign_ledger::{Progress, Status, Verdict, args};
use countersign_tests::{Person, Signed};
use domain::{Cid, Digest};

const UNKNOWN: &str = "proposal: unknown open proposal of this tenant";

fn transaction(n: u8) -> Digest {
    Digest::sha256(&[n])
}

fn submitted(stage: &Stage, proposal: Cid, n: u8) -> Signed {
    let args = args::Submitted { proposal, transaction: transaction(n), signature: "0a".repeat(65) };
    stage.world.by(&stage.world.relayer, "/execution/submitted", &args)
}

fn included(stage: &Stage, proposal: Cid, n: u8) -> Signed {
    let args = args::Included { proposal, transaction: transaction(n), block: 5 };
    stage.world.by(&stage.world.relayer, "/execution/included", &args)
}

fn reverted(stage: &Stage, proposal: Cid, n: u8) -> Signed {
    let args = args::Reverted { proposal, transaction: transaction(n), block: 5, reason: "no".parse().unwrap() };
    stage.world.by(&stage.world.relayer, "/execution/reverted", &args)
}

#[test]
fn t_signers_make_it_final_and_the_budgets_spent() {
    let mut stage = Stage::ready();
    let id = stage.approved();
    assert_eq!(stage.budgets(), [(SMALL, 0), (SMALL, 0)]);
    let [one, two, three] = nodes().try_into().expect("three nodes");
    stage.say(&stage.attestation(&one, id, Verdict::Final));
    assert_eq!((stage.status(), stage.budgets()), (None, [(SMALL, 0), (SMALL, 0)]));
    assert_eq!(stage.why_not(&stage.attestation(&one, id, Verdict::Final)), "proposal: you have attested it already");
    stage.say(&stage.attestation(&two, id, Verdict::Final));
    assert_eq!((stage.status(), stage.budgets()), (Some(Status::Final), [(0, SMALL), (0, SMALL)]));
    assert_eq!(stage.why_not(&stage.attestation(&three, id, Verdict::Final)), UNKNOWN, "committed exactly once");
}

#[test]
fn t_signers_make_it_void_and_the_budgets_free_after_its_validity() {
    let mut stage = Stage::ready();
    let id = stage.approved();
    let [one, two, three] = nodes().try_into().expect("three nodes");
    let early = "verdict: it may still execute until valid_until";
    assert_eq!(stage.why_not(&stage.attestation(&one, id, Verdict::Void)), early);
    stage.wait(1_800);
    assert_eq!(stage.why_not(&stage.attestation(&one, id, Verdict::Void)), early, "valid_until itself is too early");
    stage.wait(1);
    stage.say(&stage.attestation(&one, id, Verdict::Void));
    stage.say(&stage.attestation(&three, id, Verdict::Final));
    assert_eq!(stage.budgets(), [(SMALL, 0), (SMALL, 0)], "one of each settles nothing");
    stage.say(&stage.attestation(&two, id, Verdict::Void));
    assert_eq!((stage.status(), stage.budgets()), (Some(Status::Void), [(0, 0), (0, 0)]));
}

#[test]
fn who_is_not_in_the_roster_attests_nothing() {
    let mut stage = Stage::ready();
    let id = stage.approved();
    let refused = "not entitled: only a signer of the active quorum attests";
    for person in [Person::named("node-4"), stage.world.admin.clone(), stage.world.relayer.clone(), stranger()] {
        assert_eq!(stage.why_not(&stage.attestation(&person, id, Verdict::Final)), refused);
    }
}

#[test]
fn attestations_of_those_who_left_do_not_count() {
    let mut stage = Stage::ready();
    let id = stage.approved();
    let [one, two, three] = nodes().try_into().expect("three nodes");
    stage.say(&stage.attestation(&one, id, Verdict::Final));
    let mut next = quorum(2);
    next.0.participants.remove(0);
    stage.say(&stage.operator("/quorum/set", &next));
    stage.say(&stage.attestation(&two, id, Verdict::Final));
    assert_eq!(stage.status(), None, "the first one's word is gone with it");
    stage.say(&stage.attestation(&three, id, Verdict::Final));
    assert_eq!(stage.status(), Some(Status::Final));
}

#[test]
fn an_attestation_that_anything_of_is_revoked_since_does_not_count() {
    let revocations: [fn(&Signed) -> args::Revocation; 2] = [
        |said| args::Revocation::Key(said.invocation.issuer()),
        |said| args::Revocation::Delegation(said.proofs[0].cid()),
    ];
    for (revoked, by_operator) in revocations.into_iter().flat_map(|r| [(r, false), (r, true)]) {
        for verdict in [Verdict::Final, Verdict::Void] {
            let mut stage = Stage::ready();
            let id = stage.approved();
            let [one, two, three] = nodes().try_into().expect("three nodes");
            stage.wait(1_801);
            let said = stage.attestation(&one, id, verdict);
            stage.say(&said);
            let revoke = args::Revoke { revoke: revoked(&said), path: Vec::new(), reason: crate::stage::reason() };
            let by = if by_operator { Stage::operator } else { Stage::admin };
            stage.say(&by(&stage, "/ucan/revoke", &revoke));
            stage.say(&stage.attestation(&two, id, verdict));
            assert_eq!((stage.status(), stage.budgets()), (None, [(SMALL, 0), (SMALL, 0)]), "{verdict:?} {revoke:?}");
            stage.say(&stage.attestation(&three, id, verdict));
            assert!(stage.state.proposal(&id).is_none(), "{verdict:?} {revoke:?}");
        }
    }
}

#[test]
fn who_attested_by_a_revoked_delegation_says_it_again_by_another() {
    let mut stage = Stage::ready();
    let id = stage.approved();
    let [one, two, _] = nodes().try_into().expect("three nodes");
    let said = stage.attestation(&one, id, Verdict::Final);
    stage.say(&said);
    let revoke = args::Revocation::Delegation(said.proofs[0].cid());
    let revoke = args::Revoke { revoke, path: Vec::new(), reason: crate::stage::reason() };
    stage.say(&stage.admin("/ucan/revoke", &revoke));
    stage.say(&stage.attestation(&two, id, Verdict::Final));
    assert_eq!(stage.status(), None);
    assert_eq!(stage.why_not(&stage.attestation(&two, id, Verdict::Final)), "proposal: you have attested it already");
    stage.say(&stage.attestation(&one, id, Verdict::Final));
    assert_eq!((stage.status(), stage.budgets()), (Some(Status::Final), [(0, SMALL), (0, SMALL)]));
}

/// It is a word about what happened: that a delegation ends does not take it back as a revocation does.
#[test]
fn an_attestation_outlives_the_delegation_that_it_was_given_by() {
    let mut stage = Stage::ready();
    let id = stage.approved();
    let [one, two, _] = nodes().try_into().expect("three nodes");
    let (tenant, until) = (stage.world.tenant.clone(), stage.at.plus(60));
    let short = stage.world.delegate_until(&tenant, one.did, tenant.did, "/execution", Some(until));
    let args = stage.attestation(&one, id, Verdict::Final).invocation.args().clone();
    stage.say(&stage.world.invoke(&one, tenant.did, "/execution/attest", &args, vec![short]));
    stage.wait(61);
    stage.say(&stage.attestation(&two, id, Verdict::Final));
    assert_eq!((stage.status(), stage.budgets()), (Some(Status::Final), [(0, SMALL), (0, SMALL)]));
}

#[test]
fn signers_agree_on_the_transaction_too_and_may_correct_themselves() {
    let mut stage = Stage::ready();
    let id = stage.approved();
    let [one, two, _] = nodes().try_into().expect("three nodes");
    let saw = |stage: &Stage, node: &Person, n: u8| {
        let verdict = Verdict::Final;
        let args = args::Attest { proposal: id, verdict, block: 5, transaction: Some(transaction(n)) };
        stage.world.by(node, "/execution/attest", &args)
    };
    stage.say(&saw(&stage, &one, 1));
    stage.say(&saw(&stage, &two, 2));
    assert_eq!((stage.status(), stage.budgets()), (None, [(SMALL, 0), (SMALL, 0)]));
    assert_eq!(stage.why_not(&saw(&stage, &one, 1)), "proposal: you have attested it already");
    stage.say(&saw(&stage, &one, 2));
    assert_eq!((stage.status(), stage.budgets()), (Some(Status::Final), [(0, SMALL), (0, SMALL)]));
}

#[test]
fn what_is_in_review_executes_not() {
    let mut stage = Stage::ready();
    let id = stage.in_review();
    let why = "proposal: it is in review, so nothing can execute";
    let one = nodes()[0].clone();
    let said = [
        submitted(&stage, id, 1),
        included(&stage, id, 1),
        reverted(&stage, id, 1),
        stage.attestation(&one, id, Verdict::Final),
    ];
    assert_eq!(said.map(|s| stage.why_not(&s)), [why; 4]);
}

#[test]
fn reports_about_unknown_proposals_are_refused() {
    let mut stage = Stage::ready();
    let denied = stage.propose(crate::stage::MAX_PER_PAYOUT + 1);
    assert_eq!(stage.status(), Some(Status::Denied));
    let one = nodes()[0].clone();
    for id in [denied, Cid::of(b"never proposed")] {
        let said = [
            submitted(&stage, id, 1),
            included(&stage, id, 1),
            reverted(&stage, id, 1),
            stage.attestation(&one, id, Verdict::Final),
            stage.cancel(id),
            stage.world.approve(&stage.world.approvers[0], id, Digest::sha256(b"")),
        ];
        assert_eq!(said.map(|s| stage.why_not(&s)), [UNKNOWN; 6]);
    }
}

#[test]
fn reports_move_no_budget() {
    let mut stage = Stage::ready();
    let id = stage.approved();
    let steps: [(Signed, Status); 5] = [
        (submitted(&stage, id, 1), Status::Submitted),
        (included(&stage, id, 1), Status::Included),
        (reverted(&stage, id, 1), Status::Approved),
        (submitted(&stage, id, 2), Status::Submitted),
        (included(&stage, id, 2), Status::Included),
    ];
    for (signed, status) in steps {
        stage.say(&signed);
        assert_eq!(stage.status(), Some(status));
        assert_eq!(stage.budgets(), [(SMALL, 0), (SMALL, 0)]);
    }
    let progress = Progress::Included { transaction: transaction(2), block: 5 };
    assert_eq!(stage.proposal(&id).execution().unwrap().progress, Some(progress));
    assert_eq!(stage.why_not(&included(&stage, id, 2)), "transaction: this is known already");
}

#[test]
fn cancelling_a_review_frees_its_budgets() {
    let mut stage = Stage::ready();
    let id = stage.in_review();
    assert_eq!(stage.budgets(), [(LARGE, 0), (LARGE, 0)]);
    stage.say(&stage.cancel(id));
    assert_eq!((stage.status(), stage.budgets()), (Some(Status::Cancelled), [(0, 0), (0, 0)]));
    assert_eq!(stage.why_not(&stage.cancel(id)), UNKNOWN);
}

#[test]
fn cancelling_what_is_approved_keeps_its_budgets_until_it_is_void() {
    let mut stage = Stage::ready();
    let id = stage.approved();
    stage.say(&stage.cancel(id));
    assert_eq!((stage.status(), stage.budgets()), (Some(Status::Cancelled), [(SMALL, 0), (SMALL, 0)]));
    assert_eq!(stage.why_not(&stage.cancel(id)), "proposal: it is cancelled already");
    stage.say(&submitted(&stage, id, 1));
    assert_eq!(stage.status(), None, "a report does not undo a cancellation");
    stage.wait(1_801);
    stage.tick();
    assert_eq!(stage.budgets(), [(SMALL, 0), (SMALL, 0)]);
    let [one, two, _] = nodes().try_into().expect("three nodes");
    stage.say(&stage.attestation(&one, id, Verdict::Void));
    stage.say(&stage.attestation(&two, id, Verdict::Void));
    assert_eq!((stage.status(), stage.budgets()), (Some(Status::Void), [(0, 0), (0, 0)]));
}

#[test]
fn what_was_signed_before_it_was_cancelled_may_still_be_final() {
    let mut stage = Stage::ready();
    let id = stage.approved();
    stage.say(&stage.cancel(id));
    let [one, two, _] = nodes().try_into().expect("three nodes");
    stage.say(&stage.attestation(&one, id, Verdict::Final));
    stage.say(&stage.attestation(&two, id, Verdict::Final));
    assert_eq!((stage.status(), stage.budgets()), (Some(Status::Final), [(0, SMALL), (0, SMALL)]));
}

#[test]
fn the_daily_limit_holds_over_many_and_a_new_day_is_a_new_one() {
    let mut stage = Stage::ready();
    let most = crate::stage::MAX_PER_PAYOUT;
    for _ in 0..2 {
        stage.propose(most);
        assert_eq!(stage.status(), Some(Status::Review));
    }
    stage.propose(most);
    assert_eq!(stage.status(), Some(Status::Denied));
    assert_eq!(stage.budgets()[0], (2 * most, 0));
    stage.propose(crate::stage::DAILY - 2 * most);
    assert_eq!((stage.status(), stage.budgets()[0]), (Some(Status::Review), (crate::stage::DAILY, 0)));
    stage.propose(10);
    assert_eq!(stage.status(), Some(Status::Denied));
    stage.wait(86_400);
    stage.propose(10);
    assert_eq!((stage.status(), stage.budgets()[0]), (Some(Status::Approved), (0, 0)), "the reviews have expired");
}

#[test]
fn however_many_an_installation_delegates_to_they_share_its_daily_limit() {
    let mut stage = Stage::ready();
    let most = crate::stage::MAX_PER_PAYOUT;
    let agents = ["agent-1", "agent-2", "agent-3"].map(Person::named);
    let by = |stage: &Stage, agent: &Person, total: u64| {
        let (world, tenant, payout) = (&stage.world, stage.world.tenant.did, "/proposal/payout");
        let mut chain = world.proposal_chain();
        chain.push(world.delegate(&world.installation, agent.did, tenant, payout));
        world.invoke(agent, tenant, payout, &world.payout(total), chain)
    };
    let mut taken = Vec::new();
    for (agent, total) in agents.iter().zip([most, most, crate::stage::DAILY - 2 * most]) {
        let signed = by(&stage, agent, total);
        stage.say(&signed);
        taken.push((signed.cid(), total));
    }
    let full = (crate::stage::DAILY, 0);
    assert_eq!((stage.status(), stage.budgets()[0]), (Some(Status::Review), full));
    for agent in agents.iter().chain([&Person::named("agent-4")]) {
        stage.say(&by(&stage, agent, 10));
        assert_eq!((stage.status(), stage.budgets()[0]), (Some(Status::Denied), full), "each would be below it alone");
    }
    // What one of them gives back another may use.
    let (first, total) = taken[0];
    stage.say(&stage.cancel(first));
    stage.say(&by(&stage, &agents[1], total));
    assert_eq!((stage.status(), stage.budgets()[0]), (Some(Status::Review), full));
}
