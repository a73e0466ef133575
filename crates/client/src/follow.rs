use crate::ClientError;
use futures_util::{Stream, stream};
use messages::{FollowLine, LogEntryView};
use reqwest::Response;
use std::{collections::VecDeque, pin::Pin, time::Duration};

/// The log says something at least every second; this is long enough for a pause and short enough for a lease.
const SILENCE: Duration = Duration::from_secs(10);
/// An entry of 64 KiB with nine tokens of 64 KiB, in base64.
const MAX_LINE: usize = 1024 * 1024;

/// What the log says while it is followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FollowEvent {
    /// The next entry.
    Entry(LogEntryView),
    /// A checkpoint over entries that came before: a signed note, not verified.
    Checkpoint(String),
}

/// Events as they come, until the connection ends or an error says why.
pub type FollowStream = Pin<Box<dyn Stream<Item = Result<FollowEvent, ClientError>> + Send>>;

struct Lines {
    url: String,
    response: Response,
    buffer: Vec<u8>,
    ready: VecDeque<FollowEvent>,
    failed: Option<ClientError>,
}

pub(crate) fn stream(url: String, response: Response) -> FollowStream {
    let lines = Lines { url, response, buffer: Vec::new(), ready: VecDeque::new(), failed: None };
    Box::pin(stream::try_unfold(lines, |mut lines| async move {
        loop {
            if let Some(event) = lines.ready.pop_front() {
                return Ok(Some((event, lines)));
            }
            if let Some(error) = lines.failed.take() {
                return Err(error);
            }
            let chunk = tokio::time::timeout(SILENCE, lines.response.chunk()).await.map_err(|_| ClientError::Silent)?;
            let chunk = chunk
                .map_err(|source| ClientError::Transport { url: lines.url.clone(), source: source.without_url() })?;
            let Some(chunk) = chunk else { return Ok(None) };
            lines.take(&chunk);
        }
    }))
}

impl Lines {
    /// Parses whatever lines are complete. Events before a bad line are still given.
    fn take(&mut self, chunk: &[u8]) {
        let mut parts = chunk.split(|b| *b == b'\n').peekable();
        while let Some(part) = parts.next() {
            if self.buffer.len().saturating_add(part.len()) > MAX_LINE {
                self.failed = Some(ClientError::TooLarge { limit: MAX_LINE });
                return;
            }
            self.buffer.extend_from_slice(part);
            if parts.peek().is_none() {
                return;
            }
            let line = std::mem::take(&mut self.buffer);
            if line.trim_ascii().is_empty() {
                continue;
            }
            match serde_json::from_slice(&line) {
                Ok(FollowLine::Entry(entry)) => self.ready.push_back(FollowEvent::Entry(entry)),
                Ok(FollowLine::Checkpoint(note)) => self.ready.push_back(FollowEvent::Checkpoint(note)),
                Err(e) => {
                    self.failed = Some(ClientError::Malformed(e.to_string()));
                    return;
                }
            }
        }
    }
}
