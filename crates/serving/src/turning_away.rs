use axum::{
    Router,
    body::to_bytes,
    extract::Request,
    http::{StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use messages::{PROBLEM_JSON, Problem, ProblemType};
use std::time::Duration;

/// Bytes that are read of a body that nobody wants: a proposal and more. A connection that is closed with bytes unread is
/// reset, and the answer may be lost with them.
const MAX_UNWANTED: usize = 256 * 1024;
/// When to come back, in seconds: most requests take less.
const RETRY: u64 = 1;

/// Of `app`, the paths `always`; everything else is told to come back.
pub fn only(app: Router, always: &'static [&'static str], patience: Duration) -> Router {
    app.layer(middleware::from_fn(move |request: Request, next: Next| async move {
        if !always.contains(&request.uri().path()) {
            return refuse(request, overloaded("too many connections; try again"), patience).await;
        }
        // Nobody holds one of these few places with a body that does not come.
        let answer = tokio::time::timeout(patience, next.run(request)).await;
        answer.unwrap_or_else(|_| response(&overloaded("this took too long")))
    }))
}

/// Answers a request, whatever it asks, with a problem that says when to come back.
pub async fn refuse(request: Request, problem: Problem, patience: Duration) -> Response {
    // Whether or not it came whole, the answer is the same.
    let _ = tokio::time::timeout(patience, to_bytes(request.into_body(), MAX_UNWANTED)).await;
    response(&problem)
}

fn overloaded(detail: &str) -> Problem {
    Problem::new(ProblemType::Overloaded, detail).with_retry_after(RETRY)
}

fn response(problem: &Problem) -> Response {
    let retry = problem.retry_after.unwrap_or(RETRY);
    let headers = [(header::CONTENT_TYPE, PROBLEM_JSON.to_owned()), (header::RETRY_AFTER, retry.to_string())];
    let body = serde_json::to_vec(problem).unwrap_or_default();
    (StatusCode::SERVICE_UNAVAILABLE, headers, body).into_response()
}
