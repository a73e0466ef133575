//! The ledger's rules, one test module per part of them.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

mod administrations;
mod approvals;
mod args;
mod budgets;
mod commands;
mod control_plane;
mod envelopes;
mod executions;
mod freezes;
mod permits;
mod refusals;
mod revocations;
mod sequences;
mod snapshots;
mod stage;
