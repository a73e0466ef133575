//! A signer's two signing endpoints, honest or not.

use axum::{Json, Router, http::StatusCode, response::IntoResponse, routing::post};
use client::{Ambient, SignerClient};
use domain::{Did, Digest, NodeUrl};
use ed25519_dalek::{Signer as _, SigningKey};
use keyfile::Identity;
use log::{Checkpoint, Note, NoteKey, Tree, leaf_hash};
use messages::{
    Base64, CommitReply, CommitRequest, CommitTerms, Envelope, Expected, FORWARDED_TOLERANCE, Hex, Nonce, Refusal,
    RefusalCode, Seal, SignReply, SignRequest, SigningSubject, paths,
};
use rand::rngs::OsRng;
use serde::{Serialize, de::DeserializeOwned};
use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};
use threshold::{Ciphersuite, CommitmentSet, KeyShare, NoncePool};

use crate::keys::pid;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    Honest,
    /// Nobody listens.
    Dead,
    /// Commits and never answers when asked to sign.
    Slow,
    /// Sends shares that do not verify.
    Lying,
    /// Computes another message.
    Differing,
    /// Refuses.
    Frozen,
    /// Answers signed by another key.
    Impostor,
    /// Commits once for ever.
    Repeating,
    /// Says that it sees a checkpoint that another key has signed.
    Boasting,
    /// Refuses because its view is old, and shows that it sees seven entries.
    Objecting,
    /// Says that it sees nine entries of another log, of which the same key signs checkpoints.
    Renaming,
    /// Sees seven entries that are not those of the others.
    Parted,
    /// Sees nine entries that do not follow from the seven of the others.
    Ahead,
    /// Shows a note of the log's key that somebody's line makes too long.
    Padding,
    /// Names its epoch twice.
    Repetitive,
    /// Commits to what is no commitment.
    Garbled,
}

pub struct Node<C: Ciphersuite> {
    share: KeyShare<C>,
    pool: Mutex<NoncePool<C>>,
    first: Mutex<Option<Vec<u8>>>,
    message: Vec<u8>,
    /// What it signs for a change of an escrow contract.
    pub administration: Mutex<Vec<u8>>,
    /// Which of them it was asked to sign.
    pub asked_for: Mutex<BTreeSet<Digest>>,
    manner: Manner,
    key: SigningKey,
    pub asked_to_sign: AtomicUsize,
    /// How often it was asked what it sees of the log.
    pub surveyed: AtomicUsize,
    /// The checkpoints that the last request for a share told it of.
    pub told: Mutex<Vec<String>>,
}

pub fn identity(seed: u8) -> Identity {
    Identity::from_key(SigningKey::from_bytes(&[seed; 32]))
}

/// Whose checkpoints count.
pub fn sequencer() -> Identity {
    identity(201)
}

/// The name of the log.
pub const ORIGIN: &str = "log.example.com/test";

fn signed(branch: u8, size: u8, key: &Identity, origin: &str) -> String {
    let mut tree = Tree::new();
    for n in 0..size {
        tree.push(leaf_hash(&[branch, n]));
    }
    let checkpoint = Checkpoint::of(origin.parse().unwrap(), &tree, domain::Time::from_unix(9));
    checkpoint.sign(key.key()).to_string()
}

/// A note of the sequencer over this many entries.
pub fn note(size: u8) -> String {
    signed(0, size, &sequencer(), ORIGIN)
}

/// A note of the sequencer over as many other entries.
pub fn forked(size: u8) -> String {
    signed(1, size, &sequencer(), ORIGIN)
}

/// A note of the sequencer over this many entries, with a line of somebody else's.
pub fn padded(size: u8) -> String {
    note(size) + &format!("— witness.example {}\n", "A".repeat(1_000))
}

/// Whether the sequencer has signed a note, as signers see it.
fn is_of_log(note: &str) -> bool {
    let key = NoteKey::new(ORIGIN.parse().unwrap(), &sequencer().did()).unwrap();
    Note::parse(note).is_ok_and(|note| note.signed_by_log(&key).is_ok())
}

impl<C: Ciphersuite> Node<C> {
    pub fn new(share: KeyShare<C>, message: &[u8], manner: Manner) -> Arc<Self> {
        let seed = u8::try_from(share.id().get()).unwrap() + if manner == Manner::Impostor { 100 } else { 0 };
        Arc::new(Self {
            share,
            pool: Mutex::new(NoncePool::new(64.try_into().unwrap())),
            first: Mutex::new(None),
            message: message.to_vec(),
            administration: Mutex::default(),
            asked_for: Mutex::default(),
            manner,
            key: SigningKey::from_bytes(&[seed; 32]),
            asked_to_sign: AtomicUsize::new(0),
            surveyed: AtomicUsize::new(0),
            told: Mutex::default(),
        })
    }

    /// Starts listening and returns how a relayer with identity 200 asks it.
    pub async fn start(self: &Arc<Self>) -> Arc<SignerClient> {
        let url = self.listen().await;
        let node = identity(u8::try_from(self.share.id().get()).unwrap()).did();
        Arc::new(SignerClient::new(url, node, identity(200), Ambient::system()).unwrap())
    }

