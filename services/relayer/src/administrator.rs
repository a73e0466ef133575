use crate::{
    backoff::Backoff,
    carrier::{Carrier, Stumble},
    chain::{Call, Chain, ChainError, Receipt},
    gas_account::Sent,
    gather::{Gathered, Patience, gather},
    hold_off::{self, HoldOff},
    observability::Event,
};
use domain::{Address, AdministrationAuthorisation, ChainId, ContractMeasure, Digest};
use messages::{AdministrationView, SigningSubject};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{task::JoinSet, time::Instant};

/// A look at what is open, in case a wake-up was missed, a signer was away or a reorganisation took an execution back.
const ROUND: Duration = Duration::from_secs(15);
/// Gas of a thaw or a new cap: the transaction, the signature's check and two slots, twice over.
const ADMINISTRATION_GAS: u64 = 200_000;

/// Carries approved changes of escrow contracts, beside the payouts and without taking their places.
///
/// Nothing is reported, and nothing remembered but what failed: a change is done when the contract's nonce is past its own, which anybody can
/// read. The contract takes a nonce once, so that two relayers, or two lives of one, can do no harm but burn gas.
#[derive(Clone)]
pub(crate) struct Administrator {
    carrier: Arc<Carrier>,
    busy: Arc<Mutex<BTreeSet<Contract>>>,
    hold_off: Arc<HoldOff<Digest>>,
}

type Contract = (ChainId, Address);

/// A contract that is being worked on; free again when dropped.
struct Work {
    busy: Arc<Mutex<BTreeSet<Contract>>>,
    contract: Contract,
}

impl Drop for Work {
    fn drop(&mut self) {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.contract);
    }
}

/// One approved change and where it goes.
struct Errand<'a> {
    view: &'a AdministrationView,
    authorisation: AdministrationAuthorisation,
    chain: &'a Chain,
}

impl Administrator {
    pub(crate) fn new(carrier: Arc<Carrier>) -> Self {
        Self { carrier, busy: Arc::default(), hold_off: Arc::new(HoldOff::new(hold_off::ADMINISTRATIONS)) }
    }

    /// Carries whatever is approved, until it is dropped.
    pub(crate) async fn run(self) {
        let mut jobs = JoinSet::new();
        loop {
            if let Err(error) = self.round(&mut jobs).await {
                tracing::info!(%error, "cannot look for changes of escrow contracts");
            }
            while let Some(done) = jobs.try_join_next() {
                if done.is_err() {
                    tracing::error!("carrying a change of an escrow contract failed");
                }
            }
            tokio::select! {
                () = tokio::time::sleep(ROUND) => {}
                () = self.carrier.administered.notified() => self.hold_off.relent(Instant::now()),
            }
        }
    }

    /// Starts on every contract that has something approved and is not being worked on. One contract's trouble holds
    /// up no other's.
    async fn round(&self, jobs: &mut JoinSet<()>) -> Result<(), Stumble> {
        let mut contracts: BTreeMap<Contract, Vec<AdministrationView>> = BTreeMap::new();
        for view in self.carrier.plane.administrations().await? {
            if view.authorisation.is_some() {
                contracts.entry((view.escrow.chain, view.escrow.contract)).or_default().push(view);
            }
        }
        for (contract, views) in contracts {
            if let Some(work) = self.begin(contract) {
                let this = self.clone();
                jobs.spawn(async move { this.work_off(views, work).await });
            }
        }
        Ok(())
    }

    fn begin(&self, contract: Contract) -> Option<Work> {
        let is_new = self.busy.lock().unwrap_or_else(PoisonError::into_inner).insert(contract);
        is_new.then(|| Work { busy: self.busy.clone(), contract })
    }

    /// A contract takes its nonces in order, so the first that does not go on holds up the later ones.
    async fn work_off(&self, mut views: Vec<AdministrationView>, work: Work) {
        views.sort_by_key(|v| v.nonce);
        for view in &views {
            if let Err(stumble) = self.carry(view).await {
                self.carrier.observed.count(Event::Retried);
                tracing::info!(administration = %view.id, %stumble, "not carried yet");
                break;
            }
        }
        drop(work);
    }

    /// One change, if its turn has come.
    async fn carry(&self, view: &AdministrationView) -> Result<(), Stumble> {
        let Some(authorisation) = view.authorisation else { return Ok(()) };
        let Some(chain) = self.carrier.chains.get(&authorisation.domain.chain) else {
            self.carrier.note_unserved(authorisation.domain.chain);
            return Ok(());
        };
        let errand = Errand { view, authorisation, chain };
        if !self.is_live(&errand) || !errand.is_due().await? {
            return Ok(());
        }
        let receipt = match errand.earlier().await? {
            // Never held off: payouts wait behind what was sent.
            Some((sent, call)) => self.see_through(&errand, sent, &call, None).await?,
            None if self.hold_off.holds(&view.id, Instant::now()) => return Ok(()),
            None => self.deliver(&errand).await?,
        };
        if !receipt.success {
            self.hold_off.failed(view.id, Instant::now());
            self.carrier.observed.count(Event::Reverted);
            return Err(ChainError::Reverted("reverted in its block".to_owned()).into());
        }
        self.hold_off.forget(&view.id);
        self.carrier.observed.count(Event::Administered);
        tracing::info!(administration = %view.id, transaction = %receipt.transaction, "the escrow contract is changed");
        // A thaw or a higher cap may be what payouts wait for.
        self.carrier.changed.notify_waiters();
        Ok(())
    }

