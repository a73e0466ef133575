use crate::{
    Approval, Approvals, Authority, Change, Changes, Execution, Outcome, Phase, Proposal, Refusal, State, Status,
    statement::{Context, Realm, Rule},
};
use domain::{Cid, Did, Digest, Reason, Time};
use serde::{Deserialize, Serialize};

/// Args of `/approval/give`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Give {
    /// The proposal.
    pub proposal: Cid,
    /// The digest of what the approver saw: the `review` of the proposal's outcome.
    pub review: Digest,
}

/// Args of `/approval/withdraw`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Withdraw {
    /// The proposal.
    pub proposal: Cid,
}

/// Args of `/approval/refuse`: one person's no ends the proposal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refuse {
    /// The proposal.
    pub proposal: Cid,
    /// Why, for people.
    pub reason: Reason,
}

/// The proposal's review, when it is one of the subject's and still in review, and the person is not its author.
fn in_review<'a>(state: &'a State, cx: &Context<'_>, id: &Cid) -> Result<(&'a Proposal, Approvals), Refusal> {
    let proposal = state
        .proposal(id)
        .filter(|p| p.tenant == cx.subject)
        .ok_or(Refusal::Unknown { field: "proposal", what: "open proposal of this tenant" })?;
    let Phase::Review { .. } = &proposal.phase else {
        return Err(Refusal::conflict("proposal", "it is not in review any more"));
    };
    if cx.at >= proposal.payout.valid_until {
        return Err(Refusal::conflict("proposal", "its validity has ended"));
    }
    if keys(&proposal.authority).any(|author| keys(cx.authority).any(|reviewer| reviewer == author)) {
        return Err(Refusal::not_entitled("iss", "nobody reviews a proposal of their own"));
    }
    Ok((proposal, state.standing_approvals(proposal).map(|(person, a)| (*person, a.clone())).collect()))
}

/// Every key that had a part in a statement, but for the root that all chains of a tenant begin at.
fn keys(authority: &Authority) -> impl Iterator<Item = Did> + '_ {
    std::iter::once(authority.issuer).chain(authority.hops.iter().map(|h| h.audience))
}

fn set_phase(state: &mut State, id: Cid, phase: Phase) {
    state.with_proposal(id, |p| p.phase = phase);
}

fn approved(since: Time, approvals: Approvals) -> Phase {
    Phase::Approved { since, approvals, execution: Execution::default() }
}

impl Rule for Give {
    const REALM: Realm = Realm::Tenant;

    fn run(&self, state: &mut State, cx: &Context<'_>, changes: &mut Changes) -> Result<Outcome, Refusal> {
        let (proposal, mut approvals) = in_review(state, cx, &self.proposal)?;
        if proposal.review != self.review {
            return Err(Refusal::conflict("review", "this is not the digest of the proposal and its decision"));
        }
        let approval = Approval { statement: cx.cid, authority: cx.authority.clone() };
        if approvals.insert(cx.authority.principal, approval).is_some() {
            return Err(Refusal::conflict("proposal", "you have approved it already; others must"));
        }
        let (until, needed) = (proposal.payout.valid_until, proposal.decision.approvals);
        changes.push(Change::Mention(self.proposal));
        if approvals.len() < usize::from(needed) {
            set_phase(state, self.proposal, Phase::Review { needed, approvals });
        } else {
            state.stop_deadline(until, self.proposal);
            set_phase(state, self.proposal, approved(cx.at, approvals));
            changes.push(Change::Status(self.proposal, Status::Approved));
        }
        Ok(Outcome::Accepted)
    }
}

impl Rule for Withdraw {
    const REALM: Realm = Realm::Tenant;

    fn run(&self, state: &mut State, cx: &Context<'_>, changes: &mut Changes) -> Result<Outcome, Refusal> {
        let (proposal, mut approvals) = in_review(state, cx, &self.proposal)?;
        if approvals.remove(&cx.authority.principal).is_none() {
            return Err(Refusal::conflict("proposal", "you have not approved it"));
        }
        let needed = proposal.decision.approvals;
        changes.push(Change::Mention(self.proposal));
        set_phase(state, self.proposal, Phase::Review { needed, approvals });
        Ok(Outcome::Accepted)
    }
}

impl Rule for Refuse {
    const REALM: Realm = Realm::Tenant;

    fn run(&self, state: &mut State, cx: &Context<'_>, changes: &mut Changes) -> Result<Outcome, Refusal> {
        in_review(state, cx, &self.proposal)?;
        changes.push(Change::Mention(self.proposal));
        state.settle(self.proposal, Status::Refused, changes);
        Ok(Outcome::Accepted)
    }
}
