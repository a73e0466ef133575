use crate::ParticipantId;
use domain::{Did, NodeUrl};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The most participants of one quorum: key generation and signing are quadratic, and a round stays below 100 ms here.
pub const MAX_PARTICIPANTS: usize = 32;
/// FROST with a threshold of one would be an ordinary key.
const MIN_THRESHOLD: u16 = 2;

/// One member of the quorum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Participant {
    /// Its FROST identifier.
    pub id: ParticipantId,
    /// The key that authenticates its messages.
    pub node: Did,
    /// Where it is reached.
    pub url: NodeUrl,
}

/// Who signs in one epoch: any `threshold` of the participants together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Parts", into = "Parts")]
pub struct Roster {
    epoch: u64,
    threshold: u16,
    participants: Vec<Participant>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename = "Roster")]
struct Parts {
    epoch: u64,
    threshold: u16,
    participants: Vec<Participant>,
}

/// Participants do not make a roster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RosterError {
    /// The threshold is below 2 or above the number of participants.
    #[error("a threshold is at least 2 and at most the number of participants")]
    Threshold,
    /// More than [`MAX_PARTICIPANTS`].
    #[error("a roster has at most 32 participants")]
    TooMany,
    /// Two participants share an identifier.
    #[error("participant {0} is listed twice")]
    DuplicateId(ParticipantId),
    /// Two participants share a node key, so one machine would count twice.
    #[error("node {0} is listed twice")]
    DuplicateNode(Did),
}

impl Roster {
    /// The roster of `epoch`; participants are kept in the order of their identifiers.
    pub fn new(epoch: u64, threshold: u16, mut participants: Vec<Participant>) -> Result<Self, RosterError> {
        if participants.len() > MAX_PARTICIPANTS {
            return Err(RosterError::TooMany);
        }
        if threshold < MIN_THRESHOLD || usize::from(threshold) > participants.len() {
            return Err(RosterError::Threshold);
        }
        participants.sort_by_key(|p| p.id);
        let (mut ids, mut nodes) = (BTreeSet::new(), BTreeSet::new());
        for p in &participants {
            if !ids.insert(p.id) {
                return Err(RosterError::DuplicateId(p.id));
            }
            if !nodes.insert(p.node) {
                return Err(RosterError::DuplicateNode(p.node));
            }
        }
        Ok(Self { epoch, threshold, participants })
    }

    /// The number of the key that this roster holds; each rotation has a higher one.
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// How many must sign together (t).
    pub const fn threshold(&self) -> u16 {
        self.threshold
    }

    /// How many there are (n).
    pub fn size(&self) -> u16 {
        u16::try_from(self.participants.len()).unwrap_or(u16::MAX)
    }

    /// Everyone, in the order of their identifiers.
    pub fn participants(&self) -> &[Participant] {
        &self.participants
    }

    /// Everyone's identifiers in order.
    pub fn ids(&self) -> impl Iterator<Item = ParticipantId> + '_ {
        self.participants.iter().map(|p| p.id)
    }

    /// The participant with this identifier.
    pub fn get(&self, id: ParticipantId) -> Option<&Participant> {
        self.participants.iter().find(|p| p.id == id)
    }

    /// The participant whose node key this is.
    pub fn by_node(&self, node: &Did) -> Option<&Participant> {
        self.participants.iter().find(|p| p.node == *node)
    }
}

impl TryFrom<Parts> for Roster {
    type Error = RosterError;

    fn try_from(p: Parts) -> Result<Self, Self::Error> {
        Self::new(p.epoch, p.threshold, p.participants)
    }
}

impl From<Roster> for Parts {
    fn from(r: Roster) -> Self {
        Self { epoch: r.epoch, threshold: r.threshold, participants: r.participants }
    }
}
