//! Replicas: what is admitted is followed, and nothing else is.

#![allow(clippy::arithmetic_side_effects, reason = "tests")]

mod exports;
mod history;
mod random;
mod snapshots;
mod tampering;
