//! A token that anybody may mint, with six decimals, for demonstrations and tests. Never for value.

use crate::abi::TestUSDC;
use crate::convert::{address, amount, uint};
use crate::{DecodeError, code};
use alloy_sol_types::SolCall;
use domain::{Address, ChainAmount};

/// Creation code of the test token; its constructor takes no arguments.
pub fn creation_code() -> &'static [u8] {
    &code::TOKEN
}

/// Call data of `mint`: gives `to` new tokens, in base units.
pub fn mint_calldata(to: Address, units: ChainAmount) -> Vec<u8> {
    TestUSDC::mintCall { to: address(to), amount: uint(units) }.abi_encode()
}

/// Call data of ERC-20 `approve`, which a depositor sends before `deposit`.
pub fn approve_calldata(spender: Address, units: ChainAmount) -> Vec<u8> {
    TestUSDC::approveCall { spender: address(spender), amount: uint(units) }.abi_encode()
}

/// Call data of ERC-20 `balanceOf`.
pub fn balance_calldata(account: Address) -> Vec<u8> {
    TestUSDC::balanceOfCall { account: address(account) }.abi_encode()
}

/// An account's balance in base units, from what ERC-20 `balanceOf` returned.
pub fn balance(returned: &[u8]) -> Result<ChainAmount, DecodeError> {
    let value =
        TestUSDC::balanceOfCall::abi_decode_returns_validate(returned).map_err(|e| DecodeError::Abi("balanceOf", e))?;
    amount(value).ok_or(DecodeError::Amount)
}
