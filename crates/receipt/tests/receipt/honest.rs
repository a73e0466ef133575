use crate::market::{LARGE, Market, SMALL, reviewed};
use domain::Amount;
use messages::Effect;
use receipt::{Receipt, verify};

#[test]
fn payout_that_people_approved_is_proven() {
    let (market, paid) = &*reviewed();
    let file = market.receipt(&paid.rows, &paid.frame).encode().unwrap();
    let summary = verify(&file, &market.roots()).unwrap();
    assert_eq!(summary.effect, Effect::Review);
    assert_eq!(summary.approvers, [market.world.approvers[0].did]);
    assert_eq!(summary.installation, market.world.installation.did);
    assert_eq!(summary.tenant, market.world.tenant.did);
    assert_eq!(summary.total.get(), LARGE);
    assert_eq!(summary.attesters.len(), 2);
    assert_eq!(summary.block, 77);
    assert_eq!(summary.message.as_bytes(), &escrow::payout_digest(&paid.authorisation));
    assert_eq!(Receipt::parse(&file).unwrap().encode().unwrap(), file);
}

#[test]
fn payout_that_policy_allowed_is_proven_with_parts_that_sum_to_the_whole() {
    let mut market = Market::new();
    let paid = market.pay(SMALL);
    let file = market.receipt(&paid.rows, &paid.frame).encode().unwrap();
    let summary = verify(&file, &market.roots()).unwrap();
    assert_eq!((summary.effect, summary.approvers.len()), (Effect::Allow, 0));
    let parts: Vec<u64> = summary.payments.iter().map(|p| Amount::get(p.amount)).collect();
    assert_eq!(parts, [9_001, 1_000]);
    assert_eq!(parts.iter().sum::<u64>(), SMALL);
    let chain: Vec<_> = summary.payments.iter().map(|p| p.chain_amount).collect();
    assert_eq!(chain, paid.authorisation.amounts);
}
