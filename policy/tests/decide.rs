//! What the default bundle decides, case by case.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

use domain::{Bps, Time};
use policy::{
    Bundle, Code, Decision, ENGINE, Effect, Engine, Input, InstallationState, LineItem, MAX_INSTRUCTIONS, OrderState,
    PluginState, explain::explain, probe,
};
use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

static ENGINE_UNDER_TEST: LazyLock<Engine> = LazyLock::new(|| Engine::load(&Bundle::default_payout()).unwrap());

fn decide(change: impl FnOnce(&mut Input)) -> Decision {
    let mut input = probe::ordinary().unwrap();
    change(&mut input);
    ENGINE_UNDER_TEST.decide(&input)
}

fn codes(decision: &Decision) -> BTreeSet<Code> {
    decision.violations.iter().map(|v| v.code).collect()
}

type Change = fn(&mut Input);

const CASES: &[(Code, Change)] = &[
    (Code::Frozen, |i| i.frozen = true),
    (Code::Frozen, |i| i.tenant.frozen = true),
    (Code::Frozen, |i| i.plugin.frozen = true),
    (Code::Frozen, |i| i.installation.frozen = true),
    (Code::PluginInactive, |i| i.plugin.state = PluginState::Suspended),
    (Code::PluginInactive, |i| i.plugin.state = PluginState::Withdrawn),
    (Code::InstallationInactive, |i| i.installation.state = InstallationState::Suspended),
    (Code::InstallationInactive, |i| i.installation.state = InstallationState::Removed),
    (Code::InstallationExpired, |i| i.installation.expires_at = i.now),
    (Code::CapabilityMissing, |i| i.installation.capabilities.clear()),
    (Code::TokenExpired, |i| i.token.expires_at = i.now),
    (Code::TokenLifetime, |i| i.token.lifetime_left = 901),
    (Code::ProposalExpired, |i| i.proposal.valid_until = i.now),
    (Code::ProposalValidity, |i| i.proposal.valid_until = Time::from_unix(u64::MAX)),
    (Code::UnknownOrder, |i| i.order = None),
    (Code::OrderClosed, |i| i.order.as_mut().unwrap().state = OrderState::Closed),
    (Code::OrderAsset, |i| i.order.as_mut().unwrap().asset = "eip155:1/slip44:60".parse().unwrap()),
    (Code::OrderAvailable, |i| i.order.as_mut().unwrap().available = 99_999_999),
    (Code::UnknownAsset, |i| i.asset = None),
    (Code::AssetNotAllowed, |i| i.limits = None),
    (Code::Amount, |i| i.total = 0),
    (Code::Amount, |i| i.total = 1 << 53),
    (Code::PayoutLimit, |i| i.limits.as_mut().unwrap().max_per_payout = 99_999_999),
    (Code::DailyLimit, |i| i.limits.as_mut().unwrap().daily_total = 349_999_999),
    (Code::DailyLimit, |i| i.budget.spent = u64::MAX),
    (Code::SplitsSum, |i| i.splits[0].bps = Bps::new(9_499).unwrap()),
    (Code::SplitsAmount, |i| i.splits[0].amount -= 1),
    (Code::SplitsCount, |i| i.splits = vec![i.splits[0].clone(); 17]),
    (Code::DuplicateRecipient, |i| i.splits[1].recipient = i.splits[0].recipient),
    (Code::RecipientUnverified, |i| i.recipients.clear()),
    (Code::RecipientKycLevel, |i| i.recipients.values_mut().for_each(|r| r.kyc_level = 0)),
    (Code::RecipientKycExpired, |i| i.recipients.values_mut().for_each(|r| r.valid_until = Time::ZERO)),
    (Code::RecipientSanctioned, |i| i.recipients.values_mut().for_each(|r| r.sanctioned = true)),
    (Code::RoyaltyUnpaid, |i| i.order.as_mut().unwrap().royalties[0].bps = Bps::new(501).unwrap()),
    (Code::LineItemsSum, |i| i.line_items[0].amount += 1),
    (Code::LineItemsCount, |i| i.line_items = vec![i.line_items[0].clone(); 51]),
];

