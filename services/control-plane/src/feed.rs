use messages::{Base64, FollowLine, LogEntryView};
use std::sync::{Arc, OnceLock};
use tokio::sync::broadcast;

/// How many events a follower may lag behind before it has to read the database again.
const BACKLOG: usize = 256;

/// A committed entry with the tokens that it brought into the log, the statement first.
#[derive(Clone, Debug)]
pub(crate) struct Committed {
    pub seq: u64,
    pub entry: Vec<u8>,
    pub tokens: Vec<Vec<u8>>,
}

impl Committed {
    /// The entry as a line of the follow stream.
    pub fn to_line(&self) -> Option<Vec<u8>> {
        let view = LogEntryView {
            seq: self.seq,
            entry: Base64(self.entry.clone()),
            tokens: self.tokens.iter().cloned().map(Base64).collect(),
        };
        let mut line = serde_json::to_vec(&FollowLine::Entry(view)).ok()?;
        line.push(b'\n');
        Some(line)
    }
}

/// One commit's entries, in order; written out once, however many follow.
#[derive(Debug)]
pub(crate) struct Lines {
    entries: Vec<Committed>,
    text: OnceLock<Option<axum::body::Bytes>>,
}

impl Lines {
    pub const fn new(entries: Vec<Committed>) -> Self {
        Self { entries, text: OnceLock::new() }
    }

    pub fn entries(&self) -> &[Committed] {
        &self.entries
    }

    pub fn first(&self) -> Option<u64> {
        self.entries.first().map(|e| e.seq)
    }

    pub fn last(&self) -> Option<u64> {
        self.entries.last().map(|e| e.seq)
    }

    /// All lines together.
    pub fn bytes(&self) -> Option<axum::body::Bytes> {
        let write = || {
            let lines = self.entries.iter().map(Committed::to_line).collect::<Option<Vec<_>>>()?;
            Some(lines.concat().into())
        };
        self.text.get_or_init(write).clone()
    }
}

/// Something that followers of the log learn at once.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// One commit.
    Entries(Arc<Lines>),
    /// A signed note over the log's first `size` entries.
    Checkpoint { size: u64, text: Arc<str> },
}

/// Tells followers what has just been committed or signed.
#[derive(Clone, Debug)]
pub(crate) struct Feed(broadcast::Sender<Event>);

impl Feed {
    pub fn new() -> Self {
        Self(broadcast::channel(BACKLOG).0)
    }

    /// Without followers nobody is told, which is no error.
    pub fn publish(&self, event: Event) {
        let _ = self.0.send(event);
    }

    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.0.subscribe()
    }
}
