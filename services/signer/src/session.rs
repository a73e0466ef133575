//! Signing sessions: a commitment first, then a share of a message that this node computes from its own state.

use crate::{
    Node,
    clearance::{Asked, Clearance},
    keys::Shares,
};
use domain::{Cid, Digest};
use ledger::{Hold, Permit};
use log::{Checkpoint, Note};
use messages::{CommitReply, CommitRequest, Hex, Refusal, RefusalCode, SignReply, SignRequest, SigningSubject, Suite};
use rand_core::OsRng;
use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use storage::LockOutcome;
use threshold::{
    Ciphersuite, Commitment, CommitmentSet, Ed25519, GroupKey, NoncePool, ParticipantId, Secp256k1, SignError,
};

/// How long a request waits for the entry that it is about.
const PATIENCE: Duration = Duration::from_secs(3);
/// Open commitments per suite; the oldest go first, and their coordinators ask again.
const COMMITMENTS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4_095);

pub(crate) struct Sessions {
    secp256k1: Mutex<NoncePool<Secp256k1>>,
    ed25519: Mutex<NoncePool<Ed25519>>,
}

impl Sessions {
    pub fn new() -> Self {
        Self { secp256k1: Mutex::new(NoncePool::new(COMMITMENTS)), ed25519: Mutex::new(NoncePool::new(COMMITMENTS)) }
    }

    pub fn open(&self) -> usize {
        let secp256k1 = self.secp256k1.lock().unwrap_or_else(PoisonError::into_inner).open();
        secp256k1.saturating_add(self.ed25519.lock().unwrap_or_else(PoisonError::into_inner).open())
    }
}

pub(crate) fn refuse<T>(code: RefusalCode, detail: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::new(code, detail))
}

/// The word for what the ledger's gate says.
pub(crate) fn on_hold(hold: Hold) -> Refusal {
    let code = match hold {
        Hold::Unknown => RefusalCode::UnknownProposal,
        Hold::UnknownAdministration => RefusalCode::UnknownAdministration,
        Hold::Frozen => RefusalCode::Frozen,
        Hold::Expired => RefusalCode::Expired,
        Hold::Revoked | Hold::InstallationInactive => RefusalCode::Revoked,
        Hold::StaleView => RefusalCode::StaleView,
        Hold::NoQuorum => RefusalCode::NoKey,
        _ => RefusalCode::NotApproved,
    };
    Refusal::new(code, hold.to_string())
}

fn on_sign_error(error: &SignError) -> Refusal {
    let code = match error {
        SignError::UnknownCommitment | SignError::OtherSession | SignError::OtherKey => RefusalCode::UnknownCommitment,
        SignError::Used => RefusalCode::CommitmentUsed,
        SignError::NotInvited(_) | SignError::Set(_) => RefusalCode::BadCommitments,
        SignError::Key(_) | SignError::Frost(_) => RefusalCode::NoKey,
    };
    Refusal::new(code, error.to_string())
}

/// Names a session: commitments made for one subject sign no other.
fn session(subject: &SigningSubject) -> Digest {
    Digest::sha256(&serde_json::to_vec(subject).unwrap_or_default())
}

fn shares(node: &Node) -> Result<(u64, Arc<Shares>), Refusal> {
    let replica = node.view.replica();
    let none = || Refusal::new(RefusalCode::NoKey, "no share of the active quorum's key is held here");
    let quorum = replica.state().quorum().ok_or_else(none)?;
    Ok((quorum.epoch, node.keys.of(quorum).ok_or_else(none)?))
}

pub(crate) fn alive(node: &Node) -> Result<(), Refusal> {
    let reason = node.view.halted().map(str::to_owned).or_else(|| node.view.suspected());
    reason.map_or(Ok(()), |reason| refuse(RefusalCode::Diverged, reason))
}

/// The gate: the ledger's permit, unless a freeze reached this node directly.
pub(crate) fn permit(node: &Node, proposal: &Cid) -> Result<Permit, Refusal> {
    alive(node)?;
    let before = node.view.replica();
    let state = before.state();
    if state.proposal(proposal).is_some_and(|p| node.freezes.holds(state.operator(), p.tenant)) {
        return refuse(RefusalCode::Frozen, "a freeze reached this node directly");
    }
    // Loaded after the question about direct freezes: one that the log has taken over since is in this view.
    let replica = node.view.replica();
    let permit = replica.state().permit(proposal, node.ambient.now(), node.view.freshness(node.config.lease));
    permit.map_err(on_hold)
}

