//! The builder counts what the ledger counted.

use crate::{
    builder::{fed, leaves},
    market::{LARGE, Market, SMALL, proof},
    quorum::Signers,
};
use countersign_tests::Signed;
use domain::{Cid, Did, Time};
use ipld_core::ipld::Ipld;
use ledger::{Change, Outcome, Statement, Status, Verdict, args};
use receipt::{BuildError, Builder, Summary, verify};
use replica::Replica;

/// A market with a payout that is submitted and that nobody has attested, after its validity.
fn submitted() -> (Market, Cid) {
    let mut market = Market::new();
    let proposed = market.world.propose(SMALL);
    market.admit(&proposed);
    market.submit(proposed.cid());
    market.world.now = market.world.now.plus(3_600);
    (market, proposed.cid())
}

fn is_final(market: &Market, proposal: Cid) -> bool {
    fed(market, proposal, market.log.len()).plan().is_ok()
}

fn receipt(market: &Market, proposal: Cid) -> Summary {
    let plan = fed(market, proposal, market.log.len()).plan().unwrap();
    let leaves = leaves(market, market.log.len());
    let note = market.cosigned(market.replica.tree());
    let receipt = plan.finish(&note, &|seq| Some(proof(&leaves, seq))).unwrap();
    verify(&receipt.encode().unwrap(), &market.roots()).unwrap()
}

fn sorted<const N: usize>(mut dids: [Did; N]) -> [Did; N] {
    dids.sort();
    dids
}

fn void(args: &mut args::Attest) {
    (args.verdict, args.transaction) = (Verdict::Void, None);
}

#[test]
fn attestation_that_anything_of_is_revoked_since_does_not_count() {
    let revocations: [fn(&Signed) -> args::Revocation; 2] = [
        |said| args::Revocation::Key(said.invocation.issuer()),
        |said| args::Revocation::Delegation(said.proofs[0].cid()),
    ];
    for (n, by_operator) in [(0, false), (0, true), (1, false), (1, true)] {
        let (mut market, proposal) = submitted();
        let nodes = market.signers.nodes.clone();
        let said = market.attest_with(&nodes[0], proposal, |_| {});
        market.admit(&said);
        let revoke = if by_operator {
            let args =
                args::Revoke { revoke: revocations[n](&said), path: Vec::new(), reason: "lost".parse().unwrap() };
            let operator = &market.world.operator;
            market.world.invoke(operator, operator.did, "/ucan/revoke", &args, Vec::new())
        } else {
            market.revoke(revocations[n](&said))
        };
        market.admit(&revoke);
        let second = market.attest_with(&nodes[1], proposal, |_| {});
        market.admit(&second);
        assert!(market.replica.state().proposal(&proposal).is_some());
        let plan = fed(&market, proposal, market.log.len()).plan();
        assert!(matches!(plan, Err(BuildError::NotFinal { attested: 1, threshold: 2 })), "{plan:?}");
        let third = market.attest_with(&nodes[2], proposal, |_| {});
        market.admit(&third);
        assert_eq!(receipt(&market, proposal).attesters, sorted([nodes[1].did, nodes[2].did]));
    }
}

#[test]
fn corrected_word_does_not_count() {
    let (mut market, proposal) = submitted();
    let nodes = market.signers.nodes.clone();
    let words = [
        market.attest_with(&nodes[0], proposal, |_| {}),
        market.attest_with(&nodes[0], proposal, void),
        market.attest_with(&nodes[1], proposal, |_| {}),
    ];
    for said in words {
        market.admit(&said);
        assert!(market.replica.state().proposal(&proposal).is_some());
        assert!(!is_final(&market, proposal));
    }
    let third = market.attest_with(&nodes[2], proposal, |_| {});
    market.admit(&third);
    assert_eq!(receipt(&market, proposal).attesters, sorted([nodes[1].did, nodes[2].did]));
}

