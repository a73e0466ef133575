//! What takes longer, or is more, than the service takes on is told so, and the same bytes find out what became of it.

use crate::{
    fixture::{Node, json, slug},
    outage::block,
    reads::second_tenant,
};
use countersign_tests::recipient;
use futures_util::{StreamExt, stream, stream::FuturesUnordered};
use ledger::args;
use reqwest::Body;
use std::{collections::BTreeMap, convert::Infallible, time::Duration};

#[tokio::test]
async fn a_request_that_never_comes_whole_is_told_that_it_takes_too_long() {
    let (world, folder) = Node::ready(10_000).await.stop().await;
    let short = Duration::from_millis(500);
    let node = Node::resume_with(world, folder, |config| {
        (config.limits.commit, config.limits.request) = (short, short);
    });
    let node = node.await.unwrap();
    let whole = node.world.propose(500).container();
    let half = stream::iter([Ok::<_, Infallible>(whole[..whole.len() / 2].to_vec())]).chain(stream::pending());
    let request = node.http.post(node.url("/v1/proposals")).body(Body::wrap_stream(half));
    let (status, body) = tokio::time::timeout(Duration::from_mins(2), json(request)).await.expect("an answer");
    assert_eq!((status, slug(&body)), (503, "unavailable"), "{body}");
    assert!(body["detail"].as_str().unwrap().contains("took too long"), "{body}");
    // Half of it is nothing.
    let node = node.restart().await;
    assert_eq!(node.size().await, 8);
    assert_eq!(node.post("/v1/proposals", whole).await.0, 201);
    node.stop().await;
}

#[tokio::test]
async fn a_commit_that_takes_too_long_has_a_fate_that_the_same_bytes_find_out() {
    let (world, folder) = Node::ready(10_000).await.stop().await;
    // The lease is not renewed meanwhile, so that nothing but the statement waits for the lock.
    let node = Node::resume_with(world, folder, |config| {
        (config.limits.commit, config.limits.lease) = (Duration::from_millis(100), 300);
    });
    let node = node.await.unwrap();
    let lock = block(&node);
    let proposal = node.world.propose(500);
    let (status, body) = node.propose(&proposal).await;
    assert_eq!((status, slug(&body)), (503, "unavailable"), "{body}");
    assert!(body["detail"].as_str().unwrap().contains("not known"), "{body}");
    drop(lock);
    // What waits is committed before the end, unless the machine stood still for so long that the lock was given up.
    let node = node.restart().await;
    let (status, body) = node.propose(&proposal).await;
    assert!(matches!(status, 200 | 201), "{status}: {body}");
    assert_eq!((node.size().await, body["seq"].as_u64()), (9, Some(8)), "{body}");
    assert_eq!(node.propose(&proposal).await, (200, body));
    node.stop().await;
}

#[tokio::test]
async fn more_statements_than_may_wait_are_told_to_come_back() {
    let node = Node::with(|config| {
        (config.limits.queue, config.limits.batch, config.limits.lease) = (1, 1, 300);
    })
    .await;
    node.setup(1_000, 10_000).await;
    let size = node.size().await;
    let lock = block(&node);
    let proposals: Vec<_> = (0..8).map(|_| node.world.propose(10)).collect();
    let send = |n: usize| {
        let sent = node.propose(&proposals[n]);
        async move { (n, sent.await) }
    };
    let mut sent: FuturesUnordered<_> = (0..proposals.len()).map(send).collect();
    // One is being committed, one has been decided and one waits: the others are told at once.
    let mut refused = Vec::new();
    while refused.len() < 5 {
        let (n, (status, body)) = sent.next().await.unwrap();
        assert_eq!((status, slug(&body)), (503, "overloaded"), "{body}");
        assert!(body["detail"].as_str().unwrap().contains("wait for their place"), "{body}");
        refused.push(n);
    }
    drop(lock);
    let rest: Vec<_> = sent.collect().await;
    let written = rest.iter().filter(|(_, (status, _))| *status == 201).count();
    assert_eq!(node.size().await, size + u64::try_from(written).unwrap(), "{rest:?}");
    // Whoever comes back finds a place.
    for n in refused {
        let mut answer = node.propose(&proposals[n]).await;
        while answer.0 == 503 {
            answer = node.propose(&proposals[n]).await;
        }
        assert_eq!(answer.0, 201, "{}", answer.1);
    }
    node.stop().await;
}

/// Looks for what is nowhere, thousands of times, when the total is 7.
fn slow_policy() -> args::Activate {
    let looks = vec!["data.sought in y"; 40].join(", ");
    let source = format!(
        "package payout\nimport rego.v1\ndefault effect := \"deny\"\ndefault approvals := 0\neffect := \"allow\" if \
         count(violation) == 0\nmany := [text | text := data.text; some _ in data.turns; some _ in \
         data.turns]\nviolation contains {{\"code\": \"amount\", \"msg\": \"found\"}} if {{\ninput.total == 7\ny := \
         many\nsome _ in data.turns\nsome _ in [1, 2, 3, 4, 5]\ntrue in [{looks}]\n}}\n"
    );
    let text = "x".repeat(60);
    let data = serde_json::json!({ "turns": vec![0; 55], "sought": format!("{text}1"), "text": format!("{text}2") });
    let modules = BTreeMap::from([("payout/payout.rego".to_owned(), source)]);
    countersign_tests::activation(&policy::Bundle::new(modules, data.to_string()).unwrap(), "slow")
}

/// How often it is answered well before somebody owes too much of everybody's time.
async fn until_in_debt(mut ask: impl AsyncFnMut() -> (u16, serde_json::Value)) -> u64 {
    for answered in 0..500 {
        let (status, body) = ask().await;
        if !matches!(status, 200 | 201) {
            assert_eq!((status, slug(&body)), (429, "rate-limited"), "{body}");
            assert!(body["detail"].as_str().unwrap().contains("takes long to decide"), "{body}");
            return answered;
        }
    }
    panic!("it is never too much");
}

#[tokio::test]
async fn a_tenant_whose_policy_takes_long_waits_and_nobody_else() {
    let node = Node::ready(10_000).await;
    let second = second_tenant(&node).await;
    for signed in [
        second.grant(1_000, 10_000),
        second.verify_recipient(recipient(1)),
        second.verify_recipient(recipient(2)),
        second.open_order("order-1", 100_000),
        node.world.by(&node.world.admin, "/policy/activate", &slow_policy()),
    ] {
        let (status, body) = node.state(&signed).await;
        assert_eq!(status, 201, "{body}");
    }
    let size = node.size().await;
    let first = node.world.propose(7);
    let (status, answer) = node.propose(&first).await;
    assert_eq!(status, 201, "{answer}");
    let placed = until_in_debt(async || node.propose(&node.world.propose(7)).await).await;
    assert!(placed > 0, "one may be the machine's fault");
    assert_eq!(node.size().await, size + placed + 1, "what waits is written nowhere");
    // Who asks again for what has its place is answered, and so is everybody else.
    assert_eq!(node.propose(&first).await, (200, answer));
    assert_eq!(node.propose(&second.propose(7)).await.0, 201);
    assert_eq!(node.state(&node.world.open_order("order-2", 5)).await.0, 201);
    // Whoever may only ask has no part in it.
    let question = node.world.propose(7).container();
    until_in_debt(async || node.post("/v1/simulations", question.clone()).await).await;
    node.stop().await;
}
