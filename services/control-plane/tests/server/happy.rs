use crate::fixture::{Node, slug};
use ledger::args;
use serde_json::Value;
use std::collections::BTreeMap;

#[tokio::test]
async fn from_genesis_to_an_allowed_payout() {
    let node = Node::ready(10_000).await;
    let proposal = node.world.propose(500);
    let (status, body) = node.propose(&proposal).await;
    assert_eq!(status, 201, "{body}");
    assert_eq!(body["status"], "approved", "{body}");
    assert_eq!(body["decision"]["effect"], "allow");
    assert_eq!(body["id"], proposal.cid().to_string());

    let (status, view) = node.read(&format!("/v1/proposals/{}", proposal.cid())).await;
    assert_eq!(status, 200, "{view}");
    assert_eq!(view["status"], "approved");
    assert_eq!(view["intent"]["total"], 500);
    assert_eq!(view["audit_trail"].as_array().unwrap().len(), 1);
    assert!(view["waits_for"].as_str().unwrap().contains("quorum"));

    let (_, list) = node.read("/v1/proposals?status=approved").await;
    assert_eq!(list["items"][0]["id"], proposal.cid().to_string());
    let (_, budgets) = node.read(&format!("/v1/budgets?tenant={}", node.world.tenant.did)).await;
    assert_eq!(budgets["items"][0]["reserved"], 500, "{budgets}");
    node.stop().await;
}

#[tokio::test]
async fn the_same_bytes_give_the_first_answer() {
    let node = Node::ready(10_000).await;
    let proposal = node.world.propose(500);
    let (first, answer) = node.propose(&proposal).await;
    let (second, again) = node.propose(&proposal).await;
    assert_eq!((first, second), (201, 200));
    assert_eq!(answer, again);
    // Without the proofs, too: the log holds them.
    let (third, again) = node.post("/v1/proposals", proposal.without_proofs()).await;
    assert_eq!((third, &again), (200, &answer));
    let twins = futures_util::future::join_all((0..8).map(|_| node.propose(&proposal))).await;
    assert!(twins.iter().all(|(status, body)| *status == 200 && *body == answer));
    node.stop().await;
}

#[tokio::test]
async fn a_new_proposal_sent_many_times_at_once_is_one_entry() {
    let node = Node::ready(10_000).await;
    let before = node.size().await;
    let proposal = node.world.propose(500);
    let answers = futures_util::future::join_all((0..16).map(|_| node.propose(&proposal))).await;
    assert_eq!(answers.iter().filter(|(status, _)| *status == 201).count(), 1);
    assert!(answers.iter().all(|(_, body)| *body == answers[0].1));
    assert_eq!(node.size().await, before + 1);
    node.stop().await;
}

#[tokio::test]
async fn proofs_of_the_log_may_be_left_out() {
    let node = Node::ready(10_000).await;
    let chain = node.world.proposal_chain();
    let first = node.world.propose_over(chain.clone(), 500);
    assert_eq!(node.propose(&first).await.0, 201);
    let node = node.restart().await;
    // Nothing is in memory now but the log.
    let second = node.world.propose_over(chain, 100);
    let (status, body) = node.post("/v1/proposals", second.without_proofs()).await;
    assert_eq!(status, 201, "{body}");
    node.stop().await;
}

#[tokio::test]
async fn a_reviewed_proposal_is_approved_by_people() {
    let node = Node::empty().await;
    node.setup(5_000_000_000, 9_000_000_000).await;
    let proposal = node.world.propose(2_000_000_000);
    let (status, body) = node.propose(&proposal).await;
    assert_eq!((status, body["status"].as_str()), (201, Some("review")), "{body}");
    let path = format!("/v1/proposals/{}", proposal.cid());
    let (_, view) = node.read(&path).await;
    let review = view["review_digest"].as_str().unwrap().parse().unwrap();
    assert!(view["waits_for"].as_str().unwrap().contains("approval"));

    let approval = node.world.approve(&node.world.approvers[0], proposal.cid(), review);
    assert_eq!(node.state(&approval).await.0, 201);
    let (_, view) = node.read(&path).await;
    assert_eq!(view["status"], "approved", "{view}");
    assert_eq!(view["approvals"][0]["principal"], node.world.approvers[0].did.to_string());
    assert_eq!(view["audit_trail"].as_array().unwrap().len(), 2);
    let node = node.restart().await;
    assert_eq!(node.read(&path).await.1["status"], "approved");
    node.stop().await;
}

/// Who has lost the right to approve is not shown as somebody whose approval counts.
#[tokio::test]
async fn approvals_that_do_not_count_any_more_are_not_shown() {
    let node = Node::empty().await;
    node.setup(5_000_000_000, 9_000_000_000).await;
    let bundle = policy::Bundle::default_payout();
    let mut data: Value = serde_json::from_str(bundle.data()).unwrap();
    data["config"]["payout"]["approvals_required"] = 2.into();
    let bundle = policy::Bundle::new(bundle.modules().clone(), data.to_string()).unwrap();
    let activate = args::Activate {
        bundle: bundle.id(),
        modules: bundle.modules().clone(),
        data: bundle.data().to_owned(),
        reason: "Two people.".parse().unwrap(),
    };
    assert_eq!(node.state(&node.world.by(&node.world.admin, "/policy/activate", &activate)).await.0, 201);
    let proposal = node.world.propose(2_000_000_000);
    assert_eq!(node.propose(&proposal).await.1["status"], "review");
    let path = format!("/v1/proposals/{}", proposal.cid());
    let (_, view) = node.read(&path).await;
    let review = view["review_digest"].as_str().unwrap().parse().unwrap();
    let ada = &node.world.approvers[0];
    let approval = node.world.approve(ada, proposal.cid(), review);
    assert_eq!(node.state(&approval).await.0, 201);
    let shown = async || {
        let (_, view) = node.read(&path).await;
        let waits_for = view["waits_for"].as_str().unwrap().split(',').next().unwrap().to_owned();
        let principals = view["approvals"].as_array().unwrap().iter().map(|a| a["principal"].clone());
        (waits_for, principals.collect::<Vec<_>>())
    };
    assert_eq!(shown().await, ("1 more of 2 approvals".to_owned(), vec![ada.did.to_string().into()]));
    let revoke = args::Revoke {
        revoke: args::Revocation::Delegation(approval.proofs[0].cid()),
        path: Vec::new(),
        reason: "lost".parse().unwrap(),
    };
    assert_eq!(node.state(&node.world.by(&node.world.admin, "/ucan/revoke", &revoke)).await.0, 201);
    assert_eq!(shown().await, ("2 more of 2 approvals".to_owned(), Vec::new()));
    assert_eq!(node.state(&node.world.approve(ada, proposal.cid(), review)).await.0, 201);
    assert_eq!(shown().await, ("1 more of 2 approvals".to_owned(), vec![ada.did.to_string().into()]));
    node.stop().await;
}

