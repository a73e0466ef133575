use crate::{Authority, Reservation};
use domain::{Cid, Did, Digest, Payout, PluginId, Time, Version};
use imbl::OrdMap;
use policy::Decision;
use serde::{Deserialize, Serialize};

/// A proposal that policy did not deny and that is neither final nor void: everything that a later decision about it
/// needs. Settled proposals leave the state; the log keeps them.
#[derive(Clone, Debug, Serialize)]
pub struct Proposal {
    /// Its place in the log.
    pub seq: u64,
    /// When it was decided.
    pub at: Time,
    /// The tenant whose money it moves.
    pub tenant: Did,
    /// The installation that it came through.
    pub installation: Did,
    /// The installation's plugin at that time.
    pub plugin: PluginId,
    /// Its version.
    pub version: Version,
    /// The grant that it was made under; a later grant for the same key does not revive it.
    pub grant: Cid,
    /// The intent.
    pub payout: Payout,
    /// What each split gets, in minor units.
    pub parts: Vec<u64>,
    /// What policy decided.
    pub decision: Decision,
    /// What an approver confirms to have seen.
    pub review: Digest,
    /// The budgets held for it.
    pub reservations: Vec<Reservation>,
    /// By what authority it was made.
    pub authority: Authority,
    /// Where it stands.
    pub phase: Phase,
}

/// Approvals of one proposal, by the person: the key that the tenant itself delegated to.
pub type Approvals = OrdMap<Did, Approval>;

/// One person's approval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Approval {
    /// The statement that gave it.
    pub statement: Cid,
    /// By what authority, so that it stops counting when that is revoked.
    pub authority: Authority,
}

/// Where an open proposal stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Waits for `needed` distinct people.
    Review {
        /// How many.
        needed: u8,
        /// Who approved so far.
        approvals: Approvals,
    },
    /// May be signed; may have been executed.
    Approved {
        /// Since when.
        since: Time,
        /// Who approved; empty when policy allowed it outright.
        approvals: Approvals,
        /// What is known of its execution.
        execution: Execution,
    },
}

/// What is known of an approved proposal's execution.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Execution {
    /// What relayers report; a hint for people that moves no budget.
    pub progress: Option<Progress>,
    /// Withdrawn after approval: no signer signs it any more, but one may have done so before.
    pub cancelled: bool,
    /// What each signer saw at its own RPC endpoint.
    pub attestations: OrdMap<Did, Attestation>,
}

/// A relayer's report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Progress {
    /// A node accepted the transaction.
    Submitted {
        /// Its hash.
        transaction: Digest,
    },
    /// A block has it.
    Included {
        /// Its hash.
        transaction: Digest,
        /// The block's number.
        block: u64,
    },
    /// It was included and failed; another try may follow.
    Reverted {
        /// Its hash.
        transaction: Digest,
        /// The block's number.
        block: u64,
    },
}

/// What happened in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Executed, in a final block.
    Final,
    /// Not executed, and a final block is later than `valid_until`: it can no longer happen.
    Void,
}

/// What one signer saw on chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Attestation {
    /// What happened.
    pub verdict: Verdict,
    /// The block that shows it.
    pub block: u64,
    /// The executing transaction, when final.
    pub transaction: Option<Digest>,
    /// The epoch of the quorum that the signer spoke for.
    pub epoch: u64,
    /// The statement that said so.
    pub statement: Cid,
    /// By what right; when any of it is revoked, the word does not count.
    pub authority: Authority,
}

impl Proposal {
    /// Whether the quorum may sign it.
    pub const fn is_approved(&self) -> bool {
        matches!(self.phase, Phase::Approved { .. })
    }

    /// Who approved.
    pub const fn approvals(&self) -> &Approvals {
        match &self.phase {
            Phase::Review { approvals, .. } | Phase::Approved { approvals, .. } => approvals,
        }
    }

    /// What is known of its execution; `None` while people must still approve it.
    pub const fn execution(&self) -> Option<&Execution> {
        match &self.phase {
            Phase::Review { .. } => None,
            Phase::Approved { execution, .. } => Some(execution),
        }
    }

    pub(crate) const fn execution_mut(&mut self) -> Option<&mut Execution> {
        match &mut self.phase {
            Phase::Review { .. } => None,
            Phase::Approved { execution, .. } => Some(execution),
        }
    }
}
