//! Carries signatures to the chain. Has no authority.
//!
//! The relayer follows the log, gathers the quorum's signature for every approved proposal, submits it to the escrow
//! contract with its own gas wallet and reports what it saw. Approved changes of escrow contracts go the same way. It keeps no state: what is to be done follows from log
//! and chain, so it may be killed at any moment and any number of relayers may run at once. Everything it could get
//! wrong is checked by somebody else: signers compute the message themselves, the contract executes an intent once, and
//! a budget moves only when signers attest. Start at [`run`].

mod administrator;
mod appointment;
mod backoff;
mod carrier;
mod chain;
mod config;
mod cosigner;
mod dispatcher;
mod fees;
mod gas_account;
mod gather;
mod hold_off;
mod horizon;
mod observability;
mod origin;
mod places;
mod quorum;
mod reporter;
mod service;
mod survey;

pub use config::{
    ChainConfig, Config, DEFAULT_CONCURRENCY, DEFAULT_LISTEN, MAX_FEE, POLL, ParseRpcUrlError, Parts, RpcUrl, STUCK,
};
pub use gas_account::wallet_address;
pub use gather::{Culprit, Gathered, Panel, Patience, Unsigned, gather};
pub use horizon::Horizon;
pub use service::{RunError, run};
pub use serving::ConfigError;
