use crate::horizon::Horizon;
use client::{ClientError, ControlPlane, QuorumView};
use domain::Did;
use log::{Entry, Hash, SignedCheckpoint, leaf_hash, verify_inclusion};
use messages::LogEntryView;
use serde::Deserialize;
use ucan::{Context, Delegation, Trust, Verified, authorise};

/// The most by which a log lets clocks differ. Whether the statement came in time, the signers have decided: it is in
/// their log.
const CLOCK_TOLERANCE: u64 = 120;

/// It is not known whom the operator has appointed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AppointmentError {
    /// The statement cannot be read.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// What is shown is not an entry with a statement that sets a quorum.
    #[error("what is shown as the quorum's statement is no entry with a /quorum/set")]
    Foreign,
    /// The statement is not by the operator, nor by whom it has entitled.
    #[error("the quorum's statement is not the operator's")]
    Denied(#[from] ucan::Denied),
    /// No checkpoint of the log's key covers the entry yet.
    #[error("the log's key has not signed for the quorum's statement yet")]
    Early,
    /// The entry is not where it is said to be in the log that the log's key has signed.
    #[error("the quorum's statement is not proven to be in the log")]
    Unproven,
}

/// Whom the operator has appointed to sign, and a checkpoint over the entry that says so.
///
/// Nothing of it is the control plane's word. The operator, or whom it has entitled, has signed the statement. That the
/// ledger has taken it is for the signers to say: they are told of the checkpoint before they commit to anything, and who
/// agrees with it has that very entry in its own log and has decided it ([`Horizon::appoint`]). An epoch is set once.
#[derive(Debug)]
pub(crate) struct Appointment {
    pub quorum: QuorumView,
    pub covered_by: SignedCheckpoint,
}

/// Reads who is appointed; `None` while nobody is.
pub(crate) async fn appointed(
    plane: &ControlPlane,
    horizon: &Horizon,
    operator: Did,
    sequencer: Did,
) -> Result<Option<Appointment>, AppointmentError> {
    let Some(shown) = plane.quorum_statement().await? else { return Ok(None) };
    let quorum = stated(&shown, operator, sequencer)?;
    if horizon.size() <= shown.seq {
        horizon.hear(&plane.checkpoint().await?);
    }
    let signed = horizon.last().filter(|signed| shown.seq < signed.checkpoint().size);
    let covered_by = signed.ok_or(AppointmentError::Early)?;
    let (size, root) = (covered_by.checkpoint().size, covered_by.checkpoint().root);
    let proof = plane.inclusion_proof(shown.seq, size).await?;
    let hashes: Vec<Hash> = proof.hashes.iter().map(|hash| Hash::from_bytes(*hash.as_bytes())).collect();
    verify_inclusion(shown.seq, size, &leaf_hash(&shown.entry.0), &root, &hashes)
        .map_err(|_| AppointmentError::Unproven)?;
    Ok(Some(Appointment { quorum, covered_by }))
}

/// The args of the statement, when the operator or whom it has entitled has made it and the entry is of it.
fn stated(shown: &LogEntryView, operator: Did, sequencer: Did) -> Result<QuorumView, AppointmentError> {
    let foreign = AppointmentError::Foreign;
    let (Ok(entry), Some((first, rest))) = (Entry::decode(&shown.entry.0), shown.tokens.split_first()) else {
        return Err(foreign);
    };
    let Ok(statement) = ucan::open_invocation(&first.0) else { return Err(foreign) };
    let is_of_entry = entry.seq == shown.seq && entry.stmt == statement.cid();
    if !is_of_entry || statement.command().as_str() != "/quorum/set" {
        return Err(foreign);
    }
    let open = |token: &messages::Base64| ucan::open_delegation(&token.0).ok();
    let proofs: Vec<Verified<Delegation>> = rest.iter().take(ucan::MAX_PROOFS).filter_map(open).collect();
    let trusted = [operator];
    let context = Context {
        clock_tolerance: CLOCK_TOLERANCE,
        audience: Some(sequencer),
        ..Context::new(entry.at, Trust::Only(&trusted))
    };
    authorise(&statement, &|cid| proofs.iter().find(|proof| proof.cid() == *cid).cloned(), &context)?;
    QuorumView::deserialize(statement.args().clone()).map_err(|_| foreign)
}

#[cfg(test)]
mod tests;
