//! The document says of every body what it really is.

use crate::{
    fixture::{Node, json, slug},
    schema::faults,
};
use countersign_control_plane::{Access, ROUTES, Route, Verb};
use countersign_tests::{Person, World};
use messages::PROBLEM_JSON;
use reqwest::{Method, header::HeaderMap};
use serde_json::{Value, json};
use std::{collections::BTreeSet, sync::LazyLock};

async fn document(node: &Node) -> Value {
    let (status, document) = json(node.http.get(node.url("/openapi.json"))).await;
    assert_eq!(status, 200);
    document
}

fn operation<'a>(document: &'a Value, route: &Route) -> &'a Value {
    let verb = if route.verb == Verb::Get { "get" } else { "post" };
    &document["paths"][route.path.replace("{*", "{")][verb]
}

/// What the document has for an answer: its response, and the only media type of that with its schema.
fn answered<'a>(document: &'a Value, route: &Route, status: u16) -> (&'a Value, Option<(&'a str, &'a Value)>) {
    let response = &operation(document, route)["responses"][status.to_string()];
    assert!(response.is_object(), "{}: {status} is not in the document", route.path);
    let media = response["content"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(media, content)| (media.as_str(), &content["schema"]));
    let media: Vec<_> = media.collect();
    assert!(media.len() <= 1, "{}: {status}: {media:?}", route.path);
    (response, media.first().copied())
}

/// The routes that a path leads to, by any method.
fn routes_of(path: &str) -> impl Iterator<Item = &'static Route> {
    let fits = move |route: &&Route| {
        let (mut asked, mut parts) = (path.split('/'), route.path.split('/'));
        loop {
            match (asked.next(), parts.next()) {
                (Some(_), Some(rest)) if rest.starts_with("{*") => return true,
                (Some(part), Some(name)) if name.starts_with('{') || part == name => {}
                (end, parts) => return end.is_none() && parts.is_none(),
            }
        }
    };
    // What is spelt out goes before a parameter.
    let spelt = ROUTES.iter().any(|route| route.path == path);
    ROUTES.iter().filter(move |route| if spelt { route.path == path } else { fits(route) })
}

/// Holds an answer against the document: its status, its media type, and what a problem may be there.
pub fn check(method: &Method, path: &str, status: u16, head: &HeaderMap, body: &Value) {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(countersign_control_plane::openapi);
    let verb = if *method == Method::POST { Verb::Post } else { Verb::Get };
    let is_documented = [Method::GET, Method::POST].contains(method);
    let sent = head.get("content-type").map(|v| v.to_str().unwrap().split(';').next().unwrap());
    let Some(route) = routes_of(path).find(|route| is_documented && route.verb == verb) else {
        let expected = if routes_of(path).next().is_some() { 405 } else { 404 };
        assert_eq!((status, sent), (expected, Some(PROBLEM_JSON)), "{method} {path}: {body}");
        return;
    };
    let (response, content) = answered(&DOCUMENT, route, status);
    assert_eq!(sent, content.map(|(media, _)| media), "{path}: {status}: {body}");
    if sent == Some(PROBLEM_JSON) {
        let told = response["description"].as_str().unwrap();
        assert!(told.contains(&format!("(`{}`)", slug(body))), "{path}: {status} is documented as {told}: {body}");
        assert_eq!(faults(&DOCUMENT, &json!({"$ref": "#/components/schemas/Problem"}), body), Vec::<String>::new());
    }
    for header in response["headers"].as_object().into_iter().flatten().map(|(name, _)| name) {
        assert!(head.contains_key(header), "{path}: {status} without {header}: {body}");
    }
}

fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("$ref").map(|r| r.as_str().unwrap().to_owned()));
            fields.values().for_each(|v| references(v, found));
        }
        Value::Array(items) => items.iter().for_each(|v| references(v, found)),
        _ => {}
    }
}

fn route(path: &str, verb: Verb) -> &'static Route {
    ROUTES.iter().find(|r| r.path == path && r.verb == verb).unwrap()
}

