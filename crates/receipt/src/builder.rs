mod counted;

use crate::{
    Bytes, ProvenEntry, Receipt, ReceiptError, Roots, VERSION,
    verify::{Cast, Group, Opened, authorisation, check, note_keys, outcome::Decided},
};
use counted::{Execution, approvals, execution};
use domain::{Cid, Digest};
use ledger::{Act, Authority, Quorum, args};
use log::{Entry, Hash, Note};
use messages::Effect;
use std::collections::BTreeMap;
use ucan::{Context, Trust};

/// Finds the entries of one receipt in a log, without I/O.
///
/// Give it every entry from the first on, in order ([`Builder::take`]); it keeps those that matter and every delegation.
/// Then [`Builder::plan`] says what the receipt needs, and [`Plan::finish`] makes it from a checkpoint and proofs.
#[derive(Clone, Debug)]
pub struct Builder {
    proposal: Cid,
    delegations: BTreeMap<Cid, Vec<u8>>,
    kept: Vec<Kept>,
}

/// An entry that may matter, with its tokens as the receipt has them.
#[derive(Clone, Debug)]
struct Kept {
    opened: Opened,
    entry: Vec<u8>,
    tokens: Vec<Vec<u8>>,
}

/// The entries of a receipt; a checkpoint and proofs are missing.
#[derive(Clone, Debug)]
pub struct Plan {
    entries: Vec<Kept>,
    proposal: Cid,
    signature: String,
    transaction: Digest,
}

