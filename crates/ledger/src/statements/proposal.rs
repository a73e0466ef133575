use crate::{
    Authority, Budgets, Change, Changes, Execution, Installation, InstallationState, Outcome, Phase, Proposal, Refusal,
    Reservation, State, Status, Tenant,
    authority::MAX_LIFETIME,
    facts::{Facts, PAYOUT_COMMAND},
    statement::{Context, ParseError, Realm, Rule},
};
use domain::{Cid, Did, Digest, MAX_LINE_ITEMS, MAX_SPLITS, Payout, Reason, Time, Total, largest_remainder};
use imbl::OrdMap;
use policy::{Code, Decision, Effect, Violation};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Args of `/proposal/cancel`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cancel {
    /// The proposal.
    pub proposal: Cid,
    /// Why, for people.
    pub reason: Reason,
}

impl Rule for Payout {
    const REALM: Realm = Realm::Tenant;

    fn check(&self) -> Result<(), ParseError> {
        if !(1..=MAX_SPLITS).contains(&self.splits.len()) {
            return Err(ParseError::args("splits", "1 to 16 splits"));
        }
        let recipients: BTreeSet<_> = self.splits.iter().map(|s| s.recipient).collect();
        if recipients.len() != self.splits.len() {
            return Err(ParseError::args("splits", "a recipient appears twice"));
        }
        if let Some(i) = self.splits.iter().position(|s| s.recipient.chain != self.asset.chain) {
            return Err(ParseError::args(format!("splits[{i}].recipient"), "not on the asset's chain"));
        }
        if let Some(i) = self.splits.iter().position(|s| s.recipient.address.0 == [0; 20]) {
            return Err(ParseError::args(format!("splits[{i}].recipient"), "the zero address cannot be paid"));
        }
        let shares: Vec<_> = self.splits.iter().map(|s| s.bps).collect();
        let parts =
            largest_remainder(self.total.get(), &shares).map_err(|e| ParseError::args("splits", e.to_string()))?;
        if let Some(i) = parts.iter().position(|p| *p == 0) {
            return Err(ParseError::args(format!("splits[{i}].bps"), "this share of the total is less than one unit"));
        }
        if self.line_items.len() > MAX_LINE_ITEMS {
            return Err(ParseError::args("line_items", "at most 50"));
        }
        let sum = self.line_items.iter().try_fold(Total::ZERO, |sum, item| sum.plus(item.amount));
        if !self.line_items.is_empty() && sum != Some(self.total.into()) {
            return Err(ParseError::args("line_items", "the items do not sum to the total"));
        }
        Ok(())
    }

    fn run(&self, state: &mut State, cx: &Context<'_>, changes: &mut Changes) -> Result<Outcome, Refusal> {
        let tenant = state.tenant(&cx.subject).ok_or(Refusal::Subject { expected: "a tenant of this log" })?;
        let (did, installation) = through_installation(state, tenant, cx.authority, cx.at)?;
        let facts = state.payout_facts((cx.subject, tenant), (did, installation), self, (cx.at, cx.expires_at));
        let mut decision = tenant.policy.engine.decide(&facts.input);
        let reservations = reservations(self, &facts);
        let mut reserved = tenant.budgets.clone();
        if decision.effect != Effect::Deny {
            let frozen = state.freezes().covers(&state.target(cx.subject, did, installation));
            let asked = (self, reservations.as_slice());
            deny(&mut decision, hard_limits(tenant, installation, asked, &mut reserved, frozen, cx.at));
        }
        let (plugin, version, grant) = (installation.plugin.clone(), installation.version.clone(), installation.grant);
        let review = review_digest(cx.cid, self, &decision);
        let status = Status::of_effect(decision.effect);
        changes.push(Change::Status(cx.cid, status));
        if status == Status::Denied {
            return Ok(Outcome::Decided { decision, reservations: Vec::new(), review });
        }
        state.with_tenant(cx.subject, |t| t.budgets = reserved);
        let phase = match decision.effect {
            Effect::Review => Phase::Review { needed: decision.approvals, approvals: OrdMap::new() },
            _ => Phase::Approved { since: cx.at, approvals: OrdMap::new(), execution: Execution::default() },
        };
        let proposal = Proposal {
            seq: cx.seq,
            at: cx.at,
            tenant: cx.subject,
            installation: did,
            plugin,
            version,
            grant,
            payout: self.clone(),
            parts: facts.parts,
            decision: decision.clone(),
            review,
            reservations: reservations.clone(),
            authority: cx.authority.clone(),
            phase,
        };
        state.open_proposal(cx.cid, proposal);
        Ok(Outcome::Decided { decision, reservations, review })
    }
}

