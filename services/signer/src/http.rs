//! The signer's endpoints: envelopes of pinned nodes in, envelopes out.

use crate::{ENVELOPE_TOLERANCE, Node, freeze, halt::Kept, session};
use axum::{
    Json, Router,
    body::Bytes,
    extract::{
        DefaultBodyLimit, FromRequest, Request, State,
        rejection::{BytesRejection, JsonRejection},
    },
    http::{StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use domain::{Did, Digest};
use messages::{
    Envelope, EnvelopeError, Expected, MAX_BODY, MAX_FROZEN, MAX_STATEMENT, NodeStatus, Nonce, PROBLEM_JSON, Problem,
    ProblemType, Refusal, Seal, paths,
};
use rand_core::{OsRng, RngCore};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    future::Future,
    sync::{Arc, PoisonError},
    time::Duration,
};
use tokio::net::TcpListener;

/// A body in base64 inside JSON.
const MAX_REQUEST: usize = MAX_BODY.saturating_mul(2);
/// How long a request may take, its body included: longer than anybody waits for the answer.
const PATIENCE: Duration = Duration::from_mins(1);
/// When to come back, in seconds: what keeps a signer from answering takes people, or the other side, a while.
const RETRY: u64 = 5;
/// What is answered however many connections there are: whoever looks after the node must see what is the matter, and a
/// freeze comes directly when something is the matter elsewhere.
const ALWAYS: &[&str] = &["/healthz", "/readyz", "/metrics", paths::FREEZE];

type Shared = Arc<Node>;

/// Who may ask for something.
#[derive(Clone, Copy)]
enum Circle {
    /// Relayers, and the operator's node.
    Coordinators,
    /// The operator's node alone.
    Administrators,
}

pub(crate) async fn serve(listener: TcpListener, node: Shared, shutdown: impl Future<Output = ()> + Send) {
    let router = Router::new()
        .route(paths::NODE_STATUS, post(status))
        .route(paths::SESSION_COMMIT, post(commit))
        .route(paths::SESSION_SIGN, post(sign))
        .route(paths::DKG_BEGIN, post(dkg_begin))
        .route(paths::DKG_ROUND1, post(dkg_round1))
        .route(paths::DKG_ROUND2, post(dkg_round2))
        .route(paths::DKG_FINISH, post(dkg_finish))
        .route(paths::DKG_CONFIRM, post(dkg_confirm))
        .route(paths::DKG_ACCEPT, post(dkg_accept))
        .route(paths::FREEZE, post(freeze_now).layer(DefaultBodyLimit::max(MAX_STATEMENT)))
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .fallback(async || problem(ProblemType::NotFound, "no such endpoint"))
        .method_not_allowed_fallback(async || problem(ProblemType::MethodNotAllowed, "not with this method; see Allow"))
        .layer(DefaultBodyLimit::max(MAX_REQUEST))
        .layer(middleware::from_fn(in_time))
        .with_state(node);
    serving::serve(listener, router, ALWAYS, serving::Limits::default(), shutdown).await;
}

/// A body that never ends holds nothing for ever.
async fn in_time(request: Request, next: Next) -> Response {
    let answer = tokio::time::timeout(PATIENCE, next.run(request)).await;
    answer.unwrap_or_else(|_| problem(ProblemType::Unavailable, "this took too long; ask again"))
}

fn problem(kind: ProblemType, detail: impl Into<String>) -> Response {
    let problem = Problem::new(kind, detail);
    respond(if kind == ProblemType::Unavailable { problem.with_retry_after(RETRY) } else { problem })
}

fn respond(problem: Problem) -> Response {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let retry_after = problem.retry_after.map(|seconds| [(header::RETRY_AFTER, seconds.to_string())]);
    (status, [(header::CONTENT_TYPE, PROBLEM_JSON)], retry_after, Json(problem)).into_response()
}

/// An envelope, from whomever.
struct Received(Envelope);

impl FromRequest<Shared> for Received {
    type Rejection = Response;

    async fn from_request(request: Request, node: &Shared) -> Result<Self, Response> {
        Json::from_request(request, node).await.map(|Json(envelope)| Self(envelope)).map_err(|e| no_envelope(&e))
    }
}

fn no_envelope(rejection: &JsonRejection) -> Response {
    let (kind, field) = match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => (ProblemType::PayloadTooLarge, "body"),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => (ProblemType::UnsupportedMediaType, "Content-Type"),
        _ => (ProblemType::MalformedRequest, "body"),
    };
    respond(Problem::new(kind, rejection.body_text()).with_field(field))
}

