//! Bundles whose types never fit are refused with file, line and reason, and those load that may make sense.

#![allow(clippy::arithmetic_side_effects, clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests")]

use policy::{Bundle, Engine, LoadError};
use std::collections::BTreeMap;

const HEAD: &str = "package payout\nimport rego.v1\ndefault effect := \"deny\"\ndefault approvals := 0\n";
const DENY: &str = "violation contains {\"code\": \"frozen\", \"msg\": \"no\"} if true\n";

fn load(source: String, data: &str) -> Result<Engine, LoadError> {
    let modules = BTreeMap::from([("payout/payout.rego".to_owned(), source)]);
    Engine::load(&Bundle::new(modules, data.to_owned()).unwrap())
}

/// Data that the conditions below read.
const DATA: &str =
    r#"{"config": {"limit": 5, "name": "x", "none": {}, "by_asset": {"*": 1}, "on": true, "list": ["a"]}}"#;

/// What is made of conditions: a rule on line 6 that denies, its condition from column 56 on, and functions below.
fn denying(condition: &str) -> Result<Engine, LoadError> {
    let denied = "violation contains {\"code\": \"frozen\", \"msg\": \"x\"} if ";
    let functions = "large(n) if n > 5\nowed(s) := s.bps\n_total := input.total\n_splits := input.splits\n\
                     double(n) := n * 2\nmissing(want, have) := count(want - have)\nunused(want, have) := \
                     count(want - have)\nstates := {\"active\", \"removed\"}\nids contains s.recipient if some s in \
                     input.splits\nby[s.recipient] := s.amount if some s in input.splits\n";
    let source = format!("{HEAD}{DENY}{denied}{{ {condition} }}\n{functions}");
    load(source, DATA)
}