/// The checkpoint that a note is about, if this node's own tree has had its root.
fn own_checkpoint(node: &Node, note: &str) -> Result<Checkpoint, Refusal> {
    alive(node)?;
    let malformed = |e: log::NoteError| Refusal::new(RefusalCode::BadCommitments, e.to_string());
    let note = Note::parse(note).map_err(malformed)?;
    let replica = node.view.replica();
    let behind = || Refusal::new(RefusalCode::Behind, "no checkpoint of this log and size is known here");
    let origin = replica.state().origin().ok_or_else(behind)?;
    let name = replica::key_name(origin).ok_or_else(behind)?;
    let key = log::NoteKey::new(name.clone(), &origin.sequencer).map_err(|_| behind())?;
    let checkpoint = note.verify(&name, &[key]).map_err(|_| behind())?.into_inner();
    if checkpoint.time > node.ambient.now().plus(crate::ENVELOPE_TOLERANCE) {
        return refuse(RefusalCode::StaleView, "the checkpoint is from the future");
    }
    match node.view.root_at(checkpoint.size) {
        Some(root) if root == checkpoint.root => Ok(checkpoint),
        Some(_) => refuse(RefusalCode::Diverged, "this node's tree has another root at that size"),
        None => Err(behind()),
    }
}

pub(crate) async fn commit(node: &Arc<Node>, request: CommitRequest) -> Result<CommitReply, Refusal> {
    if !node.view.reach(request.min_seq.saturating_add(1), PATIENCE).await {
        return refuse(RefusalCode::Behind, "the log has not reached that entry here");
    }
    // The first key generation is tested before there is any quorum.
    if let SigningSubject::DkgTest { ceremony, suite } = &request.subject {
        return node.ceremonies.commit(ceremony, *suite);
    }
    let (epoch, shares) = shares(node)?;
    let session = Some(session(&request.subject));
    let made: Result<(u16, Commitment), SignError> = match &request.subject {
        SigningSubject::Intent { proposal } => commit_on_chain(node, &shares, session, Asked::Payout(*proposal))?,
        SigningSubject::Administration { administration } => {
            commit_on_chain(node, &shares, session, Asked::Administration(*administration))?
        }
        SigningSubject::Checkpoint { note } => {
            own_checkpoint(node, note)?;
            let mut pool = node.sessions.ed25519.lock().unwrap_or_else(PoisonError::into_inner);
            pool.commit(&shares.ed25519, session, &mut OsRng).map(|c| (shares.ed25519.id().get(), c))
        }
        SigningSubject::DkgTest { ceremony, suite } => return node.ceremonies.commit(ceremony, *suite),
    };
    let (participant, commitment) = made.map_err(|e| on_sign_error(&e))?;
    Ok(reply(participant, epoch, request.subject.suite(), commitment))
}

fn commit_on_chain(
    node: &Node,
    shares: &Shares,
    session: Option<Digest>,
    asked: Asked,
) -> Result<Result<(u16, Commitment), SignError>, Refusal> {
    // Dropped at once: a commitment says nothing about the payout, but one that cannot be signed is not worth making.
    drop(asked.clear(node)?);
    let mut pool = node.sessions.secp256k1.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(pool.commit(&shares.secp256k1, session, &mut OsRng).map(|c| (shares.secp256k1.id().get(), c)))
}

pub(crate) fn reply(participant: u16, epoch: u64, suite: Suite, commitment: Commitment) -> CommitReply {
    CommitReply { participant, epoch, suite, commitment_id: commitment.id, commitment: Hex(commitment.bytes) }
}

