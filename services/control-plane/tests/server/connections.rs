//! Connections: more than fit, and one that is held without a request. Sockets of their own, since a client with a pool
//! opens as many as it likes.

use crate::fixture::Node;
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Only a failure waits for so long.
const PATIENCE: Duration = Duration::from_mins(2);

async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("never: {what}"))
}

struct Connection {
    stream: TcpStream,
    seen: Vec<u8>,
}

impl Connection {
    async fn open(node: &Node) -> Self {
        Self { stream: TcpStream::connect(node.server.address()).await.unwrap(), seen: Vec::new() }
    }

    /// Whether the other side still took it.
    async fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok()
    }

    /// Takes what comes up to and with `text`; `None` when the connection ends before.
    async fn until(&mut self, text: &str) -> Option<String> {
        in_time(text, async {
            loop {
                if let Some(at) = self.seen.windows(text.len()).position(|part| part == text.as_bytes()) {
                    let taken = self.seen.drain(..at + text.len()).collect();
                    return Some(String::from_utf8(taken).unwrap());
                }
                self.stream.read_buf(&mut self.seen).await.ok().filter(|n| *n > 0)?;
            }
        })
        .await
    }

    /// The head of the answer to a request; its body is read, too.
    async fn ask(&mut self, request: &[u8]) -> Option<String> {
        if !self.send(request).await {
            return None;
        }
        let head = self.until("\r\n\r\n").await?;
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
        while self.seen.len() < length {
            in_time("the body", self.stream.read_buf(&mut self.seen)).await.ok().filter(|n| *n > 0)?;
        }
        self.seen.drain(..length);
        Some(head)
    }
}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").into_bytes()
}

fn post(path: &str, body: &[u8]) -> Vec<u8> {
    [format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len()).as_bytes(), body].concat()
}

/// A connection on which the log is followed.
async fn follower(node: &Node) -> Connection {
    let reader = node.world.reader(&node.world.operator, "/read/log").text();
    let request = format!("GET /v1/log/follow HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {reader}\r\n\r\n");
    in_time("a stream", async {
        loop {
            let mut connection = Connection::open(node).await;
            // A client that is slow itself is cut off, and tries again.
            if connection.send(request.as_bytes()).await
                && let Some(head) = connection.until("\r\n\r\n").await
            {
                assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
                return connection;
            }
        }
    })
    .await
}

/// The status of an answer on a connection that is open for it alone.
async fn once(node: &Node, request: &[u8]) -> String {
    in_time("an answer", async {
        loop {
            if let Some(head) = Connection::open(node).await.ask(request).await {
                return head;
            }
        }
    })
    .await
}

#[tokio::test]
async fn half_a_head_is_cut_off_and_a_follower_is_not() {
    let node = Node::with(|config| config.limits.head = Duration::from_millis(500)).await;
    let mut follower = follower(&node).await;
    let mut slow = Connection::open(&node).await;
    slow.send(b"POST /v1/proposals HTTP/1.1\r\nhost: x\r\ncontent-le").await;
    assert_eq!(slow.until("HTTP").await, None, "nothing is answered to half a question");
    // The stream began before, and what happens now still reaches it.
    let head = once(&node, &post("/v1/statements", &node.world.genesis().container())).await;
    assert!(head.starts_with("HTTP/1.1 20"), "{head}");
    assert!(follower.until("{\"entry\"").await.is_some(), "the stream goes on");
    drop(follower);
    node.stop().await;
}

#[tokio::test]
async fn connections_beyond_the_limit_are_told_to_come_back_and_a_follower_stays() {
    let node = Node::with(|config| {
        (config.limits.connections, config.limits.head) = (2, Duration::from_hours(1));
    })
    .await;
    let mut follower = follower(&node).await;
    let mut other = Connection::open(&node).await;
    let head = other.ask(&get("/openapi.json")).await.unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    for _ in 0..10 {
        let head = once(&node, &get("/openapi.json")).await;
        assert!(head.starts_with("HTTP/1.1 503 ") && head.contains("\r\nretry-after: 1\r\n"), "{head}");
    }
    let head = once(&node, &get("/readyz")).await;
    assert!(head.starts_with("HTTP/1.1 200 "), "operators see what is the matter: {head}");
    // Who is connected is served, and what they say reaches the follower.
    let head = other.ask(&post("/v1/statements", &node.world.genesis().container())).await.unwrap();
    assert!(head.starts_with("HTTP/1.1 201 "), "{head}");
    assert!(follower.until("{\"entry\"").await.is_some(), "the stream goes on");
    drop(follower);
    in_time("a place that is free again", async {
        while !once(&node, &get("/openapi.json")).await.starts_with("HTTP/1.1 200 ") {
            tokio::task::yield_now().await;
        }
    })
    .await;
    drop(other);
    node.stop().await;
}
