use alloy_primitives::{Address, U256};
use domain::ChainAmount;

pub(crate) fn address(a: domain::Address) -> Address {
    Address::new(a.0)
}

pub(crate) fn uint(amount: ChainAmount) -> U256 {
    U256::from(amount.get())
}

/// `None` above `u128`, more than the system ever pays.
pub(crate) fn amount(value: U256) -> Option<ChainAmount> {
    let value = u128::try_from(value).ok()?;
    ChainAmount::try_from(value.to_string()).ok()
}
