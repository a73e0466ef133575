//! How answers are shown to people.

use crate::output::one_line;
use messages::{Decision, ProposalStatus, ProposalView, SubmitReply};
use std::{fmt::Write as _, process::ExitCode};

/// The answer to a statement.
pub fn reply(what: &str, reply: &SubmitReply) -> String {
    let mut text = format!("{what}: entry {}, statement {}", reply.seq, reply.id);
    if let Some(status) = reply.status {
        let _ = write!(text, "\nstatus: {}", status.as_str());
    }
    if let Some(d) = &reply.decision {
        text.push_str(&decision(d));
    }
    text
}

/// What policy said.
pub fn decision(decision: &Decision) -> String {
    let mut text = format!("\ndecision: {}", decision.effect.as_str());
    if decision.approvals_required > 0 {
        let _ = write!(text, ", {} approval(s) required", decision.approvals_required);
    }
    for violation in &decision.violations {
        let _ = write!(text, "\n  - {}: {}", one_line(&violation.code), one_line(&violation.msg));
    }
    text
}

/// Everything about a proposal.
pub fn proposal(view: &ProposalView) -> String {
    let mut text = format!("proposal {}\nstatus: {}", view.id, view.status.as_str());
    text.push_str(&decision(&view.decision));
    let _ = write!(text, "\n{}: {}", view.command, pretty(&view.intent).replace('\n', "\n  "));
    for approval in &view.approvals {
        let _ = write!(text, "\napproved by {} at {}", approval.principal, approval.at);
    }
    if let Some(execution) = &view.execution {
        let _ = write!(text, "\nexecution: {}", execution.stage.as_str());
        if let Some(transaction) = &execution.transaction {
            let _ = write!(text, " in {transaction}");
        }
        if let Some(block) = execution.block {
            let _ = write!(text, ", block {block}");
        }
    }
    if let Some(waits) = &view.waits_for {
        let _ = write!(text, "\nwaits for: {}", one_line(waits));
    }
    text.push_str("\naudit trail:");
    for record in &view.audit_trail {
        let _ = write!(text, "\n  {:>6}  {}  {}  {}", record.seq, record.at, record.command, record.issuer);
    }
    text
}

/// JSON over several lines. Nothing that a text in it says looks like a line of its own.
pub fn pretty(value: &serde_json::Value) -> String {
    let line = |line: &str| {
        let (indent, rest) = line.split_at(line.len().saturating_sub(line.trim_start_matches(' ').len()));
        format!("{indent}{}", one_line(rest))
    };
    format!("{value:#}").lines().map(line).collect::<Vec<_>>().join("\n")
}

/// A denied proposal is an answer and a refusal.
pub fn exit(status: Option<ProposalStatus>) -> ExitCode {
    match status {
        Some(ProposalStatus::Denied) => ExitCode::from(crate::failure::REFUSED),
        _ => ExitCode::SUCCESS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{Cid, Digest};
    use messages::Stage;
    use serde_json::json;

    #[test]
    fn how_far_an_execution_is_is_told_in_the_words_of_json() {
        let (cid, digest) = (Cid::of(b"a proposal"), Digest::sha256(b"something"));
        let decision = json!({"effect": "allow", "violations": [], "approvals_required": 0, "bundle": digest, "input": digest, "engine": "e"});
        for stage in [Stage::Submitted, Stage::Included, Stage::Final, Stage::Void] {
            let view = json!({
                "id": cid, "seq": 1, "command": "/proposal/payout", "intent": {},
                "status": "submitted", "decision": decision, "review_digest": digest, "approvals": [], "audit_trail": [],
                "execution": {"stage": stage},
            });
            let text = proposal(&serde_json::from_value(view).unwrap());
            let word = serde_json::to_value(stage).unwrap();
            assert!(text.contains(&format!("\nexecution: {}\n", word.as_str().unwrap())), "{text}");
        }
    }

    #[test]
    fn a_text_in_json_is_no_line_of_its_own() {
        let said = serde_json::json!({"for": ["a   \"total\": 1\n\u{a0}b", "c d"], "total": 5});
        let shown = r#"{
  "for": [
    "a\u0020\u0020\u0020\"total\": 1\n\u00a0b",
    "c d"
  ],
  "total": 5
}"#;
        assert_eq!(pretty(&said), shown);
    }
}
