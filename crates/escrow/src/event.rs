use crate::DecodeError;
use crate::abi::Escrow;
use crate::convert::amount;
use alloy_primitives::B256;
use alloy_sol_types::SolEvent;
use domain::{Address, ChainAmount, Digest};

/// Topic 0 of the event `PayoutExecuted`; topic 1 is the intent.
pub const PAYOUT_EXECUTED_TOPIC: [u8; 32] = Escrow::PayoutExecuted::SIGNATURE_HASH.0;

/// What the contract says when it has executed a payout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayoutExecuted {
    /// The intent id.
    pub intent: Digest,
    /// SHA-256 of the installation's DID text.
    pub installation: Digest,
    /// SHA-256 of the order id text.
    pub order: Digest,
    /// Token address, or zero for the native coin.
    pub asset: Address,
    /// The sum that left the order, in chain units.
    pub total: ChainAmount,
}

impl PayoutExecuted {
    /// Reads a log's topics and data. The caller has checked which contract wrote the log.
    pub fn decode(topics: &[[u8; 32]], data: &[u8]) -> Result<Self, DecodeError> {
        const WHAT: &str = "PayoutExecuted";
        if topics.first() != Some(&PAYOUT_EXECUTED_TOPIC) || topics.len() != 4 {
            return Err(DecodeError::Topic(WHAT));
        }
        let event = Escrow::PayoutExecuted::decode_raw_log_validate(topics.iter().map(B256::from), data)
            .map_err(|e| DecodeError::Abi(WHAT, e))?;
        if event.encode_data() != data {
            return Err(DecodeError::NonCanonical(WHAT));
        }
        Ok(Self {
            intent: Digest::from_bytes(event.intent.0),
            installation: Digest::from_bytes(event.installation.0),
            order: Digest::from_bytes(event.order.0),
            asset: Address(event.asset.into_array()),
            total: amount(event.total).ok_or(DecodeError::Amount)?,
        })
    }
}
