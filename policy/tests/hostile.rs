//! Bundles that must not load: each is refused with file, line and reason.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

use policy::{Bundle, Engine, LoadError, MAX_BUNDLE_BYTES, MAX_MODULES, testing::check};
use std::collections::BTreeMap;

const HEAD: &str = "package payout\nimport rego.v1\ndefault effect := \"deny\"\ndefault approvals := 0\n";
const DENY: &str = "violation contains {\"code\": \"frozen\", \"msg\": \"no\"} if true\n";

fn bundle(source: &str) -> Result<Bundle, LoadError> {
    Bundle::new(BTreeMap::from([("payout/payout.rego".to_owned(), source.to_owned())]), "{}".to_owned())
}

fn refused(source: &str) -> Vec<String> {
    let error = bundle(source).and_then(|b| Engine::load(&b)).expect_err(source);
    error.findings().iter().map(ToString::to_string).collect()
}

/// A rule on line 5 and the finding that it must give: column, and part of the reason.
const RULES: &[(&str, u32, &str)] = &[
    ("x := http.send({\"method\": \"GET\", \"url\": \"http://127.0.0.1\"})", 6, "http.send is not among"),
    ("x := time.now_ns()", 6, "time.now_ns is not among"),
    ("x := rand.intn(\"a\", 5)", 6, "rand.intn is not among"),
    ("x := uuid.rfc4122(\"a\")", 6, "uuid.rfc4122 is not among"),
    ("x := opa.runtime()", 6, "opa.runtime is not among"),
    ("x if trace(\"x\")", 6, "trace is not among"),
    ("x if print(\"x\")", 6, "print is not among"),
    ("x := numbers.range(1, 100000000)", 6, "numbers.range is not among"),
    ("x := numbers.range_step(1, 100000000, 1)", 6, "numbers.range_step is not among"),
    ("x if walk(input, [[], y])", 6, "walk is not among"),
    ("x if regex.match(\"(a+)+$\", input.action)", 6, "regex.match is not among"),
    ("x := replace(input.action, \"a\", input.action)", 6, "replace is not among"),
    ("x := concat(input.action, [input.action])", 6, "concat is not among"),
    ("x := strings.repeat(\"x\", 1000000)", 6, "strings.repeat is not among"),
    ("x := json.unmarshal(\"{}\")", 6, "json.unmarshal is not among"),
    ("x := to_number(\"1e400\")", 6, "to_number is not among"),
    ("x := no_such_function(1)", 6, "no_such_function is not among"),
    ("x := input.total / 3", 18, "division is not exact"),
    ("x := [y | some s in input.splits; y := s.bps / 2]", 46, "division is not exact"),
    ("x := 1.5", 6, "1.5 is not an integer"),
    ("x := 1e3", 6, "1e3 is not an integer"),
    ("x := sprintf(\"%s%s\", [input, input])", 6, "sprintf may only be"),
    ("x if sprintf(\"%9d\", [1])\nsprintf(f, a) := f", 6, "sprintf may only be"),
    ("x if effect == \"deny\" with input as {}", 23, "`with` is for tests only"),
    ("x if x", 1, "payout.x depends on itself"),
    ("f(n) := f(n - 1) if n > 0", 1, "payout.f depends on itself"),
    ("x := data", 1, "payout.x depends on itself"),
    ("x := data.payout[input.action]", 1, "payout.x depends on itself"),
    ("violation contains {\"code\": \"no_such\", \"msg\": \"x\"} if true", 30, "unknown code \"no_such\""),
    ("violation contains {\"code\": \"policy_error\", \"msg\": \"x\"} if true", 30, "is the engine's own"),
    ("violation contains {\"code\": input.action, \"msg\": \"x\"} if true", 1, "with a constant code"),
    ("violation contains \"frozen\" if true", 1, "with a constant code"),
    ("violation contains {\"code\": \"frozen\"} if true", 1, "with a constant code"),
    ("violation contains {\"code\": \"frozen\", \"msg\": \"x\", \"more\": 1} if true", 1, "with a constant code"),
];

