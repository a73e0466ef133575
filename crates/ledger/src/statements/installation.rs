use super::plugin::check_capabilities;
use crate::{
    Changes, Installation, InstallationState, Limits, Outcome, Refusal, State,
    statement::{Context, ParseError, Realm, Rule},
};
use domain::{Amount, AssetId, Did, PluginId, Reason, Time, Version};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// As many as a tenant has assets.
const MAX_LIMITS: usize = 64;

/// Args of `/installation/grant`. A second grant for the same DID replaces the first; budgets carry over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// The installation's DID.
    pub installation: Did,
    /// The plugin.
    pub plugin: PluginId,
    /// The version consented to.
    pub version: Version,
    /// What it may invoke; no more than its manifest asks for.
    pub capabilities: Vec<String>,
    /// How much it may move, per asset.
    pub limits: Vec<GrantLimit>,
    /// When the grant ends.
    pub expires_at: Time,
}

/// The limits of one asset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantLimit {
    /// The asset.
    pub asset: AssetId,
    /// The most in one payout, in minor units.
    pub max_per_payout: Amount,
    /// The most in one UTC day, in minor units.
    pub daily_total: Amount,
}

impl Rule for Grant {
    const REALM: Realm = Realm::Tenant;

    fn check(&self) -> Result<(), ParseError> {
        check_capabilities(&self.capabilities)?;
        if !(1..=MAX_LIMITS).contains(&self.limits.len()) {
            return Err(ParseError::args("limits", "1 to 64 assets"));
        }
        let distinct: BTreeSet<_> = self.limits.iter().map(|l| l.asset).collect();
        if distinct.len() != self.limits.len() {
            return Err(ParseError::args("limits", "an asset appears twice"));
        }
        if let Some(i) = self.limits.iter().position(|l| l.daily_total < l.max_per_payout) {
            return Err(ParseError::args(format!("limits[{i}].daily_total"), "less than max_per_payout"));
        }
        Ok(())
    }

    fn run(&self, state: &mut State, cx: &Context<'_>, _: &mut Changes) -> Result<Outcome, Refusal> {
        self.check_keys(state, cx)?;
        let version = state
            .plugins()
            .get(&self.plugin)
            .ok_or(Refusal::Unknown { field: "plugin", what: "plugin" })?
            .versions
            .get(&self.version)
            .ok_or(Refusal::Unknown { field: "version", what: "version of this plugin" })?;
        if let Some(more) = self.capabilities.iter().find(|c| !version.capabilities.contains(c)) {
            return Err(Refusal::conflict("capabilities", format!("the manifest does not ask for {more}")));
        }
        let current = state.tenant(&cx.subject).and_then(|t| t.installations.get(&self.installation));
        if current.is_some_and(|i| i.state == InstallationState::Suspended) {
            return Err(Refusal::conflict("installation", "it is suspended; resume or remove it first"));
        }
        if self.expires_at <= cx.at {
            return Err(Refusal::conflict("expires_at", "lies in the past"));
        }
        let installation = Installation {
            plugin: self.plugin.clone(),
            version: self.version.clone(),
            capabilities: self.capabilities.clone(),
            limits: self
                .limits
                .iter()
                .map(|l| (l.asset, Limits { max_per_payout: l.max_per_payout, daily_total: l.daily_total }))
                .collect(),
            granted_at: cx.at,
            expires_at: self.expires_at,
            grant: cx.cid,
            by: cx.authority.principal,
            state: InstallationState::Active,
        };
        let unknown_asset = Refusal::Unknown { field: "limits", what: "asset in the tenant's asset table" };
        let known = |t: &mut crate::Tenant| {
            let ok = installation.limits.keys().all(|a| t.assets.contains_key(a));
            if ok {
                t.installations.insert(self.installation, installation.clone());
            }
            ok
        };
        match state.with_tenant(cx.subject, known) {
            Some(true) => Ok(Outcome::Accepted),
            _ => Err(unknown_asset),
        }
    }
}

impl Grant {
    /// An installation's key is nobody else's: a key that plays two parts could approve its own proposals.
    fn check_keys(&self, state: &State, cx: &Context<'_>) -> Result<(), Refusal> {
        let taken = state.origin().is_some_and(|o| o.issuer == self.installation || o.sequencer == self.installation)
            || self.installation == cx.subject
            || self.installation == state.operator()
            || self.installation == cx.authority.principal
            || self.installation == cx.authority.issuer
            || state.quorum().is_some_and(|q| q.participant(&self.installation).is_some());
        if taken {
            return Err(Refusal::conflict("installation", "this key already has another part"));
        }
        Ok(())
    }
}

macro_rules! transition {
    ($(#[$doc:meta])* $name:ident: $from:pat => $to:ident, $why:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            /// The installation's DID.
            pub installation: Did,
            /// Why, for people.
            pub reason: Reason,
        }

        impl Rule for $name {
            const REALM: Realm = Realm::Tenant;

            fn run(&self, state: &mut State, cx: &Context<'_>, _: &mut Changes) -> Result<Outcome, Refusal> {
                let step = |t: &mut crate::Tenant| {
                    let unknown = Refusal::Unknown { field: "installation", what: "installation" };
                    let installation = t.installations.get_mut(&self.installation).ok_or(unknown)?;
                    match installation.state {
                        $from => {
                            installation.state = InstallationState::$to;
                            Ok(Outcome::Accepted)
                        }
                        _ => Err(Refusal::conflict("installation", $why)),
                    }
                };
                state
                    .with_tenant(cx.subject, step)
                    .unwrap_or(Err(Refusal::Subject { expected: "a tenant of this log" }))
            }
        }
    };
}

transition!(
    /// Args of `/installation/suspend`.
    Suspend: InstallationState::Active => Suspended, "only an active installation can be suspended"
);
transition!(
    /// Args of `/installation/resume`.
    Resume: InstallationState::Suspended => Active, "only a suspended installation can be resumed"
);
transition!(
    /// Args of `/installation/remove`.
    Remove: InstallationState::Active | InstallationState::Suspended => Removed, "it is removed already"
);
