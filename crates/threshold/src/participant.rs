use frost_core::{Ciphersuite, Identifier};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The largest identifier: one byte is far above any roster, and fits every index on the wire and on chain.
pub const MAX_PARTICIPANT_ID: u16 = 255;

/// A participant's FROST identifier, 1 ..= 255. JSON: a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct ParticipantId(u16);

/// A number is not a participant's identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a participant's identifier is 1 to 255")]
pub struct ParseParticipantError;

impl ParticipantId {
    /// The identifier `id`.
    pub const fn new(id: u16) -> Result<Self, ParseParticipantError> {
        if id >= 1 && id <= MAX_PARTICIPANT_ID { Ok(Self(id)) } else { Err(ParseParticipantError) }
    }

    /// The number.
    pub const fn get(self) -> u16 {
        self.0
    }

    pub(crate) fn identifier<C: Ciphersuite>(self) -> Result<Identifier<C>, frost_core::Error<C>> {
        self.0.try_into()
    }

    /// The participant whose scalar `identifier` is; `None` for a scalar above 255.
    pub(crate) fn of<C: Ciphersuite>(identifier: &Identifier<C>) -> Option<Self> {
        (1..=MAX_PARTICIPANT_ID).map(Self).find(|id| id.identifier::<C>().is_ok_and(|i| i == *identifier))
    }
}

impl TryFrom<u16> for ParticipantId {
    type Error = ParseParticipantError;

    fn try_from(id: u16) -> Result<Self, Self::Error> {
        Self::new(id)
    }
}

impl From<ParticipantId> for u16 {
    fn from(id: ParticipantId) -> Self {
        id.0
    }
}

impl fmt::Display for ParticipantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
