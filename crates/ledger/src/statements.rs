//! One module per noun: the args of its commands and what they do.

pub mod approval;
pub mod escrow;
pub mod execution;
pub mod freeze;
pub mod installation;
pub mod log;
pub mod order;
pub mod plugin;
pub mod policy;
pub mod proposal;
pub mod publisher;
pub mod quorum;
pub mod recipient;
pub mod signer;
pub mod tenant;
pub mod ucan;
