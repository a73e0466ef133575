//! A participant whose answers the others would refuse to sign beside.

use crate::{keys::pid, plane, stage::Stage};
use axum::{Json, Router, routing::post};
use client::{Ambient, SignerClient};
use countersign_tests::Person;
use domain::NodeUrl;
use ed25519_dalek::Signer as _;
use keyfile::Identity;
use messages::{Base64, CommitReply, Envelope, MAX_CHECKPOINT, Nonce, Seal, SigningSubject, paths};
use relayer::{Panel, Patience, Unsigned, gather};
use std::{sync::Arc, time::Duration};
use threshold::Secp256k1;

const PATIENCE: Patience =
    Patience { request: Duration::from_secs(20), hurry: Duration::from_secs(1), total: Duration::from_mins(1) };

/// Answers every request for a commitment with this text as the body, signed by a node's own key.
async fn liar(by: Person, body: String) -> Arc<SignerClient> {
    let node = by.did;
    let answer = move |Json(asked): Json<Envelope>| {
        let in_reply_to = Some(asked.digest());
        let (path, at) = (paths::SESSION_COMMIT, Ambient::system().now());
        let seal = Seal { path, to: asked.from, at, nonce: Nonce([1; 16]), in_reply_to };
        let mut envelope = Envelope::seal(&by.key, &seal, &()).unwrap();
        envelope.body = Base64(body.clone().into_bytes());
        envelope.signature = Base64(by.key.sign(&envelope.signed_bytes()).to_bytes().to_vec());
        async move { Json(envelope) }
    };
    let router = Router::new().route(paths::SESSION_COMMIT, post(answer));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: NodeUrl = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    let relayer = Identity::from_key(Person::named("relayer").key);
    Arc::new(SignerClient::new(url, node, relayer, Ambient::system()).unwrap())
}

/// Answers of the first signer that its own key has signed and honest signers refuse, and why they would be named.
async fn lies(stage: &Stage, subject: &SigningSubject) -> Vec<(String, Option<&'static str>)> {
    let honest = stage.commit(0, subject.clone()).await.unwrap().reply;
    let text = |reply: &CommitReply| serde_json::to_string(reply).unwrap();
    let note = plane::note(&stage.world.sequencer, &stage.log) + &format!("— witness.example {}\n", "A".repeat(1_000));
    assert!(note.len() > MAX_CHECKPOINT);
    let padded = CommitReply { checkpoint: Some(note), ..honest.clone() };
    vec![
        (text(&padded), Some("sees a checkpoint that is too long to be shown")),
        (text(&honest).replace("\"epoch\":1", "\"epoch\":1,\"epoch\":1"), None),
    ]
}

async fn sign(stage: &Stage, panel: &Panel<Secp256k1>, subject: &SigningSubject) -> Result<Vec<u8>, Unsigned> {
    let gathered = gather(panel, subject, stage.message(), 0, PATIENCE).await?;
    panel.group.verify(&stage.message(), &gathered.signature).unwrap();
    Ok(gathered.signature)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_answers_what_others_refuse_keeps_nobody_from_signing() {
    let stage = Stage::set().await;
    let subject = stage.subject();
    for (body, reason) in lies(&stage, &subject).await {
        let mut panel = stage.panel();
        panel.signers.insert(pid(1), liar(stage.nodes[0].clone(), body).await);
        // Two are needed: without the third, the one who lies would be one of them.
        let third = panel.signers.remove(&pid(3)).unwrap();
        let unsigned = sign(&stage, &panel, &subject).await.unwrap_err();
        let named: Vec<_> = unsigned.culprits.iter().map(|c| (c.participant, c.reason)).collect();
        assert_eq!(named, reason.map(|reason| (pid(1), reason)).into_iter().collect::<Vec<_>>());
        assert_eq!(unsigned.refusals, [], "nobody was asked to sign beside it");
        assert!(unsigned.culprits.iter().all(|c| c.envelope.from == stage.nodes[0].did));
        panel.signers.insert(pid(3), third);
        sign(&stage, &panel, &subject).await.unwrap();
    }
}
