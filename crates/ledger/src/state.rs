use crate::{
    Administrations, Change, Changes, Freezes, Outcome, Proposal, Quorum, Refusal, Statement, Status, Tenant,
    authority::Revocations,
    statement::{Act, Context},
};
use domain::{Amount, Cid, Did, Digest, Name, PluginId, Time, Total, Version};
use imbl::{OrdMap, OrdSet};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Everything that decisions depend on and nothing else. Cloning is cheap: the maps are persistent.
#[derive(Clone, Debug, Serialize)]
pub struct State {
    operator: Did,
    at: Time,
    origin: Option<Arc<Origin>>,
    quorum: Option<Arc<Quorum>>,
    /// The entry that set it. Nothing is decided by it, and the state's hash is what it always was.
    #[serde(skip)]
    quorum_seq: Option<u64>,
    publishers: OrdMap<Did, Publisher>,
    plugins: OrdMap<PluginId, Plugin>,
    tenants: OrdMap<Did, Arc<Tenant>>,
    freezes: Freezes,
    revocations: Revocations,
    proposals: OrdMap<Cid, Arc<Proposal>>,
    /// Absent while empty: the state of a log that never had one has the hash that it always had.
    #[serde(skip_serializing_if = "Administrations::is_empty")]
    administrations: Administrations,
    /// Proposals in review by the moment after which they can no longer be approved.
    deadlines: OrdSet<(Time, Cid)>,
    /// Statements that have not expired, by CID, with their place.
    seen: OrdMap<Cid, u64>,
    seen_until: OrdSet<(Time, Cid)>,
}

/// What the first entry says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Origin {
    /// The log's name, as in its checkpoints.
    pub name: Name,
    /// The control plane's DID: audience of every statement, signer of every checkpoint.
    pub sequencer: Did,
    /// The key that passes grants on, for minutes at a time.
    pub issuer: Did,
    /// Seconds by which clocks may differ.
    pub clock_tolerance: u64,
    /// How many distinct operators' admins lift a freeze of the operator's.
    pub lift_admins: u8,
}

/// Who may publish plugins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Publisher {
    /// Its name.
    pub name: Name,
    /// Since when.
    pub since: Time,
}

/// A plugin with its versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Plugin {
    /// Who publishes it: the first publisher of an id owns it.
    pub publisher: Did,
    /// Its versions.
    pub versions: OrdMap<Version, PluginVersion>,
}

/// One manifest of a plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PluginVersion {
    /// What it does, in the publisher's words.
    pub description: domain::Reason,
    /// What it asks for.
    pub capabilities: Vec<String>,
    /// Where its code starts.
    pub entry_point: Name,
    /// SHA-256 of its code.
    pub code: Digest,
    /// The statement that published it.
    pub statement: Cid,
    /// Since when.
    pub since: Time,
}

/// An installation's limits for one asset, in minor units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// The most that one payout may move.
    pub max_per_payout: Amount,
    /// The most that all payouts of one UTC day may move.
    pub daily_total: Amount,
}

impl Limits {
    /// The daily limit as a total.
    pub fn daily(&self) -> Total {
        self.daily_total.into()
    }
}

/// What one statement made of the state.
#[derive(Clone, Debug)]
pub struct Step {
    /// The next state.
    pub state: State,
    /// What the log records.
    pub outcome: Outcome,
    /// What it did to proposals, those that expired at this moment first.
    pub changes: Changes,
}

impl State {
    /// The state of an empty log whose root of authority is `operator`.
    pub fn new(operator: Did) -> Self {
        Self {
            operator,
            at: Time::ZERO,
            origin: None,
            quorum: None,
            quorum_seq: None,
            publishers: OrdMap::new(),
            plugins: OrdMap::new(),
            tenants: OrdMap::new(),
            freezes: Freezes::default(),
            revocations: Revocations::default(),
            proposals: OrdMap::new(),
            administrations: Administrations::default(),
            deadlines: OrdSet::new(),
            seen: OrdMap::new(),
            seen_until: OrdSet::new(),
        }
    }

