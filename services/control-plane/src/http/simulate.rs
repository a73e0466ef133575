//! `POST /v1/simulations`: what would be decided now, by a step whose next state is dropped.

use super::{
    auth,
    problem::{Failure, within},
    raw::ContainerOrJson,
    submit::refuse_claims,
};
use crate::{
    clock, outcome,
    plane::{Plane, SimulationError},
};
use axum::{Json, extract::State, http::HeaderMap};
use domain::Did;
use ledger::{Act, ParseError, Simulation, detail_of, field_of};
use messages::{ProblemType as Type, SimulationDraft, SimulationReply};
use std::{fmt, sync::Arc};

/// Who may read the tenant's proposals may have a draft decided.
pub(super) const COMMAND: &str = "/read/proposals";

type Reply = Result<Json<SimulationReply>, Failure>;

pub(crate) async fn simulate(State(plane): State<Arc<Plane>>, headers: HeaderMap, body: ContainerOrJson) -> Reply {
    match body {
        ContainerOrJson::Container(body) => signed(&plane, &body).await,
        ContainerOrJson::Json(body) => draft(&plane, &headers, &body).await,
    }
}

/// A signed question entitles to its answer, and a signed proposal to its own simulation.
async fn signed(plane: &Arc<Plane>, body: &[u8]) -> Reply {
    let snapshot = plane.now();
    // Not told apart by the memory of what is known: a proposal may be simulated after it was made.
    let unopened = plane.opener.read(body, plane.limits.proposal_bytes, Some(&snapshot))?;
    refuse_claims(plane, &unopened, &snapshot, clock::now())?;
    if !Simulation::is_of(unopened.invocation().command().as_str()) {
        return Err(Failure::new(Type::MalformedRequest, "only a proposal can be simulated").field("cmd"));
    }
    let parcel = plane.opener.open(&unopened)?;
    let proofs = plane.opener.proofs(&parcel, &snapshot).await?;
    let tenant = parcel.invocation.subject();
    let simulation = Simulation::parse(parcel.invocation, proofs)?;
    let seq = snapshot.replica.next_seq();
    let decided = decide(plane, tenant, move || snapshot.replica.state().simulate(&simulation, clock::now())).await??;
    let decided = decided.ok_or_else(|| Failure::new(Type::Internal, "a proposal without a decision"))?;
    Ok(Json(SimulationReply { decision: outcome::decision(&decided), seq }))
}

async fn draft(plane: &Arc<Plane>, headers: &HeaderMap, body: &[u8]) -> Reply {
    let reader = auth::reader(plane, headers, COMMAND).await?;
    if body.len() > plane.limits.proposal_bytes {
        return Err(Failure::new(Type::PayloadTooLarge, "a draft is as small as a proposal").field("body"));
    }
    let draft = read(body)?;
    if !reader.sight.includes(&draft.tenant) {
        return Err(Failure::new(Type::Forbidden, "the capability is another tenant's").field("body.tenant"));
    }
    check_args(&draft)?;
    let snapshot = plane.now();
    if snapshot.replica.state().tenant(&draft.tenant).is_none() {
        return Err(Failure::new(Type::NotFound, "no such tenant").field("body.tenant"));
    }
    let now = clock::now().max(snapshot.replica.state().at());
    let seq = snapshot.replica.next_seq();
    let tenant = draft.tenant;
    let consider = move || {
        let SimulationDraft { tenant, installation, payout } = draft;
        snapshot.replica.state().consider(&tenant, &installation, &payout, now)
    };
    let decided = decide(plane, tenant, consider).await?;
    let unknown = || Failure::new(Type::NotFound, "no such installation of this tenant").field("body.installation");
    Ok(Json(SimulationReply { decision: outcome::decision(&decided.ok_or_else(unknown)?), seq }))
}

/// A decision may take milliseconds under a wide policy, which the threads that answer requests do not have.
async fn decide<T: Send + 'static>(
    plane: &Plane,
    tenant: Did,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    plane.simulations.run(tenant, work).await.map_err(|error| match error {
        SimulationError::Busy => Failure::new(Type::Overloaded, format!("{error}; try again")),
        SimulationError::InDebt(wait) => Failure::in_debt(wait),
        SimulationError::Failed(_) => Failure::new(Type::Internal, error.to_string()),
    })
}

fn read(body: &[u8]) -> Result<SimulationDraft, Failure> {
    let bad = |error: &dyn fmt::Display, field: &str| {
        Failure::new(Type::MalformedRequest, format!("not a draft: {}", detail_of(error))).field(within("body", field))
    };
    let mut json = serde_json::Deserializer::from_slice(body);
    let draft = serde_path_to_error::deserialize(&mut json).map_err(|e| bad(e.inner(), &field_of(&e)))?;
    json.end().map_err(|e| bad(&e, ""))?;
    Ok(draft)
}

/// A draft's payout must be one that a proposal could carry.
fn check_args(draft: &SimulationDraft) -> Result<(), Failure> {
    let args = ipld_core::serde::to_ipld(&draft.payout)
        .map_err(|_| Failure::new(Type::MalformedRequest, "not a payout").field("body.payout"))?;
    Act::parse("/proposal/payout", &args).map(drop).map_err(|error| match error {
        ParseError::Args { field, detail } => {
            Failure::new(Type::ArgsInvalid, detail).field(within("body.payout", &field))
        }
        other @ ParseError::UnknownCommand(_) => other.into(),
    })
}
