//! Bundles that would take the engine's parser, its compiler or one of its instructions hours, or all memory, or a stack:
//! each is refused with a reason, or loads within its bounds.

#![allow(clippy::arithmetic_side_effects, clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests")]

use policy::{Bundle, Code, Engine, LoadError, probe};
use std::{collections::BTreeMap, thread};

const HEAD: &str = "package payout\nimport rego.v1\ndefault effect := \"deny\"\ndefault approvals := 0\nviolation contains \
                    {\"code\": \"frozen\", \"msg\": \"no\"} if input.total > 0\n";
/// A quarter of the stack that a thread has by default.
const STACK: usize = 512 * 1024;

fn bundle(rules: &str, data: &str) -> Bundle {
    let modules = BTreeMap::from([("payout/payout.rego".to_owned(), format!("{HEAD}{rules}\n"))]);
    Bundle::new(modules, data.to_owned()).unwrap()
}

fn load(bundle: Bundle, load: fn(&Bundle) -> Result<Engine, LoadError>) -> Result<Engine, String> {
    let loading = thread::Builder::new().stack_size(STACK).spawn(move || load(&bundle).map_err(|e| e.to_string()));
    loading.unwrap().join().unwrap()
}

/// As many lines as a bundle may have, beside `taken` bytes of something else.
fn lines(taken: usize, line: impl Fn(usize) -> String) -> String {
    let mut lines = String::new();
    for n in 0.. {
        let next = line(n);
        if lines.len() + next.len() + taken > 48_000 {
            break;
        }
        lines += &next;
        lines.push('\n');
    }
    lines
}

fn joined(items: impl IntoIterator<Item = impl ToString>, between: &str) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(between)
}

fn list(items: impl IntoIterator<Item = impl ToString>) -> String {
    joined(items, ",\n")
}

fn numbers(count: usize) -> String {
    format!("{{\"l\": [{}]}}", list(0..count))
}

#[test]
fn what_takes_too_long_is_refused() {
    let planned = |places: usize, others: usize| {
        let names = list((0..=places).map(|n| format!("a{n}")));
        let values = list((1..=places).map(|n| format!("-a{n}")));
        let chain = joined((0..others).map(|n| format!("z{n} = -z{}", n + 1)), "\n");
        format!("u if {{\n[q, {names}] = [-z0, {values}, 1]\n{chain}\nz{others} = 1\n}}")
    };
    let steps = (".a".repeat(500) + "[0\n]").repeat(46);
    for (rules, data, reason) in [
        (planned(300, 60), "{}".to_owned(), "too many variables in statements as long as these"),
        (planned(40, 10), "{}".to_owned(), "too many variables in statements as long as these"),
        (lines(0, |n| planned(20, 0).replace("u if", &format!("u{n} if"))), "{}".to_owned(), "too many variables in"),
        (planned(2, 300), "{}".to_owned(), "a rule of more than 256 variables"),
        (format!("x := 1 if {{1}}{}", "\nelse := 2 if {1}".repeat(32)), "{}".to_owned(), "more than 32 bodies"),
        (lines(0, |n| format!("f(x) := x if x == {n}")), "{}".to_owned(), "a function of more than 64 definitions"),
        (
            lines(0, |_| "a := [1|[1|[1|[1|[1|[1|[1|[1|[1|[1|1,1],1],1],1],1],1],1],1],1],1]".into()),
            "{}".to_owned(),
            "nested as deep",
        ),
        (lines(0, |_| "a := [[[[[[[[[[1]]]]]]]]]]".into()), "{}".to_owned(), "nested as deep"),
        (format!("x := a{steps}"), "{}".to_owned(), "a reference of more than 64 steps"),
        (format!("a{} := 1", "[0\n]".repeat(9_000)), "{}".to_owned(), "a reference of more than 64 steps"),
        (lines(0, |n| format!("a{n:03}:=data")), "{}".to_owned(), "depends on itself"),
        (lines(0, |n| format!("a{n} := a{}", n + 1)), "{}".to_owned(), "in a row of more than 64"),
        (String::new(), numbers(1_025), "a list of 1025 items; it may have 1024"),
        (String::new(), format!("{{\"t\": \"{}\"}}", "x".repeat(1_025)), "a text of 1025 bytes; it may have 1024"),
        (String::new(), format!("{{\"{}\": 1}}", "x".repeat(1_025)), "a name of 1025 bytes; it may have 1024"),
        (
            String::new(),
            format!("{{\"o\": {{{}}}}}", list((0..1_025).map(|n| format!("\"{n}\": 1")))),
            "an object of 1025 fields; it may have 1024",
        ),
        (format!("x := `{}`", "a\n".repeat(513)), "{}".to_owned(), "a text of more than 1024 bytes"),
        ("x := trim(input.order.id, input.tenant.id)".into(), "{}".to_owned(), "what trim looks for is not"),
        ("x := indexof(input.order.id, input.tenant.id)".into(), "{}".to_owned(), "what indexof looks for is not"),
        ("x if strings.any_prefix_match(data.l, data.l)".into(), numbers(9), "any_prefix_match is not among"),
        (
            "violation contains {\"code\": \"frozen\", \"msg\": sprintf(\"%d%d%d%d%d%d%d%d%d\", [1,2,3,4,5,6,7,8,9])}"
                .into(),
            "{}".to_owned(),
            "more than 8 verbs",
        ),
        ("x := [array.slice(data.l, i, 900) | some i, _ in data.l]".into(), numbers(900), "may not hold another"),
    ] {
        let start: String = rules.chars().take(60).collect();
        for how in [Engine::load, Engine::reload] {
            let error = load(bundle(&rules, &data), how).expect_err(&start);
            assert!(error.contains(reason), "{start}: expected {reason}, got {error}");
        }
    }
}

