//! Nouns of Countersign: identifiers, money, accounts and intents.
//!
//! Every value that enters the system is parsed once into one of these types; what has a value of a type here is
//! well-formed by construction. This crate does no I/O and knows no clock, no tokens, no SQL and no chain.

mod account;
mod amount;
mod authorisation;
mod cid;
mod did;
mod digest;
mod name;
mod payout;
mod split;
mod time;

pub use account::{AccountId, Address, AssetId, AssetKind, ChainId, ParseAccountError};
pub use amount::{Amount, ChainAmount, MAX_AMOUNT, ParseAmountError, Scale, Total};
pub use authorisation::{AdministrationAuthorisation, ContractMeasure, EscrowDomain, PayoutAuthorisation};
pub use cid::{Cid, ParseCidError};
pub use did::{Did, ParseDidError};
pub use digest::{Digest, ParseDigestError};
pub use name::{Name, NodeUrl, OrderId, ParseNameError, PluginId, Reason, Version};
pub use payout::{LineItem, MAX_LINE_ITEMS, MAX_SPLITS, Payout, Split};
pub use split::{Bps, FULL_BPS, SplitError, largest_remainder};
pub use time::Time;
