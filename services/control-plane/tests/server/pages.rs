//! Every list comes in pages that are the list, and a cursor that is none of its own is told as one.

use crate::fixture::{Node, json, now, slug};
use countersign_control_plane::{ROUTES, Route};
use countersign_tests::{Person, Signed, World, asset};
use domain::Did;
use ipld_core::ipld::Ipld;
use ledger::{Scope, args};
use serde_json::Value;
use std::collections::BTreeMap;

/// Of everything there are at least so many.
const MANY: usize = 5;

/// The arguments of a statement, one of them another.
fn altered(signed: &Signed, name: &str, value: Ipld) -> BTreeMap<String, Ipld> {
    let Ipld::Map(mut args) = signed.invocation.args().clone() else { panic!("args are a map") };
    assert!(args.insert(name.to_owned(), value).is_some(), "{name} is an argument");
    args
}

fn text(value: &impl ToString) -> Ipld {
    Ipld::String(value.to_string())
}

/// A log in which every list is long.
async fn crowded() -> Node {
    let node = Node::ready(1_000_000).await;
    let world = &node.world;
    let operator = |command: &str, args: &BTreeMap<String, Ipld>| {
        world.invoke(&world.operator, world.operator.did, command, args, Vec::new())
    };
    let publishing = world.delegate(&world.operator, world.publisher.did, world.operator.did, "/plugin/publish");
    let (mut statements, mut proposals) = (Vec::new(), Vec::new());
    for n in 2..=6_u8 {
        let mut other = World::new(world.now);
        other.tenant = Person::named(&format!("tenant {n}"));
        let contract = text(&format!("0x{}", format!("{n:02x}").repeat(20)));
        let escrow = [("chain".to_owned(), Ipld::Integer(31_337)), ("contract".to_owned(), contract)];
        statements
            .push(operator("/tenant/create", &altered(&other.create_tenant(), "escrow", Ipld::Map(escrow.into()))));

        let publisher = Person::named(&format!("publisher {n}")).did;
        statements.push(operator(
            "/publisher/register",
            &altered(&world.register_publisher(), "publisher", text(&publisher)),
        ));
        let plugin = altered(&world.publish_plugin(), "plugin", text(&format!("com.example.plugin{n}")));
        let publish =
            world.invoke(&world.publisher, world.operator.did, "/plugin/publish", &plugin, vec![publishing.clone()]);
        statements.push(publish);

        let installation: Did = Person::named(&format!("installation {n}")).did;
        let grant = altered(&world.grant(1_000, 10_000), "installation", text(&installation));
        statements.push(world.by(&world.admin, "/installation/grant", &grant));
        statements.push(world.open_order(&format!("order-{n}"), 1_000));
        let payout = altered(&world.propose(10), "order", text(&format!("order-{n}")));
        let chain = world.proposal_chain();
        proposals.push(world.invoke(&world.installation, world.tenant.did, "/proposal/payout", &payout, chain));
        let freeze = args::Set { scope: Scope::Installation(installation), reason: "a test".parse().unwrap() };
        statements.push(world.by(&Person::named("guardian"), "/freeze/set", &freeze));

        let administer = args::Administer {
            tenant: world.tenant.did,
            measure: ledger::Measure::SetCap { asset: asset(), cap: 7_000.try_into().unwrap() },
            nonce: n.into(),
            valid_until: now().plus(3_600),
            reason: "a test".parse().unwrap(),
        };
        statements.push(world.invoke(
            &world.operator,
            world.operator.did,
            "/escrow/administer",
            &administer,
            Vec::new(),
        ));
    }
    for statement in &statements {
        let (status, body) = node.state(statement).await;
        assert_eq!(status, 201, "{}: {body}", statement.invocation.command());
    }
    for proposal in &proposals {
        let (status, body) = node.propose(proposal).await;
        assert_eq!((status, body["status"].as_str()), (201, Some("approved")), "{body}");
    }
    node
}

fn lists() -> impl Iterator<Item = &'static Route> {
    ROUTES.iter().filter(|r| r.query.contains(&"cursor"))
}

