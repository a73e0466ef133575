//! Real sockets: clients that hold connections, more of them than fit, and a server that ends.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "tests")]

use axum::{
    Router,
    body::{Body, Bytes},
    routing::{get, post},
};
use countersign_serving::{Limits, serve};
use futures_util::stream;
use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::{Mutex, mpsc, oneshot},
    task::JoinHandle,
};

/// Only a failure waits for so long.
const PATIENCE: Duration = Duration::from_mins(2);
/// Longer than any test: nothing is cut off for being idle.
const NEVER: Duration = Duration::from_hours(1);
/// Short, so that tests need not wait. A client that is slower itself is cut off, too, and tries again.
const SOON: Duration = Duration::from_millis(250);

async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("never: {what}"))
}

/// A server of which tests hold the other ends.
struct Server {
    address: SocketAddr,
    /// What `/stream` sends.
    lines: mpsc::UnboundedSender<&'static str>,
    /// A request for `/held` is in work.
    begun: mpsc::UnboundedReceiver<()>,
    /// Lets one of them go on.
    release: mpsc::UnboundedSender<()>,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl Server {
    async fn start(connections: usize, head: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (lines, source) = mpsc::unbounded_channel::<&'static str>();
        let (release, released) = mpsc::unbounded_channel();
        let (beginning, begun) = mpsc::unbounded_channel();
        let (source, released) = (Arc::new(Mutex::new(source)), Arc::new(Mutex::new(released)));
        let streamed = move || {
            let source = Arc::clone(&source);
            async move {
                Body::from_stream(stream::unfold(source, |source| async move {
                    let line = source.lock().await.recv().await?;
                    Some((Ok::<_, Infallible>(Bytes::from(line)), source))
                }))
            }
        };
        let held = move || {
            let (beginning, released) = (beginning.clone(), Arc::clone(&released));
            async move {
                beginning.send(()).unwrap();
                released.lock().await.recv().await;
                "held"
            }
        };
        let app = Router::new()
            .route("/", get(|| async { "here" }))
            .route("/", post(|body: Bytes| async move { body.len().to_string() }))
            .route("/healthz", get(|| async { "ok" }))
            .route("/stream", get(streamed))
            .route("/held", get(held));
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async {
            let _ = stopped.await;
        };
        let limits = Limits { connections, head };
        let serving = tokio::spawn(async move { serve(listener, app, &["/healthz"], limits, shutdown).await });
        Self { address, lines, begun, release, stop, serving }
    }

    async fn connect(&self) -> Client {
        Client { stream: TcpStream::connect(self.address).await.unwrap(), seen: Vec::new() }
    }

    /// Sends a request, and gives the connection with the whole answer.
    async fn ask(&self, request: &[u8]) -> (Client, String) {
        in_time("an answer", async {
            loop {
                let mut client = self.connect().await;
                if client.send(request).await
                    && let Some(answer) = client.answer().await
                {
                    return (client, answer);
                }
            }
        })
        .await
    }

    async fn get(&self, path: &str) -> String {
        self.ask(&request(path)).await.1
    }

    /// A connection on which the stream has begun.
    async fn follow(&self) -> Client {
        in_time("a stream", async {
            loop {
                let mut client = self.connect().await;
                if client.send(&request("/stream")).await && client.until("\r\n\r\n").await.is_some() {
                    return client;
                }
            }
        })
        .await
    }

    /// A connection with a request in work.
    async fn hold(&mut self) -> Client {
        in_time("a request in work", async {
            loop {
                let mut client = self.connect().await;
                if !client.send(&request("/held")).await {
                    continue;
                }
                tokio::select! {
                    begun = self.begun.recv() => {
                        begun.unwrap();
                        return client;
                    }
                    () = client.closed() => {}
                }
            }
        })
        .await
    }

    /// Connects, says nothing, and is cut off for it.
    async fn outlast(&self) {
        self.connect().await.closed().await;
    }
}

fn request(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").into_bytes()
}

struct Client {
    stream: TcpStream,
    seen: Vec<u8>,
}

impl Client {
    /// Whether the other side still took it.
    async fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok()
    }

    async fn more(&mut self) -> Option<()> {
        in_time("something to read", self.stream.read_buf(&mut self.seen)).await.ok().filter(|n| *n > 0).map(|_| ())
    }

    /// Takes what has come up to and with `text`; `None` when the connection ends before.
    async fn until(&mut self, text: &str) -> Option<String> {
        loop {
            let found = self.seen.windows(text.len()).position(|part| part == text.as_bytes());
            if let Some(end) = found.and_then(|at| at.checked_add(text.len())) {
                return Some(String::from_utf8(self.seen.drain(..end).collect()).unwrap());
            }
            self.more().await?;
        }
    }

