use crate::{
    backoff::Backoff,
    carrier::{Carrier, Heard},
    observability::Observability,
};
use client::{ClientError, ControlPlane, FollowEvent, ProposalQuery};
use domain::{Cid, Did, Time};
use futures_util::{FutureExt, StreamExt};
use messages::{LogEntryView, MAX_PAGE, ProposalStatus};
use std::{
    collections::{BTreeMap, VecDeque},
    panic::AssertUnwindSafe,
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, MissedTickBehavior},
};
use ucan::Ipld;

/// A look at everything that is open, in case a wake-up was missed.
const SWEEP: Duration = Duration::from_mins(1);
/// Proposals carried at once, most of them waiting for blocks; the others wait in the log.
const MAX_CARRIED: usize = 4096;
/// A cancelled proposal may still execute if it was signed before; intents live for less than this.
const CANCELLED_FOR: u64 = 86_400;

/// Follows the log and starts what is to be carried.
pub(crate) struct Dispatcher {
    plane: ControlPlane,
    carrier: Arc<Carrier>,
    observed: Arc<Observability>,
    own: Did,
    notes: watch::Sender<Option<String>>,
    /// What is being carried, and the entry that concerned it meanwhile.
    carried: BTreeMap<Cid, Option<u64>>,
    jobs: JoinSet<Cid>,
    waiting: VecDeque<(Cid, u64)>,
}

/// What an entry is about.
#[derive(Debug, PartialEq, Eq)]
enum Concern {
    Proposal(Cid),
    Quorum,
    /// A change of an escrow contract.
    Administration,
    /// Something that may let waiting proposals go on.
    Circumstances,
    Nothing,
}

impl Dispatcher {
    pub(crate) fn new(
        carrier: Arc<Carrier>,
        observed: Arc<Observability>,
        notes: watch::Sender<Option<String>>,
    ) -> Self {
        Self {
            plane: carrier.plane.clone(),
            own: carrier.identity.did(),
            carrier,
            observed,
            notes,
            carried: BTreeMap::new(),
            jobs: JoinSet::new(),
            waiting: VecDeque::new(),
        }
    }

    /// Follows until it is dropped, through every outage.
    pub(crate) async fn run(mut self) {
        let mut backoff = Backoff::new(self.carrier.ambient.clone());
        loop {
            let outcome = self.follow(&mut backoff).await;
            self.observed.set_following(false);
            match outcome {
                Ok(()) => tracing::info!("the log's stream ended"),
                Err(error) => tracing::warn!(%error, "cannot follow the log"),
            }
            backoff.wait().await;
        }
    }

    async fn follow(&mut self, backoff: &mut Backoff) -> Result<(), ClientError> {
        let head = self.plane.entries(0, 1).await?.head;
        let mut events = self.plane.follow(head.map_or(0, |h| h.saturating_add(1))).await?;
        // The stream is open before the sweep, so that nothing falls between the two.
        self.sweep().await?;
        // Known beforehand, so that the first proposal does not wait for it.
        let _ = self.carrier.active_quorum().await;
        // Another may have been appointed while nobody listened.
        self.carrier.appointed.notify_one();
        self.observed.set_following(true);
        backoff.reset();
        let mut sweep = tokio::time::interval(SWEEP);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        sweep.tick().await;
        loop {
            tokio::select! {
                event = events.next() => match event {
                    None => return Ok(()),
                    Some(Err(error)) => return Err(error),
                    Some(Ok(FollowEvent::Checkpoint(note))) => {
                        match self.carrier.horizon().await {
                            Ok(horizon) => _ = horizon.hear(&note),
                            Err(error) => tracing::warn!(%error, "the log's name is not known"),
                        }
                        self.notes.send_replace(Some(note));
                    }
                    Some(Ok(FollowEvent::Entry(entry))) => self.entry(&entry),
                },
                Some(done) = self.jobs.join_next() => self.done(done.ok()),
                _ = sweep.tick() => self.sweep().await?,
            }
        }
    }

    fn entry(&mut self, entry: &LogEntryView) {
        match concern(entry, &self.own) {
            Concern::Proposal(id) => {
                let heard = Heard { at: Instant::now(), allowed: is_allowed(entry) };
                self.wake(id, entry.seq, Some(heard));
            }
            // Somebody says so. What is known stays in use until another quorum is proven.
            Concern::Quorum => self.carrier.appointed.notify_one(),
            Concern::Administration => self.carrier.administered.notify_one(),
            Concern::Circumstances => {
                self.carrier.changed.notify_waiters();
                self.carrier.administered.notify_one();
            }
            Concern::Nothing => {}
        }
    }

    /// Lists everything that is open and wakes it.
    async fn sweep(&mut self) -> Result<(), ClientError> {
        use ProposalStatus as Is;
        let now: Time = self.carrier.ambient.now();
        for status in [Is::Approved, Is::Submitted, Is::Included, Is::Cancelled] {
            let mut query = ProposalQuery { status: Some(status), limit: Some(MAX_PAGE), ..ProposalQuery::default() };
            loop {
                let page = self.plane.proposals(&query).await?;
                for summary in page.items {
                    if status != Is::Cancelled || now.since(summary.at) < CANCELLED_FOR {
                        self.wake_idle(summary.id, summary.updated);
                    }
                }
                query.cursor = page.next;
                if query.cursor.is_none() || self.waiting.len() >= MAX_CARRIED {
                    break;
                }
            }
        }
        Ok(())
    }

