//! The bytes that decisions are made of. These are part of the ledger's version: changing any needs a new ledger
//! version, because replicas re-decide old entries and must come to the same bytes as those who decided first.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

use policy::{Bundle, Code, ENGINE, Engine, Input, InstallationState, LineItem, MAX_INSTRUCTIONS, probe};
use std::collections::BTreeMap;

#[test]
fn default_bundle_keeps_its_address() {
    assert_eq!(
        Bundle::default_payout().id().to_string(),
        "2868c6f32e6fae026d50f3d0e4532d6073560a8d716f95bf1fe404d6223016bf"
    );
}

#[test]
fn engine_keeps_its_name_and_is_the_one_that_is_linked() {
    assert_eq!((ENGINE, MAX_INSTRUCTIONS), ("regorus-0.14.1", 25_000));
    let linked = include_str!("../../Cargo.lock").contains("name = \"regorus\"\nversion = \"0.14.1\"\n");
    assert!(linked, "another engine is linked than {ENGINE}");
}

#[test]
fn codes_keep_their_names_and_their_order() {
    let names: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(names, CODES);
    assert!(Code::ALL.is_sorted());
}

const CODES: [&str; 30] = [
    "policy_error",
    "frozen",
    "plugin_inactive",
    "installation_inactive",
    "installation_expired",
    "capability_missing",
    "token_expired",
    "token_lifetime",
    "proposal_expired",
    "proposal_validity",
    "unknown_order",
    "order_closed",
    "order_asset",
    "order_available",
    "unknown_asset",
    "asset_not_allowed",
    "amount",
    "payout_limit",
    "daily_limit",
    "splits_sum",
    "splits_amount",
    "splits_count",
    "duplicate_recipient",
    "recipient_unverified",
    "recipient_kyc_level",
    "recipient_kyc_expired",
    "recipient_sanctioned",
    "royalty_unpaid",
    "line_items_sum",
    "line_items_count",
];

/// Behind conditions that no probe meets: a builtin that fails, which leaves its rule without a violation; a result that
/// is not a decision; a denial without a violation.
const FAULTY: &str = r#"package payout
import rego.v1
default effect := "deny"
default approvals := 0
approvals := 99 if input.total == 2
mixed := ["x", 1]
violation contains {"code": "frozen", "msg": "no"} if input.total > 2
violation contains {"code": "frozen", "msg": "no"} if input.total == 2
violation contains {"code": "frozen", "msg": "no"} if {
	input.total == 1
	count(mixed[input.total]) == 0
}
"#;

/// As above: much to sort, again and again.
const LABORIOUS: &str = r#"package payout
import rego.v1
default effect := "deny"
default approvals := 0
violation contains {"code": "frozen", "msg": "no"} if input.total > 1
violation contains {"code": "frozen", "msg": "no"} if {
	input.total == 1
	some _ in data.numbers
	count(sort(data.numbers)) == 1000
}
"#;

fn input(change: impl FnOnce(&mut Input)) -> Input {
    let mut input = probe::ordinary().unwrap();
    change(&mut input);
    input
}

fn reviewed(input: &mut Input) {
    input.total = 1_000_000_001;
    (input.splits[0].amount, input.splits[1].amount) = (950_000_001, 50_000_000);
    input.line_items[0].amount = 1_000_000_001;
    let order = input.order.as_mut().unwrap();
    (order.amount, order.available) = (2_000_000_000, 2_000_000_000);
}

fn wrong_in_many_ways(input: &mut Input) {
    input.tenant.frozen = true;
    input.installation.state = InstallationState::Suspended;
    input.total += 1;
    input.splits[1].recipient = input.splits[0].recipient;
    input.recipients.values_mut().for_each(|fact| fact.sanctioned = true);
    input.budget = policy::Budget { reserved: u64::MAX, spent: u64::MAX };
    input.token.lifetime_left = 901;
}

fn endless(input: &mut Input) {
    let item = LineItem { amount: 0, description: "x".parse().unwrap() };
    input.line_items = vec![item; 20_000];
}

