//! Signing sessions: a commitment first, then a share of a message that this node computes from its own state.

use crate::{
    Node,
    clearance::{Asked, Clearance},
    heard::{self, behind, catch_up, hear},
    keys::Shares,
};
use domain::{Cid, Digest};
use ledger::{Hold, Permit};
use log::Checkpoint;
use messages::{
    CommitReply, CommitRequest, CommitTerms, FORWARDED_TOLERANCE, Hex, MAX_CHECKPOINTS, Refusal, RefusalCode,
    SignReply, SignRequest, SigningSubject, TermsError,
};
use rand_core::OsRng;
use std::{
    collections::BTreeSet,
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError},
};
use storage::{Lock, LockOutcome};
use threshold::{
    Ciphersuite, Commitment, CommitmentSet, Ed25519, GroupKey, KeyShare, NoncePool, ParticipantId, Secp256k1, SignError,
};

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

fn shares(node: &Node) -> Result<(u64, Arc<Shares>), Refusal> {
    let replica = node.view.replica();
    let none = || Refusal::new(RefusalCode::NoKey, "no share of the active quorum's key is held here");
    let quorum = replica.state().quorum().ok_or_else(none)?;
    Ok((quorum.epoch, node.keys.of(quorum).ok_or_else(none)?))
}

pub(crate) fn alive(node: &Node) -> Result<(), Refusal> {
    let reason = node.view.halted().map(str::to_owned).or_else(|| node.view.suspected());
    reason.map_or(Ok(()), |reason| refuse(RefusalCode::Diverged, reason))?;
    node.view.beyond().map_or(Ok(()), |size| Err(behind(size)))
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
async fn own_checkpoint(node: &Arc<Node>, note: &str) -> Result<Checkpoint, Refusal> {
    alive(node)?;
    let unknown = || Refusal::new(RefusalCode::Behind, "no checkpoint of this log and size is known here");
    let signed = heard::checkpoint(node.view.replica().state(), note).ok_or_else(unknown)?;
    let checkpoint = signed.checkpoint();
    if checkpoint.time > node.ambient.now().plus(crate::ENVELOPE_TOLERANCE) {
        return refuse(RefusalCode::StaleView, "the checkpoint is from the future");
    }
    match node.view.root_at(checkpoint.size) {
        Some(root) if root == checkpoint.root => Ok(checkpoint.clone()),
        Some(_) => match node.view.hear(&signed) {
            Err(fork) => Err(heard::part(node, fork).await),
            Ok(_) => Err(unknown()),
        },
        None => Err(unknown()),
    }
}

/// Adds to a refusal how far this node sees: others may see less, and sign what they should not.
fn with_view(node: &Node) -> impl FnOnce(Refusal) -> Refusal + '_ {
    |refusal| Refusal { checkpoints: node.view.shown(), ..refusal }
}

pub(crate) async fn commit(node: &Arc<Node>, request: CommitRequest) -> Result<CommitReply, Refusal> {
    let made = match &request.subject {
        // The first key generation is tested before there is any quorum, or any log.
        SigningSubject::DkgTest { .. } => return node.ceremonies.commit(&request.subject),
        SigningSubject::Intent { proposal } => commit_on_chain(node, &request, Asked::Payout(*proposal)).await,
        SigningSubject::Administration { administration } => {
            commit_on_chain(node, &request, Asked::Administration(*administration)).await
        }
        SigningSubject::Checkpoint { note } => commit_checkpoint(node, &request, note).await,
    };
    made.map_err(with_view(node))
}

async fn commit_on_chain(node: &Arc<Node>, request: &CommitRequest, asked: Asked) -> Result<CommitReply, Refusal> {
    follow_up(node, request).await?;
    let (epoch, shares) = shares(node)?;
    // Given up at once: a commitment says nothing about what is signed, but one that cannot be is not worth making.
    asked.clear(node)?.check_due(node).await?;
    pledge(node, &node.sessions.secp256k1, &shares.secp256k1, epoch, &request.subject)
}

