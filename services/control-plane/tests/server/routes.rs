//! Every endpoint is documented, and none that is not public answers without a right to it.

use crate::fixture::{Node, json, slug};
use countersign_control_plane::{Access, ROUTES, Route, Verb};
use countersign_tests::Person;
use reqwest::{Method, RequestBuilder};

fn path(node: &Node, route: &Route) -> String {
    route
        .path
        .replace("{did}", &node.world.installation.did.to_string())
        .replace("{cid}", &node.world.propose(1).cid().to_string())
        .replace("{size}", "8")
        .replace("{*path}", "0/000.p/1")
}

fn request(node: &Node, route: &Route) -> RequestBuilder {
    let url = node.url(&path(node, route));
    match route.verb {
        Verb::Get => node.http.get(url),
        Verb::Post => node.http.post(url),
    }
}

#[tokio::test]
async fn the_document_has_every_route_and_no_other() {
    let node = Node::empty().await;
    let (status, document) = json(node.http.get(node.url("/openapi.json"))).await;
    assert_eq!(status, 200);
    let paths = document["paths"].as_object().unwrap();
    let mut documented: Vec<String> = Vec::new();
    for (path, methods) in paths {
        documented.extend(methods.as_object().unwrap().keys().map(|m| format!("{m} {path}")));
    }
    let verb = |r: &Route| if r.verb == Verb::Get { "get" } else { "post" };
    let mut expected: Vec<String> =
        ROUTES.iter().map(|r| format!("{} {}", verb(r), r.path.replace("{*", "{"))).collect();
    documented.sort();
    expected.sort();
    assert_eq!(documented, expected);
    let references = document.to_string();
    for schema in references.split("#/components/schemas/").skip(1).filter_map(|s| s.split('"').next()) {
        assert!(document["components"]["schemas"].get(schema).is_some(), "{schema} is not described");
    }
    node.stop().await;
}

#[tokio::test]
async fn reads_need_a_capability_that_covers_them() {
    let node = Node::ready(10_000).await;
    let (world, stranger) = (&node.world, Person::named("stranger"));
    let nothing = std::collections::BTreeMap::<String, u8>::new();
    for route in ROUTES {
        let (command, all) = match route.access {
            Access::Read(command) => (command, false),
            Access::ReadAll(command) => (command, true),
            Access::Public | Access::Body | Access::BodyOrRead(_) => continue,
        };
        let call = |bearer: String| json(request(&node, route).bearer_auth(bearer));
        let (status, body) = json(request(&node, route)).await;
        assert_eq!((status, slug(&body)), (401, "proof-unavailable"), "{}", route.path);
        let (status, body) = call("Cnonsense".to_owned()).await;
        assert_eq!((status, slug(&body)), (400, "token-malformed"), "{}: {body}", route.path);
        let other = if command == "/read/log" { "/read/plugins" } else { "/read/log" };
        let (status, body) = call(world.reader(&world.operator, other).text()).await;
        assert_eq!((status, slug(&body)), (403, "capability-required"), "{}", route.path);
        let (status, body) = call(world.reader(&world.operator, "/reader").text()).await;
        assert_eq!((status, slug(&body)), (403, "capability-required"), "{}", route.path);
        let (status, body) = call(world.reader(&stranger, command).text()).await;
        assert_eq!((status, slug(&body)), (403, "subject-unknown"), "{}", route.path);
        let borrowed = world.invoke(&stranger, world.operator.did, command, &nothing, Vec::new());
        let (status, body) = call(borrowed.text()).await;
        assert_eq!((status, slug(&body)), (401, "claim-invalid"), "{}", route.path);
        let expired = |n: &mut ucan::issue::NewInvocation| n.expiration = Some(world.now.minus(60));
        let expired = world.invoke_with(&world.operator, world.operator.did, command, &nothing, Vec::new(), expired);
        assert_eq!(slug(&call(expired.text()).await.1), "token-expired", "{}", route.path);
        let long = |n: &mut ucan::issue::NewInvocation| n.expiration = Some(world.now.plus(3_600));
        let long = world.invoke_with(&world.operator, world.operator.did, command, &nothing, Vec::new(), long);
        assert_eq!(slug(&call(long.text()).await.1), "lifetime-too-long", "{}", route.path);
        let misaddressed = |n: &mut ucan::issue::NewInvocation| n.audience = Some(stranger.did);
        let misaddressed =
            world.invoke_with(&world.operator, world.operator.did, command, &nothing, Vec::new(), misaddressed);
        assert_eq!(slug(&call(misaddressed.text()).await.1), "audience-mismatch", "{}", route.path);
        if all {
            let (status, body) = call(world.reader(&world.tenant, command).text()).await;
            assert_eq!((status, slug(&body)), (403, "forbidden"), "{}", route.path);
        }
    }
    node.stop().await;
}