#[tokio::test]
async fn every_schema_is_described_and_every_reference_leads_to_one() {
    let node = Node::empty().await;
    let document = document(&node).await;
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.len() > 20, "{found:?}");
    for reference in &found {
        let target = document.pointer(reference.strip_prefix('#').unwrap());
        let target = target.unwrap_or_else(|| panic!("{reference} leads nowhere")).as_object().unwrap();
        let says = ["type", "oneOf", "anyOf", "enum", "$ref"].iter().any(|keyword| target.contains_key(*keyword));
        assert!(says, "{reference} says nothing: {target:?}");
        if target.get("type").is_some_and(|t| t == "object") {
            assert!(target.contains_key("properties"), "{reference} is a title only");
        }
    }
    let named = document["components"]["schemas"].as_object().unwrap();
    for name in named.keys() {
        assert!(found.contains(&format!("#/components/schemas/{name}")), "nothing leads to {name}");
    }
    for route in ROUTES {
        let operation = operation(&document, route);
        let security = match route.access {
            Access::Public | Access::Body => Value::Null,
            Access::Read(command) | Access::ReadAll(command) => json!([{"read": [command]}]),
            Access::BodyOrRead(command) => json!([{}, {"read": [command]}]),
        };
        assert_eq!(operation["security"], security, "{}", route.path);
        let parameters = operation["parameters"].as_array().unwrap();
        let query: Vec<&str> =
            (parameters.iter().filter(|p| p["in"] == "query")).map(|p| p["name"].as_str().unwrap()).collect();
        assert_eq!(query, route.query, "{}", route.path);
        for parameter in parameters {
            assert!(parameter["schema"].as_object().is_some_and(|s| !s.is_empty()), "{}: {parameter}", route.path);
        }
    }
    node.stop().await;
}

#[test]
fn every_refusal_is_described_with_what_comes_in_its_head() {
    let document = countersign_control_plane::openapi();
    for route in ROUTES {
        let responses = operation(&document, route)["responses"].as_object().unwrap();
        for status in responses.keys().map(|status| status.parse::<u16>().unwrap()) {
            let (response, content) = answered(&document, route, status);
            let header = match status {
                401 => Some("WWW-Authenticate"),
                429 | 503 => Some("Retry-After"),
                _ => None,
            };
            let described: Vec<_> =
                response["headers"].as_object().into_iter().flatten().map(|(name, _)| name).collect();
            assert_eq!(described, Vec::from_iter(header), "{}: {status}", route.path);
            let is_problem = content.is_some_and(|(media, _)| media == PROBLEM_JSON);
            assert_eq!(is_problem, status >= 400, "{}: {status}", route.path);
        }
        let can_be = |status: &str| responses.contains_key(status);
        let is_read = matches!(route.access, Access::Read(_) | Access::ReadAll(_) | Access::BodyOrRead(_));
        assert!(!is_read || can_be("401") && can_be("403"), "{}", route.path);
        assert_eq!(
            can_be("429"),
            ["/v1/proposals", "/v1/simulations", "/v1/statements"].contains(&route.path) && route.verb == Verb::Post
        );
        assert!(can_be("503"), "{}", route.path);
    }
}

#[test]
fn the_document_has_every_word_that_policy_has_for_what_it_finds() {
    let document = countersign_control_plane::openapi();
    let code = &document["components"]["schemas"]["Violation"]["properties"]["code"];
    for known in policy::Code::ALL {
        assert_eq!(faults(&document, code, &json!(known.as_str())), Vec::<String>::new());
    }
    assert!(!faults(&document, code, &json!("whatever")).is_empty());
}

