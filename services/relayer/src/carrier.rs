mod cargo;
mod quorum;

use crate::{
    appointment::AppointmentError,
    backoff::Backoff,
    chain::{Call, Chain, ChainError, Receipt},
    gas_account::Sent,
    gather::{Early, Gathered, Patience, Unsigned, ask_early, gather_with},
    hold_off::HoldOff,
    horizon::Horizon,
    observability::{Event, Observability},
    origin::OriginError,
    places::{Place, Places},
    quorum::{Quorum, QuorumError},
    reporter::Reporter,
};
use alloy::rpc::types::BlockId;
use cargo::Cargo;
use client::{Ambient, ClientError, ControlPlane};
use domain::{Address, ChainId, Cid, Did, Digest};
use keyfile::Identity;
use messages::{ProposalStatus, SigningSubject};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};
use tokio::{
    sync::{Notify, OnceCell, RwLock, Semaphore},
    time::Instant,
};

/// The first pause before a transaction that was just submitted is looked for, as a part of the chain's interval. Pauses
/// double from there, because a chain that is quick should not be waited for.
const FIRST_LOOK: u32 = 16;

/// Carries proposals, one call of [`Carrier::carry`] each. Holds caches and connections, nothing that matters.
pub(crate) struct Carrier {
    pub plane: ControlPlane,
    pub reporter: Reporter,
    pub chains: BTreeMap<ChainId, Arc<Chain>>,
    pub identity: Identity,
    pub ambient: Ambient,
    pub observed: Arc<Observability>,
    /// Bounds how many are signed and submitted at once.
    pub slots: Semaphore,
    /// Something changed that may let a waiting proposal go on.
    pub changed: Notify,
    /// Something changed that may let a change of an escrow contract go on.
    pub administered: Notify,
    pub quorum: RwLock<Option<Arc<Quorum>>>,
    /// The log is said to hold another quorum.
    pub appointed: Notify,
    /// The operator, whose log it is.
    pub operator: Did,
    /// Who signs its checkpoints.
    pub sequencer: Did,
    /// Known once the log's first entry has been read.
    pub horizon: OnceCell<Arc<Horizon>>,
    pub tenants: RwLock<BTreeMap<(ChainId, Address), Tenant>>,
    pub hold_off: HoldOff,
    pub places: Places,
    /// Chains without an endpoint that proposals asked for, each told to the operator once.
    pub unserved: Mutex<BTreeSet<ChainId>>,
}

/// What is needed of a tenant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tenant {
    did: Did,
    confirmations: u64,
}

/// What the log just said of a proposal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heard {
    /// When.
    pub at: Instant,
    /// Whether it said that policy allows it outright.
    pub allowed: bool,
}

/// What to do after one pass.
enum Next {
    /// Nothing is left to do.
    Done,
    /// Look again at once.
    Again,
    /// Look again, less and less often: somebody else's transaction is awaited, who may never let it happen.
    Later,
}

