//! The thread that verifies what the connection brings, and judges what cannot be right.

use super::{BATCH, Follower, Line, MAX_SUSPECTS, Stop, Suspicion};
use crate::{Node, halt};
use client::FollowEvent;
use messages::LogEntryView;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};

/// The verifying thread.
pub(super) struct Verifying {
    pub(super) node: Arc<Node>,
    pub(super) follower: Follower,
    /// The newest connection whose further lines are of no use.
    pub(super) broken: watch::Sender<u64>,
    pub(super) suspicion: Option<Box<Suspicion>>,
}

impl Verifying {
    pub(super) fn run(mut self, mut received: mpsc::Receiver<Line>) {
        let mut waiting: Vec<Line> = Vec::new();
        while received.blocking_recv_many(&mut waiting, BATCH) > 0 {
            let mut entries: Vec<LogEntryView> = Vec::new();
            let mut last = 0;
            for line in waiting.drain(..) {
                let taken = match line {
                    Line::Start(ask) => {
                        self.flush(&mut entries, last);
                        self.doubt(None);
                        // Nobody waits any more when the node is shutting down.
                        let _ = ask.send(self.follower.replica.next_seq());
                        Ok(())
                    }
                    Line::Event(connection, _) if connection <= *self.broken.borrow() => Ok(()),
                    Line::Event(connection, FollowEvent::Entry(entry)) => {
                        last = connection;
                        self.entry(&mut entries, entry)
                    }
                    Line::Event(connection, FollowEvent::Checkpoint(note)) => {
                        last = connection;
                        self.flush(&mut entries, connection);
                        self.follower.checkpoint(&self.node, &note, self.suspicion.as_deref())
                    }
                };
                if let Err(stop) = taken {
                    self.stop(stop, last);
                }
                if self.node.view.halted().is_some() {
                    return;
                }
            }
            self.flush(&mut entries, last);
            if self.node.view.halted().is_some() {
                return;
            }
        }
    }

    fn entry(&mut self, entries: &mut Vec<LogEntryView>, entry: LogEntryView) -> Result<(), Stop> {
        match &mut self.suspicion {
            Some(suspicion) if suspicion.roots.len() >= MAX_SUSPECTS => {
                Err(Stop::Again(format!("nobody signs for what follows a bad entry: {}", suspicion.reason)))
            }
            Some(suspicion) => {
                suspicion.add(&entry.entry.0);
                Ok(())
            }
            None => {
                entries.push(entry);
                Ok(())
            }
        }
    }

    fn flush(&mut self, entries: &mut Vec<LogEntryView>, connection: u64) {
        let batch = std::mem::take(entries);
        if batch.is_empty() {
            return;
        }
        if let Err(stop) = self.follower.advance(&self.node, &batch) {
            let suspicious = matches!(stop, Stop::Suspicious(_));
            self.stop(stop, connection);
            if suspicious && let Some(suspicion) = &mut self.suspicion {
                let bad = self.follower.replica.next_seq();
                batch.iter().filter(|line| line.seq > bad).for_each(|line| suspicion.add(&line.entry.0));
            }
        }
    }

    fn doubt(&mut self, suspicion: Option<Box<Suspicion>>) {
        self.node.view.suspect(suspicion.as_ref().map(|s| s.reason.clone()));
        self.suspicion = suspicion;
    }

    fn stop(&mut self, stop: Stop, connection: u64) {
        match stop {
            Stop::Diverged { reason, line } => halt::halt(&self.node, &reason, &line),
            Stop::Suspicious(suspicion) => {
                tracing::error!(reason = suspicion.reason, "an entry cannot be right; nothing is signed meanwhile");
                self.doubt(Some(suspicion));
            }
            Stop::Again(reason) => {
                tracing::warn!(reason, "the log is asked for again");
                self.broken.send_replace(connection);
            }
            Stop::Storage(error) => {
                tracing::error!(error, "the log cannot be stored; it is asked for again");
                self.broken.send_replace(connection);
                if let Err(fork) = self.follower.recover(&self.node) {
                    halt::halt(&self.node, &fork.reason, &fork.evidence());
                }
            }
        }
    }
}
