use crate::{Act, Refusal, State, Statement, statement::Realm};
use domain::{Cid, Did, Time};
use imbl::OrdSet;
use serde::Serialize;
use ucan::{Chain, Context, Delegation, Trust, Verified};

/// An invocation lives at most this long: it bounds how long a stolen one is useful and how long its CID is kept.
pub(crate) const MAX_LIFETIME: u64 = 15 * 60;
/// Fewer bytes of nonce could repeat by accident.
const MIN_NONCE: usize = 12;

/// By what right a statement was made: the verified chain, reduced to what later decisions ask about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Authority {
    /// Who signed the statement.
    pub issuer: Did,
    /// The person or service that the subject itself delegated to; people are counted by this key.
    pub principal: Did,
    /// The chain, root first.
    pub hops: Vec<Hop>,
}

impl Authority {
    /// What a verified chain comes to.
    pub fn of(chain: &Chain) -> Self {
        let hop = |d: &Verified<Delegation>| Hop {
            cid: d.cid(),
            issuer: d.issuer(),
            audience: d.audience(),
            expires_at: d.expiration(),
        };
        Self { issuer: chain.issuer(), principal: chain.principal(), hops: chain.hops().iter().map(hop).collect() }
    }

    /// Whether a delegation of the chain has ended.
    pub(crate) fn has_expired(&self, now: Time) -> bool {
        self.hops.iter().any(|h| h.expires_at.is_some_and(|end| end <= now))
    }
}

/// One delegation of a chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hop {
    /// The delegation.
    pub cid: Cid,
    /// Who delegates.
    pub issuer: Did,
    /// To whom.
    pub audience: Did,
    /// When the delegation ends; `None` is never.
    pub expires_at: Option<Time>,
}

/// What has been revoked, by realm.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Revocations {
    /// Realm, delegation, and who revoked it: the realm itself, or an issuer.
    delegations: OrdSet<(Did, Cid, Did)>,
    keys: OrdSet<(Did, Did)>,
}

impl Revocations {
    /// Ends a delegation for a realm, in every chain. False when that is known.
    pub fn end(&mut self, realm: Did, cid: Cid) -> bool {
        self.end_below(realm, cid, realm)
    }

    /// Ends a delegation of a realm in every chain in which `revoker` issued it or one above it. False when that is known.
    pub fn end_below(&mut self, realm: Did, cid: Cid, revoker: Did) -> bool {
        self.delegations.insert((realm, cid, revoker)).is_none()
    }

    /// Ends a key in a realm. False when that is known.
    pub fn end_key(&mut self, realm: Did, key: Did) -> bool {
        self.keys.insert((realm, key)).is_none()
    }

    /// **Invariant:** whoever is none of `issuers`, those of the chain from its root down to `cid`, ends nothing in it, unless the
    /// realm itself speaks. What somebody writes into a chain of their own says nothing about another's.
    fn delegation(&self, realms: [Did; 2], cid: &Cid, issuers: &[Did]) -> bool {
        let ended = |realm: Did| {
            let by = |revoker: Did| self.delegations.contains(&(realm, *cid, revoker));
            by(realm) || issuers.iter().copied().any(by)
        };
        !self.delegations.is_empty() && realms.into_iter().any(ended)
    }

    fn key(&self, realms: [Did; 2], did: &Did) -> bool {
        !self.keys.is_empty() && realms.iter().any(|r| self.keys.contains(&(*r, *did)))
    }

    fn touches_delegation(&self, realms: [Did; 2], hops: &[Hop]) -> bool {
        let issuers: Vec<Did> = hops.iter().map(|h| h.issuer).collect();
        let above = |i: usize| issuers.get(..=i).unwrap_or_default();
        hops.iter().enumerate().any(|(i, h)| self.delegation(realms, &h.cid, above(i)))
    }

