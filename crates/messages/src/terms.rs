use crate::{CommitReply, Envelope, EnvelopeError, MAX_CHECKPOINT, Suite, paths};
use domain::{Did, Digest, Time};

/// What a participant was asked to commit to.
///
/// A coordinator passes the answers of all who sign on to each of them, and an answer that one of them refuses costs the
/// whole attempt. Coordinators and signers therefore open it here, with one rule.
#[derive(Clone, Copy, Debug)]
pub struct CommitTerms<'a> {
    /// Who was asked: a FROST identifier.
    pub participant: u16,
    /// Its node key.
    pub node: &'a Did,
    /// The epoch of the key that will sign.
    pub epoch: u64,
    /// The suite of the commitment.
    pub suite: Suite,
    /// What it is for: [`crate::SigningSubject::digest`].
    pub subject: Digest,
}

/// An answer is not a commitment on these terms.
#[derive(Debug, thiserror::Error)]
pub enum TermsError {
    /// Not by this node, not an answer to a request for a commitment, too far from the clock, or malformed.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// Of another participant, epoch, suite or subject. An honest node that follows another epoch answers like this.
    #[error("an answer of another session")]
    Session,
    /// What it says it sees of the log is above [`MAX_CHECKPOINT`]. No honest node shows that.
    #[error("a checkpoint that is too long")]
    Checkpoint,
}

impl CommitTerms<'_> {
    /// Opens the answer, at most `tolerance` seconds away from `now` by its maker's clock.
    ///
    /// What is left to the caller is to hold [`CommitReply::checkpoint`] against the log's key, and the commitment
    /// against the group.
    pub fn open(&self, answer: &Envelope, now: Time, tolerance: u64) -> Result<CommitReply, TermsError> {
        let opened = answer.open_forwarded::<CommitReply>(self.node, paths::SESSION_COMMIT, now, tolerance)?;
        let reply = opened.into_body();
        let says = (reply.participant, reply.epoch, reply.suite, reply.subject);
        if says != (self.participant, self.epoch, self.suite, self.subject) {
            return Err(TermsError::Session);
        }
        if reply.checkpoint.as_ref().is_some_and(|note| note.len() > MAX_CHECKPOINT) {
            return Err(TermsError::Checkpoint);
        }
        Ok(reply)
    }
}
