use crate::{Address, ChainAmount, ChainId, Digest, Time};
use serde::{Deserialize, Serialize};

/// Where an authorisation is valid: the variable part of the EIP-712 domain of one escrow contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EscrowDomain {
    /// The chain that the contract is deployed on.
    pub chain: ChainId,
    /// The contract's address.
    pub contract: Address,
}

/// What the quorum signs for a payout: the fields of the escrow contract's EIP-712 struct `Payout`, in chain units.
///
/// It is plain data. That the ledger allows it is said by the ledger's `Permit`, never by holding one of these.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PayoutAuthorisation {
    /// The contract that may execute it.
    pub domain: EscrowDomain,
    /// The intent id: SHA-256 of the invocation, the digest inside the proposal's CID.
    pub intent: Digest,
    /// SHA-256 of the installation's DID text.
    pub installation: Digest,
    /// SHA-256 of the order id text.
    pub order: Digest,
    /// Token address, or zero for the native coin.
    pub asset: Address,
    /// Recipients, in the order of the proposal's splits.
    pub recipients: Vec<Address>,
    /// What each recipient gets, in chain units.
    pub amounts: Vec<ChainAmount>,
    /// The contract refuses it after this moment.
    pub valid_until: Time,
    /// The epoch of the group key that signs it.
    pub epoch: u64,
}

/// What the quorum signs to administer an escrow contract: the fields of one of the contract's EIP-712 structs `Thaw`
/// and `SetCap`.
///
/// It is plain data. That the ledger allows it is said by the ledger's `AdministrationPermit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdministrationAuthorisation {
    /// The contract that may execute it.
    pub domain: EscrowDomain,
    /// What changes.
    pub measure: ContractMeasure,
    /// The contract's `nonce()` at execution, which uses it up.
    pub nonce: u64,
    /// The contract refuses it after this moment.
    pub valid_until: Time,
    /// The epoch of the group key that signs it.
    pub epoch: u64,
}

/// A change of an escrow contract, in the contract's terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ContractMeasure {
    /// Lifts the contract's freeze.
    Thaw {
        /// Who may freeze from then on; not the zero address.
        guardian: Address,
    },
    /// Changes an asset's daily cap.
    SetCap {
        /// Token address, or zero for the native coin.
        asset: Address,
        /// The most that may be paid out in one UTC day, in chain units; zero stops the asset.
        cap: ChainAmount,
    },
}
