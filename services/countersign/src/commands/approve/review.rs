//! A proposal as its approver reads it. The control plane is not believed: what is signed is computed from what is shown.

use crate::{commands::show::Lines, output::one_line, utc};
use anyhow::{Context as _, ensure};
use domain::{Bps, Cid, Digest, Payout, Time, largest_remainder};
use messages::{ProposalView, RecordedDecision};

/// The one kind of intent there is.
const PAYOUT: &str = "/proposal/payout";

/// Everything that an approval says its approver has seen.
pub struct Review {
    proposal: Cid,
    payout: Payout,
    decision: RecordedDecision,
    stands: String,
}

impl Review {
    /// Reads what the control plane answers when it is asked for `proposal`.
    pub fn of(proposal: Cid, view: ProposalView) -> anyhow::Result<Self> {
        let named = view.command.as_str();
        ensure!(named == PAYOUT, "nothing is signed: this version does not know what {named} asks for");
        let payout = serde_json::from_value(view.intent);
        let payout = payout.context("nothing is signed: the control plane shows something that is no payout")?;
        let waits = view.waits_for.map(|waits| format!(", waits for {waits}")).unwrap_or_default();
        let decision = view.decision.into();
        let review = Self { proposal, payout, decision, stands: format!("{}{waits}", view.status.as_str()) };
        // Who lies about both is found out by the ledger, which compares with a digest of its own.
        let is_whole = review.digest() == view.review_digest;
        ensure!(is_whole, "nothing is signed: the control plane's digest is not that of what it shows");
        Ok(review)
    }

    /// What the approver confirms to have seen.
    pub fn digest(&self) -> Digest {
        ledger::review_digest(self.proposal, &self.payout, &self.decision)
    }

    /// All of it, a line each.
    pub fn text(&self, now: Time) -> anyhow::Result<String> {
        let Self { proposal, payout, decision, stands } = self;
        let mut lines = Lines::new("a payout, to be approved now");
        lines.add("proposal", proposal);
        lines.add("order", &payout.order);
        lines.add("asset", payout.asset);
        lines.add("total", format_args!("{} minor units", payout.total));
        let shares: Vec<Bps> = payout.splits.iter().map(|split| split.bps).collect();
        let parts = largest_remainder(payout.total.get(), &shares).context("nothing is signed: no such split")?;
        for (split, part) in payout.splits.iter().zip(parts) {
            lines.add("pays", format_args!("{part} to {}, {} of 10000 parts", split.recipient, split.bps.get()));
        }
        for item in &payout.line_items {
            lines.add("for", format_args!("{}: {}", one_line(item.description.as_str()), item.amount));
        }
        let left = payout.valid_until.since(now);
        lines.add("end", format_args!("{}, {left} seconds from now", utc::text(payout.valid_until)));
        let effect = decision.effect.as_str();
        lines.add("decision", format_args!("{effect}, {} approval(s) required", decision.approvals));
        for violation in &decision.violations {
            lines.add("", format_args!("{}: {}", one_line(&violation.code), violation.msg));
        }
        lines.add("policy", format_args!("{}, {}", decision.bundle, decision.engine));
        lines.add("input", decision.input);
        // Not signed, and so the control plane's word alone.
        lines.add("stands", stands);
        Ok(lines.into_text())
    }
}
