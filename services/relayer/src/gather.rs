use crate::horizon::Horizon;
use client::{ClientError, Exchange, SignerClient};
use domain::Digest;
use futures_util::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use messages::{
    CommitReply, CommitRequest, Envelope, Refusal, RefusalCode, SignReply, SignRequest, SigningSubject, paths,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use threshold::{Ciphersuite, Coordinator, Failure, GroupKey, ParticipantId, Request, SessionNumber};

/// The signers of one epoch and one suite.
#[derive(Clone, Debug)]
pub struct Panel<C: Ciphersuite> {
    /// The key's epoch.
    pub epoch: u64,
    /// The public key, which verifies every share.
    pub group: GroupKey<C>,
    /// How each participant is asked.
    pub signers: BTreeMap<ParticipantId, Arc<SignerClient>>,
    /// How far the log is known to go; `None` where no log is involved, as when new keys are tested.
    pub horizon: Option<Arc<Horizon>>,
}

/// The largest answer to a request for a commitment, so that those of all signers fit into one request.
const MAX_ANSWER: usize = 2 * messages::MAX_CHECKPOINT;

/// How long to wait for whom.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For one answer.
    pub request: Duration,
    /// For a share, before those who delivered start another attempt without the slow one.
    pub hurry: Duration,
    /// For the signature.
    pub total: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { request: Duration::from_secs(5), hurry: Duration::from_millis(250), total: Duration::from_secs(15) }
    }
}

/// A participant and its own signed message, which proves it wrong.
#[derive(Clone, Debug)]
pub struct Culprit {
    /// Who sent it.
    pub participant: ParticipantId,
    /// What is wrong, for people.
    pub reason: &'static str,
    /// What it signed.
    pub envelope: Envelope,
}

/// A group signature and what was noticed on the way.
#[derive(Clone, Debug)]
pub struct Gathered {
    /// 65 bytes for secp256k1, 64 for Ed25519; verified.
    pub signature: Vec<u8>,
    /// Proven lies.
    pub culprits: Vec<Culprit>,
}

/// There is no signature now.
#[derive(Debug, thiserror::Error)]
#[error("no signature: {failure}")]
pub struct Unsigned {
    /// Why, in the coordinator's terms.
    pub failure: String,
    /// Refusals by signers; when t of them agree, trying again is of no use for now.
    pub refusals: Vec<(ParticipantId, RefusalCode)>,
    /// Digests of other messages that signers computed: they see another state than the one asked about.
    pub differing: Vec<(ParticipantId, Digest)>,
    /// Proven lies.
    pub culprits: Vec<Culprit>,
}

/// Commitments that are being asked for before the message is known.
#[derive(Default)]
pub(crate) struct Early {
    from: BTreeSet<ParticipantId>,
    asked: FuturesUnordered<BoxFuture<'static, Answer>>,
}

enum Answer {
    Commitment(ParticipantId, Result<Exchange<CommitReply>, ClientError>),
    Share(ParticipantId, SessionNumber, Result<Exchange<SignReply>, ClientError>),
}

struct Session<'a, C: Ciphersuite> {
    panel: &'a Panel<C>,
    subject: &'a SigningSubject,
    min_seq: u64,
    patience: Patience,
    message: Digest,
    coordinator: Coordinator<C>,
    refusals: Vec<(ParticipantId, RefusalCode)>,
    differing: Vec<(ParticipantId, Digest)>,
    culprits: Vec<Culprit>,
    /// Each commitment as its maker signed it.
    answers: BTreeMap<(ParticipantId, Vec<u8>), Envelope>,
    /// The size of the longest log that the signers of each attempt were told of, and so have followed before they sign.
    told: BTreeMap<SessionNumber, u64>,
    /// The size of the longest log of which a signer says that it rules the signature out.
    objection: Option<u64>,
    /// The attempt that a share came for last.
    last: SessionNumber,
}

