use domain::{AccountId, AssetId, Bps, Did, Digest, Name, OrderId, PluginId, Time, Version};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Room for the JSON of an ordinary input, so that it is not moved while it is written.
const ORDINARY_JSON_BYTES: usize = 2_048;

/// Everything that a payout decision may depend on, gathered by the ledger from its own state.
///
/// Amounts are in minor units of the payout's asset, times in Unix seconds. Fields are declared in alphabetical order
/// here and below, so that the compact JSON of an `Input` has sorted keys: it is its own canonical form (RFC 8785), and
/// [`Input::digest`] is taken over it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// What is decided.
    pub action: Action,
    /// The payout's asset in the tenant's asset table; absent when the table does not have it.
    pub asset: Option<Asset>,
    /// What this installation has used of its daily limit for this asset, in the UTC day of `now`.
    pub budget: Budget,
    /// Always false: a freeze of everything shows at the tenant, one of an action at the installation, and the ledger denies
    /// what is frozen whatever a bundle says. Rules that ask are a second line of defence.
    pub frozen: bool,
    /// The installation that proposes.
    pub installation: Installation,
    /// The limits that the grant sets for this asset; absent when the grant does not allow the asset.
    pub limits: Option<Limits>,
    /// What the payout is for; empty when the proposal does not say.
    pub line_items: Vec<LineItem>,
    /// The moment of the decision: the time of the log entry.
    #[schemars(with = "u64")]
    pub now: Time,
    /// The order whose escrow pays; absent when the tenant has no such order.
    pub order: Option<Order>,
    /// The plugin that is installed.
    pub plugin: Plugin,
    /// What the proposal itself names.
    pub proposal: Proposal,
    /// What is known of the recipients, by account; an account that is absent has not been verified.
    #[schemars(with = "BTreeMap<String, Recipient>")]
    pub recipients: BTreeMap<AccountId, Recipient>,
    /// Who gets how much, in the proposal's order.
    pub splits: Vec<Split>,
    /// The tenant whose money it is.
    pub tenant: Tenant,
    /// The invocation that carries the proposal.
    pub token: Token,
    /// The whole, in minor units.
    pub total: u64,
}

/// The kind of intent that is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// `/proposal/payout`.
    Payout,
}

/// An asset of the tenant's asset table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Asset {
    /// How many decimals people read a minor unit with: 6 means 1,000,000 minor units are 1 whole.
    pub decimals: u8,
    /// CAIP-19.
    #[schemars(with = "String")]
    pub id: AssetId,
    /// What people call it, such as `USDC`.
    #[schemars(with = "String")]
    pub symbol: Name,
}

/// Use of a daily limit, in minor units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Held by proposals that may still execute, without the one that is decided.
    pub reserved: u64,
    /// Executed.
    pub spent: u64,
}

/// An installation and its grant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Installation {
    /// The commands that the grant allows, such as `/proposal/payout`.
    pub capabilities: BTreeSet<String>,
    /// The grant ends at this moment.
    #[schemars(with = "u64")]
    pub expires_at: Time,
    /// It, or this action, is frozen in every tenant, or in this one.
    pub frozen: bool,
    /// When the admin granted it.
    #[schemars(with = "u64")]
    pub granted_at: Time,
    /// The installation's `did:key`.
    #[schemars(with = "String")]
    pub id: Did,
    /// Where it is in its life.
    pub state: InstallationState,
}

/// Where an installation is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InstallationState {
    /// May propose.
    Active,
    /// Paused by an admin; may be resumed.
    Suspended,
    /// Gone for good.
    Removed,
}

/// What a grant allows of one asset, in minor units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// In one UTC day.
    pub daily_total: u64,
    /// In one payout.
    pub max_per_payout: u64,
}

/// One line of what the payout is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LineItem {
    /// In minor units.
    pub amount: u64,
    /// For people.
    #[schemars(with = "String")]
    pub description: Name,
}

