//! A receipt: one JSON file that proves one payout from end to end, offline.
//!
//! [`verify`] needs the file and the operator's DID and nothing else: no network, no clock, no database. It proves that
//!
//! * the log that the operator's key began holds every entry of the file: inclusion proofs under one checkpoint, which
//!   the log's own key and the quorum have signed;
//! * every statement is signed and its chain of delegations entitled its issuer when it got its place: the operator for
//!   the quorum and the tenant, the tenant for everything about the payout;
//! * policy's answer was to allow the payout, or to have people review it, and then as many different people as it asked
//!   for approved this intent and this decision;
//! * the quorum signed exactly this payout: asset, escrow contract, recipients, amounts and validity are computed again
//!   from the tenant's entry and the proposal, and the signature over their EIP-712 digest is the group's;
//! * t different signers of that quorum attest that one transaction executed it.
//!
//! What one file cannot prove is that policy was asked about the right facts: that the budget, the order and the
//! recipients' verification were what the decision's input digest says. That takes the whole log. The quorum's signature
//! under the checkpoint stands for it: t of n replicas decided every entry below that root again and agreed. For the same
//! reason a receipt does not show that no other entry revoked a key, withdrew an approval or corrected an attestation
//! ([`Summary::approvers`] may name somebody who withdrew before the payout was executed), and does not look at the chain:
//! that the transaction exists is the word of t signers.
//!
//! [`Builder`] makes receipts from entries and proofs that it is given, of approvals and attestations that the ledger
//! counted.

mod builder;
mod error;
mod file;
mod verify;

pub use builder::{BuildError, Builder, Plan};
pub use error::{ReceiptError, Step};
pub use file::{Bytes, MAX_RECEIPT_BYTES, ProvenEntry, Receipt, VERSION};
pub use verify::{Payment, Roots, Summary, verify};