/// Conditions that can mean nothing, the column in the condition that is told, and the reason.
const ILL_TYPED: &[(&str, u32, &str)] = &[
    ("input.totl == 1", 7, "input has no field totl; did you mean total?"),
    ("input[\"totl\"] == 1", 8, "input has no field totl; did you mean total?"),
    ("{\"ammount\": a, \"bps\": b, \"recipient\": r} = input.splits[_]; a > b", 3, "did you mean amount?"),
    ("input.splits[_] = {\"ammount\": a, \"bps\": b, \"recipient\": r}; a > b", 21, "did you mean amount?"),
    ("some {\"amount\": a, \"bsp\": b, \"recipient\": r} in input.splits; a > b", 21, "did you mean bps?"),
    ("not input.frozzen", 11, "input has no field frozzen; did you mean frozen?"),
    (
        "input.order.nosuch.x == 1",
        13,
        "input.order has no field nosuch; it has amount, asset, available, id, royalties, state",
    ),
    ("input.order.royalties[_].bsp > 1", 26, "input.order.royalties[_] has no field bsp; did you mean bps?"),
    ("input.recipients[\"x\"].kyc > 1", 23, "input.recipients.x has no field kyc; it has kyc_level"),
    ("some s in input.splits; s.ammount > 1", 27, "s has no field ammount; did you mean amount?"),
    ("some i, s in input.splits; i > 1; s.ammount > 1", 37, "s has no field ammount"),
    ("some i; input.splits[i].ammount > 1", 25, "input.splits[i] has no field ammount"),
    ("every s in input.splits { s.ammount > 1 }", 29, "s has no field ammount"),
    ("count([s | some s in input.splits; s.ammount > 1]) > 1", 38, "s has no field ammount"),
    ("o := input.order; o.stat == \"open\"", 21, "o has no field stat; did you mean state?"),
    ("o = input.order; o.stat == \"open\"", 20, "o has no field stat; did you mean state?"),
    ("fact := input.recipients[_]; fact.sanctoned", 35, "fact has no field sanctoned; did you mean sanctioned?"),
    ("some fact in input.recipients; fact.sanctoned", 37, "fact has no field sanctoned"),
    ("_splits[_].ammount > 1", 12, "payout._splits[_] has no field ammount"),
    ("data.payout._splits[_].ammount > 1", 24, "payout._splits[_] has no field ammount"),
    ("input.total.foo * 2 > 1", 13, "input.total is a number and has no field foo"),
    ("input.total[0] > 1", 13, "input.total is a number and has nothing below it"),
    ("input.total[_] > 1", 13, "input.total is a number and has nothing below it"),
    ("_total.foo > 1", 8, "payout._total is a number and has no field foo"),
    ("input.splits.amount > 1", 14, "input.splits is a list and has no field amount"),
    ("input.recipients[0].kyc_level > 1", 18, "input.recipients is looked up by a text, and this is a number"),
    ("input.splits[input.order.id].amount > 1", 14, "input.splits is looked up by a number, and this is a text"),
    ("input.total == \"5\"", 1, "input.total is a number and \"5\" is a text"),
    ("input.total != \"5\"", 1, "input.total is a number and \"5\" is a text"),
    ("\"5\" == input.total", 2, "\"5\" is a text and input.total is a number"),
    ("input.total > \"abc\"", 1, "input.total is a number and \"abc\" is a text"),
    ("input.total = \"5\"", 1, "input.total is a number and \"5\" is a text"),
    ("input.frozen == \"true\"", 1, "input.frozen is true or false and \"true\" is a text"),
    ("input.frozen == 1", 1, "input.frozen is true or false and 1 is a number"),
    ("input.total == null", 1, "input.total is a number and null is null"),
    ("input.order == \"x\"", 1, "input.order is an object or null and \"x\" is a text"),
    ("input.splits == 2", 1, "input.splits is a list and 2 is a number"),
    ("input.order.id == input.total", 1, "input.order.id is a text and input.total is a number"),
    ("input.limits.daily_total < input.order.id", 1, "is a number and input.order.id is a text"),
    ("t := input.total; t == \"5\"", 19, "t is a number and \"5\" is a text"),
    ("_total == \"5\"", 1, "_total is a number and \"5\" is a text"),
    ("count(input.splits) == \"5\"", 1, "this is a number and \"5\" is a text"),
    ("lower(input.order.id) == 5", 1, "this is a text and 5 is a number"),
    ("double(input.total) == \"5\"", 1, "this is a number and \"5\" is a text"),
    ("input.total + 1 == \"5\"", 1, "this is a number and \"5\" is a text"),
    ("input.plugin.state == \"actve\"", 1, "input.plugin.state is never \"actve\": there are only active, suspended"),
    ("input.plugin.state != \"actve\"", 1, "input.plugin.state is never \"actve\""),
    ("s := input.order.state; s == \"paid\"", 25, "s is never \"paid\": there are only closed, open"),
    ("input.plugin.state in {\"a\", \"b\"}", 1, "input.plugin.state is never in this: there are only active"),
    ("input.total in {\"1\", \"2\"}", 1, "input.total is a number, and in this is a text"),
    ("\"x\" in input.total", 8, "only a list, a set or an object has items, and input.total is a number"),
    ("5 in input.installation.capabilities", 1, "5 is a number, and in input.installation.capabilities is a text"),
    ("\"x\", input.splits[0] in input.splits", 2, "\"x\" is a text, and in input.splits is a number"),
    ("5 in ids", 1, "5 is a number, and in ids is a text"),
    ("some s in input.total; s > 1", 11, "only a list, a set or an object has items, and input.total is a number"),
    ("every s in input.total { s > 1 }", 12, "only a list, a set or an object has items"),
    ("input.order.id * 2 > 3", 1, "arithmetic takes a number, and input.order.id is a text"),
    ("input.total + \"5\" > 3", 16, "arithmetic takes a number, and \"5\" is a text"),
    ("input.total - input.order.id > 3", 15, "arithmetic takes a number or a set, and input.order.id is a text"),
    ("n := -input.order.id; n > 3", 7, "a minus takes a number, and input.order.id is a text"),
    ("count(ids | {1}) > 3", 11, "| is not among the operators that a policy may use"),
    ("count(ids & {1}) > 3", 11, "& is not among the operators that a policy may use"),
    ("abs(input.order.id) > 3", 5, "abs takes a number, and input.order.id is a text"),
    ("startswith(input.total, \"x\")", 12, "startswith takes a text, and input.total is a number"),
    ("sum(input.splits) > 3", 5, "sum takes numbers, and an item of this is an object"),
    ("count(input.total) > 3", 7, "count takes a text or a list or a set or an object, and input.total is a number"),
    ("some s in input.splits; max(s.recipient) > 1", 29, "max takes a list or a set, and s.recipient is a text"),
    ("object.get(input.order, \"nosuch\", 1) == 1", 26, "input.order has no field nosuch"),
    ("data.config.limt == 1", 13, "data.config has no field limt; did you mean limit?"),
    ("input.total > data.config.name", 1, "input.total is a number and data.config.name is a text"),
    ("data.payout.totl == 1", 13, "package payout has no rule totl"),
    ("data.other.x == 1", 6, "data has no field other; it has config"),
    ("nosuch == 1", 1, "undefined"),
    ("nosuch.x == 1", 1, "undefined"),
];

