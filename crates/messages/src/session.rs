//! Bodies of signing sessions between coordinators and signers.

use crate::{Envelope, Hex};
use domain::{Cid, Did, Digest, PluginId, Time};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A FROST ciphersuite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Suite {
    /// FROST(secp256k1, SHA-256): what the contract verifies.
    Secp256k1,
    /// FROST(Ed25519, SHA-512): what is read off chain.
    Ed25519,
}

/// The longest checkpoint note that travels in a session: one signature of the log's key under the longest origin fits.
pub const MAX_CHECKPOINT: usize = 1_024;

/// The most notes that one signer shows in a refusal: the longest that it knows of, and two that contradict each other.
pub const MAX_SHOWN: usize = 3;

/// The most notes in one request: what each of 32 signers has shown before and shows now, and what the coordinator has
/// heard itself. All of them fit into [`crate::MAX_BODY`].
pub const MAX_CHECKPOINTS: usize = 256;

/// What a quorum signature is about. Every signer computes the message from this and its own state.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum SigningSubject {
    /// The authorisation of an approved intent, under secp256k1.
    Intent {
        /// The proposal.
        proposal: Cid,
    },
    /// The authorisation of an approved change of an escrow contract, under secp256k1.
    Administration {
        /// The administration's id.
        administration: Digest,
    },
    /// A checkpoint of the log, under Ed25519. The text travels because one size has a checkpoint for every heartbeat;
    /// each signer holds its root against its own tree and the log's signature against the log's key.
    Checkpoint {
        /// The note with the log's signature.
        note: String,
    },
    /// The test signature of a new key.
    DkgTest {
        /// The key generation.
        ceremony: Digest,
        /// Which of its two keys.
        suite: Suite,
    },
}

impl SigningSubject {
    /// The suite that signs it.
    pub const fn suite(&self) -> Suite {
        match self {
            Self::Intent { .. } | Self::Administration { .. } => Suite::Secp256k1,
            Self::Checkpoint { .. } => Suite::Ed25519,
            Self::DkgTest { suite, .. } => *suite,
        }
    }

    /// SHA-256 of its JSON: names a session, so that what is answered for one subject is good for no other.
    pub fn digest(&self) -> Digest {
        // A map with string keys always has a JSON form.
        Digest::sha256(&serde_json::to_vec(self).unwrap_or_default())
    }
}

/// Body of a request for a commitment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommitRequest {
    /// What is to be signed.
    pub subject: SigningSubject,
    /// The signer's view of the log must hold this entry; it follows up to it first.
    pub min_seq: u64,
    /// What the signer must know of the log before it answers: the longest checkpoint that the coordinator has heard of,
    /// those that other signers show, and any that contradict each other. Notes with the signature of the log's key, at
    /// most [`MAX_CHECKPOINTS`] of at most [`MAX_CHECKPOINT`] bytes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checkpoints: Vec<String>,
}

/// Body of the answer: a commitment to fresh nonces, and how far the signer sees. The coordinator forwards the whole
/// envelope to everyone who signs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommitReply {
    /// Who commits: a FROST identifier.
    pub participant: u16,
    /// The epoch of the key that will sign.
    pub epoch: u64,
    /// The suite of the commitment.
    pub suite: Suite,
    /// Names the commitment.
    pub commitment_id: Digest,
    /// The commitment in frost-core's serialisation.
    pub commitment: Hex,
    /// What it was made for: [`SigningSubject::digest`].
    pub subject: Digest,
    /// The longest checkpoint that the signer knows of, of its own copy of the log or beyond it: a note with the
    /// signature of the log's key and no other, at most [`MAX_CHECKPOINT`] bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<String>,
}

/// Body of a request for a share. It holds no message: the signer computes it itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignRequest {
    /// What is to be signed.
    pub subject: SigningSubject,
    /// The epoch of the key that signs.
    pub epoch: u64,
    /// What everyone who signs has answered to the request for a commitment, as they signed it: a [`CommitReply`] each.
    pub commitments: Vec<Envelope>,
    /// As [`CommitRequest::checkpoints`], with what has been heard since.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checkpoints: Vec<String>,
}

