//! Key generation, signing and coordination with participants that fail, lie and disagree.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

extern crate countersign_threshold as threshold;

mod cluster;
mod coordination;
mod formats;
mod keygen;
mod signing;