/// Which name was meant is only looked for where it is told.
#[test]
fn unknown_fields_with_long_names_are_refused() {
    let known: Vec<String> = (0..60).map(|n| format!("\"{}{n:02}\": 1", "k".repeat(116))).collect();
    let data = format!("{{\"s\": {{{}}}}}", known.join(","));
    let rules = lines(data.len() + 300, |n| format!("a{n} := data.s.{}{n:03}", "j".repeat(115)));
    assert!(load(bundle(&rules, &data), Engine::load).unwrap_err().contains("data.s has no field"));
    load(bundle(&rules, &data), Engine::reload).unwrap();
}

#[test]
fn what_is_large_and_bounded_loads() {
    for (rules, data) in [
        (
            lines(0, |n| format!("a{n} if {{ some x in input.splits; some y in input.splits; x.bps > y.bps + {n} }}")),
            "{}".to_owned(),
        ),
        (lines(0, |n| format!("a contains \"w{n}\"")), "{}".to_owned()),
        (lines(0, |n| format!("a{n} := {}", vec!["1"; 60].join(" + "))), "{}".to_owned()),
        (lines(0, |n| format!("a := \"w{n}\" if input.total == {n}")), "{}".to_owned()),
        (format!("{}\nf(x) := 7", joined((0..63).map(|n| format!("f({n}) := {n}")), "\n")), "{}".to_owned()),
        (joined((0..60).map(|n| format!("a{n} := a{}", n + 1)), "\n") + "\na60 := input.total", "{}".to_owned()),
        ("x := sort(data.l)[0]\ny := count(array.slice(data.l, 1, 5))".into(), numbers(1_024)),
        ("x := indexof(input.order.id, \"-\")\ny := trim(input.order.id, \" \")".into(), "{}".to_owned()),
    ] {
        let start: String = rules.chars().take(60).collect();
        for how in [Engine::load, Engine::reload] {
            load(bundle(&rules, &data), how).map_or_else(|error| panic!("{start}: {error}"), drop);
        }
    }
}

/// The machine stops at the first definition that succeeds; the interpreter, which only authors meet, goes through all.
#[test]
fn interpreter_that_takes_too_long_is_no_concern_of_a_log() {
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];
    let loops = joined(names.iter().map(|name| format!("some {name} in [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]")), "\n");
    let rules = format!(
        "violation contains {{\"code\": \"frozen\", \"msg\": \"n\"}} if x\nx if true\nx if {{\n{loops}\n{} < 0\n}}",
        names.join(" + ")
    );
    let error = load(bundle(&rules, "{}"), Engine::load).unwrap_err();
    assert!(error.contains("exceeded time limit"), "{error}");
    load(bundle(&rules, "{}"), Engine::reload).unwrap();
}

#[test]
fn message_shows_no_collection_and_no_long_text() {
    let rules = "violation contains {\"code\": \"amount\", \"msg\": sprintf(\"%v %v %s %d\", [data.l, input.splits, \
                 data.t, input.total])} if input.total > 0";
    let data = format!("{{\"l\": [1, 2], \"t\": \"{}\"}}", "x".repeat(1_024));
    let engine = load(bundle(rules, &data), Engine::reload).unwrap();
    let input = probe::ordinary().unwrap();
    let violations = engine.decide(&input).violations;
    let shown = violations.iter().find(|violation| violation.code == Code::Amount).unwrap();
    assert!(shown.msg.starts_with("(…) (…) xxx"), "{}", shown.msg);
}
