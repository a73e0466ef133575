use crate::fixture::{Node, config};
use countersign_control_plane::{Error, Server, VerifyError};

#[tokio::test]
async fn what_was_acknowledged_outlives_shutdown_under_load() {
    let node = Node::ready(1_000_000).await;
    let proposals: Vec<_> = (0..200).map(|_| node.world.propose(10)).collect();
    let (http, url) = (node.http.clone(), node.url("/v1/proposals"));
    let sending = futures_util::future::join_all(proposals.iter().map(|p| {
        let request = http.post(&url).body(p.container());
        async move { request.send().await.is_ok_and(|r| r.status() == 201) }
    }));
    let (acknowledged, (world, folder)) = tokio::join!(sending, node.stop());
    let node = Node::resume(world, folder).await.unwrap();
    for (proposal, acknowledged) in proposals.iter().zip(acknowledged) {
        let (status, _) = node.read(&format!("/v1/proposals/{}", proposal.cid())).await;
        assert!(!acknowledged || status == 200, "{} was acknowledged and is gone", proposal.cid());
    }
    node.stop().await;
}

#[tokio::test]
async fn a_restart_continues_the_same_log() {
    let node = Node::ready(10_000).await;
    let proposal = node.world.propose(500);
    let (_, answer) = node.propose(&proposal).await;
    let size = node.size().await;
    let node = node.restart().await;
    assert_eq!(node.size().await, size);
    assert_eq!(node.propose(&proposal).await, (200, answer));
    assert_eq!(node.propose(&node.world.propose(500)).await.0, 201);
    assert_eq!(node.size().await, size + 1);
    node.stop().await;
}

#[tokio::test]
async fn a_second_process_does_not_lead() {
    let node = Node::ready(10_000).await;
    let mut other = config(&node.world, &node.folder);
    other.holder = "another".to_owned();
    other.anchor = node.folder.path().join("another-anchor");
    let refused = Server::start(other).await;
    assert!(matches!(&refused, Err(Error::Led { holder }) if holder == "control-plane"), "{refused:?}");
    assert_eq!(node.propose(&node.world.propose(500)).await.0, 201);
    node.stop().await;
}

#[tokio::test]
async fn a_second_process_with_the_same_anchor_leaves_the_first_alone() {
    let node = Node::ready(10_000).await;
    let mut same_port = config(&node.world, &node.folder);
    same_port.listen = node.server.address();
    // The name is the same, so that the lease alone would not keep these away.
    for second in [same_port, config(&node.world, &node.folder)] {
        let refused = Server::start(second).await;
        assert!(matches!(&refused, Err(Error::AnchorInUse(path)) if path.ends_with("anchor")), "{refused:?}");
        assert_eq!(node.propose(&node.world.propose(500)).await.0, 201);
        assert_eq!(crate::fixture::json(node.http.get(node.url("/readyz"))).await.0, 200);
    }
    let node = node.restart().await;
    node.stop().await;
}

#[tokio::test]
async fn a_taken_port_takes_no_lease() {
    let node = Node::ready(10_000).await;
    let mut second = config(&node.world, &node.folder);
    second.anchor = node.folder.path().join("another-anchor");
    second.listen = node.server.address();
    assert!(matches!(Server::start(second).await, Err(Error::Machine(_))));
    assert_eq!(node.propose(&node.world.propose(500)).await.0, 201);
    node.stop().await;
}

#[tokio::test]
async fn whoever_loses_the_lease_stops() {
    let node = Node::ready(10_000).await;
    // The same holder takes over at once: a host of the same name, or one that was taken for dead.
    let mut second = config(&node.world, &node.folder);
    second.anchor = node.folder.path().join("another-anchor");
    second.accept_missing_anchor = true;
    let second = Server::start(second).await.unwrap();
    let (status, body) = node.propose(&node.world.propose(500)).await;
    assert_eq!((status, crate::fixture::slug(&body)), (503, "fenced"), "{body}");
    let (status, body) = crate::fixture::json(node.http.get(node.url("/readyz"))).await;
    assert_eq!((status, crate::fixture::slug(&body)), (503, "fenced"), "{body}");
    assert_eq!(body["detail"], "another process leads the log");
    second.stop().await.unwrap();
    node.server.stop().await.unwrap();
}

#[tokio::test]
async fn a_log_without_its_anchor_is_accepted_only_when_told() {
    let node = Node::ready(10_000).await;
    let (world, folder) = node.stop().await;
    std::fs::remove_file(folder.path().join("anchor")).unwrap();
    let refused = Server::start(config(&world, &folder)).await;
    assert!(matches!(refused, Err(Error::Verify(VerifyError::AnchorMissing))), "{refused:?}");
    let remedy = refused.unwrap_err().to_string();
    assert!(remedy.contains("accept_missing_anchor = true"), "{remedy}");
    let mut accepting = config(&world, &folder);
    accepting.accept_missing_anchor = true;
    Server::start(accepting.clone()).await.unwrap().stop().await.unwrap();
    let refused = Server::start(accepting).await;
    assert!(matches!(refused, Err(Error::Verify(VerifyError::AnchorPresent))), "{refused:?}");
    Server::start(config(&world, &folder)).await.unwrap().stop().await.unwrap();
}

#[tokio::test]
async fn other_keys_than_the_log_names_are_refused() {
    let node = Node::ready(10_000).await;
    let (mut world, folder) = node.stop().await;
    world.issuer = countersign_tests::Person::named("another issuer");
    let refused = Server::start(config(&world, &folder)).await;
    assert!(matches!(refused, Err(Error::Verify(VerifyError::Key(_)))), "{refused:?}");
}
