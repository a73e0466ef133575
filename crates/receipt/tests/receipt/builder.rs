use crate::market::{LARGE, Market, SMALL, hex, proof};
use domain::{Cid, Digest};
use ledger::{Outcome, args};
use log::{Hash, Tree, leaf_hash};
use receipt::{BuildError, Builder, verify};

pub fn fed(market: &Market, proposal: Cid, entries: usize) -> Builder {
    let mut builder = Builder::new(proposal);
    for (entry, tokens) in market.log.iter().take(entries) {
        builder.take(entry, tokens).unwrap();
    }
    builder
}

pub fn leaves(market: &Market, entries: usize) -> Vec<Hash> {
    market.log.iter().take(entries).map(|(entry, _)| leaf_hash(entry)).collect()
}

fn size(market: &Market) -> usize {
    market.log.len()
}

#[test]
fn receipt_is_found_among_other_payouts() {
    let mut market = Market::new();
    market.pay(SMALL);
    let paid = market.pay(LARGE);
    market.pay(SMALL + 1);
    let plan = fed(&market, paid.frame.proposal, size(&market)).plan().unwrap();
    let leaves = leaves(&market, size(&market));
    let note = market.cosigned(market.replica.tree());
    assert!(plan.accepts(&note));
    let receipt = plan.finish(&note, &|seq| Some(proof(&leaves, seq))).unwrap();
    assert_eq!(receipt.entries.len(), paid.rows.len());
    let summary = verify(&receipt.encode().unwrap(), &market.roots()).unwrap();
    assert_eq!(summary.proposal, paid.frame.proposal);
}

#[test]
fn there_is_no_receipt_before_enough_signers_attest() {
    let mut market = Market::new();
    let paid = market.pay(LARGE);
    let before = fed(&market, paid.frame.proposal, size(&market) - 1).plan();
    assert!(matches!(before, Err(BuildError::NotFinal { attested: 1, threshold: 2 })), "{before:?}");
    let none = fed(&market, Cid::of(b"another"), size(&market)).plan();
    assert!(matches!(none, Err(BuildError::Missing(_))), "{none:?}");
}

#[test]
fn checkpoint_that_is_too_small_or_not_cosigned_does_not_do() {
    let mut market = Market::new();
    let paid = market.pay(LARGE);
    let plan = fed(&market, paid.frame.proposal, size(&market)).plan().unwrap();
    let short = Tree::from_leaves(leaves(&market, size(&market) - 1));
    assert!(!plan.accepts(&market.cosigned(&short)));
    let note = market.cosigned(market.replica.tree());
    let own = note.lines().take(6).collect::<Vec<_>>().join("\n") + "\n";
    assert!(!plan.accepts(&own));
    let leaves = leaves(&market, size(&market));
    let refused = plan.clone().finish(&own, &|seq| Some(proof(&leaves, seq)));
    assert!(matches!(refused, Err(BuildError::Checkpoint(_))), "{refused:?}");
    let missing = plan.finish(&note, &|_| None);
    assert!(matches!(missing, Err(BuildError::Proof(0))), "{missing:?}");
}

#[test]
fn signatures_of_strangers_under_the_checkpoint_are_left_out() {
    let mut market = Market::new();
    let paid = market.pay(LARGE);
    let note = market.cosigned(market.replica.tree());
    let mut lines: Vec<&str> = note.lines().collect();
    let witness = lines[5].replace("— log.example.com/test ", "— witness.example.com ");
    lines.insert(5, &witness);
    let witnessed = lines.join("\n") + "\n";
    let plan = fed(&market, paid.frame.proposal, size(&market)).plan().unwrap();
    let leaves = leaves(&market, size(&market));
    let receipt = plan.finish(&witnessed, &|seq| Some(proof(&leaves, seq))).unwrap();
    assert_eq!(receipt.checkpoint, note);
}

#[test]
fn withdrawn_approvals_do_not_count_and_wrong_submissions_are_passed_over() {
    let mut market = Market::new();
    let two = market.two_approvals();
    market.admit(&two);
    let proposed = market.world.propose(LARGE);
    let proposal = proposed.cid();
    let Outcome::Decided { review, .. } = market.admit(&proposed) else { panic!("decided") };
    let hasty = market.approve(0, proposal, review);
    let regret = market.world.by(&market.world.approvers[0], "/approval/withdraw", &args::Withdraw { proposal });
    for said in [hasty, regret, market.approve(1, proposal, review), market.approve(2, proposal, review)] {
        market.admit(&said);
    }
    let authorisation = market.replica.state().authorisation(&proposal).unwrap();
    let good = hex(&market.signers.sign_secp256k1(&escrow::payout_digest(&authorisation)));
    let transaction = crate::market::transaction();
    for (signature, transaction) in
        [("11".repeat(65), transaction), (good.clone(), Digest::sha256(b"lost")), (good.clone(), transaction)]
    {
        let args = args::Submitted { proposal, transaction, signature };
        let said = market.world.by(&market.world.relayer, "/execution/submitted", &args);
        market.admit(&said);
    }
    for node in [1, 2] {
        let said = market.attest_with(&market.signers.nodes[node], proposal, |_| {});
        market.admit(&said);
    }
    let plan = fed(&market, proposal, size(&market)).plan().unwrap();
    let leaves = leaves(&market, size(&market));
    let note = market.cosigned(market.replica.tree());
    let receipt = plan.finish(&note, &|seq| Some(proof(&leaves, seq))).unwrap();
    assert_eq!(receipt.signature, good);
    let summary = verify(&receipt.encode().unwrap(), &market.roots()).unwrap();
    let mut approvers = [market.world.approvers[1].did, market.world.approvers[2].did];
    approvers.sort();
    assert_eq!(summary.approvers, approvers);
}
