//! A whole system of real processes is killed again and again, at seeded moments, while a client keeps submitting
//! payouts. Afterwards everything that was acknowledged is in the log, every allowed payout has executed exactly once,
//! recipients have what they were promised to the last unit, the log verifies offline, and no signer has halted.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

mod aftermath;
mod chain;
mod payouts;
mod storm;
mod system;

use payouts::Client;
use storm::Storm;
use system::System;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_and_nothing_is_paid_twice() {
    let seed = storm::seed();
    println!("seed {seed:#018x}; COUNTERSIGN_KILL_SEED repeats its choices");
    let system = System::start().await;
    let client = Client::new(&system).await;
    let mut storm = Storm::new(&system, &client, seed);

    storm.between_acceptance_and_record(storm::Plane::Continues).await;
    storm.rage().await;
    storm.between_acceptance_and_record(storm::Plane::Dies).await;
    let kills: u32 = storm.fallen().values().sum();
    println!("{kills} kills: {:?}; {} payouts acknowledged", storm.fallen(), client.acknowledged().len());
    assert!(kills >= 50 && storm.fallen().len() == system.processes().len(), "{:?}", storm.fallen());

    aftermath::everything_holds(&system, &client).await;
    system.stop().await;
}
