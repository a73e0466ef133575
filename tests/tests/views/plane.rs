//! A control plane that shows as much of a log as it is told to, and signs fresh checkpoints of that.

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Query, State},
    http::StatusCode,
    routing::{get, post},
};
use countersign_tests::Person;
use domain::NodeUrl;
use futures_util::{StreamExt as _, stream};
use log::{Checkpoint, Tree, leaf_hash};
use messages::{Base64, FollowLine, LogEntryView};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::watch;

/// How often it signs what it shows.
const HEARTBEAT: Duration = Duration::from_millis(50);
/// Only a failure lasts as long.
const PATIENCE: Duration = Duration::from_mins(1);

/// An entry with the tokens that it introduced.
pub type Line = (Vec<u8>, Vec<Vec<u8>>);

pub struct Plane {
    sequencer: Person,
    log: Mutex<Vec<Line>>,
    /// How many entries it shows.
    shown: watch::Sender<usize>,
    /// A signature line that it adds to its notes.
    padding: Mutex<String>,
    /// Whether it signs what it shows.
    signs: watch::Sender<bool>,
    /// How many notes it has signed.
    signed: watch::Sender<usize>,
    /// The statements that it was sent. It takes none, and answers like a proxy before a control plane that is down.
    sent: watch::Sender<Vec<Bytes>>,
}

/// A note over the first entries of a log, signed now.
pub fn note(sequencer: &Person, entries: &[Line]) -> String {
    let mut tree = Tree::new();
    for (entry, _) in entries {
        tree.push(leaf_hash(entry));
    }
    let origin = "log.example.com/test".parse().unwrap();
    Checkpoint::of(origin, &tree, client::Ambient::system().now()).sign(&sequencer.key).to_string()
}

impl Plane {
    pub async fn start(sequencer: &Person, log: &[Line]) -> (Arc<Self>, NodeUrl) {
        let (shown, signed, sent) = (watch::Sender::new(log.len()), watch::Sender::new(0), watch::Sender::default());
        let (sequencer, log, padding) = (sequencer.clone(), Mutex::new(log.to_vec()), Mutex::default());
        let signs = watch::Sender::new(true);
        let plane = Arc::new(Self { sequencer, log, shown, padding, signs, signed, sent });
        let router = Router::new()
            .route("/v1/log/follow", get(follow))
            .route("/v1/statements", post(statement))
            .fallback(|| async { StatusCode::SERVICE_UNAVAILABLE })
            .with_state(plane.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        (plane, url)
    }

    /// Shows all of this log from now on.
    pub fn show(&self, log: &[Line]) {
        *self.log.lock().unwrap() = log.to_vec();
        self.shown.send_replace(log.len());
    }

    /// Says whether it signs what it shows from now on.
    pub fn sign(&self, signs: bool) {
        self.signs.send_replace(signs);
    }

    /// Adds a line of somebody's to every note from now on, which makes it longer than what signers pass on.
    pub fn pad(&self) {
        *self.padding.lock().unwrap() = format!("— witness.example {}\n", "A".repeat(8_000));
    }

    /// Waits until it has sent some more notes.
    pub async fn heartbeats(&self, more: usize) {
        let mut signed = self.signed.subscribe();
        let enough = *signed.borrow() + more;
        signed.wait_for(|signed| *signed >= enough).await.unwrap();
    }

    /// Waits until it has been sent as many statements in all, and gives them.
    pub async fn sent(&self, in_all: usize) -> Vec<Bytes> {
        let mut sent = self.sent.subscribe();
        let enough = tokio::time::timeout(PATIENCE, sent.wait_for(|sent| sent.len() >= in_all)).await;
        enough.expect("it is sent what it takes none of").unwrap().clone()
    }

    /// The next line for somebody who has seen `next` entries.
    async fn line(&self, next: usize) -> (FollowLine, usize) {
        let mut shown = self.shown.subscribe();
        if tokio::time::timeout(HEARTBEAT, shown.wait_for(|shown| *shown > next)).await.is_err() {
            let (mut signs, grown) = (self.signs.subscribe(), shown.wait_for(|shown| *shown > next));
            tokio::select! {
                _ = signs.wait_for(|signs| *signs) => {}
                _ = grown => {}
            }
        }
        let log = self.log.lock().unwrap();
        let Some((entry, tokens)) = log.get(next) else {
            self.signed.send_modify(|signed| *signed += 1);
            let padding = self.padding.lock().unwrap().clone();
            return (FollowLine::Checkpoint(note(&self.sequencer, &log) + &padding), next);
        };
        let tokens = tokens.iter().cloned().map(Base64).collect();
        let seq = next.try_into().unwrap();
        (FollowLine::Entry(LogEntryView { seq, entry: Base64(entry.clone()), tokens }), next + 1)
    }
}

async fn statement(State(plane): State<Arc<Plane>>, body: Bytes) -> (StatusCode, &'static str) {
    plane.sent.send_modify(|sent| sent.push(body));
    (StatusCode::BAD_GATEWAY, "<html>bad gateway</html>")
}

async fn follow(State(plane): State<Arc<Plane>>, Query(query): Query<BTreeMap<String, usize>>) -> Body {
    let lines = stream::unfold((plane, query["from"]), |(plane, next)| async move {
        let (line, next) = plane.line(next).await;
        Some((line, (plane, next)))
    });
    Body::from_stream(lines.map(|line| {
        let mut text = serde_json::to_vec(&line).unwrap();
        text.push(b'\n');
        Ok::<_, std::io::Error>(Bytes::from(text))
    }))
}
