//! A log is made by a real control plane and stopped. Then somebody with the database changes it, guards down: every
//! column of every table, a row dropped, two rows swapped, a row made up, the tail cut, an older copy, a fork. Start-up
//! names the table and the first bad entry, and somebody who kept a checkpoint finds it in an export of that database. A
//! signer does the same with its own.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

mod built;
mod database;
mod finds;
mod history;
mod rows;
mod signer;
mod values;

#[allow(dead_code, reason = "the kill test asks more of it")]
#[path = "../kill/payouts.rs"]
mod payouts;
#[allow(dead_code, reason = "the kill test asks more of it")]
#[path = "../kill/system.rs"]
mod system;

use database::Server;

#[test]
fn every_change_to_a_row_is_found_on_sqlite() {
    rows::every_change_is_found(&Server::Sqlite);
}

#[test]
fn every_change_to_a_row_is_found_on_postgres() {
    if let Some(server) = Server::postgres() {
        rows::every_change_is_found(&server);
    }
}

#[test]
fn another_history_is_found_on_sqlite() {
    history::another_history_is_found(&Server::Sqlite);
}

#[test]
fn another_history_is_found_on_postgres() {
    if let Some(server) = Server::postgres() {
        history::another_history_is_found(&server);
    }
}
