//! Bad input: each a typed problem that names the field or the hop, and nothing written.

use crate::fixture::{Node, now, slug};
use countersign_tests::{Person, Signed, activation, asset, recipient};
use ipld_core::ipld::Ipld;
use ledger::args;
use serde_json::Value;
use std::collections::BTreeMap;
use ucan::container::{self, Encoding};

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
pub fn told(answer: &(u16, Value)) -> (u16, &str, Option<&str>, Option<u64>) {
    (answer.0, slug(&answer.1), answer.1["field"].as_str(), answer.1["hop"].as_u64())
}

pub fn raw(tokens: &[Vec<u8>]) -> Vec<u8> {
    container::encode(Encoding::Raw, tokens).unwrap()
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
    // One that the log has does not answer for another beside it.
    let known = node.world.propose(500);
    assert_eq!(node.propose(&known).await.0, 201);
    let both = raw(&[known.tokens(), node.world.propose(3).tokens()].concat());
    let answer = node.post("/v1/proposals", both).await;
    assert_eq!(told(&answer), (400, "malformed-request", Some("container"), None), "{answer:?}");
    let size = size + 1;
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
    let text = container::encode(Encoding::Base64Url, &[reader]).unwrap();
    let read = node.http.get(node.url("/v1/tenants")).bearer_auth(String::from_utf8(text).unwrap());
    let answer = crate::fixture::json(read).await;
    assert_eq!(told(&answer), (401, "signature-invalid", Some("signature"), None), "{answer:?}");
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
pub fn changed(node: &Node, change: impl FnOnce(&mut ucan::issue::NewInvocation)) -> Signed {
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
async fn a_body_that_is_small_only_while_compressed_is_refused() {
    let node = Node::ready(10_000).await;
    let size = node.size().await;
    let zeros = [vec![0_u8; 4 * 1024 * 1024]];
    let path = format!("/v1/installations/{}/tokens", node.world.installation.did);
    for encoding in [Encoding::RawGzip, Encoding::Base64Gzip, Encoding::Base64UrlGzip] {
        let bomb = container::encode(encoding, &zeros).unwrap();
        assert!(bomb.len() < 12 * 1024, "within every limit: {}", bomb.len());
        for path in ["/v1/proposals", "/v1/statements", "/v1/simulations"] {
            let answer = node.post(path, bomb.clone()).await;
            assert_eq!(told(&answer), (413, "payload-too-large", Some("container"), None), "{path}: {answer:?}");
        }
    }
    let small = container::encode(Encoding::RawGzip, &[vec![0_u8; 512 * 1024]]).unwrap();
    assert!(small.len() < 4 * 1024);
    let answer = node.post(&path, small).await;
    assert_eq!(told(&answer), (413, "payload-too-large", Some("container"), None), "{answer:?}");
    let header = String::from_utf8(container::encode(Encoding::Base64UrlGzip, &zeros).unwrap()).unwrap();
    let answer = crate::fixture::json(node.http.get(node.url("/v1/tenants")).bearer_auth(header)).await;
    assert_eq!(told(&answer), (413, "payload-too-large", Some("Authorization"), None), "{answer:?}");
    assert_eq!(node.size().await, size);
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
async fn statements_go_where_they_belong() {
    let node = Node::ready(10_000).await;
    let size = node.size().await;
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
    assert_eq!(node.size().await, size);
    node.stop().await;
}

#[tokio::test]
async fn policy_with_a_slip_is_refused_where_it_stands() {
    let node = Node::ready(10_000).await;
    let size = node.size().await;
    let source = "package payout\nimport rego.v1\ndefault effect := \"deny\"\ndefault approvals := 0\nviolation \
                  contains {\"code\": \"frozen\", \"msg\": \"no\"} if input.totl > 5\n";
    let modules = BTreeMap::from([("payout/payout.rego".to_owned(), source.to_owned())]);
    let bundle = policy::Bundle::new(modules, "{}".to_owned()).unwrap();
    let activate = activation(&bundle, "a slip");
    let (status, body) = node.state(&node.world.by(&node.world.admin, "/policy/activate", &activate)).await;
    assert_eq!((status, slug(&body), field(&body)), (409, "conflict", "args.modules"), "{body}");
    let detail = body["detail"].as_str().unwrap();
    assert!(detail.contains("payout/payout.rego:5:"), "{detail}");
    assert!(detail.contains("input has no field totl; did you mean total?"), "{detail}");
    assert_eq!(node.size().await, size);
}
