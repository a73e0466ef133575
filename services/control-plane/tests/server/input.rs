//! Bad input: each a typed problem that names the field or the hop, and nothing written.

use crate::fixture::{Node, now, slug};
use countersign_tests::{Person, Signed, asset, recipient};
use ipld_core::ipld::Ipld;
use ledger::args;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use ucan::container;

type Args = BTreeMap<String, Ipld>;

fn payout_args(node: &Node) -> Args {
    match ipld_core::serde::to_ipld(node.world.payout(500)).unwrap() {
        Ipld::Map(map) => map,
        _ => unreachable!("a payout is a map"),
    }
}

/// A proposal with its args changed.
fn with_args(node: &Node, change: impl FnOnce(&mut Args)) -> Signed {
    let mut args = payout_args(node);
    change(&mut args);
    node.world.invoke(
        &node.world.installation,
        node.world.tenant.did,
        "/proposal/payout",
        &args,
        node.world.proposal_chain(),
    )
}

fn splits(shares: &[(u8, i128)]) -> Ipld {
    let split = |(n, bps): &(u8, i128)| {
        Ipld::Map(BTreeMap::from([
            ("recipient".to_owned(), Ipld::String(recipient(*n).to_string())),
            ("bps".to_owned(), Ipld::Integer(*bps)),
        ]))
    };
    Ipld::List(shares.iter().map(split).collect())
}

fn field(body: &Value) -> &str {
    body["field"].as_str().unwrap_or_default()
}

/// Status, type, field and hop: what a problem must tell.
fn told(answer: &(u16, Value)) -> (u16, &str, Option<&str>, Option<u64>) {
    (answer.0, slug(&answer.1), answer.1["field"].as_str(), answer.1["hop"].as_u64())
}

fn raw(tokens: &[Vec<u8>]) -> Vec<u8> {
    container::encode(container::Encoding::Raw, tokens).unwrap()
}

#[tokio::test]
async fn args_that_are_not_a_payout() {
    let node = Node::ready(10_000).await;
    let size = node.size().await;
    type Case = (&'static str, &'static str, Box<dyn FnOnce(&mut Args)>);
    let set = |name: &'static str, value: Ipld| -> Box<dyn FnOnce(&mut Args)> {
        Box::new(move |a: &mut Args| drop(a.insert(name.to_owned(), value)))
    };
    let cases: Vec<Case> = vec![
        ("total zero", "args.total", set("total", Ipld::Integer(0))),
        ("total negative", "args.total", set("total", Ipld::Integer(-5))),
        ("total 2^53", "args.total", set("total", Ipld::Integer(1 << 53))),
        ("total a text", "args.total", set("total", Ipld::String("500".to_owned()))),
        ("total missing", "args.total", Box::new(|a| drop(a.remove("total")))),
        ("unknown field", "args.memo", set("memo", Ipld::String("hello".to_owned()))),
        ("splits 9,999", "args.splits", set("splits", splits(&[(1, 9_000), (2, 999)]))),
        ("splits 10,001", "args.splits", set("splits", splits(&[(1, 9_000), (2, 1_001)]))),
        ("recipient twice", "args.splits", set("splits", splits(&[(1, 9_000), (1, 1_000)]))),
        ("no splits", "args.splits", set("splits", splits(&[]))),
        ("share of zero", "args.splits[1].bps", set("splits", splits(&[(1, 10_000), (2, 0)]))),
        ("zero address", "args.splits[0].recipient", set("splits", splits(&[(0, 10_000)]))),
        ("upper-case asset", "args.asset", set("asset", Ipld::String(asset().to_string().to_uppercase()))),
        ("order with a slash", "args.order", set("order", Ipld::String("a/b".to_owned()))),
        (
            "items that do not sum",
            "args.line_items",
            set(
                "line_items",
                Ipld::List(vec![Ipld::Map(BTreeMap::from([
                    ("description".to_owned(), Ipld::String("x".to_owned())),
                    ("amount".to_owned(), Ipld::Integer(1)),
                ]))]),
            ),
        ),
    ];
    for (name, expected, change) in cases {
        let answer = node.propose(&with_args(&node, change)).await;
        assert_eq!(told(&answer), (422, "args-invalid", Some(expected), None), "{name}: {answer:?}");
    }
    assert_eq!(node.size().await, size);
    node.stop().await;
}

