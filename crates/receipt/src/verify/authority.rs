use super::{Cast, Opened, Roots};
use crate::{ReceiptError, Step};
use domain::Did;
use ucan::{Chain, Context, Trust};

/// As in the ledger: an invocation expires at most this many seconds after it gets its place.
const MAX_LIFETIME: u64 = 15 * 60;
/// As in the ledger: fewer bytes of nonce could repeat by accident.
const MIN_NONCE: usize = 12;

/// The chains that later checks ask about.
#[derive(Debug)]
pub(super) struct Rights {
    pub proposal: Chain,
    /// In the order of the cast's approvals.
    pub approvals: Vec<Chain>,
}

struct Terms {
    tolerance: u64,
    sequencer: Did,
}

impl Rights {
    /// Walks the chain of every statement as the ledger did: from the operator for the log's own affairs, from the
    /// tenant that the operator created for those of the tenant.
    pub fn check(cast: &Cast<'_>, roots: &Roots) -> Result<Self, ReceiptError> {
        let (genesis, origin) = cast.genesis;
        let (created, create) = cast.tenant;
        let terms = Terms { tolerance: origin.clock_tolerance, sequencer: origin.sequencer };
        // The genesis names the sequencer, so it cannot be required to be addressed to it.
        terms.chain(genesis, roots.operator, None)?;
        terms.chain(cast.quorum.0, roots.operator, Some(terms.sequencer))?;
        terms.chain(created, roots.operator, Some(terms.sequencer))?;
        if create.tenant == roots.operator {
            return Err(ReceiptError::at(Step::Authority, created.seq(), "a tenant is not the operator"));
        }
        for entry in cast.of_tenant() {
            terms.chain(entry, create.tenant, Some(terms.sequencer))?;
        }
        let proposal = terms.chain(cast.proposal.0, create.tenant, Some(terms.sequencer))?;
        if proposal.issuer() == origin.issuer || proposal.issuer() == origin.sequencer {
            let detail = "the control plane passes authority on and never exercises it";
            return Err(ReceiptError::at(Step::Authority, cast.proposal.0.seq(), detail));
        }
        let approvals = cast.approvals.iter().map(|(e, _)| terms.chain(e, create.tenant, Some(terms.sequencer)));
        let approvals = approvals.collect::<Result<Vec<_>, _>>()?;
        Ok(Self { proposal, approvals })
    }
}

impl Terms {
    fn chain(&self, entry: &Opened, subject: Did, audience: Option<Did>) -> Result<Chain, ReceiptError> {
        let bad = |detail: String| ReceiptError::at(Step::Authority, entry.seq(), detail);
        let invocation = entry.statement.invocation();
        let at = entry.entry.at;
        let latest = at.plus(MAX_LIFETIME).plus(self.tolerance);
        if invocation.expiration().is_none_or(|exp| exp > latest) {
            return Err(bad("an invocation expires within 15 minutes".to_owned()));
        }
        let context = Context {
            clock_tolerance: self.tolerance,
            audience,
            min_nonce: MIN_NONCE,
            ..Context::new(at, Trust::Only(std::slice::from_ref(&subject)))
        };
        let proofs = entry.statement.proofs();
        ucan::authorise(invocation, &|cid| proofs.iter().find(|p| p.cid() == *cid).cloned(), &context)
            .map_err(|denied| bad(denied.to_string()))
    }
}
