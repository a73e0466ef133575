use crate::{
    Changes, Outcome, Refusal, State,
    statement::{Context, ParseError, Realm, Rule},
};
use domain::{Cid, Reason};
use serde::{Deserialize, Serialize};

/// A signed protocol message fits several times.
const MAX_EVIDENCE_BYTES: usize = 16 * 1024;

/// Args of `/signer/evidence`: what a signer signed or sent that it must not have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// The culprit's identifier in the quorum.
    pub culprit: u16,
    /// The epoch that the identifier belongs to.
    pub epoch: u64,
    /// The proposal that it was about, if it was about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposal: Option<Cid>,
    /// What happened, for people.
    pub reason: Reason,
    /// The culprit's own signed message, as JSON text.
    pub message: String,
}

impl Rule for Evidence {
    const REALM: Realm = Realm::Operator;

    fn check(&self) -> Result<(), ParseError> {
        if self.message.len() > MAX_EVIDENCE_BYTES {
            return Err(ParseError::args("message", "at most 16 KiB"));
        }
        Ok(())
    }

    fn run(&self, state: &mut State, _: &Context<'_>, _: &mut Changes) -> Result<Outcome, Refusal> {
        let quorum = state.quorum().ok_or(Refusal::Unknown { field: "epoch", what: "quorum" })?;
        if quorum.epoch == self.epoch && !quorum.participants.iter().any(|p| p.id == self.culprit) {
            return Err(Refusal::Unknown { field: "culprit", what: "participant of this epoch" });
        }
        if self.epoch > quorum.epoch {
            return Err(Refusal::Unknown { field: "epoch", what: "epoch" });
        }
        Ok(Outcome::Accepted)
    }
}
