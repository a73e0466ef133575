//! A small world to test in: keys, delegations and statements of an operator, a tenant and everybody in it.
//!
//! Everything is deterministic but the nonces' counter: the same calls in the same order give the same bytes.

#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::panic,
    reason = "a fixture that cannot be built fails the test that asked for it"
)]

mod people;
mod statements;
mod world;

pub use people::{Person, key};
pub use statements::{activation, asset, recipient};
pub use world::{Signed, World};
