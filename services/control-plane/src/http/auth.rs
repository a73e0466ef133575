//! Who may read: a capability in the `Authorization` header, checked against the state at every request.

use super::problem::Failure;
use crate::{
    clock,
    opener::{OpenError, Unopened},
    plane::Plane,
    snapshot::Snapshot,
};
use axum::http::{HeaderMap, header};
use domain::{Did, Digest, Time};
use messages::ProblemType as Type;
use quick_cache::sync::Cache;
use std::sync::Arc;
use ucan::{Command, Context, Delegation, Invocation, Trust, Verified};

/// A read capability with its proofs fits several times.
const MAX_TOKEN_BYTES: usize = 16 * 1024;
/// Opened capabilities that are kept: each is used for minutes.
const CACHED: usize = 1024;
/// Reading or writing, what an invocation permits it permits for at most this long.
pub(crate) const MAX_LIFETIME: u64 = 15 * 60;

/// Fewer bytes of nonce could repeat by accident; the ledger's rule.
const MIN_NONCE: usize = 12;

/// Capabilities whose signatures have been checked, by the digest of the header.
pub(crate) type Readers = Cache<Digest, Arc<Reading>>;

/// An opened read capability.
#[derive(Debug)]
pub(crate) struct Reading {
    invocation: Verified<Invocation>,
    proofs: Vec<Verified<Delegation>>,
}

/// Whose data a reader may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    /// Everything: the operator delegated it.
    All,
    /// One tenant's.
    Tenant(Did),
}

/// Who has shown a right to read: what it may see, and until when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader {
    pub sight: Sight,
    pub until: Time,
}

impl Sight {
    /// Whether it includes this tenant's data.
    pub fn includes(self, tenant: &Did) -> bool {
        match self {
            Self::All => true,
            Self::Tenant(own) => own == *tenant,
        }
    }
}

pub(crate) fn readers() -> Readers {
    Cache::new(CACHED)
}

/// Checks that the request may use `command`, such as `/read/proposals`.
pub(crate) async fn reader(plane: &Arc<Plane>, headers: &HeaderMap, command: &str) -> Result<Reader, Failure> {
    let header = headers.get(header::AUTHORIZATION).ok_or_else(missing)?;
    let text = header.to_str().ok().and_then(|t| t.strip_prefix("Bearer ")).ok_or_else(missing)?;
    let key = Digest::sha256(text.as_bytes());
    let snapshot = plane.now();
    let reading = if let Some(reading) = plane.readers.get(&key) {
        reading
    } else {
        let reading = Arc::new(open(plane, text, &snapshot, command).await?);
        plane.readers.insert(key, Arc::clone(&reading));
        reading
    };
    authorise(plane, &snapshot, &reading, command, clock::now())
}

fn missing() -> Failure {
    let detail =
        "send Authorization: Bearer <UCAN container> with an invocation of /read addressed to the control plane";
    Failure::new(Type::ProofUnavailable, detail).field("Authorization")
}

async fn open(plane: &Arc<Plane>, text: &str, snapshot: &Snapshot, command: &str) -> Result<Reading, Failure> {
    let unopened = plane.opener.read(text.as_bytes(), MAX_TOKEN_BYTES, None).map_err(of_header)?;
    // Signatures are checked last: what could never be let in costs none.
    let now = clock::now();
    let subjects = |did: &Did| is_known(plane, snapshot, did);
    refuse(plane, snapshot, &unopened, Trust::Check(&subjects), now)?;
    asks(unopened.invocation(), command, now.plus(Plane::tolerance(snapshot)))?;
    let parcel = plane.opener.open(&unopened).map_err(of_header)?;
    let proofs = plane.opener.proofs(&parcel, snapshot).await?;
    Ok(Reading { invocation: parcel.invocation, proofs })
}

/// The container is in a header here.
fn of_header(error: OpenError) -> Failure {
    let failure = Failure::from(error);
    if failure.0.field.as_deref() == Some("container") { failure.field("Authorization") } else { failure }
}

