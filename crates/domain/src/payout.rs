use crate::{AccountId, Amount, AssetId, Bps, Name, OrderId, Time};
use serde::{Deserialize, Serialize};

/// At most this many recipients in one payout: bounds the gas of one execution and the size of a decision.
pub const MAX_SPLITS: usize = 16;
/// At most this many line items: enough for a receipt, small enough to show to an approver whole.
pub const MAX_LINE_ITEMS: usize = 50;

/// The intent to pay an order's escrowed funds out to several recipients. These are the args of `/proposal/payout`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Payout {
    /// The order whose escrow pays.
    pub order: OrderId,
    /// The asset paid out.
    pub asset: AssetId,
    /// The whole, in minor units.
    pub total: Amount,
    /// Who gets which share; shares sum to 10,000 and recipients are distinct.
    pub splits: Vec<Split>,
    /// What it is for, for people; when present the items sum to `total`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub line_items: Vec<LineItem>,
    /// After this moment the payout can no longer execute on chain.
    pub valid_until: Time,
}

/// One recipient's share of a payout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// Who is paid.
    pub recipient: AccountId,
    /// The recipient's share.
    pub bps: Bps,
}

/// One line of what a payout is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LineItem {
    /// What was sold or done.
    pub description: Name,
    /// Its price in minor units of the payout's asset.
    pub amount: Amount,
}
