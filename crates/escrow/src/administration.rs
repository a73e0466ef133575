use crate::abi::{self, Escrow};
use crate::convert::{address, amount, uint};
use crate::digest::signing_hash;
use crate::{DecodeError, GroupKey, Signature};
use alloy_sol_types::SolCall;
use domain::{Address, AdministrationAuthorisation, ChainAmount, ContractMeasure, EscrowDomain, Time};

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

/// One of the contract's structs, from what the quorum signs.
enum Order {
    Thaw(Thaw),
    SetCap(CapChange),
}

impl Order {
    fn of(a: &AdministrationAuthorisation) -> Self {
        let AdministrationAuthorisation { nonce, valid_until, epoch, .. } = *a;
        match a.measure {
            ContractMeasure::Thaw { guardian } => Self::Thaw(Thaw { guardian, nonce, valid_until, epoch }),
            ContractMeasure::SetCap { asset, cap } => Self::SetCap(CapChange { asset, cap, nonce, valid_until, epoch }),
        }
    }
}

/// The message that the quorum signs to administer a contract: the EIP-712 digest of the struct that says it.
pub fn administration_digest(authorisation: &AdministrationAuthorisation) -> [u8; 32] {
    match Order::of(authorisation) {
        Order::Thaw(thaw) => thaw_digest(&authorisation.domain, &thaw),
        Order::SetCap(change) => set_cap_digest(&authorisation.domain, &change),
    }
}

/// Call data of `thaw` or `setCap`. The transaction goes to `authorisation.domain.contract` and carries no value.
pub fn administration_calldata(authorisation: &AdministrationAuthorisation, signature: &Signature) -> Vec<u8> {
    match Order::of(authorisation) {
        Order::Thaw(thaw) => thaw_calldata(&thaw, signature),
        Order::SetCap(change) => set_cap_calldata(&change, signature),
    }
}

/// Reads call data of `thaw` or `setCap` back. Call data does not name the contract, so `domain` says where it was
/// sent. Only the exact bytes that [`administration_calldata`] writes are taken.
pub fn decode_administration_calldata(
    domain: EscrowDomain,
    calldata: &[u8],
) -> Result<(AdministrationAuthorisation, Signature), DecodeError> {
    let (authorisation, signature) = if calldata.starts_with(&Escrow::thawCall::SELECTOR) {
        let call = Escrow::thawCall::abi_decode_validate(calldata).map_err(|e| DecodeError::Abi("thaw", e))?;
        let measure = ContractMeasure::Thaw { guardian: Address(call.t.guardian.into_array()) };
        (placed(domain, measure, call.t.nonce, call.t.validUntil, call.t.epoch), call.s)
    } else {
        let call = Escrow::setCapCall::abi_decode_validate(calldata).map_err(|e| DecodeError::Abi("setCap", e))?;
        let cap = amount(call.c.cap).ok_or(DecodeError::Amount)?;
        let measure = ContractMeasure::SetCap { asset: Address(call.c.asset.into_array()), cap };
        (placed(domain, measure, call.c.nonce, call.c.validUntil, call.c.epoch), call.s)
    };
    let signature = Signature::from_abi(&signature).map_err(DecodeError::Curve)?;
    if administration_calldata(&authorisation, &signature) != calldata {
        return Err(DecodeError::NonCanonical("thaw or setCap"));
    }
    Ok((authorisation, signature))
}

const fn placed(
    domain: EscrowDomain,
    measure: ContractMeasure,
    nonce: u64,
    valid_until: u64,
    epoch: u64,
) -> AdministrationAuthorisation {
    AdministrationAuthorisation { domain, measure, nonce, valid_until: Time::from_unix(valid_until), epoch }
}