/// Gathers one signature of the group over `message`, asking all signers at once and the first t of them to sign.
/// Signers compute the message themselves; `min_seq` is the entry that they must have seen for that.
pub async fn gather<C: Ciphersuite>(
    panel: &Panel<C>,
    subject: &SigningSubject,
    message: Vec<u8>,
    min_seq: u64,
    patience: Patience,
) -> Result<Gathered, Unsigned> {
    gather_with(panel, subject, message, min_seq, patience, None).await
}

/// As [`gather`], going on from commitments that were asked for early.
pub(crate) async fn gather_with<C: Ciphersuite>(
    panel: &Panel<C>,
    subject: &SigningSubject,
    message: Vec<u8>,
    min_seq: u64,
    patience: Patience,
    early: Option<Early>,
) -> Result<Gathered, Unsigned> {
    let digest = Digest::sha256(&message);
    let (coordinator, mut requests) = Coordinator::new(panel.group.clone(), message);
    let early = early.unwrap_or_default();
    requests.retain(|r| !matches!(r, Request::Commit { to } if early.from.contains(to)));
    let mut session = Session {
        panel,
        subject,
        min_seq,
        patience,
        message: digest,
        coordinator,
        refusals: Vec::new(),
        differing: Vec::new(),
        culprits: Vec::new(),
        answers: BTreeMap::new(),
        told: BTreeMap::new(),
        objection: None,
        last: 0,
    };
    match tokio::time::timeout(patience.total, session.conduct(requests, early.asked)).await {
        Ok(Ok(_)) if session.is_outrun() => {
            Err(session.unsigned("a signer that sees more of the log than those who signed refuses".to_owned()))
        }
        Ok(Ok(signature)) => Ok(Gathered { signature, culprits: session.culprits }),
        Ok(Err(failure)) => Err(session.unsigned(failure.to_string())),
        Err(_) => Err(session.unsigned("signers did not answer in time".to_owned())),
    }
}

/// Starts asking every signer for a commitment: a commitment binds to the subject, not to the message.
pub(crate) fn ask_early<C: Ciphersuite>(
    panel: &Panel<C>,
    subject: &SigningSubject,
    min_seq: u64,
    timeout: Duration,
) -> Early {
    let mut early = Early::default();
    for (id, signer) in &panel.signers {
        let (id, body) = (*id, panel.commit_request(subject, min_seq));
        let task = tokio::spawn(commit(id, Some(signer.clone()), body, timeout));
        early.from.insert(id);
        early.asked.push(Box::pin(async move {
            task.await.unwrap_or_else(|_| Answer::Commitment(id, Err(ClientError::Silent)))
        }));
    }
    early
}

async fn commit(
    to: ParticipantId,
    signer: Option<Arc<SignerClient>>,
    body: CommitRequest,
    timeout: Duration,
) -> Answer {
    let Some(signer) = signer else { return Answer::Commitment(to, Err(unknown())) };
    Answer::Commitment(to, signer.ask(paths::SESSION_COMMIT, &body, timeout).await)
}

fn unknown() -> ClientError {
    ClientError::Malformed("no address for this participant".to_owned())
}

impl<C: Ciphersuite> Panel<C> {
    fn commit_request(&self, subject: &SigningSubject, min_seq: u64) -> CommitRequest {
        let checkpoint = self.horizon.as_ref().and_then(|h| h.longest());
        CommitRequest { subject: subject.clone(), min_seq, checkpoint }
    }
}

