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
    /// Loads the bundle as its authors need it: with what it takes for whoever lets it into a log, and nobody asks again.
    pub(crate) fn load(&self) -> Result<Engine, Refusal> {
        Engine::load(&self.bundle().map_err(|e| refused(&e))?).map_err(|e| refused(&e))
    }

    /// Loads the bundle as whoever follows a log needs it.
    fn reload(&self) -> Result<Engine, Refusal> {
        Engine::reload(&self.bundle().map_err(|e| refused(&e))?).map_err(|e| refused(&e))
    }

    fn bundle(&self) -> Result<Bundle, ParseError> {
        Bundle::new(self.modules.clone(), self.data.clone()).map_err(|e| ParseError::args("modules", e.to_string()))
    }
}

fn refused(error: &impl ToString) -> Refusal {
    Refusal::conflict("modules", error.to_string())
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
        let engine = match cx.engine {
            Some(engine) => Arc::clone(engine),
            None => Arc::new(self.reload()?),
        };
        let policy = TenantPolicy { engine, statement: Some(cx.cid) };
        state.with_tenant(cx.subject, |t| t.policy = policy);
        Ok(Outcome::Accepted)
    }
}
