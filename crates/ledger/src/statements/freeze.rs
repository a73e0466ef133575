use crate::{
    Approval, Approvals, Changes, Freeze, Outcome, Refusal, Scope, State, Tenant,
    statement::{Context, ParseError, Realm, Rule},
};
use domain::{Cid, Did, Reason};
use serde::{Deserialize, Serialize};

/// Args of `/freeze/set`. Of several of one scope the newest stands: it takes back what was said for lifting the one before,
/// and no freeze that somebody holds already is refused for another's sake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Set {
    /// What to stop.
    pub scope: Scope,
    /// Why, for people.
    pub reason: Reason,
}

/// Args of `/freeze/lift`: one admin's word; the freeze ends when enough distinct admins have said it of this one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lift {
    /// The scope as it was set.
    pub scope: Scope,
    /// The `/freeze/set` statement that is to end, so that a word kept back never counts against a later freeze.
    pub freeze: Cid,
}

impl Rule for Set {
    const REALM: Realm = Realm::Any;

    fn check(&self) -> Result<(), ParseError> {
        match &self.scope {
            Scope::Action(a) if !super::plugin::CAPABILITIES.contains(&a.as_str()) => {
                Err(ParseError::args("scope.action", "not a kind of intent"))
            }
            _ => Ok(()),
        }
    }

    fn run(&self, state: &mut State, cx: &Context<'_>, _: &mut Changes) -> Result<Outcome, Refusal> {
        if let Scope::Tenant(tenant) = self.scope
            && cx.subject != state.operator()
            && cx.subject != tenant
        {
            return Err(Refusal::not_entitled("args.scope", "a tenant freezes itself, not another"));
        }
        // Nobody who mistypes a name should believe that something has stopped.
        if let Some((field, what)) = unknown(state, cx.subject, &self.scope) {
            return Err(Refusal::Unknown { field, what });
        }
        let freeze = Freeze {
            statement: cx.cid,
            by: cx.authority.principal,
            reason: self.reason.clone(),
            at: cx.at,
            lifts: Approvals::new(),
        };
        state.freezes_mut().put(cx.subject, self.scope.clone(), freeze);
        Ok(Outcome::Accepted)
    }
}

/// What a scope names that does not exist.
fn unknown(state: &State, realm: Did, scope: &Scope) -> Option<(&'static str, &'static str)> {
    let has = |tenant: &Tenant, installation| tenant.installations.contains_key(installation);
    match scope {
        Scope::All | Scope::Action(_) => None,
        Scope::Tenant(tenant) => state.tenant(tenant).is_none().then_some(("scope.tenant", "tenant")),
        Scope::Plugin(plugin) => (!state.plugins().contains_key(plugin)).then_some(("scope.plugin", "plugin")),
        Scope::Installation(did) => {
            let known = match state.tenant(&realm) {
                Some(tenant) => has(tenant, did),
                None => state.tenants().any(|(_, tenant)| has(tenant, did)),
            };
            (!known).then_some(("scope.installation", "installation"))
        }
    }
}

impl Rule for Lift {
    const REALM: Realm = Realm::Any;

    fn run(&self, state: &mut State, cx: &Context<'_>, _: &mut Changes) -> Result<Outcome, Refusal> {
        let needed = state
            .tenant(&cx.subject)
            .map_or_else(|| state.origin().map_or(1, |o| o.lift_admins), |tenant| tenant.lift_admins);
        let mut freeze = state
            .freezes()
            .get(cx.subject, &self.scope)
            .ok_or(Refusal::Unknown { field: "scope", what: "freeze" })?
            .clone();
        if freeze.statement != self.freeze {
            return Err(Refusal::conflict("freeze", format!("the freeze in force was set by {}", freeze.statement)));
        }
        // Whoever has lost the right to lift it since does not count any more, and may ask again by another delegation.
        let standing = freeze.lifts.iter().filter(|(_, a)| state.is_standing(cx.subject, &a.authority, cx.at));
        freeze.lifts = standing.map(|(admin, a)| (*admin, a.clone())).collect();
        let approval = Approval { statement: cx.cid, authority: cx.authority.clone() };
        if freeze.lifts.insert(cx.authority.principal, approval).is_some() {
            return Err(Refusal::conflict("scope", "you have asked to lift it already; others must"));
        }
        if freeze.lifts.len() >= usize::from(needed) {
            state.freezes_mut().remove(cx.subject, &self.scope);
        } else {
            state.freezes_mut().put(cx.subject, self.scope.clone(), freeze);
        }
        Ok(Outcome::Accepted)
    }
}
