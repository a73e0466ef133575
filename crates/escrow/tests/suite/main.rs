//! The crate from outside: vectors shared with the contract's own tests, call data both ways, the ABI.
#![expect(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]

mod abi;
mod calldata;
mod curve;
mod quorum;
mod vectors;
