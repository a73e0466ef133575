use crate::revocations::Revocations;
use ledger::Statement;
use replica::Replica;

/// The log as it is committed: what every read and every check before the queue looks at.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub replica: Replica,
    pub revocations: Revocations,
}

impl Snapshot {
    pub fn new(replica: Replica) -> Self {
        Self { replica, revocations: Revocations::default() }
    }

    /// Takes note of a statement that `replica` has just accepted.
    pub fn note(&mut self, statement: &Statement) {
        self.revocations.note(statement);
    }
}
