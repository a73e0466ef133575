use super::Opened;
use crate::{ReceiptError, Step};
use domain::{Cid, Payout};
use ledger::{Act, Quorum, args};

/// Who plays which part: an entry with what its statement says.
#[derive(Clone, Debug)]
pub(crate) struct Cast<'a> {
    pub genesis: (&'a Opened, &'a args::Genesis),
    pub quorum: (&'a Opened, &'a Quorum),
    pub tenant: (&'a Opened, &'a args::Create),
    pub proposal: (&'a Opened, &'a Payout),
    pub approvals: Vec<(&'a Opened, &'a args::Give)>,
    pub submitted: (&'a Opened, &'a args::Submitted),
    pub attestations: Vec<(&'a Opened, &'a args::Attest)>,
}

/// The place of a part that only one entry plays.
struct Single<'a, T>(Option<(&'a Opened, &'a T)>);

impl<'a, T> Single<'a, T> {
    fn put(&mut self, entry: &'a Opened, args: &'a T) -> Result<(), ReceiptError> {
        match self.0.replace((entry, args)) {
            None => Ok(()),
            Some(_) => Err(ReceiptError::at(Step::Cast, entry.seq(), "a second entry of its kind")),
        }
    }

    fn get(self, what: &str) -> Result<(&'a Opened, &'a T), ReceiptError> {
        self.0.ok_or_else(|| ReceiptError::new(Step::Cast, format!("no {what}")))
    }
}

impl<'a> Cast<'a> {
    /// Sorts entries into their parts; each has one, and no part is left open.
    pub fn of(entries: &'a [Opened]) -> Result<Self, ReceiptError> {
        let (mut genesis, mut quorum, mut tenant) = (Single(None), Single(None), Single(None));
        let (mut proposal, mut submitted) = (Single(None), Single(None));
        let (mut approvals, mut attestations) = (Vec::new(), Vec::new());
        for entry in entries {
            match entry.statement.act() {
                Act::Genesis(args) => genesis.put(entry, args)?,
                Act::QuorumSet(args) => quorum.put(entry, &args.0)?,
                Act::TenantCreate(args) => tenant.put(entry, args)?,
                Act::ProposalPayout(args) => proposal.put(entry, args)?,
                Act::ApprovalGive(args) => approvals.push((entry, args)),
                Act::ExecutionSubmitted(args) => submitted.put(entry, args)?,
                Act::ExecutionAttest(args) => attestations.push((entry, args)),
                other => {
                    let detail = format!("{} has no part in a receipt", other.command());
                    return Err(ReceiptError::at(Step::Cast, entry.seq(), detail));
                }
            }
        }
        let cast = Self {
            genesis: genesis.get("genesis")?,
            quorum: quorum.get("quorum")?,
            tenant: tenant.get("tenant")?,
            proposal: proposal.get("proposal")?,
            approvals,
            submitted: submitted.get("submission")?,
            attestations,
        };
        cast.check_subject()?;
        Ok(cast)
    }

    /// Everything after the proposal is about the proposal.
    fn check_subject(&self) -> Result<(), ReceiptError> {
        let about = self.proposal.0.statement.cid();
        let approvals = self.approvals.iter().map(|(entry, args)| (entry.seq(), args.proposal));
        let attestations = self.attestations.iter().map(|(entry, args)| (entry.seq(), args.proposal));
        let submitted = [(self.submitted.0.seq(), self.submitted.1.proposal)];
        match approvals.chain(submitted).chain(attestations).find(|(_, of): &(u64, Cid)| *of != about) {
            None => Ok(()),
            Some((seq, _)) => Err(ReceiptError::at(Step::Cast, seq, "it is about another proposal")),
        }
    }

    /// The entries that are about the payout, in the tenant's realm.
    pub fn of_tenant(&self) -> impl Iterator<Item = &'a Opened> + '_ {
        let approvals = self.approvals.iter().map(|(entry, _)| *entry);
        let attestations = self.attestations.iter().map(|(entry, _)| *entry);
        [self.proposal.0, self.submitted.0].into_iter().chain(approvals).chain(attestations)
    }

    /// Positions ascend, time never goes backwards, and nothing comes before what it needs. `entries` are those of the
    /// cast as the file has them.
    pub fn check_order(&self, entries: &[Opened]) -> Result<(), ReceiptError> {
        let bad = |seq: u64, detail: &str| Err(ReceiptError::at(Step::Order, seq, detail));
        for (a, b) in entries.iter().zip(entries.iter().skip(1)) {
            if a.seq() >= b.seq() {
                return bad(b.seq(), "it stands after an entry that does not come before it");
            }
            if a.entry.at > b.entry.at {
                return bad(b.seq(), "its time lies before that of an earlier entry");
            }
        }
        if self.genesis.0.seq() != 0 {
            return bad(self.genesis.0.seq(), "a log begins with its genesis");
        }
        let (proposal, submitted) = (self.proposal.0.seq(), self.submitted.0.seq());
        if proposal < self.tenant.0.seq() {
            return bad(proposal, "the proposal comes before its tenant");
        }
        let approved = self.approvals.iter().map(|(entry, _)| entry.seq()).max().unwrap_or(proposal);
        if let Some((early, _)) = self.approvals.iter().find(|(entry, _)| entry.seq() < proposal) {
            return bad(early.seq(), "the approval comes before its proposal");
        }
        let ready = approved.max(proposal).max(self.quorum.0.seq());
        let executed = self.attestations.iter().map(|(entry, _)| entry.seq()).chain([submitted]);
        match executed.min().filter(|first| *first < ready) {
            Some(first) => bad(first, "nothing executes before it is approved and a quorum is there"),
            None => Ok(()),
        }
    }
}
