//! What the control plane shows of its state, and what it answers to those who ask for tokens, proofs and simulations.

use crate::{Decision, LogEntryView, ProposalStatus};
use domain::{
    AccountId, AdministrationAuthorisation, Amount, AssetId, Bps, Cid, Did, Digest, EscrowDomain, Name, OrderId,
    Payout, PluginId, Reason, Scale, Time, Version,
};
use serde::{Deserialize, Serialize};

macro_rules! views {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $ty:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
        id: Cid,
        /// Its entry in the log.
        seq: u64,
        /// When it was decided.
        at: Time,
        /// The tenant whose money it moves.
        tenant: Did,
        /// The installation that it came through.
        installation: Did,
        /// The installation's plugin.
        plugin: PluginId,
        /// Kind of intent: `payout`.
        kind: String,
        /// The order whose escrow pays.
        order: OrderId,
        /// The asset to be paid.
        asset: AssetId,
        /// How much, in minor units.
        total: Amount,
        /// Where it stands.
        status: ProposalStatus,
        /// The entry that last changed it.
        updated: u64,
    }
    /// An asset of a tenant's table.
    AssetView {
        /// The asset.
        asset: AssetId,
        /// What people call it.
        symbol: Name,
        /// Decimal digits of a minor unit, for display.
        decimals: u8,
        /// Chain units per minor unit, as a power of ten.
        scale: Scale,
    }
    /// A tenant.
    TenantView {
        /// Its root key.
        tenant: Did,
        /// Its name.
        name: Name,
        /// The contract that pays its orders out.
        escrow: EscrowDomain,
        /// Blocks that must lie on top of an execution.
        confirmations: u64,
        /// How many distinct admins lift a freeze.
        lift_admins: u8,
        /// The assets that it deals in.
        assets: Vec<AssetView>,
        /// Content address of the policy bundle in force.
        bundle: Digest,
        /// The statement that activated the bundle; absent for the built-in one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        activated_by: Option<Cid>,
        /// The tenant root's delegation to the control plane's issuer key.
        delegation: Cid,
        /// How many installations it has.
        installations: u64,
        /// How many orders it has.
        orders: u64,
    }
    /// A publisher.
    PublisherView {
        /// Its key.
        publisher: Did,
        /// Its name.
        name: Name,
        /// Since when.
        since: Time,
    }
    /// A plugin with its versions.
    PluginView {
        /// Its id.
        plugin: PluginId,
        /// Who publishes it.
        publisher: Did,
        /// Its versions.
        versions: Vec<PluginVersionView>,
    }
    /// One manifest of a plugin.
    PluginVersionView {
        /// The version.
        version: Version,
        /// What it does, in the publisher's words.
        description: Reason,
        /// What it asks for.
        capabilities: Vec<String>,
        /// Where its code starts.
        entry_point: Name,
        /// SHA-256 of its code.
        code: Digest,
        /// The statement that published it.
        statement: Cid,
        /// Since when.
        since: Time,
    }
    /// The limits of one asset, in minor units.
    LimitView {
        /// The asset.
        asset: AssetId,
        /// The most in one payout.
        max_per_payout: Amount,
        /// The most in one UTC day.
        daily_total: Amount,
    }
    /// An installation.
    InstallationView {
        /// Its key.
        installation: Did,
        /// The tenant that it is installed in.
        tenant: Did,
        /// Its plugin.
        plugin: PluginId,
        /// The version consented to.
        version: Version,
        /// Commands that it may invoke.
        capabilities: Vec<String>,
        /// How much it may move.
        limits: Vec<LimitView>,
        /// `active`, `suspended` or `removed`.
        state: String,
        /// When it was granted.
        granted_at: Time,
        /// When it ends.
        expires_at: Time,
        /// The statement that granted it.
        grant: Cid,
        /// The admin who granted it.
        by: Did,
    }
    /// An order.
    OrderView {
        /// The tenant's id of it.
        order: OrderId,
        /// Who paid.
        buyer: AccountId,
        /// What lies in escrow.
        asset: AssetId,
        /// How much, in minor units.
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
        recipient: AccountId,
        /// At least this share.
        bps: Bps,
    }
    /// How much of a limit is used. Exactly one of `installation` and `order` is there.
    BudgetView {
        /// The tenant.
        tenant: Did,
        /// The installation, when it is a daily limit.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        installation: Option<Did>,
        /// The asset.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        asset: Option<AssetId>,
        /// Days since the Unix epoch, when it is a daily limit.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        day: Option<u64>,
        /// The order, when it is an order's amount.
        #[serde(default, skip_serializing_if = "Option::is_none")]
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
        realm: Did,
        /// What it stops, as in `/freeze/set`.
        scope: serde_json::Value,
        /// The statement that set it.
        statement: Cid,
        /// Who set it.
        by: Did,
        /// Why.
        reason: Reason,
        /// Since when.
        at: Time,
        /// Who has asked to lift it so far.
        lifts: Vec<Did>,
    }
    /// A change of an escrow contract that admins have asked for and that has not expired.
    AdministrationView {
        /// Names what is asked for; whoever asks for the same joins it.
        id: Digest,
        /// Whose escrow contract changes.
        tenant: Did,
        /// The contract.
        escrow: EscrowDomain,
        /// What changes, as in `/escrow/administer`.
        measure: serde_json::Value,
        /// The contract's `nonce()` at execution.
        nonce: u64,
        /// The contract refuses it after this moment.
        valid_until: Time,
        /// Why, in the words of who asked first.
        reason: Reason,
        /// The entry that last changed it.
        updated: u64,
        /// Who has asked for it and still may.
        admins: Vec<Did>,
        /// How many distinct admins must.
        needed: u8,
        /// What the quorum signs; absent until enough have asked. Whether it has executed, the contract says: its
        /// nonce is past this one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        authorisation: Option<AdministrationAuthorisation>,
    }
    /// A draft of a payout, to be decided without being proposed.
    SimulationDraft {
        /// The tenant.
        tenant: Did,
        /// The installation that would propose it.
        installation: Did,
        /// The intent.
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
        delegation: Cid,
        /// When it ends.
        expires_at: Time,
        /// A UCAN container, as text, with the tenant's delegation to the issuer key and the one above.
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
        hashes: Vec<Digest>,
    }
}

/// One line of the stream that follows the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FollowLine {
    /// The next entry.
    Entry(LogEntryView),
    /// A signed note (C2SP) over entries that came before it in the stream.
    Checkpoint(String),
}
