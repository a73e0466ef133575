use crate::fixture::{Node, now, slug};
use countersign_tests::{Person, Signed, World};
use ipld_core::ipld::Ipld;
use ledger::args;
use std::{collections::BTreeMap, time::Duration};
use ucan::container;

fn path(node: &Node) -> String {
    format!("/v1/installations/{}/tokens", node.world.installation.did)
}

#[tokio::test]
async fn an_installation_proposes_with_the_token_it_was_given() {
    let node = Node::ready(10_000).await;
    let (status, body) = node.post(&path(&node), node.world.token_request().container()).await;
    assert_eq!(status, 201, "{body}");
    let text = body["container"].as_str().unwrap();
    let tokens = container::decode(text.as_bytes(), &container::Limits::default()).unwrap();
    let opened: Vec<_> = tokens.iter().map(|t| ucan::open_delegation(t).unwrap()).collect();
    // Root first: the tenant's consent, and what of it is passed on.
    let chain_of = |command: &str| -> Vec<_> {
        let ends = ["/proposal", command];
        ends.map(|end| opened.iter().find(|d| d.command().as_str() == end).unwrap().clone()).to_vec()
    };
    let chain = chain_of("/proposal/payout");
    let proposal = node.world.propose_over(chain.clone(), 500);
    assert_eq!(node.propose(&proposal).await.0, 201);
    // What it has proposed, it takes back.
    let args = args::Cancel { proposal: proposal.cid(), reason: "a double".parse().unwrap() };
    let (world, command) = (&node.world, "/proposal/cancel");
    let cancel = world.invoke(&world.installation, world.tenant.did, command, &args, chain_of(command));
    let (status, body) = node.propose(&cancel).await;
    assert_eq!(status, 201, "{body}");
    let (_, body) = node.read(&format!("/v1/proposals/{}", proposal.cid())).await;
    assert_eq!(body["status"], "cancelled");
    // One is no authority for the other.
    let crossed = world.invoke(&world.installation, world.tenant.did, command, &args, chain.clone());
    assert_eq!(slug(&node.propose(&crossed).await.1), "command-mismatch");
    assert_eq!(slug(&node.propose(&world.propose_over(chain_of(command), 50)).await.1), "command-mismatch");
    // The bound of the grant is in the token, too.
    let (status, body) = node.propose(&node.world.propose_over(chain, 1_001)).await;
    assert_eq!((status, slug(&body), body["hop"].as_u64()), (403, "policy-mismatch", Some(1)), "{body}");
    node.stop().await;
}

#[tokio::test]
async fn nobody_else_gets_a_token() {
    let node = Node::ready(10_000).await;
    let world = &node.world;
    let args = BTreeMap::from([("tenant", world.tenant.did.to_string())]);
    let stranger = Person::named("stranger");
    let foreign = world.invoke(&stranger, stranger.did, "/installation/token", &args, Vec::new());
    assert_eq!(slug(&node.post(&path(&node), foreign.container()).await.1), "not-entitled");
    let own = format!("/v1/installations/{}/tokens", stranger.did);
    assert_eq!(node.post(&own, foreign.container()).await.0, 404);
    let command = world.invoke(&world.installation, world.installation.did, "/read", &args, Vec::new());
    assert_eq!(slug(&node.post(&path(&node), command.container()).await.1), "command-mismatch");
    let expired = world.invoke_with(
        &world.installation,
        world.installation.did,
        "/installation/token",
        &args,
        Vec::new(),
        |new| {
            new.expiration = Some(world.now.minus(60));
        },
    );
    assert_eq!(slug(&node.post(&path(&node), expired.container()).await.1), "token-expired");
    node.stop().await;
}

/// A request for a token with these arguments, by the installation itself.
fn asking(world: &World, args: &[(&str, Ipld)]) -> Signed {
    let args: BTreeMap<&str, Ipld> = args.iter().cloned().collect();
    world.invoke(&world.installation, world.installation.did, "/installation/token", &args, Vec::new())
}

#[tokio::test]
async fn a_token_lasts_as_long_as_it_may_and_no_longer() {
    let node = Node::ready(10_000).await;
    let tenant = ("tenant", Ipld::String(node.world.tenant.did.to_string()));
    let ask = async |ttl: Ipld| {
        node.post(&path(&node), asking(&node.world, &[tenant.clone(), ("ttl", ttl)]).container()).await
    };
    for (seconds, before) in [(1, now()), (900, now())] {
        let (status, body) = ask(Ipld::Integer(seconds)).await;
        assert_eq!(status, 201, "{seconds}: {body}");
        let (ends, ttl) = (body["expires_at"].as_u64().unwrap(), u64::try_from(seconds).unwrap());
        assert!((before.unix() + ttl..=now().unix() + ttl).contains(&ends), "{seconds}: {body}");
    }
    let beyond = [0, 901, -1, i128::from(u64::MAX)].map(Ipld::Integer);
    for ttl in beyond.into_iter().chain([Ipld::String("600".to_owned()), Ipld::Float(600.0)]) {
        let (status, body) = ask(ttl.clone()).await;
        let told = (status, slug(&body), body["field"].as_str());
        assert_eq!(told, (422, "args-invalid", Some("args.ttl")), "{ttl:?}: {body}");
    }
    node.stop().await;
}

