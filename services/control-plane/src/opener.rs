//! From bytes of a request to a statement: containers, tokens, and the proofs that were left out.

use crate::{
    gate::{Gate, ReadFailed},
    snapshot::Snapshot,
};
use domain::{Cid, Did};
use ledger::{ParseError, Statement};
use prometheus::IntCounter;
use quick_cache::sync::Cache;
use std::ops::Deref;
use storage::{Storage, StoredToken};
use ucan::{
    Context, Delegation, Denied, ErrorClass, Invocation, Parsed, Suspect, Unverified, Verified, container, hop_of,
};

/// Larger delegations are opened anew each time: the cache holds many, and its memory is bounded by this.
const MAX_CACHED_BYTES: usize = 2048;

/// Opens tokens, and remembers the delegations whose signature was good.
pub(crate) struct Opener {
    cache: Cache<Cid, Verified<Delegation>>,
    gate: Gate,
    /// Counts signature checks, which are what a request costs most.
    checked: IntCounter,
}

/// What a container holds as it says, with one invocation: no signature has been looked at but those of delegations that
/// were opened before. Anybody may have written it, so it serves to refuse cheaply and is never acted on.
#[derive(Debug)]
pub(crate) struct Unopened {
    invocation: Unverified<Invocation>,
    delegations: Vec<Given>,
}

#[derive(Debug)]
enum Given {
    Known(Verified<Delegation>),
    Claimed(Unverified<Delegation>),
}

/// A delegation to walk a chain by, whoever vouches for it.
enum Held<'a> {
    Known(Verified<Delegation>),
    Claimed(&'a Delegation),
}

impl Deref for Held<'_> {
    type Target = Delegation;

    fn deref(&self) -> &Delegation {
        match self {
            Self::Known(delegation) => delegation,
            Self::Claimed(delegation) => delegation,
        }
    }
}

impl Given {
    fn claims(&self) -> &Delegation {
        match self {
            Self::Known(delegation) => delegation,
            Self::Claimed(delegation) => delegation.claims(),
        }
    }
}

impl Unopened {
    /// What the invocation claims.
    pub fn invocation(&self) -> &Invocation {
        self.invocation.claims()
    }

    fn claims(&self, cid: &Cid) -> Option<&Delegation> {
        claimed(&self.delegations, cid)
    }
}

