//! What a statement's outcome is in the API's words; the same whether it was just decided or is read from the log.

use domain::{Cid, Digest};
use ledger::Outcome;
use log::Entry;
use messages::{Decision, Effect, ProposalStatus, SubmitReply, Violation};
use serde::Deserialize;

/// The outcome as an entry holds it, as far as the API shows it.
#[derive(Debug, Deserialize)]
pub(crate) struct Recorded {
    decision: Option<RecordedDecision>,
    /// What an approval names as what the approver saw.
    pub review: Option<Digest>,
}

#[derive(Debug, Deserialize)]
struct RecordedDecision {
    effect: Effect,
    violations: Vec<Violation>,
    approvals: u8,
    bundle: Digest,
    input: Digest,
    engine: String,
}

impl Recorded {
    /// Reads the outcome of an entry; `None` when it is none, which a verified log does not hold.
    pub fn of(entry: &Entry) -> Option<Self> {
        ipld_core::serde::from_ipld(entry.out.clone()).ok()
    }

    pub fn decision(self) -> Option<Decision> {
        self.decision.map(|d| Decision {
            effect: d.effect,
            violations: d.violations,
            approvals_required: d.approvals,
            bundle: d.bundle,
            input: d.input,
            engine: d.engine,
        })
    }
}

/// A decision of the ledger.
pub(crate) fn decision(decided: &policy::Decision) -> Decision {
    Decision {
        effect: match decided.effect {
            policy::Effect::Allow => Effect::Allow,
            policy::Effect::Review => Effect::Review,
            policy::Effect::Deny => Effect::Deny,
        },
        violations: decided
            .violations
            .iter()
            .map(|v| Violation { code: v.code.as_str().to_owned(), msg: v.msg.clone() })
            .collect(),
        approvals_required: decided.approvals,
        bundle: decided.bundle,
        input: decided.input,
        engine: decided.engine.to_owned(),
    }
}

const fn status(effect: Effect) -> ProposalStatus {
    match effect {
        Effect::Allow => ProposalStatus::Approved,
        Effect::Review => ProposalStatus::Review,
        Effect::Deny => ProposalStatus::Denied,
    }
}

fn reply_of(id: Cid, seq: u64, decision: Option<Decision>) -> SubmitReply {
    SubmitReply { id, seq, status: decision.as_ref().map(|d| status(d.effect)), decision }
}

/// The answer to a statement that has just got its place.
pub(crate) fn reply(id: Cid, seq: u64, outcome: &Outcome) -> SubmitReply {
    reply_of(id, seq, outcome.decision().map(decision))
}

/// The answer that a statement got when it got its place.
pub(crate) fn first_reply(entry: &[u8]) -> Option<SubmitReply> {
    let entry = Entry::decode(entry).ok()?;
    let decision = Recorded::of(&entry)?.decision();
    Some(reply_of(entry.stmt, entry.seq, decision))
}