fn is_known(plane: &Plane, snapshot: &Snapshot, did: &Did) -> bool {
    *did == plane.operator || snapshot.replica.state().tenant(did).is_some()
}

/// Whether an invocation asks for `command`, and until when.
fn asks(invocation: &Invocation, command: &str, latest_now: Time) -> Result<Time, Failure> {
    let wanted: Command = command.parse().map_err(|_| Failure::new(Type::Internal, "not a command"))?;
    if !invocation.command().covers(&wanted) || invocation.command().as_str() == "/" {
        return Err(
            Failure::new(Type::CapabilityRequired, format!("this needs an invocation of {command}")).field("cmd")
        );
    }
    lifetime(invocation, latest_now)
}

fn authorise(
    plane: &Plane,
    snapshot: &Snapshot,
    reading: &Reading,
    command: &str,
    now: Time,
) -> Result<Reader, Failure> {
    let invocation = &reading.invocation;
    let subjects = |did: &Did| is_known(plane, snapshot, did);
    chain(plane, snapshot, invocation, &reading.proofs, Trust::Check(&subjects), now)?;
    let until = asks(invocation, command, now.plus(Plane::tolerance(snapshot)))?;
    let subject = invocation.subject();
    let sight = if subject == plane.operator { Sight::All } else { Sight::Tenant(subject) };
    Ok(Reader { sight, until })
}

/// The end of an invocation, which must not lie too far ahead.
pub(crate) fn lifetime(invocation: &Invocation, latest_now: Time) -> Result<Time, Failure> {
    match invocation.expiration() {
        Some(exp) if exp <= latest_now.plus(MAX_LIFETIME) => Ok(exp),
        _ => Err(Failure::new(Type::LifetimeTooLong, "set exp at most 15 minutes ahead").field("exp")),
    }
}

/// Checks an invocation that the log will not hold: chain, addressee, time and revocations.
pub(crate) fn chain(
    plane: &Plane,
    snapshot: &Snapshot,
    invocation: &Verified<Invocation>,
    proofs: &[Verified<Delegation>],
    trusted: Trust<'_>,
    now: Time,
) -> Result<(), Failure> {
    let proof = |cid: &domain::Cid| proofs.iter().find(|p| p.cid() == *cid).cloned();
    judged(plane, snapshot, invocation.subject(), trusted, now, |context| {
        ucan::authorise(invocation, &proof, context)
    })?;
    Ok(())
}

/// Refuses a chain that could never be accepted, before any of its signatures is checked.
pub(crate) fn refuse(
    plane: &Plane,
    snapshot: &Snapshot,
    unopened: &Unopened,
    trusted: Trust<'_>,
    now: Time,
) -> Result<(), Failure> {
    let subject = unopened.invocation().subject();
    judged(plane, snapshot, subject, trusted, now, |context| plane.opener.refuse(unopened, snapshot, context))?;
    Ok(())
}

/// Under what conditions chains are judged, here as in the ledger.
fn judged<T>(
    plane: &Plane,
    snapshot: &Snapshot,
    subject: Did,
    trusted: Trust<'_>,
    now: Time,
    judge: impl FnOnce(&Context<'_>) -> T,
) -> T {
    let state = snapshot.replica.state();
    judge(&Context {
        now,
        clock_tolerance: Plane::tolerance(snapshot),
        audience: Some(plane.sequencer),
        trusted,
        allow_powerline: false,
        min_nonce: MIN_NONCE,
        revoked_delegation: &|cid, issuers| state.is_delegation_revoked(subject, cid, issuers),
        revoked_key: &|did| state.is_key_revoked(subject, did),
    })
}

/// Reads of the whole log are the operator's to give.
pub(crate) fn everything(reader: Reader) -> Result<Reader, Failure> {
    match reader.sight {
        Sight::All => Ok(reader),
        Sight::Tenant(_) => {
            let detail = "this is about every tenant; its reader is entitled by the operator";
            Err(Failure::new(Type::Forbidden, detail).field("sub"))
        }
    }
}
