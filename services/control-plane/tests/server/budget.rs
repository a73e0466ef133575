use crate::fixture::Node;

#[tokio::test]
async fn concurrent_proposals_never_exceed_the_daily_total() {
    // Seven of 1,000 fit into 7,500 a day.
    let node = Node::ready(7_500).await;
    let proposals: Vec<_> = (0..50).map(|_| node.world.propose(1_000)).collect();
    let answers = futures_util::future::join_all(proposals.iter().map(|p| node.propose(p))).await;
    assert!(answers.iter().all(|(status, _)| *status == 201));
    let passed = answers.iter().filter(|(_, body)| body["status"] == "approved").count();
    assert_eq!(passed, 7);
    let denied = answers.iter().filter(|(_, body)| body["status"] == "denied");
    assert!(denied.clone().all(|(_, body)| body["decision"]["violations"][0]["code"] == "daily_limit"));
    assert_eq!(denied.count(), 43);
    let (_, budgets) = node.read(&format!("/v1/budgets?tenant={}", node.world.tenant.did)).await;
    assert_eq!(budgets["items"][0]["reserved"], 7_000);
    node.restart().await.stop().await;
}
