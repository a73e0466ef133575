use super::{Stumble, Tenant};
use crate::chain::{self, Call, Called, Chain, ChainError, Receipt};
use domain::{Cid, Digest, PayoutAuthorisation};
use messages::{ProposalView, Stage};

/// One approved proposal and where it goes.
pub(super) struct Cargo<'a> {
    pub id: Cid,
    pub view: ProposalView,
    pub authorisation: PayoutAuthorisation,
    pub tenant: Tenant,
    pub chain: &'a Chain,
}

impl Cargo<'_> {
    pub(super) async fn executed(&self) -> Result<bool, ChainError> {
        self.chain.executed(self.authorisation.domain.contract, &self.authorisation.intent).await
    }

    pub(super) fn call(&self, signature: &[u8]) -> Result<Call, Stumble> {
        let malformed = || Stumble::Unsigned("not a signature that the contract takes".to_owned());
        let bytes = <[u8; 65]>::try_from(signature).map_err(|_| malformed())?;
        let layout = escrow::Signature::from_frost(&bytes).map_err(|_| malformed())?;
        let data = escrow::payout_calldata(&self.authorisation, &layout);
        let ceiling = chain::gas_ceiling(self.authorisation.recipients.len());
        Ok(Call { contract: self.authorisation.domain.contract, data, ceiling })
    }

    /// The transaction that the log knows of.
    pub(super) fn reported(&self) -> Option<Digest> {
        let text = self.view.execution.as_ref()?.transaction.as_deref()?;
        text.strip_prefix("0x").unwrap_or(text).parse().ok()
    }

    /// Whether the call pays out exactly what was authorised, at this contract.
    pub(super) fn is_paid_by(&self, call: &Called) -> bool {
        let domain = self.authorisation.domain;
        call.contract == domain.contract
            && escrow::decode_payout_calldata(domain, &call.data).is_ok_and(|(paid, _)| paid == self.authorisation)
    }

    pub(super) fn says_included(&self, receipt: &Receipt) -> bool {
        let execution = self.view.execution.as_ref();
        self.reported() == Some(receipt.transaction)
            && execution.is_some_and(|e| e.block == Some(receipt.block) && e.stage != Stage::Submitted)
    }
}