    /// Starts listening, unless dead.
    pub async fn listen(self: &Arc<Self>) -> NodeUrl {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url: NodeUrl = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        if self.manner != Manner::Dead {
            let (commit, sign, status) = (self.clone(), self.clone(), self.clone());
            let router = Router::new()
                .route(
                    paths::NODE_STATUS,
                    post(move || async move {
                        status.surveyed.fetch_add(1, Ordering::SeqCst);
                        StatusCode::SERVICE_UNAVAILABLE
                    }),
                )
                .route(
                    paths::SESSION_COMMIT,
                    post(move |Json(e): Json<Envelope>| async move {
                        let answer = |request| commit.commit(&request);
                        commit.answer(paths::SESSION_COMMIT, &e, answer)
                    }),
                )
                .route(
                    paths::SESSION_SIGN,
                    post(move |Json(e): Json<Envelope>| async move {
                        sign.asked_to_sign.fetch_add(1, Ordering::SeqCst);
                        if sign.manner == Manner::Slow {
                            std::future::pending::<()>().await;
                        }
                        let answer = |request| sign.sign(&request);
                        sign.answer(paths::SESSION_SIGN, &e, answer)
                    }),
                );
            tokio::spawn(async move { axum::serve(listener, router).await });
        }
        url
    }

    fn commit(&self, request: &CommitRequest) -> Result<CommitReply, Refusal> {
        if self.manner == Manner::Frozen {
            return Err(Refusal::new(RefusalCode::Frozen, "frozen"));
        }
        if self.manner == Manner::Objecting {
            let refusal = Refusal::new(RefusalCode::StaleView, "the view of the log is not fresh");
            return Err(Refusal { checkpoints: vec![note(7)], ..refusal });
        }
        let made = self.pool.lock().unwrap().commit(&self.share, None, &mut OsRng).unwrap();
        let mut commitment = made.bytes;
        if self.manner == Manner::Repeating {
            let mut first = self.first.lock().unwrap();
            commitment.clone_from(first.get_or_insert_with(|| commitment.clone()));
        }
        if self.manner == Manner::Garbled {
            commitment.pop();
        }
        Ok(CommitReply {
            participant: self.share.id().get(),
            epoch: 1,
            suite: request.subject.suite(),
            commitment_id: made.id,
            commitment: Hex(commitment),
            subject: request.subject.digest(),
            checkpoint: match self.manner {
                Manner::Boasting => Some(signed(0, 99, &identity(202), ORIGIN)),
                Manner::Renaming => Some(signed(0, 9, &sequencer(), "log.example.com/other")),
                Manner::Parted => Some(forked(7)),
                Manner::Ahead => Some(forked(9)),
                Manner::Padding => Some(padded(7)),
                _ => None,
            },
        })
    }

    /// What others have committed to, by the rules of an honest signer.
    fn invited(&self, request: &SignRequest) -> Result<Vec<CommitReply>, Refusal> {
        let opened = request.commitments.iter().map(|envelope| {
            let bad = |detail: String| Refusal::new(RefusalCode::BadCommitments, detail);
            let ids = self.share.group().participants().iter().map(|id| id.get());
            let participant = ids.into_iter().find(|id| identity(u8::try_from(*id).unwrap()).did() == envelope.from);
            let participant = participant.ok_or_else(|| bad("a stranger's answer".into()))?;
            let (suite, subject) = (request.subject.suite(), request.subject.digest());
            let terms = CommitTerms { participant, node: &envelope.from, epoch: request.epoch, suite, subject };
            let reply = terms.open(envelope, Ambient::system().now(), FORWARDED_TOLERANCE);
            let reply = reply.map_err(|e| bad(e.to_string()))?;
            if reply.checkpoint.as_deref().is_some_and(|note| !is_of_log(note)) {
                return Err(Refusal::new(RefusalCode::BadView, "not signed by the log's key"));
            }
            Ok(reply)
        });
        opened.collect()
    }

    fn sign(&self, request: &SignRequest) -> Result<SignReply, Refusal> {
        let message = match &request.subject {
            _ if self.manner == Manner::Differing => b"other".to_vec(),
            SigningSubject::Administration { administration } => {
                self.asked_for.lock().unwrap().insert(*administration);
                self.administration.lock().unwrap().clone()
            }
            _ => self.message.clone(),
        };
        self.told.lock().unwrap().clone_from(&request.checkpoints);
        // As each answered it to the relayer, which forwards it.
        let made = self.invited(request)?;
        let entries = made.iter().map(|c| (pid(c.participant), &c.commitment.0));
        let set = CommitmentSet::new(self.share.group(), entries).unwrap();
        let session = Digest::sha256(b"session");
        let mut share = self.pool.lock().unwrap().sign(&self.share, session, &set, &message).unwrap();
        if self.manner == Manner::Lying {
            let last = share.len() - 1;
            share[last] ^= 1;
        }
        let message = Digest::sha256(&message);
        Ok(SignReply { participant: self.share.id().get(), share: Hex(share), message })
    }

    fn answer<Q: DeserializeOwned, A: Serialize>(
        &self,
        path: &str,
        envelope: &Envelope,
        act: impl FnOnce(Q) -> Result<A, Refusal>,
    ) -> axum::response::Response {
        let now = Ambient::system().now();
        let relayer: Did = identity(200).did();
        let expected =
            Expected { to: &envelope.to, path, in_reply_to: None, now, tolerance: 60, is_pinned: &|d| *d == relayer };
        let opened = envelope.open::<Q>(&expected).unwrap();
        let (to, digest) = (opened.from(), opened.digest());
        let seal = Seal { path, to, at: now, nonce: Nonce([0; 16]), in_reply_to: Some(digest) };
        let sealed = match act(opened.into_body()) {
            Ok(reply) => Envelope::seal(&self.key, &seal, &reply),
            Err(refusal) => Envelope::seal(&self.key, &seal, &refusal),
        };
        let mut sealed = sealed.unwrap();
        if self.manner == Manner::Repetitive {
            let body = String::from_utf8(sealed.body.0).unwrap();
            sealed.body = Base64(body.replace("\"epoch\":1", "\"epoch\":1,\"epoch\":1").into_bytes());
            sealed.signature = Base64(self.key.sign(&sealed.signed_bytes()).to_bytes().to_vec());
        }
        Json(sealed).into_response()
    }
}
