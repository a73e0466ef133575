use crate::{
    Changes, Outcome, Publisher, Refusal, State,
    statement::{Context, Realm, Rule},
};
use domain::{Did, Name};
use serde::{Deserialize, Serialize};

/// Args of `/publisher/register`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Register {
    /// The publisher's DID, which signs its manifests.
    pub publisher: Did,
    /// Its name.
    pub name: Name,
}

impl Rule for Register {
    const REALM: Realm = Realm::Operator;

    fn run(&self, state: &mut State, cx: &Context<'_>, _: &mut Changes) -> Result<Outcome, Refusal> {
        if state.publishers().contains_key(&self.publisher) {
            return Err(Refusal::conflict("publisher", "already registered"));
        }
        state.publishers_mut().insert(self.publisher, Publisher { name: self.name.clone(), since: cx.at });
        Ok(Outcome::Accepted)
    }
}
