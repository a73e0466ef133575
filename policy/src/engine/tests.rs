#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]

use super::{Engine, Fault, MAX_INSTRUCTIONS};
use crate::{Bundle, Code, probe};

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
    assert_eq!(said(Fault::Result(words())), "the policy's result is not a decision");
    assert_eq!(said(Fault::Unexplained), "the policy denied without naming a violation");
    let steps = format!("the policy does not decide within {MAX_INSTRUCTIONS} instructions");
    assert_eq!(said(Fault::Unbounded), steps);
}