/// Why one pass did not get to the end; the next may.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stumble {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error(transparent)]
    Appointment(#[from] AppointmentError),
    #[error(transparent)]
    Quorum(#[from] QuorumError),
    #[error(transparent)]
    Origin(#[from] OriginError),
    #[error("{0}")]
    Unsigned(String),
    #[error("the log has no quorum")]
    NoQuorum,
    #[error("no tenant has this escrow contract")]
    NoTenant,
    #[error("the transaction vanished")]
    Lost,
}

impl Carrier {
    /// Carries one proposal until nothing is left to do: executed deep enough, or never to be executed.
    pub(crate) async fn carry(&self, id: Cid, min_seq: u64, mut heard: Option<Heard>) {
        let mut backoff = Backoff::new(self.ambient.clone());
        // Kept from the first pass that learns the contract until the end.
        let mut place = None;
        loop {
            match self.pass(id, min_seq, heard.take(), &mut place).await {
                Ok(Next::Done) => return,
                Ok(Next::Again) => backoff.reset(),
                Ok(Next::Later) => {}
                Err(Stumble::Client(ClientError::Problem(p))) if p.status == 404 => return,
                Err(stumble) => {
                    self.observed.count(Event::Retried);
                    tracing::info!(proposal = %id, %stumble, "not carried yet");
                }
            }
            let changed = self.changed.notified();
            tokio::select! {
                () = backoff.wait() => {}
                () = changed => {}
            }
        }
    }

    async fn pass(
        &self,
        id: Cid,
        min_seq: u64,
        heard: Option<Heard>,
        place: &mut Option<Place>,
    ) -> Result<Next, Stumble> {
        use ProposalStatus as Is;
        let early = self.early_commitments(id, min_seq, heard).await;
        let view = self.plane.proposal(&id).await?;
        let open = matches!(view.status, Is::Approved | Is::Submitted | Is::Included | Is::Cancelled);
        let Some(authorisation) = view.authorisation.clone().filter(|_| open) else { return Ok(Next::Done) };
        if authorisation.intent != *id.digest() {
            tracing::error!(proposal = %id, "the control plane shows another intent under this id");
            return Ok(Next::Done);
        }
        let domain = authorisation.domain;
        let Some(chain) = self.chains.get(&domain.chain) else {
            self.note_unserved(domain.chain);
            return Ok(Next::Done);
        };
        if place.is_none() {
            *place = self.places.take(domain.chain, domain.contract);
        }
        if place.is_none() {
            tracing::debug!(proposal = %id, "too many of this escrow contract at once; a later sweep finds it");
            return Ok(Next::Done);
        }
        let tenant = self.tenant(domain.chain, domain.contract).await?;
        let cargo = Cargo { id, view, authorisation, tenant, chain };
        let may_sign = self.may_sign(&cargo);
        if may_sign && cargo.view.execution.is_none() {
            // Nothing says that it was ever sent: asking the chain and the signers at the same time saves a round trip.
            let slot = self.slots.acquire().await;
            let executed = cargo.executed();
            let (executed, gathered) = tokio::join!(executed, self.sign(&cargo, min_seq, heard, early));
            if executed? {
                drop(slot);
                return self.finish(&cargo).await;
            }
            // What was proposed just now cannot have been sent before; asking would cost every proposal a look at the
            // pending block.
            let is_new = heard.is_some_and(|h| h.allowed);
            let earlier = if is_new { None } else { self.earlier(&cargo).await? };
            let Some(sent) = earlier else {
                return self.deliver(&cargo, gathered?, slot).await;
            };
            drop(slot);
            return self.see_through(&cargo, sent).await;
        }
        if cargo.executed().await? {
            return self.finish(&cargo).await;
        }
        if let Some(sent) = self.earlier(&cargo).await? {
            return self.see_through(&cargo, sent).await;
        }
        if let Some(foreign) = cargo.reported()
            && self.outlasts(&cargo, foreign).await?
        {
            return self.finish(&cargo).await;
        }
        if !may_sign {
            return Ok(Next::Done);
        }
        let slot = self.slots.acquire().await;
        let gathered = self.sign(&cargo, min_seq, heard, early).await?;
        self.deliver(&cargo, gathered, slot).await
    }

    /// Another relayer may serve the chain; this one cannot before it is configured and started again.
    pub(crate) fn note_unserved(&self, chain: ChainId) {
        if self.unserved.lock().unwrap_or_else(PoisonError::into_inner).insert(chain) {
            tracing::warn!(%chain, "no RPC endpoint; its proposals are left to other relayers");
        }
    }

    fn may_sign(&self, cargo: &Cargo<'_>) -> bool {
        self.is_live(cargo) && !self.hold_off.holds(&cargo.id, Instant::now())
    }

    /// Whether it could still be executed.
    fn is_live(&self, cargo: &Cargo<'_>) -> bool {
        cargo.view.status != ProposalStatus::Cancelled && self.ambient.now() < cargo.authorisation.valid_until
    }

    /// What this wallet has pending for the intent already, sent by an earlier life of this process.
    async fn earlier(&self, cargo: &Cargo<'_>) -> Result<Option<Sent>, Stumble> {
        let (account, provider) = (&cargo.chain.account, &cargo.chain.provider);
        let mut pending = account.pending(provider, cargo.authorisation.domain).await?;
        Ok(pending.remove(&cargo.authorisation.intent))
    }

    /// Waits while somebody's transaction is pending; `true` when it has executed the intent, `false` when it has not,
    /// is gone or stays too long. Whoever may report names any transaction at all, so that only what the chain says of
    /// it counts, and one that does not pay out this very intent is not waited for.
    async fn outlasts(&self, cargo: &Cargo<'_>, transaction: Digest) -> Result<bool, Stumble> {
        let since = Instant::now();
        while let Some(call) = cargo.chain.call_of(&transaction).await? {
            if let Some(receipt) = cargo.chain.receipt(&transaction).await? {
                return Ok(receipt.success && cargo.executed().await?);
            }
            if !cargo.is_paid_by(&call) {
                return Ok(false);
            }
            if since.elapsed() > cargo.chain.config.stuck_after() {
                return Ok(false);
            }
            tokio::time::sleep(cargo.chain.config.poll()).await;
        }
        Ok(false)
    }

    /// Asks for commitments while the proposal is still being read, when the log's word is that policy allowed it.
    async fn early_commitments(&self, id: Cid, min_seq: u64, heard: Option<Heard>) -> Option<Early> {
        heard.filter(|h| h.allowed)?;
        let quorum = self.quorum.read().await.clone()?;
        let subject = SigningSubject::Intent { proposal: id };
        Some(ask_early(&quorum.secp256k1, &subject, min_seq, Patience::default().request))
    }

    async fn sign(
        &self,
        cargo: &Cargo<'_>,
        min_seq: u64,
        heard: Option<Heard>,
        early: Option<Early>,
    ) -> Result<Vec<u8>, Stumble> {
        let quorum = self.quorum(cargo.authorisation.epoch).await?;
        let subject = SigningSubject::Intent { proposal: cargo.id };
        let message = escrow::payout_digest(&cargo.authorisation);
        let last = cargo.view.audit_trail.iter().map(|r| r.seq).max().unwrap_or(0);
        let min_seq = min_seq.max(cargo.view.seq).max(last);
        let panel = &quorum.secp256k1;
        let gathered = gather_with(panel, &subject, message.to_vec(), min_seq, Patience::default(), early).await;
        self.denounce(panel.epoch, Some(cargo.id), &gathered).await;
        let Gathered { signature, .. } = gathered.map_err(|unsigned| {
            self.observed.count(Event::NotSigned);
            Stumble::Unsigned(format!(
                "{unsigned}; refusals {:?}; differing {:?}",
                unsigned.refusals, unsigned.differing
            ))
        })?;
        self.observed.count(Event::Signed);
        if let Some(heard) = heard {
            self.observed.signature_seconds.observe(heard.at.elapsed().as_secs_f64());
        }
        Ok(signature)
    }

    /// Hands in the proof that signers sent something wrong.
    pub(crate) async fn denounce(&self, epoch: u64, proposal: Option<Cid>, outcome: &Result<Gathered, Unsigned>) {
        let culprits = match outcome {
            Ok(gathered) => &gathered.culprits,
            Err(unsigned) => &unsigned.culprits,
        };
        for culprit in culprits {
            self.observed.count(Event::Culprit);
            self.reporter.evidence(epoch, proposal, culprit).await;
        }
    }

    /// Simulates, submits and sees the transaction through. The slot is given back once it is out.
    async fn deliver<S>(&self, cargo: &Cargo<'_>, signature: Vec<u8>, slot: S) -> Result<Next, Stumble> {
        let call = cargo.call(&signature)?;
        let gas = match cargo.chain.simulate(&call).await {
            Ok(gas) => gas,
            // Another relayer was faster; its transaction is pending or included.
            Err(ChainError::AlreadyExecuted) => {
                drop(slot);
                tokio::time::sleep(cargo.chain.config.poll()).await;
                return Ok(Next::Later);
            }
            Err(error) => {
                if matches!(error, ChainError::TooDear { .. }) {
                    self.hold_off.failed(cargo.id, Instant::now());
                }
                return Err(error.into());
            }
        };
        let sent = cargo.chain.submit(&call, gas).await?;
        drop(slot);
        self.observed.count(Event::Submitted);
        let Some(transaction) = sent.hashes.last().copied() else { return Err(Stumble::Lost) };
        tracing::info!(proposal = %cargo.id, transaction = %transaction, "submitted");
        // The chain does not wait for the log; included is said after submitted all the same.
        let report = self.reporter.submitted(cargo.tenant.did, cargo.id, transaction, &signature);
        let (settled, ()) = tokio::join!(self.settle(cargo, sent, Some((call, gas))), report);
        self.conclude(cargo, settled?).await
    }

    /// Follows what an earlier life sent.
    async fn see_through(&self, cargo: &Cargo<'_>, sent: Sent) -> Result<Next, Stumble> {
        let receipt = self.settle(cargo, sent, None).await?;
        self.conclude(cargo, receipt).await
    }

    /// The call of a transaction whose signature went with an earlier life; `None` when it may not be signed any more.
    async fn call_again(&self, cargo: &Cargo<'_>) -> Result<Option<(Call, u64)>, Stumble> {
        if !self.is_live(cargo) {
            return Ok(None);
        }
        let signature = self.sign(cargo, 0, None, None).await?;
        let call = cargo.call(&signature)?;
        let gas = cargo.chain.gas(&call, BlockId::latest()).await?;
        Ok(Some((call, gas)))
    }

    /// Waits until a block has the transaction or one of its replacements, replacing it when it is stuck.
    async fn settle(
        &self,
        cargo: &Cargo<'_>,
        mut sent: Sent,
        mut call: Option<(Call, u64)>,
    ) -> Result<Receipt, Stumble> {
        let chain = cargo.chain;
        let mut since = Instant::now();
        let mut backoff = Backoff::new(self.ambient.clone());
        let mut pause = chain.config.poll().checked_div(FIRST_LOOK).unwrap_or_default();
        loop {
            match chain.any_receipt(&sent.hashes).await {
                Ok(Some(receipt)) => return Ok(receipt),
                Ok(None) => backoff.reset(),
                Err(error) => {
                    tracing::info!(proposal = %cargo.id, %error, "cannot look for the transaction");
                    backoff.wait().await;
                    continue;
                }
            }
            if since.elapsed() > chain.config.stuck_after() {
                since = Instant::now();
                // Its nonce went to another transaction, so that none of these can be included any more.
                let used = chain.account.used(&chain.provider).await?;
                if used > sent.nonce {
                    return chain.any_receipt(&sent.hashes).await?.ok_or(Stumble::Lost);
                }
                // It can only fail now; its nonce must be used all the same, and what it would have cost is saved.
                if !self.is_live(cargo) {
                    chain.cancel(&sent).await?;
                    chain.fill_below(&sent).await?;
                    return Err(Stumble::Lost);
                }
                if call.is_none() {
                    call = self.call_again(cargo).await?;
                }
                let Some((call, gas)) = &call else { return Err(Stumble::Lost) };
                let replaced = chain.replace(call, *gas, &sent).await;
                let filled = chain.fill_below(&sent).await?;
                if filled > 0 {
                    tracing::warn!(proposal = %cargo.id, filled, "the node had forgotten earlier transactions");
                }
                if let Some(replaced) = replaced? {
                    self.observed.count(Event::Replaced);
                    sent = replaced;
                }
            }
            tokio::time::sleep(pause).await;
            pause = pause.saturating_mul(2).min(chain.config.poll());
        }
    }

    async fn conclude(&self, cargo: &Cargo<'_>, receipt: Receipt) -> Result<Next, Stumble> {
        if receipt.success {
            return self.confirm(cargo, receipt).await;
        }
        self.observed.count(Event::Reverted);
        if cargo.executed().await? {
            return self.finish(cargo).await;
        }
        self.hold_off.failed(cargo.id, Instant::now());
        self.reporter.reverted(cargo.tenant.did, cargo.id, receipt, "reverted in its block").await;
        Err(Stumble::Chain(ChainError::Reverted("reverted in its block".to_owned())))
    }

    /// The chain says that it is executed, by whomever.
    async fn finish(&self, cargo: &Cargo<'_>) -> Result<Next, Stumble> {
        let authorisation = &cargo.authorisation;
        match cargo.chain.execution(authorisation.domain.contract, &authorisation.intent).await? {
            Some(receipt) => self.confirm(cargo, receipt).await,
            // Longer ago than is looked for: signers attest it from their own endpoints.
            None => Ok(Next::Done),
        }
    }

    /// Reports the inclusion and waits until it lies as deep as the tenant asks; a reorganisation starts over.
    async fn confirm(&self, cargo: &Cargo<'_>, receipt: Receipt) -> Result<Next, Stumble> {
        if !cargo.says_included(&receipt) {
            self.observed.count(Event::Included);
            self.reporter.included(cargo.tenant.did, cargo.id, receipt).await;
        }
        let chain = cargo.chain;
        while chain.height().await?.saturating_sub(receipt.block) < cargo.tenant.confirmations {
            tokio::time::sleep(chain.config.poll()).await;
        }
        let still = chain.receipt(&receipt.transaction).await?;
        if still != Some(receipt) {
            return Ok(Next::Again);
        }
        self.hold_off.forget(&cargo.id);
        Ok(Next::Done)
    }

    async fn tenant(&self, chain: ChainId, contract: Address) -> Result<Tenant, Stumble> {
        if let Some(tenant) = self.tenants.read().await.get(&(chain, contract)) {
            return Ok(*tenant);
        }
        let listed = self.plane.tenants().await?.into_iter();
        let fresh = listed
            .map(|t| ((t.escrow.chain, t.escrow.contract), Tenant { did: t.tenant, confirmations: t.confirmations }));
        let fresh: BTreeMap<_, _> = fresh.collect();
        let found = fresh.get(&(chain, contract)).copied().ok_or(Stumble::NoTenant);
        *self.tenants.write().await = fresh;
        found
    }
}