#[test]
fn every_code_denies() {
    for (n, (code, change)) in CASES.iter().enumerate() {
        let decision = decide(change);
        assert_eq!(decision.effect, Effect::Deny, "case {n}");
        assert!(codes(&decision).contains(code), "case {n}: {code}: {:?}", decision.violations);
        assert!(!codes(&decision).contains(&Code::PolicyError), "case {n}: {:?}", decision.violations);
        assert_eq!(decision.approvals, 0);
    }
    let tested: BTreeSet<Code> = CASES.iter().map(|(code, _)| *code).collect();
    let all: BTreeSet<Code> = Code::ALL.iter().copied().filter(|c| *c != Code::PolicyError).collect();
    assert_eq!(tested, all);
}

#[test]
fn ordinary_payout_is_allowed() {
    let decision = decide(|_| {});
    assert_eq!((decision.effect, decision.approvals, decision.violations.len()), (Effect::Allow, 0, 0));
    assert_eq!(decision.bundle, Bundle::default_payout().id());
    assert_eq!(decision.input, probe::ordinary().unwrap().digest());
    assert_eq!(decision.engine, ENGINE);
}

fn pay(input: &mut Input, total: u64) {
    let shares = [Bps::new(9_500).unwrap(), Bps::new(500).unwrap()];
    let parts = domain::largest_remainder(total, &shares).unwrap();
    for (split, part) in input.splits.iter_mut().zip(parts) {
        split.amount = part;
    }
    input.total = total;
    input.line_items.clear();
    input.budget = policy::Budget::default();
    input.limits = Some(policy::Limits { daily_total: domain::MAX_AMOUNT, max_per_payout: domain::MAX_AMOUNT });
    let order = input.order.as_mut().unwrap();
    (order.amount, order.available) = (domain::MAX_AMOUNT, domain::MAX_AMOUNT);
}

#[test]
fn threshold_is_exact() {
    assert_eq!(decide(|i| pay(i, 1_000_000_000)).effect, Effect::Allow);
    let above = decide(|i| pay(i, 1_000_000_001));
    assert_eq!((above.effect, above.approvals), (Effect::Review, 1));
}

#[test]
fn amounts_are_exact_at_the_edges() {
    let max = domain::MAX_AMOUNT;
    let at_max = decide(|i| pay(i, max));
    assert_eq!((at_max.effect, at_max.violations.len()), (Effect::Review, 0), "{:?}", at_max.violations);
    let off_by_one = decide(|i| {
        pay(i, max);
        i.order.as_mut().unwrap().available = max - 1;
    });
    assert_eq!(codes(&off_by_one), BTreeSet::from([Code::OrderAvailable]));
    let day = decide(|i| {
        pay(i, max - 1);
        i.budget.reserved = 2;
    });
    assert_eq!(codes(&day), BTreeSet::from([Code::DailyLimit]));
    assert!(day.violations[0].msg.contains("9007199254740992"), "{}", day.violations[0].msg);
}

#[test]
fn sums_above_64_bits_do_not_wrap() {
    let decision = decide(|i| {
        i.budget = policy::Budget { reserved: u64::MAX, spent: u64::MAX };
        i.limits.as_mut().unwrap().daily_total = u64::MAX;
    });
    assert_eq!(codes(&decision), BTreeSet::from([Code::DailyLimit]));
    assert!(decision.violations[0].msg.contains("36893488147519103230"), "{}", decision.violations[0].msg);
}

#[test]
fn widest_probe_is_denied_for_its_own_reasons() {
    let decision = ENGINE_UNDER_TEST.decide(&probe::widest().unwrap());
    assert!(!codes(&decision).contains(&Code::PolicyError), "{:?}", decision.violations);
    assert!(decision.violations.len() > 60);
    assert!(decision.violations.is_sorted());
}

