use crate::{Authority, Budgets};
use domain::{AccountId, Amount, AssetId, Bps, Cid, Did, EscrowDomain, Name, OrderId, PluginId, Scale, Time, Version};
use imbl::OrdMap;
use policy::Engine;
use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc};
use ucan::{Delegation, Verified};

/// A marketplace and everything in its realm.
#[derive(Clone, Debug, Serialize)]
pub struct Tenant {
    /// Its name.
    pub name: Name,
    /// The escrow contract that pays out its orders.
    pub escrow: EscrowDomain,
    /// How many blocks must lie on top before its chain counts as final.
    pub confirmations: u64,
    /// How many distinct admins lift a freeze.
    pub lift_admins: u8,
    /// The assets that it deals in.
    pub assets: OrdMap<AssetId, Asset>,
    /// Installed plugins, by the installation's DID.
    pub installations: OrdMap<Did, Installation>,
    /// What providers said about recipients.
    pub recipients: OrdMap<AccountId, Verification>,
    /// Orders that hold funds in escrow.
    pub orders: OrdMap<OrderId, Order>,
    /// Reserved and spent amounts.
    pub budgets: Budgets,
    /// The policy that decides its proposals.
    pub policy: TenantPolicy,
    /// The tenant root's delegation of `/proposal` to the control plane's issuer key.
    #[serde(serialize_with = "as_cid")]
    pub delegation: Verified<Delegation>,
}

fn as_cid<S: serde::Serializer>(delegation: &Verified<Delegation>, serializer: S) -> Result<S::Ok, S::Error> {
    delegation.cid().serialize(serializer)
}

/// An asset of a tenant's table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asset {
    /// The asset.
    pub asset: AssetId,
    /// What people call it.
    pub symbol: Name,
    /// Decimal digits of a minor unit, for display.
    pub decimals: u8,
    /// Chain units per minor unit, as a power of ten.
    pub scale: Scale,
}

/// A plugin installed in a tenant: what an admin consented to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Installation {
    /// The plugin.
    pub plugin: PluginId,
    /// The version consented to.
    pub version: Version,
    /// Commands that it may invoke.
    pub capabilities: Vec<String>,
    /// Limits per asset; an asset without limits is not allowed.
    pub limits: OrdMap<AssetId, crate::Limits>,
    /// When it was granted.
    pub granted_at: Time,
    /// When it ends.
    pub expires_at: Time,
    /// The statement that granted it.
    pub grant: Cid,
    /// The admin who granted it.
    pub by: Did,
    /// Whether it works.
    pub state: InstallationState,
}

/// Whether an installation may propose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InstallationState {
    /// It may.
    Active,
    /// Not until an admin resumes it.
    Suspended,
    /// Never again under this grant.
    Removed,
}

/// What a verification provider said about a recipient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// Know-your-customer level, 0 is none.
    pub kyc_level: u8,
    /// On a sanctions list.
    pub sanctioned: bool,
    /// Not to be relied on after.
    pub valid_until: Time,
    /// By what authority it was said; the provider is its principal. The word counts no more once that is revoked.
    pub authority: Authority,
    /// The statement that said it.
    pub statement: Cid,
}

/// An order whose funds lie in escrow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Order {
    /// Who paid.
    pub buyer: AccountId,
    /// What lies in escrow.
    pub asset: AssetId,
    /// How much, in minor units.
    pub amount: Amount,
    /// Who must get a share of every payout.
    pub royalties: Vec<Royalty>,
    /// Whether payouts may still be proposed.
    pub open: bool,
}

/// A listing's royalty rule: this recipient gets at least this share of every payout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Royalty {
    /// Who must be paid.
    pub recipient: AccountId,
    /// At least this share.
    pub bps: Bps,
}

/// The active policy of a tenant, compiled.
#[derive(Clone)]
pub struct TenantPolicy {
    /// The compiled bundle; shared, never changed.
    pub engine: Arc<Engine>,
    /// The statement that activated it; `None` is the built-in bundle that a tenant starts with.
    pub statement: Option<Cid>,
}

impl fmt::Debug for TenantPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TenantPolicy").field(self.engine.bundle()).finish()
    }
}

impl Serialize for TenantPolicy {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.engine.bundle(), &self.statement).serialize(serializer)
    }
}
