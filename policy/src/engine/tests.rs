#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]

use super::{ENTRY_RULE, Engine, Fault, MAX_INSTRUCTIONS, interpreter};
use crate::{Bundle, Code, Input, probe, value};
use regorus::{Value, languages::rego::compiler::Compiler, rvm::program::Program, rvm::vm::RegoVM};
use std::{collections::BTreeMap, sync::Arc};

#[test]
fn words_of_the_engine_are_not_in_a_decision() {
    let engine = Engine::load(&Bundle::default_payout()).unwrap();
    let input = probe::ordinary().unwrap();
    let said = |fault: Fault| {
        let decision = engine.decision(&input, Err(fault));
        assert_eq!((decision.violations.len(), decision.violations[0].code), (1, Code::PolicyError));
        decision.violations[0].msg.clone()
    };
    let words = || "words of the engine".to_owned();
    assert_eq!(said(Fault::Evaluation(words())), "the policy could not be evaluated");
    assert_eq!(said(Fault::Result { rule: "effect", what: words() }), "the policy's result is not a decision");
    assert_eq!(said(Fault::Unexplained), "the policy denied without naming a violation");
    assert_eq!(said(Fault::Laborious { builtin: "sort" }), "the builtins of the policy go through too much");
    let steps = format!("the policy does not decide within {MAX_INSTRUCTIONS} instructions");
    assert_eq!(said(Fault::Unbounded { instruction: 7 }), steps);
}

/// Rules of every form of which something is left out when they are compiled: functions that take constants apart,
/// `else`, defaults.
const FORMS: &str = r#"package payout
import rego.v1
default effect := "deny"
effect := "review" if {
	count(violation) == 0
	_level(input.total) == 2
} else := "allow" if {
	count(violation) == 0
	_level(input.total) == 1
}
default approvals := 0
approvals := 2 if effect == "review"
_level(1) := 1
_level(2) := 1
_level(n) := 2 if n > 2
_level([n, _]) := n
_large if input.total > 10 else := true if input.total == 7
violation contains {"code": "frozen", "msg": sprintf("%d", [input.total])} if {
	_large
	input.frozen
}
violation contains {"code": "amount", "msg": "none"} if input.total == 0
"#;

fn decided(program: Arc<Program>, input: &Input) -> Value {
    let mut machine = RegoVM::new();
    machine.load_program(program);
    machine.set_data(Value::new_object()).unwrap();
    machine.set_input(value::of(input));
    machine.execute().unwrap()
}

#[test]
fn what_is_left_out_of_a_program_changes_no_decision() {
    let modules = BTreeMap::from([("payout/payout.rego".to_owned(), FORMS.to_owned())]);
    let forms = Bundle::new(modules, "{}".to_owned()).unwrap();
    let policy = interpreter(&forms).unwrap().compile_with_entrypoint(&ENTRY_RULE.into()).unwrap();
    let whole = Compiler::compile_from_policy(&policy, &[ENTRY_RULE]).unwrap();
    let lean = super::compile(&forms).unwrap();
    let kept = |kept: fn(&regorus::rvm::program::RuleInfo) -> bool| lean.rule_infos.iter().any(kept);
    assert!(kept(|rule| rule.destructuring_blocks.iter().any(Option::is_some)));
    assert!(kept(|rule| rule.else_bodies.iter().flatten().any(|is_else| *is_else)));
    assert!(whole.rule_infos.iter().all(|rule| !rule.name.is_empty()));
    let mut results = Vec::new();
    for total in [0, 1, 2, 3, 7, 11] {
        for frozen in [false, true] {
            let input = Input { frozen, total, ..probe::ordinary().unwrap() };
            let result = decided(Arc::clone(&whole), &input);
            assert_eq!(decided(Arc::clone(&lean), &input), result);
            let mut by_interpreter = interpreter(&forms).unwrap();
            by_interpreter.set_input(value::of(&input));
            assert_eq!(by_interpreter.eval_rule(ENTRY_RULE.to_owned()).unwrap(), result);
            results.push(result);
        }
    }
    results.sort();
    results.dedup();
    assert!(results.len() > 4, "{results:?}");
}
