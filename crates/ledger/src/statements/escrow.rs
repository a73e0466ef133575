use crate::{
    Administration, Approval, Approvals, Changes, Measure, Outcome, Refusal, State,
    statement::{Context, ParseError, Realm, Rule},
};
use domain::{Address, Did, Digest, MAX_AMOUNT, Reason, Time};
use serde::{Deserialize, Serialize};

/// Nobody plans a contract's change further ahead, and a forgotten one should not wait for its nonce for long.
const MAX_LIFETIME: u64 = 86_400;
/// What one admin may ask for that others have not joined: it bounds the state and leaves nobody without room.
const MAX_OPEN: usize = 8;
/// What may be approved ahead for one contract, which takes them one after the other: it bounds what is signed for it and
/// not executed yet, and the state.
const MAX_APPROVED: usize = 16;

/// Args of `/escrow/administer`: one admin's word for a change of a tenant's escrow contract. The quorum may sign it
/// when enough distinct admins have said the same: tenant, measure, nonce and end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Administer {
    /// Whose escrow contract changes.
    pub tenant: Did,
    /// What changes.
    pub measure: Measure,
    /// The contract's `nonce()` at execution, below 2^53.
    pub nonce: u64,
    /// The contract refuses it after this moment; at most 24 hours ahead.
    pub valid_until: Time,
    /// Why, for people; others may put it in other words.
    pub reason: Reason,
}

impl Administer {
    /// Names what is asked for: SHA-256 over the canonical encoding of everything but the reason.
    pub fn id(&self) -> Digest {
        let said = ("countersign/escrow/administer", self.tenant, &self.measure, self.nonce, self.valid_until);
        // Serialising plain data to memory cannot fail.
        Digest::sha256(&serde_ipld_dagcbor::to_vec(&said).unwrap_or_default())
    }

    fn check_time(&self, at: Time) -> Result<(), Refusal> {
        if self.valid_until <= at {
            return Err(Refusal::conflict("valid_until", "it has passed"));
        }
        if self.valid_until > at.plus(MAX_LIFETIME) {
            return Err(Refusal::conflict("valid_until", "at most 24 hours ahead"));
        }
        Ok(())
    }

    /// What was asked for before, or the beginning of it.
    fn open(&self, state: &State, cx: &Context<'_>) -> Result<Administration, Refusal> {
        let by = cx.authority.principal;
        if let Some(open) = state.administrations().get(&self.id()) {
            return Ok(open.clone());
        }
        let waiting = |a: &Administration| a.by == by && a.approved_at.is_none();
        if state.administrations().iter().filter(|(_, a)| waiting(a)).count() >= MAX_OPEN {
            return Err(Refusal::conflict("measure", "you have asked for 8 others that nobody has joined yet"));
        }
        Ok(Administration {
            tenant: self.tenant,
            measure: self.measure.clone(),
            nonce: self.nonce,
            valid_until: self.valid_until,
            reason: self.reason.clone(),
            by,
            updated: cx.seq,
            approvals: Approvals::new(),
            approved_at: None,
        })
    }
}

fn check_room(state: &State, tenant: Did) -> Result<(), Refusal> {
    let approved = |a: &Administration| a.tenant == tenant && a.approved_at.is_some();
    if state.administrations().iter().filter(|(_, a)| approved(a)).count() >= MAX_APPROVED {
        return Err(Refusal::conflict("tenant", "16 others of its contract are approved and have not ended"));
    }
    Ok(())
}

impl Rule for Administer {
    const REALM: Realm = Realm::Operator;

    fn check(&self) -> Result<(), ParseError> {
        if self.nonce > MAX_AMOUNT {
            return Err(ParseError::args("nonce", "at most 2^53-1"));
        }
        if matches!(&self.measure, Measure::Thaw { guardian } if *guardian == Address::ZERO) {
            return Err(ParseError::args("measure.thaw.guardian", "the zero address cannot freeze"));
        }
        Ok(())
    }

    fn run(&self, state: &mut State, cx: &Context<'_>, _: &mut Changes) -> Result<Outcome, Refusal> {
        let tenant = state.tenant(&self.tenant).ok_or(Refusal::Unknown { field: "tenant", what: "tenant" })?;
        if self.measure.to_contract(tenant).is_none() {
            return Err(Refusal::conflict("measure", "no asset of the tenant's, or above what the contract can hold"));
        }
        self.check_time(cx.at)?;
        let id = self.id();
        let mut administration = self.open(state, cx)?;
        let approved = |(other, a): (&Digest, &Administration)| {
            *other != id && a.is_under(self.tenant, self.nonce) && a.approved_at.is_some()
        };
        if state.administrations().iter().any(approved) {
            return Err(Refusal::conflict("nonce", "another change under this nonce is approved and has not ended"));
        }
        let approval = Approval { statement: cx.cid, authority: cx.authority.clone() };
        let earlier = administration.approvals.insert(cx.authority.principal, approval);
        // One that is revoked or has expired counts no more, so that its admin may ask again by another delegation.
        if earlier.is_some_and(|e| state.is_standing(cx.subject, &e.authority, cx.at)) {
            return Err(Refusal::conflict("measure", "you have asked for it already; others must"));
        }
        let enough =
            state.standing_admins(&administration, cx.at).count() >= usize::from(state.administration_admins());
        if enough && administration.approved_at.is_none() {
            check_room(state, self.tenant)?;
            administration.approved_at = Some(cx.at);
        }
        administration.updated = cx.seq;
        state.administrations_mut().put(id, administration);
        Ok(Outcome::Accepted)
    }
}
