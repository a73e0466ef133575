use crate::abi::{self, Escrow};
use crate::convert::{address, amount, uint};
use crate::digest::signing_hash;
use crate::{DecodeError, Signature};
use alloy_primitives::B256;
use alloy_sol_types::SolCall;
use domain::{Address, Digest, EscrowDomain, PayoutAuthorisation, Time};

fn to_abi(a: &PayoutAuthorisation) -> abi::Payout {
    abi::Payout {
        intent: B256::new(*a.intent.as_bytes()),
        installation: B256::new(*a.installation.as_bytes()),
        order: B256::new(*a.order.as_bytes()),
        asset: address(a.asset),
        recipients: a.recipients.iter().copied().map(address).collect(),
        amounts: a.amounts.iter().copied().map(uint).collect(),
        validUntil: a.valid_until.unix(),
        epoch: a.epoch,
    }
}

/// The 32-byte message that the quorum signs for a payout: the EIP-712 digest of the contract's struct `Payout`.
pub fn payout_digest(authorisation: &PayoutAuthorisation) -> [u8; 32] {
    signing_hash(&to_abi(authorisation), &authorisation.domain)
}

/// Call data of `payout`. The transaction goes to `authorisation.domain.contract` and carries no value.
pub fn payout_calldata(authorisation: &PayoutAuthorisation, signature: &Signature) -> Vec<u8> {
    Escrow::payoutCall { p: to_abi(authorisation), s: signature.to_abi() }.abi_encode()
}

/// Reads call data of `payout` back. Call data does not name the contract, so `domain` says where it was sent. Only
/// the exact bytes that [`payout_calldata`] writes are taken.
pub fn decode_payout_calldata(
    domain: EscrowDomain,
    calldata: &[u8],
) -> Result<(PayoutAuthorisation, Signature), DecodeError> {
    let call = Escrow::payoutCall::abi_decode_validate(calldata).map_err(|e| DecodeError::Abi("payout", e))?;
    if call.abi_encode() != calldata {
        return Err(DecodeError::NonCanonical("payout"));
    }
    let signature = Signature::from_abi(&call.s).map_err(DecodeError::Curve)?;
    let p = call.p;
    let amounts: Option<Vec<_>> = p.amounts.into_iter().map(amount).collect();
    let authorisation = PayoutAuthorisation {
        domain,
        intent: Digest::from_bytes(p.intent.0),
        installation: Digest::from_bytes(p.installation.0),
        order: Digest::from_bytes(p.order.0),
        asset: Address(p.asset.into_array()),
        recipients: p.recipients.into_iter().map(|r| Address(r.into_array())).collect(),
        amounts: amounts.ok_or(DecodeError::Amount)?,
        valid_until: Time::from_unix(p.validUntil),
        epoch: p.epoch,
    };
    Ok((authorisation, signature))
}
