use super::{Cast, Opened};
use crate::{ReceiptError, Step};
use domain::{Did, Digest};
use ipld_core::serde::to_ipld;
use ledger::{Outcome, Reservation, Window};
use messages::{Effect, RecordedDecision};
use policy::MAX_APPROVALS;
use serde::{Deserialize, Serialize};
use ucan::Chain;

/// The outcome of a proposal, as its entry has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Decided {
    kind: Kind,
    pub decision: RecordedDecision,
    pub reservations: Vec<Reservation>,
    pub review: Digest,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Decided,
}

/// The entry's statement took effect, and that is all that its outcome says.
pub(super) fn accepted(entry: &Opened) -> Result<(), ReceiptError> {
    if to_ipld(Outcome::Accepted).is_ok_and(|accepted| accepted == entry.entry.out) {
        return Ok(());
    }
    Err(ReceiptError::at(Step::Outcome, entry.seq(), "its statement was not accepted"))
}

impl Decided {
    /// Reads the outcome of the proposal and checks what can be checked without the state it was decided in.
    pub fn of(cast: &Cast<'_>) -> Result<Self, ReceiptError> {
        let (entry, payout) = cast.proposal;
        let bad = |detail: &str| Err(ReceiptError::at(Step::Outcome, entry.seq(), detail));
        let decided = Self::read(entry)?;
        let decision = &decided.decision;
        let consistent = match decision.effect {
            Effect::Allow => decision.approvals == 0,
            Effect::Review => (1..=MAX_APPROVALS).contains(&decision.approvals),
            Effect::Deny => return bad("policy denied it"),
        };
        if !consistent || !decision.violations.is_empty() {
            return bad("the decision contradicts itself");
        }
        if decided.review != ledger::review_digest(entry.statement.cid(), payout, decision) {
            return bad("the review digest is not that of proposal, intent and decision");
        }
        if entry.entry.at >= payout.valid_until {
            return bad("its validity had ended when it was decided");
        }
        Ok(decided)
    }

    pub fn read(entry: &Opened) -> Result<Self, ReceiptError> {
        Self::deserialize(entry.entry.out.clone()).map_err(|e| ReceiptError::at(Step::Outcome, entry.seq(), e))
    }

    /// The installations whose budgets it reserves.
    pub fn installations(&self) -> impl Iterator<Item = Did> + '_ {
        self.reservations.iter().filter_map(|r| match &r.window {
            Window::Daily { installation, .. } => Some(*installation),
            Window::Order { .. } => None,
        })
    }

    /// The installation whose budget holds the payout; the proposal's chain passes through it.
    pub fn installation(&self, cast: &Cast<'_>, chain: &Chain) -> Result<Did, ReceiptError> {
        let (entry, payout) = cast.proposal;
        let bad = |detail: &str| Err(ReceiptError::at(Step::Outcome, entry.seq(), detail));
        let [Reservation { window: Window::Daily { installation, asset, day }, amount: of_day }, of_order] =
            self.reservations.as_slice()
        else {
            return bad("it reserves other budgets than a payout does");
        };
        let order = Reservation { window: Window::Order { order: payout.order.clone() }, amount: payout.total };
        if *of_order != order || *of_day != payout.total || *asset != payout.asset || *day != entry.entry.at.day() {
            return bad("it reserves other budgets than this payout's");
        }
        if chain.hops().iter().all(|hop| hop.audience() != *installation) {
            return bad("the chain does not pass through the installation whose budget it reserves");
        }
        Ok(*installation)
    }
}