    /// One answer that has a length.
    async fn answer(&mut self) -> Option<String> {
        let head = self.until("\r\n\r\n").await?;
        let length: usize =
            head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
        while self.seen.len() < length {
            self.more().await?;
        }
        let body = String::from_utf8(self.seen.drain(..length).collect()).unwrap();
        Some(format!("{head}{body}"))
    }

    /// Waits until the other side has closed the connection; a reset is an end, too.
    async fn closed(&mut self) {
        while self.more().await.is_some() {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_holds_a_connection_without_a_request_is_cut_off() {
    let server = Server::start(8, SOON).await;
    for start in ["", "G", "GET / HTTP/1.1\r\nhost: x\r\nx-slow: ", "GET / HTTP/1.1\r\nhost: x\r\n"] {
        let mut client = server.connect().await;
        client.send(start.as_bytes()).await;
        client.closed().await;
    }
    // And whoever has had an answer and asks nothing more.
    let (mut client, answer) = server.ask(&request("/")).await;
    assert!(answer.ends_with("\r\n\r\nhere"), "{answer}");
    client.closed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_not_idle_however_long_it_says_nothing() {
    let mut server = Server::start(8, SOON).await;
    let mut follower = server.follow().await;
    for line in ["one", "two", "three"] {
        // Somebody who came later has been cut off for saying nothing.
        server.outlast().await;
        server.lines.send(line).unwrap();
        assert!(follower.until(line).await.is_some(), "cut off before {line}");
    }
    // Nor is a request whose answer takes its time.
    let mut patient = server.hold().await;
    server.outlast().await;
    server.release.send(()).unwrap();
    assert!(patient.answer().await.unwrap().ends_with("held"));
}

#[tokio::test(flavor = "multi_thread")]
async fn more_connections_than_fit_are_told_to_come_back_and_served_once_others_close() {
    let server = Server::start(2, NEVER).await;
    let mut follower = server.follow().await;
    let (mut other, _) = server.ask(&request("/")).await;

    // The limit is reached; who comes now is told when to come back, however often.
    for _ in 0..200 {
        let answer = server.get("/").await;
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert!(answer.contains("\r\nretry-after: 1\r\n"), "{answer}");
        assert!(answer.contains("\r\ncontent-type: application/problem+json\r\n"), "{answer}");
        assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
        assert!(answer.contains("https://countersign.dev/problems/overloaded"), "{answer}");
    }
    // What was sent along is read, so that the answer is not lost.
    let upload =
        [b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n".as_slice(), &vec![b'x'; 100_000]].concat();
    let (mut client, answer) = server.ask(&upload).await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    client.closed().await;
    // Operators still see what is the matter.
    let answer = server.get("/healthz").await;
    assert!(answer.ends_with("\r\n\r\nok"), "{answer}");

    // Those who were there are served as before.
    server.lines.send("still here").unwrap();
    assert!(follower.until("still here").await.is_some());
    assert!(other.send(&request("/")).await);
    assert!(other.answer().await.unwrap().ends_with("here"));

    drop(other);
    in_time("a place that is free again", async {
        while !server.get("/").await.starts_with("HTTP/1.1 200 ") {
            tokio::task::yield_now().await;
        }
    })
    .await;
    server.lines.send("and still").unwrap();
    assert!(follower.until("and still").await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_say_nothing_do_not_keep_others_out() {
    let server = Server::start(2, SOON).await;
    // More than are served and turned away together.
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(server.connect().await);
    }
    in_time("an answer", async {
        while !server.get("/").await.starts_with("HTTP/1.1 200 ") {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_work_is_finished_at_the_end_and_nothing_else_is_waited_for() {
    let mut server = Server::start(8, SOON).await;
    let mut half = server.connect().await;
    half.send(b"GET / HT").await;
    let (mut idle, _) = server.ask(&request("/")).await;
    let mut working = server.hold().await;
    let Server { address, release, stop, serving, .. } = server;
    stop.send(()).unwrap();
    idle.closed().await;
    half.closed().await;
    assert!(!serving.is_finished(), "a request is in work");
    release.send(()).unwrap();
    assert!(working.answer().await.unwrap().ends_with("held"));
    working.closed().await;
    in_time("the end", serving).await.unwrap();
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_dropped_cuts_everything_off() {
    let server = Server::start(8, NEVER).await;
    let mut follower = server.follow().await;
    server.serving.abort();
    follower.closed().await;
}
