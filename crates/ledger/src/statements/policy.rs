use crate::{
    Changes, Outcome, Refusal, State, TenantPolicy,
    statement::{Context, ParseError, Realm, Rule},
};
use domain::{Digest, Reason};
use policy::{Bundle, Engine};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};

/// Args of `/policy/activate`. The bundle travels whole, so that whoever holds the log holds every policy of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Activate {
    /// The bundle's content address, as its authors tested it.
    pub bundle: Digest,
    /// Rego modules: path to source.
    pub modules: BTreeMap<String, String>,
    /// The data document, as JSON text.
    pub data: String,
    /// Why it changes, for people.
    pub reason: Reason,
}

impl Activate {
    fn bundle(&self) -> Result<Bundle, ParseError> {
        Bundle::new(self.modules.clone(), self.data.clone()).map_err(|e| ParseError::args("modules", e.to_string()))
    }
}

impl Rule for Activate {
    const REALM: Realm = Realm::Tenant;

    fn check(&self) -> Result<(), ParseError> {
        if self.bundle()?.id() != self.bundle {
            return Err(ParseError::args("bundle", "not the content address of these modules and data"));
        }
        Ok(())
    }

    fn run(&self, state: &mut State, cx: &Context<'_>, _: &mut Changes) -> Result<Outcome, Refusal> {
        let bundle = self.bundle().map_err(|e| Refusal::conflict("modules", e.to_string()))?;
        let engine = Engine::load(&bundle).map_err(|e| Refusal::conflict("modules", e.to_string()))?;
        let policy = TenantPolicy { engine: Arc::new(engine), statement: Some(cx.cid) };
        state.with_tenant(cx.subject, |t| t.policy = policy);
        Ok(Outcome::Accepted)
    }
}
