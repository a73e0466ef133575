//! Asks signers what they see of the log, whether or not there is anything to sign. Who is asked for a signature and
//! answers late, because entries are kept from it, has been heard before.

use crate::{carrier::Carrier, gather::Panel};
use futures_util::future::join_all;
use messages::{NodeStatus, paths};
use std::{sync::Arc, time::Duration};
use threshold::Ciphersuite;
use tokio::time::MissedTickBehavior;

/// As often as an honest control plane signs checkpoints.
const EVERY: Duration = Duration::from_secs(1);

impl<C: Ciphersuite> Panel<C> {
    /// Asks every signer once what it sees of the log, and remembers it. Who does not answer within `timeout` is asked
    /// another time.
    pub async fn survey(&self, timeout: Duration) {
        let Some(horizon) = &self.horizon else { return };
        let asked = self.signers.values().map(|signer| async move {
            match signer.ask::<(), NodeStatus>(paths::NODE_STATUS, &(), timeout).await {
                Ok(exchange) => drop(horizon.hear_from(&signer.node(), &exchange.reply.checkpoints)),
                Err(error) => tracing::debug!(node = %signer.node(), %error, "a signer does not say what it sees"),
            }
        });
        join_all(asked).await;
    }
}

/// Asks the active quorum, for ever.
pub(crate) async fn run(carrier: Arc<Carrier>) {
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let quorum = carrier.quorum.read().await.clone();
        if let Some(quorum) = quorum {
            quorum.secp256k1.survey(EVERY).await;
        }
    }
}
