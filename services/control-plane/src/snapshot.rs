use replica::Replica;

/// The log as it is committed: what every read and every check before the queue looks at.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub replica: Replica,
}

impl Snapshot {
    pub const fn new(replica: Replica) -> Self {
        Self { replica }
    }
}
