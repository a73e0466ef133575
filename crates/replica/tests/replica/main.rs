//! Replicas: what is admitted is followed, and nothing else is.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

mod exports;
mod history;
mod random;
mod snapshots;
mod tampering;
