//! What a statement's outcome is in the API's words; the same whether it was just decided or is read from the log.

use domain::{Cid, Digest};
use ledger::Outcome;
use log::Entry;
use messages::{Decision, Effect, ProposalStatus, RecordedDecision, SubmitReply, Violation};
use serde::Deserialize;

/// The outcome as an entry holds it, as far as the API shows it.
#[derive(Debug, Deserialize)]
pub(crate) struct Recorded {
    decision: Option<RecordedDecision>,
    /// What an approval names as what the approver saw.
    pub review: Option<Digest>,
}

impl Recorded {
    /// Reads the outcome of an entry; `None` when it is none, which a verified log does not hold.
    pub fn of(entry: &Entry) -> Option<Self> {
        ipld_core::serde::from_ipld(entry.out.clone()).ok()
    }

    pub fn decision(self) -> Option<Decision> {
        self.decision.map(Decision::from)
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

#[cfg(test)]
mod tests {
    use super::*;
    use ledger::Status;

    /// The ledger and the wire know nothing of each other, and the read models hold the ledger's word.
    const fn on_the_wire(status: Status) -> ProposalStatus {
        match status {
            Status::Review => ProposalStatus::Review,
            Status::Approved => ProposalStatus::Approved,
            Status::Denied => ProposalStatus::Denied,
            Status::Refused => ProposalStatus::Refused,
            Status::Cancelled => ProposalStatus::Cancelled,
            Status::Expired => ProposalStatus::Expired,
            Status::Submitted => ProposalStatus::Submitted,
            Status::Included => ProposalStatus::Included,
            Status::Final => ProposalStatus::Final,
            Status::Void => ProposalStatus::Void,
        }
    }

    #[test]
    fn the_ledger_and_the_wire_call_every_status_the_same() {
        for shown in ProposalStatus::ALL {
            let status: Status = serde_json::from_value(shown.as_str().into()).unwrap();
            assert_eq!((on_the_wire(status), status.as_str()), (*shown, shown.as_str()));
        }
    }
}
