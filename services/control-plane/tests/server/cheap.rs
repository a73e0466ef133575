//! What could never be accepted costs no signature check, and nothing that is claimed without one counts.

use crate::fixture::{Node, json, now, slug};
use countersign_tests::{Person, Signed};
use domain::Did;
use ipld_core::ipld::Ipld;
use ledger::args;
use ucan::{Delegation, Verified, issue};

/// Signatures that the node has checked so far.
async fn checked(node: &Node) -> u64 {
    let text = node.http.get(node.url("/metrics")).send().await.unwrap().text().await.unwrap();
    let line = text.lines().find_map(|l| l.strip_prefix("countersign_signatures_checked_total "));
    line.unwrap().parse().unwrap()
}

/// The longest chain that an invocation may name, from the tenant to the person it ends at.
fn longest(node: &Node, from: &Person, subject: Did) -> (Vec<Verified<Delegation>>, Person) {
    let mut chain = Vec::new();
    let mut holder = Person::named("hop 0");
    chain.push(node.world.delegate(from, holder.did, subject, "/proposal"));
    for n in 1..8 {
        let next = Person::named(&format!("hop {n}"));
        chain.push(node.world.delegate(&holder, next.did, subject, "/proposal"));
        holder = next;
    }
    (chain, holder)
}

fn payout(
    node: &Node,
    by: &Person,
    chain: &[Verified<Delegation>],
    change: impl FnOnce(&mut issue::NewInvocation),
) -> Signed {
    let (world, payout) = (&node.world, node.world.payout(500));
    world.invoke_with(by, world.tenant.did, "/proposal/payout", &payout, chain.to_vec(), change)
}

#[tokio::test]
async fn what_can_never_be_accepted_costs_no_signature_check() {
    let node = Node::ready(10_000).await;
    let world = &node.world;
    let stranger = Person::named("stranger");
    let (chain, last) = longest(&node, &world.tenant, world.tenant.did);
    let (foreign, foreigner) = longest(&node, &stranger, stranger.did);
    let gap = [&chain[..3], &chain[4..]].concat();
    let ended = world.delegate_until(&last, stranger.did, world.tenant.did, "/proposal", Some(now().minus(60)));
    let ended = [&[world.delegate(&world.tenant, last.did, world.tenant.did, "/proposal")][..], &[ended]].concat();
    let cases = [
        ("audience", payout(&node, &last, &chain, |n| n.audience = Some(stranger.did)), "audience-mismatch"),
        ("expired", payout(&node, &last, &chain, |n| n.expiration = Some(now().minus(60))), "token-expired"),
        ("lifetime", payout(&node, &last, &chain, |n| n.expiration = None), "lifetime-too-long"),
        ("nonce", payout(&node, &last, &chain, |n| n.nonce = vec![1; 8]), "token-malformed"),
        ("subject", payout(&node, &foreigner, &foreign, |n| n.subject = stranger.did), "subject-unknown"),
        ("another's chain", payout(&node, &stranger, &chain, |_| {}), "audience-mismatch"),
        ("a gap", payout(&node, &last, &gap, |_| {}), "audience-mismatch"),
        ("an ended hop", payout(&node, &stranger, &ended, |_| {}), "token-expired"),
        ("no proofs", payout(&node, &last, &[], |_| {}), "claim-invalid"),
    ];
    for path in ["/v1/proposals", "/v1/simulations"] {
        for (name, signed, kind) in &cases {
            let before = checked(&node).await;
            let (_, body) = node.post(path, signed.container()).await;
            assert_eq!((slug(&body), checked(&node).await - before), (*kind, 0), "{path} {name}: {body}");
        }
    }
    // As a statement of the wrong kind, as a read and as a request for a token.
    let before = checked(&node).await;
    let good = payout(&node, &last, &chain, |_| {});
    assert_eq!(slug(&node.post("/v1/statements", good.container()).await.1), "malformed-request");
    let (_, body) = json(node.get("/v1/tenants", &cases[0].1)).await;
    assert_eq!(slug(&body), "audience-mismatch");
    let (_, body) = json(node.get("/v1/tenants", &good)).await;
    assert_eq!(slug(&body), "capability-required");
    let tokens = format!("/v1/installations/{}/tokens", world.installation.did);
    assert_eq!(slug(&node.post(&tokens, good.container()).await.1), "command-mismatch");
    let misaddressed = |n: &mut issue::NewInvocation| n.audience = Some(stranger.did);
    let (did, nothing) = (world.installation.did, std::collections::BTreeMap::<String, u8>::new());
    let request =
        world.invoke_with(&world.installation, did, "/installation/token", &nothing, Vec::new(), misaddressed);
    assert_eq!(slug(&node.post(&tokens, request.container()).await.1), "audience-mismatch");
    assert_eq!(checked(&node).await, before);
    // What holds together is checked once for each signature, and its delegations never again.
    let (_, body) = node.propose(&good).await;
    assert_eq!((slug(&body), checked(&node).await - before), ("not-entitled", 9), "{body}");
    let (_, body) = node.propose(&payout(&node, &last, &chain, |_| {})).await;
    assert_eq!((slug(&body), checked(&node).await - before), ("not-entitled", 10), "{body}");
    node.stop().await;
}

