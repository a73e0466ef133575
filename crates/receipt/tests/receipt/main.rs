//! Receipts made from a log with real keys, and receipts forged with them.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs,
    reason = "tests"
)]

mod builder;
mod bytes;
mod counted;
mod forged;
mod honest;
mod market;
mod quorum;
