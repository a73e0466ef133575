use crate::{
    Attestation, Change, Changes, Execution, Outcome, Progress, Proposal, Refusal, State, Status, Verdict,
    statement::{Context, ParseError, Realm, Rule},
};
use domain::{Cid, Digest, Name};
use serde::{Deserialize, Serialize};

/// Args of `/execution/submitted`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Submitted {
    /// The proposal.
    pub proposal: Cid,
    /// The transaction's hash.
    pub transaction: Digest,
    /// The quorum's signature that it carries: 65 bytes (compressed R, then z) in lower-case hex. Kept for receipts,
    /// which verify it.
    pub signature: String,
}

/// Args of `/execution/included`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Included {
    /// The proposal.
    pub proposal: Cid,
    /// The transaction's hash.
    pub transaction: Digest,
    /// The block's number.
    pub block: u64,
}

/// Args of `/execution/reverted`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reverted {
    /// The proposal.
    pub proposal: Cid,
    /// The transaction's hash.
    pub transaction: Digest,
    /// The block's number.
    pub block: u64,
    /// What the contract said.
    pub reason: Name,
}

/// Args of `/execution/attest`: what a signer's own RPC endpoint shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attest {
    /// The proposal.
    pub proposal: Cid,
    /// What happened.
    pub verdict: Verdict,
    /// The block that shows it: that of the execution, or the final block later than `valid_until`.
    pub block: u64,
    /// The executing transaction; present exactly when final.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction: Option<Digest>,
}

fn executing<'a>(state: &'a State, cx: &Context<'_>, id: &Cid) -> Result<(&'a Proposal, &'a Execution), Refusal> {
    let proposal = state
        .proposal(id)
        .filter(|p| p.tenant == cx.subject)
        .ok_or(Refusal::Unknown { field: "proposal", what: "open proposal of this tenant" })?;
    let execution =
        proposal.execution().ok_or_else(|| Refusal::conflict("proposal", "it is in review, so nothing can execute"))?;
    Ok((proposal, execution))
}

fn report(
    (state, cx, changes): (&mut State, &Context<'_>, &mut Changes),
    id: Cid,
    progress: Progress,
    status: Status,
) -> Result<Outcome, Refusal> {
    let (_, execution) = executing(state, cx, &id)?;
    if execution.progress.as_ref() == Some(&progress) {
        return Err(Refusal::conflict("transaction", "this is known already"));
    }
    let cancelled = execution.cancelled;
    state.with_proposal(id, |p| {
        if let Some(execution) = p.execution_mut() {
            execution.progress = Some(progress);
        }
    });
    changes.push(Change::Mention(id));
    if !cancelled {
        changes.push(Change::Status(id, status));
    }
    Ok(Outcome::Accepted)
}

impl Rule for Submitted {
    const REALM: Realm = Realm::Tenant;

    fn check(&self) -> Result<(), ParseError> {
        let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if self.signature.len() != 130 || !self.signature.bytes().all(hex) {
            return Err(ParseError::args("signature", "65 bytes in lower-case hex"));
        }
        Ok(())
    }

    fn run(&self, state: &mut State, cx: &Context<'_>, changes: &mut Changes) -> Result<Outcome, Refusal> {
        let progress = Progress::Submitted { transaction: self.transaction };
        report((state, cx, changes), self.proposal, progress, Status::Submitted)
    }
}

impl Rule for Included {
    const REALM: Realm = Realm::Tenant;

    fn run(&self, state: &mut State, cx: &Context<'_>, changes: &mut Changes) -> Result<Outcome, Refusal> {
        let progress = Progress::Included { transaction: self.transaction, block: self.block };
        report((state, cx, changes), self.proposal, progress, Status::Included)
    }
}

impl Rule for Reverted {
    const REALM: Realm = Realm::Tenant;

    fn run(&self, state: &mut State, cx: &Context<'_>, changes: &mut Changes) -> Result<Outcome, Refusal> {
        let progress = Progress::Reverted { transaction: self.transaction, block: self.block };
        report((state, cx, changes), self.proposal, progress, Status::Approved)
    }
}

impl Rule for Attest {
    const REALM: Realm = Realm::Tenant;

    fn check(&self) -> Result<(), ParseError> {
        match (self.verdict, self.transaction) {
            (Verdict::Final, None) => Err(ParseError::args("transaction", "a final execution names its transaction")),
            (Verdict::Void, Some(_)) => Err(ParseError::args("transaction", "what is void has no transaction")),
            _ => Ok(()),
        }
    }

    fn run(&self, state: &mut State, cx: &Context<'_>, changes: &mut Changes) -> Result<Outcome, Refusal> {
        let (proposal, execution) = executing(state, cx, &self.proposal)?;
        let quorum = state.quorum().ok_or(Refusal::Unknown { field: "proposal", what: "quorum" })?;
        let node = cx.authority.issuer;
        if quorum.participant(&node).is_none() {
            return Err(Refusal::not_entitled("iss", "only a signer of the active quorum attests"));
        }
        let said =
            |a: &Attestation| a.verdict == self.verdict && a.transaction == self.transaction && a.epoch == quorum.epoch;
        // Whoever has lost the right to attest since has lost their word with it, and may say it again by another.
        let counts = |a: &Attestation| !state.is_revoked(cx.subject, &a.authority);
        if execution.attestations.get(&node).is_some_and(|a| said(a) && counts(a)) {
            return Err(Refusal::conflict("proposal", "you have attested it already"));
        }
        if self.verdict == Verdict::Void && cx.at <= proposal.payout.valid_until {
            return Err(Refusal::conflict("verdict", "it may still execute until valid_until"));
        }
        let mut attestations = execution.attestations.clone();
        let attestation = Attestation {
            verdict: self.verdict,
            block: self.block,
            transaction: self.transaction,
            epoch: quorum.epoch,
            statement: cx.cid,
            authority: cx.authority.clone(),
        };
        attestations.insert(node, attestation);
        let standing = quorum.participants.iter().filter_map(|p| attestations.get(&p.node)).filter(|a| counts(a));
        // One signer's false block must not settle what the others saw elsewhere; a void one has no block of its own.
        let place = |block: u64| self.verdict == Verdict::Void || block == self.block;
        let equal =
            standing.filter(|a| a.verdict == self.verdict && a.transaction == self.transaction && place(a.block));
        let settled = equal.count() >= usize::from(quorum.threshold);
        changes.push(Change::Mention(self.proposal));
        state.with_proposal(self.proposal, |p| {
            if let Some(execution) = p.execution_mut() {
                execution.attestations = attestations;
            }
        });
        if settled {
            state.settle(self.proposal, Status::of_verdict(self.verdict), changes);
        }
        Ok(Outcome::Accepted)
    }
}