#[tokio::test]
async fn a_revoked_link_costs_no_signature_check() {
    let node = Node::ready(10_000).await;
    let world = &node.world;
    let (chain, last) = longest(&node, &world.tenant, world.tenant.did);
    let revoke = args::Revoke {
        revoke: args::Revocation::Delegation(chain[5].cid()),
        path: Vec::new(),
        reason: "test".parse().unwrap(),
    };
    assert_eq!(node.state(&world.by(&world.admin, "/ucan/revoke", &revoke)).await.0, 201);
    let before = checked(&node).await;
    let (_, body) = node.propose(&payout(&node, &last, &chain, |_| {})).await;
    assert_eq!((slug(&body), body["hop"].as_u64()), ("revoked", Some(5)), "{body}");
    assert_eq!(checked(&node).await, before);
    node.stop().await;
}

#[tokio::test]
async fn a_strangers_revocation_costs_no_signature_check() {
    let node = Node::ready(10_000).await;
    let world = &node.world;
    let stranger = Person::named("stranger");
    let (chain, _) = longest(&node, &world.tenant, world.tenant.did);
    let (foreign, _) = longest(&node, &stranger, stranger.did);
    let revocation = |by: &Person, path: &[Verified<Delegation>]| {
        let revoke = args::Revocation::Delegation(path.last().map_or(chain[7].cid(), |last| last.cid()));
        let path = path.iter().map(|d| Ipld::Bytes(d.bytes().to_vec())).collect();
        let args = args::Revoke { revoke, path, reason: "test".parse().unwrap() };
        world.invoke(by, by.did, "/ucan/revoke", &args, Vec::new())
    };
    let gap = [&chain[..3], &chain[4..]].concat();
    let cases = [
        ("a realm of its own", revocation(&stranger, &foreign), ("conflict", Some("args.path"))),
        ("another's path", revocation(&stranger, &chain), ("not-entitled", Some("iss"))),
        ("a gap", revocation(&Person::named("hop 2"), &gap), ("conflict", Some("args.path"))),
        ("no path", revocation(&stranger, &[]), ("subject-unknown", Some("sub"))),
    ];
    let before = checked(&node).await;
    for (name, signed, (kind, field)) in &cases {
        let (_, body) = node.state(signed).await;
        assert_eq!((slug(&body), body["field"].as_str()), (*kind, *field), "{name}: {body}");
        assert_eq!(checked(&node).await, before, "{name}");
    }
    // Who has a part in it costs a check for each signature, and only once.
    let (status, body) = node.state(&revocation(&Person::named("hop 2"), &chain)).await;
    assert_eq!((status, checked(&node).await - before), (201, 9), "{body}");
    node.stop().await;
}

#[tokio::test]
async fn a_forged_path_revokes_nothing() {
    let node = Node::ready(10_000).await;
    let world = &node.world;
    let last = Person::named("last");
    // As the path claims, `last` has passed on what the tenant gave; nobody has signed the first hop.
    let end = world.delegate(&last, Person::named("friend").did, world.tenant.did, "/proposal");
    let first = world.delegate(&world.tenant, last.did, world.tenant.did, "/proposal");
    let mut forged = first.bytes().to_vec();
    forged[10] ^= 1;
    let revoke = args::Revocation::Delegation(end.cid());
    let path = [forged, end.bytes().to_vec()].into_iter().map(Ipld::Bytes).collect();
    let args = args::Revoke { revoke, path, reason: "test".parse().unwrap() };
    let size = node.size().await;
    let (_, body) = node.state(&world.invoke(&last, last.did, "/ucan/revoke", &args, Vec::new())).await;
    assert_eq!((slug(&body), body["field"].as_str()), ("args-invalid", Some("args.path[0]")), "{body}");
    assert_eq!(node.size().await, size);
    node.stop().await;
}

/// A container of somebody's statement with a signature that is not theirs.
fn forged(signed: &Signed) -> Vec<u8> {
    let mut own = signed.invocation.bytes().to_vec();
    own[10] ^= 1;
    let tokens = signed.proofs.iter().map(|d| d.bytes().to_vec()).chain([own]);
    ucan::container::encode(ucan::container::Encoding::Raw, &tokens.collect::<Vec<_>>()).unwrap()
}

#[tokio::test]
async fn a_forged_invocation_uses_up_nobodys_turn_and_tells_nothing_of_an_installation() {
    let node = Node::with(|config| config.limits.in_flight_per_issuer = 1).await;
    node.setup(1_000, 10_000).await;
    let world = &node.world;
    let size = node.size().await;
    let forgeries = (0..16).map(|_| node.post("/v1/proposals", forged(&world.propose(500))));
    let (forgeries, honest) =
        tokio::join!(futures_util::future::join_all(forgeries), async { node.propose(&world.propose(500)).await });
    assert_eq!(honest.0, 201, "{}", honest.1);
    assert!(forgeries.iter().all(|(_, body)| slug(body) == "signature-invalid"), "{forgeries:?}");
    let suspend = args::Suspend { installation: world.installation.did, reason: "test".parse().unwrap() };
    assert_eq!(node.state(&world.by(&world.admin, "/installation/suspend", &suspend)).await.0, 201);
    let tokens = format!("/v1/installations/{}/tokens", world.installation.did);
    let (_, body) = node.post(&tokens, forged(&world.token_request())).await;
    assert_eq!(slug(&body), "signature-invalid", "{body}");
    assert_eq!(node.size().await, size + 2);
    node.stop().await;
}
