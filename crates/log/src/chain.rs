use crate::{Entry, EntryError, Hash, leaf_hash};
use domain::{Cid, Time};
use ipld_core::ipld::Ipld;

/// The newest entry of a log: all that the next entry must agree with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its position, from 0.
    pub seq: u64,
    /// Its leaf hash.
    pub leaf: Hash,
    /// When it was admitted, Unix seconds.
    pub at: Time,
}

/// A hash chain up to its head; the empty chain has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    head: Option<Head>,
}

/// An entry does not continue the chain.
#[derive(Debug, thiserror::Error)]
#[error("entry {seq} does not continue the log")]
pub struct ChainError {
    /// The position at which the chain breaks: that of the entry that was expected.
    pub seq: u64,
    /// What is wrong with the entry.
    #[source]
    pub kind: Fault,
}

/// What is wrong with an entry that does not continue the chain.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Malformed, of unknown version, too large or not canonical.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// Not the next position.
    #[error("its seq is {found}")]
    Sequence {
        /// The position that the entry claims.
        found: u64,
    },
    /// `prev` is not the leaf hash of the entry before.
    #[error("its prev is {found}, not {expected}")]
    Previous {
        /// The leaf hash of the entry before.
        expected: Hash,
        /// The hash that the entry claims.
        found: Hash,
    },
    /// Admitted before the entry before it.
    #[error("its time {found} is before {head}")]
    Time {
        /// The time of the entry before.
        head: Time,
        /// The time that the entry claims.
        found: Time,
    },
    /// The head is the last position that 64 bits can number.
    #[error("the log is full")]
    Full,
}

impl Chain {
    /// The chain without entries.
    pub const EMPTY: Self = Self { head: None };

    /// The chain whose newest entry is `head`.
    pub const fn at(head: Head) -> Self {
        Self { head: Some(head) }
    }

    /// The newest entry, `None` when the chain is empty.
    pub const fn head(&self) -> Option<&Head> {
        self.head.as_ref()
    }

    /// The position of the next entry; also the number of entries.
    pub fn size(&self) -> u64 {
        self.head.map_or(0, |h| h.seq.saturating_add(1))
    }

    /// The entry that admits `stmt` now. `at` earlier than the head becomes the head's time, because a sequencer that
    /// takes over may have a slower clock and the log's time never goes backwards.
    pub fn next(&self, at: Time, stmt: Cid, out: Ipld) -> Entry {
        let (prev, at) = self.head.map_or((Hash::ZERO, at), |h| (h.leaf, at.max(h.at)));
        Entry { seq: self.size(), prev, at, stmt, out }
    }

    /// Reads the next entry and checks that it continues this chain.
    pub fn accept(&self, bytes: &[u8]) -> Result<(Entry, Head), ChainError> {
        let seq = self.size();
        self.check(seq, bytes).map_err(|kind| ChainError { seq, kind })
    }

    fn check(&self, seq: u64, bytes: &[u8]) -> Result<(Entry, Head), Fault> {
        let entry = Entry::decode(bytes)?;
        if self.head.is_some_and(|h| h.seq == u64::MAX) {
            return Err(Fault::Full);
        }
        if entry.seq != seq {
            return Err(Fault::Sequence { found: entry.seq });
        }
        let (expected, head_time) = self.head.map_or((Hash::ZERO, Time::ZERO), |h| (h.leaf, h.at));
        if entry.prev != expected {
            return Err(Fault::Previous { expected, found: entry.prev });
        }
        if entry.at < head_time {
            return Err(Fault::Time { head: head_time, found: entry.at });
        }
        let head = Head { seq, leaf: leaf_hash(bytes), at: entry.at };
        Ok((entry, head))
    }
}

impl Head {
    /// The entry after this head; see [`Chain::next`].
    pub fn next(&self, at: Time, stmt: Cid, out: Ipld) -> Entry {
        Chain::at(*self).next(at, stmt, out)
    }

    /// Reads the entry after this head; see [`Chain::accept`].
    pub fn accept(&self, bytes: &[u8]) -> Result<(Entry, Self), ChainError> {
        Chain::at(*self).accept(bytes)
    }
}
