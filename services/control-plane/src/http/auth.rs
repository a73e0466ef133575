//! Who may read: a capability in the `Authorization` header, checked against the state at every request.

use super::problem::Failure;
use crate::{clock, opener::OpenError, plane::Plane, snapshot::Snapshot};
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
pub(crate) enum Scope {
    /// Everything: the operator delegated it.
    All,
    /// One tenant's.
    Tenant(Did),
}

/// What a reader may see, and until when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grant {
    pub scope: Scope,
    pub until: Time,
}

impl Scope {
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
pub(crate) async fn reader(plane: &Arc<Plane>, headers: &HeaderMap, command: &str) -> Result<Grant, Failure> {
    let header = headers.get(header::AUTHORIZATION).ok_or_else(missing)?;
    let text = header.to_str().ok().and_then(|t| t.strip_prefix("Bearer ")).ok_or_else(missing)?;
    let key = Digest::sha256(text.as_bytes());
    let snapshot = plane.now();
    let reading = if let Some(reading) = plane.readers.get(&key) {
        reading
    } else {
        let reading = Arc::new(open(plane, text, &snapshot).await?);
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

async fn open(plane: &Arc<Plane>, text: &str, snapshot: &Snapshot) -> Result<Reading, Failure> {
    let parcel = match plane.opener.parcel(text.as_bytes(), MAX_TOKEN_BYTES, None) {
        Err(OpenError::Container(error)) => {
            return Err(Failure::from(OpenError::Container(error)).field("Authorization"));
        }
        other => other?,
    };
    let proofs = plane.opener.proofs(&parcel, snapshot).await?;
    Ok(Reading { invocation: parcel.invocation, proofs })
}

fn authorise(
    plane: &Plane,
    snapshot: &Snapshot,
    reading: &Reading,
    command: &str,
    now: Time,
) -> Result<Grant, Failure> {
    let invocation = &reading.invocation;
    let state = snapshot.replica.state();
    let is_known = |did: &Did| *did == plane.operator || state.tenant(did).is_some();
    chain(plane, snapshot, invocation, &reading.proofs, Trust::Check(&is_known), now)?;
    let wanted: Command = command.parse().map_err(|_| Failure::new(Type::Internal, "not a command"))?;
    if !invocation.command().covers(&wanted) || invocation.command().as_str() == "/" {
        return Err(
            Failure::new(Type::CapabilityRequired, format!("this needs an invocation of {command}")).field("cmd")
        );
    }
    let until = lifetime(invocation, now.plus(Plane::tolerance(snapshot)))?;
    let subject = invocation.subject();
    let scope = if subject == plane.operator { Scope::All } else { Scope::Tenant(subject) };
    Ok(Grant { scope, until })
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
    let (state, subject) = (snapshot.replica.state(), invocation.subject());
    let context = Context {
        now,
        clock_tolerance: Plane::tolerance(snapshot),
        audience: Some(plane.sequencer),
        trusted,
        allow_powerline: false,
        min_nonce: 12,
        revoked_delegation: &|cid| state.is_delegation_revoked(subject, cid),
        revoked_key: &|did| state.is_key_revoked(subject, did),
    };
    let proof = |cid: &domain::Cid| proofs.iter().find(|p| p.cid() == *cid).cloned();
    ucan::authorise(invocation, &proof, &context)?;
    Ok(())
}

/// Reads of the whole log are the operator's to give.
pub(crate) fn everything(grant: Grant) -> Result<Grant, Failure> {
    match grant.scope {
        Scope::All => Ok(grant),
        Scope::Tenant(_) => {
            Err(Failure::new(Type::Forbidden, "this is about every tenant; its reader is entitled by the operator"))
        }
    }
}
