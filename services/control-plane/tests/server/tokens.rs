use crate::fixture::{Node, slug};
use countersign_tests::Person;
use ledger::args;
use std::collections::BTreeMap;
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
    let long = BTreeMap::from([("tenant", world.tenant.did.to_string()), ("ttl", "901".to_owned())]);
    let long = world.invoke(&world.installation, world.installation.did, "/installation/token", &long, Vec::new());
    assert_eq!(slug(&node.post(&path(&node), long.container()).await.1), "args-invalid");
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

#[tokio::test]
async fn a_suspended_installation_gets_no_token() {
    let node = Node::ready(10_000).await;
    let suspend = args::Suspend { installation: node.world.installation.did, reason: "test".parse().unwrap() };
    assert_eq!(node.state(&node.world.by(&node.world.admin, "/installation/suspend", &suspend)).await.0, 201);
    let (status, body) = node.post(&path(&node), node.world.token_request().container()).await;
    assert_eq!((status, slug(&body)), (403, "not-entitled"), "{body}");
    node.stop().await;
}
