use domain::{Did, NodeUrl};
use serde::{Deserialize, Serialize};

/// The signers of one epoch, how many of them sign together, and the keys that they share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quorum {
    /// Counts key changes, from 1.
    pub epoch: u64,
    /// How many participants sign together, t.
    pub threshold: u16,
    /// All participants, n, by ascending identifier.
    pub participants: Vec<Participant>,
    /// What the DKGs made.
    pub keys: GroupKeys,
    /// The public packages behind the keys, against which every share is verified.
    pub packages: GroupPackages,
}

/// One signer of the quorum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Participant {
    /// The FROST identifier, 1 ..= 255.
    pub id: u16,
    /// The node key that authenticates its requests and attestations.
    pub node: Did,
    /// Where it listens.
    pub url: NodeUrl,
}

/// The group's verifying keys, one per ciphersuite.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupKeys {
    /// FROST(secp256k1, SHA-256): 33-byte compressed point in lower-case hex; authorises on chain.
    pub secp256k1: String,
    /// FROST(Ed25519, SHA-512): cosigns checkpoints.
    pub ed25519: Did,
}

/// The public key packages of both suites in their stored form, lower-case hex: verifying key, every participant's
/// verifying share, t and n.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupPackages {
    /// Of FROST(secp256k1, SHA-256).
    pub secp256k1: String,
    /// Of FROST(Ed25519, SHA-512).
    pub ed25519: String,
}

impl Quorum {
    /// The participant with this node key.
    pub fn participant(&self, node: &Did) -> Option<&Participant> {
        self.participants.iter().find(|p| p.node == *node)
    }
}