/// An authentic request that waits for its answer.
struct Asked {
    path: &'static str,
    from: Did,
    request: Digest,
}

/// Opens a request of somebody in `circle`, once.
#[expect(clippy::result_large_err, reason = "the error is the response, made once per refused request")]
fn open<Q: DeserializeOwned>(
    node: &Node,
    path: &'static str,
    circle: Circle,
    envelope: &Envelope,
) -> Result<(Q, Asked), Response> {
    let now = node.ambient.now();
    let is_pinned = |did: &Did| match circle {
        Circle::Administrators => node.config.administrators.contains(did),
        Circle::Coordinators => node.config.coordinators.contains(did) || node.config.administrators.contains(did),
    };
    let expected =
        Expected { to: &node.did, path, in_reply_to: None, now, tolerance: ENVELOPE_TOLERANCE, is_pinned: &is_pinned };
    let forbidden = |detail: String| problem(ProblemType::Forbidden, detail);
    let field = match circle {
        Circle::Administrators => "administrators",
        Circle::Coordinators => "coordinators",
    };
    let opened = envelope.open::<Q>(&expected).map_err(|e| match e {
        EnvelopeError::UnknownSender(_) => {
            forbidden(format!("{e}; this signer's configuration names who may under {field}"))
        }
        other => forbidden(other.to_string()),
    })?;
    let admitted = node.replays.lock().unwrap_or_else(PoisonError::into_inner).admit(&opened, now);
    admitted.map_err(|e| forbidden(e.to_string()))?;
    let asked = Asked { path, from: opened.from(), request: opened.digest() };
    Ok((opened.into_body(), asked))
}

impl Asked {
    /// Signs the answer, be it yes or no.
    fn answer<T: Serialize>(self, node: &Node, answer: &Result<T, Refusal>) -> Response {
        let mut nonce = [0; 16];
        OsRng.fill_bytes(&mut nonce);
        let seal = Seal {
            path: self.path,
            to: self.from,
            at: node.ambient.now(),
            nonce: Nonce(nonce),
            in_reply_to: Some(self.request),
        };
        let key = node.config.identity.key();
        let (status, sealed) = match answer {
            Ok(body) => (StatusCode::OK, Envelope::seal(key, &seal, body)),
            Err(refusal) => (StatusCode::CONFLICT, Envelope::seal(key, &seal, refusal)),
        };
        match sealed {
            Ok(envelope) => (status, Json(envelope)).into_response(),
            Err(error) => {
                tracing::error!(%error, "an answer cannot be sealed");
                problem(ProblemType::Internal, "the answer cannot be signed")
            }
        }
    }
}

macro_rules! exchange {
    ($name:ident, $path:expr, $circle:ident, |$node:ident, $request:ident| $answer:expr) => {
        async fn $name(State($node): State<Shared>, Received(envelope): Received) -> Response {
            let ($request, asked) = match open(&$node, $path, Circle::$circle, &envelope) {
                Ok(opened) => opened,
                Err(refused) => return refused,
            };
            let answer = $answer;
            asked.answer(&$node, &answer)
        }
    };
}

exchange!(status, paths::NODE_STATUS, Coordinators, |node, request| {
    let () = request;
    Ok(describe(&node))
});
exchange!(commit, paths::SESSION_COMMIT, Coordinators, |node, request| session::commit(&node, request).await);
exchange!(sign, paths::SESSION_SIGN, Coordinators, |node, request| session::sign(&node, request).await);
exchange!(dkg_begin, paths::DKG_BEGIN, Administrators, |node, request| node.ceremonies.begin(&node, &request));
exchange!(dkg_round1, paths::DKG_ROUND1, Administrators, |node, request| node.ceremonies.round1(&node, &request));
exchange!(dkg_round2, paths::DKG_ROUND2, Administrators, |node, request| node.ceremonies.round2(&node, &request));
exchange!(dkg_finish, paths::DKG_FINISH, Administrators, |node, request| node.ceremonies.finish(&node, &request));
exchange!(dkg_confirm, paths::DKG_CONFIRM, Administrators, |node, request| node.ceremonies.confirm(&node, &request));
exchange!(dkg_accept, paths::DKG_ACCEPT, Administrators, |node, request| node.ceremonies.accept(&node, &request));

