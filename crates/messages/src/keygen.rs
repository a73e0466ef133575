//! Bodies of a key generation. A coordinator forwards every node's signed answer to all the others, so that it can
//! delay a key generation and not change it.

use crate::{Envelope, Hex};
use domain::{Did, Digest, NodeUrl};
use serde::{Deserialize, Serialize};

/// One participant of a key generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DkgParticipant {
    /// The FROST identifier, 1 ..= 255.
    pub id: u16,
    /// The node's key.
    pub node: Did,
    /// Where it is reached.
    pub url: NodeUrl,
}

/// Request of `/v1/dkg/begin`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DkgBegin {
    /// A fresh random id of this attempt.
    pub ceremony: Digest,
    /// The epoch of the keys to be made.
    pub epoch: u64,
    /// How many must sign together.
    pub threshold: u16,
    /// Everyone.
    pub participants: Vec<DkgParticipant>,
}

/// Answer of `/v1/dkg/begin`: broadcast.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DkgRound1Reply {
    /// The attempt.
    pub ceremony: Digest,
    /// Who made the packages.
    pub participant: u16,
    /// First package of FROST(secp256k1, SHA-256).
    pub secp256k1: Hex,
    /// First package of FROST(Ed25519, SHA-512).
    pub ed25519: Hex,
    /// A fresh X25519 public key, 32 bytes, to which the others seal their second packages.
    pub sealing_key: Hex,
}

/// Request of `/v1/dkg/round1`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DkgRound1 {
    /// The attempt.
    pub ceremony: Digest,
    /// Everyone's [`DkgRound1Reply`], as signed.
    pub replies: Vec<Envelope>,
}

/// Answer of `/v1/dkg/round1`: broadcast.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DkgEcho {
    /// The attempt.
    pub ceremony: Digest,
    /// Who echoes.
    pub participant: u16,
    /// Digest over all first packages as received.
    pub echo: Digest,
    /// Digest over all sealing keys as received, in the order of identifiers.
    pub sealing_keys: Digest,
}

/// Request of `/v1/dkg/round2`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DkgRound2 {
    /// The attempt.
    pub ceremony: Digest,
    /// Everyone's [`DkgEcho`], as signed.
    pub echoes: Vec<Envelope>,
}

/// One sealed second package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DkgSealed {
    /// For whom.
    pub to: u16,
    /// The sealed bytes.
    pub sealed: Hex,
}

/// Answer of `/v1/dkg/round2`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DkgRound2Reply {
    /// The attempt.
    pub ceremony: Digest,
    /// Who made the packages.
    pub participant: u16,
    /// One for each of the others.
    pub packages: Vec<DkgSealed>,
}

/// Request of `/v1/dkg/finish`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DkgFinish {
    /// The attempt.
    pub ceremony: Digest,
    /// Everyone else's [`DkgRound2Reply`], as signed.
    pub replies: Vec<Envelope>,
}

/// The verifying keys of both suites.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DkgGroupKeys {
    /// 33 bytes SEC1 compressed.
    pub secp256k1: Hex,
    /// 32 bytes of RFC 8032.
    pub ed25519: Hex,
}

/// Answer of `/v1/dkg/finish`: broadcast.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DkgConfirmed {
    /// The attempt.
    pub ceremony: Digest,
    /// Who confirms.
    pub participant: u16,
    /// Digest over both public key packages.
    pub confirmation: Digest,
    /// The keys, for people and registration.
    pub group_keys: DkgGroupKeys,
    /// The public packages of both suites in stored form, which a coordinator needs in order to verify shares.
    pub packages: DkgGroupKeys,
}

/// Request of `/v1/dkg/confirm`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DkgConfirm {
    /// The attempt.
    pub ceremony: Digest,
    /// Everyone's [`DkgConfirmed`], as signed.
    pub confirmations: Vec<Envelope>,
}

/// Request of `/v1/dkg/accept`: the group's signature of both keys over their test messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DkgAccept {
    /// The attempt.
    pub ceremony: Digest,
    /// 65 bytes, compressed R ‖ z.
    pub secp256k1: Hex,
    /// 64 bytes of RFC 8032.
    pub ed25519: Hex,
}

/// Answer of `/v1/dkg/confirm` and `/v1/dkg/accept`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DkgAccepted {
    /// The attempt.
    pub ceremony: Digest,
    /// Who agrees.
    pub participant: u16,
    /// Whether the keys are stored and may be used.
    pub usable: bool,
}
