//! A real server on a real database, spoken to over HTTP.

#![expect(clippy::arithmetic_side_effects, reason = "tests")]

mod budget;
mod fixture;
mod follow;
mod happy;
mod input;
mod reads;
mod restart;
mod routes;
mod tamper;
mod tokens;
