use crate::horizon::{Horizon, Notes};
use client::{ClientError, Exchange, SignerClient};
use domain::Digest;
use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use messages::{
    CLOCK_TOLERANCE, CommitReply, CommitRequest, CommitTerms, Envelope, Refusal, RefusalCode, SignReply, SignRequest,
    SigningSubject, TermsError, paths,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use threshold::{
    Ciphersuite, CommitmentSet, Coordinator, Failure, GroupKey, ParticipantId, Request, SessionNumber, SetError,
};

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

/// What is to be signed, by whom.
struct Task<'a, C: Ciphersuite> {
    panel: &'a Panel<C>,
    subject: &'a SigningSubject,
    min_seq: u64,
    patience: Patience,
    message: Vec<u8>,
}

/// What was noticed on the way, in all rounds.
#[derive(Default)]
struct Findings {
    refusals: Vec<(ParticipantId, RefusalCode)>,
    differing: Vec<(ParticipantId, Digest)>,
    culprits: Vec<Culprit>,
    /// What those who refused can prove to see of the log.
    objections: Notes,
}

/// One round: everyone is asked who has not refused before.
struct Session<'a, C: Ciphersuite> {
    task: &'a Task<'a, C>,
    digest: Digest,
    coordinator: Coordinator<C>,
    found: &'a mut Findings,
    /// Each commitment as its maker signed it.
    answers: BTreeMap<(ParticipantId, Vec<u8>), Envelope>,
    /// What the signers of each attempt were told of the log, and so have held against their own before they sign.
    told: BTreeMap<SessionNumber, Notes>,
    /// The attempt that a share came for last before there was an outcome: the one that has made the signature.
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
    let task = Task { panel, subject, min_seq, patience, message };
    let mut found = Findings::default();
    let outcome = tokio::time::timeout(patience.total, task.rounds(early.unwrap_or_default(), &mut found)).await;
    let failure = match outcome {
        // Whoever has signed two logs hides one of them from somebody. Signers that are told of both sign nothing.
        Ok(_) if panel.horizon.as_ref().is_some_and(|h| h.fork().is_some()) => {
            "the log's key has signed two logs".into()
        }
        Ok(Ok(signature)) => return Ok(Gathered { signature, culprits: found.culprits }),
        Ok(Err(failure)) => failure.to_string(),
        Err(_) => "signers did not answer in time".to_owned(),
    };
    let Findings { refusals, differing, culprits, .. } = found;
    Err(Unsigned { failure, refusals, differing, culprits })
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
        let (id, body) = (*id, panel.commit_request(*id, subject, min_seq, &Notes::default()));
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
    /// What signers must know of the log before they answer: `beside` what is remembered.
    fn notes(&self, beside: &Notes) -> Notes {
        let Some(horizon) = &self.horizon else { return Notes::default() };
        horizon.notes(self.signers.values().map(|signer| signer.node())).and(beside)
    }

    fn commit_request(
        &self,
        to: ParticipantId,
        subject: &SigningSubject,
        min_seq: u64,
        beside: &Notes,
    ) -> CommitRequest {
        let mut notes = self.notes(beside);
        if let Some((horizon, signer)) = self.horizon.as_ref().zip(self.signers.get(&to)) {
            notes = notes.and(&horizon.appointment(self.epoch, &signer.node()));
        }
        CommitRequest { subject: subject.clone(), min_seq, checkpoints: notes.texts() }
    }
}