    /// The one transition: what `statement` does when the log places it at `seq` and `at`.
    ///
    /// Nothing is changed when it refuses. The outcome depends on this state and the arguments alone.
    pub fn step(&self, statement: &Statement, seq: u64, at: Time) -> Result<Step, Refusal> {
        if at < self.at {
            return Err(Refusal::TimeReversed { at, last: self.at });
        }
        match (&self.origin, statement.act()) {
            (None, Act::Genesis(_)) | (Some(_), _) => {}
            (None, _) => return Err(Refusal::conflict("cmd", "the first statement of a log is /log/genesis")),
        }
        // Before anything that costs: whoever has no authority here gets no work done.
        let (subject, authority) = self.authorise(statement, at)?;
        let mut state = self.clone();
        let mut changes = state.advance(at);
        let expires_at = statement.invocation().expiration().unwrap_or(at);
        let (cid, engine, path) = (statement.cid(), statement.engine(), statement.path());
        let cx = Context { cid, seq, at, expires_at, subject, authority: &authority, engine, path };
        let outcome = statement.act().run(&mut state, &cx, &mut changes)?;
        // The tolerance of the new state: the genesis is remembered by its own.
        state.remember(cx.cid, seq, expires_at.plus(state.clock_tolerance()));
        Ok(Step { state, outcome, changes })
    }

    /// SHA-256 over the canonical DAG-CBOR encoding of the whole state.
    pub fn hash(&self) -> Digest {
        // Serialising plain data to memory cannot fail; an empty encoding would compare unequal to every real one.
        Digest::sha256(&serde_ipld_dagcbor::to_vec(self).unwrap_or_default())
    }

    /// Moves time forward: forgets statements and administrations that have expired and gives up reviews whose time has passed.
    fn advance(&mut self, at: Time) -> Changes {
        if self.at.day() < at.day() {
            // Yesterday stays: it is what people ask about in the first hours of a day.
            self.for_each_tenant(|t| t.budgets.forget_before(at.day().saturating_sub(1)));
        }
        self.at = at;
        while let Some((until, cid)) = self.seen_until.get_min().copied().filter(|(until, _)| *until < at) {
            self.seen_until.remove(&(until, cid));
            self.seen.remove(&cid);
        }
        self.administrations.forget_ended(at);
        let mut changes = Changes::new();
        while let Some((until, id)) = self.deadlines.get_min().copied().filter(|(until, _)| *until < at) {
            self.deadlines.remove(&(until, id));
            self.settle(id, Status::Expired, &mut changes);
        }
        changes
    }

    /// Removes an open proposal: commits its reservations when it is final, releases them otherwise.
    pub(crate) fn settle(&mut self, id: Cid, status: Status, changes: &mut Changes) {
        let Some(proposal) = self.proposals.remove(&id) else { return };
        self.deadlines.remove(&(proposal.payout.valid_until, id));
        if let Some(tenant) = self.tenants.get_mut(&proposal.tenant) {
            let budgets = &mut Arc::make_mut(tenant).budgets;
            for reservation in &proposal.reservations {
                let done = match status {
                    Status::Final => budgets.commit(reservation),
                    _ => budgets.release(reservation),
                };
                debug_assert!(done, "a reservation of an open proposal is reserved");
            }
        }
        changes.push(Change::Status(id, status));
    }

    fn remember(&mut self, cid: Cid, seq: u64, until: Time) {
        self.seen.insert(cid, seq);
        self.seen_until.insert((until, cid));
    }

    fn for_each_tenant(&mut self, f: impl Fn(&mut Tenant)) {
        let dids: Vec<Did> = self.tenants.keys().copied().collect();
        for did in dids {
            self.with_tenant(did, &f);
        }
    }

    pub(crate) fn with_tenant<R>(&mut self, did: Did, f: impl FnOnce(&mut Tenant) -> R) -> Option<R> {
        self.tenants.get_mut(&did).map(|t| f(Arc::make_mut(t)))
    }

    pub(crate) fn with_proposal<R>(&mut self, id: Cid, f: impl FnOnce(&mut Proposal) -> R) -> Option<R> {
        self.proposals.get_mut(&id).map(|p| f(Arc::make_mut(p)))
    }