    /// Whether a delegation or key of a chain is revoked.
    pub fn touches(&self, realms: [Did; 2], authority: &Authority) -> bool {
        self.key(realms, &authority.issuer)
            || authority.hops.iter().any(|h| self.key(realms, &h.issuer) || self.key(realms, &h.audience))
            || (!self.delegations.is_empty() && self.touches_delegation(realms, &authority.hops))
    }
}

impl State {
    /// Checks everything about a statement that its command has no part in: expiry, nonce, replay, subject, chain.
    pub(crate) fn authorise(&self, statement: &Statement, at: Time) -> Result<(Did, Authority), Refusal> {
        let invocation = statement.invocation();
        self.check_envelope(statement, at)?;
        let subject = invocation.subject();
        let own_revocation =
            matches!(statement.act(), Act::Revoke(r) if r.is_by_issuer()) && invocation.issuer() == subject;
        if !own_revocation {
            self.check_subject(statement.act().realm(), subject)?;
        }
        let realms = [self.operator(), subject];
        let chain = ucan::authorise(
            invocation,
            &|cid| statement.proofs().iter().find(|p| p.cid() == *cid).cloned(),
            &Context {
                now: at,
                clock_tolerance: self.clock_tolerance(),
                audience: self.origin().map(|o| o.sequencer),
                trusted: Trust::Only(&[subject]),
                allow_powerline: false,
                min_nonce: MIN_NONCE,
                revoked_delegation: &|cid, issuers| self.revocations().delegation(realms, cid, issuers),
                revoked_key: &|did| self.revocations().key(realms, did),
            },
        )
        .map_err(Refusal::Unauthorised)?;
        Ok((subject, Authority::of(&chain)))
    }

    /// Whether a delegation or key behind a statement in a tenant's realm has been revoked since.
    pub fn is_revoked(&self, tenant: Did, authority: &Authority) -> bool {
        self.revocations().touches([self.operator(), tenant], authority)
    }

    /// Whether who spoke in a realm still may: nothing that they spoke by is revoked or has expired.
    pub(crate) fn is_standing(&self, realm: Did, authority: &Authority, now: Time) -> bool {
        !authority.has_expired(now) && !self.is_revoked(realm, authority)
    }

    /// Whether a delegation has been revoked in a tenant's realm, by the operator, or by one of `issuers`: those of its
    /// chain, from the root down to its own.
    pub fn is_delegation_revoked(&self, tenant: Did, cid: &Cid, issuers: &[Did]) -> bool {
        self.revocations().delegation([self.operator(), tenant], cid, issuers)
    }

    /// Whether a key has been revoked in a tenant's realm, or by the operator.
    pub fn is_key_revoked(&self, tenant: Did, key: &Did) -> bool {
        self.revocations().key([self.operator(), tenant], key)
    }

    fn check_envelope(&self, statement: &Statement, at: Time) -> Result<(), Refusal> {
        if let Some(seq) = self.seen(&statement.cid()) {
            return Err(Refusal::AlreadyKnown { seq });
        }
        let envelope = |field, detail: &str| Err(Refusal::Envelope { field, detail: detail.to_owned() });
        let latest = at.plus(MAX_LIFETIME).plus(self.clock_tolerance());
        match statement.invocation().expiration() {
            None => envelope("exp", "an invocation must expire; set exp at most 15 minutes ahead"),
            Some(exp) if exp > latest => envelope("exp", "expires too far ahead; set exp at most 15 minutes ahead"),
            Some(_) => Ok(()),
        }
    }

    pub(crate) fn check_subject(&self, realm: Realm, subject: Did) -> Result<(), Refusal> {
        let is_operator = subject == self.operator();
        let is_tenant = self.tenant(&subject).is_some();
        match realm {
            Realm::Operator if !is_operator => Err(Refusal::Subject { expected: "the operator" }),
            Realm::Tenant if !is_tenant => Err(Refusal::Subject { expected: "a tenant of this log" }),
            Realm::Any if !is_operator && !is_tenant => {
                Err(Refusal::Subject { expected: "the operator or a tenant of this log" })
            }
            _ => Ok(()),
        }
    }
}
