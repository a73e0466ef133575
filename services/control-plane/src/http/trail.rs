use crate::{json, opener::Opener, outcome::Recorded};
use domain::{Cid, Did, Digest, Time};
use ledger::{Act, Verdict};
use log::Entry;
use messages::{Approval, AuditRecord, Decision, Execution, ProposalStatus as Status, Stage};
use serde_json::Value;
use storage::{Error, Storage, StoredEntry};
use ucan::{Invocation, Verified};

/// The database, and who opens what it holds.
type From<'a> = (&'a Storage, &'a Opener);

/// What the log says about one proposal, read from its entries.
pub(super) struct Trail {
    pub decision: Decision,
    pub review: Digest,
    pub command: String,
    pub intent: Value,
    pub approvals: Vec<Approval>,
    pub records: Vec<AuditRecord>,
    transaction: Option<Digest>,
    block: Option<u64>,
}

/// One entry, opened.
struct Step {
    entry: Entry,
    invocation: Verified<Invocation>,
}

/// Reads the proposal at `seq` and everything that mentions it. `None` when its entries cannot be read. Blocks.
pub(super) fn read(from: From<'_>, id: Cid, seq: u64, tenant: Did) -> Result<Option<Trail>, Error> {
    let Some(first) = step(from.0, seq)? else { return Ok(None) };
    let recorded = Recorded::of(&first.entry);
    let review = recorded.as_ref().and_then(|r| r.review);
    let (Some(decision), Some(review)) = (recorded.and_then(Recorded::decision), review) else { return Ok(None) };
    let mut trail = Trail {
        decision,
        review,
        command: first.invocation.command().to_string(),
        intent: json::of(first.invocation.args()),
        approvals: Vec::new(),
        records: vec![record(&first, first.invocation.command().to_string())],
        transaction: None,
        block: None,
    };
    for mention in from.0.mentions(&id)? {
        let Some(step) = step(from.0, mention.seq)? else { return Ok(None) };
        // Time, not a statement, ended it: the entry is merely the first after its last moment.
        if mention.kind == crate::read_model::EXPIRED {
            trail.records.push(record(&step, mention.kind));
            continue;
        }
        trail.records.push(record(&step, mention.kind));
        trail.note(from, &step, tenant)?;
    }
    Ok(Some(trail))
}

fn step(storage: &Storage, seq: u64) -> Result<Option<Step>, Error> {
    let stored = storage.entries(seq, 1)?.into_iter().next().filter(|e| e.seq == seq);
    Ok(stored.as_ref().and_then(open))
}

fn open(stored: &StoredEntry) -> Option<Step> {
    let entry = Entry::decode(&stored.bytes).ok()?;
    let token = stored.tokens.iter().find(|t| t.cid == entry.stmt)?;
    Some(Step { invocation: ucan::open_invocation(&token.bytes).ok()?, entry })
}

fn record(step: &Step, command: String) -> AuditRecord {
    AuditRecord { seq: step.entry.seq, at: step.entry.at, command, issuer: step.invocation.issuer() }
}

impl Trail {
    fn note(&mut self, from: From<'_>, step: &Step, tenant: Did) -> Result<(), Error> {
        let invocation = &step.invocation;
        match Act::parse(invocation.command().as_str(), invocation.args()) {
            Ok(Act::ApprovalGive(_)) => {
                let principal = principal(from, invocation, tenant)?;
                // Said again after the first was revoked, it is one person still.
                self.approvals.retain(|a| a.principal != principal);
                self.approvals.push(approval(step, principal, step.entry.at));
            }
            Ok(Act::ApprovalWithdraw(_)) => {
                let principal = principal(from, invocation, tenant)?;
                self.approvals.retain(|a| a.principal != principal);
            }
            Ok(Act::ExecutionSubmitted(args)) => self.transaction = Some(args.transaction),
            Ok(Act::ExecutionIncluded(args)) => {
                (self.transaction, self.block) = (Some(args.transaction), Some(args.block));
            }
            Ok(Act::ExecutionReverted(_)) => (self.transaction, self.block) = (None, None),
            Ok(Act::ExecutionAttest(args)) if args.verdict == Verdict::Final => {
                (self.transaction, self.block) = (args.transaction, Some(args.block));
            }
            _ => {}
        }
        Ok(())
    }

    /// How far it has come on chain, in view of where it stands.
    pub fn execution(&self, status: Status) -> Option<Execution> {
        let stage = match status {
            Status::Submitted => Stage::Submitted,
            Status::Included => Stage::Included,
            Status::Final => Stage::Final,
            Status::Void => return Some(Execution { stage: Stage::Void, transaction: None, block: None }),
            _ => return None,
        };
        Some(Execution { stage, transaction: self.transaction.map(|t| format!("0x{t}")), block: self.block })
    }
}

fn approval(step: &Step, principal: Did, at: Time) -> Approval {
    Approval { principal, issuer: step.invocation.issuer(), at, statement: step.entry.stmt }
}

/// The person that the tenant's root delegated to.
fn principal((storage, opener): From<'_>, invocation: &Invocation, tenant: Did) -> Result<Did, Error> {
    let proofs = opener.stored(storage, invocation.proofs())?;
    Ok(proofs.iter().find(|p| p.issuer() == tenant).map_or_else(|| invocation.issuer(), |p| p.audience()))
}