#[test]
fn violations_are_bounded_and_cut() {
    let decision = decide(|i| {
        i.splits = vec![i.splits[0].clone(); 16];
        let item = LineItem { amount: 0, description: "x".parse().unwrap() };
        i.line_items = vec![item; 300];
    });
    assert_eq!(decision.violations.len(), policy::MAX_VIOLATIONS);
    assert!(decision.violations.iter().all(|v| v.msg.chars().count() <= policy::MAX_MESSAGE_CHARS));
}

/// A decision has room in an entry of the log, whatever a policy says.
#[test]
fn violations_fit_into_an_entry() {
    let source = "package payout\nimport rego.v1\ndefault effect := \"deny\"\ndefault approvals := 0\nviolation contains \
                  {\"code\": \"amount\", \"msg\": sprintf(\"%d %s\", [n, data.text])} if some n in data.numbers\n";
    let data = serde_json::json!({ "text": "é".repeat(395), "numbers": (0..300).collect::<Vec<_>>() });
    let modules = std::collections::BTreeMap::from([("payout/payout.rego".to_owned(), source.to_owned())]);
    let engine = Engine::load(&Bundle::new(modules, data.to_string()).unwrap()).unwrap();
    let decision = engine.decide(&probe::ordinary().unwrap());
    let bytes = serde_json::to_vec(&decision).unwrap().len();
    assert!((30_000..36_000).contains(&bytes), "{bytes}");
    assert!(decision.violations.len() > 30 && decision.violations.is_sorted(), "{}", decision.violations.len());
}

#[test]
fn more_work_than_allowed_is_denied() {
    let decision = decide(|i| {
        let item = LineItem { amount: 0, description: "x".parse().unwrap() };
        i.line_items = vec![item; 20_000];
    });
    assert_eq!(codes(&decision), BTreeSet::from([Code::PolicyError]));
    assert_eq!(
        decision.violations[0].msg,
        format!("the policy does not decide within {MAX_INSTRUCTIONS} instructions")
    );
    // The machine that gave up leaves nothing behind.
    assert_eq!(decide(|_| {}).effect, Effect::Allow);
}

#[test]
fn equal_inputs_give_equal_bytes_in_every_thread() {
    let engine = Arc::new(Engine::load(&Bundle::default_payout()).unwrap());
    let expected = serde_json::to_vec(&ENGINE_UNDER_TEST.decide(&probe::widest().unwrap())).unwrap();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let engine = Arc::clone(&engine);
            std::thread::spawn(move || {
                let widest = probe::widest().unwrap();
                let ordinary = probe::ordinary().unwrap();
                (0..20).map(|_| (engine.decide(&ordinary).effect, engine.decide(&widest))).collect::<Vec<_>>()
            })
        })
        .collect();
    for thread in threads {
        for (effect, decision) in thread.join().unwrap() {
            assert_eq!(effect, Effect::Allow);
            assert_eq!(serde_json::to_vec(&decision).unwrap(), expected);
        }
    }
}

#[test]
fn canonical_json_has_sorted_keys_and_reads_back() {
    for input in [probe::ordinary().unwrap(), probe::bare().unwrap(), probe::widest().unwrap()] {
        let json = input.canonical_json();
        let sorted: std::collections::BTreeMap<String, serde_json::Value> = serde_json::from_slice(&json).unwrap();
        assert_eq!(keys(&json), keys(&serde_json::to_vec(&sorted).unwrap()));
        assert_eq!(serde_json::from_slice::<Input>(&json).unwrap(), input);
    }
    let mut unknown: serde_json::Value = serde_json::to_value(probe::ordinary().unwrap()).unwrap();
    unknown["surprise"] = true.into();
    assert!(serde_json::from_value::<Input>(unknown).is_err());
}

