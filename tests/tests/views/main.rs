//! Signers whose control plane shows each of them another part of the log: what one of them has seen, no quorum signs
//! past, and no participant can hold up the others with a lie.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

mod administering;
mod asking;
mod chain;
mod freezing;
mod halting;
mod hidden;
mod judging;
#[path = "../../../services/relayer/tests/relayer/keys.rs"]
mod keys;
mod plane;
mod poisoning;
mod stage;
