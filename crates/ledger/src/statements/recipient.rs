use crate::{
    Changes, Outcome, Refusal, State, Verification,
    statement::{Context, ParseError, Realm, Rule},
};
use domain::{AccountId, Time};
use serde::{Deserialize, Serialize};

/// Levels above have no meaning to any provider.
const MAX_KYC_LEVEL: u8 = 10;

/// Args of `/recipient/verify`. A later word about the same account replaces an earlier one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verify {
    /// The account.
    pub account: AccountId,
    /// Know-your-customer level, 0 (none) ..= 10.
    pub kyc_level: u8,
    /// On a sanctions list.
    pub sanctioned: bool,
    /// Not to be relied on after.
    pub valid_until: Time,
}

impl Rule for Verify {
    const REALM: Realm = Realm::Tenant;

    fn check(&self) -> Result<(), ParseError> {
        if self.kyc_level > MAX_KYC_LEVEL {
            return Err(ParseError::args("kyc_level", "at most 10"));
        }
        Ok(())
    }

    fn run(&self, state: &mut State, cx: &Context<'_>, _: &mut Changes) -> Result<Outcome, Refusal> {
        let verification = Verification {
            kyc_level: self.kyc_level,
            sanctioned: self.sanctioned,
            valid_until: self.valid_until,
            authority: cx.authority.clone(),
            statement: cx.cid,
        };
        state.with_tenant(cx.subject, |t| t.recipients.insert(self.account, verification));
        Ok(Outcome::Accepted)
    }
}