#[test]
fn decisions_keep_their_bytes() {
    let default = Engine::load(&Bundle::default_payout()).unwrap();
    let modules = BTreeMap::from([("payout/payout.rego".to_owned(), FAULTY.to_owned())]);
    let faulty = Engine::load(&Bundle::new(modules, "{}".to_owned()).unwrap()).unwrap();
    let modules = BTreeMap::from([("payout/payout.rego".to_owned(), LABORIOUS.to_owned())]);
    let numbers = serde_json::json!({ "numbers": (0..1_000).collect::<Vec<_>>() }).to_string();
    let laborious = Engine::load(&Bundle::new(modules, numbers).unwrap()).unwrap();
    let cases = [
        ("allowed", &default, input(|_| {})),
        ("reviewed", &default, input(reviewed)),
        ("bare", &default, probe::bare().unwrap()),
        ("many", &default, input(wrong_in_many_ways)),
        ("unbounded", &default, input(endless)),
        ("failing builtin", &faulty, input(|i| i.total = 1)),
        ("ill-typed", &faulty, input(|i| i.total = 2)),
        ("unexplained", &faulty, input(|i| i.total = 0)),
        ("laborious", &laborious, input(|i| i.total = 1)),
    ];
    let decided = cases.map(|(name, engine, input)| (name, serde_json::to_string(&engine.decide(&input)).unwrap()));
    for ((name, json), (expected_name, expected)) in decided.iter().zip(DECISIONS) {
        assert_eq!((*name, json.as_str()), (expected_name, expected));
    }
}

