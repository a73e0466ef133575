//! Which approvals and attestations the ledger counted, from the entries that a receipt may need.

use super::{BuildError, Kept, authority};
use domain::{Did, Digest};
use ledger::{Act, Quorum, Revocations, Verdict, args};
use std::collections::BTreeMap;

/// What made the payout final.
pub(super) struct Execution<'a> {
    /// The executing transaction.
    pub transaction: Digest,
    /// Every signer's word for it that stood when enough of the quorum had given theirs, in the log's order.
    pub attestations: Vec<&'a Kept>,
}

/// What has been revoked so far in the realms of the operator and of the tenant.
struct Revoked {
    realms: [Did; 2],
    revocations: Revocations,
}

impl Revoked {
    fn new(realms: [Did; 2]) -> Self {
        Self { realms, revocations: Revocations::default() }
    }

    fn add(&mut self, entry: &Kept, args: &args::Revoke) {
        let statement = &entry.opened.statement;
        let (by, revoker) = (statement.invocation().subject(), statement.invocation().issuer());
        match (&args.revoke, statement.path().first()) {
            (args::Revocation::Key(did), _) => _ = self.revocations.end_key(by, *did),
            (args::Revocation::Delegation(cid), None) => _ = self.revocations.end(by, *cid),
            // An issuer's own holds in the realm at the root of its path.
            (args::Revocation::Delegation(cid), Some(root)) => {
                self.revocations.end_below(root.issuer(), *cid, revoker);
            }
            // It stops proposals; nobody approves or attests by it.
            (args::Revocation::Grant(_), _) => {}
        }
    }

    /// Whether a key or delegation that a statement was made by is revoked.
    fn touches(&self, entry: &Kept) -> bool {
        self.revocations.touches(self.realms, &authority(&entry.opened))
    }
}

/// Of each person the last approval, unless it was withdrawn, or revoked before enough others had approved.
pub(super) fn approvals(kept: &[Kept], realms: [Did; 2], needed: usize) -> Vec<&Kept> {
    let mut revoked = Revoked::new(realms);
    let mut standing: BTreeMap<Did, &Kept> = BTreeMap::new();
    for entry in kept {
        match entry.opened.statement.act() {
            Act::Revoke(args) => revoked.add(entry, args),
            Act::ApprovalGive(_) => {
                standing.retain(|_, earlier| !revoked.touches(earlier));
                standing.insert(authority(&entry.opened).principal, entry);
            }
            Act::ApprovalWithdraw(_) => _ = standing.remove(&authority(&entry.opened).principal),
            _ => {}
        }
        if standing.len() >= needed {
            break;
        }
    }
    standing.into_values().collect()
}

/// A signer's last word counts, as long as nothing that it was given by is revoked.
pub(super) fn execution(kept: &[Kept], realms: [Did; 2]) -> Result<Execution<'_>, BuildError> {
    let mut revoked = Revoked::new(realms);
    let mut active: Option<&Quorum> = None;
    let mut words: BTreeMap<Did, (&args::Attest, &Kept)> = BTreeMap::new();
    for entry in kept {
        match entry.opened.statement.act() {
            Act::QuorumSet(args) => active = Some(&args.0),
            Act::Revoke(args) => {
                revoked.add(entry, args);
                words.retain(|_, (_, earlier)| !revoked.touches(earlier));
            }
            Act::ExecutionAttest(word) => {
                words.insert(entry.opened.statement.invocation().issuer(), (word, entry));
                let quorum = active.ok_or(BuildError::Missing("quorum"))?;
                let (Verdict::Final, Some(transaction)) = (word.verdict, word.transaction) else { continue };
                if agreeing(&words, quorum, word) >= usize::from(quorum.threshold) {
                    let mut attestations: Vec<_> =
                        words.values().filter(|(w, _)| same(w, word)).map(|(_, entry)| *entry).collect();
                    attestations.sort_by_key(|k| k.opened.seq());
                    return Ok(Execution { transaction, attestations });
                }
            }
            _ => {}
        }
    }
    let quorum = active.ok_or(BuildError::Missing("quorum"))?;
    let executed = words.values().filter(|(w, _)| w.verdict == Verdict::Final);
    let attested = executed.map(|(w, _)| agreeing(&words, quorum, w)).max().unwrap_or(0);
    Err(BuildError::NotFinal { attested, threshold: quorum.threshold })
}

/// How many of the quorum say the same.
fn agreeing(words: &BTreeMap<Did, (&args::Attest, &Kept)>, quorum: &Quorum, word: &args::Attest) -> usize {
    words.iter().filter(|(node, (w, _))| quorum.participant(node).is_some() && same(w, word)).count()
}

fn same(a: &args::Attest, b: &args::Attest) -> bool {
    a.verdict == b.verdict && a.transaction == b.transaction && a.block == b.block
}