/// A freeze needs no envelope: the statement in the body has its own chain of authority.
async fn freeze_now(State(node): State<Shared>, body: Result<Bytes, BytesRejection>) -> Response {
    let body = match body {
        Ok(body) => body,
        Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            return problem(ProblemType::PayloadTooLarge, format!("a statement has at most {MAX_STATEMENT} bytes"));
        }
        Err(rejection) => return problem(ProblemType::MalformedRequest, rejection.body_text()),
    };
    match freeze::take(node, body).await {
        Ok(reply) => Json(reply).into_response(),
        Err(freeze::FreezeError::Keep(error)) => {
            tracing::error!(%error, "a direct freeze is in force but cannot be kept across a restart");
            problem(ProblemType::Unavailable, "frozen, but not kept across a restart: the disk refused")
        }
        Err(error @ (freeze::FreezeError::Full | freeze::FreezeError::Ending(_))) => {
            problem(ProblemType::Unavailable, error.to_string())
        }
        Err(error @ freeze::FreezeError::Refused(_)) => problem(ProblemType::Forbidden, error.to_string()),
        Err(error) => problem(ProblemType::MalformedRequest, error.to_string()),
    }
}

fn describe(node: &Node) -> NodeStatus {
    let replica = node.view.replica();
    let quorum = replica.state().quorum();
    let freshness = node.view.freshness(node.config.lease);
    let fresh = node.ambient.now().since(freshness.checkpoint) < freshness.lease;
    let (frozen, count) = node.freezes.soonest(MAX_FROZEN);
    NodeStatus {
        node: node.did,
        participant: quorum.and_then(|q| q.participant(&node.did)).map(|p| p.id),
        epochs: node.keys.epochs(),
        active_epoch: quorum.map(|q| q.epoch),
        head: replica.head().map(|h| h.seq),
        view_time: (freshness.checkpoint.unix() > 0).then_some(freshness.checkpoint),
        fresh,
        frozen,
        frozen_count: u64::try_from(count).unwrap_or(u64::MAX),
        halted: node.view.halted().map(str::to_owned),
        checkpoints: node.view.shown(),
        open_commitments: u64::try_from(node.sessions.open()).unwrap_or(u64::MAX),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

async fn ready(State(node): State<Shared>) -> Response {
    let status = describe(&node);
    if let Some(reason) = status.halted {
        let rest = match node.halt.kept() {
            Kept::Whole => "",
            Kept::Reason => "; not all of it can be written to disk yet",
            Kept::Unproven => "; what shows it was never written to disk, and is kept when it is shown here again",
            Kept::Nothing => "; this cannot be written to disk yet, and a restart would forget it",
        };
        return problem(ProblemType::Unavailable, format!("halted: {reason}{rest}"));
    }
    let stale = (!status.fresh).then(|| "the view of the log is older than its lease: nothing is signed".to_owned());
    let hidden = node.view.beyond().map(|size| format!("the log has {size} entries; some of them have not come here"));
    let silent = (!node.endpoint.answers()).then(|| "the RPC endpoint does not answer: nothing is attested".to_owned());
    let missing: Vec<String> = [stale, hidden, silent].into_iter().flatten().collect();
    if missing.is_empty() { "ready".into_response() } else { problem(ProblemType::Unavailable, missing.join("; ")) }
}

async fn metrics(State(node): State<Shared>) -> Response {
    let status = describe(&node);
    let freshness = node.view.freshness(node.config.lease);
    let age = node.ambient.now().since(freshness.checkpoint);
    let text = format!(
        "# TYPE countersign_signer_entries gauge\ncountersign_signer_entries {}\n\
         # TYPE countersign_signer_view_age_seconds gauge\ncountersign_signer_view_age_seconds {age}\n\
         # TYPE countersign_signer_halted gauge\ncountersign_signer_halted {}\n\
         # TYPE countersign_signer_rpc_up gauge\ncountersign_signer_rpc_up {}\n\
         # TYPE countersign_signer_direct_freezes gauge\ncountersign_signer_direct_freezes {}\n\
         # TYPE countersign_signer_overdue_freezes gauge\ncountersign_signer_overdue_freezes {}\n\
         # TYPE countersign_signer_open_commitments gauge\ncountersign_signer_open_commitments {}\n",
        node.view.replica().next_seq(),
        u8::from(status.halted.is_some()),
        u8::from(node.endpoint.answers()),
        status.frozen_count,
        node.freezes.overdue(node.ambient.now()),
        status.open_commitments,
    );
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}