    pub(crate) fn open_proposal(&mut self, id: Cid, proposal: Proposal) {
        if !proposal.is_approved() {
            self.deadlines.insert((proposal.payout.valid_until, id));
        }
        self.proposals.insert(id, Arc::new(proposal));
    }

    pub(crate) fn stop_deadline(&mut self, until: Time, id: Cid) {
        self.deadlines.remove(&(until, id));
    }

    pub(crate) fn set_origin(&mut self, origin: Origin) {
        self.origin = Some(Arc::new(origin));
    }

    pub(crate) fn set_quorum(&mut self, quorum: Quorum, seq: u64) {
        self.quorum = Some(Arc::new(quorum));
        self.quorum_seq = Some(seq);
    }

    pub(crate) fn put_tenant(&mut self, did: Did, tenant: Tenant) {
        self.tenants.insert(did, Arc::new(tenant));
    }

    pub(crate) const fn publishers_mut(&mut self) -> &mut OrdMap<Did, Publisher> {
        &mut self.publishers
    }

    pub(crate) const fn plugins_mut(&mut self) -> &mut OrdMap<PluginId, Plugin> {
        &mut self.plugins
    }

    pub(crate) const fn freezes_mut(&mut self) -> &mut Freezes {
        &mut self.freezes
    }

    pub(crate) const fn administrations_mut(&mut self) -> &mut Administrations {
        &mut self.administrations
    }

    pub(crate) const fn revocations_mut(&mut self) -> &mut Revocations {
        &mut self.revocations
    }

    pub(crate) const fn revocations(&self) -> &Revocations {
        &self.revocations
    }

    pub(crate) fn clock_tolerance(&self) -> u64 {
        self.origin.as_ref().map_or(DEFAULT_CLOCK_TOLERANCE, |o| o.clock_tolerance)
    }

    /// The root of authority.
    pub const fn operator(&self) -> Did {
        self.operator
    }

    /// The moment of the last entry.
    pub const fn at(&self) -> Time {
        self.at
    }

    /// What the first entry says; `None` before it.
    pub fn origin(&self) -> Option<&Origin> {
        self.origin.as_deref()
    }

    /// The active quorum.
    pub fn quorum(&self) -> Option<&Quorum> {
        self.quorum.as_deref()
    }

    /// The place of the entry that set the active quorum.
    pub const fn quorum_seq(&self) -> Option<u64> {
        self.quorum_seq
    }

    /// A tenant by its DID.
    pub fn tenant(&self, did: &Did) -> Option<&Tenant> {
        self.tenants.get(did).map(AsRef::as_ref)
    }

    /// All tenants, by DID.
    pub fn tenants(&self) -> impl Iterator<Item = (&Did, &Tenant)> {
        self.tenants.iter().map(|(did, t)| (did, t.as_ref()))
    }

    /// All publishers, by DID.
    pub const fn publishers(&self) -> &OrdMap<Did, Publisher> {
        &self.publishers
    }

    /// All plugins, by id.
    pub const fn plugins(&self) -> &OrdMap<PluginId, Plugin> {
        &self.plugins
    }

    /// All freezes in force.
    pub const fn freezes(&self) -> &Freezes {
        &self.freezes
    }

    /// Changes of escrow contracts that admins have asked for and that have not expired.
    pub const fn administrations(&self) -> &Administrations {
        &self.administrations
    }

    /// An open proposal: in review or approved.
    pub fn proposal(&self, id: &Cid) -> Option<&Proposal> {
        self.proposals.get(id).map(AsRef::as_ref)
    }

    /// All open proposals, by id.
    pub fn proposals(&self) -> impl Iterator<Item = (&Cid, &Proposal)> {
        self.proposals.iter().map(|(id, p)| (id, p.as_ref()))
    }

    /// Where the log holds a statement that has not expired yet.
    pub fn seen(&self, cid: &Cid) -> Option<u64> {
        self.seen.get(cid).copied()
    }
}

/// Before the first entry names one: half a minute, what machines with NTP stay well within.
const DEFAULT_CLOCK_TOLERANCE: u64 = 30;
