//! A proposal as its approver reads it. The control plane is not believed: what is signed is computed from what is shown.

use crate::{
    lines::{Lines, excerpt, quoted},
    utc,
};
use anyhow::{Context as _, ensure};
use domain::{Bps, Cid, Did, Digest, Payout, Time, largest_remainder};
use messages::{ProposalStatus, ProposalView, RecordedDecision};

/// The one kind of intent there is.
const PAYOUT: &str = "/proposal/payout";

/// Everything that an approval says its approver has seen, and what the control plane says beside it.
pub struct Review {
    proposal: Cid,
    payout: Payout,
    decision: RecordedDecision,
    told: Told,
}

/// What nobody signs, and so is the control plane's word alone.
struct Told {
    status: ProposalStatus,
    waits_for: Option<String>,
    proposer: Option<Did>,
}

impl Review {
    /// Reads what the control plane answers when it is asked for `proposal`.
    pub fn of(proposal: Cid, view: ProposalView) -> anyhow::Result<Self> {
        let named = view.command.as_str();
        ensure!(named == PAYOUT, "nothing is signed: this version does not know what {named} asks for");
        let payout = serde_json::from_value(view.intent);
        let payout = payout.context("nothing is signed: the control plane shows something that is no payout")?;
        let proposer = view.audit_trail.iter().find(|record| record.seq == view.seq).map(|record| record.issuer);
        let told = Told { status: view.status, waits_for: view.waits_for, proposer };
        let review = Self { proposal, payout, decision: view.decision.into(), told };
        // Who lies about both is found out by the ledger, which compares with a digest of its own.
        let is_whole = review.digest() == view.review_digest;
        ensure!(is_whole, "nothing is signed: the control plane's digest is not that of what it shows");
        Ok(review)
    }

    /// What the approver confirms to have seen.
    pub fn digest(&self) -> Digest {
        ledger::review_digest(self.proposal, &self.payout, &self.decision)
    }

    /// All of it: what is only told first, and what counts most last, directly above the question.
    pub fn lines(&self, now: Time) -> anyhow::Result<Lines> {
        let Self { proposal, payout, decision, told } = self;
        let mut lines = Lines::new("a payout, to be approved now");
        lines.add("stands", format_args!("{}, by the control plane's word alone", told.status.as_str()));
        if let Some(waits) = &told.waits_for {
            lines.add("waits for", excerpt(waits));
        }
        for item in &payout.line_items {
            lines.add("for", format_args!("{}: {}", item.amount, quoted(item.description.as_str())));
        }
        lines.add("proposal", proposal);
        lines.add("input", decision.input);
        lines.add("policy", decision.bundle);
        lines.add("engine", quoted(&decision.engine));
        let effect = decision.effect.as_str();
        for violation in &decision.violations {
            lines.add("violation", format_args!("{}: {}", quoted(&violation.code), quoted(&violation.msg)));
        }
        lines.add("decision", format_args!("{effect}, {} approval(s) required", decision.approvals));
        let left = payout.valid_until.since(now);
        lines.add("end", format_args!("{}, {left} seconds from now", utc::text(payout.valid_until)));
        match told.proposer {
            Some(proposer) => lines.add("proposer", format_args!("{proposer}, by the control plane's word alone")),
            None => lines.add("proposer", "not told by the control plane"),
        }
        lines.add("order", &payout.order);
        lines.add("asset", payout.asset);
        let shares: Vec<Bps> = payout.splits.iter().map(|split| split.bps).collect();
        let parts = largest_remainder(payout.total.get(), &shares).context("nothing is signed: no such split")?;
        for (split, part) in payout.splits.iter().zip(parts) {
            lines.add("pays", format_args!("{part}, {} of 10000 parts, to {}", split.bps.get(), split.recipient));
        }
        let (to, items) = (payout.splits.len(), payout.line_items.len());
        lines.add("total", format_args!("{} minor units, to {to} recipient(s), for {items} item(s)", payout.total));
        Ok(lines)
    }
}
