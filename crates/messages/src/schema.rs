//! JSON Schemas of what the API takes and answers. The domain's types have their text forms described here, so that
//! they need to know nothing of schemas.

#![expect(dead_code, reason = "these types are described and never made")]

use crate::{
    AdministrationView, BudgetView, EntriesView, FollowLine, FreezeView, Health, InstallationView, OrderView, PageOf,
    PluginView, Problem, ProofView, ProposalSummary, ProposalView, PublisherView, SimulationDraft, SimulationReply,
    SubmitReply, TenantView, TokenReply,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings, json_schema};
use serde_json::{Map, Value};
use std::borrow::Cow;

macro_rules! nouns {
    ($($name:ident { $($schema:tt)* })*) => {$(
        pub(crate) struct $name;

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ $($schema)* })
            }
        }
    )*};
}

nouns! {
    Cid { "type": "string", "pattern": "^bafyrei[a-z2-7]{52}$", "description": "A CIDv1: base32, dag-cbor, sha2-256." }
    Did {
        "type": "string",
        "pattern": "^did:key:z6Mk[1-9A-HJ-NP-Za-km-z]{44}$",
        "description": "An Ed25519 key as did:key."
    }
    Digest { "type": "string", "pattern": "^[0-9a-f]{64}$", "description": "32 bytes in lower-case hex." }
    Time { "type": "integer", "minimum": 0, "description": "Seconds since the Unix epoch." }
    Address { "type": "string", "pattern": "^0x[0-9a-f]{40}$", "description": "An EVM address in lower case." }
    AccountId {
        "type": "string",
        "pattern": "^eip155:[1-9][0-9]*:0x[0-9a-f]{40}$",
        "description": "An account: CAIP-10 in the eip155 namespace, in lower case."
    }
    AssetId {
        "type": "string",
        "pattern": "^eip155:[1-9][0-9]*/(slip44:60|erc20:0x[0-9a-f]{40})$",
        "description": "An asset: CAIP-19 in the eip155 namespace, in lower case."
    }
    Amount {
        "type": "integer",
        "minimum": 1,
        "maximum": 9_007_199_254_740_991_u64,
        "description": "Minor units of an asset."
    }
    ChainAmount {
        "type": "string",
        "pattern": "^(0|[1-9][0-9]{0,38})$",
        "description": "The chain's smallest units, in decimal."
    }
    Bps { "type": "integer", "minimum": 1, "maximum": 10_000, "description": "A share in basis points." }
    Scale { "type": "integer", "minimum": 0, "maximum": 18, "description": "A power of ten." }
    Name { "type": "string", "minLength": 1, "maxLength": 100 }
    Reason { "type": "string", "minLength": 1, "maxLength": 500 }
    OrderId { "type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$" }
    PluginId {
        "type": "string",
        "maxLength": 100,
        "pattern": "^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$",
        "description": "A reverse-domain id."
    }
    Version { "type": "string", "maxLength": 32, "pattern": "^[0-9]+\\.[0-9]+\\.[0-9]+$" }
    NodeUrl { "type": "string", "pattern": "^https?://[A-Za-z0-9.:\\[\\]-]{1,253}$", "description": "A node's base URL." }
}

macro_rules! objects {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $ty:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(JsonSchema)]
        #[schemars(deny_unknown_fields)]
        pub(crate) struct $name {
            $($(#[$field_doc])* $field: $ty,)*
        }
    )*};
}

