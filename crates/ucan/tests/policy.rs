//! The policy language: every operator, every selector, exact numbers, and no way to make it costly.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests"
)]

#[path = "support/chain.rs"]
mod chain;

use chain::{json, policy};
use ipld_core::ipld::Ipld;
use proptest::prelude::*;
use std::collections::BTreeMap;
use ucan::policy::{MAX_PATTERN_BYTES, MAX_POLICY_DEPTH, MAX_SELECTOR_BYTES, MAX_STATEMENTS, Mismatch};
use ucan::{Error, Policy};

fn holds(statement: &str, args: &Ipld) -> bool {
    policy(&format!("[{statement}]")).check(args).is_ok()
}

fn parse(statements: &str) -> Result<Policy, Error> {
    Policy::try_from(json(statements))
}

fn args() -> Ipld {
    let mut args = json(
        r#"{"a": 1, "name": "Katie", "list": [1, 2, 3, 4], "map": {"x": 1, "y": 2}, "none": null, "empty": [],
            "rows": [{"v": 1}, {"v": 2}], "odd key": {"$": 1}, "ü": 7, "1": 8, "deep": {"list": [[1], [2, 3]]}}"#,
    );
    if let Ipld::Map(map) = &mut args {
        map.insert("bytes".to_owned(), Ipld::Bytes(vec![0xd6, 0xa9, 0xc1, 0x8c]));
    }
    args
}

/// Each line: a statement and whether it holds for [`args`].
fn table(rows: &[(&str, bool)]) {
    let args = args();
    for (statement, expected) in rows {
        assert_eq!(holds(statement, &args), *expected, "{statement}");
    }
}

