//! What the control plane shows of its state, and what it answers to those who ask for tokens, proofs and simulations.

use crate::{Decision, LogEntryView, ProposalStatus, schema};
use domain::{
    AccountId, AdministrationAuthorisation, Amount, AssetId, Bps, Cid, Did, Digest, EscrowDomain, Name, OrderId,
    Payout, PluginId, Reason, Scale, Time, Version,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! views {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $ty:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $ty,)*
        }
    )*};
}

views! {
    /// A proposal as lists show it.
    ProposalSummary {
        /// The invocation's CID.
        #[schemars(with = "schema::Cid")]
        id: Cid,
        /// Its entry in the log.
        seq: u64,
        /// When it was decided.
        #[schemars(with = "schema::Time")]
        at: Time,
        /// The tenant whose money it moves.
        #[schemars(with = "schema::Did")]
        tenant: Did,
        /// The installation that it came through.
        #[schemars(with = "schema::Did")]
        installation: Did,
        /// The installation's plugin.
        #[schemars(with = "schema::PluginId")]
        plugin: PluginId,
        /// Kind of intent: `payout`.
        kind: String,
        /// The order whose escrow pays.
        #[schemars(with = "schema::OrderId")]
        order: OrderId,
        /// The asset to be paid.
        #[schemars(with = "schema::AssetId")]
        asset: AssetId,
        /// How much, in minor units.
        #[schemars(with = "schema::Amount")]
        total: Amount,
        /// Where it stands.
        status: ProposalStatus,
        /// The entry that last changed it.
        updated: u64,
    }
    /// An asset of a tenant's table.
    AssetView {
        /// The asset.
        #[schemars(with = "schema::AssetId")]
        asset: AssetId,
        /// What people call it.
        #[schemars(with = "schema::Name")]
        symbol: Name,
        /// Decimal digits of a minor unit, for display.
        decimals: u8,
        /// Chain units per minor unit, as a power of ten.
        #[schemars(with = "schema::Scale")]
        scale: Scale,
    }
    /// A tenant.
    TenantView {
        /// Its root key.
        #[schemars(with = "schema::Did")]
        tenant: Did,
        /// Its name.
        #[schemars(with = "schema::Name")]
        name: Name,
        /// The contract that pays its orders out.
        #[schemars(with = "schema::EscrowDomain")]
        escrow: EscrowDomain,
        /// Blocks that must lie on top of an execution.
        confirmations: u64,
        /// How many distinct admins lift a freeze.
        lift_admins: u8,
        /// The assets that it deals in.
        assets: Vec<AssetView>,
        /// Content address of the policy bundle in force.
        #[schemars(with = "schema::Digest")]
        bundle: Digest,
        /// The statement that activated the bundle; absent for the built-in one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<schema::Cid>")]
        activated_by: Option<Cid>,
        /// The tenant root's delegation to the control plane's issuer key.
        #[schemars(with = "schema::Cid")]
        delegation: Cid,
        /// How many installations it has.
        installations: u64,
        /// How many orders it has.
        orders: u64,
    }
    /// A publisher.
    PublisherView {
        /// Its key.
        #[schemars(with = "schema::Did")]
        publisher: Did,
        /// Its name.
        #[schemars(with = "schema::Name")]
        name: Name,
        /// Since when.
        #[schemars(with = "schema::Time")]
        since: Time,
    }
    /// A plugin with its versions.
    PluginView {
        /// Its id.
        #[schemars(with = "schema::PluginId")]
        plugin: PluginId,
        /// Who publishes it.
        #[schemars(with = "schema::Did")]
        publisher: Did,
        /// Its versions.
        versions: Vec<PluginVersionView>,
    }
    /// One manifest of a plugin.
    PluginVersionView {
        /// The version.
        #[schemars(with = "schema::Version")]
        version: Version,
        /// What it does, in the publisher's words.
        #[schemars(with = "schema::Reason")]
        description: Reason,
        /// What it asks for.
        capabilities: Vec<String>,
        /// Where its code starts.
        #[schemars(with = "schema::Name")]
        entry_point: Name,
        /// SHA-256 of its code.
        #[schemars(with = "schema::Digest")]
        code: Digest,
        /// The statement that published it.
        #[schemars(with = "schema::Cid")]
        statement: Cid,
        /// Since when.
        #[schemars(with = "schema::Time")]
        since: Time,
    }
    /// The limits of one asset, in minor units.
    LimitView {
        /// The asset.
        #[schemars(with = "schema::AssetId")]
        asset: AssetId,
        /// The most in one payout.
        #[schemars(with = "schema::Amount")]
        max_per_payout: Amount,
        /// The most in one UTC day.
        #[schemars(with = "schema::Amount")]
        daily_total: Amount,
    }
    /// An installation.
    InstallationView {
        /// Its key.
        #[schemars(with = "schema::Did")]
        installation: Did,
        /// The tenant that it is installed in.
        #[schemars(with = "schema::Did")]
        tenant: Did,
        /// Its plugin.
        #[schemars(with = "schema::PluginId")]
        plugin: PluginId,
        /// The version consented to.
        #[schemars(with = "schema::Version")]
        version: Version,
        /// Commands that it may invoke.
        capabilities: Vec<String>,
        /// How much it may move.
        limits: Vec<LimitView>,
        /// `active`, `suspended` or `removed`.
        state: String,
        /// When it was granted.
        #[schemars(with = "schema::Time")]
        granted_at: Time,
        /// When it ends.
        #[schemars(with = "schema::Time")]
        expires_at: Time,
        /// The statement that granted it.
        #[schemars(with = "schema::Cid")]
        grant: Cid,
        /// The admin who granted it.
        #[schemars(with = "schema::Did")]
        by: Did,
    }
    /// An order.
    OrderView {
        /// The tenant's id of it.
        #[schemars(with = "schema::OrderId")]
        order: OrderId,
        /// Who paid.
        #[schemars(with = "schema::AccountId")]
        buyer: AccountId,
        /// What lies in escrow.
        #[schemars(with = "schema::AssetId")]
        asset: AssetId,
        /// How much, in minor units.
        #[schemars(with = "schema::Amount")]
        amount: Amount,
        /// How much of it payouts have reserved or spent.
        used: u64,
        /// Who must get at least which share of every payout.
        royalties: Vec<RoyaltyView>,
        /// Whether payouts may still be proposed.
        open: bool,
    }
    /// A royalty rule of an order.
    RoyaltyView {
        /// Who must be paid.
        #[schemars(with = "schema::AccountId")]
        recipient: AccountId,
        /// At least this share.
        #[schemars(with = "schema::Bps")]
        bps: Bps,
    }
    /// How much of a limit is used. Exactly one of `installation` and `order` is there.
    BudgetView {
        /// The tenant.
        #[schemars(with = "schema::Did")]
        tenant: Did,
        /// The installation, when it is a daily limit.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<schema::Did>")]
        installation: Option<Did>,
        /// The asset.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<schema::AssetId>")]
        asset: Option<AssetId>,
        /// Days since the Unix epoch, when it is a daily limit.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        day: Option<u64>,
        /// The order, when it is an order's amount.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<schema::OrderId>")]
        order: Option<OrderId>,
        /// The most that reserved and spent may be together; absent when the grant sets no limit any more.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit: Option<u64>,
        /// Set aside for payouts that are neither final nor void.
        reserved: u64,
        /// Paid out, finally.
        spent: u64,
    }
    /// A freeze in force.
    FreezeView {
        /// Who the freeze belongs to: a tenant or the operator.
        #[schemars(with = "schema::Did")]
        realm: Did,
        /// What it stops, as in `/freeze/set`.
        scope: serde_json::Value,
        /// The statement that set it.
        #[schemars(with = "schema::Cid")]
        statement: Cid,
        /// Who set it.
        #[schemars(with = "schema::Did")]
        by: Did,
        /// Why.
        #[schemars(with = "schema::Reason")]
        reason: Reason,
        /// Since when.
        #[schemars(with = "schema::Time")]
        at: Time,
        /// Who has asked to lift it and still may.
        #[schemars(with = "Vec<schema::Did>")]
        lifts: Vec<Did>,
    }
    /// A change of an escrow contract that admins have asked for and that has not expired.
    AdministrationView {
        /// Names what is asked for; whoever asks for the same joins it.
        #[schemars(with = "schema::Digest")]
        id: Digest,
        /// Whose escrow contract changes.
        #[schemars(with = "schema::Did")]
        tenant: Did,
        /// The contract.
        #[schemars(with = "schema::EscrowDomain")]
        escrow: EscrowDomain,
        /// What changes, as in `/escrow/administer`.
        measure: serde_json::Value,
        /// The contract's `nonce()` at execution.
        nonce: u64,
        /// The contract refuses it after this moment.
        #[schemars(with = "schema::Time")]
        valid_until: Time,
        /// Why, in the words of who asked first.
        #[schemars(with = "schema::Reason")]
        reason: Reason,
        /// The entry that last changed it.
        updated: u64,
        /// Who has asked for it and still may.
        #[schemars(with = "Vec<schema::Did>")]
        admins: Vec<Did>,
        /// How many distinct admins must.
        needed: u8,
        /// What the quorum signs; absent until enough have asked. Whether it has executed, the contract says: its
        /// nonce is past this one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<schema::AdministrationAuthorisation>")]
        authorisation: Option<AdministrationAuthorisation>,
    }
    /// A draft of a payout, to be decided without being proposed.
    SimulationDraft {
        /// The tenant.
        #[schemars(with = "schema::Did")]
        tenant: Did,
        /// The installation that would propose it.
        #[schemars(with = "schema::Did")]
        installation: Did,
        /// The intent.
        #[schemars(with = "schema::Payout")]
        payout: Payout,
    }
    /// What policy would say now. Nothing was written and nothing reserved.
    SimulationReply {
        /// The decision.
        decision: Decision,
        /// The place in the log that it would get.
        seq: u64,
    }
    /// A short-lived delegation for an installation.
    TokenReply {
        /// CID of the delegation from the control plane's issuer key to the installation.
        #[schemars(with = "schema::Cid")]
        delegation: Cid,
        /// When it ends.
        #[schemars(with = "schema::Time")]
        expires_at: Time,
        /// A UCAN container, as text, with the tenant's delegation to the issuer key, the one above, and one for
        /// cancelling what was proposed.
        container: String,
    }
    /// Entries of the log.
    EntriesView {
        /// The entries, in order.
        entries: Vec<LogEntryView>,
        /// The newest entry's place; absent while the log is empty.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        head: Option<u64>,
    }
    /// An inclusion or consistency proof: RFC 6962 hashes in lower-case hex.
    ProofView {
        /// The hashes.
        #[schemars(with = "Vec<schema::Digest>")]
        hashes: Vec<Digest>,
    }
}

/// One line of the stream that follows the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FollowLine {
    /// The next entry.
    Entry(LogEntryView),
    /// A signed note (C2SP) over entries that came before it in the stream.
    Checkpoint(String),
}