#[tokio::test]
async fn bodies_that_prove_nothing_are_refused() {
    let node = Node::ready(10_000).await;
    let size = node.size().await;
    for route in ROUTES.iter().filter(|r| matches!(r.access, Access::Body | Access::BodyOrRead(_))) {
        let (status, body) = json(request(&node, route).body("nonsense")).await;
        assert!((400..500).contains(&status), "{}: {status} {body}", route.path);
        assert!(body["type"].as_str().unwrap().starts_with("https://"), "{}: {body}", route.path);
        // Signed by a stranger about itself.
        let stranger = Person::named("stranger");
        let nothing = std::collections::BTreeMap::<String, u8>::new();
        let signed = node.world.invoke(&stranger, stranger.did, "/proposal/payout", &nothing, Vec::new());
        let (status, _) = json(request(&node, route).body(signed.container())).await;
        assert!((400..500).contains(&status), "{}", route.path);
    }
    assert_eq!(node.size().await, size);
    node.stop().await;
}

#[tokio::test]
async fn public_endpoints_answer_everyone() {
    let node = Node::ready(10_000).await;
    for route in ROUTES.iter().filter(|r| r.access == Access::Public) {
        let mut status = request(&node, route).send().await.unwrap().status();
        // The first checkpoint comes with the first second.
        while route.path == "/v1/log/checkpoint" && status == 404 {
            tokio::task::yield_now().await;
            status = request(&node, route).send().await.unwrap().status();
        }
        assert_eq!(status, 200, "{}", route.path);
    }
    let metrics = node.http.get(node.url("/metrics")).send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("countersign_statements_accepted_total 8"), "{metrics}");
    let (status, body) = json(node.http.get(node.url("/v2/nothing"))).await;
    assert_eq!((status, slug(&body)), (404, "not-found"));
    node.stop().await;
}

#[tokio::test]
async fn a_wrong_method_is_told_with_those_that_are_right() {
    let node = Node::empty().await;
    for route in ROUTES {
        let verbs: Vec<&str> = ROUTES
            .iter()
            .filter(|r| r.path == route.path)
            .map(|r| if r.verb == Verb::Get { "GET" } else { "POST" })
            .collect();
        let response = node.http.delete(node.url(&path(&node, route))).send().await.unwrap();
        let allow = response.headers()["allow"].to_str().unwrap().to_owned();
        let mut allowed: Vec<&str> = allow.split(',').map(str::trim).collect();
        // Whatever can be read can be asked for its headers alone.
        allowed.retain(|verb| *verb != "HEAD");
        let as_set = |list: &[&str]| list.iter().map(|v| (*v).to_owned()).collect::<std::collections::BTreeSet<_>>();
        assert_eq!(as_set(&allowed), as_set(&verbs), "{}", route.path);
        let (status, body) = crate::fixture::answer(&Method::DELETE, response).await;
        assert_eq!((status, slug(&body)), (405, "method-not-allowed"), "{}: {body}", route.path);
    }
    node.stop().await;
}