impl<C: Ciphersuite> Task<'_, C> {
    /// A signature is worth nothing while somebody refuses who proves to see what those who signed were not told of. They
    /// may see less of the log, or another one: it is gathered again, and they are told. Who has refused is not asked
    /// again, so that every round is among fewer and a false objection holds nothing up for long.
    async fn rounds(&self, early: Early, found: &mut Findings) -> Result<Vec<u8>, Failure> {
        let mut asked = early.asked;
        let mut known = early.from;
        loop {
            let (mut coordinator, mut requests) = Coordinator::new(self.panel.group.clone(), self.message.clone());
            requests.retain(|r| !matches!(r, Request::Commit { to } if known.contains(to)));
            let heard = found.refusals.iter().map(|(id, _)| *id).chain(found.culprits.iter().map(|c| c.participant));
            for id in heard.collect::<BTreeSet<_>>() {
                requests.retain(|r| !matches!(r, Request::Commit { to } if *to == id));
                requests.extend(coordinator.failed(id));
            }
            let digest = Digest::sha256(&self.message);
            let (answers, told, last) = (BTreeMap::new(), BTreeMap::new(), 0);
            let mut session = Session { task: self, digest, coordinator, found: &mut *found, answers, told, last };
            let signature = session.conduct(requests, std::mem::take(&mut asked)).await?;
            let told = session.told.remove(&session.last).unwrap_or_default();
            if told.cover(&found.objections) {
                return Ok(signature);
            }
            tracing::warn!("a signer refuses that sees what those who signed were not told of; they are asked again");
            known.clear();
        }
    }
}