#[test]
fn hostile_rule_is_refused_where_it_stands() {
    for (rule, column, reason) in RULES {
        let findings = refused(&format!("{HEAD}{rule}\n{DENY}"));
        let place = format!("payout/payout.rego:5:{column}: ");
        let found = findings.iter().any(|f| f.starts_with(&place) && f.contains(reason));
        assert!(found, "{rule}: expected {place}…{reason}…, got {findings:#?}");
    }
}

/// A format and its arguments, which a message may not use even where no probe meets it.
const FORMATS: &[(&str, &str)] = &[
    ("\"%4000000000d\", [1]", "without flags, width or precision"),
    ("\"%04000000000d\", [1]", "without flags, width or precision"),
    ("\"%.4000000000f\", [1]", "without flags, width or precision"),
    ("\"%-9s\", [1]", "without flags, width or precision"),
    ("\"%%%9d\", [1]", "without flags, width or precision"),
    ("`%9d`, [1]", "without flags, width or precision"),
    ("\"\\u00259d\", [1]", "without flags, width or precision"),
    ("\"%x\", [1]", "without flags, width or precision"),
    ("\"%\", []", "without flags, width or precision"),
    ("input.order.id, [1]", "not a constant string"),
    ("concat(\"\", [\"%9\", \"d\"]), [1]", "not a constant string"),
    ("\"%d\", [1], message", "takes a format and a list"),
    ("\"%d\", input.splits", "not a list that is written out"),
    ("\"%d and %d\", [1]", "not as many verbs"),
    ("\"%d%%\", [1, 2]", "not as many verbs"),
];

#[test]
fn padded_or_computed_format_is_refused_where_it_stands() {
    for (arguments, reason) in FORMATS {
        let rule = format!("violation contains {{\"code\": \"frozen\", \"msg\": sprintf({arguments})}}");
        let findings = refused(&format!("{HEAD}{rule} if input.total == 7\n{DENY}"));
        let found = findings.iter().any(|f| f.starts_with("payout/payout.rego:5:") && f.contains(reason));
        assert!(found, "{arguments}: {findings:#?}");
    }
    for arguments in ["\"%d%%, %s and %v\", [1, 2, 3]", "\"none\", []", "`%d`, [1]"] {
        let rule = format!("violation contains {{\"code\": \"frozen\", \"msg\": sprintf({arguments})}}");
        Engine::load(&bundle(&format!("{HEAD}{rule} if true\n")).unwrap()).expect(arguments);
    }
}

/// Rules whose values would grow faster than the instructions that make them.
const GROWING: &[&str] = &[
    "x := input.total * input.total * input.total",
    "a := input.total * input.total\nx := a * a",
    "x := c if {\n\tb := input.total * input.total\n\tc := b * b\n}",
    "x := c if {\n\tb = input.total * input.total\n\t[c] = [b * 2]\n\tc * c == 0\n}",
    "sq(n) := n * n\nx := sq(sq(input.total))",
    "sq(n) := n * n\nx := y if {\n\tsq(input.total, y)\n\ty * y > 0\n}",
    "x := sum([t | some s in input.splits; t := s.bps * s.amount]) * input.total",
    "x := input.total * 10001 * input.total",
    "a contains input.total * input.total\nx := [z | some y in a; z := y * y]",
    "a := [input.total * input.total]\nx := a[0] * a[0]",
    "a := {\"b\": input.total * input.total}\nx := a.b * a.b",
    "a := {input.total * input.total: 1}\nx if {\n\ta[k]\n\tk * k > 0\n}",
    "a := [input.total * input.total]\nx if every b in a { b * b > 0 }",
    "x := abs(input.total * input.total) * max([input.total * input.total])",
    "a := [input, input]\nx := [a, a]",
    "x := [[input]]",
    "x := {\"a\": {\"b\": input.total}}",
    "x := {[s] | some s in input.splits}",
    "x := c if {\n\tb := [input]\n\tc := [b, b]\n}",
    "x := c if {\n\tb = [input]\n\tc := [b, b]\n}",
    "x := c if {\n\t[input] = b\n\tc := [b, b]\n}",
    "pair(p) := [p, p]\nx := pair(pair(input))",
    "pair(p) := [p, p]\nx := [y | y := pair(input)]",
    "pair(p) := [p, p]\nx := [y] if pair(input, y)",
    "a contains input.total\nx := [a, a]",
    "a contains input.total\nb contains a",
    "a[s.recipient] := s if some s in input.splits\nx[1] := a",
    "a.b := input.total\nx := [a]",
    "a := [input] | {input}\nx := [a]",
    "x := [sort([input]), array.slice([input], 0, 1), object.get(input, \"a\", [input])]",
    "x := [1 | false] if true else := [[input]]",
    "x := {k: v | some k, s in input.splits; v := [s]}",
    "a[k] := 1 if k := [input.total]\nx[k] := 1 if {\n\tsome j, _ in a\n\tk := [j, j]\n}",
    "a[k] := 1 if k := input.total * input.total\nx[k] := 1 if {\n\tsome j, _ in a\n\tk := j * j\n}",
    "a := {input.total * input.total: {\"f\": 1}}\nx := {k * k | a[k].f == 1}",
    "a := {\"b\": input.total}\nx := {\"c\": object.get(a, [], 0), \"d\": object.get(a, data.path, 0)}",
    "x := input.total * -9223372036854775807 * -9223372036854775807 * input.total",
];