fn claimed<'a>(delegations: &'a [Given], cid: &Cid) -> Option<&'a Delegation> {
    delegations.iter().map(Given::claims).find(|d| d.cid() == *cid)
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
    /// One of its tokens is not a token; the hop is its place in the invocation's chain, where it has one.
    Token { cid: Cid, hop: Option<usize>, error: ucan::Error },
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
    /// Remembers up to `capacity` delegations, and counts signature checks in `checked`.
    pub fn new(gate: Gate, capacity: usize, checked: IntCounter) -> Self {
        Self { cache: Cache::new(capacity), gate, checked }
    }

    /// Reads a container of at most `limit` bytes, and checks no signature. What is in `snapshot` already is not read
    /// again.
    pub fn read(&self, bytes: &[u8], limit: usize, snapshot: Option<&Snapshot>) -> Result<Unopened, OpenError> {
        let limits = container::Limits { max_container_bytes: limit, max_inflated_bytes: limit, ..Default::default() };
        let tokens = container::decode(bytes, &limits).map_err(OpenError::Container)?;
        let mut delegations = Vec::with_capacity(tokens.len());
        let mut invocations = Vec::with_capacity(1);
        let mut statements = 0_usize;
        let (mut unreadable, mut known) = (None, None);
        for bytes in tokens {
            let cid = Cid::of(&bytes);
            if let Some(opened) = self.cache.get(&cid) {
                delegations.push(Given::Known(opened));
                continue;
            }
            if let Some(seq) = snapshot.and_then(|s| s.replica.state().seen(&cid)) {
                known = known.or(Some(OpenError::Known { cid, seq }));
                statements = statements.saturating_add(1);
                continue;
            }
            match ucan::parse(&bytes) {
                Ok(Parsed::Delegation(delegation)) => delegations.push(Given::Claimed(delegation)),
                Ok(Parsed::Invocation(invocation)) => invocations.push(invocation),
                Err(error) => unreadable = unreadable.or(Some((cid, error))),
            }
        }
        if let Some((cid, error)) = unreadable {
            let suspect = Suspect { cid, claims: None };
            let hop = invocations.first().and_then(|i| hop_of(i.claims(), &suspect, &|cid| claimed(&delegations, cid)));
            return Err(OpenError::Token { cid, hop, error });
        }
        let count = invocations.len().saturating_add(statements);
        match (invocations.pop(), known, count) {
            (Some(invocation), _, 1) => Ok(Unopened { invocation, delegations }),
            (None, Some(known), 1) => Err(known),
            _ => Err(OpenError::Invocations(count)),
        }
    }

    /// Says why the chain could never be accepted, whatever its signatures say. Silent when it may be, or when a proof
    /// is not at hand.
    pub fn refuse(&self, unopened: &Unopened, snapshot: &Snapshot, context: &Context<'_>) -> Result<(), Denied> {
        let invocation = unopened.invocation();
        let subject = invocation.subject();
        let held = |cid: &Cid| {
            let sent = unopened.claims(cid).map(Held::Claimed);
            sent.or_else(|| self.known(cid, snapshot, &subject).map(Held::Known))
        };
        match ucan::refuse(invocation, &held, context) {
            Err(denied) if denied.class != ErrorClass::UnavailableProof => Err(denied),
            _ => Ok(()),
        }
    }

    /// Checks every signature that has not been checked before.
    pub fn open(&self, unopened: &Unopened) -> Result<Parcel, OpenError> {
        let bad = |cid: Cid, hop, error| OpenError::Token { cid, hop, error };
        let cid = unopened.invocation().cid();
        self.checked.inc();
        let invocation = unopened.invocation.verify().map_err(|error| bad(cid, None, error))?;
        let mut delegations = Vec::with_capacity(unopened.delegations.len());
        for given in &unopened.delegations {
            let delegation = match given {
                Given::Known(known) => known.clone(),
                Given::Claimed(claimed) => {
                    self.checked.inc();
                    let verified = claimed.verify().map_err(|error| {
                        let suspect = Suspect { cid: claimed.claims().cid(), claims: Some(claimed.claims()) };
                        bad(suspect.cid, hop_of(&invocation, &suspect, &|cid| unopened.claims(cid)), error)
                    })?;
                    self.remember(&verified);
                    verified
                }
            };
            delegations.push(delegation);
        }
        Ok(Parcel { invocation, delegations })
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
        let statement = Statement::parse(parcel.invocation, proofs).map_err(OpenError::Args)?;
        self.checked.inc_by(u64::try_from(statement.path().len()).unwrap_or(u64::MAX));
        Ok(statement)
    }

    fn at_hand(&self, cid: &Cid, parcel: &Parcel, snapshot: &Snapshot, subject: &Did) -> Option<Verified<Delegation>> {
        let sent = parcel.delegations.iter().find(|d| d.cid() == *cid).cloned();
        sent.or_else(|| self.known(cid, snapshot, subject))
    }

    /// From memory: opened before, or a tenant's consent.
    fn known(&self, cid: &Cid, snapshot: &Snapshot, subject: &Did) -> Option<Verified<Delegation>> {
        let own =
            || snapshot.replica.state().tenant(subject).map(|t| &t.delegation).filter(|d| d.cid() == *cid).cloned();
        self.cache.get(cid).or_else(own)
    }

    /// Those of the delegations that the log holds. Blocks.
    pub fn stored(&self, storage: &Storage, cids: &[Cid]) -> Result<Vec<Verified<Delegation>>, storage::Error> {
        Ok(self.opened(&storage.token_many(cids)?))
    }

    fn opened(&self, tokens: &[StoredToken]) -> Vec<Verified<Delegation>> {
        self.checked.inc_by(u64::try_from(tokens.len()).unwrap_or(u64::MAX));
        let opened = tokens.iter().filter_map(|t| ucan::open_delegation(&t.bytes).ok());
        opened.inspect(|d| self.remember(d)).collect()
    }

    fn remember(&self, delegation: &Verified<Delegation>) {
        if delegation.bytes().len() <= MAX_CACHED_BYTES {
            self.cache.insert(delegation.cid(), delegation.clone());
        }
    }
}