#[tokio::test]
async fn what_a_running_server_answers_is_what_the_document_says() {
    let node = Node::ready(10_000).await;
    let document = document(&node).await;
    let (world, mut checked) = (&node.world, BTreeSet::new());
    let mut check = |path: &'static str, verb: Verb, (status, body): (u16, Value)| {
        let (_, schema) = answered(&document, route(path, verb), status).1.unwrap();
        assert_eq!(faults(&document, schema, &body), Vec::<String>::new(), "{path}: {status} {body}");
        checked.insert((path, status));
        body
    };
    node.state(&world.set_quorum()).await;
    let mut other = World::new(world.now);
    (other.admin, other.installation) = (Person::named("another admin"), Person::named("another installation"));
    assert_eq!(node.state(&other.grant(1_000, 10_000)).await.0, 201);
    let freeze = json!({"scope": {"installation": other.installation.did}, "reason": "drill"});
    let (status, body) = node.state(&world.by(&world.admin, "/freeze/set", &freeze)).await;
    assert_eq!(status, 201, "{body}");

    let change = ledger::args::Administer {
        tenant: world.tenant.did,
        measure: ledger::Measure::SetCap { asset: countersign_tests::asset(), cap: 7_000.try_into().unwrap() },
        nonce: 3,
        valid_until: world.now.plus(3_600),
        reason: "a test".parse().unwrap(),
    };
    let change = world.invoke(&world.operator, world.operator.did, "/escrow/administer", &change, Vec::new());
    let (status, body) = node.state(&change).await;
    assert_eq!(status, 201, "{body}");

    let proposal = world.propose(500);
    check("/v1/proposals", Verb::Post, node.propose(&proposal).await);
    check("/v1/proposals", Verb::Post, node.propose(&proposal).await);
    check("/v1/proposals", Verb::Post, node.propose(&world.open_order("order-9", 5)).await);
    check("/v1/proposals", Verb::Post, node.propose(&world.propose(5_000)).await);
    check("/v1/statements", Verb::Post, node.state(&world.open_order("order-2", 5)).await);
    check("/v1/statements", Verb::Post, node.state(&world.open_order("order-2", 5)).await);
    check("/v1/simulations", Verb::Post, node.post("/v1/simulations", world.propose(7).container()).await);
    check("/v1/simulations", Verb::Post, node.post("/v1/simulations", b"nonsense".to_vec()).await);
    let token = format!("/v1/installations/{}/tokens", world.installation.did);
    check("/v1/installations/{did}/tokens", Verb::Post, node.post(&token, world.token_request().container()).await);

    let (cid, did, tenant) = (proposal.cid(), world.installation.did, world.tenant.did);
    for (path, asked) in [
        ("/v1/proposals", "/v1/proposals?limit=1".to_owned()),
        ("/v1/proposals", "/v1/proposals?limit=0".to_owned()),
        ("/v1/proposals/{cid}", format!("/v1/proposals/{cid}")),
        ("/v1/proposals/{cid}", "/v1/proposals/none".to_owned()),
        ("/v1/tenants", "/v1/tenants".to_owned()),
        ("/v1/tenants/{did}", format!("/v1/tenants/{tenant}")),
        ("/v1/plugins", "/v1/plugins".to_owned()),
        ("/v1/publishers", "/v1/publishers".to_owned()),
        ("/v1/installations", format!("/v1/installations?tenant={tenant}")),
        ("/v1/installations/{did}", format!("/v1/installations/{did}?tenant={tenant}")),
        ("/v1/orders", format!("/v1/orders?tenant={tenant}")),
        ("/v1/budgets", format!("/v1/budgets?tenant={tenant}")),
        ("/v1/freezes", "/v1/freezes".to_owned()),
        ("/v1/administrations", "/v1/administrations".to_owned()),
        ("/v1/quorum", "/v1/quorum".to_owned()),
        ("/v1/quorum/statement", "/v1/quorum/statement".to_owned()),
        ("/v1/log/entries", "/v1/log/entries?from=3&limit=2".to_owned()),
        ("/v1/log/proofs/inclusion", "/v1/log/proofs/inclusion?seq=2".to_owned()),
        ("/v1/log/proofs/inclusion", "/v1/log/proofs/inclusion".to_owned()),
        ("/v1/log/proofs/consistency", "/v1/log/proofs/consistency?old=2".to_owned()),
        ("/healthz", "/healthz".to_owned()),
        ("/readyz", "/readyz".to_owned()),
    ] {
        let body = check(path, Verb::Get, node.read(&asked).await);
        let is_empty = body["items"].as_array().is_some_and(Vec::is_empty);
        assert!(!is_empty, "{path}: an empty list shows nothing");
    }
    let json_reads = ROUTES.iter().filter(|r| r.answer.1 == "application/json" && r.path != "/openapi.json");
    for route in json_reads {
        let (status, ..) = route.answer;
        assert!(checked.contains(&(route.path, status)), "{} was not looked at", route.path);
    }
    node.stop().await;
}

#[tokio::test]
async fn what_the_document_says_of_a_draft_is_what_is_taken() {
    let node = Node::ready(10_000).await;
    let document = document(&node).await;
    let schema = &document["components"]["schemas"]["SimulationDraft"];
    let world = &node.world;
    let draft = json!({"tenant": world.tenant.did, "installation": world.installation.did, "payout": world.payout(50)});
    let reader = world.reader(&world.tenant, "/read/proposals");
    let ask = async |draft: &Value| {
        let url = node.url("/v1/simulations");
        json(node.http.post(url).bearer_auth(reader.text()).json(draft)).await
    };
    assert_eq!((faults(&document, schema, &draft), ask(&draft).await.0), (Vec::new(), 200));
    let (status, body) = json(node.http.post(node.url("/v1/simulations")).json(&draft)).await;
    assert_eq!((status, slug(&body)), (401, "proof-unavailable"), "{body}");
    let html = node.http.post(node.url("/v1/simulations")).header("content-type", "text/html").body("<p>");
    let (status, body) = json(html).await;
    assert_eq!((status, slug(&body)), (415, "unsupported-media-type"), "{body}");
    for (pointer, value) in [
        ("/tenant", json!("did:web:example.com")),
        ("/payout/total", json!(0)),
        ("/payout/total", json!(9_007_199_254_740_992_u64)),
        ("/payout/asset", json!("usdc")),
        ("/payout/splits", json!([])),
        ("/payout/splits/0/bps", json!(10_001)),
        ("/payout/splits/0/recipient", json!("0xAB")),
        ("/payout/order", json!("an order")),
        ("/payout/valid_until", json!("tomorrow")),
    ] {
        let mut wrong = draft.clone();
        *wrong.pointer_mut(pointer).unwrap() = value;
        assert!(!faults(&document, schema, &wrong).is_empty(), "{pointer}");
        let status = ask(&wrong).await.0;
        assert!((400..500).contains(&status), "{pointer}: {status}");
    }
    node.stop().await;
}