/// Body of the answer: a signature share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignReply {
    /// Whose share it is.
    pub participant: u16,
    /// The share in frost-core's serialisation.
    pub share: Hex,
    /// SHA-256 of the message that this signer computed and signed, for telling a difference from a lie.
    pub message: Digest,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// Why a signer does not sign, as a stable word.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum RefusalCode {
            $($(#[$doc])* #[serde(rename = $text)] $name,)*
        }

        impl RefusalCode {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The stable word.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}
codes! {
    /// The proposal is not approved.
    NotApproved = "not_approved",
    /// Something that covers the proposal is frozen.
    Frozen = "frozen",
    /// The proposal can no longer execute in time.
    Expired = "expired",
    /// The signer's view of the log is older than its lease.
    StaleView = "stale_view",
    /// The signer's log does not reach the entry asked for, or is shorter than what the log's key has signed.
    Behind = "behind",
    /// A participant says it sees a checkpoint that the log's key has not signed.
    BadView = "bad_view",
    /// The signer's log holds no such proposal.
    UnknownProposal = "unknown_proposal",
    /// The signer's log holds no such change of an escrow contract.
    UnknownAdministration = "unknown_administration",
    /// A delegation, key or grant behind the proposal is revoked.
    Revoked = "revoked",
    /// The proposal has executed or is void.
    Settled = "settled",
    /// The escrow contract does not take the change now, by the signer's own RPC endpoint; it may later.
    NotDue = "not_due",
    /// The signer's own RPC endpoint does not say what the escrow contract takes now; it may later.
    ChainUnavailable = "chain_unavailable",
    /// Another digest is locked for this intent, or for this nonce of an escrow contract.
    Conflict = "conflict",
    /// The signer decided differently from the log and has halted.
    Diverged = "diverged",
    /// The signer holds no key of this epoch.
    NoKey = "no_key",
    /// The commitment is not open here.
    UnknownCommitment = "unknown_commitment",
    /// The commitment has signed something else.
    CommitmentUsed = "commitment_used",
    /// The set of commitments is not one of the group.
    BadCommitments = "bad_commitments",
    /// The key generation is unknown here or in another step.
    WrongStep = "wrong_step",
    /// The key generation failed.
    DkgFailed = "dkg_failed",
    /// Too much is being asked at once.
    Busy = "busy",
    /// The signer cannot keep what it must before it signs.
    StorageUnavailable = "storage_unavailable",
}

impl fmt::Display for RefusalCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Body of a signed refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{code}: {detail}")]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// Why, for programs.
    pub code: RefusalCode,
    /// Why, for people.
    pub detail: String,
    /// Participants whose messages prove a fault.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub culprits: Vec<u16>,
    /// The seconds after which asking again makes sense.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// The longest checkpoint that the signer knows of, as in [`CommitReply::checkpoint`], and when it has halted because
    /// the log's key has signed two logs, the notes that show it. At most [`MAX_SHOWN`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checkpoints: Vec<String>,
}

impl Refusal {
    /// A refusal with nothing but its reason.
    pub fn new(code: RefusalCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), culprits: Vec::new(), retry_after: None, checkpoints: Vec::new() }
    }
}

/// The most held freezes that a node's status lists: the longest fit into [`crate::MAX_BODY`] several times, and whoever looks
/// after them takes them one by one.
pub const MAX_FROZEN: usize = 256;

/// Body of what a node says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeStatus {
    /// The node's key.
    pub node: Did,
    /// Its FROST identifier, when it is in the active roster.
    pub participant: Option<u16>,
    /// The epochs of the keys that it holds.
    pub epochs: Vec<u64>,
    /// The active epoch in its view of the log.
    pub active_epoch: Option<u64>,
    /// The last entry that it has verified.
    pub head: Option<u64>,
    /// The time of the newest checkpoint that it has verified.
    pub view_time: Option<Time>,
    /// Whether that is young enough to sign.
    pub fresh: bool,
    /// What is frozen here directly, beyond the log: those that the log can take for the shortest time first, at most
    /// [`MAX_FROZEN`].
    pub frozen: Vec<HeldFreeze>,
    /// How many there are in all.
    pub frozen_count: u64,
    /// Why it has halted, if it has.
    pub halted: Option<String>,
    /// What it shows of the log: as in [`Refusal::checkpoints`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checkpoints: Vec<String>,
    /// How many commitments are open.
    pub open_commitments: u64,
    /// The program's version.
    pub version: String,
}

/// The most bytes of a statement's container: an invocation with the deepest chain of delegations fits several times.
pub const MAX_STATEMENT: usize = 128 * 1024;

/// What a freeze covers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum FreezeScope {
    /// Everything. It has braces because serde would accept unknown fields beside a unit variant's tag.
    All {},
    /// One tenant.
    Tenant {
        /// The tenant.
        tenant: Did,
    },
    /// One plugin in every tenant.
    Plugin {
        /// The plugin.
        plugin: PluginId,
    },
    /// One installation.
    Installation {
        /// The installation.
        installation: Did,
    },
    /// One kind of action.
    Action {
        /// The action's command, such as `/proposal/payout`.
        action: String,
    },
}

/// A freeze that a signer was sent directly and that the log has not taken. Nothing of its realm is signed meanwhile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeldFreeze {
    /// The statement that set it.
    pub statement: Cid,
    /// Who the freeze belongs to: a tenant or the operator.
    pub realm: Did,
    /// What it is meant to stop.
    pub scope: FreezeScope,
    /// Until when the log can take it.
    pub expires_at: Time,
}

/// Body of the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FreezeReply {
    /// The statement that was sent: it is held here, or the log has taken it.
    pub statement: Cid,
    /// Every freeze of the statement's realm that is held here now, beyond the log.
    pub frozen: Vec<HeldFreeze>,
}
