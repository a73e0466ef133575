use crate::{
    carrier::Carrier,
    gather::{Patience, Unsigned, gather},
    horizon::Horizon,
    observability::Event,
    origin::OriginError,
};
use log::{KeyName, Note, NoteKey};
use messages::SigningSubject;
use std::{sync::Arc, time::Duration};
use tokio::{sync::watch, time::MissedTickBehavior};

/// Often enough that an auditor waits for seconds, seldom enough to cost signers nothing.
const EVERY: Duration = Duration::from_secs(3);

/// Has the quorum sign the log's checkpoints: one of each size that is stored, since that is the one auditors get.
pub(crate) struct Cosigner {
    carrier: Arc<Carrier>,
    notes: watch::Receiver<Option<String>>,
    cosigned: u64,
}

#[derive(Debug, thiserror::Error)]
enum CosignError {
    #[error(transparent)]
    Unsigned(#[from] Unsigned),
    #[error(transparent)]
    Origin(#[from] OriginError),
    #[error("the log's note is not a checkpoint signed by the sequencer")]
    Untrusted,
    #[error("the signature does not fit the note")]
    Note,
    #[error(transparent)]
    Client(#[from] client::ClientError),
}

impl Cosigner {
    pub(crate) const fn new(carrier: Arc<Carrier>, notes: watch::Receiver<Option<String>>) -> Self {
        Self { carrier, notes, cosigned: 0 }
    }

    /// Cosigns whenever the log has grown, until the log's follower is gone.
    pub(crate) async fn run(mut self) {
        let mut tick = tokio::time::interval(EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            if self.notes.changed().await.is_err() {
                return;
            }
            if let Err(error) = self.cosign().await {
                tracing::warn!(%error, "the checkpoint is not cosigned yet");
            }
        }
    }

    async fn cosign(&mut self) -> Result<(), CosignError> {
        let newest = self.notes.borrow_and_update().clone().unwrap_or_default();
        let horizon = self.carrier.horizon().await?.clone();
        let size = trusted(&horizon, &newest)?.unverified().size;
        if size == 0 || size <= self.cosigned {
            return Ok(());
        }
        let Some(quorum) = self.carrier.active_quorum().await else { return Ok(()) };
        let text = self.carrier.plane.stored_checkpoint(size).await?;
        let note = trusted(&horizon, &text)?;
        let checkpoint = note.unverified();
        let size = checkpoint.size;
        let name: KeyName = format!("{}/quorum", checkpoint.origin).parse().map_err(|_| CosignError::Note)?;
        let key = NoteKey::new(name, &quorum.view.keys.ed25519).map_err(|_| CosignError::Note)?;
        let done = note.verify(&checkpoint.origin, std::slice::from_ref(&key)).is_ok();
        if size == 0 || size <= self.cosigned || done {
            self.cosigned = self.cosigned.max(size);
            return Ok(());
        }
        let panel = &quorum.ed25519;
        let subject = SigningSubject::Checkpoint { note: text };
        let last = size.saturating_sub(1);
        let gathered = gather(panel, &subject, checkpoint.signed_text(), last, Patience::default()).await;
        self.carrier.denounce(panel.epoch, None, &gathered).await;
        let signature = <[u8; 64]>::try_from(gathered?.signature).map_err(|_| CosignError::Note)?;
        let cosigned = note.with_signature(&key, &signature).map_err(|_| CosignError::Note)?;
        self.carrier.plane.cosign(&cosigned.to_string()).await?;
        self.cosigned = size;
        self.carrier.observed.count(Event::Cosigned);
        Ok(())
    }
}

/// A note of this log that the sequencer has signed.
fn trusted(horizon: &Horizon, text: &str) -> Result<Note, CosignError> {
    let note = Note::parse(text).map_err(|_| CosignError::Untrusted)?;
    note.signed_by_log(horizon.key()).map_err(|_| CosignError::Untrusted)?;
    Ok(note)
}
