//! `GET /v1/proposals` and `/v1/proposals/{cid}`.

use super::{
    auth,
    problem::Failure,
    query::{Params, Segment, length},
    trail::{Trail, read},
};
use crate::{clock, plane::Plane, snapshot::Snapshot};
use axum::{Json, extract::State, http::HeaderMap};
use domain::{Cid, Did};
use ledger::{Freshness, Phase};
use messages::{PageOf, ProblemType as Type, ProposalStatus as Status, ProposalSummary, ProposalView};
use serde::Deserialize;
use std::{str::FromStr, sync::Arc};
use storage::{ProposalFilter, ProposalRow};

const COMMAND: &str = "/read/proposals";

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Filter {
    tenant: Option<String>,
    installation: Option<String>,
    status: Option<String>,
    order: Option<String>,
    cursor: Option<String>,
    limit: Option<usize>,
}

fn parsed<T: FromStr>(text: Option<&String>, field: &str) -> Result<Option<T>, Failure> {
    let bad = |_| Failure::new(Type::MalformedRequest, format!("not a valid {field}")).field(field);
    text.map(|t| t.parse().map_err(bad)).transpose()
}

pub(crate) async fn list(
    State(plane): State<Arc<Plane>>,
    headers: HeaderMap,
    params: Params<Filter>,
) -> Result<Json<PageOf<ProposalSummary>>, Failure> {
    let reader = auth::reader(&plane, &headers, COMMAND).await?;
    let query = params.get()?;
    let asked: Option<Did> = parsed(query.tenant.as_ref(), "tenant")?;
    let tenant = match (asked, reader.sight) {
        (Some(did), sight) if !sight.includes(&did) => {
            return Err(Failure::new(Type::Forbidden, "the capability is another tenant's").field("tenant"));
        }
        (None, auth::Sight::Tenant(own)) => Some(own),
        (asked, _) => asked,
    };
    if query.status.as_ref().is_some_and(|s| Status::parse(s).is_none()) {
        return Err(Failure::new(Type::MalformedRequest, "not a status").field("status"));
    }
    let filter = ProposalFilter {
        tenant,
        installation: parsed(query.installation.as_ref(), "installation")?,
        status: query.status,
        order: parsed(query.order.as_ref(), "order")?,
    };
    let cursor = parsed(query.cursor.as_ref(), "cursor")?;
    let length = length(query.limit)?;
    let wanted = u32::try_from(length).unwrap_or(u32::MAX).saturating_add(1);
    let mut rows = plane.gate.read(move |s| s.proposals(&filter, cursor, wanted)).await?;
    let is_more = rows.len() > length;
    rows.truncate(length);
    let next = rows.last().filter(|_| is_more).map(|r| r.seq.to_string());
    let items = rows.into_iter().map(summary).collect::<Option<Vec<_>>>();
    let items = items.ok_or_else(|| Failure::new(Type::Internal, "a row has no known status"))?;
    Ok(Json(PageOf { items, next }))
}

fn summary(row: ProposalRow) -> Option<ProposalSummary> {
    Some(ProposalSummary {
        status: Status::parse(&row.status)?,
        id: row.id,
        seq: row.seq,
        at: row.at,
        tenant: row.tenant,
        installation: row.installation,
        plugin: row.plugin,
        kind: row.kind,
        order: row.order,
        asset: row.asset,
        total: row.total,
        updated: row.updated,
    })
}

pub(crate) async fn one(
    State(plane): State<Arc<Plane>>,
    headers: HeaderMap,
    Segment(id): Segment,
) -> Result<Json<ProposalView>, Failure> {
    let reader = auth::reader(&plane, &headers, COMMAND).await?;
    let unknown = || Failure::new(Type::NotFound, "no such proposal").field("cid");
    let id: Cid = id.parse().map_err(|_| unknown())?;
    let row = plane.gate.read(move |s| s.proposal(&id)).await?;
    // Another tenant's proposal is as if there were none.
    let row = row.filter(|r| reader.sight.includes(&r.tenant)).ok_or_else(unknown)?;
    let (seq, tenant, opener) = (row.seq, row.tenant, Arc::clone(&plane.opener));
    let trail = plane.gate.read(move |s| read((s, &opener), id, seq, tenant)).await?;
    let status = Status::parse(&row.status);
    let (Some(trail), Some(status)) = (trail, status) else {
        return Err(Failure::new(Type::Internal, "the proposal's entries cannot be read"));
    };
    Ok(Json(view(&plane.now(), id, seq, status, trail)))
}

fn view(snapshot: &Snapshot, id: Cid, seq: u64, status: Status, mut trail: Trail) -> ProposalView {
    let state = snapshot.replica.state();
    if let Some(proposal) = state.proposal(&id) {
        let standing: Vec<Cid> = state.standing_approvals(proposal).map(|(_, a)| a.statement).collect();
        trail.approvals.retain(|a| standing.contains(&a.statement));
    }
    ProposalView {
        id,
        seq,
        status,
        waits_for: waits_for(snapshot, &id, status),
        authorisation: state.proposal(&id).filter(|p| p.is_approved()).and_then(|_| state.authorisation(&id)),
        execution: trail.execution(status),
        decision: trail.decision,
        command: trail.command,
        intent: trail.intent,
        approvals: trail.approvals,
        review_digest: trail.review,
        audit_trail: trail.records,
    }
}

/// What has to happen next, for people.
fn waits_for(snapshot: &Snapshot, id: &Cid, status: Status) -> Option<String> {
    let state = snapshot.replica.state();
    let proposal = state.proposal(id)?;
    if let Phase::Review { needed, .. } = &proposal.phase {
        let given = state.standing_approvals(proposal).count();
        let left = usize::from(*needed).saturating_sub(given);
        return Some(format!(
            "{left} more of {needed} approvals, by distinct approvers, until {}",
            proposal.payout.valid_until
        ));
    }
    let now = clock::now();
    let held = state.permit(id, now, Freshness { checkpoint: now.max(state.at()), lease: 1 }).err();
    match status {
        Status::Included => Some("signers' attestation that it is final".to_owned()),
        Status::Submitted => Some("a block that includes the transaction".to_owned()),
        _ => Some(held.map_or_else(
            || "the quorum's signature and a relayer".to_owned(),
            |hold| format!("the quorum does not sign: {hold}"),
        )),
    }
}
