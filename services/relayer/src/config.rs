use alloy::signers::local::PrivateKeySigner;
use client::{Ambient, Delegations, DelegationsError};
use domain::{ChainId, Did, NodeUrl};
use keyfile::{Identity, Kind, Passphrase};
use serde::Deserialize;
use std::{fmt, net::SocketAddr, path::PathBuf, time::Duration};

/// What an operator writes in the configuration file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Base URL of the control plane.
    pub control_plane: NodeUrl,
    /// Key of the log's sequencer, the audience of every statement.
    pub sequencer: Did,
    /// The operator's key, whose log it is.
    pub operator: Did,
    /// Key file of the relayer's node key.
    pub identity: PathBuf,
    /// Key file of the gas wallet.
    pub wallet: PathBuf,
    /// Folder of `*.ucan` files.
    pub delegations: PathBuf,
    /// RPC endpoints.
    pub chains: Vec<ChainConfig>,
    /// Where health and metrics are served; a loopback address.
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    /// Proposals that are signed and submitted at once.
    #[serde(default = "default_concurrency")]
    pub concurrency: usize,
}

/// How one chain is reached.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainConfig {
    /// EIP-155 id, checked against the endpoint.
    pub chain: ChainId,
    /// JSON-RPC endpoint; may hold an access key, so it is never logged.
    pub rpc: String,
    /// The most to pay per gas, in wei.
    #[serde(default = "default_max_fee")]
    pub max_fee_per_gas: u64,
    /// Milliseconds between looks for a new block.
    #[serde(default = "default_poll")]
    pub poll_ms: u64,
    /// Seconds after which a pending transaction is replaced by a dearer one.
    #[serde(default = "default_stuck")]
    pub stuck_after: u64,
}

/// Everything that a relayer needs, with its keys open.
#[derive(Debug)]
pub struct Config {
    /// Base URL of the control plane.
    pub control_plane: NodeUrl,
    /// Key of the log's sequencer.
    pub sequencer: Did,
    /// The operator's key.
    pub operator: Did,
    /// The node key.
    pub identity: Identity,
    /// Pays gas.
    pub wallet: PrivateKeySigner,
    /// What the relayer was entitled to.
    pub delegations: Delegations,
    /// RPC endpoints.
    pub chains: Vec<ChainConfig>,
    /// Where health and metrics are served.
    pub listen: SocketAddr,
    /// Proposals that are signed and submitted at once.
    pub concurrency: usize,
    /// Time and randomness.
    pub ambient: Ambient,
}

/// A relayer cannot start as configured.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A key file does not open.
    #[error(transparent)]
    Key(#[from] keyfile::OpenError),
    /// The wallet's secret is not a secp256k1 key.
    #[error("the gas wallet does not hold a secp256k1 key")]
    Wallet,
    /// The delegations folder cannot be read.
    #[error(transparent)]
    Delegations(#[from] DelegationsError),
    /// Health and metrics say more than strangers should know.
    #[error("listen must be a loopback address, not {0}")]
    NotLoopback(SocketAddr),
}

impl Settings {
    /// Opens the keys and reads the folders.
    pub fn open(self, passphrase: &Passphrase) -> Result<Config, OpenError> {
        if !self.listen.ip().is_loopback() {
            return Err(OpenError::NotLoopback(self.listen));
        }
        let identity = Identity::open(&self.identity, passphrase)?;
        let secret = keyfile::open(&self.wallet, passphrase, Kind::GAS_WALLET)?;
        let wallet = PrivateKeySigner::from_slice(&secret).map_err(|_| OpenError::Wallet)?;
        Ok(Config {
            control_plane: self.control_plane,
            sequencer: self.sequencer,
            operator: self.operator,
            identity,
            wallet,
            delegations: Delegations::load(&self.delegations)?,
            chains: self.chains,
            listen: self.listen,
            concurrency: self.concurrency.max(1),
            ambient: Ambient::system(),
        })
    }
}

impl ChainConfig {
    /// How often to look for a new block.
    pub(crate) const fn poll(&self) -> Duration {
        Duration::from_millis(self.poll_ms)
    }

    pub(crate) const fn stuck_after(&self) -> Duration {
        Duration::from_secs(self.stuck_after)
    }
}

impl fmt::Debug for ChainConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChainConfig").field("chain", &self.chain).finish_non_exhaustive()
    }
}

fn default_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 7720))
}

const fn default_concurrency() -> usize {
    16
}

/// 500 gwei: above what mainnet asked for in any calm week, below what would empty a wallet unseen.
const fn default_max_fee() -> u64 {
    500_000_000_000
}

const fn default_poll() -> u64 {
    1_000
}

const fn default_stuck() -> u64 {
    60
}
