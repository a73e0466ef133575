//! The client against small servers: what comes back right, wrong, too late and from the wrong node.
#![allow(
    missing_docs,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

extern crate countersign_client as client;

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::Query,
    http::{HeaderMap, StatusCode, header},
    response::IntoResponse,
    routing::{get, post},
};
use client::{Ambient, ClientError, ControlPlane, Delegations, FollowEvent, ReadAccess, SignerClient, Speaker};
use domain::{NodeUrl, Time};
use ed25519_dalek::SigningKey;
use futures_util::{StreamExt, stream};
use keyfile::Identity;
use messages::{Envelope, Expected, Nonce, PROBLEM_JSON, Problem, ProblemType, Refusal, RefusalCode, Seal, paths};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

fn identity(seed: u8) -> Identity {
    Identity::from_key(SigningKey::from_bytes(&[seed; 32]))
}

fn ambient() -> Ambient {
    let filled = |bytes: &mut [u8]| {
        bytes.fill(3);
        true
    };
    Ambient::new(|| Time::from_unix(1_000), filled)
}

async fn serve(router: Router) -> NodeUrl {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

#[tokio::test]
async fn problems_keep_their_type_and_say_whether_to_retry() {
    let busy = || async {
        let problem = Problem::new(ProblemType::Overloaded, "queue full");
        let headers = [(header::CONTENT_TYPE, PROBLEM_JSON), (header::RETRY_AFTER, "2")];
        (StatusCode::SERVICE_UNAVAILABLE, headers, serde_json::to_string(&problem).unwrap())
    };
    let refused = || async {
        let problem = Problem::new(ProblemType::PolicyMismatch, "no");
        (StatusCode::FORBIDDEN, serde_json::to_string(&problem).unwrap())
    };
    let router = Router::new()
        .route("/v1/statements", post(busy))
        .route("/v1/proposals", post(refused))
        .route("/v1/log/checkpoint", get(|| async { (StatusCode::BAD_GATEWAY, "<html>") }));
    let plane = ControlPlane::new(serve(router).await, None).unwrap();

    let error = plane.submit_statement(b"B").await.unwrap_err();
    assert!(error.is_retryable());
    assert_eq!((error.problem(), error.retry_after()), (Some(ProblemType::Overloaded), Some(2)));
    let error = plane.submit_proposal(b"B").await.unwrap_err();
    assert!(!error.is_retryable());
    assert_eq!(error.problem(), Some(ProblemType::PolicyMismatch));
    let error = plane.checkpoint().await.unwrap_err();
    assert!(matches!(error, ClientError::Status(502)) && error.is_retryable());
}

#[tokio::test]
async fn an_answer_about_another_statement_is_none() {
    let (root, node) = (identity(1), identity(2));
    let command = "/execution".parse().unwrap();
    let new = ucan::issue::NewDelegation::new(node.did(), root.did(), command, [7; 12]);
    let given = ucan::issue::delegate(root.key(), new).unwrap();
    let mut delegations = Delegations::default();
    delegations.add(given.clone());
    let speaker = Speaker::new(node, delegations, identity(3).did(), ambient());
    let said = speaker.say("/execution/included", root.did(), &json!({"block": 5})).unwrap();
    for (named, is_taken) in [(said.id, true), (domain::Cid::of(b"another"), false), (given.cid(), false)] {
        let answer = move || std::future::ready(Json(json!({"id": named, "seq": 8})));
        let router = Router::new().route("/v1/statements", post(answer)).route("/v1/proposals", post(answer));
        let plane = ControlPlane::new(serve(router).await, None).unwrap();
        let replies = [plane.submit_statement(&said.container).await, plane.submit_proposal(&said.container).await];
        for reply in replies {
            match reply {
                Ok(reply) => assert!(is_taken && reply.id == said.id),
                Err(ClientError::Malformed(what)) => assert!(!is_taken && what.contains(&said.id.to_string())),
                Err(other) => panic!("{other:?}"),
            }
        }
        // What is no statement cannot have been taken as one.
        assert!(matches!(plane.submit_statement(b"B").await, Err(ClientError::Malformed(_))));
    }
}

#[tokio::test]
async fn a_whole_list_is_asked_for_by_the_longest_pages() {
    let queries = Arc::<Mutex<Vec<Value>>>::default();
    let asked = Arc::clone(&queries);
    let did = identity(1).did();
    // Pages end after the 200th and the 400th of 401.
    let page = move |Query(query): Query<BTreeMap<String, String>>| {
        let from: usize = query.get("cursor").map_or(0, |cursor| cursor.parse().unwrap());
        let to = query.get("limit").map_or(50, |limit| limit.parse::<usize>().unwrap()).saturating_add(from).min(401);
        asked.lock().unwrap().push(json!(query));
        let publisher = |n| json!({"publisher": did, "name": format!("publisher {n}"), "since": 1});
        let items: Vec<_> = (from..to).map(publisher).collect();
        let next = (to < 401).then(|| to.to_string());
        std::future::ready(Json(json!({"items": items, "next": next})))
    };
    let plane = ControlPlane::new(serve(Router::new().route("/v1/publishers", get(page))).await, None).unwrap();
    let names: BTreeSet<_> = plane.publishers().await.unwrap().into_iter().map(|p| p.name).collect();
    assert_eq!(names.len(), 401);
    let of = |cursor: &str| json!({"cursor": cursor, "limit": "200"});
    assert_eq!(*queries.lock().unwrap(), [json!({"limit": "200"}), of("200"), of("400")]);
}

#[tokio::test]
async fn nobody_at_home_is_retryable() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: NodeUrl = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    drop(listener);
    let error = ControlPlane::new(url, None).unwrap().checkpoint().await.unwrap_err();
    assert!(matches!(error, ClientError::Transport { .. }) && error.is_retryable());
}

