//! A full disk, a lost database and a dead RPC endpoint, under load, with real processes: each is told by readiness and
//! by typed problems, each ends by itself when its cause does, and nothing that was acknowledged is lost.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

mod database;
mod disk;
mod endpoints;
mod load;
mod plane;
mod proxy;
mod second;

#[allow(dead_code, reason = "the kill test asks more of it")]
#[path = "../kill/chain.rs"]
mod chain;
#[allow(dead_code, reason = "the kill test asks more of it")]
#[path = "../kill/payouts.rs"]
mod payouts;
#[allow(dead_code, reason = "the kill test asks more of it")]
#[path = "../kill/system.rs"]
mod system;