    fn is_live(&self, errand: &Errand<'_>) -> bool {
        self.carrier.ambient.now() < errand.authorisation.valid_until
    }

    /// Sends it and waits for the block.
    async fn deliver(&self, errand: &Errand<'_>) -> Result<Receipt, Stumble> {
        let sending = self.send(errand).await;
        let (sent, call, gas) = sending.inspect_err(|_| self.hold_off.failed(errand.view.id, Instant::now()))?;
        self.carrier.observed.count(Event::Submitted);
        self.see_through(errand, sent, &call, Some(gas)).await
    }

    /// Gathers the signature, simulates and submits.
    async fn send(&self, errand: &Errand<'_>) -> Result<(Sent, Call, u64), Stumble> {
        let call = errand.call(&self.sign(errand).await?)?;
        let gas = errand.chain.simulate(&call).await?;
        let sent = errand.chain.submit(&call, gas).await?;
        Ok((sent, call, gas))
    }

    async fn sign(&self, errand: &Errand<'_>) -> Result<Vec<u8>, Stumble> {
        let quorum = self.carrier.quorum(errand.authorisation.epoch).await?;
        let panel = &quorum.secp256k1;
        let subject = SigningSubject::Administration { administration: errand.view.id };
        let message = escrow::administration_digest(&errand.authorisation);
        let gathered = gather(panel, &subject, message.to_vec(), errand.view.updated, Patience::default()).await;
        self.carrier.denounce(panel.epoch, None, &gathered).await;
        let Gathered { signature, .. } = gathered.map_err(|unsigned| {
            self.carrier.observed.count(Event::NotSigned);
            Stumble::Unsigned(format!("{unsigned}; refusals {:?}", unsigned.refusals))
        })?;
        panel.group.verify(&message, &signature).map_err(|e| Stumble::Unsigned(e.to_string()))?;
        self.carrier.observed.count(Event::Signed);
        Ok(signature)
    }

    /// Waits until a block has the transaction. One that is stuck is replaced, or taken back when its time is over:
    /// payouts wait behind its nonce.
    async fn see_through(
        &self,
        errand: &Errand<'_>,
        mut sent: Sent,
        call: &Call,
        gas: Option<u64>,
    ) -> Result<Receipt, Stumble> {
        let chain = errand.chain;
        let mut since = Instant::now();
        let mut backoff = Backoff::new(self.carrier.ambient.clone());
        loop {
            match chain.any_receipt(&sent.hashes).await {
                Ok(Some(receipt)) => return Ok(receipt),
                Ok(None) => backoff.reset(),
                Err(error) => {
                    tracing::info!(administration = %errand.view.id, %error, "cannot look for the transaction");
                    backoff.wait().await;
                    continue;
                }
            }
            if since.elapsed() > chain.config.stuck_after() {
                since = Instant::now();
                if chain.account.used(&chain.provider).await? > sent.nonce {
                    return chain.any_receipt(&sent.hashes).await?.ok_or(Stumble::Lost);
                }
                if !self.is_live(errand) {
                    chain.cancel(&sent).await?;
                    chain.fill_below(&sent).await?;
                    return Err(Stumble::Lost);
                }
                let replaced = chain.replace(call, gas.unwrap_or(ADMINISTRATION_GAS), &sent).await;
                chain.fill_below(&sent).await?;
                if let Some(replaced) = replaced? {
                    self.carrier.observed.count(Event::Replaced);
                    sent = replaced;
                }
            }
            tokio::time::sleep(chain.config.poll()).await;
        }
    }
}

impl Errand<'_> {
    /// Whether the contract's next change is this one, and would do something.
    async fn is_due(&self) -> Result<bool, ChainError> {
        let contract = self.authorisation.domain.contract;
        if self.chain.nonce(contract).await? != self.authorisation.nonce {
            return Ok(false);
        }
        match self.authorisation.measure {
            ContractMeasure::Thaw { .. } => self.chain.frozen(contract).await,
            ContractMeasure::SetCap { .. } => Ok(true),
        }
    }

    /// What this wallet has pending for it already, sent by an earlier life of this process.
    async fn earlier(&self) -> Result<Option<(Sent, Call)>, ChainError> {
        let domain = self.authorisation.domain;
        let pending = self.chain.account.pending_calls(&self.chain.provider, domain.contract).await?;
        let same = |data: &[u8]| {
            escrow::decode_administration_calldata(domain, data).is_ok_and(|(a, _)| a == self.authorisation)
        };
        let found = pending.into_iter().find(|(data, _)| same(data));
        Ok(found.map(|(data, sent)| (sent, self.call_with(data))))
    }

    fn call(&self, signature: &[u8]) -> Result<Call, Stumble> {
        let malformed = || Stumble::Unsigned("not a signature that the contract takes".to_owned());
        let bytes = <[u8; 65]>::try_from(signature).map_err(|_| malformed())?;
        let layout = escrow::Signature::from_frost(&bytes).map_err(|_| malformed())?;
        Ok(self.call_with(escrow::administration_calldata(&self.authorisation, &layout)))
    }

    const fn call_with(&self, data: Vec<u8>) -> Call {
        Call { contract: self.authorisation.domain.contract, data, ceiling: ADMINISTRATION_GAS }
    }
}