#[test]
fn selectors_select() {
    table(&[
        (r#"["==", ".a", 1]"#, true),
        (r#"["==", ".[\"a\"]", 1]"#, true),
        (r#"["==", ".[\"odd key\"][\"$\"]", 1]"#, true),
        (r#"["==", ".[\"odd key\"].[\"$\"]", 1]"#, true),
        (r#"["==", ".ü", 7]"#, true),
        (r#"["==", ".[\"1\"]", 8]"#, true),
        (r#"["==", ".1", 8]"#, true),
        (r#"["==", ".list[0]", 1]"#, true),
        (r#"["==", ".list[-1]", 4]"#, true),
        (r#"["==", ".list[-4]", 1]"#, true),
        (r#"["==", ".list[1:3]", [2, 3]]"#, true),
        (r#"["==", ".list[2:]", [3, 4]]"#, true),
        (r#"["==", ".list[:2]", [1, 2]]"#, true),
        (r#"["==", ".list[0:-2]", [1, 2]]"#, true),
        (r#"["==", ".list[-2:]", [3, 4]]"#, true),
        (r#"["==", ".list[3:1]", []]"#, true),
        (r#"["==", ".list[2:99]", [3, 4]]"#, true),
        (r#"["==", ".list[-99:1]", [1]]"#, true),
        (r#"["==", ".list[]", [1, 2, 3, 4]]"#, true),
        (r#"["==", ".map[]", [1, 2]]"#, true),
        (r#"["==", ".map[][1]", 2]"#, true),
        (r#"["==", ".map[][-1:]", [2]]"#, true),
        (r#"["==", ".deep.list[1][0]", 2]"#, true),
        (r#"["==", ".list[1:3][-1]", 3]"#, true),
        (r#"["==", ".bytes[3]", 140]"#, true),
        (r#"["==", ".bytes[-4]", 214]"#, true),
        (r#"[">", ".bytes[0]", 213.5]"#, true),
        (r#"["==", ".bytes[4]", 0]"#, false),
        (r#"["==", ".missing", null]"#, true),
        (r#"["==", ".missing.deeper", null]"#, false),
        (r#"["==", ".missing.deeper?", null]"#, true),
        (r#"["==", ".list[9]", null]"#, false),
        (r#"["==", ".list[9]?", null]"#, true),
        (r#"["==", ".list[9]???", null]"#, true),
        (r#"["==", ".list[-5]?", null]"#, true),
        (r#"["==", ".a.b?.c", null]"#, false),
        (r#"["==", ".a.b.c?", null]"#, false),
        (r#"["==", ".a.b?.c?", null]"#, true),
        (r#"["==", ".list.a", 1]"#, false),
        (r#"["==", ".map[0]", 1]"#, false),
        (r#"["==", ".a[0]", 1]"#, false),
        (r#"["==", ".a[]", 1]"#, false),
        (r#"["==", ".name[0]", "K"]"#, false),
    ]);
    assert!(holds(r#"["==", ".", {"a": 1}]"#, &json(r#"{"a": 1}"#)));
    assert!(holds(r#"["==", ".?", {"a": 1}]"#, &json(r#"{"a": 1}"#)));
    let bytes = Ipld::Map(BTreeMap::from([("b".to_owned(), Ipld::Bytes(vec![1, 2, 3]))]));
    let equal = |selector: &str, value: Vec<u8>| {
        let statement = Ipld::List(vec![Ipld::String("==".into()), Ipld::String(selector.into()), Ipld::Bytes(value)]);
        Policy::parse(vec![statement]).unwrap().check(&bytes).is_ok()
    };
    assert!(equal(".b[1:]", vec![2, 3]) && equal(".b", vec![1, 2, 3]) && equal(".b[]", vec![1, 2, 3]));
    assert!(!equal(".b[1:]", vec![1, 2]));
}

#[test]
fn malformed_selectors_are_refused_when_the_policy_is_parsed() {
    for selector in [
        "",
        "a",
        "..",
        "..a",
        ".a..b",
        ".a.",
        "a.b",
        ".[",
        ".a[",
        ".a[1",
        ".a]",
        ".a[x]",
        ".a[+1]",
        ".a[01]",
        ".a[-0]",
        ".a[1.5]",
        ".a[:]",
        ".a[1:2:3]",
        ".a[ 1]",
        ".a[99999999999999999999]",
        ".a b",
        ".$",
        ".[\\\"a]",
        "[0]",
        "?",
        ".a | .b",
        ".[\\\"a\\\\\\\"b\\\"]",
        ".[\\\"a\\\\n\\\"]",
        ".a['b']",
        ".a*",
    ] {
        let statements = format!(r#"[["==", "{selector}", 1]]"#);
        assert!(parse(&statements).is_err(), "{selector}");
    }
    let long = format!(r#"[["==", ".{}", 1]]"#, "a".repeat(MAX_SELECTOR_BYTES - 1));
    assert!(parse(&long).is_ok());
    assert_eq!(parse(&long.replace(".a", ".aa")).unwrap_err(), Error::TooLarge("selector"));
    let segments = |count: usize| parse(&format!(r#"[["==", ".{}", 1]]"#, "[]".repeat(count)));
    assert!(segments(ucan::policy::MAX_SEGMENTS).is_ok());
    assert_eq!(segments(ucan::policy::MAX_SEGMENTS + 1).unwrap_err(), Error::TooLarge("selector"));
}

#[test]
fn operators_compare() {
    table(&[
        (r#"["==", ".list", [1, 2, 3, 4]]"#, true),
        (r#"["==", ".list", [1.0, 2, 3, 4.0]]"#, true),
        (r#"["==", ".list", [1, 2, 3]]"#, false),
        (r#"["==", ".map", {"y": 2, "x": 1.0}]"#, true),
        (r#"["==", ".map", {"y": 2}]"#, false),
        (r#"["==", ".map", {"y": 2, "z": 1}]"#, false),
        (r#"["==", ".a", true]"#, false),
        (r#"["==", ".a", "1"]"#, false),
        (r#"["!=", ".a", 2]"#, true),
        (r#"["!=", ".a", 1.0]"#, false),
        (r#"["<", ".a", 1]"#, false),
        (r#"["<=", ".a", 1]"#, true),
        (r#"[">", ".a", 0.999]"#, true),
        (r#"[">=", ".a", 1.001]"#, false),
        (r#"["<", ".name", 5]"#, false),
        (r#"[">=", ".name", 5]"#, false),
        (r#"["<", ".none", 5]"#, false),
        (r#"["<", ".missing", 5]"#, false),
        (r#"["like", ".name", "K*e"]"#, true),
        (r#"["like", ".a", "*"]"#, false),
        (r#"["like", ".missing", "*"]"#, false),
        (r#"["and", []]"#, true),
        (r#"["or", []]"#, true),
        (r#"["and", [["==", ".a", 1], ["==", ".a", 2]]]"#, false),
        (r#"["or", [["==", ".a", 2], ["==", ".a", 1]]]"#, true),
        (r#"["or", [["==", ".a", 2], ["==", ".a", 3]]]"#, false),
        (r#"["not", ["==", ".a", 2]]"#, true),
        (r#"["all", ".rows", [">", ".v", 0]]"#, true),
        (r#"["all", ".rows", [">", ".v", 1]]"#, false),
        (r#"["any", ".rows", [">", ".v", 1]]"#, true),
        (r#"["any", ".rows", [">", ".v", 2]]"#, false),
        (r#"["all", ".map", [">", ".", 0]]"#, true),
        (r#"["any", ".map[]", ["==", ".", 2]]"#, true),
        (r#"["all", ".list[1:]", [">", ".", 1]]"#, true),
        (r#"["any", ".deep.list", ["any", ".", ["==", ".", 3]]]"#, true),
        (r#"["all", ".a", ["==", ".", 1]]"#, false),
        (r#"["any", ".a", ["==", ".", 1]]"#, false),
        (r#"["all", ".missing", ["==", ".", 1]]"#, false),
        (r#"["any", ".empty", ["==", ".", 1]]"#, false),
    ]);
}

/// What a policy cannot do: these hold although the argument is absent, as the specification says. Argument schemas
/// must come first.
#[test]
fn negative_and_vacuous_statements_hold_without_the_argument() {
    table(&[
        (r#"["!=", ".missing", 1]"#, true),
        (r#"["not", ["==", ".missing", 1]]"#, true),
        (r#"["all", ".empty", ["==", ".", 1]]"#, true),
        // But a selector that cannot be resolved at all makes even `!=` false.
        (r#"["!=", ".missing.deeper", 1]"#, false),
    ]);
}

#[test]
fn malformed_statements_are_refused() {
    for statement in [
        r#""==""#,
        r"[]",
        r#"["=="]"#,
        r#"["==", ".a"]"#,
        r#"["==", ".a", 1, 2]"#,
        r#"["===", ".a", 1]"#,
        r#"["<", ".a", "1"]"#,
        r#"["<", ".a", null]"#,
        r#"["like", ".a", 1]"#,
        r#"["and", ["==", ".a", 1]]"#,
        r#"["not", []]"#,
        r#"["all", ".a", []]"#,
        r#"["all", ".a", [["==", ".", 1]]]"#,
        r#"[1, ".a", 1]"#,
        r#"["==", 1, ".a"]"#,
        r#"["not", ".a", ["==", ".a", 1]]"#,
        r#"{"==": 1}"#,
    ] {
        assert!(parse(&format!("[{statement}]")).is_err(), "{statement}");
    }
    assert!(Policy::try_from(Ipld::Null).is_err());
    assert!(parse(&format!(r#"[["like", ".a", "{}"]]"#, "x".repeat(MAX_PATTERN_BYTES))).is_ok());
    let long = format!(r#"[["like", ".a", "{}"]]"#, "x".repeat(MAX_PATTERN_BYTES + 1));
    assert_eq!(parse(&long).unwrap_err(), Error::TooLarge("policy pattern"));
}

#[test]
fn depth_and_length_are_bounded() {
    let nested = |levels: usize| {
        let inner = (1..levels).fold(r#"["==", ".a", 1]"#.to_owned(), |inner, _| format!(r#"["not", {inner}]"#));
        parse(&format!("[{inner}]"))
    };
    assert!(nested(MAX_POLICY_DEPTH).is_ok());
    assert_eq!(nested(MAX_POLICY_DEPTH + 1).unwrap_err(), Error::TooLarge("policy depth"));
    let many = |count: usize| {
        let list = vec![r#"["==", ".a", 1]"#; count].join(",");
        parse(&format!(r#"[["and", [{list}]]]"#))
    };
    assert!(many(MAX_STATEMENTS - 1).is_ok());
    assert_eq!(many(MAX_STATEMENTS).unwrap_err(), Error::TooLarge("policy statements"));
}

#[test]
fn numbers_compare_exactly() {
    const BIG: i128 = 1 << 53;
    let compare = |operator: &str, value: Ipld, bound: Ipld| {
        let statement = Ipld::List(vec![Ipld::String(operator.into()), Ipld::String(".n".into()), bound]);
        let args = Ipld::Map(BTreeMap::from([("n".to_owned(), value)]));
        Policy::parse(vec![statement]).unwrap().check(&args).is_ok()
    };
    let int = Ipld::Integer;
    let float = Ipld::Float;
    // (left, right, left < right, left == right); 2^53 + 1 rounds to 2^53 as a float.
    let rows = [
        (int(1), float(1.0), false, true),
        (int(BIG + 1), float(9_007_199_254_740_992.0), false, false),
        (int(BIG), float(9_007_199_254_740_992.0), false, true),
        (int(BIG - 1), float(9_007_199_254_740_992.0), true, false),
        (int(-BIG - 1), float(-9_007_199_254_740_992.0), true, false),
        (int(i128::from(u64::MAX)), float(18_446_744_073_709_551_616.0), true, false),
        (int(0), float(-0.0), false, true),
        (int(0), float(-0.5), false, false),
        (int(0), float(5e-324), true, false),
        (int(-1), float(-0.5), true, false),
        (int(i128::MAX), float(f64::MAX), true, false),
        (int(i128::MIN), float(-f64::MAX), false, false),
        (int(i128::MAX), float(f64::INFINITY), true, false),
        (int(BIG + 1), int(BIG), false, false),
        (float(0.1), float(0.2), true, false),
    ];
    for (left, right, less, equal) in rows {
        let check = |operator| compare(operator, left.clone(), right.clone());
        let back = |operator| compare(operator, right.clone(), left.clone());
        let wanted = (less, less || equal, !less && !equal, !less, equal, !equal);
        let found = (check("<"), check("<="), check(">"), check(">="), check("=="), check("!="));
        assert_eq!(found, wanted, "{left:?} {right:?}");
        let mirrored = (back(">"), back(">="), back("<"), back("<="), back("=="), back("!="));
        assert_eq!(mirrored, wanted, "{right:?} {left:?}");
    }
    // NaN cannot arrive in DAG-CBOR; if it did, nothing holds of it.
    for operator in ["<", "<=", ">", ">=", "=="] {
        assert!(!compare(operator, float(f64::NAN), int(0)), "{operator}");
    }
}

#[test]
fn globs_match_literally() {
    let rows = [
        ("", "", true),
        ("", "a", false),
        ("*", "", true),
        ("*", "anything", true),
        ("a*", "a", true),
        ("a*", "ba", false),
        ("*a", "ba", true),
        ("*a", "ab", false),
        ("a*a", "a", false),
        ("a*a", "aa", true),
        ("a**b", "ab", true),
        ("a*b*c", "a-b-b-c", true),
        ("a*b*c", "a-c-b", false),
        ("a?c", "abc", false),
        ("a.c", "abc", false),
        ("[ab]", "a", false),
        ("\\*", "*", true),
        ("\\*", "a", false),
        ("a\\b", "a\\b", true),
        ("\\\\*", "\\*", true),
        ("ü*é", "üxé", true),
        ("*ab", "aab", true),
        ("*aab*", "aaab", true),
        ("ab*ba", "aba", false),
    ];
    for (pattern, text, expected) in rows {
        let statement =
            Ipld::List(vec![Ipld::String("like".into()), Ipld::String(".".into()), Ipld::String(pattern.into())]);
        let found = Policy::parse(vec![statement]).unwrap().check(&Ipld::String(text.into())).is_ok();
        assert_eq!(found, expected, "{pattern} {text}");
    }
}

#[test]
fn work_is_bounded_and_running_out_is_not_permission() {
    // 4096 elements × 255 statements is more than the budget.
    let args = Ipld::Map(BTreeMap::from([("l".to_owned(), Ipld::List(vec![Ipld::Integer(1); 4096]))]));
    let each = vec![r#"["==", ".", 1]"#; MAX_STATEMENTS - 4].join(",");
    let all = format!(r#"["all", ".l", ["and", [{each}]]]"#);
    assert_eq!(parse(&format!("[{all}]")).unwrap().check(&args), Err(Mismatch::TooMuchWork(0)));
    let negated = format!(r#"[["not", {all}]]"#);
    assert_eq!(parse(&negated).unwrap().check(&args), Err(Mismatch::TooMuchWork(0)));
    // A pattern that makes backtracking matchers cubic.
    let text = Ipld::Map(BTreeMap::from([("t".to_owned(), Ipld::String("a".repeat(60_000)))]));
    let pattern = "*a".repeat(400) + "b";
    let like = format!(r#"[["like", ".t", "{pattern}"]]"#);
    assert_eq!(parse(&like).unwrap().check(&text), Err(Mismatch::False(0)));
}

/// The obvious recursive glob, as the model.
fn model(pattern: &[char], text: &[char]) -> bool {
    match pattern {
        [] => text.is_empty(),
        ['\\', '*', rest @ ..] => text.first() == Some(&'*') && model(rest, &text[1..]),
        ['*', rest @ ..] => (0..=text.len()).any(|skip| model(rest, &text[skip..])),
        [c, rest @ ..] => text.first() == Some(c) && model(rest, &text[1..]),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn globs_agree_with_the_model(pattern in r"[ab*\\]{0,8}", text in r"[ab*\\]{0,8}") {
        let statement =
            Ipld::List(vec![Ipld::String("like".into()), Ipld::String(".".into()), Ipld::String(pattern.clone())]);
        let found = Policy::parse(vec![statement]).unwrap().check(&Ipld::String(text.clone())).is_ok();
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        prop_assert_eq!(found, model(&chars(&pattern), &chars(&text)));
    }

    #[test]
    fn floats_and_integers_order_like_their_decimal_expansion(n in any::<i64>(), x in -1e19f64..1e19) {
        let args = Ipld::Map(BTreeMap::from([("n".to_owned(), Ipld::Integer(i128::from(n)))]));
        let check = |operator: &str| {
            let bound = Ipld::List(vec![Ipld::String(operator.into()), Ipld::String(".n".into()), Ipld::Float(x)]);
            Policy::parse(vec![bound]).unwrap().check(&args).is_ok()
        };
        // `{:.0}` prints all digits of an integral float; the fraction decides only between equal whole parts.
        let whole: i128 = format!("{:.0}", x.floor()).parse().unwrap();
        let less = i128::from(n) < whole || (i128::from(n) == whole && x > x.floor());
        let equal = i128::from(n) == whole && x.to_bits() == x.floor().to_bits();
        prop_assert_eq!((check("<"), check("==")), (less, equal));
        prop_assert_eq!([check("<"), check("=="), check(">")].iter().filter(|holds| **holds).count(), 1);
    }

    #[test]
    fn no_selector_text_makes_the_parser_panic(selector in r#"[.\[\]"?:0-9a\\ü-]{0,16}"#) {
        let statement = Ipld::List(vec![Ipld::String("==".into()), Ipld::String(selector), Ipld::Null]);
        if let Ok(policy) = Policy::parse(vec![statement]) {
            let _ = policy.check(&args());
        }
    }
}
