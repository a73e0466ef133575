//! Bundles that would take the engine's parser, its compiler or one of its instructions hours, or all memory, or a stack:
//! each is refused with a reason, or loads within its bounds.

#![allow(clippy::arithmetic_side_effects, clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests")]

use policy::{Bundle, Code, Engine, LoadError, probe};
use std::collections::BTreeMap;

const HEAD: &str = "package payout\nimport rego.v1\ndefault effect := \"deny\"\ndefault approvals := 0\nviolation contains \
                    {\"code\": \"frozen\", \"msg\": \"no\"} if input.total > 0\n";

fn bundle(rules: &str, data: &str) -> Bundle {
    let modules = BTreeMap::from([("payout/payout.rego".to_owned(), format!("{HEAD}{rules}\n"))]);
    Bundle::new(modules, data.to_owned()).unwrap()
}

fn load(bundle: &Bundle, load: fn(&Bundle) -> Result<Engine, LoadError>) -> Result<Engine, String> {
    load(bundle).map_err(|e| e.to_string())
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

/// What is written, the data, and part of the reason why it is refused.
type Case = (String, String, &'static str);

fn held_against(cases: Vec<Case>) {
    for (rules, data, reason) in cases {
        let start: String = rules.chars().take(60).collect();
        for how in [Engine::load, Engine::reload] {
            let error = load(&bundle(&rules, &data), how).expect_err(&start);
            assert!(error.contains(reason), "{start}: expected {reason}, got {error}");
        }
    }
}

fn case(rules: impl Into<String>, reason: &'static str) -> Case {
    (rules.into(), "{}".to_owned(), reason)
}

/// Statements that wait for each other, the last for nothing.
fn chain(length: usize) -> String {
    joined((0..length).map(|n| format!("z{n} = -z{}", n + 1)), "\n") + &format!("\nz{length} = 1")
}

#[test]
fn what_takes_long_to_plan_is_refused() {
    const MANY: &str = "too many variables in statements as long as these";
    let planned = |places: usize, others: usize| {
        let names = list((0..=places).map(|n| format!("a{n}")));
        let values = list((1..=places).map(|n| format!("-a{n}")));
        format!("u if {{\n[q, {names}] = [-z0, {values}, 1]\n{}\n}}", chain(others))
    };
    let names = list((0..33).map(|n| format!("y{n}")));
    let found = list(vec!["x.a"; 1_000]);
    let ones = list(vec![1; 1_000]);
    let looked_up = |steps: &str| format!("f(d) := 1 if {{\nsome x\nd{steps} == 1\n}}");
    held_against(vec![
        case(planned(300, 60), MANY),
        case(planned(40, 10), MANY),
        case(lines(0, |n| planned(20, 0).replace("u if", &format!("u{n} if"))), MANY),
        case(planned(2, 300), "a rule of more than 256 variables"),
        case(format!("u if {{\n[q, {ones}] = [-z0, {ones}]\n{}\n}}", chain(240)), MANY),
        case(format!("u if {{\n[{names}] = sort([{found}, z0])\n{}\n}}", chain(80)), MANY),
        case(looked_up(&"[x]".repeat(60)), "more ways through a reference's variables than 64"),
        case(looked_up(&"[[x, x, x]]".repeat(9)), "more ways through a reference's variables than 64"),
        case(format!("x := 1 if {{1}}{}", "\nelse := 2 if {1}".repeat(32)), "a definition of more than 32 bodies"),
        case(lines(0, |n| format!("f(x) := x if x == {n}")), "a function of more than 64 definitions"),
        case(lines(0, |n| format!("a := 1 if input.total == {n}")), "a rule of more than 256 definitions"),
    ]);
}

#[test]
fn what_is_deep_is_refused() {
    let sets = |depth: usize| format!("x := {}1{}", "{set():".repeat(depth), "}".repeat(depth));
    let read = format!("a := {}1{}", "[1|".repeat(10), ",1]".repeat(10));
    let steps = (".a".repeat(500) + "[0\n]").repeat(46);
    let keywords = format!(".in{}", ".b[0\n]".repeat(31)).repeat(63);
    let minus = format!("\n{}", "-1".repeat(500)).repeat(48);
    held_against(vec![
        case(lines(0, |_| read.clone()), "too much of the bundle is nested as deep as this"),
        case(lines(0, |_| format!("a := {}1{}", "[".repeat(10), "]".repeat(10))), "too much of the bundle is nested"),
        case(sets(40), "nested more than 10 deep"),
        case(sets(6_000), "nested more than 10 deep"),
        case(format!("x := 1{minus}"), "more than 64 operators in a row"),
        case(format!("x := a{steps}"), "a reference of more than 64 steps"),
        case(format!("x := a{keywords}"), "a reference of more than 64 steps"),
        case(format!("a{} := 1", "[0\n]".repeat(9_000)), "a reference of more than 64 steps"),
        case(lines(0, |n| format!("a{n:03}:=data")), "depends on itself"),
        case(lines(0, |n| format!("a{n} := a{}", n + 1)), "rules use each other in a row of more than 64 from here"),
    ]);
}

#[test]
fn what_one_instruction_goes_through_is_small() {
    let with = |data: String, reason| (String::new(), data, reason);
    let fields = list((0..1_025).map(|n| format!("\"{n}\": 1")));
    let verbs = "msg\": sprintf(\"%d%d%d%d%d%d%d%d%d\", [1, 2, 3, 4, 5, 6, 7, 8, 9])}";
    let lists = format!("{{\"m\": [{}]}}", list(vec!["[1, 2, 3]"; 400]));
    let slices = "x := [array.slice(data.l, i, 900) | some i, _ in data.l]".to_owned();
    held_against(vec![
        with(numbers(1_025), "a list of 1025 items; it may have 1024"),
        with(format!("{{\"t\": \"{}\"}}", "x".repeat(1_025)), "a text of 1025 bytes; it may have 1024"),
        with(format!("{{\"{}\": 1}}", "x".repeat(1_025)), "a name of 1025 bytes; it may have 1024"),
        with(format!("{{\"o\": {{{fields}}}}}"), "an object of 1025 fields; it may have 1024"),
        case(format!("x := `{}`", "a\n".repeat(513)), "a text of more bytes than 1024"),
        case(format!("x := [{}]", list(0..1_025)), "more items than 1024"),
        case(format!("x := {{{fields}}}"), "more fields than 1024"),
        case(format!("default x := {{1 | {}}}", tens()), "a default is a constant"),
        case("x := trim(input.order.id, input.tenant.id)", "what trim looks for is not a constant text"),
        case("x := indexof(input.order.id, input.tenant.id)", "what indexof looks for is not a constant text"),
        case("x if strings.any_prefix_match(data.l, data.l)", "strings.any_prefix_match is not among"),
        case("s := {{1}, {2}}\nx := count(union(s))", "union is not among"),
        case("__builtin_host_await(x, y) := 1", "names that begin with __"),
        case("object.get(o, k, d) := k * k", "functions and defaults have names of one word"),
        case("default d[1] := 1", "functions and defaults have names of one word"),
        case("a.s contains 1 if input.total == 7", "a set has a name of one word"),
        case("a.b[k] := 1 if some k in [1]", "a rule's name goes one step down at most"),
        case("x if input.splits < [1]", "a collection is not ordered"),
        case("l := [s | some s in input.splits]\nx if l > 1", "a collection is not ordered"),
        ("x if data.l >= input.total".into(), numbers(100), "a collection is not ordered"),
        ("f(a) if a < 5\nx if not f(data.m)".into(), lists, "a collection is not ordered"),
        case(format!("violation contains {{\"code\": \"frozen\", \"{verbs}"), "more than 8 verbs"),
        (slices, numbers(900), "may not hold another"),
    ]);
}

/// One instruction compares, sorts or prints all that is held.
#[test]
fn what_is_held_is_small() {
    const MANY: &str = "what a collection that the policy builds holds may have 32 values; this has ";
    const ONCE: &str = "what a collection that the policy builds holds may have 128 values; this has ";
    let constant = list(0..100);
    for (rules, reason) in [
        ("x := [data.l | some _ in data.l; some _ in [1, 2, 3, 4]]".to_owned(), MANY),
        ("x := [l | some _ in data.l; l := data.l]".into(), MANY),
        ("a := data.l\nx := {n: a | some n in data.l}".into(), MANY),
        ("f(l) := {l | some _ in l}\nx := f(data.l)".into(), MANY),
        ("x contains data.l if input.total > 0".into(), MANY),
        ("x := [input | some _ in data.l]".into(), MANY),
        ("x := [input.line_items | some _ in data.l]".into(), MANY),
        (format!("big := [{constant}]\nx := [big | some _ in data.l]"), MANY),
        ("x := [data.l, data.l]".into(), ONCE),
        ("x := [data]".into(), ONCE),
        (format!("x := [[{constant}] | some _ in data.l]"), MANY),
        (format!("x := {{n: [{constant}] | some n in data.l}}"), MANY),
        (format!("big := {{[{constant}]}}\nx := [v | some _ in data.l; big[v]]"), MANY),
        (format!("big := {{[{constant}]: 1}}\nx := [v | some _ in data.l; big[v] == 1]"), MANY),
    ] {
        for how in [Engine::load, Engine::reload] {
            let error = load(&bundle(&rules, &numbers(200)), how).expect_err(&rules);
            assert!(error.contains(reason), "{rules}: expected {reason}, got {error}");
        }
    }
    for rules in [
        "x := [s | some s in input.splits; s.bps > 5]",
        "x := {s.recipient: s | some s in input.splits}",
        "x := [n | some n in data.l; n > 5]",
        "x := [item | some item in input.line_items]",
        "x := {r: fact | some r, fact in input.recipients}",
        "a := data.l\nx := [a[i] | some i, _ in a]",
        "f(s) := [s.bps, s.amount, data.l[0]]\nx := f(input.splits[0])",
        "x := [input.plugin, input.order.asset, data.l[0]]",
        "x := {r | some r in sort(object.keys(input.recipients))}",
        "x := [s | some s in sort(input.splits)]",
        "x := [i | some i in array.slice(input.line_items, 0, 5)]",
        "x := [is_object(input.order), is_array(data.l), type_name(input)]",
        "x := {i | some i, _ in input.line_items}",
    ] {
        load(&bundle(rules, &numbers(100)), Engine::load).map_or_else(|error| panic!("{rules}: {error}"), drop);
    }
}

/// What finds something in the data is a name or a number; in a set it is the item itself.
#[test]
fn names_in_the_data_are_small() {
    let lists =
        format!("{{\"blocked\": {{\"one\": [{0}], \"two\": [{0}]}}}}", list((0..100).map(|n| format!("\"{n}\""))));
    for rules in [
        "x := {name | some name, members in data.blocked; input.order.id in members}",
        "x := {name | data.blocked[name][_] == input.order.id}",
        "violation contains {\"code\": \"amount\", \"msg\": sprintf(\"on %s\", [name])} if {\n\tsome name, members in \
         data.blocked\n\tinput.order.id in members\n}",
    ] {
        load(&bundle(rules, &lists), Engine::load).map_or_else(|error| panic!("{rules}: {error}"), drop);
    }
    let constant = list(0..100);
    for rules in [
        format!("big := {{[{constant}]}}\nx := {{v | some v, _ in big}}"),
        "x := {members | some _, members in data.blocked}".into(),
        "x := {name | some name, _ in {data.blocked}}".into(),
    ] {
        load(&bundle(&rules, &lists), Engine::reload).map(drop).expect_err(&rules);
    }
}

/// 10^12 turns.
fn tens() -> String {
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];
    joined(names.map(|name| format!("some {name} in [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]")), "\n")
}

/// Which name was meant is only looked for where it is told.
#[test]
fn unknown_fields_with_long_names_are_refused() {
    let known: Vec<String> = (0..60).map(|n| format!("\"{}{n:02}\": 1", "k".repeat(116))).collect();
    let data = format!("{{\"s\": {{{}}}}}", known.join(","));
    let rules = lines(data.len() + 300, |n| format!("a{n} := data.s.{}{n:03}", "j".repeat(115)));
    assert!(load(&bundle(&rules, &data), Engine::load).unwrap_err().contains("data.s has no field"));
    load(&bundle(&rules, &data), Engine::reload).unwrap();
}

#[test]
fn what_is_large_and_bounded_loads() {
    for (rules, data) in [
        (
            lines(0, |n| format!("a{n} if {{ some x in input.splits; some y in input.splits; x.bps > y.bps + {n} }}")),
            "{}".to_owned(),
        ),
        (lines(0, |n| format!("a{n} contains \"w\"")), "{}".to_owned()),
        (lines(0, |n| format!("a{n} := {}", vec!["1"; 60].join(" + "))), "{}".to_owned()),
        (lines(0, |n| format!("a{n} := \"w\" if input.total == {n}")), "{}".to_owned()),
        (format!("{}\nf(x) := 7", joined((0..63).map(|n| format!("f({n}) := {n}")), "\n")), "{}".to_owned()),
        (joined((0..60).map(|n| format!("a{n} := a{}", n + 1)), "\n") + "\na60 := input.total", "{}".to_owned()),
        ("x := sort(data.l)[0]\ny := count(array.slice(data.l, 1, 5))".into(), numbers(1_024)),
        ("x := indexof(input.order.id, \"-\")\ny := trim(input.order.id, \" \")".into(), "{}".to_owned()),
    ] {
        let start: String = rules.chars().take(60).collect();
        for how in [Engine::load, Engine::reload] {
            load(&bundle(&rules, &data), how).map_or_else(|error| panic!("{start}: {error}"), drop);
        }
    }
}

/// One instruction each, whatever they are given.
#[test]
fn what_builtins_go_through_is_counted() {
    let lists = format!("{{\"l\": [{}], \"k\": [{}]}}", list(vec!["[1, 2, 3, 4, 5, 6, 7]"; 700]), list(0..700));
    for (call, builtin) in [
        ("sort(data.l)", "sort"),
        ("max(data.l)", "max"),
        ("min(data.l)", "min"),
        ("sum(data.k)", "sum"),
        ("array.reverse(data.l)", "array.reverse"),
        ("array.slice(data.l, 1, 2)", "array.slice"),
        ("object.get({}, data.l, 1)", "object.get"),
    ] {
        let rules = format!(
            "x := {{n | some n in data.k; {call} == 1}}\nviolation contains {{\"code\": \"amount\", \"msg\": \"m\"}} if x == {{7}}"
        );
        let error = load(&bundle(&rules, &lists), Engine::reload).expect_err(call);
        let reason = format!("the builtins of one decision go through more than 200000 values, {builtin} last");
        assert!(error.contains(&reason), "{call}: {error}");
    }
}

/// An instruction that compares goes through all that it compares, and no builtin counts it.
#[test]
fn large_collections_are_not_compared() {
    const LOOKED_FOR: &str =
        "what is looked for in a collection that is large, or that the policy builds, is a number or a text";
    const COMPARED: &str = "a collection that is large, or that the policy builds, is compared with constants only";
    let fields = |last: &str| list((0..16).map(|n| format!("\"{}{n}\": \"{}{last}\"", "k".repeat(30), "v".repeat(30))));
    let data = format!("{{\"l\": [{}], \"p\": {{{}}}, \"s\": {{{}}}}}", list(0..60), fields("1"), fields("2"));
    let built = "x := [p | p := data.q; some _ in data.l; some _ in data.l]\ny := {n | some n in data.l}\n";
    let data = data.replace("\"p\": ", &format!("\"m\": [{0}], \"n\": [{0}], \"p\": ", list(0..300)));
    let data = data.replace("\"p\": ", "\"q\": {\"a\": 1}, \"p\": ");
    for (rules, reason) in [
        ("v if data.s in x", LOOKED_FOR),
        ("v if {\ns := data.s\ntrue in [s in x, s in x]\n}", LOOKED_FOR),
        ("v if not data.l in y", LOOKED_FOR),
        ("v if data.s in data.m", LOOKED_FOR),
        ("v if x == y", COMPARED),
        ("v if x != data.l", COMPARED),
        ("v if {\na := x\nb := y\na = b\n}", COMPARED),
        ("v if {\na := data.m\nb := data.n\na != b\n}", COMPARED),
        ("f(a, b) if a == b\nv if f(data.m, data.n)", COMPARED),
        ("v := y - {1}", "nothing is subtracted from a set"),
        ("v := {n | some n in data.l; n > 5} - y", "nothing is subtracted from a set"),
    ] {
        let error = load(&bundle(&format!("{built}{rules}"), &data), Engine::reload).expect_err(rules);
        assert!(error.contains(reason), "{rules}: expected {reason}, got {error}");
    }
    for rules in [
        "v if 5 in y",
        "v if input.order.id in x",
        "v if some s in input.splits; s.recipient in y",
        "v if y == set()",
        "v if x == []",
        "v if count(y) == count(x)",
        "v if data.s in data.l",
        "v if data.l == input.splits",
        "v if [input.total, input.now] == [data.l[0], data.l[1]]",
        "v if data.m == [1, 2]",
        "v := {\"order\": input.order, \"plugin\": input.plugin, \"tenant\": input.tenant}",
        "v := {n | some n in y; not n in x}",
        "v := count(y) - 1",
        "v := {1, 2} - y",
    ] {
        let rules = rules.replace(
            "v if some s in input.splits; s.recipient in y",
            "v if {\nsome s in input.splits\ns.recipient in y\n}",
        );
        load(&bundle(&format!("{built}{rules}"), &data), Engine::reload)
            .map_or_else(|error| panic!("{rules}: {error}"), drop);
    }
    // The names of fields are gone through as their values are.
    let error = load(&bundle("x := [p | p := data.p; some _ in data.l]", &data), Engine::reload).unwrap_err();
    assert!(error.contains("may have 32 values; this has 39"), "{error}");
}

/// A number that is long is printed and compared slowly.
#[test]
fn few_constant_factors_go_into_a_value() {
    let chain = |length: usize| joined((1..=length).map(|n| format!("a{n} := 9999 * a{}", n - 1)), "\n");
    let nested =
        |depth: usize| format!("f(x) := x * 10000\ny := {}input.total{}", "f(".repeat(depth), ")".repeat(depth));
    let within = |length: usize| {
        format!(
            "b if {{\nx0 := input.total\n{}\n}}",
            joined((1..=length).map(|n| format!("x{n} := x{} * -7", n - 1)), "\n")
        )
    };
    for (rules, count) in [
        (chain(8) + "\na0 := input.total", 8),
        (chain(9) + "\na0 := input.total", 9),
        (nested(8), 8),
        (nested(9), 9),
        (within(8), 8),
        (within(9), 9),
    ] {
        let loaded = load(&bundle(&rules, "{}"), Engine::reload).map(drop);
        if count <= 8 {
            loaded.map_or_else(|error| panic!("{rules}: {error}"), drop);
        } else {
            let error = loaded.expect_err(&rules);
            assert!(error.contains("more than 8 constant factors go into this"), "{rules}: {error}");
        }
    }
}

/// The machine stops at the first definition that succeeds; the interpreter, which only authors meet, goes through all.
#[test]
fn interpreter_that_takes_too_long_is_no_concern_of_a_log() {
    let rules = format!(
        "violation contains {{\"code\": \"frozen\", \"msg\": \"n\"}} if x\nx if true\nx if {{\n{}\na + l < 0\n}}",
        tens()
    );
    let error = load(&bundle(&rules, "{}"), Engine::load).unwrap_err();
    assert!(error.contains("exceeded time limit"), "{error}");
    load(&bundle(&rules, "{}"), Engine::reload).unwrap();
}

#[test]
fn message_shows_no_collection_and_no_long_text() {
    let rules = "violation contains {\"code\": \"amount\", \"msg\": sprintf(\"%v %v %s %d\", [data.l, input.plugin, \
                 data.t, input.total])} if input.total > 0";
    let data = format!("{{\"l\": [1, 2], \"t\": \"{}\"}}", "x".repeat(1_024));
    let engine = load(&bundle(rules, &data), Engine::reload).unwrap();
    let input = probe::ordinary().unwrap();
    let violations = engine.decide(&input).violations;
    let shown = violations.iter().find(|violation| violation.code == Code::Amount).unwrap();
    assert!(shown.msg.starts_with("(…) (…) xxx"), "{}", shown.msg);
}

/// The engine calls any rule that has a builtin's name, and gives the rule's value whatever the arguments are.
#[test]
fn rule_that_is_called_for_a_builtin_is_refused() {
    for (rules, more, reason) in [
        ("abs := input.total\nx := abs(1)", "", "abs is called, and data.payout.abs is no function"),
        ("is_null := [input.total]\nx := [is_null(1), is_null(1)]", "", "data.payout.is_null is no function"),
        ("object.get := input.total\nx := object.get({}, 1, 0)", "", "data.payout.object is no function"),
        (
            "x := object.get({}, 1, 0)",
            "package payout.object\nimport rego.v1\nget := 1",
            "data.payout.object.get is no function",
        ),
    ] {
        let modules = [("payout/payout.rego", format!("{HEAD}{rules}\n")), ("payout/more.rego", more.to_owned())];
        let modules = modules.into_iter().filter(|(_, source)| !source.is_empty());
        let modules = modules.map(|(path, source)| (path.to_owned(), source)).collect();
        let error = load(&Bundle::new(modules, "{}".to_owned()).unwrap(), Engine::reload).expect_err(rules);
        assert!(error.contains(reason), "{rules}: {error}");
    }
}

/// A name with a dot is not two names.
#[test]
fn package_of_another_name_is_refused() {
    for (lib, import) in [
        ("package lib.x.y\nimport rego.v1\nslice(a, b, c) := 1\n", "import data.lib[\"x.y\"] as array"),
        ("package lib[\"x.y\"]\nimport rego.v1\nslice(a, b, c) := 1\n", ""),
    ] {
        let head = HEAD.replace("import rego.v1\n", &format!("import rego.v1\n{import}\n"));
        let modules = [("lib/lib.rego", lib.to_owned()), ("payout/payout.rego", head)];
        let modules = modules.map(|(path, source)| (path.to_owned(), source));
        let error =
            load(&Bundle::new(BTreeMap::from(modules), "{}".to_owned()).unwrap(), Engine::reload).expect_err(lib);
        assert!(error.contains("\"x.y\" is no name of a package"), "{error}");
    }
}

/// An import of what only the data have is a piece of them.
#[test]
fn imported_data_count_as_data() {
    let head = HEAD.replace("import rego.v1\n", "import rego.v1\nimport data.payout.l\nimport data.payout as p\n");
    for rules in ["x := [l | some _ in l]", "x := [p.l | some _ in l]"] {
        let modules = BTreeMap::from([("payout/payout.rego".to_owned(), format!("{head}{rules}\n"))]);
        let data = format!("{{\"payout\": {}}}", numbers(100));
        let error = load(&Bundle::new(modules, data).unwrap(), Engine::reload).expect_err(rules);
        assert!(error.contains("may have 32 values; this has 101"), "{rules}: {error}");
    }
}

/// The engine and a reader must mean the same by a name, or a recursion could hide in it.
#[test]
fn import_that_could_mean_two_things_is_refused() {
    let lib = "package lib\nimport rego.v1\nx := 1\ny := 2\n";
    let with = |imports: &str, rules: &str, more: &str| {
        let head = HEAD.replace("import rego.v1\n", &format!("import rego.v1\n{imports}\n"));
        let modules = [
            ("lib/lib.rego", lib.to_owned()),
            ("payout/payout.rego", format!("{head}{rules}\n")),
            ("payout/more.rego", format!("package payout\nimport rego.v1\n{more}\n")),
        ];
        let modules = modules.map(|(path, source)| (path.to_owned(), source));
        let bundle = Bundle::new(BTreeMap::from(modules), "{}".to_owned()).unwrap();
        Engine::reload(&bundle).map(drop).map_err(|e| e.to_string())
    };
    for (imports, rules, more, reason) in [
        ("import data.lib.x as f", "f := f", "", "f is a rule of this package"),
        ("import data.lib.x as f", "", "f := 1", "f is a rule of this package"),
        ("import data.lib.x as f\nimport data.lib.y as f", "", "", "import shadows following import"),
        ("import data.lib.x", "", "import data.lib.y as x", "x is imported as"),
        ("import data.payout.a as f", "", "a := f", "payout.a depends on itself"),
    ] {
        let error = with(imports, rules, more).expect_err(imports);
        assert!(error.contains(reason), "{imports}: {error}");
    }
    with("import data.lib\nimport data.lib.x as f", "a := [f, lib.y]", "import data.lib\nb := lib.x").unwrap();
    // The engine takes `lib.x` for the one below its own package, and calls `a` from itself.
    let head = HEAD.replace("import rego.v1\n", "import rego.v1\nimport data.lib\n");
    let modules = [
        ("lib/lib.rego", lib.to_owned()),
        ("payout/payout.rego", format!("{head}a := lib.x\n")),
        ("payout/lib.rego", "package payout.lib\nimport rego.v1\nx := data.payout.a\n".to_owned()),
    ];
    let modules = modules.map(|(path, source)| (path.to_owned(), source));
    let error = Engine::reload(&Bundle::new(BTreeMap::from(modules), "{}".to_owned()).unwrap()).unwrap_err();
    assert!(error.to_string().contains("lib is a package below this one"), "{error}");
}