async fn commit_checkpoint(node: &Arc<Node>, request: &CommitRequest, note: &str) -> Result<CommitReply, Refusal> {
    follow_up(node, request).await?;
    let (epoch, shares) = shares(node)?;
    own_checkpoint(node, note).await?;
    pledge(node, &node.sessions.ed25519, &shares.ed25519, epoch, &request.subject)
}

/// Follows the log to where the coordinator, or the key of the log, says that it ends.
async fn follow_up(node: &Arc<Node>, request: &CommitRequest) -> Result<(), Refusal> {
    hear_all(node, &request.checkpoints, &BTreeSet::new()).await?;
    catch_up(node, request.min_seq.saturating_add(1)).await
}

/// Learns of what the coordinator has been shown, beyond what is `known` already. What the log's key has not signed says
/// nothing, and no participant stands for it.
async fn hear_all(node: &Arc<Node>, notes: &[String], known: &BTreeSet<String>) -> Result<(), Refusal> {
    if notes.len() > MAX_CHECKPOINTS {
        return refuse(RefusalCode::Busy, format!("a request has at most {MAX_CHECKPOINTS} checkpoints"));
    }
    for note in notes.iter().filter(|note| !known.contains(*note)) {
        hear(node, note).await?;
    }
    Ok(())
}

/// Commits to fresh nonces for this subject, and says how far this node sees.
fn pledge<C: Ciphersuite>(
    node: &Node,
    pool: &Mutex<NoncePool<C>>,
    share: &KeyShare<C>,
    epoch: u64,
    subject: &SigningSubject,
) -> Result<CommitReply, Refusal> {
    let mut pool = pool.lock().unwrap_or_else(PoisonError::into_inner);
    let commitment = pool.commit(share, Some(subject.digest()), &mut OsRng).map_err(|e| on_sign_error(&e))?;
    Ok(CommitReply { checkpoint: node.view.longest(), ..reply(share.id(), epoch, subject, commitment) })
}

/// A commitment as it is sent, by a node that knows of no log.
pub(crate) fn reply(who: ParticipantId, epoch: u64, subject: &SigningSubject, made: Commitment) -> CommitReply {
    CommitReply {
        participant: who.get(),
        epoch,
        suite: subject.suite(),
        commitment_id: made.id,
        commitment: Hex(made.bytes),
        subject: subject.digest(),
        checkpoint: None,
    }
}

pub(crate) async fn sign(node: &Arc<Node>, request: SignRequest) -> Result<SignReply, Refusal> {
    let signed = match &request.subject {
        SigningSubject::DkgTest { .. } => return node.ceremonies.sign(node, &request),
        SigningSubject::Intent { proposal } => sign_on_chain(node, &request, Asked::Payout(*proposal)).await,
        SigningSubject::Administration { administration } => {
            sign_on_chain(node, &request, Asked::Administration(*administration)).await
        }
        SigningSubject::Checkpoint { note } => sign_checkpoint(node, &request, note).await,
    };
    signed.map_err(with_view(node))
}

/// The commitments of everyone who signs. Each comes as its maker signed it, with how far that node sees, and this node
/// follows the log to there before it decides again: whoever hides entries from it must hide them from all.
///
/// That the answers are of this session needs no clock: each names its subject, and its maker uses a commitment once.
async fn invited<C: Ciphersuite>(
    node: &Arc<Node>,
    group: &GroupKey<C>,
    request: &SignRequest,
) -> Result<CommitmentSet<C>, Refusal> {
    let replica = node.view.replica();
    let quorum = replica.state().quorum();
    let subject = request.subject.digest();
    let (mut made, mut notes) = (Vec::with_capacity(request.commitments.len()), BTreeSet::new());
    for envelope in &request.commitments {
        let bad = |detail: String| Refusal::new(RefusalCode::BadCommitments, detail);
        let who =
            quorum.and_then(|q| q.participant(&envelope.from)).ok_or_else(|| bad("a stranger's answer".into()))?;
        let terms = CommitTerms {
            participant: who.id,
            node: &who.node,
            epoch: request.epoch,
            suite: request.subject.suite(),
            subject,
        };
        let unproven = || {
            let detail = format!("participant {}: the log's key has not signed what it sees", who.id);
            Refusal { culprits: vec![who.id], ..Refusal::new(RefusalCode::BadView, detail) }
        };
        let reply = terms.open(envelope, node.ambient.now(), FORWARDED_TOLERANCE).map_err(|error| match error {
            TermsError::Checkpoint => unproven(),
            error => bad(format!("participant {}: {error}", who.id)),
        })?;
        if let Some(note) = reply.checkpoint
            && !notes.contains(&note)
        {
            if !hear(node, &note).await? {
                return Err(unproven());
            }
            notes.insert(note);
        }
        made.push((who.id, reply.commitment));
    }
    hear_all(node, &request.checkpoints, &notes).await?;
    catch_up(node, 0).await?;
    commitments(group, &made)
}