impl State {
    /// What policy would say to an unsigned payout of an installation at this moment: nothing is checked about who
    /// asks. `None` when the tenant or the installation does not exist.
    pub fn consider(&self, tenant: &Did, installation: &Did, payout: &Payout, at: Time) -> Option<Decision> {
        let known = self.tenant(tenant)?;
        let granted = known.installations.get(installation)?;
        let facts = self.payout_facts((*tenant, known), (*installation, granted), payout, (at, at.plus(MAX_LIFETIME)));
        let mut decision = known.policy.engine.decide(&facts.input);
        if decision.effect != Effect::Deny {
            let frozen = self.freezes().covers(&self.target(*tenant, *installation, granted));
            let reservations = reservations(payout, &facts);
            let asked = (payout, reservations.as_slice());
            let mut reserved = known.budgets.clone();
            deny(&mut decision, hard_limits(known, granted, asked, &mut reserved, frozen, at));
        }
        Some(decision)
    }
}

/// Finds the one installation that the chain passes through.
fn through_installation<'a>(
    state: &State,
    tenant: &'a Tenant,
    authority: &Authority,
    at: Time,
) -> Result<(Did, &'a Installation), Refusal> {
    let known = |h: &crate::Hop| tenant.installations.get_key_value(&h.audience);
    let mut through = authority.hops.iter().enumerate().filter_map(|(index, h)| Some((index, known(h)?)));
    let Some((_, (did, installation))) = through.next() else {
        return Err(Refusal::not_entitled("prf", "the chain does not pass through an installation of this tenant"));
    };
    if let Some((second, _)) = through.next() {
        return Err(Refusal::not_entitled_at(second, "aud", "the chain passes through more than one installation"));
    }
    check_control_plane(state, authority, *did, at)?;
    Ok((*did, installation))
}

/// Holds the control plane's issuer key to its narrow right in everything below `/proposal`: to pass authority on to
/// `installation`, for minutes.
fn check_control_plane(state: &State, authority: &Authority, installation: Did, at: Time) -> Result<(), Refusal> {
    let Some(origin) = state.origin() else { return Err(Refusal::not_entitled("sub", "the log has no genesis")) };
    if authority.issuer == origin.issuer || authority.issuer == origin.sequencer {
        return Err(Refusal::not_entitled("iss", "the control plane passes authority on and never exercises it"));
    }
    let latest = at.plus(MAX_LIFETIME).plus(origin.clock_tolerance);
    for (index, hop) in authority.hops.iter().enumerate().filter(|(_, h)| h.issuer == origin.issuer) {
        let refuse = |field, why| Err(Refusal::not_entitled_at(index, field, why));
        if hop.audience != installation {
            return refuse("aud", "the control plane delegates to the granted installation only");
        }
        if hop.expires_at.is_none_or(|exp| exp > latest) {
            return refuse("exp", "the control plane delegates for at most 15 minutes");
        }
    }
    Ok(())
}

fn reservations(payout: &Payout, facts: &Facts) -> Vec<Reservation> {
    [&facts.daily, &facts.order].map(|window| Reservation { window: window.clone(), amount: payout.total }).to_vec()
}

/// Begins the messages of [`hard_limits`]. They are part of outcomes, so they never change within a ledger version.
const LEDGER_SAYS: &str = "the ledger refuses: ";