objects! {
    /// Where an authorisation is valid: one escrow contract.
    EscrowDomain {
        /// EIP-155 chain id.
        chain: u64,
        /// The contract.
        contract: Address,
    }
    /// What the quorum signs for a payout: the contract's EIP-712 struct, in chain units.
    PayoutAuthorisation {
        /// The contract that may execute it.
        domain: EscrowDomain,
        /// The digest inside the proposal's CID.
        intent: Digest,
        /// SHA-256 of the installation's DID text.
        installation: Digest,
        /// SHA-256 of the order id text.
        order: Digest,
        /// The token, or zero for the native coin.
        asset: Address,
        /// In the order of the proposal's splits.
        recipients: Vec<Address>,
        /// What each gets.
        amounts: Vec<ChainAmount>,
        /// The contract refuses it after this moment.
        valid_until: Time,
        /// The epoch of the group key that signs it.
        epoch: u64,
    }
    /// What the quorum signs for a change of an escrow contract: the contract's EIP-712 struct.
    AdministrationAuthorisation {
        /// The contract that may execute it.
        domain: EscrowDomain,
        /// What changes.
        measure: ContractMeasure,
        /// The contract's `nonce()` at execution, which uses it up.
        nonce: u64,
        /// The contract refuses it after this moment.
        valid_until: Time,
        /// The epoch of the group key that signs it.
        epoch: u64,
    }
    /// The intent to pay an order's escrowed funds out: the args of `/proposal/payout`.
    Payout {
        /// The order whose escrow pays.
        order: OrderId,
        /// The asset paid out.
        asset: AssetId,
        /// The whole, in minor units.
        total: Amount,
        /// Who gets which share; shares sum to 10,000 and recipients are distinct.
        #[schemars(length(min = 1, max = 16))]
        splits: Vec<Split>,
        /// What it is for; when present the items sum to the total.
        #[schemars(length(max = 50))]
        #[serde(skip_serializing_if = "Vec::is_empty")]
        line_items: Vec<LineItem>,
        /// After this moment it can no longer execute on chain.
        valid_until: Time,
    }
    /// One recipient's share of a payout.
    Split {
        /// Who is paid.
        recipient: AccountId,
        /// The share.
        bps: Bps,
    }
    /// One line of what a payout is for.
    LineItem {
        /// What was sold or done.
        description: Name,
        /// Its price in minor units.
        amount: Amount,
    }
    /// The signers of the active epoch.
    Quorum {
        /// Counts key changes, from 1.
        epoch: u64,
        /// How many sign together.
        threshold: u16,
        /// Everyone, by identifier.
        participants: Vec<QuorumMember>,
        /// The group's verifying keys.
        keys: QuorumKeys,
        /// The public key packages behind them.
        packages: QuorumPackages,
    }
    /// One signer of the quorum.
    QuorumMember {
        /// FROST identifier, 1 to 255.
        id: u16,
        /// The node's key.
        node: Did,
        /// Where it listens.
        url: NodeUrl,
    }
    /// The group's verifying keys.
    QuorumKeys {
        /// 33 bytes of a compressed point in lower-case hex.
        secp256k1: String,
        /// As a DID.
        ed25519: Did,
    }
    /// Public key packages in stored form, lower-case hex.
    QuorumPackages {
        /// Of FROST(secp256k1, SHA-256).
        secp256k1: String,
        /// Of FROST(Ed25519, SHA-512).
        ed25519: String,
    }
}

/// A change of an escrow contract, in the contract's terms.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum ContractMeasure {
    /// Lifts the contract's freeze.
    Thaw {
        /// Who may freeze from then on.
        guardian: Address,
    },
    /// Changes an asset's daily cap.
    SetCap {
        /// Token address, or zero for the native coin.
        asset: Address,
        /// The most that may be paid out in one UTC day, in chain units; zero stops the asset.
        cap: ChainAmount,
    },
}

/// The schemas of every body that the control plane takes or answers, and of what they are made of, by name: the
/// `components.schemas` of an OpenAPI 3.1 document (JSON Schema 2020-12).
pub fn schemas() -> Map<String, Value> {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let mut all = settings.with(|s| s.definitions_path = "/components/schemas".into()).into_generator();
    macro_rules! describe {
        ($($ty:ty,)*) => { $(drop(all.subschema_for::<$ty>());)* };
    }
    describe! {
        Problem, SubmitReply, ProposalView, SimulationDraft, SimulationReply, TokenReply, TenantView, InstallationView,
        Quorum, EntriesView, FollowLine, ProofView, Health, PageOf<ProposalSummary>, PageOf<TenantView>,
        PageOf<PluginView>, PageOf<PublisherView>, PageOf<InstallationView>, PageOf<OrderView>, PageOf<BudgetView>,
        PageOf<FreezeView>, PageOf<AdministrationView>,
    }
    all.take_definitions(true)
}
