use crate::abi::{self, Escrow};
use crate::convert::{address, uint};
use crate::digest::signing_hash;
use crate::{GroupKey, Signature};
use alloy_sol_types::SolCall;
use domain::{Address, ChainAmount, EscrowDomain, Time};

/// The quorum's order to change an asset's daily cap: the contract's struct `SetCap`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CapChange {
    /// Token address, or zero for the native coin.
    pub asset: Address,
    /// The most that may be paid out in one UTC day, in chain units, at most [`crate::MAX_CAP`]; zero stops the asset.
    pub cap: ChainAmount,
    /// The contract's `nonce()` at execution.
    pub nonce: u64,
    /// The contract refuses it after this moment.
    pub valid_until: Time,
    /// Epoch of the key that signs it.
    pub epoch: u64,
}

/// The quorum's order to lift a freeze: the contract's struct `Thaw`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thaw {
    /// Who may freeze from then on; not the zero address.
    pub guardian: Address,
    /// The contract's `nonce()` at execution; the freeze has raised it.
    pub nonce: u64,
    /// The contract refuses it after this moment.
    pub valid_until: Time,
    /// Epoch of the key that signs it.
    pub epoch: u64,
}

/// The order to replace the group key, signed by the old and by the new key: the contract's struct `Rotate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// The new key.
    pub key: GroupKey,
    /// The contract's `nonce()` at execution.
    pub nonce: u64,
    /// The contract refuses it after this moment.
    pub valid_until: Time,
    /// Epoch of the old key; the new key's epoch is one more.
    pub epoch: u64,
}

impl CapChange {
    fn to_abi(self) -> abi::SetCap {
        abi::SetCap {
            asset: address(self.asset),
            cap: uint(self.cap),
            nonce: self.nonce,
            validUntil: self.valid_until.unix(),
            epoch: self.epoch,
        }
    }
}

impl Thaw {
    fn to_abi(self) -> abi::Thaw {
        abi::Thaw {
            guardian: address(self.guardian),
            nonce: self.nonce,
            validUntil: self.valid_until.unix(),
            epoch: self.epoch,
        }
    }
}

impl Rotation {
    fn to_abi(self) -> abi::Rotate {
        let (px, py) = self.key.coordinates();
        abi::Rotate { px, py, nonce: self.nonce, validUntil: self.valid_until.unix(), epoch: self.epoch }
    }
}

/// The message that the quorum signs to change a cap (EIP-712).
pub fn set_cap_digest(domain: &EscrowDomain, change: &CapChange) -> [u8; 32] {
    signing_hash(&change.to_abi(), domain)
}

/// The message that the quorum signs to lift a freeze (EIP-712).
pub fn thaw_digest(domain: &EscrowDomain, thaw: &Thaw) -> [u8; 32] {
    signing_hash(&thaw.to_abi(), domain)
}

/// The message that both the old and the new key sign to replace the key (EIP-712).
pub fn rotate_digest(domain: &EscrowDomain, rotation: &Rotation) -> [u8; 32] {
    signing_hash(&rotation.to_abi(), domain)
}

/// Call data of `setCap`.
pub fn set_cap_calldata(change: &CapChange, signature: &Signature) -> Vec<u8> {
    Escrow::setCapCall { c: change.to_abi(), s: signature.to_abi() }.abi_encode()
}

/// Call data of `freeze`, which only the guardian may send.
pub fn freeze_calldata() -> Vec<u8> {
    Escrow::freezeCall {}.abi_encode()
}

/// Call data of `thaw`.
pub fn thaw_calldata(thaw: &Thaw, signature: &Signature) -> Vec<u8> {
    Escrow::thawCall { t: thaw.to_abi(), s: signature.to_abi() }.abi_encode()
}

/// Call data of `rotate`: `signature` is the old key's, `proof` the new key's, over the same digest.
pub fn rotate_calldata(rotation: &Rotation, signature: &Signature, proof: &Signature) -> Vec<u8> {
    Escrow::rotateCall { r: rotation.to_abi(), s: signature.to_abi(), proof: proof.to_abi() }.abi_encode()
}
