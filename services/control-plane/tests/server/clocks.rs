//! Statements are valid in their time, by a clock that may differ from the sender's.

use crate::{
    fixture::{Node, now, slug},
    input::{changed, told},
};
use countersign_tests::Signed;
use serde_json::Value;
use std::time::Duration;

#[tokio::test]
async fn a_hop_that_is_not_valid_yet() {
    let node = Node::ready(10_000).await;
    let size = node.size().await;
    let world = &node.world;
    let mut new = ucan::issue::NewDelegation::new(
        world.installation.did,
        world.tenant.did,
        "/proposal/payout".parse().unwrap(),
        [3_u8; 16],
    );
    new.not_before = Some(now().plus(300));
    new.expiration = Some(now().plus(600));
    let last = ucan::issue::delegate(&world.issuer.key, new).unwrap();
    let answer = node.propose(&world.propose_over(vec![world.tenant_to_issuer(), last], 500)).await;
    assert_eq!(told(&answer), (401, "token-not-yet-valid", Some("nbf"), Some(1)), "{answer:?}");
    assert_eq!(node.size().await, size);
    node.stop().await;
}

/// A proposal over a chain whose last delegation is valid in this time only.
fn valid_from_to(node: &Node, start: domain::Time, end: domain::Time) -> Signed {
    let world = &node.world;
    let (installation, tenant) = (world.installation.did, world.tenant.did);
    let command = "/proposal/payout".parse().unwrap();
    let mut new = ucan::issue::NewDelegation::new(installation, tenant, command, [4_u8; 16]);
    (new.not_before, new.expiration) = (Some(start), Some(end));
    let last = ucan::issue::delegate(&world.issuer.key, new).unwrap();
    world.propose_over(vec![world.tenant_to_issuer(), last], 10)
}

/// Sends what only the service's clock decides about until that clock was in the same second as the one here.
async fn in_one_second(node: &Node, make: impl Fn(domain::Time) -> Signed) -> (u16, Value) {
    let asking = async {
        loop {
            let before = now();
            let answer = node.propose(&make(before)).await;
            if now() == before {
                return answer;
            }
        }
    };
    tokio::time::timeout(Duration::from_mins(2), asking).await.expect("an answer within a second")
}

#[tokio::test]
async fn clocks_may_differ_by_the_tolerance_and_by_no_second_more() {
    let node = Node::ready(100_000).await;
    // As the genesis says.
    let tolerance = 30;
    let from = |now: domain::Time, start: u64| valid_from_to(&node, now.plus(start), now.plus(600));
    let until = |now: domain::Time, past: u64| valid_from_to(&node, now.minus(300), now.minus(past));
    let answer = in_one_second(&node, |now| from(now, tolerance)).await;
    assert_eq!(answer.0, 201, "{answer:?}");
    let answer = in_one_second(&node, |now| until(now, tolerance - 1)).await;
    assert_eq!(answer.0, 201, "{answer:?}");
    let size = node.size().await;
    let answer = in_one_second(&node, |now| until(now, tolerance)).await;
    assert_eq!(told(&answer), (401, "token-expired", Some("exp"), Some(1)), "{answer:?}");
    assert_eq!(node.size().await, size);
    // One that was let in when a second had passed is in the log.
    let answer = in_one_second(&node, |now| from(now, tolerance + 1)).await;
    assert_eq!(told(&answer), (401, "token-not-yet-valid", Some("nbf"), Some(1)), "{answer:?}");
    let size = node.size().await;
    let answer = node.propose(&from(now(), tolerance + 300)).await;
    assert_eq!(told(&answer), (401, "token-not-yet-valid", Some("nbf"), Some(1)), "{answer:?}");
    assert_eq!(node.size().await, size);
    node.stop().await;
}

#[tokio::test]
async fn a_replay_after_expiry_gets_the_first_answer() {
    let node = Node::ready(10_000).await;
    // With 30 seconds of tolerance it is good for some seconds more, which a busy machine may miss.
    let (expiry, proposal, first) = loop {
        let expiry = now().minus(27);
        let proposal = changed(&node, |n| n.expiration = Some(expiry));
        match node.propose(&proposal).await {
            (201, first) => break (expiry, proposal, first),
            (_, body) => assert_eq!(slug(&body), "token-expired"),
        }
    };
    let size = node.size().await;
    // Another of the same age says when it has expired; simulated, it leaves nothing behind.
    let other = changed(&node, |n| n.expiration = Some(expiry)).container();
    while node.post("/v1/simulations", other.clone()).await.0 == 200 {
        tokio::task::yield_now().await;
    }
    assert_eq!(slug(&node.post("/v1/proposals", other).await.1), "token-expired");
    assert_eq!(node.propose(&proposal).await, (200, first));
    assert_eq!(node.size().await, size);
    node.stop().await;
}