impl<C: Ciphersuite> Session<'_, C> {
    async fn conduct(
        &mut self,
        mut requests: Vec<Request>,
        mut asked: FuturesUnordered<BoxFuture<'static, Answer>>,
    ) -> Result<Vec<u8>, Failure> {
        let mut hurry = tokio::time::interval(self.task.patience.hurry);
        hurry.tick().await;
        loop {
            for request in requests {
                asked.push(self.ask(request));
            }
            if let Some(outcome) = self.coordinator.outcome().cloned() {
                // Who has answered by now is heard.
                while let Some(Some(answer)) = asked.next().now_or_never() {
                    self.take(answer);
                }
                return outcome;
            }
            requests = tokio::select! {
                Some(answer) = asked.next() => self.take(answer),
                _ = hurry.tick() => self.coordinator.hurry(),
            };
        }
    }

    fn ask(&mut self, request: Request) -> BoxFuture<'static, Answer> {
        let Task { panel, subject, min_seq, patience, .. } = self.task;
        let timeout = patience.request;
        let (Request::Commit { to } | Request::Sign { to, .. }) = &request;
        let (to, signer) = (*to, panel.signers.get(to).cloned());
        match request {
            Request::Commit { .. } => {
                let body = panel.commit_request(to, subject, *min_seq, &self.found.objections);
                Box::pin(commit(to, signer, body, timeout))
            }
            Request::Sign { session, commitments, .. } => {
                // The same for everyone in the attempt.
                let told = self.told.entry(session).or_insert_with(|| panel.notes(&self.found.objections));
                let checkpoints = told.texts();
                let commitments = commitments.iter().filter_map(|made| self.answers.get(made).cloned()).collect();
                let body = SignRequest { subject: (*subject).clone(), epoch: panel.epoch, commitments, checkpoints };
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
                match &error {
                    ClientError::Refused(refusal) => self.refused(from, refusal),
                    // It has signed this, and it is of no use. It may be of another version, so that it proves no lie.
                    ClientError::Malformed(_) => {
                        tracing::warn!(participant = from.get(), %error, "a signer's answer is malformed");
                    }
                    _ => tracing::debug!(participant = from.get(), %error, "signer gave no answer"),
                }
                self.coordinator.failed(from)
            }
        }
    }

    /// Everyone who signs is shown this answer as it is, and refuses to sign beside one that is not good. So nothing is
    /// taken here that an honest signer refuses: terms and text are checked by the signers' own function, the checkpoint
    /// against the same key, the commitment against the same group, and the clocks that differ leave room for each other
    /// ([`messages::FORWARDED_TOLERANCE`]).
    ///
    /// A refusal to make a share is therefore never due to what is wrong with somebody else's answer, and it costs only who
    /// refuses, whomever it names: with each attempt a participant is gone that is faulty, or that would not have signed in
    /// any other. Were the named ones put aside instead, each liar could take an honest signer with it, and with n - t
    /// liars t honest ones would not remain.
    fn commitment(&mut self, from: ParticipantId, exchange: Exchange<CommitReply>) -> Vec<Request> {
        let envelope = exchange.envelope;
        let Task { panel, subject, .. } = self.task;
        let Some(signer) = panel.signers.get(&from).cloned() else { return self.coordinator.failed(from) };
        let (node, suite) = (signer.node(), subject.suite());
        let terms =
            CommitTerms { participant: from.get(), node: &node, epoch: panel.epoch, suite, subject: subject.digest() };
        // Again, since it may have been asked for early and have waited.
        let reply = match terms.open(&envelope, signer.now(), CLOCK_TOLERANCE) {
            Ok(reply) if envelope.body.0.len() <= MAX_ANSWER => reply,
            Err(TermsError::Checkpoint) => {
                return self.convict(from, "sees a checkpoint that is too long to be shown", envelope);
            }
            Ok(_) | Err(_) => return self.coordinator.failed(from),
        };
        if let Some(note) = reply.checkpoint
            && let Some(seen) = self.hear(from, &[note])
            && seen.is_empty()
        {
            return self.convict(from, "sees a checkpoint that the log's key has not signed", envelope);
        }
        let commitment = reply.commitment.0;
        let alone = CommitmentSet::new(&panel.group, [(from, &commitment)]);
        if matches!(alone, Err(SetError::MalformedCommitment(_))) {
            return self.convict(from, "commits to what is no commitment", envelope);
        }
        if let Some(horizon) = &panel.horizon {
            horizon.agreed(panel.epoch, node);
        }
        self.answers.insert((from, commitment.clone()), envelope);
        self.coordinator.commitment(from, &commitment)
    }

    /// What a participant has signed proves it wrong.
    fn convict(&mut self, participant: ParticipantId, reason: &'static str, envelope: Envelope) -> Vec<Request> {
        self.found.culprits.push(Culprit { participant, reason, envelope });
        self.coordinator.convict(participant)
    }

    /// Whatever the reason, a signer that refuses and sees what others do not may be right: one that is frozen says so
    /// only while its view is fresh, and one that has halted knows of two logs.
    fn refused(&mut self, from: ParticipantId, refusal: &Refusal) {
        if refusal.culprits.is_empty() {
            tracing::debug!(participant = from.get(), %refusal, "a signer refuses");
        } else {
            // One of them is faulty; which, an operator may see from how often either is named.
            tracing::warn!(participant = from.get(), named = ?refusal.culprits, %refusal, "a signer accuses another");
        }
        self.found.refusals.push((from, refusal.code));
        if let Some(seen) = self.hear(from, &refusal.checkpoints) {
            self.found.objections = std::mem::take(&mut self.found.objections).and(&seen);
        }
    }

    /// What a participant proves to see of the log, where one is involved.
    fn hear(&self, from: ParticipantId, notes: &[String]) -> Option<Notes> {
        let panel = self.task.panel;
        panel.horizon.as_ref().zip(panel.signers.get(&from)).map(|(h, signer)| h.hear_from(&signer.node(), notes))
    }

    fn share(&mut self, from: ParticipantId, session: SessionNumber, exchange: Exchange<SignReply>) -> Vec<Request> {
        let reply = &exchange.reply;
        if reply.message != self.digest || reply.participant != from.get() {
            // A share for another message is no lie: the signer says openly that it sees something else.
            self.found.differing.push((from, reply.message));
            return self.coordinator.failed(from);
        }
        let known = self.coordinator.culprits().len();
        if self.coordinator.outcome().is_none() {
            self.last = session;
        }
        let requests = self.coordinator.share(from, session, &reply.share.0);
        if self.coordinator.culprits().len() > known {
            let reason = "signature share does not verify";
            self.found.culprits.push(Culprit { participant: from, reason, envelope: exchange.envelope });
        }
        requests
    }
}

#[cfg(test)]
mod tests;
