use domain::Digest;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The engine that decided. Part of every decision, because another engine may read the same policy differently.
pub const ENGINE: &str = "regorus-0.14.1";
/// A policy asks for at most this many approvals: more people than any approval process has.
pub const MAX_APPROVALS: u8 = 16;
/// A decision names at most this many violations: every code for every recipient of the widest payout fits.
pub const MAX_VIOLATIONS: usize = 256;
/// A violation's message has at most this many characters; longer ones are cut.
pub const MAX_MESSAGE_CHARS: usize = 400;

/// What the policy says to a proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// It may be signed.
    Allow,
    /// It may be signed once the required people have approved it.
    Review,
    /// It is never signed.
    Deny,
}

impl Effect {
    /// The stable name: `allow`, `review` or `deny`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Review => "review",
            Self::Deny => "deny",
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Effect {
    type Err = UnknownName;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        [Self::Allow, Self::Review, Self::Deny].into_iter().find(|e| e.as_str() == s).ok_or(UnknownName)
    }
}

/// A text is not the stable name of an effect or a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a name that decisions use")]
pub struct UnknownName;

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)+) => {
        /// Why a proposal is denied. The Rego policy names these and no others.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Code {
            $($(#[doc = $doc])+ #[serde(rename = $name)] $variant,)+
        }

        impl Code {
            /// Every code, in the order in which decisions list them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The stable name, in snake case.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// What it means, for people.
            pub const fn description(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!($($doc),+).trim_ascii(),)+
                }
            }
        }
    };
}

codes! {
    /// The policy could not be evaluated, or its result is not a decision. The engine says it, never a bundle.
    PolicyError = "policy_error",
    /// Signing is frozen for everything, this action, the tenant, the plugin or the installation.
    Frozen = "frozen",
    /// The plugin version is suspended or withdrawn.
    PluginInactive = "plugin_inactive",
    /// The installation is suspended or removed.
    InstallationInactive = "installation_inactive",
    /// The installation's grant has ended.
    InstallationExpired = "installation_expired",
    /// The installation's grant does not contain the command.
    CapabilityMissing = "capability_missing",
    /// The invocation has expired.
    TokenExpired = "token_expired",
    /// The invocation expires later than tokens that move funds may.
    TokenLifetime = "token_lifetime",
    /// The proposal's validity has ended.
    ProposalExpired = "proposal_expired",
    /// The proposal's validity ends too far ahead.
    ProposalValidity = "proposal_validity",
    /// The tenant has no such order.
    UnknownOrder = "unknown_order",
    /// The order is closed.
    OrderClosed = "order_closed",
    /// The order's escrow holds another asset.
    OrderAsset = "order_asset",
    /// The payout is more than what is left of the order.
    OrderAvailable = "order_available",
    /// The tenant's asset table does not have the asset.
    UnknownAsset = "unknown_asset",
    /// The grant sets no limits for the asset, so it may not be paid out.
    AssetNotAllowed = "asset_not_allowed",
    /// A total, part or line item is not between 1 and 2^53-1 minor units.
    Amount = "amount",
    /// The payout is above the grant's limit for one payout.
    PayoutLimit = "payout_limit",
    /// The payout would take the UTC day above the grant's daily limit.
    DailyLimit = "daily_limit",
    /// The shares do not sum to 10,000 basis points.
    SplitsSum = "splits_sum",
    /// The parts do not sum to the total, or a part is not its share of it.
    SplitsAmount = "splits_amount",
    /// More recipients than one payout may have.
    SplitsCount = "splits_count",
    /// A recipient appears more than once.
    DuplicateRecipient = "duplicate_recipient",
    /// Nobody has verified the recipient.
    RecipientUnverified = "recipient_unverified",
    /// The recipient's KYC level is too low.
    RecipientKycLevel = "recipient_kyc_level",
    /// The recipient's verification has ended.
    RecipientKycExpired = "recipient_kyc_expired",
    /// The recipient is on a sanctions list.
    RecipientSanctioned = "recipient_sanctioned",
    /// A royalty recipient of the order gets less than its share.
    RoyaltyUnpaid = "royalty_unpaid",
    /// The line items do not sum to the total.
    LineItemsSum = "line_items_sum",
    /// More line items than one payout may have.
    LineItemsCount = "line_items_count",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Code {
    type Err = UnknownName;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::ALL.iter().copied().find(|c| c.as_str() == s).ok_or(UnknownName)
    }
}

/// One reason for a denial.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Violation {
    /// Which rule is violated.
    pub code: Code,
    /// The numbers and names, for people; at most [`MAX_MESSAGE_CHARS`] characters.
    pub msg: String,
}

impl Violation {
    /// A violation with its message cut to [`MAX_MESSAGE_CHARS`].
    pub(crate) fn new(code: Code, msg: &str) -> Self {
        let end = msg.char_indices().nth(MAX_MESSAGE_CHARS).map_or(msg.len(), |(at, _)| at);
        Self { code, msg: msg.get(..end).unwrap_or_default().to_owned() }
    }
}

/// What the policy decided, and from what. Equal inputs under equal bundles give equal decisions, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// Allow, review or deny.
    pub effect: Effect,
    /// Why it is denied: sorted, without duplicates, empty unless `effect` is deny, and then not empty.
    pub violations: Vec<Violation>,
    /// How many people must approve: 1 ..= [`MAX_APPROVALS`] when `effect` is review, otherwise 0.
    pub approvals: u8,
    /// Content address of the bundle that decided.
    pub bundle: Digest,
    /// Digest of the input that was decided.
    pub input: Digest,
    /// The engine that decided: [`ENGINE`].
    pub engine: &'static str,
}
