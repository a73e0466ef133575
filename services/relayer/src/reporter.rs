use crate::{backoff::Backoff, chain::Receipt, gather::Culprit};
use client::{ClientError, ControlPlane, SpeakError, Speaker};
use domain::{Cid, Did, Digest};
use messages::{Hex, ProblemType};
use serde::Serialize;

/// An outage longer than this is bridged by the next look at the log, not by one report.
const ATTEMPTS: u32 = 8;

/// Says in the log what the relayer did and saw. None of it moves a budget.
#[derive(Clone, Debug)]
pub(crate) struct Reporter {
    plane: ControlPlane,
    speaker: Speaker,
    operator: Did,
}

#[derive(Serialize)]
struct Submitted {
    proposal: Cid,
    transaction: Digest,
    signature: String,
}

#[derive(Serialize)]
struct Included {
    proposal: Cid,
    transaction: Digest,
    block: u64,
}

#[derive(Serialize)]
struct Reverted {
    proposal: Cid,
    transaction: Digest,
    block: u64,
    reason: String,
}

#[derive(Serialize)]
struct Evidence {
    culprit: u16,
    epoch: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    proposal: Option<Cid>,
    reason: String,
    message: String,
}

impl Reporter {
    pub(crate) const fn new(plane: ControlPlane, speaker: Speaker, operator: Did) -> Self {
        Self { plane, speaker, operator }
    }

    /// The transaction went out with this signature.
    pub(crate) async fn submitted(&self, tenant: Did, proposal: Cid, transaction: Digest, signature: &[u8]) {
        let signature = Hex(signature.to_vec()).to_text();
        self.say("/execution/submitted", tenant, &Submitted { proposal, transaction, signature }).await;
    }

    /// A block has it.
    pub(crate) async fn included(&self, tenant: Did, proposal: Cid, receipt: Receipt) {
        let Receipt { transaction, block, .. } = receipt;
        self.say("/execution/included", tenant, &Included { proposal, transaction, block }).await;
    }

    /// A block has it, and it failed.
    pub(crate) async fn reverted(&self, tenant: Did, proposal: Cid, receipt: Receipt, reason: &str) {
        let Receipt { transaction, block, .. } = receipt;
        let printable: String = reason.chars().filter(|c| !c.is_control()).take(100).collect();
        let reason = match printable.trim() {
            "" => "unknown".to_owned(),
            text => text.to_owned(),
        };
        self.say("/execution/reverted", tenant, &Reverted { proposal, transaction, block, reason }).await;
    }

    /// A signer signed something that is wrong.
    pub(crate) async fn evidence(&self, epoch: u64, proposal: Option<Cid>, proven: &Culprit) {
        let (culprit, reason) = (proven.participant.get(), proven.reason.to_owned());
        tracing::warn!(culprit, epoch, node = %proven.envelope.from, reason, "a signer is proven wrong");
        let Ok(message) = serde_json::to_string(&proven.envelope) else { return };
        self.say("/signer/evidence", self.operator, &Evidence { culprit, epoch, proposal, reason, message }).await;
    }

    /// Says it once, however often it has to be sent. What is known already was said by another relayer.
    async fn say<A: Serialize + Sync>(&self, command: &str, subject: Did, args: &A) {
        let statement = match self.speaker.say(command, subject, args) {
            Ok(statement) => statement,
            Err(error @ SpeakError::NoDelegation(_)) => return tracing::debug!(%error, "not reported"),
            Err(error) => return tracing::error!(%error, command, "cannot report"),
        };
        let mut backoff = Backoff::new(self.speaker.ambient().clone());
        for _ in 0..ATTEMPTS {
            match self.plane.submit_statement(&statement.container).await {
                Ok(_) => return,
                Err(ClientError::Problem(p)) if p.kind == ProblemType::Conflict => {
                    return tracing::debug!(command, problem = %p, "the log knows better");
                }
                Err(error) if error.is_retryable() => backoff.wait().await,
                Err(error) => return tracing::warn!(command, %error, "the log does not take the report"),
            }
        }
        tracing::warn!(command, "gave up reporting");
    }
}