impl<C: Ciphersuite> Session<'_, C> {
    async fn conduct(
        &mut self,
        mut requests: Vec<Request>,
        mut asked: FuturesUnordered<BoxFuture<'static, Answer>>,
    ) -> Result<Vec<u8>, Failure> {
        let mut hurry = tokio::time::interval(self.patience.hurry);
        hurry.tick().await;
        loop {
            for request in requests {
                asked.push(self.ask(request));
            }
            if let Some(outcome) = self.coordinator.outcome() {
                return outcome.clone();
            }
            requests = tokio::select! {
                Some(answer) = asked.next() => self.take(answer),
                _ = hurry.tick() => self.coordinator.hurry(),
            };
        }
    }

    fn ask(&mut self, request: Request) -> BoxFuture<'static, Answer> {
        let timeout = self.patience.request;
        let (Request::Commit { to } | Request::Sign { to, .. }) = &request;
        let (to, signer) = (*to, self.panel.signers.get(to).cloned());
        match request {
            Request::Commit { .. } => {
                let body = self.panel.commit_request(self.subject, self.min_seq);
                Box::pin(commit(to, signer, body, timeout))
            }
            Request::Sign { session, commitments, .. } => {
                let checkpoint = self.panel.horizon.as_ref().and_then(|h| {
                    self.told.entry(session).or_insert_with(|| h.size());
                    h.longest()
                });
                let commitments = commitments.iter().filter_map(|made| self.answers.get(made).cloned()).collect();
                let subject = self.subject.clone();
                let body = SignRequest { subject, epoch: self.panel.epoch, commitments, checkpoint };
                Box::pin(async move {
                    let Some(signer) = signer else { return Answer::Share(to, session, Err(unknown())) };
                    Answer::Share(to, session, signer.ask(paths::SESSION_SIGN, &body, timeout).await)
                })
            }
        }
    }

    fn take(&mut self, answer: Answer) -> Vec<Request> {
        match answer {
            Answer::Commitment(from, Ok(exchange)) => self.commitment(from, exchange),
            Answer::Share(from, session, Ok(exchange)) => self.share(from, session, exchange),
            Answer::Commitment(from, Err(error)) | Answer::Share(from, _, Err(error)) => {
                tracing::debug!(participant = from.get(), %error, "signer gave no answer");
                if let ClientError::Refused(refusal) = &error {
                    self.refused(from, refusal);
                }
                self.coordinator.failed(from)
            }
        }
    }

    fn commitment(&mut self, from: ParticipantId, exchange: Exchange<CommitReply>) -> Vec<Request> {
        let Exchange { reply, envelope, .. } = exchange;
        let says = (reply.participant, reply.epoch, reply.suite, reply.subject);
        let asked = (from.get(), self.panel.epoch, self.subject.suite(), self.subject.digest());
        if says != asked || envelope.body.0.len() > MAX_ANSWER {
            return self.coordinator.failed(from);
        }
        if let (Some(horizon), Some(note)) = (&self.panel.horizon, &reply.checkpoint)
            && horizon.hear(note).is_none()
        {
            let reason = "sees a checkpoint that the log's key has not signed";
            self.culprits.push(Culprit { participant: from, reason, envelope });
            return self.coordinator.convict(from);
        }
        self.answers.insert((from, reply.commitment.0.clone()), envelope);
        self.coordinator.commitment(from, &reply.commitment.0)
    }

    fn refused(&mut self, from: ParticipantId, refusal: &Refusal) {
        use RefusalCode::{Frozen, NotApproved, Revoked, Settled};
        self.refusals.push((from, refusal.code));
        let size = self.panel.horizon.as_ref().zip(refusal.checkpoint.as_ref()).and_then(|(h, note)| h.hear(note));
        if matches!(refusal.code, Frozen | NotApproved | Revoked | Settled) {
            self.objection = self.objection.max(size);
        }
    }

    /// Whether somebody who sees further than those who signed says that they must not. They learn what it sees and are
    /// asked again; a false objection holds nothing up once they have seen as much.
    fn is_outrun(&self) -> bool {
        self.objection > self.told.get(&self.last).copied()
    }

    fn share(&mut self, from: ParticipantId, session: SessionNumber, exchange: Exchange<SignReply>) -> Vec<Request> {
        let reply = &exchange.reply;
        if reply.message != self.message || reply.participant != from.get() {
            // A share for another message is no lie: the signer says openly that it sees something else.
            self.differing.push((from, reply.message));
            return self.coordinator.failed(from);
        }
        let known = self.coordinator.culprits().len();
        self.last = session;
        let requests = self.coordinator.share(from, session, &reply.share.0);
        if self.coordinator.culprits().len() > known {
            let reason = "signature share does not verify";
            self.culprits.push(Culprit { participant: from, reason, envelope: exchange.envelope });
        }
        requests
    }

    fn unsigned(self, failure: String) -> Unsigned {
        Unsigned { failure, refusals: self.refusals, differing: self.differing, culprits: self.culprits }
    }
}