#[tokio::test]
async fn what_is_wrong_with_a_request_for_a_token_is_told_by_its_field() {
    let node = Node::ready(10_000).await;
    let size = node.size().await;
    let world = &node.world;
    let text = |text: String| Ipld::String(text);
    let tenant = || ("tenant", text(world.tenant.did.to_string()));
    for (args, status, kind, field) in [
        (vec![], 422, "args-invalid", "args.tenant"),
        (vec![("tenant", text("nobody".to_owned()))], 422, "args-invalid", "args.tenant"),
        (vec![tenant(), ("memo", Ipld::Null)], 422, "args-invalid", "args.memo"),
        (vec![("tenant", text(world.admin.did.to_string()))], 422, "unknown-reference", "args.tenant"),
    ] {
        let (code, body) = node.post(&path(&node), asking(world, &args).container()).await;
        assert_eq!((code, slug(&body), body["field"].as_str()), (status, kind, Some(field)), "{args:?}: {body}");
    }
    assert_eq!(node.size().await, size);
    node.stop().await;
}

#[tokio::test]
async fn an_installation_that_is_suspended_or_removed_gets_no_token() {
    let node = Node::ready(10_000).await;
    let world = &node.world;
    let (installation, reason) = (world.installation.did, "test".parse::<domain::Reason>().unwrap());
    let suspend = args::Suspend { installation, reason: reason.clone() };
    let suspend = world.by(&world.admin, "/installation/suspend", &suspend);
    let remove = world.by(&world.admin, "/installation/remove", &args::Remove { installation, reason });
    for (statement, word) in [(suspend, "suspended"), (remove, "removed")] {
        assert_eq!(node.state(&statement).await.0, 201);
        let (status, body) = node.post(&path(&node), world.token_request().container()).await;
        let told = (status, slug(&body), body["field"].as_str());
        assert_eq!(told, (403, "not-entitled", Some("did")), "{body}");
        assert!(body["detail"].as_str().unwrap().contains(word), "{body}");
    }
    node.stop().await;
}

/// A token that entitles to nothing is not given.
#[tokio::test]
async fn what_the_tenant_has_taken_back_is_not_passed_on() {
    for revoke in [
        |world: &World| args::Revocation::Delegation(world.tenant_to_issuer().cid()),
        |world: &World| args::Revocation::Key(world.issuer.did),
    ] {
        let node = Node::ready(10_000).await;
        let world = &node.world;
        let args = args::Revoke { revoke: revoke(world), path: Vec::new(), reason: "test".parse().unwrap() };
        assert_eq!(node.state(&world.by(&world.admin, "/ucan/revoke", &args)).await.0, 201);
        let (status, body) = node.post(&path(&node), world.token_request().container()).await;
        let told = (status, slug(&body), body["field"].as_str());
        assert_eq!(told, (401, "revoked", Some("args.tenant")), "{body}");
        node.stop().await;
    }
}

#[tokio::test]
async fn an_installation_whose_grant_has_ended_gets_no_token() {
    let node = Node::ready(10_000).await;
    let world = &node.world;
    let Ipld::Map(grant) = world.grant(1_000, 10_000).invocation.args().clone() else { panic!("args are a map") };
    // A machine that is slow may need some seconds until the grant is in the log.
    let mut seconds = 2;
    let ends = loop {
        let (mut short, ends) = (grant.clone(), now().plus(seconds));
        short.insert("expires_at".to_owned(), Ipld::Integer(ends.unix().into()));
        let (status, body) = node.state(&world.by(&world.admin, "/installation/grant", &short)).await;
        if status == 201 {
            break ends;
        }
        assert_eq!((status, body["field"].as_str()), (409, Some("args.expires_at")), "{body}");
        seconds *= 2;
    };
    let ended = async {
        loop {
            match node.post(&path(&node), world.token_request().container()).await {
                // No token outlives the grant.
                (201, body) => assert!(body["expires_at"].as_u64().unwrap() <= ends.unix(), "{body}"),
                refused => return refused,
            }
            tokio::task::yield_now().await;
        }
    };
    let (status, body) = tokio::time::timeout(Duration::from_mins(2), ended).await.expect("an end");
    assert_eq!((status, slug(&body), body["field"].as_str()), (403, "not-entitled", Some("did")), "{body}");
    assert!(body["detail"].as_str().unwrap().contains("ended") && now() >= ends, "{body}");
    node.stop().await;
}