/// An order as the marketplace opened it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// What the buyer paid in, in minor units of `asset`.
    pub amount: u64,
    /// The asset that its escrow holds.
    #[schemars(with = "String")]
    pub asset: AssetId,
    /// What is left to pay out: the amount without what was paid out or is reserved by other proposals.
    pub available: u64,
    /// The marketplace's own id.
    #[schemars(with = "String")]
    pub id: OrderId,
    /// Who must get at least which share of every payout.
    pub royalties: Vec<Royalty>,
    /// Open orders can be paid out.
    pub state: OrderState,
}

/// Where an order is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrderState {
    /// Its escrow can be paid out.
    Open,
    /// Nothing is paid out any more.
    Closed,
}

/// The plugin that is installed, at the version that was granted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Plugin {
    /// The plugin is frozen in every tenant, or in this one.
    pub frozen: bool,
    /// Reverse-domain id.
    #[schemars(with = "String")]
    pub id: PluginId,
    /// Where the version is in its life. Always `active`: no statement suspends or withdraws a version, a freeze of the
    /// plugin stops it.
    pub state: PluginState,
    /// `major.minor.patch`.
    #[schemars(with = "String")]
    pub version: Version,
}

/// Where a plugin version is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PluginState {
    /// May be used.
    Active,
    /// Paused; may be resumed.
    Suspended,
    /// Gone for good.
    Withdrawn,
}

/// What the proposal itself names. The facts about it are in the fields beside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Proposal {
    /// CAIP-19 of the asset to pay out.
    #[schemars(with = "String")]
    pub asset: AssetId,
    /// The order to pay out from.
    #[schemars(with = "String")]
    pub order: OrderId,
    /// After this moment the payout can no longer execute.
    #[schemars(with = "u64")]
    pub valid_until: Time,
}

/// What a verification provider said of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Recipient {
    /// How well its owner is known; 0 is not at all.
    pub kyc_level: u8,
    /// Who says so.
    #[schemars(with = "String")]
    pub provider: Did,
    /// On a sanctions list.
    pub sanctioned: bool,
    /// The fact does not hold any more after this moment.
    #[schemars(with = "u64")]
    pub valid_until: Time,
}

/// A recipient that must get at least a share of every payout of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Royalty {
    /// The least share, in basis points.
    #[schemars(with = "u16")]
    pub bps: Bps,
    /// CAIP-10.
    #[schemars(with = "String")]
    pub recipient: AccountId,
}

/// One recipient's part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// The part in minor units, as the largest remainder method divides the total.
    pub amount: u64,
    /// The share in basis points.
    #[schemars(with = "u16")]
    pub bps: Bps,
    /// CAIP-10.
    #[schemars(with = "String")]
    pub recipient: AccountId,
}

/// The tenant whose money it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tenant {
    /// The tenant is frozen, or everything is.
    pub frozen: bool,
    /// The tenant's `did:key`.
    #[schemars(with = "String")]
    pub id: Did,
}

/// The invocation that carries the proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// Its expiration (UCAN `exp`).
    #[schemars(with = "u64")]
    pub expires_at: Time,
    /// Seconds from `now` to `expires_at`, 0 when it has expired.
    pub lifetime_left: u64,
}

impl Input {
    /// The compact JSON of this input, keys sorted: the bytes that [`Input::digest`] is over.
    pub fn canonical_json(&self) -> Vec<u8> {
        // Every map key is text and every number an integer, so serialisation to memory has no way to fail.
        let mut json = Vec::with_capacity(ORDINARY_JSON_BYTES);
        if serde_json::to_writer(&mut json, self).is_err() {
            json.clear();
        }
        json
    }

    /// SHA-256 of [`Input::canonical_json`].
    pub fn digest(&self) -> Digest {
        Digest::sha256(&self.canonical_json())
    }

    /// The JSON Schema (2020-12) of an input, pretty-printed with a final newline, as committed beside the policy.
    pub fn schema_json() -> String {
        let schema = schemars::schema_for!(Self);
        let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
        text.push('\n');
        text
    }
}
