use crate::fixture::{Node, json, slug};
use futures_util::StreamExt;
use messages::FollowLine;
use std::{collections::VecDeque, time::Duration};

/// The lines of a follow stream.
struct Lines {
    body: std::pin::Pin<Box<dyn futures_util::Stream<Item = reqwest::Result<Vec<u8>>>>>,
    rest: Vec<u8>,
    ready: VecDeque<FollowLine>,
}

impl Lines {
    async fn open(node: &Node, from: u64) -> Self {
        let reader = node.world.reader(&node.world.operator, "/read/log");
        let response = node.get(&format!("/v1/log/follow?from={from}"), &reader).send().await.unwrap();
        assert_eq!(response.status(), 200);
        let body = response.bytes_stream().map(|chunk| chunk.map(|b| b.to_vec()));
        Self { body: Box::pin(body), rest: Vec::new(), ready: VecDeque::new() }
    }

    async fn next(&mut self) -> Option<FollowLine> {
        loop {
            if let Some(line) = self.ready.pop_front() {
                return Some(line);
            }
            let chunk =
                tokio::time::timeout(Duration::from_secs(20), self.body.next()).await.expect("a line in time")?;
            self.rest.extend(chunk.ok()?);
            while let Some(end) = self.rest.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                self.ready.push_back(serde_json::from_slice(&line).unwrap());
            }
        }
    }

    async fn entry(&mut self) -> u64 {
        loop {
            if let FollowLine::Entry(entry) = self.next().await.expect("an entry") {
                return entry.seq;
            }
        }
    }
}

#[tokio::test]
async fn a_follower_gets_what_is_there_and_what_comes() {
    let node = Node::ready(10_000).await;
    let mut lines = Lines::open(&node, 0).await;
    for seq in 0..8 {
        assert_eq!(lines.entry().await, seq);
    }
    assert_eq!(node.propose(&node.world.propose(500)).await.0, 201);
    assert_eq!(lines.entry().await, 8);
    let mut middle = Lines::open(&node, 5).await;
    assert_eq!(middle.entry().await, 5);
    // Proof of life: two heartbeats over the same size, the later one not older.
    let mut times = Vec::new();
    while times.len() < 2 {
        if let Some(FollowLine::Checkpoint(text)) = lines.next().await {
            let note = log::Note::parse(&text).unwrap();
            if note.unverified().size == 9 {
                times.push(note.unverified().time);
            }
        }
    }
    assert!(times[0] <= times[1]);
    // The stream ends with the server, and the server does not wait for it.
    node.stop().await;
    while lines.next().await.is_some() {}
}

#[tokio::test]
async fn a_replica_that_follows_reaches_the_same_root() {
    let node = Node::ready(10_000).await;
    for _ in 0..20 {
        assert_eq!(node.propose(&node.world.propose(10)).await.0, 201);
    }
    let mut lines = Lines::open(&node, 0).await;
    let mut replica = replica::Replica::new(node.world.operator.did);
    let mut known: Vec<ucan::Verified<ucan::Delegation>> = Vec::new();
    loop {
        match lines.next().await.unwrap() {
            FollowLine::Entry(view) => {
                let entry = log::Entry::decode(&view.entry.0).unwrap();
                let tokens: Vec<Vec<u8>> = view.tokens.into_iter().map(|t| t.0).collect();
                let look = |cid: &domain::Cid| known.iter().find(|d| d.cid() == *cid).cloned();
                let (statement, new) = replica::read_statement(view.seq, &entry.stmt, &tokens, &look).unwrap();
                known.extend(new);
                replica.follow(&view.entry.0, &statement).unwrap();
            }
            FollowLine::Checkpoint(text) => {
                let note = log::Note::parse(&text).unwrap();
                let origin = "log.example.com/test".parse::<log::KeyName>().unwrap();
                let key = log::NoteKey::new(origin.clone(), &node.world.sequencer.did).unwrap();
                let checkpoint = note.verify(&origin, &[key]).unwrap();
                if checkpoint.size == 28 {
                    assert_eq!(checkpoint.root, replica.tree().root());
                    break;
                }
            }
        }
    }
    node.stop().await;
}

#[tokio::test]
async fn more_followers_than_fit_are_told_to_come_back_and_get_a_place_once_one_leaves() {
    let node = Node::with(|config| config.limits.followers = 1).await;
    node.setup(1_000, 10_000).await;
    let mut first = Lines::open(&node, 0).await;
    assert_eq!(first.entry().await, 0);
    let reader = node.world.reader(&node.world.operator, "/read/log");
    let (status, body) = json(node.get("/v1/log/follow", &reader)).await;
    assert_eq!((status, slug(&body)), (503, "overloaded"), "{body}");
    // The one that was there goes on.
    assert_eq!(first.entry().await, 1);
    drop(first);
    let later = async {
        while node.get("/v1/log/follow", &reader).send().await.unwrap().status() != 200 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), later).await.expect("a place");
    node.stop().await;
}
