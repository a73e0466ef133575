use crate::{
    Changes, Outcome, Plugin, PluginVersion, Refusal, State,
    facts::PAYOUT_COMMAND,
    statement::{Context, ParseError, Realm, Rule},
};
use domain::{Digest, Name, PluginId, Reason, Version};
use imbl::OrdMap;
use serde::{Deserialize, Serialize};

/// Commands that a plugin may ask for.
pub(super) const CAPABILITIES: [&str; 1] = [PAYOUT_COMMAND];

/// Args of `/plugin/publish`: a manifest, signed by being said by its publisher.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Publish {
    /// The plugin's id.
    pub plugin: PluginId,
    /// This version.
    pub version: Version,
    /// What it does.
    pub description: Reason,
    /// The commands that it asks for, such as `/proposal/payout`.
    pub capabilities: Vec<String>,
    /// Where its code starts.
    pub entry_point: Name,
    /// SHA-256 of its code.
    pub code: Digest,
}

/// Checks a list of capabilities: known, distinct, not empty.
pub(super) fn check_capabilities(capabilities: &[String]) -> Result<(), ParseError> {
    if capabilities.is_empty() || capabilities.len() > CAPABILITIES.len() {
        return Err(ParseError::args("capabilities", format!("one or more of {}", CAPABILITIES.join(", "))));
    }
    for (i, capability) in capabilities.iter().enumerate() {
        if !CAPABILITIES.contains(&capability.as_str()) || capabilities.iter().take(i).any(|c| c == capability) {
            return Err(ParseError::args(
                format!("capabilities[{i}]"),
                format!("unknown or repeated; known are {}", CAPABILITIES.join(", ")),
            ));
        }
    }
    Ok(())
}

impl Rule for Publish {
    const REALM: Realm = Realm::Operator;

    fn check(&self) -> Result<(), ParseError> {
        check_capabilities(&self.capabilities)
    }

    fn run(&self, state: &mut State, cx: &Context<'_>, _: &mut Changes) -> Result<Outcome, Refusal> {
        let publisher = cx.authority.principal;
        if !state.publishers().contains_key(&publisher) {
            let detail = "only a registered publisher publishes";
            // The principal is whom the operator itself delegated to.
            return Err(match cx.authority.hops.as_slice() {
                [] => Refusal::not_entitled("iss", detail),
                _ => Refusal::not_entitled_at(0, "aud", detail),
            });
        }
        let known = state.plugins().get(&self.plugin);
        if known.is_some_and(|p| p.publisher != publisher) {
            return Err(Refusal::not_entitled("args.plugin", format!("{} belongs to another publisher", self.plugin)));
        }
        if known.is_some_and(|p| p.versions.contains_key(&self.version)) {
            return Err(Refusal::conflict("version", "already published; a version never changes"));
        }
        let version = PluginVersion {
            description: self.description.clone(),
            capabilities: self.capabilities.clone(),
            entry_point: self.entry_point.clone(),
            code: self.code,
            statement: cx.cid,
            since: cx.at,
        };
        state
            .plugins_mut()
            .entry(self.plugin.clone())
            .or_insert_with(|| Plugin { publisher, versions: OrdMap::new() })
            .versions
            .insert(self.version.clone(), version);
        Ok(Outcome::Accepted)
    }
}
