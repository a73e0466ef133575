//! The HTTP API: one route table, from which the router and the OpenAPI document are both made.

pub(crate) mod auth;
mod follow;
mod log_reads;
mod openapi;
mod operations;
mod problem;
mod proposals;
mod query;
mod raw;
mod refusals;
mod routes;
mod simulate;
mod submit;
mod token;
mod trail;
mod views;

pub use openapi::openapi;
pub(crate) use operations::unverified;
pub use routes::{Access, ROUTES, Route, Verb};

use crate::{clock, plane::Plane};
use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use messages::ProblemType as Type;
use problem::Failure;
use routes::Endpoint;
use std::sync::Arc;
use tower_http::catch_panic::CatchPanicLayer;

/// What is answered however many connections there are: whoever looks after the service must see what is the matter.
pub(crate) const OPERATIONS: &[&str] = &["/healthz", "/readyz", "/metrics"];

/// The whole API over `plane`.
pub(crate) fn router(plane: &Arc<Plane>) -> Router {
    let mut router = Router::new();
    for route in ROUTES {
        let limit = match route.endpoint {
            Endpoint::Propose | Endpoint::Simulate => plane.limits.proposal_bytes,
            _ => plane.limits.statement_bytes,
        };
        let mut handler = route.endpoint.handler().layer(DefaultBodyLimit::max(limit));
        // What is public is asked by probes and caches, which may add to an address what they like.
        if route.query.is_empty() && !matches!(route.access, Access::Public) {
            handler = handler.layer(middleware::from_fn(without_query));
        }
        router = router.route(route.path, handler);
    }
    router
        .fallback(async || Failure::new(Type::NotFound, "no such endpoint; see /openapi.json"))
        .method_not_allowed_fallback(async || {
            Failure::new(Type::MethodNotAllowed, "not with this method; see Allow and /openapi.json")
        })
        .layer(CatchPanicLayer::custom(|_: Box<dyn std::any::Any + Send>| {
            Failure::new(Type::Internal, "the request failed").into_response()
        }))
        .layer(middleware::from_fn_with_state(Arc::clone(plane), watch))
        .with_state(Arc::clone(plane))
}

/// Refuses a parameter where none has a meaning: whoever sends one believes that it has.
async fn without_query(request: Request, next: Next) -> Response {
    let query = request.uri().query().filter(|query| !query.is_empty());
    match query.and_then(|query| query.split(['=', '&']).next()) {
        None => next.run(request).await,
        Some(name) => {
            let name: String = name.chars().take(LONGEST_NAME).collect();
            Failure::new(Type::MalformedRequest, "this takes no parameters").field(name).into_response()
        }
    }
}

/// Characters of a parameter that are told: longer than any that there is.
const LONGEST_NAME: usize = 64;

/// Counts every request, and gives none more time than it may take. Streams are counted when they begin.
async fn watch(State(plane): State<Arc<Plane>>, request: Request, next: Next) -> Response {
    let started = clock::instant();
    let response = tokio::time::timeout(plane.limits.request, next.run(request)).await.unwrap_or_else(|_| {
        Failure::new(Type::Unavailable, "this took too long; send the same bytes again").into_response()
    });
    plane.metrics.request_seconds.observe(started.elapsed().as_secs_f64());
    plane.metrics.responses.with_label_values(&[response.status().as_str()]).inc();
    if let Some(kind) = response.extensions().get::<Type>() {
        plane.metrics.refused.with_label_values(&[kind.slug()]).inc();
    }
    response
}
