use crate::convert::address;
use alloy_primitives::U256;
use alloy_sol_types::{Eip712Domain, SolStruct};
use domain::EscrowDomain;
use std::borrow::Cow;

/// Name in the contract's EIP-712 domain.
const NAME: &str = "Countersign Escrow";
/// Version in the contract's EIP-712 domain.
const VERSION: &str = "1";

fn eip712(domain: &EscrowDomain) -> Eip712Domain {
    Eip712Domain::new(
        Some(Cow::Borrowed(NAME)),
        Some(Cow::Borrowed(VERSION)),
        Some(U256::from(domain.chain.0)),
        Some(address(domain.contract)),
        None,
    )
}

/// The EIP-712 domain separator of one escrow contract; what its `domainSeparator()` returns.
pub fn domain_separator(domain: &EscrowDomain) -> [u8; 32] {
    eip712(domain).separator().0
}

/// EIP-712: `keccak256(0x1901 ‖ domain separator ‖ hashStruct(message))`.
pub(crate) fn signing_hash(message: &impl SolStruct, domain: &EscrowDomain) -> [u8; 32] {
    message.eip712_signing_hash(&eip712(domain)).0
}
