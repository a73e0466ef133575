//! What one signer makes of what the others are said to see.

use crate::{plane, stage::Stage};
use client::Ambient;
use countersign_tests::Person;
use domain::Digest;
use log::{Checkpoint, Hash};
use messages::{CommitReply, Envelope, Nonce, RefusalCode, Seal, SigningSubject, paths};
use storage::Storage;

/// An answer of one node, with a checkpoint that it never gave; signed by its own key, for it is the liar.
fn claiming(stage: &Stage, by: &Person, reply: &CommitReply, checkpoint: String) -> Envelope {
    let reply = CommitReply { checkpoint: Some(checkpoint), ..reply.clone() };
    let (path, to, at) = (paths::SESSION_COMMIT, stage.world.relayer.did, Ambient::system().now());
    let seal = Seal { path, to, at, nonce: Nonce([1; 16]), in_reply_to: Some(Digest::sha256(b"request")) };
    Envelope::seal(&by.key, &seal, &reply).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signer_that_sees_less_catches_up_before_it_signs() {
    let mut stage = Stage::set().await;
    stage.grow();
    stage.planes[0].show(&stage.log);
    stage.proven(0).await;
    let first = stage.commit(0, stage.subject()).await.unwrap();
    let second = stage.commit(1, stage.subject()).await.unwrap();
    let answers = vec![first.envelope, second.envelope];

    let refusal = stage.sign(1, answers.clone()).await.unwrap_err();
    assert_eq!((refusal.code, refusal.retry_after), (RefusalCode::Behind, Some(1)));
    assert!(refusal.culprits.is_empty() && refusal.checkpoints.len() == 1);
    let refusal = stage.commit(1, stage.subject()).await.unwrap_err();
    assert_eq!(refusal.code, RefusalCode::Behind, "it remembers");

    stage.planes[1].show(&stage.log);
    let (one, two) = (stage.sign(0, answers.clone()).await.unwrap(), stage.sign(1, answers).await.unwrap());
    assert_eq!(one.message, two.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_participant_that_proves_nothing_is_named_and_holds_nobody_up() {
    let stage = Stage::set().await;
    let honest = stage.commit(0, stage.subject()).await.unwrap();
    let own = stage.commit(1, stage.subject()).await.unwrap();
    let longer = [stage.log.clone(), stage.log.clone()].concat();
    for false_note in [
        plane::note(&stage.nodes[0], &longer),
        plane::note(&stage.world.sequencer, &longer).replace("example.com", "example.org"),
        "a hundred entries".to_owned(),
    ] {
        let lie = claiming(&stage, &stage.nodes[0], &honest.reply, false_note);
        let refusal = stage.sign(1, vec![lie, own.envelope.clone()]).await.unwrap_err();
        assert_eq!((refusal.code, refusal.culprits), (RefusalCode::BadView, vec![1]));
    }
    // It signs with the others as before.
    stage.sign(1, vec![honest.envelope, own.envelope]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_was_made_for_another_session_or_by_another_key_is_refused() {
    let mut stage = Stage::set().await;
    let (earlier, before) = (stage.proposal, stage.subject());
    stage.proposal = stage.propose(200);
    for plane in &stage.planes {
        plane.show(&stage.log);
    }
    for at in 0..3 {
        stage.until(at, |status| status.head == Some(stage.last())).await;
    }
    assert_ne!(earlier, stage.proposal);
    let replayed = stage.commit(0, before).await.unwrap();
    let own = stage.commit(1, stage.subject()).await.unwrap();
    let fresh = stage.commit(0, stage.subject()).await.unwrap();
    let forged = claiming(&stage, &stage.nodes[2], &fresh.reply, plane::note(&stage.world.sequencer, &stage.log));
    let stranger = claiming(&stage, &Person::named("nobody"), &fresh.reply, String::new());
    let mut altered = fresh.envelope.clone();
    altered.body.0.push(b' ');
    for bad in [replayed.envelope, forged, stranger, altered] {
        let refusal = stage.sign(1, vec![bad, own.envelope.clone()]).await.unwrap_err();
        assert_eq!(refusal.code, RefusalCode::BadCommitments, "{refusal}");
        assert!(refusal.culprits.is_empty(), "whoever forwards it may be the liar");
    }
    stage.sign(1, vec![fresh.envelope, own.envelope]).await.unwrap();
    let subject = SigningSubject::Intent { proposal: earlier };
    assert!(stage.commit(1, subject).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_from_before_a_restart_is_held_against_the_stored_log() {
    let mut stage = Stage::set().await;
    stage.stop(1).await;
    stage.start(1).await;
    stage.until(1, |status| status.fresh).await;
    let first = stage.commit(0, stage.subject()).await.unwrap();
    let own = stage.commit(1, stage.subject()).await.unwrap();
    let answers = vec![first.envelope, own.envelope];
    // It has had this root, though not since it runs.
    let past = plane::note(&stage.world.sequencer, &stage.log[..3]);
    stage.sign_knowing(1, answers, vec![past]).await.unwrap();

    let first = stage.commit(0, stage.subject()).await.unwrap();
    let own = stage.commit(1, stage.subject()).await.unwrap();
    let forked = plane::note(&stage.world.sequencer, &stage.log[1..4]);
    let told = vec![forked.clone()];
    let refusal = stage.sign_knowing(1, vec![first.envelope, own.envelope], told).await.unwrap_err();
    assert_eq!(refusal.code, RefusalCode::Diverged);
    assert!(refusal.checkpoints.contains(&forked), "it shows others why");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_that_another_signer_shows_halts_for_good_with_evidence() {
    let mut stage = Stage::set().await;
    let first = stage.commit(0, stage.subject()).await.unwrap();
    let own = stage.commit(1, stage.subject()).await.unwrap();
    let origin = "log.example.com/test".parse().unwrap();
    let (size, root) = (stage.log.len().try_into().unwrap(), Hash::from_bytes([5; 32]));
    let forked = Checkpoint { origin, size, root, time: Ambient::system().now() };
    let note = forked.sign(&stage.world.sequencer.key).to_string();
    let answer = claiming(&stage, &stage.nodes[0], &first.reply, note.clone());

    let refusal = stage.sign(1, vec![answer, own.envelope]).await.unwrap_err();
    assert_eq!(refusal.code, RefusalCode::Diverged);
    assert!(stage.status(1).await.halted.is_some());
    stage.stop(1).await;
    let database = format!("sqlite:{}", stage.folders[1].path().join("log.db").display());
    let open = move || Storage::open(&database).unwrap().evidence(None, 10).unwrap();
    let evidence = tokio::task::spawn_blocking(open).await.unwrap();
    assert!(evidence.iter().any(|e| e.body == note.as_bytes()), "{evidence:?}");
    stage.start(1).await;
    assert!(stage.status(1).await.halted.is_some(), "a restart changes nothing");
    let refusal = stage.commit(1, stage.subject()).await.unwrap_err();
    assert_eq!(refusal.code, RefusalCode::Diverged);
}
