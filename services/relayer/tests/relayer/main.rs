//! The relayer against signers over HTTP that are honest, dead, slow or lying, and against a local chain.
#![allow(
    missing_docs,
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

extern crate countersign_relayer as relayer;

mod administering;
mod appointing;
mod gathering;
mod keys;
mod node;
mod restart;
mod world;
