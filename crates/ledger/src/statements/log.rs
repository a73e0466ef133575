use crate::{
    Changes, Origin, Outcome, Refusal, State,
    statement::{Context, ParseError, Realm, Rule},
};
use domain::{Did, Name};
use serde::{Deserialize, Serialize};

/// The only version of the ledger's rules so far.
const VERSION: u64 = 1;
/// The most by which a log lets clocks differ, in seconds: so much later than its end it may take a statement still. More
/// would make expiry meaningless next to lifetimes of minutes.
pub const MAX_CLOCK_TOLERANCE: u64 = 120;

/// Args of `/log/genesis`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Genesis {
    /// The log's name, first line of every checkpoint.
    pub origin: Name,
    /// The control plane's DID: audience of statements and signer of checkpoints.
    pub sequencer: Did,
    /// The control plane's issuer key, which passes grants on.
    pub issuer: Did,
    /// Version of these rules: 1.
    pub ledger: u64,
    /// Seconds by which clocks may differ, 0 ..= 120.
    pub clock_tolerance: u64,
    /// How many distinct admins lift a freeze of the operator's, at least 1.
    pub lift_admins: u8,
}

impl Rule for Genesis {
    const REALM: Realm = Realm::Operator;

    fn check(&self) -> Result<(), ParseError> {
        if self.ledger != VERSION {
            return Err(ParseError::args("ledger", "this version of the ledger is not known; use 1"));
        }
        if self.origin.as_str().chars().any(|c| c.is_whitespace() || c == '+') {
            return Err(ParseError::args("origin", "no spaces and no plus sign: it names keys in checkpoints"));
        }
        if self.clock_tolerance > MAX_CLOCK_TOLERANCE {
            return Err(ParseError::args("clock_tolerance", "at most 120 seconds"));
        }
        if self.lift_admins == 0 {
            return Err(ParseError::args("lift_admins", "at least 1"));
        }
        if self.sequencer == self.issuer {
            return Err(ParseError::args("issuer", "the issuer key and the sequencer key are two keys"));
        }
        Ok(())
    }

    fn run(&self, state: &mut State, cx: &Context<'_>, _: &mut Changes) -> Result<Outcome, Refusal> {
        if state.origin().is_some() || cx.seq != 0 {
            return Err(Refusal::conflict("cmd", "a log has one genesis, its first entry"));
        }
        state.set_origin(Origin {
            name: self.origin.clone(),
            sequencer: self.sequencer,
            issuer: self.issuer,
            clock_tolerance: self.clock_tolerance,
            lift_admins: self.lift_admins,
        });
        Ok(Outcome::Accepted)
    }
}
