//! A real server on a real database, spoken to over HTTP.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::items_after_statements,
    clippy::panic,
    clippy::too_many_lines,
    clippy::type_complexity,
    clippy::unwrap_used,
    reason = "tests"
)]

mod budget;
mod cheap;
mod clocks;
mod connections;
mod fixture;
mod follow;
mod happy;
mod input;
mod leading;
mod limits;
mod naming;
mod openapi;
mod outage;
mod pages;
mod reads;
mod restart;
mod routes;
mod schema;
mod starting;
mod tamper;
mod tokens;
