//! From bytes of a request to a statement: containers, tokens, and the proofs that were left out.

use crate::{
    gate::{Gate, ReadFailed},
    snapshot::Snapshot,
};
use domain::{Cid, Did};
use ledger::{ParseError, Statement};
use quick_cache::sync::Cache;
use storage::{Storage, StoredToken};
use ucan::{Delegation, Invocation, Token, Verified, container};

/// Larger delegations are opened anew each time: the cache holds many, and its memory is bounded by this.
const MAX_CACHED_BYTES: usize = 2048;

/// Opens tokens, and remembers the delegations whose signature was good.
pub(crate) struct Opener {
    cache: Cache<Cid, Verified<Delegation>>,
    gate: Gate,
}

/// What a container holds: one invocation and delegations.
#[derive(Clone, Debug)]
pub(crate) struct Parcel {
    pub invocation: Verified<Invocation>,
    pub delegations: Vec<Verified<Delegation>>,
}

/// A request's container is not one statement.
#[derive(Debug)]
pub(crate) enum OpenError {
    /// Not a container.
    Container(ucan::Error),
    /// One of its tokens is not a token.
    Token { cid: Cid, error: ucan::Error },
    /// No invocation, or several.
    Invocations(usize),
    /// A token of it is a statement that the log holds.
    Known { cid: Cid, seq: u64 },
    /// A proof is neither sent nor held.
    ProofMissing { hop: usize, cid: Cid },
    /// The args are not those of the command.
    Args(ParseError),
    /// The database is needed and cannot be read.
    Database(ReadFailed),
}

impl Opener {
    pub fn new(gate: Gate, capacity: usize) -> Self {
        Self { cache: Cache::new(capacity), gate }
    }

    /// Opens a container of at most `limit` bytes. What is in `snapshot` already is not opened again.
    pub fn parcel(&self, bytes: &[u8], limit: usize, snapshot: Option<&Snapshot>) -> Result<Parcel, OpenError> {
        let limits = container::Limits { max_container_bytes: limit, max_inflated_bytes: limit, ..Default::default() };
        let tokens = container::decode(bytes, &limits).map_err(OpenError::Container)?;
        let mut delegations = Vec::with_capacity(tokens.len());
        let mut invocations = Vec::with_capacity(1);
        for bytes in tokens {
            let cid = Cid::of(&bytes);
            if let Some(known) = self.cache.get(&cid) {
                delegations.push(known);
                continue;
            }
            if let Some(seq) = snapshot.and_then(|s| s.replica.state().seen(&cid)) {
                return Err(OpenError::Known { cid, seq });
            }
            match ucan::open(&bytes).map_err(|error| OpenError::Token { cid, error })? {
                Token::Delegation(delegation) => {
                    self.remember(&delegation);
                    delegations.push(delegation);
                }
                Token::Invocation(invocation) => invocations.push(invocation),
            }
        }
        let count = invocations.len();
        match (invocations.pop(), count) {
            (Some(invocation), 1) => Ok(Parcel { invocation, delegations }),
            _ => Err(OpenError::Invocations(count)),
        }
    }

    /// The proofs that the invocation names, in its order: from the container, the memory, or the log. Only the last
    /// needs the database, on a thread that may wait.
    pub async fn proofs(&self, parcel: &Parcel, snapshot: &Snapshot) -> Result<Vec<Verified<Delegation>>, OpenError> {
        let named = parcel.invocation.proofs();
        let subject = parcel.invocation.subject();
        let known: Vec<_> = named.iter().map(|cid| self.at_hand(cid, parcel, snapshot, &subject)).collect();
        if known.iter().all(Option::is_some) {
            return Ok(known.into_iter().flatten().collect());
        }
        let missing = named.to_vec();
        let tokens = self.gate.read(move |s| s.token_many(&missing)).await.map_err(OpenError::Database)?;
        let stored = self.opened(&tokens);
        let pair = |(hop, (cid, known)): (usize, (&Cid, Option<_>))| {
            let proof = known.or_else(|| stored.iter().find(|d| d.cid() == *cid).cloned());
            proof.ok_or(OpenError::ProofMissing { hop, cid: *cid })
        };
        named.iter().zip(known).enumerate().map(pair).collect()
    }

    /// The statement of a container.
    pub async fn statement(&self, parcel: Parcel, snapshot: &Snapshot) -> Result<Statement, OpenError> {
        let proofs = self.proofs(&parcel, snapshot).await?;
        Statement::parse(parcel.invocation, proofs).map_err(OpenError::Args)
    }

    fn at_hand(&self, cid: &Cid, parcel: &Parcel, snapshot: &Snapshot, subject: &Did) -> Option<Verified<Delegation>> {
        let sent = parcel.delegations.iter().find(|d| d.cid() == *cid).cloned();
        let own =
            || snapshot.replica.state().tenant(subject).map(|t| &t.delegation).filter(|d| d.cid() == *cid).cloned();
        sent.or_else(|| self.cache.get(cid)).or_else(own)
    }

    /// Those of the delegations that the log holds. Blocks.
    pub fn stored(&self, storage: &Storage, cids: &[Cid]) -> Result<Vec<Verified<Delegation>>, storage::Error> {
        Ok(self.opened(&storage.token_many(cids)?))
    }

    fn opened(&self, tokens: &[StoredToken]) -> Vec<Verified<Delegation>> {
        let opened = tokens.iter().filter_map(|t| ucan::open_delegation(&t.bytes).ok());
        opened.inspect(|d| self.remember(d)).collect()
    }

    fn remember(&self, delegation: &Verified<Delegation>) {
        if delegation.bytes().len() <= MAX_CACHED_BYTES {
            self.cache.insert(delegation.cid(), delegation.clone());
        }
    }
}
