//! The document says of every body what it really is.

use crate::{
    fixture::{Node, json},
    schema::faults,
};
use countersign_control_plane::{Access, ROUTES, Route, Verb};
use serde_json::{Value, json};
use std::collections::BTreeSet;

async fn document(node: &Node) -> Value {
    let (status, document) = json(node.http.get(node.url("/openapi.json"))).await;
    assert_eq!(status, 200);
    document
}

fn operation<'a>(document: &'a Value, route: &Route) -> &'a Value {
    let verb = if route.verb == Verb::Get { "get" } else { "post" };
    &document["paths"][route.path.replace("{*", "{")][verb]
}

/// The schema that the document has for an answer.
fn answered<'a>(document: &'a Value, route: &Route, status: u16) -> &'a Value {
    let responses = &operation(document, route)["responses"];
    let response = responses.get(status.to_string()).unwrap_or(&responses["default"]);
    let media = response["content"].as_object().unwrap();
    assert_eq!(media.len(), 1);
    &media.values().next().unwrap()["schema"]
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
        let security = operation.get("security").is_some();
        assert_eq!(security, matches!(route.access, Access::Read(_) | Access::ReadAll(_)), "{}", route.path);
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

#[tokio::test]
async fn what_a_running_server_answers_is_what_the_document_says() {
    let node = Node::ready(10_000).await;
    let document = document(&node).await;
    let (world, mut checked) = (&node.world, BTreeSet::new());
    let mut check = |path: &'static str, verb: Verb, (status, body): (u16, Value)| {
        let schema = answered(&document, route(path, verb), status);
        assert_eq!(faults(&document, schema, &body), Vec::<String>::new(), "{path}: {status} {body}");
        checked.insert((path, status));
        body
    };
    node.state(&world.set_quorum()).await;
    let freeze = json!({"scope": {"installation": world.publisher.did}, "reason": "drill"});
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