/// Every object's keys in the order of the text, each checked to be sorted.
fn keys(json: &[u8]) -> Vec<Vec<String>> {
    let mut stack: Vec<(bool, Vec<String>)> = Vec::new();
    let mut done = Vec::new();
    let text = std::str::from_utf8(json).unwrap();
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '{' => stack.push((true, Vec::new())),
            '[' => stack.push((false, Vec::new())),
            '}' | ']' => {
                let (_, found) = stack.pop().unwrap();
                assert!(found.is_sorted(), "{found:?}");
                done.push(found);
            }
            '"' => {
                let end = text[at + 1..].find('"').unwrap() + at + 1;
                while chars.peek().is_some_and(|(i, _)| *i <= end) {
                    chars.next();
                }
                if chars.peek().is_some_and(|(_, c)| *c == ':') {
                    stack.last_mut().unwrap().1.push(text[at + 1..end].to_owned());
                }
            }
            _ => {}
        }
    }
    done
}

#[test]
fn explanation_names_what_fired_and_what_did_not() {
    let mut input = probe::ordinary().unwrap();
    input.tenant.frozen = true;
    input.total += 1;
    let explanation = explain(&Bundle::default_payout(), &input).unwrap();
    assert_eq!(explanation.decision, ENGINE_UNDER_TEST.decide(&input));
    let source = include_str!("../rego/payout/payout.rego");
    for rule in &explanation.rules {
        let line = source.lines().nth(usize::try_from(rule.line).unwrap() - 1).unwrap();
        assert!(line.starts_with("violation contains"), "{line}");
        assert_eq!(rule.fired, !rule.msgs.is_empty());
        assert_eq!(rule.error, None);
    }
    let told: BTreeSet<_> =
        explanation.rules.iter().flat_map(|r| r.msgs.iter().map(|msg| (r.code, msg.clone()))).collect();
    let decided: BTreeSet<_> = explanation.decision.violations.iter().map(|v| (v.code, v.msg.clone())).collect();
    assert_eq!(told, decided);
    let frozen: Vec<bool> = explanation.rules.iter().filter(|r| r.code == Code::Frozen).map(|r| r.fired).collect();
    assert_eq!(frozen, [false, true, false, false]);
    assert!(explanation.rules.len() >= 30);
}

/// Which definition made the effect, and what it compared the total with.
#[test]
fn explanation_names_what_made_the_effect() {
    let allowed = probe::ordinary().unwrap();
    let mut reviewed = allowed.clone();
    reviewed.total = 1_000_000_001;
    (reviewed.splits[0].amount, reviewed.splits[1].amount) = (950_000_001, 50_000_000);
    reviewed.line_items[0].amount = 1_000_000_001;
    let order = reviewed.order.as_mut().unwrap();
    (order.amount, order.available) = (2_000_000_000, 2_000_000_000);
    let mut denied = allowed.clone();
    denied.tenant.frozen = true;
    let source = include_str!("../rego/payout/payout.rego");
    for (input, effect, approvals) in [(allowed, "allow", None), (reviewed, "review", Some(1)), (denied, "deny", None)]
    {
        let explanation = explain(&Bundle::default_payout(), &input).unwrap();
        assert_eq!(explanation.decision.effect.to_string(), effect);
        let definitions = explanation.definitions;
        assert!(definitions.iter().all(|d| d.error.is_none()), "{definitions:#?}");
        let given = |rule: &str| -> Vec<_> {
            let held = definitions.iter().filter(|d| d.rule == rule && !d.default);
            held.filter_map(|d| Some((d.line, d.value.clone()?))).collect()
        };
        let line = source.lines().position(|line| line.starts_with(&format!("effect := \"{effect}\"")));
        let expected = line.map(|line| (u32::try_from(line).unwrap() + 1, effect.into()));
        assert_eq!(given("effect"), Vec::from_iter(expected));
        assert_eq!(given("approvals").first().map(|(_, value)| value.clone()), approvals.map(Into::into));
        assert_eq!(given("_review_above")[0].1, 1_000_000_000);
    }
}