/// A delegation's own issuer revokes it by its path; that holds in the tenant's realm, in no other.
#[test]
fn revocation_by_an_issuer_counts_in_the_realm_of_its_path() {
    let (mut market, proposal) = submitted();
    let nodes = market.signers.nodes.clone();
    let w = &market.world;
    let root = w.delegate(&w.tenant, w.admin.did, w.tenant.did, "/execution");
    let last = w.delegate(&w.admin, nodes[0].did, w.tenant.did, "/execution");
    let args = market.attest_with(&nodes[0], proposal, |_| {}).invocation.args().clone();
    let said = w.invoke(&nodes[0], w.tenant.did, "/execution/attest", &args, vec![root.clone(), last.clone()]);
    let path = [&root, &last].map(|d| Ipld::Bytes(d.bytes().to_vec())).to_vec();
    let reason = "left".parse().unwrap();
    let args = args::Revoke { revoke: args::Revocation::Delegation(last.cid()), path, reason };
    let revoke = w.invoke(&w.admin, w.admin.did, "/ucan/revoke", &args, Vec::new());
    let second = market.attest_with(&nodes[1], proposal, |_| {});
    for said in [said, revoke, second] {
        market.admit(&said);
        assert!(market.replica.state().proposal(&proposal).is_some());
        assert!(!is_final(&market, proposal));
    }
    let again = market.attest_with(&nodes[0], proposal, |_| {});
    market.admit(&again);
    assert_eq!(receipt(&market, proposal).attesters, sorted([nodes[0].did, nodes[1].did]));
}

/// A path that somebody else's hands were put into ends nothing that was said by another.
#[test]
fn revocation_by_who_has_no_part_in_a_word_does_not_touch_it() {
    let (mut market, proposal) = submitted();
    let nodes = market.signers.nodes.clone();
    let w = &market.world;
    let root = w.delegate(&w.tenant, w.admin.did, w.tenant.did, "/execution");
    let last = w.delegate(&w.admin, nodes[0].did, w.tenant.did, "/execution");
    let args = market.attest_with(&nodes[0], proposal, |_| {}).invocation.args().clone();
    let said = w.invoke(&nodes[0], w.tenant.did, "/execution/attest", &args, vec![root, last.clone()]);
    let to_relayer = w.delegate(&w.tenant, w.relayer.did, w.tenant.did, "/execution");
    let to_admin = w.delegate(&w.relayer, w.admin.did, w.tenant.did, "/execution");
    let path = [&to_relayer, &to_admin, &last].map(|d| Ipld::Bytes(d.bytes().to_vec())).to_vec();
    let reason = "mine".parse().unwrap();
    let args = args::Revoke { revoke: args::Revocation::Delegation(last.cid()), path, reason };
    let revoke = w.invoke(&w.relayer, w.relayer.did, "/ucan/revoke", &args, Vec::new());
    let second = market.attest_with(&nodes[1], proposal, |_| {});
    for said in [said, revoke, second] {
        assert!(market.replica.state().proposal(&proposal).is_some());
        market.admit(&said);
    }
    assert_eq!(receipt(&market, proposal).attesters, sorted([nodes[0].did, nodes[1].did]));
}

#[test]
fn word_of_who_left_the_quorum_does_not_make_it_final() {
    let (mut market, proposal) = submitted();
    let first = market.signers.nodes.clone();
    let said = market.attest_with(&first[0], proposal, |_| {});
    market.admit(&said);
    // The next quorum keeps the first one's keys here, but for its first signer, and has two new ones.
    let other = Signers::new(2);
    let mut next = market.signers.quorum.clone();
    next.epoch = 2;
    next.participants[0].node = other.nodes[0].did;
    next.participants[2].node = other.nodes[2].did;
    let operator = &market.world.operator;
    let set = market.world.invoke(operator, operator.did, "/quorum/set", &args::SetQuorum(next), Vec::new());
    market.admit(&set);
    let second = market.attest_with(&first[1], proposal, |_| {});
    market.admit(&second);
    assert!(market.replica.state().proposal(&proposal).is_some());
    let plan = fed(&market, proposal, market.log.len()).plan();
    assert!(matches!(plan, Err(BuildError::NotFinal { attested: 1, threshold: 2 })), "{plan:?}");
    let third = market.attest_with(&other.nodes[0], proposal, |_| {});
    market.admit(&third);
    assert!(market.replica.state().proposal(&proposal).is_none());
    assert_eq!(receipt(&market, proposal).attesters, sorted([first[0].did, first[1].did]));
}

