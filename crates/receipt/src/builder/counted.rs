//! Which approvals and attestations the ledger counted, from the entries that a receipt may need.

use super::{BuildError, Kept, principal};
use domain::{Cid, Did, Digest};
use ledger::{Act, Quorum, Verdict, args};
use std::collections::{BTreeMap, BTreeSet};

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
    keys: BTreeSet<Did>,
    delegations: BTreeSet<Cid>,
}

impl Revoked {
    const fn new(realms: [Did; 2]) -> Self {
        Self { realms, keys: BTreeSet::new(), delegations: BTreeSet::new() }
    }

    fn add(&mut self, entry: &Kept, args: &args::Revoke) {
        let statement = &entry.opened.statement;
        let by = statement.invocation().subject();
        // An issuer's own holds in the realm at the root of its path.
        let realm = statement.path().first().map_or(by, |root| root.issuer());
        if self.realms.contains(&realm) {
            match args.revoke {
                args::Revocation::Key(did) => _ = self.keys.insert(did),
                args::Revocation::Delegation(cid) => _ = self.delegations.insert(cid),
                // It stops proposals; nobody approves or attests by it.
                args::Revocation::Grant(_) => {}
            }
        }
    }

    /// Whether a key or delegation that a statement was made by is revoked.
    fn touches(&self, entry: &Kept) -> bool {
        let statement = &entry.opened.statement;
        let key = |did: Did| self.keys.contains(&did);
        key(statement.invocation().issuer())
            || statement
                .proofs()
                .iter()
                .any(|d| self.delegations.contains(&d.cid()) || key(d.issuer()) || key(d.audience()))
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
                standing.insert(principal(&entry.opened), entry);
            }
            Act::ApprovalWithdraw(_) => _ = standing.remove(&principal(&entry.opened)),
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
