use crate::abi::Escrow;
use crate::convert::{address, amount, uint};
use crate::{CurveError, GroupKey};
use alloy_primitives::B256;
use alloy_sol_types::SolCall;
use domain::{Address, ChainAmount, Digest};

/// Bytes from a chain are not what the contract's ABI says.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Not the ABI encoding of the expected types, or not canonical.
    #[error("not the ABI encoding of {0}")]
    Abi(&'static str, #[source] alloy_sol_types::Error),
    /// Decodes, but encodes differently, such as with bytes left over.
    #[error("not the canonical ABI encoding of {0}")]
    NonCanonical(&'static str),
    /// An amount above 2^128−1, more than the system ever pays.
    #[error("an amount does not fit 128 bits")]
    Amount,
    /// A key or signature that is not one.
    #[error("not a key or signature of the curve")]
    Curve(#[source] CurveError),
    /// The log is another event's, or has another number of topics.
    #[error("not a log of {0}")]
    Topic(&'static str),
}

/// Call data of `deposit`: funds `order` (SHA-256 of the order id text) with `amount` chain units of `asset` (zero
/// address: native coin, which must be sent with the call).
pub fn deposit_calldata(order: &Digest, asset: Address, amount: ChainAmount) -> Vec<u8> {
    Escrow::depositCall { order: B256::new(*order.as_bytes()), asset: address(asset), amount: uint(amount) }
        .abi_encode()
}

/// The contract's views: call data to send with `eth_call`, and how to read what comes back.
pub mod read {
    use super::{Address, B256, ChainAmount, DecodeError, Digest, Escrow, GroupKey, SolCall, address, amount};

    fn decode<C: SolCall>(returned: &[u8], what: &'static str) -> Result<C::Return, DecodeError> {
        C::abi_decode_returns_validate(returned).map_err(|e| DecodeError::Abi(what, e))
    }

    /// Call data of `executed(bytes32)`.
    pub fn executed_calldata(intent: &Digest) -> Vec<u8> {
        Escrow::executedCall { intent: B256::new(*intent.as_bytes()) }.abi_encode()
    }

    /// Whether the intent has been executed, from what `executed(bytes32)` returned.
    pub fn executed(returned: &[u8]) -> Result<bool, DecodeError> {
        decode::<Escrow::executedCall>(returned, "executed")
    }

    /// Call data of `balanceOf(bytes32,address)`.
    pub fn balance_calldata(order: &Digest, asset: Address) -> Vec<u8> {
        Escrow::balanceOfCall { order: B256::new(*order.as_bytes()), asset: address(asset) }.abi_encode()
    }

    /// What an order holds, in chain units, from what `balanceOf` returned.
    pub fn balance(returned: &[u8]) -> Result<ChainAmount, DecodeError> {
        amount(decode::<Escrow::balanceOfCall>(returned, "balanceOf")?).ok_or(DecodeError::Amount)
    }

    /// Call data of `capOf(address)`.
    pub fn cap_calldata(asset: Address) -> Vec<u8> {
        Escrow::capOfCall { asset: address(asset) }.abi_encode()
    }

    /// An asset's daily cap and what has been paid out of it today, from what `capOf` returned.
    pub fn cap(returned: &[u8]) -> Result<(ChainAmount, ChainAmount), DecodeError> {
        let r = decode::<Escrow::capOfCall>(returned, "capOf")?;
        Ok((amount(r.cap).ok_or(DecodeError::Amount)?, amount(r.spent).ok_or(DecodeError::Amount)?))
    }

    /// Call data of `verifyingKey()`.
    pub fn verifying_key_calldata() -> Vec<u8> {
        Escrow::verifyingKeyCall {}.abi_encode()
    }

    /// The current group key, from what `verifyingKey()` returned.
    pub fn verifying_key(returned: &[u8]) -> Result<GroupKey, DecodeError> {
        let bytes = decode::<Escrow::verifyingKeyCall>(returned, "verifyingKey")?;
        let bytes = bytes.as_ref().try_into().map_err(|_| DecodeError::NonCanonical("verifyingKey"))?;
        GroupKey::from_sec1(bytes).map_err(DecodeError::Curve)
    }

    /// Call data of `epoch()`.
    pub fn epoch_calldata() -> Vec<u8> {
        Escrow::epochCall {}.abi_encode()
    }

    /// Epoch of the current key, from what `epoch()` returned.
    pub fn epoch(returned: &[u8]) -> Result<u64, DecodeError> {
        decode::<Escrow::epochCall>(returned, "epoch")
    }

    /// Call data of `nonce()`.
    pub fn nonce_calldata() -> Vec<u8> {
        Escrow::nonceCall {}.abi_encode()
    }

    /// The nonce that the next administrative struct must carry, from what `nonce()` returned.
    pub fn nonce(returned: &[u8]) -> Result<u64, DecodeError> {
        decode::<Escrow::nonceCall>(returned, "nonce")
    }

    /// Call data of `guardian()`.
    pub fn guardian_calldata() -> Vec<u8> {
        Escrow::guardianCall {}.abi_encode()
    }

    /// Who may freeze, from what `guardian()` returned.
    pub fn guardian(returned: &[u8]) -> Result<Address, DecodeError> {
        Ok(Address(decode::<Escrow::guardianCall>(returned, "guardian")?.into_array()))
    }

    /// Call data of `frozen()`.
    pub fn frozen_calldata() -> Vec<u8> {
        Escrow::frozenCall {}.abi_encode()
    }

    /// Whether the contract is frozen, from what `frozen()` returned.
    pub fn frozen(returned: &[u8]) -> Result<bool, DecodeError> {
        decode::<Escrow::frozenCall>(returned, "frozen")
    }
}