/// Parses a set of commitments for a group.
pub(crate) fn commitments<C: Ciphersuite>(
    group: &GroupKey<C>,
    made: &[(u16, Hex)],
) -> Result<CommitmentSet<C>, Refusal> {
    let bad = |detail: String| Refusal::new(RefusalCode::BadCommitments, detail);
    let parsed = made
        .iter()
        .map(|(id, commitment)| ParticipantId::new(*id).map(|id| (id, commitment.0.as_slice())))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| bad(e.to_string()))?;
    CommitmentSet::new(group, parsed).map_err(|e| bad(e.to_string()))
}

async fn sign_on_chain(node: &Arc<Node>, request: &SignRequest, asked: Asked) -> Result<SignReply, Refusal> {
    let (epoch, shares) = shares(node)?;
    if request.epoch != epoch {
        return refuse(RefusalCode::NoKey, format!("the active epoch is {epoch}"));
    }
    let set = invited(node, shares.secp256k1.group(), request).await?;
    let clearance = asked.clear(node)?;
    let locked = clearance.message();
    clearance.check_due(node).await?;
    clearance.lock(node, epoch).await?;
    // Asked again after the wait for chain and disk: a freeze or a revocation may have come in between.
    let clearance = asked.clear(node)?;
    let message = clearance.message();
    if message != locked {
        return refuse(RefusalCode::Conflict, "the authorisation changed while it was locked");
    }
    let mut pool = node.sessions.secp256k1.lock().unwrap_or_else(PoisonError::into_inner);
    let share = share_of(clearance, &shares, &mut pool, request.subject.digest(), &set)?;
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
    let lock = Lock { digest, epoch, seal: node.seal.lock(proposal.digest(), &digest, epoch) };
    let locking = tokio::task::spawn_blocking(move || storage.lock_intent(proposal.digest(), &lock));
    let unavailable = |e: String| Refusal::new(RefusalCode::StorageUnavailable, e);
    match locking.await.map_err(|e| unavailable(e.to_string()))? {
        Ok(LockOutcome::Fresh) => {
            node.anchor.count_lock();
            Ok(())
        }
        Ok(LockOutcome::Same) => Ok(()),
        Ok(LockOutcome::Conflict(_)) => refuse(RefusalCode::Conflict, "another digest is locked for this intent"),
        Err(error) => Err(unavailable(error.to_string())),
    }
}

async fn sign_checkpoint(node: &Arc<Node>, request: &SignRequest, note: &str) -> Result<SignReply, Refusal> {
    let (epoch, shares) = shares(node)?;
    if request.epoch != epoch {
        return refuse(RefusalCode::NoKey, format!("the active epoch is {epoch}"));
    }
    let set = invited(node, shares.ed25519.group(), request).await?;
    let text = own_checkpoint(node, note).await?.signed_text();
    let mut pool = node.sessions.ed25519.lock().unwrap_or_else(PoisonError::into_inner);
    let share = pool.sign(&shares.ed25519, request.subject.digest(), &set, &text).map_err(|e| on_sign_error(&e))?;
    Ok(SignReply { participant: shares.ed25519.id().get(), share: Hex(share), message: Digest::sha256(&text) })
}
