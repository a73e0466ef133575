use crate::{Approvals, State};
use domain::{Cid, Did, PluginId, Reason, Time};
use imbl::OrdMap;
use serde::{Deserialize, Serialize, Serializer};

/// What a freeze stops. In the realm of a tenant everything is meant within that tenant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Scope {
    /// Everything in the realm: of the operator the whole log, of a tenant the tenant.
    All,
    /// One tenant; only the operator's realm has others to name.
    Tenant(Did),
    /// One plugin, in every version.
    Plugin(PluginId),
    /// One installation.
    Installation(Did),
    /// One kind of intent, by its command.
    Action(String),
}

/// A freeze in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Freeze {
    /// The statement that set it.
    pub statement: Cid,
    /// Who set it: the root-delegated person.
    pub by: Did,
    /// Why.
    pub reason: Reason,
    /// Since when.
    pub at: Time,
    /// Who has asked to lift it so far, and by what authority, so that it stops counting when that is revoked.
    #[serde(serialize_with = "as_list")]
    pub lifts: Approvals,
}

/// A list, so that a freeze that nobody has asked to lift looks in a state's hash as it always did.
fn as_list<S: Serializer>(lifts: &Approvals, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(lifts.iter())
}

/// All freezes in force, by realm (the subject of the statement that set it) and scope.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Freezes(OrdMap<(Did, Scope), Freeze>);

/// What an intent is asked about when freezes are looked up.
pub(crate) struct Target<'a> {
    pub operator: Did,
    pub tenant: Did,
    pub plugin: &'a PluginId,
    pub installation: Did,
    pub action: &'a str,
}

impl Freezes {
    /// Every freeze in force.
    pub fn iter(&self) -> impl Iterator<Item = (&Did, &Scope, &Freeze)> {
        self.0.iter().map(|((realm, scope), freeze)| (realm, scope, freeze))
    }

    pub(crate) fn get(&self, realm: Did, scope: &Scope) -> Option<&Freeze> {
        self.0.get(&(realm, scope.clone()))
    }

    pub(crate) fn put(&mut self, realm: Did, scope: Scope, freeze: Freeze) {
        self.0.insert((realm, scope), freeze);
    }

    pub(crate) fn remove(&mut self, realm: Did, scope: &Scope) {
        self.0.remove(&(realm, scope.clone()));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The tenant as a whole is frozen.
    pub(crate) fn covers_tenant(&self, t: &Target<'_>) -> bool {
        self.covers_realm(t.operator, t.tenant)
    }

    /// As [`Self::covers_tenant`], for what no intent asks for.
    pub(crate) fn covers_realm(&self, operator: Did, tenant: Did) -> bool {
        [operator, tenant]
            .into_iter()
            .any(|realm| self.has(realm, Scope::All) || self.has(realm, Scope::Tenant(tenant)))
    }

    pub(crate) fn covers_plugin(&self, t: &Target<'_>) -> bool {
        self.either_realm(t, &Scope::Plugin(t.plugin.clone()))
    }

    /// The installation or the kind of intent is frozen.
    pub(crate) fn covers_installation(&self, t: &Target<'_>) -> bool {
        self.either_realm(t, &Scope::Installation(t.installation))
            || self.either_realm(t, &Scope::Action(t.action.to_owned()))
    }

    pub(crate) fn covers(&self, t: &Target<'_>) -> bool {
        !self.is_empty() && (self.covers_tenant(t) || self.covers_plugin(t) || self.covers_installation(t))
    }

    fn either_realm(&self, t: &Target<'_>, scope: &Scope) -> bool {
        self.has(t.operator, scope.clone()) || self.has(t.tenant, scope.clone())
    }

    fn has(&self, realm: Did, scope: Scope) -> bool {
        !self.0.is_empty() && self.0.contains_key(&(realm, scope))
    }
}

impl State {
    /// Those who asked to lift a freeze of a realm and at the last entry still may: nothing that they asked by is
    /// revoked or has expired.
    pub fn standing_lifts<'a>(&'a self, realm: &'a Did, freeze: &'a Freeze) -> impl Iterator<Item = Did> + 'a {
        let standing = freeze.lifts.iter().filter(|(_, a)| self.is_standing(*realm, &a.authority, self.at()));
        standing.map(|(admin, _)| *admin)
    }
}

impl Serialize for Freezes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter())
    }
}
