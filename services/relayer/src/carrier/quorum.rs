//! Which signers are asked: those whom the operator has appointed last, as far as the log's key has signed for it.

use super::{Carrier, Stumble};
use crate::{
    appointment::appointed,
    backoff::Backoff,
    horizon::Horizon,
    origin::{OriginError, log_key},
    quorum::Quorum,
};
use std::sync::Arc;

impl Carrier {
    /// The quorum of one epoch. An epoch is set once, so that what is known of it stays true.
    pub(crate) async fn quorum(&self, epoch: u64) -> Result<Arc<Quorum>, Stumble> {
        let known = self.quorum.read().await.clone().filter(|q| q.view.epoch == epoch);
        if let Some(known) = known {
            return Ok(known);
        }
        self.refresh_quorum().await?.filter(|q| q.view.epoch == epoch).ok_or(Stumble::NoQuorum)
    }

    /// The active quorum, as far as it can be had now.
    pub(crate) async fn active_quorum(&self) -> Option<Arc<Quorum>> {
        if let Some(known) = self.quorum.read().await.clone() {
            return Some(known);
        }
        match self.refresh_quorum().await {
            Ok(quorum) => quorum,
            Err(error) => {
                tracing::warn!(%error, "no quorum");
                None
            }
        }
    }

    /// Reads whom the operator has appointed and connects to them. What is known is given up for a later epoch only:
    /// neither a statement that the ledger did not take nor an earlier quorum, shown again, takes its place.
    async fn refresh_quorum(&self) -> Result<Option<Arc<Quorum>>, Stumble> {
        let horizon = self.horizon().await?;
        let found = appointed(&self.plane, horizon, self.operator, self.sequencer).await?;
        let mut current = self.quorum.write().await;
        if let Some(found) = found
            && current.as_ref().is_none_or(|known| known.view.epoch < found.quorum.epoch)
        {
            let epoch = found.quorum.epoch;
            let opened = Quorum::open(found.quorum, &self.identity, &self.ambient, horizon)?;
            // First, so that nobody is asked who is not told.
            horizon.appoint(epoch, found.covered_by);
            tracing::info!(epoch, "the operator's quorum is known");
            *current = Some(Arc::new(opened));
        }
        Ok(current.clone())
    }

    /// Looks again whenever the log is said to hold another quorum, until it has been read; for ever. What is known is used
    /// meanwhile, so that an entry that turns out to be nothing costs a look.
    pub(crate) async fn keep_quorum(&self) {
        let mut backoff = Backoff::new(self.ambient.clone());
        loop {
            self.appointed.notified().await;
            while let Err(error) = self.refresh_quorum().await {
                tracing::warn!(%error, "the quorum that the log names cannot be read");
                backoff.wait().await;
            }
            backoff.reset();
            self.changed.notify_waiters();
            self.administered.notify_one();
        }
    }

    /// How far the log is known to go. No quorum is asked for anything before its name is known.
    pub(crate) async fn horizon(&self) -> Result<&Arc<Horizon>, OriginError> {
        let find = || async {
            let key = log_key(&self.plane, self.operator, self.sequencer).await?;
            tracing::info!(origin = %key.name(), "the log's checkpoints are known by this name");
            Ok(Arc::new(Horizon::new(key)))
        };
        self.horizon.get_or_try_init(find).await
    }
}