/// One page, as the operator reads it.
async fn page(node: &Node, list: &Route, limit: usize, cursor: Option<&str>) -> (u16, Value) {
    let reader = node.world.reader(&node.world.operator, "/read");
    let mut query = vec![("limit", limit.to_string())];
    if list.query.contains(&"tenant") {
        query.push(("tenant", node.world.tenant.did.to_string()));
    }
    query.extend(cursor.map(|cursor| ("cursor", cursor.to_owned())));
    json(node.get(list.path, &reader).query(&query)).await
}

async fn items(node: &Node, list: &Route, limit: usize, cursor: Option<&str>) -> (Vec<Value>, Option<String>) {
    let (status, body) = page(node, list, limit, cursor).await;
    assert_eq!(status, 200, "{}: {body}", list.path);
    (body["items"].as_array().unwrap().clone(), body["next"].as_str().map(str::to_owned))
}

#[tokio::test]
async fn the_pages_of_every_list_are_the_list() {
    let node = crowded().await;
    let mut walked = 0;
    for list in lists() {
        let (whole, end) = items(&node, list, 200, None).await;
        assert!(whole.len() >= MANY && end.is_none(), "{}: {} items", list.path, whole.len());
        // Pages that do not come out even, pages of one, and one that is exactly the list.
        for limit in [1, 2, 3, whole.len()] {
            let (mut seen, mut cursor) = (Vec::new(), None);
            loop {
                let (page, next) = items(&node, list, limit, cursor.as_deref()).await;
                let is_last = next.is_none();
                assert!(if is_last { (1..=limit).contains(&page.len()) } else { page.len() == limit }, "{}", list.path);
                seen.extend(page);
                cursor = next;
                if is_last {
                    break;
                }
            }
            assert_eq!(seen, whole, "{} in pages of {limit}", list.path);
        }
        walked += 1;
    }
    assert_eq!(
        walked, 9,
        "proposals, tenants, plugins, publishers, installations, orders, budgets, freezes, administrations"
    );
    node.stop().await;
}

#[tokio::test]
async fn a_cursor_of_no_list_or_of_another_is_told() {
    let node = crowded().await;
    let mut cursors = Vec::new();
    for list in lists() {
        cursors.push((list.path, items(&node, list, 1, None).await.1.unwrap()));
    }
    for list in lists() {
        let foreign = cursors.iter().filter(|(path, _)| *path != list.path).map(|(_, cursor)| cursor.as_str());
        for cursor in foreign.chain(["", "nonsense", "-1", "18446744073709551616"]) {
            // A position is a cursor of proposals, whoever gave it.
            if cursors.iter().any(|(path, own)| *path == list.path && own == cursor) {
                continue;
            }
            let (status, body) = page(&node, list, 1, Some(cursor)).await;
            let told = (status, slug(&body), body["field"].as_str());
            assert_eq!(told, (400, "malformed-request", Some("cursor")), "{} {cursor:?}: {body}", list.path);
        }
    }
    node.stop().await;
}

#[tokio::test]
async fn a_cursor_whose_item_has_gone_is_told_rather_than_begun_anew() {
    let node = crowded().await;
    let freezes = lists().find(|r| r.path == "/v1/freezes").unwrap();
    let (first, cursor) = items(&node, freezes, 1, None).await;
    let lift = args::Lift {
        scope: serde_json::from_value(first[0]["scope"].clone()).unwrap(),
        freeze: first[0]["statement"].as_str().unwrap().parse().unwrap(),
    };
    assert_eq!(node.state(&node.world.by(&node.world.admin, "/freeze/lift", &lift)).await.0, 201);
    let (status, body) = page(&node, freezes, 1, cursor.as_deref()).await;
    assert_eq!((status, slug(&body), body["field"].as_str()), (400, "malformed-request", Some("cursor")), "{body}");
    let reader = node.world.reader(&node.world.operator, "/read");
    let (status, rest) = json(node.get("/v1/freezes", &reader)).await;
    assert_eq!((status, rest["items"].as_array().unwrap().len()), (200, MANY - 1), "{rest}");
    node.stop().await;
}
