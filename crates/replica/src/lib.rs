//! State, hash chain and Merkle tree in step: what every holder of the log has.
//!
//! The sequencer [admits](Replica::admit) statements; signers, start-up and the offline verifier [follow](Replica::follow)
//! entries and decide every one of them again. Both end in the same [`Replica`], or the follower says at which entry
//! and why they part.
//!
//! **Invariant:** a replica never holds a state that its chain does not justify: state, chain and tree move together or
//! not at all.

mod divergence;
mod milestones;
mod statement;
mod verify;

pub use divergence::Divergence;
pub use milestones::Milestones;
pub use statement::{Tokens, read_statement};
pub use verify::{Report, Verifier, VerifyError, key_name, quorum_key};

use domain::{Did, Time};
use ipld_core::ipld::Ipld;
use ledger::{Changes, Outcome, Refusal, State, Statement, Step};
use log::{Chain, Hash, Head, Tile, Tree};

/// A log as far as it is known: what it says (state), how it hangs together (chain), what proves it (tree).
/// Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Replica {
    state: State,
    chain: Chain,
    tree: Tree,
}

/// An entry that has its place.
#[derive(Clone, Debug)]
pub struct Admitted {
    /// Its position.
    pub seq: u64,
    /// Its time.
    pub at: Time,
    /// Its canonical bytes.
    pub entry: Vec<u8>,
    /// Its leaf hash.
    pub leaf: Hash,
    /// What came of the statement.
    pub outcome: Outcome,
    /// What it did to proposals.
    pub changes: Changes,
    /// Tiles that it completed.
    pub tiles: Vec<Tile>,
}

/// Why a statement got no place.
#[derive(Debug, thiserror::Error)]
pub enum AdmitError {
    /// The ledger refuses it; nothing changed.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Its outcome does not fit an entry.
    #[error("the outcome cannot be written as an entry")]
    Entry(#[source] log::EntryError),
    /// Its outcome has no DAG-CBOR form.
    #[error("the outcome has no canonical form")]
    Outcome,
}

impl Replica {
    /// The empty log of `operator`.
    pub fn new(operator: Did) -> Self {
        Self { state: State::new(operator), chain: Chain::EMPTY, tree: Tree::new() }
    }

    /// What the log says.
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// What proves it.
    pub const fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Its newest entry.
    pub const fn head(&self) -> Option<&Head> {
        self.chain.head()
    }

    /// The position of the next entry; also the number of entries.
    pub fn next_seq(&self) -> u64 {
        self.chain.size()
    }

    /// Gives `statement` its place, now. On error nothing has changed.
    pub fn admit(&mut self, statement: &Statement, at: Time) -> Result<Admitted, AdmitError> {
        let at = at.max(self.state.at());
        let seq = self.next_seq();
        let step = self.state.step(statement, seq, at)?;
        let out = outcome_ipld(&step.outcome).ok_or(AdmitError::Outcome)?;
        let entry = self.chain.next(at, statement.cid(), out).encode().map_err(AdmitError::Entry)?;
        let leaf = log::leaf_hash(&entry);
        Ok(self.advance(step, Head { seq, leaf, at }, entry))
    }

    /// Takes the next entry of somebody else's log after checking everything about it again: its place in the chain, that
    /// it names this statement, and that this statement has this outcome. On error nothing has changed.
    pub fn follow(&mut self, entry: &[u8], statement: &Statement) -> Result<Admitted, Divergence> {
        let (decoded, head) = self.chain.accept(entry).map_err(Divergence::Chain)?;
        let seq = head.seq;
        if decoded.stmt != statement.cid() {
            return Err(Divergence::Statement { seq });
        }
        let step = self
            .state
            .step(statement, seq, decoded.at)
            .map_err(|refusal| Divergence::Refused { seq, refusal: Box::new(refusal) })?;
        if outcome_ipld(&step.outcome).as_ref() != Some(&decoded.out) {
            return Err(Divergence::Outcome { seq, ours: Box::new(step.outcome), theirs: Box::new(decoded.out) });
        }
        Ok(self.advance(step, head, entry.to_vec()))
    }

    fn advance(&mut self, step: Step, head: Head, entry: Vec<u8>) -> Admitted {
        self.state = step.state;
        self.chain = Chain::at(head);
        self.tree.push(head.leaf);
        Admitted {
            seq: head.seq,
            at: head.at,
            entry,
            leaf: head.leaf,
            outcome: step.outcome,
            changes: step.changes,
            tiles: self.tree.drain_tiles(),
        }
    }
}

/// The outcome as the entry holds it.
fn outcome_ipld(outcome: &Outcome) -> Option<Ipld> {
    ipld_core::serde::to_ipld(outcome).ok()
}
