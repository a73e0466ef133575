//! What operators ask: is it alive, is it ready, what does it count.

use super::problem::Failure;
use crate::{health::Standing, plane::Plane};
use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use messages::{Health, ProblemType as Type};
use std::sync::Arc;

/// How a control plane is that has not verified its log yet.
pub(crate) fn unverified() -> Health {
    Health { ready: false, leader: false, head: None, version: env!("CARGO_PKG_VERSION").to_owned() }
}

fn report(plane: &Plane) -> Health {
    Health {
        ready: plane.health.standing() == Standing::Leading && !plane.health.is_closing(),
        leader: plane.health.standing() != Standing::Stopped,
        head: plane.now().replica.head().map(|h| h.seq),
        ..unverified()
    }
}

pub(crate) async fn health(State(plane): State<Arc<Plane>>) -> Json<Health> {
    Json(report(&plane))
}

pub(crate) async fn ready(State(plane): State<Arc<Plane>>) -> Result<Json<Health>, Failure> {
    let unavailable = |why: &str| Err(Failure::new(Type::Unavailable, why));
    match plane.health.standing() {
        _ if plane.health.is_closing() => unavailable("the service is shutting down"),
        Standing::Leading => Ok(Json(report(&plane))),
        Standing::Degraded => unavailable("the database or the anchor file cannot be written; statements wait"),
        Standing::Stopped => Err(Failure::new(Type::Fenced, plane.health.why().told())),
    }
}

pub(crate) async fn metrics(State(plane): State<Arc<Plane>>) -> Result<Response, Failure> {
    let text = plane.metrics.text().map_err(|e| Failure::new(Type::Internal, e.to_string()))?;
    Ok(([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response())
}
