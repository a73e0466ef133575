//! `GET /v1/log/follow`: the log as a stream of lines, first what is there, then what comes, as it is committed.

use super::{
    auth::{self, everything},
    log_reads::entry_view,
    problem::Failure,
    query::Params,
};
use crate::{
    clock,
    feed::{Committed, Event, Lines},
    plane::Plane,
};
use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use domain::Time;
use futures_util::stream;
use messages::{FollowLine, ProblemType as Type};
use serde::Deserialize;
use std::{cmp::Ordering, collections::VecDeque, convert::Infallible, sync::Arc};
use tokio::sync::{
    OwnedSemaphorePermit,
    broadcast::{Receiver, error::RecvError},
    watch,
};

/// Entries per read of the database while catching up.
const PAGE: u32 = 256;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct From {
    from: Option<u64>,
}

pub(crate) async fn follow(
    State(plane): State<Arc<Plane>>,
    headers: HeaderMap,
    params: Params<From>,
) -> Result<Response, Failure> {
    let reader = everything(auth::reader(&plane, &headers, "/read/log").await?)?;
    let from = params.get()?.from.unwrap_or(0);
    let permit = Arc::clone(&plane.followers).try_acquire_owned();
    let permit = permit.map_err(|_| Failure::new(Type::Overloaded, "too many followers; try again"))?;
    plane.metrics.followers.inc();
    let follower = Follower {
        // Subscribed before the first read, so that nothing falls between what is there and what comes.
        events: plane.feed.subscribe(),
        closing: plane.closing.clone(),
        until: reader.until,
        ready: VecDeque::new(),
        next: from,
        is_live: false,
        _permit: permit,
        plane,
    };
    let lines = stream::unfold(follower, |mut follower| async move {
        let line = follower.line().await?;
        Some((Ok::<_, Infallible>(line), follower))
    });
    let headers = [(header::CONTENT_TYPE, "application/x-ndjson"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, Body::from_stream(lines)).into_response())
}

struct Follower {
    plane: Arc<Plane>,
    events: Receiver<Event>,
    closing: watch::Receiver<bool>,
    /// When the right to read ends, and with it the stream.
    until: Time,
    ready: VecDeque<Bytes>,
    next: u64,
    /// Everything committed before `next` has been sent, and events continue from there.
    is_live: bool,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.plane.metrics.followers.dec();
    }
}

impl Follower {
    /// The next line or lines; `None` ends the stream.
    async fn line(&mut self) -> Option<Bytes> {
        loop {
            if let Some(line) = self.ready.pop_front() {
                return Some(line);
            }
            if clock::now() >= self.until || *self.closing.borrow() {
                return None;
            }
            if self.is_live {
                self.listen().await?;
            } else {
                self.catch_up().await?;
            }
        }
    }

    async fn catch_up(&mut self) -> Option<()> {
        let size = self.plane.now().replica.next_seq();
        if self.next >= size {
            self.is_live = true;
            if let Some(latest) = self.plane.latest.load_full() {
                self.checkpoint(latest.size, &latest.text);
            }
            return Some(());
        }
        let from = self.next;
        let page = self.plane.gate.read(move |s| s.entries(from, PAGE)).await.ok()?;
        for stored in page.into_iter().filter(|e| e.seq < size) {
            self.next = stored.seq.saturating_add(1);
            self.ready.push_back(line(&FollowLine::Entry(entry_view(stored)))?);
        }
        (!self.ready.is_empty()).then_some(())
    }

    async fn listen(&mut self) -> Option<()> {
        let event = tokio::select! {
            event = self.events.recv() => event,
            _ = self.closing.changed() => return None,
        };
        match event {
            Ok(Event::Entries(batch)) => self.entries(&batch),
            Ok(Event::Checkpoint { size, text }) => {
                self.checkpoint(size, &text);
                Some(())
            }
            Err(RecvError::Lagged(_)) => {
                self.is_live = false;
                Some(())
            }
            Err(RecvError::Closed) => None,
        }
    }

    fn entries(&mut self, batch: &Arc<Lines>) -> Option<()> {
        let (Some(first), Some(last)) = (batch.first(), batch.last()) else { return Some(()) };
        match first.cmp(&self.next) {
            Ordering::Greater => {
                self.is_live = false;
                return Some(());
            }
            Ordering::Equal => self.ready.push_back(batch.bytes()?),
            Ordering::Less => {
                for committed in batch.entries().iter().filter(|e| e.seq >= self.next) {
                    self.ready.push_back(committed.line()?);
                }
            }
        }
        self.next = self.next.max(last.saturating_add(1));
        Some(())
    }

    /// A note is sent once the entries that it commits to have been.
    fn checkpoint(&mut self, size: u64, text: &str) {
        if size <= self.next {
            self.ready.extend(line(&FollowLine::Checkpoint(text.to_owned())));
        }
    }
}

impl Committed {
    fn line(&self) -> Option<Bytes> {
        self.to_line().map(Bytes::from)
    }
}

fn line(line: &FollowLine) -> Option<Bytes> {
    let mut text = serde_json::to_vec(line).ok()?;
    text.push(b'\n');
    Some(text.into())
}
