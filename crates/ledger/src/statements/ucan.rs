use crate::{
    Changes, InstallationState, Outcome, Refusal, State,
    statement::{Context, ParseError, Realm, Rule},
};
use domain::{Cid, Did, Reason, Time};
use ipld_core::ipld::Ipld;
use serde::{Deserialize, Serialize};
use std::ops::Deref;
use ucan::{Delegation, Parsed, Unverified, Verified};

/// Longer chains are refused at every verification, so nothing longer needs revoking.
const MAX_PATH: usize = 8;
const NOT_THE_LAST: &str = "not the last delegation of the path";

/// Args of `/ucan/revoke`.
///
/// An admin of the tenant (or the operator) revokes anything in its realm. Besides, whoever issued a delegation, or
/// delegated to its issuer, revokes it with an invocation whose subject is itself and with `path`: the delegations from
/// the tenant's root down to the one revoked. That ends it in the chains in which the revoker has such a part, and in no
/// other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revoke {
    /// What ends.
    pub revoke: Revocation,
    /// The delegations from the root to the one revoked, as token bytes; only for a revocation by an issuer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub path: Vec<Ipld>,
    /// Why, for people.
    pub reason: Reason,
}

/// What a revocation ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Revocation {
    /// One delegation, and with it every chain through it.
    Delegation(Cid),
    /// A key: every chain through it, whatever the delegation.
    Key(Did),
    /// The grant of an installation.
    Grant(Did),
}

impl Revoke {
    pub(crate) const fn is_by_issuer(&self) -> bool {
        !self.path.is_empty()
    }

    /// Says why a revocation whose subject is the revoker itself could never be accepted, whatever the signatures of its
    /// path say: checks none. Silent when it may be.
    pub fn refuse(&self, state: &State, revoker: Did, at: Time) -> Result<(), Refusal> {
        if !self.is_by_issuer() {
            return state.check_subject(Self::REALM, revoker);
        }
        let claimed = self.claimed_path().map_err(|e| Refusal::conflict("path", e.to_string()))?;
        let path: Vec<_> = claimed.iter().map(Unverified::claims).collect();
        self.realm_by_path(&path, state, revoker, at).map(drop)
    }

    /// The delegations of the path as they say.
    fn claimed_path(&self) -> Result<Vec<Unverified<Delegation>>, ParseError> {
        let read = |(i, token): (usize, &Ipld)| {
            let wrong = |detail: &str| ParseError::args(format!("path[{i}]"), detail);
            let Ipld::Bytes(bytes) = token else { return Err(wrong("token bytes")) };
            match ucan::parse(bytes) {
                Ok(Parsed::Delegation(delegation)) => Ok(delegation),
                Ok(Parsed::Invocation(_)) => Err(wrong("not a delegation")),
                Err(error) => Err(wrong(&error.to_string())),
            }
        };
        self.path.iter().enumerate().map(read).collect()
    }

    /// The delegations of the path, from the root down to the first whose signature is bad.
    pub(crate) fn open_path(&self) -> Result<Vec<Verified<Delegation>>, ParseError> {
        let open = |(i, claimed): (usize, Unverified<Delegation>)| {
            claimed.verify().map_err(|e| ParseError::args(format!("path[{i}]"), e.to_string()))
        };
        self.claimed_path()?.into_iter().enumerate().map(open).collect()
    }

    /// The realm in which an issuer's own revocation holds: the tenant at the root of the path.
    fn realm_by_path<D: Deref<Target = Delegation>>(
        &self,
        path: &[D],
        state: &State,
        revoker: Did,
        at: Time,
    ) -> Result<Did, Refusal> {
        let (Some(root), Some(last)) = (path.first(), path.last()) else {
            return Err(Refusal::conflict("path", "empty"));
        };
        let realm = root.issuer();
        let aligned = path.iter().zip(path.iter().skip(1)).all(|(a, b)| a.audience() == b.issuer());
        let one_subject = path.iter().all(|d| d.subject() == Some(realm));
        if state.tenant(&realm).is_none() || !aligned || !one_subject {
            return Err(Refusal::conflict("path", "not a chain of delegations from a tenant's root"));
        }
        if last.expiration().is_some_and(|end| end <= at) {
            return Err(Refusal::conflict("path", "the delegation has expired, so nothing is left to revoke"));
        }
        let issuers: Vec<Did> = path.iter().map(|d| d.issuer()).collect();
        let gone = |(i, d): (usize, &D)| {
            let above = issuers.get(..=i).unwrap_or_default();
            state.is_key_revoked(realm, &d.issuer()) || state.is_delegation_revoked(realm, &d.cid(), above)
        };
        if path.iter().enumerate().any(gone) || state.is_key_revoked(realm, &revoker) {
            return Err(Refusal::not_entitled("args.path", "the path is revoked already"));
        }
        if !path.iter().any(|d| d.issuer() == revoker) {
            return Err(Refusal::not_entitled("iss", "only an issuer of the path revokes its end"));
        }
        match self.revoke {
            Revocation::Delegation(cid) if cid == last.cid() => Ok(realm),
            _ => Err(Refusal::conflict("revoke", NOT_THE_LAST)),
        }
    }
}

impl Rule for Revoke {
    const REALM: Realm = Realm::Any;

    fn check(&self) -> Result<(), ParseError> {
        if self.path.len() > MAX_PATH {
            return Err(ParseError::args("path", "at most 8 delegations"));
        }
        self.claimed_path().map(drop)
    }

    fn run(&self, state: &mut State, cx: &Context<'_>, _: &mut Changes) -> Result<Outcome, Refusal> {
        let fresh = match self.revoke {
            Revocation::Delegation(cid) if self.is_by_issuer() => {
                let revoker = cx.authority.issuer;
                let realm = self.realm_by_path(cx.path, state, revoker, cx.at)?;
                state.revocations_mut().end_below(realm, cid, revoker)
            }
            _ if self.is_by_issuer() => return Err(Refusal::conflict("revoke", NOT_THE_LAST)),
            Revocation::Delegation(cid) => state.revocations_mut().end(cx.subject, cid),
            Revocation::Key(did) if did == cx.subject => {
                return Err(Refusal::conflict("revoke", "a root key is replaced, not revoked"));
            }
            Revocation::Key(did) => state.revocations_mut().end_key(cx.subject, did),
            Revocation::Grant(did) => remove_grant(state, cx.subject, did)?,
        };
        if fresh { Ok(Outcome::Accepted) } else { Err(Refusal::conflict("revoke", "it is revoked already")) }
    }
}

fn remove_grant(state: &mut State, realm: Did, did: Did) -> Result<bool, Refusal> {
    let unknown = Refusal::Unknown { field: "revoke.grant", what: "installation" };
    state
        .with_tenant(realm, |t| {
            let installation = t.installations.get_mut(&did).ok_or(unknown)?;
            let fresh = installation.state != InstallationState::Removed;
            installation.state = InstallationState::Removed;
            Ok(fresh)
        })
        .unwrap_or(Err(Refusal::Subject { expected: "a tenant of this log" }))
}
