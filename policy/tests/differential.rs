//! The compiled machine and the engine's interpreter must agree on every input.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

use domain::{AccountId, Address, Bps, ChainId, MAX_AMOUNT, Time};
use policy::{
    Budget, Bundle, Engine, Input, InstallationState, Limits, OrderState, PluginState, Royalty, Split, probe,
};
use proptest::{
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use regorus::Value;

const CASES: u32 = 2_000;

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(0),
        Just(1),
        Just(MAX_AMOUNT),
        Just(MAX_AMOUNT + 1),
        Just(u64::MAX),
        1_u64..2_000_000_000,
        any::<u64>(),
    ]
}

fn moment() -> impl Strategy<Value = Time> {
    prop_oneof![
        4 => (0_u64..2_000).prop_map(|s| Time::from_unix(1_799_999_000 + s)),
        2 => (0_u64..2_000_000).prop_map(|s| Time::from_unix(1_799_000_000 + s)),
        1 => number().prop_map(Time::from_unix),
    ]
}

fn account() -> impl Strategy<Value = AccountId> {
    (1_u8..5).prop_map(|n| AccountId { chain: ChainId(1), address: Address([n; 20]) })
}

fn bps() -> impl Strategy<Value = Bps> {
    (1_u16..=10_000).prop_map(|n| Bps::new(n).unwrap())
}

prop_compose! {
    fn splits()(honest in any::<bool>(), total in number(), first in 1_u16..10_000, wild in
        prop::collection::vec((number(), bps(), account()), 0..6)) -> (u64, Vec<Split>) {
        if honest {
            let shares = [Bps::new(first).unwrap(), Bps::new(10_000 - first).unwrap()];
            let parts = domain::largest_remainder(total, &shares).unwrap();
            let split = |n: u8| AccountId { chain: ChainId(1), address: Address([n; 20]) };
            let splits = (1_u8..).zip(shares).zip(parts);
            (total, splits.map(|((n, bps), amount)| Split { amount, bps, recipient: split(n) }).collect())
        } else {
            (total, wild.into_iter().map(|(amount, bps, recipient)| Split { amount, bps, recipient }).collect())
        }
    }
}

prop_compose! {
    fn input()(
        money in (splits(), number(), number(), number(), number(), number()),
        flags in prop::collection::vec(prop::bool::weighted(0.1), 12),
        times in (moment(), moment(), moment(), moment(), 0_u64..1_200),
        royalties in prop::collection::vec((bps(), account()), 0..3),
        items in prop::collection::vec(number(), 0..4),
        level in 0_u8..4,
    ) -> Input {
        let mut input = probe::ordinary().unwrap();
        let ((total, splits), available, daily_total, max_per_payout, reserved, spent) = money;
        (input.total, input.splits) = (total, splits);
        input.limits = (!flags[0]).then_some(Limits { daily_total, max_per_payout });
        input.budget = Budget { reserved, spent };
        let item = input.line_items[0].clone();
        input.line_items = items.into_iter().map(|amount| policy::LineItem { amount, ..item.clone() }).collect();
        let order = input.order.as_mut().unwrap();
        order.available = available;
        order.royalties = royalties.into_iter().map(|(bps, recipient)| Royalty { bps, recipient }).collect();
        if flags[1] { order.state = OrderState::Closed; }
        if flags[2] { input.order = None; }
        if flags[3] { input.asset = None; }
        if flags[4] { input.recipients.clear(); }
        input.frozen = flags[5];
        input.tenant.frozen = flags[6];
        input.plugin.frozen = flags[7];
        if flags[8] { input.plugin.state = PluginState::Withdrawn; }
        if flags[9] { input.installation.state = InstallationState::Suspended; }
        if flags[10] { input.installation.capabilities.clear(); }
        (input.installation.expires_at, input.proposal.valid_until, input.token.expires_at, _, input.token.lifetime_left) = times;
        for fact in input.recipients.values_mut() {
            (fact.kyc_level, fact.valid_until, fact.sanctioned) = (level, times.3, flags[11]);
        }
        input
    }
}

fn interpreter() -> regorus::Engine {
    let bundle = Bundle::default_payout();
    let mut engine = regorus::Engine::new();
    engine.set_strict_builtin_errors(true);
    for (path, source) in bundle.modules() {
        engine.add_policy(path.clone(), source.clone()).unwrap();
    }
    engine.add_data_json(bundle.data()).unwrap();
    engine
}

fn agree(engine: &Engine, interpreter: &mut regorus::Engine, input: &Input) -> Result<(), TestCaseError> {
    let decision = engine.decide(input);
    let json = String::from_utf8(input.canonical_json()).unwrap();
    interpreter.set_input(Value::from_json_str(&json).unwrap());
    let mut rule = |name: &str| interpreter.eval_rule(format!("data.payout.{name}")).unwrap();
    prop_assert_eq!(rule("effect"), Value::from(decision.effect.as_str()));
    prop_assert_eq!(rule("approvals"), Value::from(u64::from(decision.approvals)));
    let expected = rule("violation");
    let set = expected.as_set().unwrap();
    let pair = |v: &policy::Violation| serde_json::json!({"code": v.code, "msg": v.msg});
    let decided: std::collections::BTreeSet<Value> = decision.violations.iter().map(|v| Value::from(pair(v))).collect();
    prop_assert_eq!(set.iter().cloned().collect::<std::collections::BTreeSet<_>>(), decided);
    prop_assert_eq!(&decision, &engine.decide(input));
    Ok(())
}

#[test]
fn machine_and_interpreter_agree() {
    let engine = Engine::load(&Bundle::default_payout()).unwrap();
    let interpreter = std::cell::RefCell::new(interpreter());
    for input in [probe::ordinary().unwrap(), probe::bare().unwrap(), probe::widest().unwrap()] {
        agree(&engine, &mut interpreter.borrow_mut(), &input).unwrap();
    }
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let effects = std::cell::RefCell::new(std::collections::BTreeMap::new());
    TestRunner::new_with_rng(config, rng)
        .run(&input(), |input| {
            *effects.borrow_mut().entry(engine.decide(&input).effect).or_insert(0) += 1;
            agree(&engine, &mut interpreter.borrow_mut(), &input)
        })
        .unwrap();
}