    fn wake_idle(&mut self, id: Cid, seq: u64) {
        if !self.carried.contains_key(&id) {
            self.wake(id, seq, None);
        }
    }

    fn wake(&mut self, id: Cid, seq: u64, heard: Option<Heard>) {
        if let Some(again) = self.carried.get_mut(&id) {
            *again = Some(seq);
        } else if self.carried.len() < MAX_CARRIED {
            self.carried.insert(id, None);
            self.observed.in_flight.inc();
            let carrier = self.carrier.clone();
            self.jobs.spawn(async move { outlive(id, Box::pin(carrier.carry(id, seq, heard))).await });
        } else if self.waiting.len() < MAX_CARRIED {
            // Beyond this the next sweep finds it.
            self.waiting.push_back((id, seq));
        }
    }

    fn done(&mut self, id: Option<Cid>) {
        // Only when the process ends.
        let Some(id) = id else { return };
        self.observed.in_flight.dec();
        if let Some(Some(seq)) = self.carried.remove(&id) {
            self.wake(id, seq, None);
        }
        if let Some((next, seq)) = self.waiting.pop_front() {
            self.wake_idle(next, seq);
        }
    }
}

/// Runs a job and says whose it was even when it panics, so that its place is free again.
async fn outlive(id: Cid, job: impl Future<Output = ()>) -> Cid {
    if AssertUnwindSafe(job).catch_unwind().await.is_err() {
        tracing::error!(proposal = %id, "carrying a proposal failed");
    }
    id
}

/// Whether the outcome beside the statement is a decision that allows it. A hint: signers decide for themselves.
fn is_allowed(entry: &LogEntryView) -> bool {
    let field = |map: &Ipld, name: &str| match map {
        Ipld::Map(fields) => fields.get(name).cloned(),
        _ => None,
    };
    let outcome = log::Entry::decode(&entry.entry.0).ok().map(|e| e.out);
    let effect = outcome.and_then(|o| field(&o, "decision")).and_then(|d| field(&d, "effect"));
    effect == Some(Ipld::String("allow".to_owned()))
}

fn concern(entry: &LogEntryView, own: &Did) -> Concern {
    let statement = entry.tokens.first().and_then(|t| ucan::open_invocation(&t.0).ok());
    let Some(statement) = statement.filter(|s| s.issuer() != *own) else { return Concern::Nothing };
    let command = statement.command().as_str();
    let named = || match statement.args() {
        Ipld::Map(args) => match args.get("proposal") {
            Some(Ipld::String(text)) => text.parse().ok(),
            _ => None,
        },
        _ => None,
    };
    match command {
        "/proposal/payout" => Concern::Proposal(statement.cid()),
        "/quorum/set" => Concern::Quorum,
        "/escrow/administer" => Concern::Administration,
        "/freeze/lift" | "/installation/resume" => Concern::Circumstances,
        // Attestations settle what is executed already; waking for each would only cost.
        "/execution/attest" => Concern::Nothing,
        _ => named().map_or(Concern::Nothing, Concern::Proposal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Digest;
    use ed25519_dalek::SigningKey;
    use messages::Base64;
    use ucan::issue::{NewInvocation, did_of, invoke};

    fn entry(command: &str, proposal: Option<Cid>) -> (LogEntryView, Cid) {
        let key = SigningKey::from_bytes(&[1; 32]);
        let mut new = NewInvocation::new(did_of(&key), command.parse().unwrap(), [1; 12]);
        if let Some(proposal) = proposal {
            new.args.insert("proposal".into(), Ipld::String(proposal.to_string()));
        }
        let token = invoke(&key, new).unwrap();
        let tokens = vec![Base64(token.bytes().to_vec())];
        (LogEntryView { seq: 1, entry: Base64(vec![]), tokens }, token.cid())
    }

    #[tokio::test]
    async fn a_job_that_panics_gives_its_place_back() {
        let id = Cid::of(b"p");
        assert_eq!(outlive(id, async { panic!("a defect") }).await, id);
    }

    #[test]
    fn entries_wake_the_proposals_they_concern() {
        let own = Did::from_key([9; 32]);
        let other = Cid::from_digest(Digest::sha256(b"p"));
        let (proposed, id) = entry("/proposal/payout", None);
        assert_eq!(concern(&proposed, &own), Concern::Proposal(id));
        assert_eq!(concern(&entry("/approval/give", Some(other)).0, &own), Concern::Proposal(other));
        assert_eq!(concern(&entry("/order/open", None).0, &own), Concern::Nothing);
        assert_eq!(concern(&entry("/quorum/set", None).0, &own), Concern::Quorum);
        assert_eq!(concern(&entry("/escrow/administer", None).0, &own), Concern::Administration);
        assert_eq!(concern(&entry("/freeze/lift", None).0, &own), Concern::Circumstances);
        let issuer = did_of(&SigningKey::from_bytes(&[1; 32]));
        assert_eq!(concern(&entry("/execution/submitted", Some(other)).0, &issuer), Concern::Nothing);
    }
}
