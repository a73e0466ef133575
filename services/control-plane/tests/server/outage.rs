//! A database that does not answer, and more requests than fit.

use crate::fixture::{Node, answer, database, json, slug};
use reqwest::Method;
use rusqlite::Connection;

/// Holds the database's only write lock until dropped.
pub fn block(node: &Node) -> Connection {
    let connection = Connection::open(database(&node.folder)).unwrap();
    connection.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
    connection.execute_batch("begin immediate").unwrap();
    connection
}

#[tokio::test]
async fn a_database_that_cannot_be_written_to_loses_nothing_and_stops_no_reads() {
    let node = Node::ready(10_000).await;
    let lock = block(&node);
    let proposal = node.world.propose(500);
    let (refused, read) = tokio::join!(node.propose(&proposal), node.read("/v1/tenants"));
    assert_eq!((refused.0, slug(&refused.1)), (503, "unavailable"), "{}", refused.1);
    assert!(refused.1["retry_after"].as_u64().unwrap() > 0);
    assert_eq!(read.0, 200);
    assert_eq!(node.http.get(node.url("/healthz")).send().await.unwrap().status(), 200);
    drop(lock);
    let mut answer = node.propose(&proposal).await;
    while answer.0 == 503 {
        answer = node.propose(&proposal).await;
    }
    assert!(answer.0 == 201 || answer.0 == 200, "{}", answer.1);
    while node.http.get(node.url("/readyz")).send().await.unwrap().status() != 200 {
        tokio::task::yield_now().await;
    }
    assert_eq!(node.size().await, 9);
    node.restart().await.stop().await;
}

/// How many batches have been decided.
async fn decided(node: &Node) -> u64 {
    let metrics = node.http.get(node.url("/metrics")).send().await.unwrap().text().await.unwrap();
    let count = metrics.lines().find_map(|line| line.split_once("decide_seconds_count ")).unwrap();
    count.1.parse().unwrap()
}

async fn wait_until_decided(node: &Node, batches: u64) {
    while decided(node).await < batches {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_was_decided_on_top_of_a_lost_batch_is_decided_again() {
    // The lease is not renewed meanwhile, so that nothing but the batch waits for the lock.
    let node = Node::with(|c| c.limits.lease = 300).await;
    node.setup(1_000, 10_000).await;
    let size = node.size().await;
    let lock = block(&node);
    let (lost, next) = (node.world.propose(500), node.world.propose(400));
    let before = decided(&node).await;
    let later = async {
        wait_until_decided(&node, before + 1).await;
        // In one batch, on top of one that will not be committed: another statement, and the lost one's bytes once more.
        tokio::join!(node.propose(&next), node.propose(&lost))
    };
    let first = async {
        let answer = node.propose(&lost).await;
        drop(lock);
        answer
    };
    let (first, (next, again)) = tokio::join!(first, later);
    assert_eq!((first.0, slug(&first.1)), (503, "unavailable"), "{}", first.1);
    assert_eq!((next.0, again.0), (201, 201), "{} {}", next.1, again.1);
    assert_eq!(node.size().await, size + 2);
    node.restart().await.stop().await;
}

#[tokio::test]
async fn one_issuer_cannot_crowd_out_the_others() {
    let node = Node::with(|c| (c.limits.in_flight, c.limits.in_flight_per_issuer) = (3, 1)).await;
    node.setup(1_000, 10_000).await;
    let lock = block(&node);
    let proposals: Vec<_> = (0..2).map(|_| node.world.propose(10)).collect();
    let send = |n: usize| json(node.http.post(node.url("/v1/proposals")).body(proposals[n].container()));
    let unlock = async {
        // The first to answer is the one that found no turn; then the other may go on.
        let (status, body) = tokio::select! { a = send(0) => a, b = send(1) => b };
        drop(lock);
        (status, body)
    };
    let (status, body) = unlock.await;
    assert_eq!((status, slug(&body)), (429, "rate-limited"), "{body}");
    node.stop().await;
}

#[tokio::test]
async fn more_statements_than_fit_are_told_to_come_back() {
    let node = Node::with(|c| c.limits.in_flight = 1).await;
    node.setup(1_000, 10_000).await;
    let lock = block(&node);
    let proposals: Vec<_> = (0..2).map(|_| node.world.propose(10)).collect();
    let send = |n: usize| node.http.post(node.url("/v1/proposals")).body(proposals[n].container()).send();
    let response = tokio::select! { a = send(0) => a, b = send(1) => b }.unwrap();
    drop(lock);
    let (status, body) = answer(&Method::POST, response).await;
    assert_eq!((status, slug(&body)), (503, "overloaded"), "{body}");
    node.stop().await;
}

async fn in_work(node: &Node) -> u64 {
    let text = node.http.get(node.url("/metrics")).send().await.unwrap().text().await.unwrap();
    let line = text.lines().find_map(|l| l.strip_prefix("countersign_requests_in_flight "));
    line.unwrap().parse().unwrap()
}

#[tokio::test]
async fn who_hangs_up_is_not_counted_as_waiting_for_ever() {
    let node = Node::ready(10_000).await;
    let lock = block(&node);
    let request = node.http.post(node.url("/v1/proposals")).body(node.world.propose(10).container()).send();
    let counted = async { while in_work(&node).await == 0 {} };
    tokio::select! {
        answer = request => panic!("answered while nothing can be written: {answer:?}"),
        () = counted => {}
    }
    // Its connection has gone with it.
    let forgotten = async { while in_work(&node).await > 0 {} };
    tokio::time::timeout(std::time::Duration::from_mins(2), forgotten).await.expect("it is in work no more");
    drop(lock);
    node.stop().await;
}

/// The time in the newest checkpoint, and its size.
async fn newest(node: &Node) -> (u64, u64) {
    let text = node.http.get(node.url("/v1/log/checkpoint")).send().await.unwrap().text().await.unwrap();
    let number = |line: usize| text.lines().nth(line).and_then(|l| l.rsplit(' ').next()?.parse().ok());
    (number(3).unwrap_or(0), number(1).unwrap_or(0))
}

#[tokio::test]
async fn a_checkpoint_that_could_not_be_stored_is_stored_later_though_nothing_else_happens() {
    let node = Node::ready(10_000).await;
    let change = |sql: &str| {
        let connection = Connection::open(database(&node.folder)).unwrap();
        connection.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
        connection.execute_batch(sql).unwrap();
    };
    change("create trigger full before insert on checkpoints begin select raise(abort, 'the disk is full'); end");
    assert_eq!(node.propose(&node.world.propose(500)).await.0, 201);
    let size = node.size().await;
    let (mut published, mut signed) = (None, (0, 0));
    // Published without being stored, and two more heartbeats.
    while published.is_none_or(|first| signed.0 < first + 2) {
        signed = newest(&node).await;
        published = published.or((signed.1 == size).then_some(signed.0));
        tokio::task::yield_now().await;
    }
    let stored = async || {
        let (status, note) = node.read(&format!("/v1/log/checkpoints/{size}")).await;
        status == 200 && note.as_str().is_some_and(|note| note.contains(&format!("\n{size}\n")))
    };
    assert!(!stored().await);
    change("drop trigger full");
    let later = async {
        while !stored().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), later).await.expect("it is tried again");
    assert_eq!(node.size().await, size);
    node.restart().await.stop().await;
}