/// There is no receipt.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// An entry or token of the log is not well-formed.
    #[error("the log is damaged")]
    Damaged(#[source] ReceiptError),
    /// No entry so far has introduced a delegation that a statement names.
    #[error("no entry so far has introduced delegation {0}")]
    Delegation(Cid),
    /// The log has no such entry.
    #[error("the log has no {0}")]
    Missing(&'static str),
    /// Policy denied the proposal, so it is never executed.
    #[error("policy denied the proposal: it has no execution, and so no receipt")]
    Denied,
    /// The signers have not attested the execution yet.
    #[error("{attested} signers attest the execution so far, {threshold} must")]
    NotFinal {
        /// How many attest one transaction.
        attested: usize,
        /// How many must.
        threshold: u16,
    },
    /// It is final, but by the word of a later quorum; nobody attests it any more.
    #[error("{attested} signers of the quorum that signed it attest the execution, {threshold} would have to")]
    Replaced {
        /// How many of them attest it.
        attested: usize,
        /// How many would have to.
        threshold: u16,
    },
    /// No submission carries a signature of a quorum over this payout.
    #[error("no submission of the attested transaction carries a quorum's signature over this payout")]
    NotSigned,
    /// The checkpoint is no note, or the quorum has not signed it.
    #[error("the checkpoint does not do: {0}")]
    Checkpoint(&'static str),
    /// A proof is missing.
    #[error("no inclusion proof of entry {0}")]
    Proof(u64),
    /// What was put together does not verify.
    #[error("the receipt would not verify")]
    Invalid(#[source] ReceiptError),
}

impl Builder {
    /// Looks for the receipt of `proposal`.
    pub const fn new(proposal: Cid) -> Self {
        Self { proposal, delegations: BTreeMap::new(), kept: Vec::new() }
    }

    /// Takes the next entry of the log with the tokens that it introduced.
    pub fn take(&mut self, entry: &[u8], tokens: &[Vec<u8>]) -> Result<(), BuildError> {
        let damaged = |detail: String| BuildError::Damaged(ReceiptError::new(crate::Step::Entry, detail));
        let decoded = Entry::decode(entry).map_err(|e| damaged(e.to_string()))?;
        let mut own = None;
        for token in tokens {
            let cid = Cid::of(token);
            if cid == decoded.stmt {
                own = Some(token);
            } else {
                self.delegations.insert(cid, token.clone());
            }
        }
        let own = own.ok_or_else(|| damaged(format!("entry {} came without its statement", decoded.seq)))?;
        let invocation = ucan::open_invocation(own).map_err(|e| damaged(e.to_string()))?;
        // Most of a log is about other proposals; their args are not worth reading.
        let Ok(act) = Act::parse(invocation.command().as_str(), invocation.args()) else {
            return Err(damaged(format!("entry {} holds no statement", decoded.seq)));
        };
        if !self.matters(&act, decoded.stmt) {
            return Ok(());
        }
        let mut all = vec![own.clone()];
        for cid in invocation.proofs() {
            all.push(self.delegations.get(cid).cloned().ok_or(BuildError::Delegation(*cid))?);
        }
        let slices: Vec<&[u8]> = all.iter().map(Vec::as_slice).collect();
        let opened = Opened::of(entry, &slices).map_err(BuildError::Damaged)?;
        self.kept.push(Kept { opened, entry: entry.to_vec(), tokens: all });
        Ok(())
    }

    fn matters(&self, act: &Act, statement: Cid) -> bool {
        match act {
            Act::Genesis(_) | Act::QuorumSet(_) | Act::TenantCreate(_) | Act::Revoke(_) => true,
            Act::ProposalPayout(_) => statement == self.proposal,
            Act::ApprovalGive(args) => args.proposal == self.proposal,
            Act::ApprovalWithdraw(args) => args.proposal == self.proposal,
            Act::ExecutionSubmitted(args) => args.proposal == self.proposal,
            Act::ExecutionAttest(args) => args.proposal == self.proposal,
            _ => false,
        }
    }

    /// What the receipt needs, from the entries so far. Fails while the payout is not final.
    pub fn plan(&self) -> Result<Plan, BuildError> {
        let genesis = self.only("genesis", |act| matches!(act, Act::Genesis(_)))?;
        let proposal = self.only("entry of this proposal", |act| matches!(act, Act::ProposalPayout(_)))?;
        let subject = proposal.opened.statement.invocation().subject();
        let tenant =
            self.only("entry of its tenant", |act| matches!(act, Act::TenantCreate(c) if c.tenant == subject))?;
        let decision = Decided::read(&proposal.opened).map_err(BuildError::Damaged)?.decision;
        if decision.effect == Effect::Deny {
            return Err(BuildError::Denied);
        }
        let needed = decision.approvals;
        let realms = [genesis.opened.statement.invocation().subject(), subject];
        let approvals = approvals(&self.kept, realms, usize::from(needed));
        let Execution { transaction, attestations } = execution(&self.kept, realms)?;
        // The signature says which quorum made it; usually the newest.
        for (set, quorum) in self.quorums() {
            let own = |k: &&Kept| quorum.participant(&k.opened.statement.invocation().issuer()).is_some();
            let threshold = usize::from(quorum.threshold);
            let attesters: Vec<&Kept> = attestations.iter().copied().filter(own).take(threshold).collect();
            for (submitted, args) in self.submissions(transaction) {
                let mut entries = vec![genesis, set, tenant, proposal, submitted];
                entries.extend(approvals.iter().copied().chain(attesters.iter().copied()));
                entries.sort_by_key(|e| e.opened.seq());
                if !carries(&entries, args) {
                    continue;
                }
                if attesters.len() < threshold {
                    return Err(BuildError::Replaced { attested: attesters.len(), threshold: quorum.threshold });
                }
                let entries = entries.into_iter().cloned().collect();
                let signature = args.signature.clone();
                return Ok(Plan { entries, proposal: self.proposal, signature, transaction });
            }
        }
        Err(BuildError::NotSigned)
    }

    fn only(&self, what: &'static str, part: impl Fn(&Act) -> bool) -> Result<&Kept, BuildError> {
        self.kept.iter().find(|k| part(k.opened.statement.act())).ok_or(BuildError::Missing(what))
    }

    /// Every epoch of the quorum, newest first.
    fn quorums(&self) -> impl Iterator<Item = (&Kept, &Quorum)> {
        self.kept.iter().rev().filter_map(|k| match k.opened.statement.act() {
            Act::QuorumSet(args) => Some((k, &args.0)),
            _ => None,
        })
    }

    fn submissions(&self, transaction: Digest) -> impl Iterator<Item = (&Kept, &args::Submitted)> {
        self.kept.iter().rev().filter_map(move |k| match k.opened.statement.act() {
            Act::ExecutionSubmitted(args) if args.transaction == transaction => Some((k, args)),
            _ => None,
        })
    }
}

/// By what authority a statement of the log was made.
fn authority(entry: &Opened) -> Authority {
    let invocation = entry.statement.invocation();
    let (issuer, proofs) = (invocation.issuer(), entry.statement.proofs());
    // The log has judged times already; here the chain is only followed to its root.
    let context = Context { clock_tolerance: u64::MAX, ..Context::new(entry.entry.at, Trust::Any) };
    ucan::authorise(invocation, &|cid| proofs.iter().find(|p| p.cid() == *cid).cloned(), &context)
        .map_or_else(|_| Authority { issuer, principal: issuer, hops: Vec::new() }, |chain| Authority::of(&chain))
}

/// Whether the submission carries the signature of the quorum among these entries over the payout among them.
fn carries(entries: &[&Kept], submitted: &args::Submitted) -> bool {
    let opened: Vec<Opened> = entries.iter().map(|k| k.opened.clone()).collect();
    let Ok(cast) = Cast::of(&opened) else { return false };
    let installations = Decided::read(cast.proposal.0).map(|d| d.installations().collect::<Vec<_>>());
    let Ok(group) = Group::of(cast.quorum.1) else { return false };
    installations.unwrap_or_default().into_iter().any(|installation| {
        authorisation(&cast, installation).is_ok_and(|payout| group.check(&payout, &submitted.signature).is_ok())
    })
}

impl Plan {
    /// The entries that need a proof.
    pub fn seqs(&self) -> impl Iterator<Item = u64> {
        self.entries.iter().map(|k| k.opened.seq())
    }

    /// The checkpoint must be of at least this many entries.
    pub fn min_size(&self) -> u64 {
        self.seqs().max().unwrap_or(0).saturating_add(1)
    }

    /// Whether the note is signed by the log's key and by the quorum of the payout, and covers every entry.
    pub fn accepts(&self, checkpoint: &str) -> bool {
        let opened: Vec<Opened> = self.entries.iter().map(|k| k.opened.clone()).collect();
        let covers = Note::parse(checkpoint).is_ok_and(|n| n.unverified().size >= self.min_size());
        covers && Cast::of(&opened).is_ok_and(|cast| two_signatures(checkpoint, &cast).is_ok())
    }

    /// Makes the receipt. `checkpoint` is a note that the quorum of the payout has cosigned, of at least
    /// [`Plan::min_size`] entries; signatures of others are left out. `proof` gives the audit path of an entry in a log of
    /// that size. What comes out verifies under the operator that began the log.
    pub fn finish(self, checkpoint: &str, proof: &dyn Fn(u64) -> Option<Vec<Hash>>) -> Result<Receipt, BuildError> {
        let opened: Vec<Opened> = self.entries.iter().map(|k| k.opened.clone()).collect();
        let cast = Cast::of(&opened).map_err(BuildError::Invalid)?;
        let checkpoint = two_signatures(checkpoint, &cast)?;
        let mut entries = Vec::with_capacity(self.entries.len());
        for kept in self.entries {
            let seq = kept.opened.seq();
            let proof = proof(seq).ok_or(BuildError::Proof(seq))?;
            let tokens = kept.tokens.into_iter().map(Bytes).collect();
            entries.push(ProvenEntry { seq, entry: Bytes(kept.entry), tokens, proof });
        }
        let receipt = Receipt {
            version: VERSION,
            origin: cast.genesis.1.origin.clone(),
            proposal: self.proposal,
            entries,
            checkpoint,
            signature: self.signature,
            transaction: self.transaction,
        };
        let operator = cast.genesis.0.statement.invocation().subject();
        check(&receipt, &Roots { operator }).map_err(BuildError::Invalid)?;
        Ok(receipt)
    }
}

/// The note with the two signatures that a receipt has.
fn two_signatures(text: &str, cast: &Cast<'_>) -> Result<String, BuildError> {
    let bad = BuildError::Checkpoint;
    let keys = note_keys(cast.genesis.1, cast.quorum.1).ok_or(bad("the log's keys cannot sign notes"))?;
    let (body, lines) = text.rsplit_once("\n\n").ok_or(bad("not a note"))?;
    let mut note = format!("{body}\n\n");
    for key in &keys {
        let by_key = |line: &&str| {
            let alone = Note::parse(&format!("{body}\n\n{line}\n"));
            alone.is_ok_and(|n| n.verify(&n.unverified().origin, std::slice::from_ref(key)).is_ok())
        };
        let line = lines.lines().find(by_key).ok_or(bad("the log's key or the payout's quorum has not signed it"))?;
        note.push_str(line);
        note.push('\n');
    }
    Ok(note)
}
