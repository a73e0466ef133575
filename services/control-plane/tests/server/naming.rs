//! A problem names what is at fault by its own name: a field of a body, a parameter, an argument, a field of a token.

use crate::{
    fixture::{Node, json},
    input::{raw, told},
};
use countersign_tests::{Person, Signed};
use ipld_core::ipld::Ipld;
use ledger::args;
use serde_json::{Value, json as object};
use std::collections::BTreeMap;
use ucan::container::{self, Encoding};

#[tokio::test]
async fn a_draft_that_is_none_is_told_by_its_field() {
    let node = Node::ready(10_000).await;
    let size = node.size().await;
    let world = &node.world;
    let (tenant, installation, stranger) = (world.tenant.did, world.installation.did, Person::named("stranger").did);
    let draft = object!({"tenant": tenant, "installation": installation, "payout": world.payout(500)});
    let reader = world.reader(&world.tenant, "/read/proposals");
    let ask = async |reader: &Signed, body: String| {
        let request = node.http.post(node.url("/v1/simulations")).bearer_auth(reader.text());
        json(request.header("content-type", "application/json; charset=utf-8").body(body)).await
    };
    let with = |pointer: &str, value: Value| {
        let (mut draft, (parent, name)) = (draft.clone(), pointer.rsplit_once('/').unwrap());
        match draft.pointer_mut(parent).unwrap() {
            Value::Object(fields) => drop(fields.insert(name.to_owned(), value)),
            Value::Array(items) => items[name.parse::<usize>().unwrap()] = value,
            other => panic!("{other}"),
        }
        draft.to_string()
    };
    let without = |pointer: &str, name: &str| {
        let mut draft = draft.clone();
        draft.pointer_mut(pointer).unwrap().as_object_mut().unwrap().remove(name).unwrap();
        draft.to_string()
    };
    assert_eq!(ask(&reader, draft.to_string()).await.0, 200);
    let malformed = (400, "malformed-request");
    for (body, (status, kind), field) in [
        (String::new(), malformed, "body"),
        ("[]".to_owned(), malformed, "body"),
        (draft.to_string() + "x", malformed, "body"),
        (without("", "tenant"), malformed, "body.tenant"),
        (with("/tenant", object!("nobody")), malformed, "body.tenant"),
        (with("/memo", object!("hello")), malformed, "body.memo"),
        (without("/payout", "total"), malformed, "body.payout.total"),
        (with("/payout/total", object!(0)), malformed, "body.payout.total"),
        (with("/payout/total", object!(500.5)), malformed, "body.payout.total"),
        (with("/payout/memo", object!("hello")), malformed, "body.payout.memo"),
        (with("/payout/splits/1/bps", object!(10_001)), malformed, "body.payout.splits[1].bps"),
        (without("/payout/splits/0", "recipient"), malformed, "body.payout.splits[0].recipient"),
        (with("/payout/splits", object!([])), (422, "args-invalid"), "body.payout.splits"),
        (with("/payout/line_items/0/amount", object!(1)), (422, "args-invalid"), "body.payout.line_items"),
        (with("/tenant", object!(stranger)), (403, "forbidden"), "body.tenant"),
        (with("/installation", object!(stranger)), (404, "not-found"), "body.installation"),
    ] {
        let answer = ask(&reader, body.clone()).await;
        assert_eq!(told(&answer), (status, kind, Some(field), None), "{body}: {answer:?}");
    }
    let operator = world.reader(&world.operator, "/read/proposals");
    let answer = ask(&operator, with("/tenant", object!(stranger))).await;
    assert_eq!(told(&answer), (404, "not-found", Some("body.tenant"), None), "{answer:?}");
    assert_eq!(node.size().await, size);
    node.stop().await;
}

#[tokio::test]
async fn what_is_asked_wrongly_is_told_by_its_parameter() {
    let node = Node::ready(10_000).await;
    let (tenant, stranger) = (node.world.tenant.did, Person::named("stranger").did);
    let malformed = (400, "malformed-request");
    let not_found = (404, "not-found");
    for (path, (status, kind), field) in [
        ("/v1/log/entries?from=-1", malformed, "from"),
        ("/v1/log/entries?limit=many", malformed, "limit"),
        ("/v1/log/entries?limit=1001", malformed, "limit"),
        ("/v1/log/entries?limit=1&limit=2", malformed, "limit"),
        ("/v1/log/entries?color=red", malformed, "color"),
        ("/v1/log/follow?from=", malformed, "from"),
        ("/v1/log/proofs/inclusion", malformed, "seq"),
        ("/v1/log/proofs/inclusion?seq=1&size=x", malformed, "size"),
        ("/v1/log/proofs/consistency?new=3", malformed, "old"),
        ("/v1/tenants?limit=-1", malformed, "limit"),
        ("/v1/proposals?limit=201", malformed, "limit"),
        ("/v1/proposals?tenant=nobody", malformed, "tenant"),
        ("/v1/proposals?installation=nothing", malformed, "installation"),
        ("/v1/proposals?status=lost", malformed, "status"),
        ("/v1/proposals?order=a/b", malformed, "order"),
        ("/v1/proposals?cursor=x", malformed, "cursor"),
        ("/v1/orders", malformed, "tenant"),
        (&format!("/v1/orders?tenant={stranger}"), not_found, "tenant"),
        ("/v1/log/proofs/inclusion?seq=8", not_found, "seq"),
        ("/v1/log/proofs/inclusion?seq=0&size=9", not_found, "size"),
        ("/v1/log/proofs/inclusion?seq=3&size=3", not_found, "seq"),
        ("/v1/log/proofs/consistency?old=9", not_found, "old"),
        ("/v1/log/proofs/consistency?old=1&new=9", not_found, "new"),
        ("/v1/log/tile/nonsense", not_found, "path"),
        ("/v1/log/tile/0/001", not_found, "path"),
        ("/v1/log/tile/%FF", not_found, "path"),
        ("/v1/log/checkpoints/many", not_found, "size"),
        ("/v1/log/checkpoints/0", not_found, "size"),
        ("/v1/log/checkpoints/%FF", not_found, "size"),
        ("/v1/proposals/none", not_found, "cid"),
        ("/v1/proposals/%FF", not_found, "cid"),
        ("/v1/tenants/nobody", not_found, "did"),
        ("/v1/tenants/%FF", not_found, "did"),
        (&format!("/v1/installations/{stranger}?tenant={tenant}"), not_found, "did"),
    ] {
        let answer = node.read(path).await;
        assert_eq!(told(&answer), (status, kind, Some(field), None), "{path}: {answer:?}");
    }
    let answer = node.post("/v1/installations/%FF/tokens", node.world.token_request().container()).await;
    assert_eq!(told(&answer), (404, "not-found", Some("did"), None), "{answer:?}");
    node.stop().await;
}