#[tokio::test]
async fn a_denied_proposal_is_an_entry_with_its_reasons() {
    let node = Node::ready(10_000).await;
    let proposal = node.world.propose(1_001);
    let (status, body) = node.propose(&proposal).await;
    assert_eq!((status, body["status"].as_str()), (201, Some("denied")), "{body}");
    assert_eq!(body["decision"]["violations"][0]["code"], "payout_limit");
    let (_, view) = node.read(&format!("/v1/proposals/{}", proposal.cid())).await;
    assert_eq!(view["status"], "denied");
    assert!(view.get("waits_for").is_none());
    node.stop().await;
}

#[tokio::test]
async fn a_simulation_writes_nothing() {
    let node = Node::ready(10_000).await;
    let size = node.size().await;
    let proposal = node.world.propose(700);
    let (status, body) = node.post("/v1/simulations", proposal.container()).await;
    assert_eq!((status, body["decision"]["effect"].as_str()), (200, Some("allow")), "{body}");
    let draft = serde_json::json!({
        "tenant": node.world.tenant.did,
        "installation": node.world.installation.did,
        "payout": node.world.payout(2_000),
    });
    let reader = node.world.reader(&node.world.tenant, "/read/proposals");
    let request = node.http.post(node.url("/v1/simulations")).bearer_auth(reader.text()).json(&draft);
    let (status, body) = crate::fixture::json(request).await;
    assert_eq!((status, body["decision"]["effect"].as_str()), (200, Some("deny")), "{body}");
    let (status, body) = crate::fixture::json(node.http.post(node.url("/v1/simulations")).json(&draft)).await;
    assert_eq!((status, slug(&body)), (401, "proof-unavailable"));
    assert_eq!(node.size().await, size);
    let (_, budgets) = node.read(&format!("/v1/budgets?tenant={}", node.world.tenant.did)).await;
    assert_eq!(budgets["items"], serde_json::json!([]));
    assert_eq!(node.propose(&proposal).await.0, 201);
    node.stop().await;
}

#[tokio::test]
async fn a_question_is_answered_as_its_proposal_would_be_and_never_taken_for_one() {
    let node = Node::ready(10_000).await;
    let (size, world) = (node.size().await, &node.world);
    let ask = |command: &str, total| {
        world.invoke(&world.installation, world.tenant.did, command, &world.payout(total), world.proposal_chain())
    };
    for (total, effect) in [(700, "allow"), (2_000, "deny")] {
        let question = ask("/proposal/payout/simulate", total).container();
        let (status, body) = node.post("/v1/simulations", question.clone()).await;
        assert_eq!(
            (status, body["decision"]["effect"].as_str(), body["seq"].as_u64()),
            (200, Some(effect), Some(size))
        );
        assert_eq!(
            node.post("/v1/simulations", ask("/proposal/payout", total).container()).await.1["decision"]["effect"],
            effect
        );
        for path in ["/v1/proposals", "/v1/statements"] {
            let (status, body) = node.post(path, question.clone()).await;
            assert!(matches!(status, 400 | 422), "{path}: {body}");
            assert_eq!(body["field"], "cmd", "{path}: {body}");
        }
    }
    assert_eq!(node.size().await, size);
    // A question needs the right to propose, and to nothing else does it lead.
    let stranger = world.invoke(
        &world.admin,
        world.tenant.did,
        "/proposal/payout/simulate",
        &world.payout(700),
        world.proposal_chain(),
    );
    let (status, body) = node.post("/v1/simulations", stranger.container()).await;
    assert_eq!((status, slug(&body)), (401, "audience-mismatch"), "{body}");
    let other = ask("/proposal/payout/other", 700);
    let (status, body) = node.post("/v1/simulations", other.container()).await;
    assert_eq!((status, body["field"].as_str()), (400, Some("cmd")), "{body}");
    node.stop().await;
}

#[tokio::test]
async fn a_genesis_for_other_keys_is_refused() {
    let node = Node::empty().await;
    let args = BTreeMap::<String, u8>::new();
    let stranger = node.world.invoke(&node.world.operator, node.world.operator.did, "/log/genesis", &args, Vec::new());
    let (status, body) = node.state(&stranger).await;
    assert_eq!((status, slug(&body)), (422, "args-invalid"), "{body}");
    let mut other = countersign_tests::World::new(node.world.now);
    other.issuer = countersign_tests::Person::named("another issuer");
    let (status, body) = node.state(&other.genesis()).await;
    assert_eq!((status, body["field"].as_str()), (422, Some("args.issuer")), "{body}");
    assert_eq!(node.size().await, 0);
    node.stop().await;
}