#[tokio::test]
async fn a_draft_that_is_none_is_told_by_its_field() {
    let node = Node::ready(10_000).await;
    let size = node.size().await;
    let world = &node.world;
    let (tenant, installation, stranger) = (world.tenant.did, world.installation.did, Person::named("stranger").did);
    let draft = json!({"tenant": tenant, "installation": installation, "payout": world.payout(500)});
    let reader = world.reader(&world.tenant, "/read/proposals");
    let ask = async |reader: &Signed, body: String| {
        let request = node.http.post(node.url("/v1/simulations")).bearer_auth(reader.text());
        crate::fixture::json(request.header("content-type", "application/json; charset=utf-8").body(body)).await
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
        (with("/tenant", json!("nobody")), malformed, "body.tenant"),
        (with("/memo", json!("hello")), malformed, "body.memo"),
        (without("/payout", "total"), malformed, "body.payout.total"),
        (with("/payout/total", json!(0)), malformed, "body.payout.total"),
        (with("/payout/total", json!(500.5)), malformed, "body.payout.total"),
        (with("/payout/memo", json!("hello")), malformed, "body.payout.memo"),
        (with("/payout/splits/1/bps", json!(10_001)), malformed, "body.payout.splits[1].bps"),
        (without("/payout/splits/0", "recipient"), malformed, "body.payout.splits[0].recipient"),
        (with("/payout/splits", json!([])), (422, "args-invalid"), "body.payout.splits"),
        (with("/payout/line_items/0/amount", json!(1)), (422, "args-invalid"), "body.payout.line_items"),
        (with("/tenant", json!(stranger)), (403, "forbidden"), "body.tenant"),
        (with("/installation", json!(stranger)), (404, "not-found"), "body.installation"),
    ] {
        let answer = ask(&reader, body.clone()).await;
        assert_eq!(told(&answer), (status, kind, Some(field), None), "{body}: {answer:?}");
    }
    let operator = world.reader(&world.operator, "/read/proposals");
    let answer = ask(&operator, with("/tenant", json!(stranger))).await;
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

#[tokio::test]
async fn a_float_is_not_an_amount() {
    let node = Node::ready(10_000).await;
    let size = node.size().await;
    for amount in [500.5, 500.0] {
        let answer = node.propose(&with_args(&node, |a| drop(a.insert("total".to_owned(), Ipld::Float(amount))))).await;
        assert_eq!(told(&answer), (422, "args-invalid", Some("args.total"), None), "{answer:?}");
    }
    assert_eq!(node.size().await, size);
    node.stop().await;
}

#[tokio::test]
async fn what_policy_does_not_know_is_denied_not_refused() {
    let node = Node::ready(10_000).await;
    let cases: [(&str, &str, Ipld); 2] = [
        ("unknown_order", "order", Ipld::String("order-2".to_owned())),
        ("unknown_asset", "asset", Ipld::String(format!("eip155:31337/erc20:0x{}", "22".repeat(20)))),
    ];
    for (code, name, value) in cases {
        let (status, body) = node.propose(&with_args(&node, |a| drop(a.insert(name.to_owned(), value)))).await;
        assert_eq!((status, body["status"].as_str()), (201, Some("denied")), "{body}");
        let codes: Vec<_> =
            body["decision"]["violations"].as_array().unwrap().iter().map(|v| v["code"].as_str().unwrap()).collect();
        assert!(codes.contains(&code), "{codes:?}");
    }
    let (_, body) =
        node.propose(&with_args(&node, |a| drop(a.insert("splits".to_owned(), splits(&[(9, 10_000)]))))).await;
    assert_eq!(body["decision"]["violations"][0]["code"], "recipient_unverified");
    node.stop().await;
}

#[tokio::test]
async fn containers_that_are_none() {
    let node = Node::ready(10_000).await;
    let size = node.size().await;
    let good = node.world.propose(500).container();
    let two = [node.world.propose(1).tokens(), node.world.propose(2).tokens()].concat();
    let delegations: Vec<Vec<u8>> = node.world.proposal_chain().iter().map(|d| d.bytes().to_vec()).collect();
    let cases: Vec<(&str, Vec<u8>, u16, &str, &str)> = vec![
        ("empty", Vec::new(), 400, "token-malformed", "container"),
        ("truncated", good[..good.len() / 2].to_vec(), 400, "token-malformed", "container"),
        ("text", b"hello".to_vec(), 400, "token-malformed", "container"),
        ("trailing byte", [good.as_slice(), b"x"].concat(), 400, "token-malformed", "container"),
        ("two invocations", raw(&two), 400, "malformed-request", "container"),
        ("no invocation", raw(&delegations), 400, "malformed-request", "container"),
        ("oversized", vec![b'@'; 17 * 1024], 413, "payload-too-large", "body"),
        ("not canonical", non_canonical(), 400, "token-non-canonical", "container"),
        ("nested", nested(b"@\xa1\x66ctn-v1", 10_000), 413, "payload-too-large", "container"),
    ];
    for (name, body, expected, kind, at) in cases {
        let answer = node.post("/v1/proposals", body).await;
        assert_eq!(told(&answer), (expected, kind, Some(at), None), "{name}: {answer:?}");
    }
    let html = node.http.post(node.url("/v1/proposals")).header("content-type", "text/html").body(good);
    let answer = crate::fixture::json(html).await;
    assert_eq!(told(&answer), (415, "unsupported-media-type", Some("Content-Type"), None));
    assert_eq!(node.size().await, size);
    node.stop().await;
}

/// A container whose list has a length in more bytes than it needs.
fn non_canonical() -> Vec<u8> {
    let mut bytes = vec![b'@', 0xa1, 0x66];
    bytes.extend(b"ctn-v1");
    bytes.extend([0x98, 0x00]);
    bytes
}

/// Lists in lists, after `start`.
fn nested(start: &[u8], depth: usize) -> Vec<u8> {
    [start, &vec![0x81; depth], &[0x80]].concat()
}

/// A token whose signature is by another key.
fn forged(token: &[u8]) -> Vec<u8> {
    let mut bytes = token.to_vec();
    bytes[10] ^= 1;
    bytes
}

/// The same token with the length of its payload's map in a byte more than it needs: the signature covers other bytes.
fn long_winded(token: &[u8]) -> Vec<u8> {
    // [signature, payload]: a list of two, the head of 64 bytes, and the 64 bytes.
    let (head, map) = token.split_at(67);
    assert_eq!(map[0], 0xa2);
    [head, &[0xb8, 0x02], &map[1..]].concat()
}

/// A token whose payload is lists in lists.
fn too_deep(token: &[u8]) -> Vec<u8> {
    nested(&token[..67], 200)
}

#[tokio::test]
async fn a_bad_token_of_a_container_is_told_by_its_hop() {
    let node = Node::ready(10_000).await;
    let size = node.size().await;
    let world = &node.world;
    type Spoil = fn(&[u8]) -> Vec<u8>;
    let kinds: [(Spoil, u16, &str, Option<&str>); 4] = [
        (forged, 401, "signature-invalid", Some("signature")),
        (long_winded, 400, "token-non-canonical", None),
        (too_deep, 413, "payload-too-large", None),
        (|t| t[..80].to_vec(), 400, "token-malformed", None),
    ];
    for (spoil, status, kind, at) in kinds {
        for hop in 0..2 {
            let proposal = world.propose(500);
            let mut chain: Vec<Vec<u8>> = proposal.proofs.iter().map(|d| d.bytes().to_vec()).collect();
            chain[hop] = spoil(&chain[hop]);
            let place = u64::try_from(hop).ok();
            // Changed on the way, and named by the invocation as it is.
            let on_the_way = [chain.clone(), vec![proposal.invocation.bytes().to_vec()]].concat();
            let naming = changed(&node, |n| n.proofs = chain.iter().map(|t| domain::Cid::of(t)).collect());
            let named = [chain, vec![naming.invocation.bytes().to_vec()]].concat();
            for tokens in [on_the_way, named] {
                let answer = node.post("/v1/proposals", raw(&tokens)).await;
                assert_eq!(told(&answer), (status, kind, at, place), "{answer:?}");
                assert!(answer.1["cid"].is_string(), "{answer:?}");
            }
        }
        // The invocation itself is no hop.
        let mut tokens = world.propose(500).tokens();
        let own = tokens.iter_mut().find(|t| ucan::open_invocation(t).is_ok()).unwrap();
        *own = spoil(own);
        let answer = node.post("/v1/proposals", raw(&tokens)).await;
        assert_eq!(told(&answer), (status, kind, at.or(Some("container")), None), "{answer:?}");
    }
    // The same in the header of a read.
    let reader = forged(world.reader(&world.operator, "/read").invocation.bytes());
    let text = container::encode(container::Encoding::Base64Url, &[reader]).unwrap();
    let read = node.http.get(node.url("/v1/tenants")).bearer_auth(String::from_utf8(text).unwrap());
    let answer = crate::fixture::json(read).await;
    assert_eq!(told(&answer), (401, "signature-invalid", Some("signature"), None), "{answer:?}");
    assert_eq!(node.size().await, size);
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
    let text = container::encode(container::Encoding::Base64Url, &[reader]).unwrap();
    let read = node.http.get(node.url("/v1/tenants")).bearer_auth(String::from_utf8(text).unwrap());
    assert_eq!(told(&crate::fixture::json(read).await), expected(None));
    assert_eq!(node.size().await, size);
    node.stop().await;
}

#[tokio::test]
async fn a_short_nonce_is_told_everywhere() {
    let node = Node::ready(10_000).await;
    let world = &node.world;
    let nothing = BTreeMap::<String, u8>::new();
    let short = |n: &mut ucan::issue::NewInvocation| n.nonce = vec![1; 8];
    let expected = (400, "token-malformed", Some("nonce"), None);
    let reader = world.invoke_with(&world.operator, world.operator.did, "/read", &nothing, Vec::new(), short);
    assert_eq!(told(&crate::fixture::json(node.get("/v1/tenants", &reader)).await), expected);
    let did = world.installation.did;
    let token = world.invoke_with(&world.installation, did, "/installation/token", &nothing, Vec::new(), short);
    assert_eq!(told(&node.post(&format!("/v1/installations/{did}/tokens"), token.container()).await), expected);
    assert_eq!(told(&node.propose(&changed(&node, short)).await), expected);
    node.stop().await;
}

/// A proposal over the usual chain with something changed before it is signed.
fn changed(node: &Node, change: impl FnOnce(&mut ucan::issue::NewInvocation)) -> Signed {
    let world = &node.world;
    world.invoke_with(
        &world.installation,
        world.tenant.did,
        "/proposal/payout",
        &world.payout(500),
        world.proposal_chain(),
        change,
    )
}

#[tokio::test]
async fn tokens_that_do_not_entitle() {
    let node = Node::ready(10_000).await;
    let size = node.size().await;
    let world = &node.world;
    let (installation, tenant, payout) = (&world.installation, world.tenant.did, world.payout(500));
    let stranger = Person::named("stranger");
    let chain = || world.proposal_chain();
    let late = world.delegate_until(&world.issuer, installation.did, tenant, "/proposal/payout", Some(now().minus(60)));
    let narrow =
        world.delegate_until(&world.issuer, installation.did, tenant, "/proposal/cancel", Some(now().plus(300)));
    let wide = world.delegate_until(&world.issuer, installation.did, tenant, "/order", Some(now().plus(300)));
    let long =
        world.delegate_until(&world.issuer, installation.did, tenant, "/proposal/payout", Some(now().plus(3_600)));
    let root = world.tenant_to_issuer();
    let by = |last| world.invoke(installation, tenant, "/proposal/payout", &payout, vec![root.clone(), last]);
    let cases: Vec<(&str, Signed, u16, &str, Option<&str>, Option<u64>)> = vec![
        (
            "other audience",
            changed(&node, |n| n.audience = Some(stranger.did)),
            401,
            "audience-mismatch",
            Some("aud"),
            None,
        ),
        ("no audience", changed(&node, |n| n.audience = None), 401, "audience-mismatch", Some("aud"), None),
        ("expired", changed(&node, |n| n.expiration = Some(now().minus(60))), 401, "token-expired", Some("exp"), None),
        ("no expiry", changed(&node, |n| n.expiration = None), 400, "lifetime-too-long", Some("exp"), None),
        (
            "too long",
            changed(&node, |n| n.expiration = Some(now().plus(2_000))),
            400,
            "lifetime-too-long",
            Some("exp"),
            None,
        ),
        ("short nonce", changed(&node, |n| n.nonce = vec![1; 8]), 400, "token-malformed", Some("nonce"), None),
        ("other subject", changed(&node, |n| n.subject = stranger.did), 403, "subject-unknown", Some("sub"), None),
        ("no proofs", changed(&node, |n| n.proofs.clear()), 401, "claim-invalid", Some("prf"), None),
        ("hop expired", by(late), 401, "token-expired", Some("exp"), Some(1)),
        ("hop narrower", by(narrow), 403, "command-mismatch", Some("cmd"), None),
        ("hop wider", by(wide), 403, "command-mismatch", Some("cmd"), Some(1)),
        ("issuer too long", by(long), 403, "not-entitled", Some("exp"), Some(1)),
        (
            "somebody else's chain",
            world.invoke(&stranger, tenant, "/proposal/payout", &payout, chain()),
            401,
            "audience-mismatch",
            Some("iss"),
            None,
        ),
        (
            "not through an installation",
            world.invoke(
                &world.admin,
                tenant,
                "/proposal/payout",
                &payout,
                vec![world.delegate(&world.tenant, world.admin.did, tenant, "/proposal")],
            ),
            403,
            "not-entitled",
            Some("prf"),
            None,
        ),
        (
            "the issuer itself",
            world.invoke(&world.issuer, tenant, "/proposal/payout", &payout, vec![root.clone()]),
            403,
            "not-entitled",
            Some("prf"),
            None,
        ),
    ];
    for (name, signed, expected, kind, at, hop) in cases {
        let answer = node.propose(&signed).await;
        assert_eq!(told(&answer), (expected, kind, at, hop), "{name}: {answer:?}");
    }
    let missing = world.propose(500);
    let only = [missing.invocation.bytes().to_vec()];
    let answer = node.post("/v1/proposals", raw(&only)).await;
    assert_eq!(told(&answer), (401, "proof-unavailable", Some("prf"), Some(1)), "{answer:?}");
    assert_eq!(node.size().await, size);
    node.stop().await;
}

#[tokio::test]
async fn a_hop_that_is_not_valid_yet() {
    let node = Node::ready(10_000).await;
    let world = &node.world;
    let mut new = ucan::issue::NewDelegation::new(
        world.installation.did,
        world.tenant.did,
        "/proposal/payout".parse().unwrap(),
        [3_u8; 16],
    );
    new.not_before = Some(now().plus(300));
    new.expiration = Some(now().plus(600));
    let last = ucan::issue::delegate(&world.issuer.key, new).unwrap();
    let answer = node.propose(&world.propose_over(vec![world.tenant_to_issuer(), last], 500)).await;
    assert_eq!(told(&answer), (401, "token-not-yet-valid", Some("nbf"), Some(1)), "{answer:?}");
    node.stop().await;
}

#[tokio::test]
async fn a_revoked_link_ends_the_chain() {
    let node = Node::ready(10_000).await;
    let chain = node.world.proposal_chain();
    assert_eq!(node.propose(&node.world.propose_over(chain.clone(), 10)).await.0, 201);
    let revoke = args::Revoke {
        revoke: args::Revocation::Delegation(chain[1].cid()),
        path: Vec::new(),
        reason: "test".parse().unwrap(),
    };
    assert_eq!(node.state(&node.world.by(&node.world.admin, "/ucan/revoke", &revoke)).await.0, 201);
    let size = node.size().await;
    let answer = node.propose(&node.world.propose_over(chain.clone(), 10)).await;
    assert_eq!(told(&answer), (401, "revoked", Some("prf"), Some(1)), "{answer:?}");
    let revoke = args::Revoke { revoke: args::Revocation::Key(node.world.installation.did), ..revoke };
    assert_eq!(node.state(&node.world.by(&node.world.admin, "/ucan/revoke", &revoke)).await.0, 201);
    let answer = node.propose(&node.world.propose(10)).await;
    assert_eq!(told(&answer), (401, "revoked", Some("iss"), None), "{answer:?}");
    let tokens = format!("/v1/installations/{}/tokens", node.world.installation.did);
    let answer = node.post(&tokens, node.world.token_request().container()).await;
    assert_eq!(told(&answer), (401, "revoked", Some("iss"), None), "{answer:?}");
    assert_eq!(node.size().await, size + 1);
    node.stop().await;
}

#[tokio::test]
async fn a_replay_after_expiry_gets_the_first_answer() {
    let node = Node::ready(10_000).await;
    // With 30 seconds of tolerance it is good for some seconds more, which a busy machine may miss.
    let (expiry, proposal, first) = loop {
        let expiry = now().minus(27);
        let proposal = changed(&node, |n| n.expiration = Some(expiry));
        match node.propose(&proposal).await {
            (201, first) => break (expiry, proposal, first),
            (_, body) => assert_eq!(slug(&body), "token-expired"),
        }
    };
    // Another of the same age says when it has expired; simulated, it leaves nothing behind.
    let other = changed(&node, |n| n.expiration = Some(expiry)).container();
    while node.post("/v1/simulations", other.clone()).await.0 == 200 {
        tokio::task::yield_now().await;
    }
    assert_eq!(slug(&node.post("/v1/proposals", other).await.1), "token-expired");
    assert_eq!(node.propose(&proposal).await, (200, first));
    node.stop().await;
}

#[tokio::test]
async fn statements_go_where_they_belong() {
    let node = Node::ready(10_000).await;
    let (status, body) = node.state(&node.world.propose(500)).await;
    assert_eq!((status, slug(&body), field(&body)), (400, "malformed-request", "cmd"));
    let (status, body) = node.propose(&node.world.open_order("order-2", 5)).await;
    assert_eq!((status, slug(&body), field(&body)), (400, "malformed-request", "cmd"));
    let nothing = BTreeMap::<String, u8>::new();
    let unknown = node.world.by(&node.world.admin, "/coffee/make", &nothing);
    let (status, body) = node.state(&unknown).await;
    assert_eq!((status, slug(&body), field(&body)), (422, "args-invalid", "cmd"));
    let again = node.world.open_order("order-1", 5);
    let (status, body) = node.state(&again).await;
    assert_eq!((status, slug(&body), field(&body)), (409, "conflict", "args.order"));
    node.stop().await;
}