pub(crate) async fn sign(node: &Arc<Node>, request: SignRequest) -> Result<SignReply, Refusal> {
    match &request.subject {
        SigningSubject::Intent { proposal } => sign_on_chain(node, &request, Asked::Payout(*proposal)).await,
        SigningSubject::Administration { administration } => {
            sign_on_chain(node, &request, Asked::Administration(*administration)).await
        }
        SigningSubject::Checkpoint { note } => sign_checkpoint(node, &request, note),
        SigningSubject::DkgTest { ceremony, suite } => node.ceremonies.sign(ceremony, *suite, &request.commitments),
    }
}

/// Parses a set of commitments for a group.
pub(crate) fn commitments<C: Ciphersuite>(
    group: &GroupKey<C>,
    entries: &[messages::CommitmentEntry],
) -> Result<CommitmentSet<C>, Refusal> {
    let bad = |detail: String| Refusal::new(RefusalCode::BadCommitments, detail);
    let parsed = entries
        .iter()
        .map(|e| ParticipantId::new(e.participant).map(|id| (id, e.commitment.0.as_slice())))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| bad(e.to_string()))?;
    CommitmentSet::new(group, parsed).map_err(|e| bad(e.to_string()))
}

async fn sign_on_chain(node: &Arc<Node>, request: &SignRequest, asked: Asked) -> Result<SignReply, Refusal> {
    let (epoch, shares) = shares(node)?;
    if request.epoch != epoch {
        return refuse(RefusalCode::NoKey, format!("the active epoch is {epoch}"));
    }
    let set = commitments(shares.secp256k1.group(), &request.commitments)?;
    let clearance = asked.clear(node)?;
    let locked = clearance.message();
    clearance.lock(node, epoch).await?;
    // Asked again after the wait for the disk: a freeze or a revocation may have come in between.
    let clearance = asked.clear(node)?;
    let message = clearance.message();
    if message != locked {
        return refuse(RefusalCode::Conflict, "the authorisation changed while it was locked");
    }
    let mut pool = node.sessions.secp256k1.lock().unwrap_or_else(PoisonError::into_inner);
    let share = share_of(clearance, &shares, &mut pool, session(&request.subject), &set)?;
    Ok(SignReply { participant: shares.secp256k1.id().get(), share: Hex(share), message: Digest::sha256(&message) })
}

/// A share for what has been cleared, and for nothing else.
#[expect(clippy::needless_pass_by_value, reason = "the clearance is spent")]
fn share_of(
    clearance: Clearance,
    shares: &Shares,
    pool: &mut NoncePool<Secp256k1>,
    session: Digest,
    set: &CommitmentSet<Secp256k1>,
) -> Result<Vec<u8>, Refusal> {
    let message = clearance.message();
    pool.sign(&shares.secp256k1, session, set, &message).map_err(|e| on_sign_error(&e))
}

pub(crate) async fn lock(node: &Arc<Node>, proposal: Cid, digest: [u8; 32], epoch: u64) -> Result<(), Refusal> {
    let storage = node.storage.clone();
    let digest = Digest::from_bytes(digest);
    let locking = tokio::task::spawn_blocking(move || storage.lock_intent(proposal.digest(), &digest, epoch));
    let unavailable = |e: String| Refusal::new(RefusalCode::StorageUnavailable, e);
    match locking.await.map_err(|e| unavailable(e.to_string()))? {
        Ok(LockOutcome::Fresh | LockOutcome::Same) => Ok(()),
        Ok(LockOutcome::Conflict(_)) => refuse(RefusalCode::Conflict, "another digest is locked for this intent"),
        Err(error) => Err(unavailable(error.to_string())),
    }
}

fn sign_checkpoint(node: &Node, request: &SignRequest, note: &str) -> Result<SignReply, Refusal> {
    let (epoch, shares) = shares(node)?;
    if request.epoch != epoch {
        return refuse(RefusalCode::NoKey, format!("the active epoch is {epoch}"));
    }
    let text = own_checkpoint(node, note)?.signed_text();
    let set = commitments(shares.ed25519.group(), &request.commitments)?;
    let mut pool = node.sessions.ed25519.lock().unwrap_or_else(PoisonError::into_inner);
    let share = pool.sign(&shares.ed25519, session(&request.subject), &set, &text).map_err(|e| on_sign_error(&e))?;
    Ok(SignReply { participant: shares.ed25519.id().get(), share: Hex(share), message: Digest::sha256(&text) })
}
