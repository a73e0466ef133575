use crate::{KeyError, ParticipantId, SignError};

/// A key generation failed; it cannot go on, only start again without the culprits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("key generation failed: {fault}{}", names(culprits, disagreeing))]
pub struct DkgError {
    /// What went wrong.
    pub fault: DkgFault,
    /// Whose message proves it. Only as good as the authentication of the messages.
    pub culprits: Vec<ParticipantId>,
    /// Who sees something else than this participant, where that alone does not say who lied.
    pub disagreeing: Vec<ParticipantId>,
}

/// What can go wrong in a key generation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DkgFault {
    /// Somebody outside the roster, or this participant where only others speak.
    #[error("a message of somebody who does not take part")]
    Stranger,
    /// A message is missing.
    #[error("a message is missing")]
    Missing,
    /// Bytes are not a package of the suite, or its polynomial has the wrong degree.
    #[error("a malformed package")]
    Malformed,
    /// This participant's own package came back different.
    #[error("this participant's own package was altered on the way")]
    Altered,
    /// Participants hold different first packages.
    #[error("participants received different first packages")]
    EchoesDiffer,
    /// The sender does not know the secret behind its package.
    #[error("a false proof of knowledge")]
    ProofOfKnowledge,
    /// A secret share does not fit the sender's first package.
    #[error("a secret share that does not fit its sender's first package")]
    SecretShare,
    /// Participants computed different group keys.
    #[error("participants computed different group keys")]
    KeysDiffer,
    /// The test signature is missing or wrong.
    #[error("the test signature is not valid: {0}")]
    Test(String),
    /// The computed key is not usable.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// FROST refused for a reason that names nobody.
    #[error("FROST refused: {0}")]
    Frost(String),
}

fn names(culprits: &[ParticipantId], disagreeing: &[ParticipantId]) -> String {
    let list = |ids: &[ParticipantId]| ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match (culprits.is_empty(), disagreeing.is_empty()) {
        (false, _) => format!(" (participant {})", list(culprits)),
        (true, false) => format!(" (differs at participant {})", list(disagreeing)),
        (true, true) => String::new(),
    }
}

impl DkgError {
    pub(crate) fn of(fault: DkgFault, culprits: impl IntoIterator<Item = ParticipantId>) -> Self {
        Self { fault, culprits: culprits.into_iter().collect(), disagreeing: Vec::new() }
    }

    pub(crate) const fn disagreement(fault: DkgFault, disagreeing: Vec<ParticipantId>) -> Self {
        Self { fault, culprits: Vec::new(), disagreeing }
    }
}

impl From<KeyError> for DkgError {
    fn from(e: KeyError) -> Self {
        Self::of(e.into(), [])
    }
}

impl From<SignError> for DkgError {
    fn from(e: SignError) -> Self {
        Self::of(DkgFault::Test(e.to_string()), [])
    }
}

impl<C: frost_core::Ciphersuite> From<frost_core::Error<C>> for DkgError {
    fn from(e: frost_core::Error<C>) -> Self {
        let culprits = e.culprits().iter().filter_map(ParticipantId::of).collect::<Vec<_>>();
        let fault = match e {
            frost_core::Error::InvalidProofOfKnowledge { .. } => DkgFault::ProofOfKnowledge,
            frost_core::Error::InvalidSecretShare { .. } => DkgFault::SecretShare,
            other => DkgFault::Frost(other.to_string()),
        };
        Self::of(fault, culprits)
    }
}
