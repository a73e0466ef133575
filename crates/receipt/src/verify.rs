mod authority;
mod cast;
mod checkpoint;
mod opened;
pub(crate) mod outcome;
mod payout;

pub(crate) use cast::Cast;
pub(crate) use checkpoint::keys as note_keys;
pub(crate) use opened::Opened;
pub(crate) use payout::{Group, authorisation};

use crate::{Receipt, ReceiptError, Step};
use domain::{AccountId, Amount, AssetId, ChainAmount, Cid, Did, Digest, EscrowDomain, Name, OrderId, Time};
use ledger::Verdict;
use log::Hash;
use messages::Effect;
use outcome::Decided;
use serde::Serialize;
use std::collections::BTreeSet;
use ucan::Chain;

/// Whom the verifier trusts beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roots {
    /// The root of the log's authority.
    pub operator: Did,
}

/// What a receipt proves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The log's name.
    pub origin: Name,
    /// The proposal.
    pub proposal: Cid,
    /// The tenant whose money moved.
    pub tenant: Did,
    /// The tenant's name.
    pub tenant_name: Name,
    /// The installation that proposed it.
    pub installation: Did,
    /// The order whose escrow paid.
    pub order: OrderId,
    /// The asset.
    pub asset: AssetId,
    /// What people call the asset.
    pub symbol: Name,
    /// The whole, in minor units.
    pub total: Amount,
    /// Who got how much.
    pub payments: Vec<Payment>,
    /// When it was proposed and decided.
    pub proposed_at: Time,
    /// What policy said.
    pub effect: Effect,
    /// Content address of the policy that said it.
    pub policy: Digest,
    /// The people who approved; none when policy allowed it outright.
    pub approvers: Vec<Did>,
    /// The escrow contract that paid.
    pub escrow: EscrowDomain,
    /// The EIP-712 digest that the quorum signed.
    pub message: Digest,
    /// The epoch of the quorum.
    pub epoch: u64,
    /// The signers that attest the execution: as many as the quorum's threshold.
    pub attesters: Vec<Did>,
    /// The executing transaction.
    pub transaction: Digest,
    /// The block that has it.
    pub block: u64,
    /// How many entries the checkpoint covers.
    pub size: u64,
    /// Their root.
    pub root: Hash,
    /// When the checkpoint was made.
    pub checkpoint_at: Time,
}

/// One recipient's part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Payment {
    /// Who.
    pub recipient: AccountId,
    /// How much, in minor units.
    pub amount: Amount,
    /// How much, in the chain's smallest unit.
    pub chain_amount: ChainAmount,
}

/// Verifies a receipt's file; see the crate's documentation for what that proves and what it does not.
pub fn verify(bytes: &[u8], roots: &Roots) -> Result<Summary, ReceiptError> {
    check(&Receipt::parse(bytes)?, roots)
}

pub(crate) fn check(receipt: &Receipt, roots: &Roots) -> Result<Summary, ReceiptError> {
    let opened = receipt.entries.iter().map(Opened::new).collect::<Result<Vec<_>, _>>()?;
    let cast = Cast::of(&opened)?;
    if cast.proposal.0.statement.cid() != receipt.proposal {
        return Err(ReceiptError::new(Step::Cast, "the proposal is another one than the file says"));
    }
    if cast.genesis.1.origin != receipt.origin {
        return Err(ReceiptError::new(Step::Cast, "the log is another one than the file says"));
    }
    cast.check_order(&opened)?;
    let rights = authority::Rights::check(&cast, roots)?;
    let group = Group::of(cast.quorum.1).map_err(|detail| ReceiptError::new(Step::Quorum, detail))?;
    let checkpoint = checkpoint::check(&receipt.checkpoint, &cast, &opened, &receipt.entries)?;
    for entry in opened.iter().filter(|e| e.seq() != cast.proposal.0.seq()) {
        outcome::accepted(entry)?;
    }
    let decided = Decided::of(&cast)?;
    let installation = decided.installation(&cast, &rights.proposal)?;
    let approvers = check_approvals(&cast, &decided, &rights)?;

    let signed = authorisation(&cast, installation).map_err(|detail| ReceiptError::new(Step::Signature, detail))?;
    let message =
        group.check(&signed, &receipt.signature).map_err(|detail| ReceiptError::new(Step::Signature, detail))?;
    let (submitted, report) = cast.submitted;
    if report.signature != receipt.signature || report.transaction != receipt.transaction {
        let detail = "the submission has another signature or transaction than the file";
        return Err(ReceiptError::at(Step::Submission, submitted.seq(), detail));
    }
    let (attesters, block) = check_attestations(&cast, receipt.transaction)?;

    let (_, create) = cast.tenant;
    let (proposal, payout) = cast.proposal;
    let asset = create.assets.iter().find(|a| a.asset == payout.asset);
    let asset = asset.ok_or_else(|| ReceiptError::new(Step::Signature, "the tenant has no such asset"))?;
    let parts = payout::parts(payout).map_err(|detail| ReceiptError::new(Step::Signature, detail))?;
    let payments = payout.splits.iter().zip(parts).map(|(split, amount)| Payment {
        recipient: split.recipient,
        amount,
        chain_amount: amount.to_chain(asset.scale),
    });
    Ok(Summary {
        origin: receipt.origin.clone(),
        proposal: receipt.proposal,
        tenant: create.tenant,
        tenant_name: create.name.clone(),
        installation,
        order: payout.order.clone(),
        asset: payout.asset,
        symbol: asset.symbol.clone(),
        total: payout.total,
        payments: payments.collect(),
        proposed_at: proposal.entry.at,
        effect: decided.decision.effect,
        policy: decided.decision.bundle,
        approvers,
        escrow: create.escrow,
        message,
        epoch: cast.quorum.1.epoch,
        attesters,
        transaction: receipt.transaction,
        block,
        size: checkpoint.size,
        root: checkpoint.root,
        checkpoint_at: checkpoint.time,
    })
}

