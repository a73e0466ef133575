//! `POST /v1/proposals` and `POST /v1/statements`: from bytes to a place in the log.

use super::{auth, problem::Failure, raw::Container};
use crate::{
    clock,
    opener::{OpenError, Unopened},
    outcome,
    plane::Plane,
    sequencer::{Placed, Rejected},
    snapshot::Snapshot,
};
use axum::{Json, extract::State, http::StatusCode};
use domain::{Cid, Did, Time};
use ledger::{Act, Refusal, Statement};
use log::KeyName;
use messages::{ProblemType as Type, SubmitReply};
use prometheus::IntGauge;
use std::sync::Arc;
use ucan::Trust;

/// Which statements an endpoint takes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Proposal,
    Other,
}

/// A statement that is counted as in work: until it is answered, or its client hangs up.
struct InWork(IntGauge);

impl InWork {
    fn begin(gauge: IntGauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for InWork {
    fn drop(&mut self) {
        self.0.dec();
    }
}

type Reply = Result<(StatusCode, Json<SubmitReply>), Failure>;

pub(crate) async fn proposal(State(plane): State<Arc<Plane>>, Container(body): Container) -> Reply {
    submit(&plane, Kind::Proposal, &body).await
}

pub(crate) async fn statement(State(plane): State<Arc<Plane>>, Container(body): Container) -> Reply {
    submit(&plane, Kind::Other, &body).await
}

async fn submit(plane: &Arc<Plane>, kind: Kind, body: &[u8]) -> Reply {
    let turn = Arc::clone(&plane.in_flight).try_acquire_owned();
    let Ok(_turn) = turn else {
        return Err(Failure::new(Type::Overloaded, "too many statements in work; try again"));
    };
    let _in_work = InWork::begin(plane.metrics.in_flight.clone());
    let result = place(plane, kind, body).await;
    result.map(|(status, reply)| (status, Json(reply)))
}

async fn place(plane: &Arc<Plane>, kind: Kind, body: &[u8]) -> Result<(StatusCode, SubmitReply), Failure> {
    let snapshot = plane.now();
    let limit = match kind {
        Kind::Proposal => plane.limits.proposal_bytes,
        Kind::Other => plane.limits.statement_bytes,
    };
    let unopened = match plane.opener.read(body, limit, Some(&snapshot)) {
        Err(OpenError::Known { cid, seq }) => return repeated(plane, cid, seq).await,
        other => other?,
    };
    if let Err(failure) = refuse_early(plane, kind, &unopened, &snapshot, clock::now()) {
        // What the log holds is answered as it was then, however late it comes again.
        let cid = unopened.invocation().cid();
        return match known(plane, cid, &failure).await? {
            Some(seq) => repeated(plane, cid, seq).await,
            None => Err(failure),
        };
    }
    let parcel = plane.opener.open(&unopened)?;
    // Counted once the signature is good: nobody uses up another's turns.
    let Some(_turn) = plane.issuers.enter(parcel.invocation.issuer(), plane.limits.in_flight_per_issuer) else {
        return Err(Failure::new(Type::RateLimited, "too many statements of this issuer in work; try again"));
    };
    let statement = plane.opener.statement(parcel, &snapshot).await?;
    check_genesis(plane, &statement)?;
    let statement = prepare(plane, &snapshot, statement).await?;
    let cid = statement.cid();
    match verdict(plane, statement).await? {
        Ok(placed) if placed.repeated => {
            plane.metrics.repeated.inc();
            Ok((StatusCode::OK, outcome::reply(cid, placed.seq, &placed.outcome)))
        }
        Ok(placed) => Ok((StatusCode::CREATED, accepted(plane, cid, &placed))),
        Err(Rejected::Refused(Refusal::AlreadyKnown { seq })) => repeated(plane, cid, seq).await,
        Err(rejected) => Err(rejected.into()),
    }
}

/// Loads a policy before it is queued, where it keeps nothing waiting but other policies.
async fn prepare(plane: &Plane, snapshot: &Arc<Snapshot>, statement: Statement) -> Result<Statement, Failure> {
    if !statement.needs_preparation() {
        return Ok(statement);
    }
    let Some(_turn) = plane.activating.enter(statement.invocation().subject(), 1) else {
        return Err(Failure::new(Type::RateLimited, "a policy of this tenant is being loaded; try again"));
    };
    let snapshot = Arc::clone(snapshot);
    let prepare = move || {
        let state = snapshot.replica.state();
        statement.prepare(state, clock::now().max(state.at()))
    };
    let prepared = tokio::time::timeout(plane.limits.commit, plane.loading.run_in_turn(prepare)).await;
    let busy = |_| Failure::new(Type::Overloaded, "other policies are being loaded; try again");
    Ok(prepared.map_err(busy)?.map_err(|e| Failure::new(Type::Internal, e.to_string()))??)
}

/// Waits for the commit, but not for ever.
async fn verdict(plane: &Plane, statement: Statement) -> Result<Result<Placed, Rejected>, Failure> {
    let waiting = plane.queue.submit(statement)?;
    match tokio::time::timeout(plane.limits.commit, waiting).await {
        Ok(Ok(verdict)) => Ok(verdict),
        // The sequencer has gone with the statement in hand, or is waiting for the database.
        Ok(Err(_)) | Err(_) => Ok(Err(Rejected::Unknown)),
    }
}

fn accepted(plane: &Plane, cid: Cid, placed: &Placed) -> SubmitReply {
    let reply = outcome::reply(cid, placed.seq, &placed.outcome);
    for violation in reply.decision.iter().flat_map(|d| &d.violations) {
        plane.metrics.denied.with_label_values(&[&violation.code]).inc();
    }
    reply
}

/// The first answer to bytes that the log holds.
async fn repeated(plane: &Arc<Plane>, cid: Cid, seq: u64) -> Result<(StatusCode, SubmitReply), Failure> {
    plane.metrics.repeated.inc();
    let entries = plane.gate.read(move |s| s.entries(seq, 1)).await?;
    let entry = entries.into_iter().next().filter(|e| e.seq == seq && e.statement == cid);
    let reply = entry.and_then(|e| outcome::first_reply(&e.bytes));
    let reply = reply.ok_or_else(|| Failure::new(Type::Internal, "the entry of this statement cannot be read"))?;
    Ok((StatusCode::OK, reply))
}

/// Where the log holds a statement that has expired since. Asked only when it would be refused for its time.
async fn known(plane: &Arc<Plane>, cid: Cid, failure: &Failure) -> Result<Option<u64>, Failure> {
    if failure.0.kind != Type::TokenExpired {
        return Ok(None);
    }
    Ok(plane.gate.read(move |s| s.seq_of_statement(&cid)).await?)
}

/// What can be refused before any signature is checked and anything is looked up or queued. The ledger asks all of it
/// again.
fn refuse_early(
    plane: &Plane,
    kind: Kind,
    unopened: &Unopened,
    snapshot: &Snapshot,
    clock: Time,
) -> Result<(), Failure> {
    let invocation = unopened.invocation();
    let is_proposal = invocation.command().as_str().starts_with("/proposal/");
    if is_proposal != (kind == Kind::Proposal) {
        let there = if is_proposal { "/v1/proposals" } else { "/v1/statements" };
        let detail = format!("send {} to {there}", invocation.command());
        return Err(Failure::new(Type::MalformedRequest, detail).field("cmd"));
    }
    refuse_claims(plane, unopened, snapshot, clock)
}

/// What no statement may be, wherever it is sent.
pub(super) fn refuse_claims(
    plane: &Plane,
    unopened: &Unopened,
    snapshot: &Snapshot,
    clock: Time,
) -> Result<(), Failure> {
    let invocation = unopened.invocation();
    if invocation.audience() != Some(plane.sequencer) {
        let detail = format!("set aud to the control plane's DID, {}", plane.sequencer);
        return Err(Failure::new(Type::AudienceMismatch, detail).field("aud"));
    }
    let state = snapshot.replica.state();
    // The log's time never goes back, and statements are judged by it.
    let now = clock.max(state.at());
    let is_own_revocation =
        invocation.command().as_str() == "/ucan/revoke" && invocation.issuer() == invocation.subject();
    let subjects = |did: &Did| {
        // An issuer may take back what it has passed on without a part in the realm.
        is_own_revocation || *did == plane.operator || state.tenant(did).is_some()
    };
    auth::refuse(plane, snapshot, unopened, Trust::Check(&subjects), now)?;
    auth::lifetime(invocation, now.plus(Plane::tolerance(snapshot)))?;
    if is_own_revocation && let Act::Revoke(args) = Act::parse(invocation.command().as_str(), invocation.args())? {
        args.refuse(state, invocation.issuer(), now)?;
    }
    Ok(())
}

/// A genesis that names other keys than this service holds, or a name that no checkpoint can carry, would make a log
/// that nobody can continue.
fn check_genesis(plane: &Plane, statement: &Statement) -> Result<(), Failure> {
    let Act::Genesis(genesis) = statement.act() else { return Ok(()) };
    let refuse =
        |field: &str, detail: String| Err(Failure::new(Type::ArgsInvalid, detail).field(format!("args.{field}")));
    if genesis.sequencer != plane.sequencer {
        return refuse("sequencer", format!("this control plane's key is {}", plane.sequencer));
    }
    if genesis.issuer != plane.issuer {
        return refuse("issuer", format!("this control plane's issuer key is {}", plane.issuer));
    }
    if genesis.origin.as_str().parse::<KeyName>().is_err() {
        return refuse("origin", "a log's name has no spaces and no +, such as log.example.com/payouts".to_owned());
    }
    Ok(())
}