/// The limits that no policy bundle can switch off. Policy gives the same answers in better words; this is the floor.
/// What fits is set aside in `budgets`, which is of use only when nothing is violated.
fn hard_limits(
    tenant: &Tenant,
    installation: &Installation,
    (payout, reservations): (&Payout, &[Reservation]),
    budgets: &mut Budgets,
    frozen: bool,
    at: Time,
) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut require = |ok: bool, code: Code| {
        if !ok {
            violations.push(Violation { code, msg: format!("{LEDGER_SAYS}{code}") });
        }
    };
    require(!frozen, Code::Frozen);
    require(installation.state == InstallationState::Active, Code::InstallationInactive);
    require(at < installation.expires_at, Code::InstallationExpired);
    require(installation.capabilities.iter().any(|c| c == PAYOUT_COMMAND), Code::CapabilityMissing);
    require(at < payout.valid_until, Code::ProposalExpired);
    require(tenant.assets.contains_key(&payout.asset), Code::UnknownAsset);
    let limits = installation.limits.get(&payout.asset);
    require(limits.is_some(), Code::AssetNotAllowed);
    require(limits.is_some_and(|l| payout.total <= l.max_per_payout), Code::PayoutLimit);
    let order = tenant.orders.get(&payout.order);
    require(order.is_some(), Code::UnknownOrder);
    require(order.is_some_and(|o| o.open), Code::OrderClosed);
    require(order.is_some_and(|o| o.asset == payout.asset), Code::OrderAsset);
    for reservation in reservations {
        let (limit, code) = limit_of(tenant, installation, payout, reservation);
        require(budgets.reserve(reservation, limit), code);
    }
    violations
}

fn limit_of(tenant: &Tenant, installation: &Installation, payout: &Payout, reservation: &Reservation) -> (Total, Code) {
    match &reservation.window {
        crate::Window::Daily { asset, .. } => {
            (installation.limits.get(asset).map(crate::Limits::daily).unwrap_or_default(), Code::DailyLimit)
        }
        crate::Window::Order { .. } => {
            (tenant.orders.get(&payout.order).map(|o| o.amount.into()).unwrap_or_default(), Code::OrderAvailable)
        }
    }
}

fn deny(decision: &mut Decision, mut violations: Vec<Violation>) {
    if violations.is_empty() {
        return;
    }
    violations.sort();
    decision.effect = Effect::Deny;
    decision.approvals = 0;
    decision.violations = violations;
}

#[derive(Serialize)]
struct Review<'a, D> {
    proposal: Cid,
    intent: &'a Payout,
    decision: &'a D,
}

/// What an approver confirms to have seen: SHA-256 over the DAG-CBOR of proposal, intent and decision. `decision` is
/// anything that serialises as a [`Decision`], so that one of another engine version can be checked.
pub fn review_digest<D: Serialize>(proposal: Cid, intent: &Payout, decision: &D) -> Digest {
    // Serialising plain data to memory cannot fail.
    Digest::sha256(&serde_ipld_dagcbor::to_vec(&Review { proposal, intent, decision }).unwrap_or_default())
}

impl Rule for Cancel {
    const REALM: Realm = Realm::Tenant;

    fn run(&self, state: &mut State, cx: &Context<'_>, changes: &mut Changes) -> Result<Outcome, Refusal> {
        let unknown = Refusal::Unknown { field: "proposal", what: "open proposal of this tenant" };
        let tenant = state.tenant(&cx.subject).ok_or(Refusal::Subject { expected: "a tenant of this log" })?;
        let mut through = cx.authority.hops.iter().filter(|h| tenant.installations.contains_key(&h.audience));
        let proposal = state.proposal(&self.proposal).filter(|p| p.tenant == cx.subject).ok_or(unknown)?;
        if through.any(|h| h.audience != proposal.installation) {
            return Err(Refusal::not_entitled("args.proposal", "a plugin cancels its own proposals only"));
        }
        check_control_plane(state, cx.authority, proposal.installation, cx.at)?;
        changes.push(Change::Mention(self.proposal));
        if !proposal.is_approved() {
            state.settle(self.proposal, Status::Cancelled, changes);
            return Ok(Outcome::Accepted);
        }
        let mark = |p: &mut Proposal| match p.execution_mut() {
            Some(execution) if !execution.cancelled => {
                execution.cancelled = true;
                true
            }
            _ => false,
        };
        if state.with_proposal(self.proposal, mark) != Some(true) {
            return Err(Refusal::conflict("proposal", "it is cancelled already"));
        }
        changes.push(Change::Status(self.proposal, Status::Cancelled));
        Ok(Outcome::Accepted)
    }
}