#[test]
fn approval_that_is_revoked_since_does_not_count() {
    let mut market = Market::new();
    let two = market.two_approvals();
    market.admit(&two);
    let proposed = market.world.propose(LARGE);
    let proposal = proposed.cid();
    let Outcome::Decided { review, .. } = market.admit(&proposed) else { panic!("decided") };
    let people = market.world.approvers.clone();
    let first = market.approve(0, proposal, review);
    market.admit(&first);
    let lost = market.approve(1, proposal, review);
    let revoke = market.revoke(args::Revocation::Delegation(first.proofs[0].cid()));
    for said in [revoke, lost, market.approve(2, proposal, review)] {
        market.admit(&said);
    }
    let (frame, _) = market.submit(proposal);
    for node in [0, 1] {
        let said = market.attest(&market.signers.nodes[node], &frame);
        market.admit(&said);
    }
    assert_eq!(receipt(&market, proposal).approvers, sorted([people[1].did, people[2].did]));
}

struct Walk {
    acts: Vec<(Statement, Vec<Vec<u8>>)>,
    proposal: Cid,
    at: Time,
    settled: [usize; 2],
}

impl Walk {
    /// Every order of the acts up to this depth that the ledger takes.
    fn on(&mut self, replica: &Replica, builder: &Builder, depth: usize) {
        for (statement, tokens) in self.acts.clone() {
            let mut replica = replica.clone();
            let Ok(admitted) = replica.admit(&statement, self.at) else { continue };
            let mut builder = builder.clone();
            builder.take(&admitted.entry, &tokens).unwrap();
            let is = |status| admitted.changes.contains(&Change::Status(self.proposal, status));
            let (last, void) = (is(Status::Final), is(Status::Void));
            let plan = builder.plan();
            match &plan {
                Ok(_) => assert!(last, "only the builder takes it for final"),
                Err(BuildError::NotFinal { .. }) => assert!(!last, "only the ledger takes it for final"),
                Err(other) => panic!("{other}"),
            }
            self.settled[0] += usize::from(last);
            self.settled[1] += usize::from(void);
            if depth > 1 && !last && !void {
                self.on(&replica, &builder, depth - 1);
            }
        }
    }
}

#[test]
fn ledger_and_builder_agree_on_every_short_log() {
    let (market, proposal) = submitted();
    let nodes = &market.signers.nodes;
    let attest = |node: usize, change: fn(&mut args::Attest)| market.attest_with(&nodes[node], proposal, change);
    let first = attest(0, |_| {});
    let second = attest(1, |_| {});
    let said = [
        market.revoke(args::Revocation::Delegation(second.proofs[0].cid())),
        market.revoke(args::Revocation::Key(nodes[0].did)),
        first,
        attest(0, void),
        second,
        attest(1, |args| args.block = 78),
        attest(1, void),
        attest(2, |_| {}),
    ];
    let acts = said.iter().map(|s| (s.statement(), s.tokens())).collect();
    let mut walk = Walk { acts, proposal, at: market.world.now, settled: [0; 2] };
    walk.on(&market.replica, &fed(&market, proposal, market.log.len()), 4);
    assert!(walk.settled.iter().all(|n| *n > 10), "{:?}", walk.settled);
}
