use crate::turning_away;
use axum::{Json, Router, extract::Request, routing::get};
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use messages::{Health, Problem, ProblemType};
use std::{
    future::ready,
    sync::{Arc, OnceLock},
    time::Duration,
};

/// When to come back, in seconds: most services have started by then.
const RETRY: u64 = 1;

/// What a service answers that listens while it starts: `app`, once there is one. Until then `/healthz` tells `health`,
/// and everything else is refused, which says `why`.
pub fn starting(app: Arc<OnceLock<Router>>, health: Health, why: &'static str, patience: Duration) -> Router {
    let refuse = move |request: Request| {
        let problem = Problem::new(ProblemType::Starting, why).with_retry_after(RETRY);
        turning_away::refuse(request, problem, patience)
    };
    let alive = get(move || ready(Json(health.clone())));
    let refusing = Router::new().route("/healthz", alive).fallback(refuse).method_not_allowed_fallback(refuse);
    Router::new().fallback(move |request: Request| {
        TowerToHyperService::new(app.get().unwrap_or(&refusing).clone()).call(request)
    })
}
