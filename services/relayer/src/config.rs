use alloy::{signers::local::PrivateKeySigner, transports::http::reqwest::Url};
use client::{Ambient, Delegations};
use domain::{ChainId, Did, NodeUrl};
use keyfile::Identity;
use serving::ConfigError;
use std::{
    collections::BTreeSet,
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    num::NonZeroU64,
    ops::RangeInclusive,
    str::FromStr,
    time::Duration,
};

/// Where health and metrics are served unless told otherwise.
pub const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7720);
/// Proposals that are signed and submitted at once, unless told otherwise.
pub const DEFAULT_CONCURRENCY: usize = 16;
/// Far above what signers keep up with.
const MAX_CONCURRENCY: usize = 1024;
/// Milliseconds: more looks are a load that an endpoint ends by refusing, fewer miss what time a payout has.
const POLLS: RangeInclusive<u64> = 10..=60_000;
/// Seconds: a transaction is not replaced before it can be seen, and not left alone for more than a day.
const STUCK_AFTER: RangeInclusive<u64> = 1..=86_400;

/// Everything that a relayer needs, with its keys open.
#[derive(Debug)]
pub struct Config {
    /// Base URL of the control plane.
    pub control_plane: NodeUrl,
    /// Key of the log's sequencer, the audience of every statement.
    pub sequencer: Did,
    /// The operator's key, whose log it is.
    pub operator: Did,
    /// The node key.
    pub identity: Identity,
    /// Pays gas.
    pub wallet: PrivateKeySigner,
    /// What the relayer was entitled to.
    pub delegations: Delegations,
    /// RPC endpoints, one for each chain.
    pub chains: Vec<ChainConfig>,
    /// Where health and metrics are served; a loopback address.
    pub listen: SocketAddr,
    /// Proposals that are signed and submitted at once.
    pub concurrency: usize,
    /// Time and randomness.
    pub ambient: Ambient,
}

/// How one chain is reached.
#[derive(Clone)]
pub struct ChainConfig {
    /// EIP-155 id, checked against the endpoint.
    pub chain: ChainId,
    /// JSON-RPC endpoint.
    pub rpc: RpcUrl,
    /// The most to pay per gas, in wei.
    pub max_fee_per_gas: NonZeroU64,
    /// Milliseconds between looks for a new block.
    pub poll_ms: NonZeroU64,
    /// Seconds after which a pending transaction is replaced by a dearer one.
    pub stuck_after: NonZeroU64,
}

/// URL of a JSON-RPC endpoint, `http` or `https`; may hold an access key, so it is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct RpcUrl(Url);

/// A text is not the URL of an RPC endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected the URL of a JSON-RPC endpoint, http:// or https://")]
pub struct ParseRpcUrlError;

/// Parts of a configuration, some of which may be missing: what is there is checked all the same.
#[derive(Debug, Default)]
pub struct Parts<'a> {
    /// See [`Config::listen`].
    pub listen: Option<SocketAddr>,
    /// See [`Config::concurrency`].
    pub concurrency: Option<usize>,
    /// See [`Config::chains`].
    pub chains: Option<&'a [ChainConfig]>,
}

impl Parts<'_> {
    /// Names every setting that is wrong.
    pub fn check(&self) -> Vec<ConfigError> {
        let mut wrong = Vec::new();
        let mut say = |setting, reason: String| wrong.push(ConfigError { setting, reason });
        // Health and metrics say more than strangers should know.
        if let Some(listen) = self.listen.filter(|listen| !listen.ip().is_loopback()) {
            say("listen", format!("a loopback address, not {listen}"));
        }
        if self.concurrency.is_some_and(|n| !(1..=MAX_CONCURRENCY).contains(&n)) {
            say("concurrency", format!("1 to {MAX_CONCURRENCY}"));
        }
        if self.chains.is_some_and(<[_]>::is_empty) {
            say("chains", "name at least one".to_owned());
        }
        let mut named = BTreeSet::new();
        for chain in self.chains.into_iter().flatten().filter(|chain| !named.insert(chain.chain)) {
            say("chains", format!("{} is named twice", chain.chain));
        }
        for chain in self.chains.into_iter().flatten() {
            for (name, value, range) in
                [("poll_ms", chain.poll_ms, POLLS), ("stuck_after", chain.stuck_after, STUCK_AFTER)]
            {
                if !range.contains(&value.get()) {
                    let (least, most) = range.into_inner();
                    say("chains", format!("{name} of {} is not between {least} and {most}", chain.chain));
                }
            }
        }
        wrong
    }
}

impl Config {
    pub(crate) fn check(&self) -> Vec<ConfigError> {
        let (listen, concurrency) = (Some(self.listen), Some(self.concurrency));
        Parts { listen, concurrency, chains: Some(&self.chains) }.check()
    }
}

/// The most to pay per gas, unless told otherwise, in wei. 500 gwei: above what mainnet asked for in any calm week, below what would empty a wallet unseen.
pub const MAX_FEE: NonZeroU64 = NonZeroU64::MIN.saturating_add(500_000_000_000 - 1);
/// Milliseconds between looks for a new block, unless told otherwise: twelve looks in a block of the main chain.
pub const POLL: NonZeroU64 = NonZeroU64::MIN.saturating_add(1_000 - 1);
/// Seconds until a transaction is replaced by a dearer one, unless told otherwise: five blocks of the main chain.
pub const STUCK: NonZeroU64 = NonZeroU64::MIN.saturating_add(60 - 1);

impl ChainConfig {
    /// A chain with [`MAX_FEE`], [`POLL`] and [`STUCK`].
    pub const fn new(chain: ChainId, rpc: RpcUrl) -> Self {
        Self { chain, rpc, max_fee_per_gas: MAX_FEE, poll_ms: POLL, stuck_after: STUCK }
    }

    /// The most to pay per gas, in wei.
    pub(crate) fn max_fee(&self) -> u128 {
        self.max_fee_per_gas.get().into()
    }

    /// How often to look for a new block.
    pub(crate) const fn poll(&self) -> Duration {
        Duration::from_millis(self.poll_ms.get())
    }

    pub(crate) const fn stuck_after(&self) -> Duration {
        Duration::from_secs(self.stuck_after.get())
    }
}

impl RpcUrl {
    pub(crate) fn url(&self) -> Url {
        self.0.clone()
    }
}

impl FromStr for RpcUrl {
    type Err = ParseRpcUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url: Url = text.parse().map_err(|_| ParseRpcUrlError)?;
        if matches!(url.scheme(), "http" | "https") { Ok(Self(url)) } else { Err(ParseRpcUrlError) }
    }
}

impl fmt::Debug for RpcUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RpcUrl(…)")
    }
}

impl fmt::Debug for ChainConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChainConfig").field("chain", &self.chain).finish_non_exhaustive()
    }
}