#[test]
fn growing_value_is_refused_where_it_stands() {
    let mut missed = Vec::new();
    for rules in GROWING {
        let reasons = ["a product is multiplied again", "may not hold another"];
        let found = |f: &String| f.starts_with("payout/payout.rego:") && reasons.iter().any(|r| f.contains(r));
        let source = bundle(&format!("{HEAD}{rules}\n{DENY}")).unwrap();
        let findings: Vec<String> = check(&source).iter().map(ToString::to_string).collect();
        if !findings.iter().any(found) {
            missed.push((rules, findings));
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}

#[test]
fn package_as_a_value_is_refused() {
    let modules = [
        (
            "payout/payout.rego",
            format!(
                "package payout\nimport rego.v1\nimport data.limits\ndefault effect := \"deny\"\n\
             default approvals := 0\nx := [limits, data.limits[input.action]]\n{DENY}"
            ),
        ),
        ("limits/limits.rego", "package limits\nimport rego.v1\na := [input]\n".to_owned()),
    ];
    let modules = modules.map(|(path, source)| (path.to_owned(), source));
    let findings = check(&Bundle::new(BTreeMap::from(modules), "{}".to_owned()).unwrap());
    let found = findings.iter().filter(|f| f.reason == "data.limits is a package: name the rule").count();
    assert_eq!(found, 2, "{findings:#?}");
}

#[test]
fn values_that_stay_small_are_accepted() {
    for rules in [
        "x := abs((input.total * 10000) - (input.now * input.total))",
        "x := (input.total * input.now) + (input.now * input.now)",
        "x := (input.total * input.now) * 100",
        "x := [[1, 2], [3, 4]]",
        "a := [s.bps | some s in input.splits]\nx := [count(a), sum(a), a[0], max(a)]",
        "a := {s.recipient: s | some s in input.splits}\nx := [s.bps | some r, s in a; a[r].amount > 0]",
        "twice(n) := n * 2\nx := twice(twice(twice(input.total)))",
        "x := {v.code | some v in violation}",
    ] {
        let source = format!("{HEAD}{rules}\n{DENY}");
        let error = Engine::load(&bundle(&source).unwrap()).err();
        assert_eq!(error, None, "{rules}");
    }
}

#[test]
fn long_chains_of_names_are_refused_quickly() {
    let chain = (0..1_500).map(|n| format!("a{n} := a{}", n + 1)).collect::<Vec<_>>().join("\n");
    let findings = refused(&format!("{HEAD}{chain}\na1500 := [input]\n{DENY}"));
    assert!(findings.iter().any(|f| f.contains("more than 64 names")), "{findings:?}");
    let product = |n: u32| format!("y{n} := input.now{}\n", " * 9 * input.now".repeat(30));
    let products = refused(&format!("{HEAD}{}{DENY}", (0..80).map(product).collect::<String>()));
    assert!(products.len() <= 100 && products[0].contains("multiplied again"), "{products:?}");
}

#[test]
fn long_rows_of_operators_are_refused_and_do_not_overflow() {
    let row = |item: &str, times: usize| format!("{HEAD}x := {}1\n{DENY}", item.repeat(times));
    for item in ["1\n+", "1+\n", "[1]\n|", "1\n<", "(1)\n+", "1 in\n", "{1\n}\n&", "\"\"\n*", "1\n=", "1\n:="] {
        let findings = refused(&row(item, 6_000));
        assert!(findings.iter().any(|f| f.contains("operators in a row")), "{item:?}: {findings:?}");
    }
    let statements = format!("{HEAD}x if {{\n{}}}\n{DENY}", "\t1 + 1 == 2\n".repeat(500));
    Engine::load(&bundle(&statements).unwrap()).unwrap();
    Engine::load(&bundle(&row("1 + ", 60)).unwrap()).unwrap();
}

#[test]
fn every_finding_is_told_at_once() {
    let findings = refused(&format!("{HEAD}x := 1 / 2\ny := time.now_ns()\n{DENY}"));
    assert_eq!(findings.len(), 2, "{findings:#?}");
    assert!(findings[1].starts_with("payout/payout.rego:6:"));
}

#[test]
fn forbidden_names_in_strings_and_comments_do_not_matter() {
    let source =
        format!("{HEAD}# time.now_ns() / 2 with input as {{}}\nx := \"http.send(1) / 2\"\ny := `trace(1) / 2`\n{DENY}");
    Engine::load(&bundle(&source).unwrap()).unwrap();
}

#[test]
fn own_functions_and_packages_may_be_used() {
    let rule = "violation contains {\"code\": \"frozen\", \"msg\": sprintf(\"%d\", [limits.twice(double(1))])} if true";
    let payout = format!(
        "package payout\nimport rego.v1\nimport data.limits\ndefault effect := \"deny\"\ndefault approvals := 0\n\
         double(n) := n * 2\n{rule}\n"
    );
    let limits = "package limits\nimport rego.v1\ntwice(n) := n * 2\n";
    let modules = [("payout/payout.rego", payout.as_str()), ("limits/limits.rego", limits)];
    let modules = modules.map(|(path, source)| (path.to_owned(), source.to_owned()));
    let engine = Engine::load(&Bundle::new(BTreeMap::from(modules), "{}".to_owned()).unwrap()).unwrap();
    assert_eq!(engine.decide(&policy::probe::ordinary().unwrap()).violations[0].msg, "4");
}

/// Whole modules and part of the finding that each must give.
const MODULES: &[(&str, &str)] = &[
    ("", "payout/payout.rego:1:"),
    ("not rego at all", "payout/payout.rego:1:"),
    ("package payout\nallow {\n  true\n}\n", "payout/payout.rego:2:"),
    ("package payout\nimport rego.v1\nx := {\n", "payout/payout.rego:"),
    ("package payout\nx := \"open\n", "payout/payout.rego:2:"),
    ("package other\nx := 1\n", "no module has `package payout`"),
    ("package payout\nimport rego.v1\nx := 1\n", "payout/payout.rego:1:1: missing `default effect := \"deny\"`"),
    ("package payout\nimport rego.v1\ndefault effect := \"allow\"\n", "missing `default effect := \"deny\"`"),
    (
        "package payout\nimport rego.v1\ndefault effect := \"deny\"\n",
        "payout/payout.rego:1:1: package payout does not define",
    ),
    ("package payout\nimport data.other\nx := 1\n", "payout/payout.rego:2:1: import data.other"),
    ("package payout\nimport future.keywords.if\nx := 1\n", "payout/payout.rego:2:1: import future.keywords.if"),
    ("package payout\nimport input.total\nx := 1\n", "payout/payout.rego:2:1: import input.total"),
    ("package countersign\nx := 1\n", "payout/payout.rego:1:1: package countersign is reserved"),
];

#[test]
fn hostile_module_is_refused_where_it_is_wrong() {
    for (source, finding) in MODULES {
        let findings = refused(source);
        assert!(findings.iter().any(|f| f.contains(finding)), "{source:?}: expected {finding}, got {findings:#?}");
    }
}

/// What follows the header from line 5 on, the line that is told and the reason.
const RESULTS: &[(&str, u32, &str)] = &[
    ("violation := {1 | false}\napprovals := 0\neffect := \"allow\"", 5, "violation is not"),
    (
        "violation contains {\"code\": \"frozen\", \"msg\": [\"x\", 7][input.splits[0].amount - 95000000 + 1]} if true",
        5,
        "a violation is not {\"code\": string",
    ),
    (
        "effect := lower(\"PERHAPS\")\nviolation contains {\"code\": \"frozen\", \"msg\": \"x\"} if false",
        5,
        "effect is not allow",
    ),
    (
        "effect := \"allow\"\nviolation contains {\"code\": \"frozen\", \"msg\": \"x\"} if true",
        5,
        "although there are violations",
    ),
    ("effect := \"review\"\nviolation contains {\"code\": \"frozen\", \"msg\": \"x\"} if false", 5, "approvals is 0"),
    (
        "effect := \"review\"\napprovals := 17\nviolation contains {\"code\": \"frozen\", \"msg\": \"x\"} if false",
        6,
        "approvals is not an integer from 0 to 16",
    ),
    (
        "effect := \"review\"\napprovals := [\"1\", 1][0]\nviolation contains {\"code\": \"frozen\", \"msg\": \"x\"} if false",
        6,
        "approvals is not an integer",
    ),
    (
        "effect := \"allow\"\napprovals := 1\nviolation contains {\"code\": \"frozen\", \"msg\": \"x\"} if false",
        6,
        "although nothing is reviewed",
    ),
    ("violation contains {\"code\": \"frozen\", \"msg\": \"x\"} if false", 3, "without naming a violation"),
    (
        "effect := \"allow\" if input.frozen\neffect := \"allow\" if input.total > 1\nviolation contains {\"code\": \
         \"frozen\", \"msg\": \"x\"} if input.total > 0",
        5,
        "although there are violations",
    ),
    (
        "effect := \"allow\" if input.frozen\neffect := \"review\" if input.total > 1\nviolation contains {\"code\": \
         \"frozen\", \"msg\": \"x\"} if input.order == null",
        6,
        "approvals is 0",
    ),
    (
        "x := 0\nhuge := count([1 | some a in input.line_items; some b in input.line_items; some c in \
         input.line_items])\nviolation contains {\"code\": \"frozen\", \"msg\": \"x\"} if huge >= x",
        6,
        "within 25000 instructions",
    ),
    (
        "violation contains {\"code\": \"frozen\", \"msg\": \"x\"} if count([1 | some a in input.line_items; \
         some b in input.line_items; some c in input.line_items]) >= 0",
        5,
        "within 25000 instructions",
    ),
    (
        "x := 1\nx := 2\nviolation contains {\"code\": \"frozen\", \"msg\": \"x\"} if x == 1",
        6,
        "rule conflicts with rule at payout/payout.rego:5:1",
    ),
];

#[test]
fn wrong_result_is_found_before_it_is_needed() {
    for (rest, line, reason) in RESULTS {
        let findings = refused(&format!("{HEAD}{rest}\n"));
        let place = format!("payout/payout.rego:{line}:");
        let found = findings.iter().any(|f| f.starts_with(&place) && f.contains(reason));
        assert!(found, "{rest}: expected {place} {reason}, got {findings:#?}");
    }
}

#[test]
fn hostile_data_is_refused() {
    let default = Bundle::default_payout();
    let with = |data: &str| check(&Bundle::new(default.modules().clone(), data.to_owned()).unwrap());
    for (data, line, reason) in [
        ("{\n  \"config\": ", 2, "EOF"),
        ("[]", 1, "not a JSON object"),
        ("{\"config\": {\"payout\": {\"min_kyc_level\": 1.5}}}", 1, "1.5 is not an integer"),
        ("{\"config\": {\"payout\": {\"min_kyc_level\": 1e400}}}", 1, "is not an integer"),
    ] {
        let findings = with(data);
        assert_eq!((findings[0].file.as_str(), findings[0].line), ("data", line), "{data}: {findings:?}");
        assert!(findings[0].reason.contains(reason), "{data}: {findings:?}");
    }
    let deep = format!("{{\"a\": {}{}}}", "[".repeat(200), "]".repeat(200));
    assert!(!with(&deep).is_empty());
    let conflict = with("{\"payout\": {\"effect\": \"allow\"}}");
    assert!(!conflict.is_empty(), "data must not stand in for a rule");
    let unset = with("{}");
    let read =
        |f: &policy::Finding| f.file == "payout/payout.rego" && f.reason == "data has no field config; it has none";
    assert!(unset.len() > 10 && unset.iter().all(read), "{unset:?}");
}

#[test]
fn bundles_are_bounded() {
    let make = |modules: Vec<(String, String)>| Bundle::new(modules.into_iter().collect(), "{}".to_owned());
    let many = |n: usize| (0..n).map(|i| (format!("m{i}.rego"), String::new())).collect::<Vec<_>>();
    assert!(make(many(0)).is_err());
    assert!(make(many(MAX_MODULES)).is_ok());
    assert!(make(many(MAX_MODULES + 1)).is_err());
    let sized = |n: usize| vec![("a.rego".to_owned(), " ".repeat(n))];
    assert!(make(sized(MAX_BUNDLE_BYTES - 8)).is_ok());
    assert!(make(sized(MAX_BUNDLE_BYTES - 7)).is_err());
    for path in ["", ".rego", "/a.rego", "../a.rego", "a//b.rego", "a.txt", "a b.rego", "a\n.rego", "a_test.rego"] {
        assert!(make(vec![(path.to_owned(), String::new())]).is_err(), "{path:?}");
    }
}

#[test]
fn deep_nesting_and_long_chains_are_refused_and_do_not_overflow() {
    for inner in ["(".repeat(20_000), "[".repeat(20_000), "not ".repeat(8_000), "- ".repeat(10_000)] {
        refused(&format!("{HEAD}x := {inner}\n"));
    }
    refused(&format!("{HEAD}x := input{}\n", ".a".repeat(15_000)));
}

#[test]
fn content_address_names_every_byte_of_the_bundle() {
    let default = Bundle::default_payout();
    assert_eq!(Bundle::decode(&default.encode()).unwrap(), default);
    let make = |modules: &[(&str, &str)], data: &str| {
        let modules = modules.iter().map(|(p, s)| ((*p).to_owned(), (*s).to_owned())).collect();
        Bundle::new(modules, data.to_owned()).unwrap().id()
    };
    let ids = [
        make(&[("a.rego", "b")], "{}"),
        make(&[("a.rego", "b{")], "}"),
        make(&[("a.rego", "")], "b{}"),
        make(&[("a.rego", "b"), ("c.rego", "")], "{}"),
        make(&[("a.rego", ""), ("c.rego", "b")], "{}"),
    ];
    assert_eq!(std::collections::BTreeSet::from(ids).len(), ids.len());

    let bytes = default.encode();
    for cut in [0, 1, 30, 37, bytes.len() - 1] {
        assert!(Bundle::decode(&bytes[..cut]).is_err());
    }
    assert!(Bundle::decode(&[bytes.as_slice(), &[0]].concat()).is_err());
    let mut long = bytes;
    long[29..37].copy_from_slice(&u64::MAX.to_be_bytes());
    assert!(Bundle::decode(&long).is_err());
}