/// Compact JSON, as serialised.
const DECISIONS: [(&str, &str); 9] = [
    (
        "allowed",
        r#"{"effect":"allow","violations":[],"approvals":0,"bundle":"2868c6f32e6fae026d50f3d0e4532d6073560a8d716f95bf1fe404d6223016bf","input":"075337e0ee81bf1458bbf28661efee205cac076a43d826f3071f65da51e71513","engine":"regorus-0.14.1"}"#,
    ),
    (
        "reviewed",
        r#"{"effect":"review","violations":[],"approvals":1,"bundle":"2868c6f32e6fae026d50f3d0e4532d6073560a8d716f95bf1fe404d6223016bf","input":"9cff7c79e87b821ce74e1acbd03053b9a3eb9374ff296c75965abcc52be78bea","engine":"regorus-0.14.1"}"#,
    ),
    (
        "bare",
        r#"{"effect":"deny","violations":[{"code":"unknown_order","msg":"order order-1 is not known"},{"code":"unknown_asset","msg":"asset eip155:1/erc20:0xa0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0 is not in the tenant's asset table"},{"code":"asset_not_allowed","msg":"the grant of installation did:key:z6Mkef1w29eU7SP9XmbDzTwbiisHZ3uTS5JpNEuu1R6pADkW does not allow eip155:1/erc20:0xa0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0"},{"code":"splits_sum","msg":"the shares sum to 0 basis points, not 10000"},{"code":"splits_amount","msg":"the parts sum to 0 minor units of the asset, the total is 100000000"}],"approvals":0,"bundle":"2868c6f32e6fae026d50f3d0e4532d6073560a8d716f95bf1fe404d6223016bf","input":"f07dd25c0f4f7338c3e2cd581717ac374d7b1f7796b765fc9e726d75c1cb0eec","engine":"regorus-0.14.1"}"#,
    ),
    (
        "many",
        r#"{"effect":"deny","violations":[{"code":"frozen","msg":"tenant did:key:z6MkeXBLjYiSvqnhFb6D7sHm8yKm4jV45wwBFRaatf1cfZ76 is frozen"},{"code":"installation_inactive","msg":"installation did:key:z6Mkef1w29eU7SP9XmbDzTwbiisHZ3uTS5JpNEuu1R6pADkW is suspended"},{"code":"token_lifetime","msg":"the invocation is valid for another 901 seconds, at most 900 are allowed"},{"code":"daily_limit","msg":"the payout of 100000001 takes the day to 36893488147519103231 minor units of USDC (18446744073709551615 spent, 18446744073709551615 reserved), the daily limit is 5000000000"},{"code":"splits_amount","msg":"the parts sum to 100000000 minor units of USDC, the total is 100000001"},{"code":"duplicate_recipient","msg":"eip155:1:0x0101010101010101010101010101010101010101 appears 2 times"},{"code":"recipient_sanctioned","msg":"eip155:1:0x0101010101010101010101010101010101010101 is on a sanctions list, says did:key:z6MkeiwEAT7UhjgNfrqjRmGX1be3oD7f78zdveaZ4o9QuZ5D"},{"code":"royalty_unpaid","msg":"eip155:1:0x0202020202020202020202020202020202020202 gets 0 basis points, order order-1 owes it at least 500"},{"code":"line_items_sum","msg":"the line items sum to 100000000 minor units of USDC, the total is 100000001"}],"approvals":0,"bundle":"2868c6f32e6fae026d50f3d0e4532d6073560a8d716f95bf1fe404d6223016bf","input":"41a0b84bedd0789993938c76633b31b71878541de25d3ba0b847b72d643138af","engine":"regorus-0.14.1"}"#,
    ),
    (
        "unbounded",
        r#"{"effect":"deny","violations":[{"code":"policy_error","msg":"the policy does not decide within 25000 instructions"}],"approvals":0,"bundle":"2868c6f32e6fae026d50f3d0e4532d6073560a8d716f95bf1fe404d6223016bf","input":"7f81f67214d1fd90e9ea20a1787dba6fc20738ada5bd6f1639a2b4801251f529","engine":"regorus-0.14.1"}"#,
    ),
    (
        "failing builtin",
        r#"{"effect":"deny","violations":[{"code":"policy_error","msg":"the policy denied without naming a violation"}],"approvals":0,"bundle":"5ed7e9810db84c4df6067ec2572910b78800a8330b31c692daaea8d05aa215e9","input":"8e40f3b96135e402d9e102557d0eea21b27c6e6e3f75ddfd65c85832968ee9eb","engine":"regorus-0.14.1"}"#,
    ),
    (
        "ill-typed",
        r#"{"effect":"deny","violations":[{"code":"policy_error","msg":"the policy's result is not a decision"}],"approvals":0,"bundle":"5ed7e9810db84c4df6067ec2572910b78800a8330b31c692daaea8d05aa215e9","input":"fd03dee2b3770b842caf4787c4ba90df21f5d158915127bb94627349a87dd034","engine":"regorus-0.14.1"}"#,
    ),
    (
        "unexplained",
        r#"{"effect":"deny","violations":[{"code":"policy_error","msg":"the policy denied without naming a violation"}],"approvals":0,"bundle":"5ed7e9810db84c4df6067ec2572910b78800a8330b31c692daaea8d05aa215e9","input":"ebbe326ba19c24ed230b76e580edd09a4bf97cbbb4e96faef8de6de4d4ee89cf","engine":"regorus-0.14.1"}"#,
    ),
    (
        "laborious",
        r#"{"effect":"deny","violations":[{"code":"policy_error","msg":"the builtins of the policy go through too much"}],"approvals":0,"bundle":"09ca7816a31e58b3c0e5891e43592b2803c68cc515a97b8cc598954852d33c1d","input":"8e40f3b96135e402d9e102557d0eea21b27c6e6e3f75ddfd65c85832968ee9eb","engine":"regorus-0.14.1"}"#,
    ),
];

#[test]
fn widest_decision_keeps_its_digest() {
    let engine = Engine::load(&Bundle::default_payout()).unwrap();
    let bytes = serde_json::to_vec(&engine.decide(&probe::widest().unwrap())).unwrap();
    assert_eq!(
        domain::Digest::sha256(&bytes).to_string(),
        "8e2f9ee67b0f432ff3434f9d14c3e35a984a809e0949a900affb6936099a0e79"
    );
}

#[test]
fn diagnosis_says_more_than_the_decision() {
    let modules = BTreeMap::from([("payout/payout.rego".to_owned(), FAULTY.to_owned())]);
    let engine = Engine::load(&Bundle::new(modules, "{}".to_owned()).unwrap()).unwrap();
    let said = |total: u64| {
        let input = input(|i| i.total = total);
        (engine.decide(&input).violations[0].msg.clone(), engine.diagnose(&input))
    };
    let (msg, diagnosis) = said(2);
    assert_eq!(msg, "the policy's result is not a decision");
    assert_eq!(diagnosis.unwrap(), format!("{msg}: approvals is not an integer from 0 to 16"));
    assert_eq!(said(3).1, None);
}