#[tokio::test]
async fn a_followed_log_is_cut_at_lines_wherever_the_network_cuts_it() {
    let lines = [
        json!({"entry": {"seq": 7, "entry": "AAE=", "tokens": []}}).to_string(),
        json!({"checkpoint": "origin\n8\n"}).to_string(),
        "{\"nonsense\":1}".to_owned(),
    ]
    .join("\n")
        + "\n";
    let chunks: Vec<_> =
        lines.into_bytes().chunks(5).map(|c| Ok::<_, std::convert::Infallible>(Bytes::copy_from_slice(c))).collect();
    let router = Router::new()
        .route("/v1/log/follow", get(move || async move { Body::from_stream(stream::iter(chunks)).into_response() }));
    let plane = ControlPlane::new(serve(router).await, None).unwrap();
    let events: Vec<_> = plane.follow(7).await.unwrap().collect().await;
    assert_eq!(events.len(), 3);
    assert!(matches!(&events[0], Ok(FollowEvent::Entry(e)) if e.seq == 7 && e.entry.0 == [0, 1]));
    assert!(matches!(&events[1], Ok(FollowEvent::Checkpoint(note)) if note == "origin\n8\n"));
    assert!(matches!(&events[2], Err(ClientError::Malformed(_))));
}

#[tokio::test]
async fn a_line_without_end_is_not_buffered_without_end() {
    let flood = stream::repeat_with(|| Ok::<_, std::convert::Infallible>(Bytes::from(vec![b'x'; 65_536])));
    let body = move || async move { Body::from_stream(flood).into_response() };
    let plane = ControlPlane::new(serve(Router::new().route("/v1/log/follow", get(body))).await, None).unwrap();
    let event = plane.follow(0).await.unwrap().next().await;
    assert!(matches!(event, Some(Err(ClientError::TooLarge { .. }))));
}

#[tokio::test]
async fn reads_carry_a_token_and_a_refused_token_is_replaced() {
    let answer = |headers: HeaderMap| async move {
        let bearer = headers.get("authorization").unwrap().to_str().unwrap().to_owned();
        let problem = Problem::new(ProblemType::TokenExpired, bearer);
        (StatusCode::UNAUTHORIZED, serde_json::to_string(&problem).unwrap())
    };
    let operator = identity(1);
    let did = operator.did();
    let count = std::sync::atomic::AtomicU8::new(0);
    let fresh = Ambient::new(
        || Time::from_unix(1_000),
        move |bytes| {
            bytes.fill(count.fetch_add(1, std::sync::atomic::Ordering::SeqCst));
            true
        },
    );
    let speaker = Speaker::new(operator, Delegations::default(), did, fresh);
    let access = ReadAccess::new(speaker, did, "/read".parse().unwrap());
    let url = serve(Router::new().route("/v1/quorum", get(answer))).await;
    let plane = ControlPlane::new(url, Some(access)).unwrap();
    let mut seen = Vec::new();
    for _ in 0..2 {
        let Err(ClientError::Problem(problem)) = plane.quorum().await else { panic!("not refused") };
        assert!(problem.detail.starts_with("Bearer C"));
        seen.push(problem.detail);
    }
    assert_ne!(seen[0], seen[1]);
}

/// A node that answers `reply`, sealed by `key`, to whatever it is asked.
fn node(key: Identity, reply: Value) -> Router {
    let answer = move |Json(request): Json<Envelope>| async move {
        let expected = Expected {
            to: &request.to,
            path: paths::NODE_STATUS,
            in_reply_to: None,
            now: Time::from_unix(1_000),
            tolerance: 5,
            is_pinned: &|_| true,
        };
        let opened = request.open::<Value>(&expected).unwrap();
        let seal = Seal {
            path: paths::NODE_STATUS,
            to: opened.from(),
            at: Time::from_unix(1_000),
            nonce: Nonce([1; 16]),
            in_reply_to: Some(opened.digest()),
        };
        Json(Envelope::seal(key.key(), &seal, &reply).unwrap())
    };
    Router::new().route(paths::NODE_STATUS, post(answer))
}

#[tokio::test]
async fn only_the_pinned_node_is_believed() {
    let ask = |url: NodeUrl, pinned: u8| async move {
        let signer = SignerClient::new(url, identity(pinned).did(), identity(9), ambient()).unwrap();
        signer.ask::<_, Value>(paths::NODE_STATUS, &json!({}), Duration::from_secs(5)).await
    };
    let url = serve(node(identity(2), json!({"fresh": true}))).await;
    let exchange = ask(url.clone(), 2).await.unwrap();
    assert_eq!(exchange.reply, json!({"fresh": true}));
    assert_eq!(exchange.envelope.from, identity(2).did());
    assert!(matches!(ask(url, 3).await, Err(ClientError::Unauthentic(_))));

    let refusal = serde_json::to_value(Refusal::new(RefusalCode::Frozen, "all")).unwrap();
    let refused = ask(serve(node(identity(2), refusal)).await, 2).await.unwrap_err();
    assert!(matches!(&refused, ClientError::Refused(r) if r.code == RefusalCode::Frozen));
    assert!(!refused.is_retryable());
}
