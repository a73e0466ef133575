use crate::abi::{Cap, Escrow};
use crate::convert::{address, uint};
use crate::{GroupKey, code};
use alloy_sol_types::SolConstructor;
use domain::{Address, ChainAmount};

/// Epoch of the key that a contract is deployed with.
pub const FIRST_EPOCH: u64 = 1;
/// The largest cap in chain units, 2^112−1: the contract packs a cap and a day's spending into one storage slot. That is
/// five quadrillion coins of 18 decimals.
pub const MAX_CAP: u128 = (1 << 112) - 1;

/// What a new escrow contract is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployment {
    /// The quorum's first group key.
    pub key: GroupKey,
    /// Who may freeze; not the zero address.
    pub guardian: Address,
    /// Daily caps (asset, cap in chain units, at most [`MAX_CAP`]). An asset without one is neither taken nor paid.
    pub caps: Vec<(Address, ChainAmount)>,
}

/// Creation code of the escrow contract without constructor arguments, as the pinned compiler writes it.
pub fn creation_code() -> &'static [u8] {
    &code::ESCROW
}

/// Data of the transaction (without recipient) that deploys an escrow contract: creation code, then the arguments.
pub fn deployment_code(deployment: &Deployment) -> Vec<u8> {
    let (px, py) = deployment.key.coordinates();
    let caps = deployment.caps.iter().map(|(asset, cap)| Cap { asset: address(*asset), cap: uint(*cap) }).collect();
    let arguments = Escrow::constructorCall { px, py, firstGuardian: address(deployment.guardian), caps };
    [creation_code(), &arguments.abi_encode()].concat()
}