#[test]
fn ill_typed_use_is_refused_where_it_stands() {
    let mut wrong = Vec::new();
    for (condition, column, reason) in ILL_TYPED {
        let findings = denying(condition).expect_err(condition).findings().to_vec();
        let place = (6, 55 + column);
        let told = findings.iter().any(|f| (f.line, f.column) == place && f.reason.contains(reason));
        if !told || findings.len() != 1 {
            wrong.push((condition, place, findings));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn ill_typed_use_in_a_function_or_a_head_is_refused_where_it_stands() {
    for (rules, place, reason) in [
        ("f(s) if s.ammount > 1\nx if f(input.splits[_])", "5:11", "s has no field ammount"),
        ("f(n) if n == \"5\"\nx if f(input.total)", "5:9", "n is a number and \"5\" is a text"),
        (
            "f([a, b]) if a == b\nx if f([input.total, input.now]) == 5",
            "6:6",
            "this is true or false and 5 is a number",
        ),
        ("x := input.totl", "5:12", "did you mean total?"),
        ("x := 1 if input.frozen else := input.totl", "5:38", "did you mean total?"),
        ("x contains s.ammount if some s in input.splits", "5:14", "did you mean amount?"),
        ("x[s.ammount] := 1 if some s in input.splits", "5:5", "did you mean amount?"),
        ("x := {s.recipient: s.ammount | some s in input.splits}", "5:22", "did you mean amount?"),
        ("effect := \"perhaps\"", "5:12", "effect is not allow, review or deny"),
        ("effect := 7 if input.frozen", "5:11", "effect is a text, and 7 is a number"),
        ("effect if input.frozen", "5:1", "effect is a text, and this rule says true"),
        ("approvals := \"1\" if input.frozen", "5:15", "approvals is a number, and \"1\" is a text"),
        (
            "violation contains {\"code\": \"frozen\", \"msg\": 7} if true",
            "5:46",
            "\"msg\" is a text, and 7 is a number",
        ),
        ("violation contains {\"code\": \"frozen\", \"msg\": input.totl}", "5:52", "did you mean total?"),
    ] {
        let error = load(format!("{HEAD}{rules}\n{DENY}"), "{}").expect_err(rules);
        let findings: Vec<String> = error.findings().iter().map(ToString::to_string).collect();
        let found =
            findings.iter().any(|f| f.starts_with(&format!("payout/payout.rego:{place}: ")) && f.contains(reason));
        assert!(found && findings.len() == 1, "{rules}: expected {place} {reason}, got {findings:#?}");
    }
}

#[test]
fn well_typed_use_is_accepted() {
    for condition in [
        "input.total == 1",
        "input[\"total\"] == 1",
        "some name in [\"total\", \"now\"]; input[name] == 1",
        "some name, value in input; name == \"total\"; value == 1",
        "input[_] == 1",
        "input.recipients.nobody.kyc_level > 1",
        "input.recipients[\"nobody\"].kyc_level > 1",
        "input.recipients[input.splits[0].recipient].kyc_level > 1",
        "some account, fact in input.recipients; account == \"x\"; fact.kyc_level > 1",
        "some account; input.recipients[account].sanctioned; account != \"x\"",
        "every s in input.splits { s.amount > 1 }",
        "input.order == null",
        "null == input.limits",
        "not is_object(input.order)",
        "input.order.state != \"open\"",
        "input.plugin.state in {\"suspended\", \"withdrawn\"}",
        "not input.plugin.state in states",
        "some state in states; input.installation.state == state",
        "\"/proposal/payout\" in input.installation.capabilities",
        "input.splits[0].recipient in ids",
        "some r in ids; by[r] > 5",
        "by[input.splits[0].recipient] > 5",
        "input.order.id == \"5\"",
        "large(input.total)",
        "some s in input.splits; owed(s) > 5; large(s.amount)",
        "double(input.total, n); n > 5",
        "missing({\"a\"}, ids) > 5",
        "[a, b] := [input.total, input.order.id]; a == 5; b == \"x\"",
        "[a, b] = [input.total, input.order.id]; a == 5; b == \"x\"",
        "{\"amount\": a, \"bps\": 5, \"recipient\": r} = input.splits[_]; a > 5; r == \"x\"",
        "x := {\"a\": input.total, \"b\": input.order.id}; x.a == 5; x.b == \"x\"",
        "x := [1, \"a\", null]; x[0] == 1; x[1] == \"a\"",
        "object.get(input.recipients, \"x\", null) == null",
        "is_object(input.order); object.get(input.order, \"amount\", 0) > 5",
        "object.get(input, [\"order\", \"amount\"], 0) > 5",
        "object.get(data.config, \"later\", 7) > 5",
        "object.get(data.config.by_asset, input.proposal.asset, data.config.by_asset[\"*\"]) > 5",
        "data.config.by_asset[input.proposal.asset] > 5",
        "data.config.none[input.proposal.asset] > 5",
        "data.config.name == \"y\"",
        "data.config.on; input.order.id in data.config.list",
        "_total > 5; data.payout._total > 5",
        "count({\"x\"} - ids) > 5",
        "{\"amount\": a, \"bps\": 5, \"recipient\": r} := input.splits[_]; a > 5; r == \"x\"",
        "count(input.order.id) > 5; max([s.amount | some s in input.splits]) > 5; min(ids) == \"x\"",
        "sum([s.bps | some s in input.splits]) > sum([])",
        "sort(input.installation.capabilities)[0] == \"x\"",
        "upper(trim_space(input.order.id)) == \"X\"; type_name(input.order) == \"null\"",
        "n := 0 - input.total; n < -5; abs(n) > 5",
        "input.line_items[i].amount > 5; input.line_items[i].description == \"x\"",
        "total := input.total; total > 5; input.total > 5",
        "array := [input.total]; array.reverse(array)[0] > 5",
        "object := input.recipients; object.get(object, \"x\", null) == null",
        "_splits[_].amount > 5; some _, _ in _splits",
    ] {
        if let Err(error) = denying(condition) {
            panic!("{condition}: {error}");
        }
    }
}

/// A list whose items are of two kinds is what either can be used as: where it is not, the probes find it.
#[test]
fn what_has_no_one_type_is_found_by_trying() {
    for (condition, reason) in [
        ("x := [\"a\", 1]; x[0] * 2 > 3", "on the ordinary input: `mul` expects numeric"),
        ("x := [\"a\", 1]; abs(x[0]) > 3", "on the ordinary input: `abs` expects numeric"),
        ("some x in [1, \"a\"]; startswith(x, \"x\")", "startswith"),
        ("count(input.order) > 100", "on the bare input: `count` requires"),
    ] {
        let findings = denying(condition).expect_err(condition).findings().to_vec();
        let told = findings.iter().any(|f| f.reason.contains(reason) && f.line == 6);
        assert!(told, "{condition}: expected {reason}, got {findings:#?}");
    }
}

#[test]
fn large_bundles_are_checked_quickly() {
    let chain: Vec<String> = (0..60).map(|n| format!("a{n} := a{}", n + 1)).collect();
    let uses: Vec<String> =
        (0..900).map(|n| format!("b{n} if {{ some s in input.splits; s.bps > a{} }}", n % 60)).collect();
    let (chain, uses) = (chain.join("\n"), uses.join("\n"));
    load(format!("{HEAD}{chain}\na60 := input.total\n{uses}\n{DENY}"), "{}").unwrap();
    let word = |n: usize| format!("k{n}");
    let wide: Vec<String> = (0..1_400).map(|n| format!("\"{0}\":{{\"{0}\":1}}", word(n))).collect();
    let narrow: Vec<String> = (0..60)
        .map(|n| {
            format!(
                "\"{0}\":{{{1}}}",
                word(n),
                (0..20).map(|m| format!("\"{}\":1", word(60 + n * 20 + m))).collect::<Vec<_>>().join(",")
            )
        })
        .collect();
    let deep: Vec<String> = (0..100).map(|n| format!("d{n} := data.s{}", "[_]".repeat(60))).collect();
    for data in [wide, narrow] {
        // It ends, whatever it says.
        let _ = load(
            format!("{HEAD}{chain}\na60 := input.total\n{}\n{DENY}", deep.join("\n")),
            &format!("{{\"s\":{{{}}}}}", data.join(",")),
        );
    }
    for (long, reason) in [
        (format!("x := input.splits{}", "[0\n]".repeat(10_000)), "a reference of more than 64 steps"),
        (format!("x := data.config{}", "[input.now\n]".repeat(3_500)), "a reference of more than 64 steps"),
        (format!("x := input{}", ".order".repeat(64)), "input.order has no field order"),
    ] {
        let error = load(format!("{HEAD}{long}\n{DENY}"), "{}").expect_err(reason);
        assert!(error.findings().iter().any(|f| f.reason.contains(reason) && f.line == 5), "{reason}: {error}");
    }
}
