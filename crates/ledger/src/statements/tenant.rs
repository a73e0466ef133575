use crate::{
    Asset, Budgets, Changes, Outcome, Refusal, State, Tenant, TenantPolicy,
    statement::{Context, ParseError, Realm, Rule},
};
use domain::{Did, EscrowDomain, Name};
use imbl::OrdMap;
use ipld_core::ipld::Ipld;
use policy::{Bundle, Engine};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeSet,
    sync::{Arc, LazyLock},
};
use ucan::{Delegation, Verified};

/// A tenant deals in at most this many assets: enough for a marketplace, few enough to read.
const MAX_ASSETS: usize = 64;
/// Deeper than any chain's practical reorganisations.
const MAX_CONFIRMATIONS: u64 = 10_000;

/// Args of `/tenant/create`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Create {
    /// The tenant's root key: the subject of everything in it.
    pub tenant: Did,
    /// Its name.
    pub name: Name,
    /// The assets that it deals in, 1 ..= 64.
    pub assets: Vec<Asset>,
    /// The escrow contract that pays out its orders.
    pub escrow: EscrowDomain,
    /// How many blocks must lie on top of an execution before it counts as final.
    pub confirmations: u64,
    /// How many distinct admins lift a freeze, at least 1.
    pub lift_admins: u8,
    /// The token bytes of the tenant root's delegation of `/proposal` to the control plane's issuer key: the tenant's
    /// consent, and what the issuer narrows for installations.
    pub delegation: Ipld,
}

impl Create {
    fn delegation(&self) -> Result<Verified<Delegation>, ParseError> {
        let Ipld::Bytes(bytes) = &self.delegation else {
            return Err(ParseError::args("delegation", "token bytes"));
        };
        let delegation = ucan::open_delegation(bytes).map_err(|e| ParseError::args("delegation", e.to_string()))?;
        let own = delegation.issuer() == self.tenant && delegation.subject() == Some(self.tenant);
        if !own || delegation.command().as_str() != PROPOSALS {
            return Err(ParseError::args(
                "delegation",
                "the tenant's root delegates /proposal, its own, to the issuer",
            ));
        }
        Ok(delegation)
    }
}

/// What the control plane's issuer key may pass on, and nothing else.
const PROPOSALS: &str = "/proposal";

/// The bundle that every tenant starts with, compiled once.
static DEFAULT_ENGINE: LazyLock<Option<Arc<Engine>>> =
    LazyLock::new(|| Engine::reload(&Bundle::default_payout()).ok().map(Arc::new));

impl Rule for Create {
    const REALM: Realm = Realm::Operator;

    fn check(&self) -> Result<(), ParseError> {
        if !(1..=MAX_ASSETS).contains(&self.assets.len()) {
            return Err(ParseError::args("assets", "1 to 64 assets"));
        }
        let distinct: BTreeSet<_> = self.assets.iter().map(|a| a.asset).collect();
        if distinct.len() != self.assets.len() {
            return Err(ParseError::args("assets", "an asset appears twice"));
        }
        if let Some(i) = self.assets.iter().position(|a| a.asset.chain != self.escrow.chain) {
            return Err(ParseError::args(format!("assets[{i}].asset"), "not on the escrow's chain"));
        }
        if !(1..=MAX_CONFIRMATIONS).contains(&self.confirmations) {
            return Err(ParseError::args("confirmations", "1 to 10000"));
        }
        if self.lift_admins == 0 {
            return Err(ParseError::args("lift_admins", "at least 1"));
        }
        self.delegation().map(|_| ())
    }

    fn run(&self, state: &mut State, _: &Context<'_>, _: &mut Changes) -> Result<Outcome, Refusal> {
        if state.tenant(&self.tenant).is_some() || self.tenant == state.operator() {
            return Err(Refusal::conflict("tenant", "this DID is taken"));
        }
        if state.tenants().any(|(_, t)| t.escrow == self.escrow) {
            return Err(Refusal::conflict("escrow", "another tenant has this contract"));
        }
        let delegation = self.delegation().map_err(|e| Refusal::conflict("delegation", e.to_string()))?;
        if state.origin().is_none_or(|o| o.issuer != delegation.audience()) {
            return Err(Refusal::conflict("delegation", "its audience is not the log's issuer key"));
        }
        let engine = DEFAULT_ENGINE
            .clone()
            .ok_or_else(|| Refusal::conflict("tenant", "the built-in policy bundle does not load"))?;
        let tenant = Tenant {
            name: self.name.clone(),
            escrow: self.escrow,
            confirmations: self.confirmations,
            lift_admins: self.lift_admins,
            assets: self.assets.iter().map(|a| (a.asset, a.clone())).collect(),
            installations: OrdMap::new(),
            recipients: OrdMap::new(),
            orders: OrdMap::new(),
            budgets: Budgets::default(),
            delegation,
            policy: TenantPolicy { engine, statement: None },
        };
        state.put_tenant(self.tenant, tenant);
        Ok(Outcome::Accepted)
    }
}