/// The same token with a field that no token has; its signature is another's.
fn with_memo(token: &[u8]) -> Vec<u8> {
    let Ipld::List(mut parts) = serde_ipld_dagcbor::from_slice(token).unwrap() else { panic!("a token is a list") };
    let Some(Ipld::Map(signed)) = parts.last_mut() else { panic!("of a signature and a map") };
    let payload = signed.iter_mut().find(|(name, _)| name.starts_with("ucan/")).map(|(_, payload)| payload);
    let Some(Ipld::Map(payload)) = payload else { panic!("with a payload") };
    payload.insert("memo".to_owned(), Ipld::String("hello".to_owned()));
    serde_ipld_dagcbor::to_vec(&Ipld::List(parts)).unwrap()
}

#[tokio::test]
async fn a_field_that_no_token_has_is_told_by_its_name() {
    let node = Node::ready(10_000).await;
    let size = node.size().await;
    let proposal = node.world.propose(500);
    let own = proposal.invocation.bytes().to_vec();
    let chain: Vec<Vec<u8>> = proposal.proofs.iter().map(|d| d.bytes().to_vec()).collect();
    let expected = |hop| (400, "token-malformed", Some("memo"), hop);
    let answer = node.post("/v1/proposals", raw(&[chain.clone(), vec![with_memo(&own)]].concat())).await;
    assert_eq!(told(&answer), expected(None), "{answer:?}");
    for hop in 0..2 {
        let mut chain = chain.clone();
        chain[hop] = with_memo(&chain[hop]);
        let answer = node.post("/v1/proposals", raw(&[chain, vec![own.clone()]].concat())).await;
        assert_eq!(told(&answer), expected(u64::try_from(hop).ok()), "{answer:?}");
    }
    let reader = with_memo(node.world.reader(&node.world.operator, "/read").invocation.bytes());
    let text = container::encode(Encoding::Base64Url, &[reader]).unwrap();
    let read = node.http.get(node.url("/v1/tenants")).bearer_auth(String::from_utf8(text).unwrap());
    assert_eq!(told(&json(read).await), expected(None));
    assert_eq!(node.size().await, size);
    node.stop().await;
}

#[tokio::test]
async fn what_names_something_unknown_is_told_by_its_argument() {
    let node = Node::ready(10_000).await;
    let size = node.size().await;
    let world = &node.world;
    let stranger = Ipld::String(Person::named("stranger").did.to_string());
    let text = |text: &str| Ipld::String(text.to_owned());
    let Ipld::Map(grant) = world.grant(1_000, 10_000).invocation.args().clone() else { panic!("args are a map") };
    let granting = |name: &str, value: Ipld| {
        let mut args = grant.clone();
        args.insert(name.to_owned(), value).unwrap();
        world.by(&world.admin, "/installation/grant", &args)
    };
    let suspending = BTreeMap::from([("installation", stranger), ("reason", text("test"))]);
    let closing = BTreeMap::from([("order", text("order-9"))]);
    let proposal = domain::Cid::of(b"none");
    let cancel = args::Cancel { proposal, reason: "test".parse().unwrap() };
    for (name, answer, field) in [
        ("plugin", node.state(&granting("plugin", text("com.example.nothing"))).await, "args.plugin"),
        ("version", node.state(&granting("version", text("9.9.9"))).await, "args.version"),
        (
            "installation",
            node.state(&world.by(&world.admin, "/installation/suspend", &suspending)).await,
            "args.installation",
        ),
        ("order", node.state(&world.by(&world.market, "/order/close", &closing)).await, "args.order"),
        ("proposal", node.propose(&world.by(&world.admin, "/proposal/cancel", &cancel)).await, "args.proposal"),
    ] {
        assert_eq!(told(&answer), (422, "unknown-reference", Some(field), None), "{name}: {answer:?}");
    }
    assert_eq!(node.size().await, size);
    node.stop().await;
}