/// Exactly as many different people as policy asked for, none of them of the proposal's own chain.
fn check_approvals(cast: &Cast<'_>, decided: &Decided, rights: &authority::Rights) -> Result<Vec<Did>, ReceiptError> {
    let mut people = BTreeSet::new();
    for ((entry, give), chain) in cast.approvals.iter().zip(&rights.approvals) {
        let bad = |detail: &str| Err(ReceiptError::at(Step::Approval, entry.seq(), detail));
        if give.review != decided.review {
            return bad("it approves another decision");
        }
        if entry.entry.at >= cast.proposal.1.valid_until {
            return bad("the proposal's validity had ended");
        }
        if is_author(&rights.proposal, chain) {
            return bad("nobody reviews a proposal of their own");
        }
        if !people.insert(chain.principal()) {
            return bad("this person has approved already");
        }
    }
    let needed = usize::from(decided.decision.approvals);
    if people.len() != needed {
        let detail = format!("{} people approved, policy asked for {needed}", people.len());
        return Err(ReceiptError::new(Step::Approval, detail));
    }
    Ok(people.into_iter().collect())
}

/// Whether a key that had a part in the proposal has one in the approval; the tenant's root, at which every chain
/// begins, aside.
fn is_author(proposal: &Chain, approval: &Chain) -> bool {
    keys(proposal).any(|author| keys(approval).any(|reviewer| reviewer == author))
}

fn keys(chain: &Chain) -> impl Iterator<Item = Did> + '_ {
    std::iter::once(chain.issuer()).chain(chain.hops().iter().map(|h| h.audience()))
}

/// Exactly t different signers of the quorum, all of one transaction in one block.
fn check_attestations(cast: &Cast<'_>, transaction: Digest) -> Result<(Vec<Did>, u64), ReceiptError> {
    let (_, quorum) = cast.quorum;
    let mut nodes = BTreeSet::new();
    let mut blocks = BTreeSet::new();
    for (entry, attest) in &cast.attestations {
        let bad = |detail: &str| Err(ReceiptError::at(Step::Attestation, entry.seq(), detail));
        let node = entry.statement.invocation().issuer();
        if quorum.participant(&node).is_none() {
            return bad("its issuer is no signer of the quorum");
        }
        if !nodes.insert(node) {
            return bad("this signer has attested already");
        }
        if attest.verdict != Verdict::Final || attest.transaction != Some(transaction) {
            return bad("it does not say that this transaction is final");
        }
        blocks.insert(attest.block);
    }
    let threshold = usize::from(quorum.threshold);
    if nodes.len() != threshold {
        let detail = format!("{} signers attest the execution, the threshold is {threshold}", nodes.len());
        return Err(ReceiptError::new(Step::Attestation, detail));
    }
    match (blocks.pop_first(), blocks.is_empty()) {
        (Some(block), true) => Ok((nodes.into_iter().collect(), block)),
        _ => Err(ReceiptError::new(Step::Attestation, "the signers disagree about the block")),
    }
}
