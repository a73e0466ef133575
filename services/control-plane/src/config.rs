use domain::Did;
use ed25519_dalek::SigningKey;
use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

/// Where the API listens unless told otherwise: this machine only.
pub const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 7700);

/// What one control plane needs to run. Made by [`Config::new`], checked when the server starts.
#[derive(Clone)]
pub struct Config {
    /// Where the API listens; port 0 takes any free one.
    pub listen: SocketAddr,
    /// `sqlite:PATH` or `postgres://…`.
    pub database: String,
    /// The root of the log's authority.
    pub operator: Did,
    /// Audience of every statement, signer of every checkpoint.
    pub sequencer: SigningKey,
    /// Passes grants on to installations, for minutes.
    pub issuer: SigningKey,
    /// A file outside the database that holds the newest checkpoint, so that a database that lost its tail is noticed.
    pub anchor: PathBuf,
    /// Names this process among those that may lead the log. A restart under the same name need not wait for the lease.
    pub holder: String,
    /// Start although the log has entries and the anchor file is missing. Only for a restored database, once.
    pub accept_missing_anchor: bool,
    /// What it takes on.
    pub limits: Limits,
}

/// Longest lease in seconds: for so long a log may stay without a leader.
pub(crate) const MAX_LEASE: u64 = 300;

/// What the service takes on before it says no.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a proposal's container. A payout with 16 splits, 50 line items and its chain is below 12 KiB.
    pub proposal_bytes: usize,
    /// Bytes of any other statement's container. A policy bundle is the largest.
    pub statement_bytes: usize,
    /// Connections at once; more are answered 503, and those that are open stay. Followers of the log count.
    pub connections: usize,
    /// How long the head of a request may take to come; a client that holds a connection without one is cut off.
    pub head: Duration,
    /// Requests in work at once; more are answered 503.
    pub in_flight: usize,
    /// Requests of one issuer in work at once; more are answered 429, so that one key cannot crowd out the others.
    pub in_flight_per_issuer: usize,
    /// Statements that wait for their place in the log; more are answered 503.
    pub queue: usize,
    /// Statements per commit.
    pub batch: usize,
    /// Live followers of the log.
    pub followers: usize,
    /// Verified delegations that are kept.
    pub cached_delegations: usize,
    /// How long a request may take.
    pub request: Duration,
    /// How long a statement may wait for its commit before the answer is that its fate is not known yet.
    pub commit: Duration,
    /// How long the lease lasts without renewal, in seconds.
    pub lease: u64,
    /// How long requests in work are waited for at shutdown.
    pub shutdown: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            proposal_bytes: 16 * 1024,
            statement_bytes: messages::MAX_STATEMENT,
            connections: serving::CONNECTIONS,
            head: serving::HEAD,
            in_flight: 4096,
            in_flight_per_issuer: 2048,
            queue: 4096,
            batch: 512,
            followers: 64,
            cached_delegations: 65_536,
            request: Duration::from_secs(15),
            commit: Duration::from_secs(10),
            lease: 10,
            shutdown: Duration::from_secs(20),
        }
    }
}

/// A configuration contradicts itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// One key plays two parts.
    #[error("operator, sequencer key and issuer key are three different keys")]
    SharedKey,
    /// The holder's name is empty or too long.
    #[error("holder has 1 to 256 characters")]
    Holder,
    /// A limit is zero, or larger than what it is part of.
    #[error("limits.{0} is out of range")]
    Limit(&'static str),
    /// The anchor path names no file.
    #[error("anchor is the path of a file")]
    Anchor,
}

impl Config {
    /// A configuration with default limits that listens on [`DEFAULT_LISTEN`]. The keys are Ed25519 secret keys.
    pub fn new(
        database: impl Into<String>,
        operator: Did,
        sequencer: &[u8; 32],
        issuer: &[u8; 32],
        anchor: PathBuf,
    ) -> Self {
        Self {
            listen: DEFAULT_LISTEN,
            database: database.into(),
            operator,
            sequencer: SigningKey::from_bytes(sequencer),
            issuer: SigningKey::from_bytes(issuer),
            anchor,
            holder: "control-plane".to_owned(),
            accept_missing_anchor: false,
            limits: Limits::default(),
        }
    }

    /// The DID of the sequencer key.
    pub fn sequencer_did(&self) -> Did {
        Did::from_key(self.sequencer.verifying_key().to_bytes())
    }

    /// The DID of the issuer key.
    pub fn issuer_did(&self) -> Did {
        Did::from_key(self.issuer.verifying_key().to_bytes())
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let (sequencer, issuer) = (self.sequencer_did(), self.issuer_did());
        if sequencer == issuer || sequencer == self.operator || issuer == self.operator {
            return Err(ConfigError::SharedKey);
        }
        if !(1..=256).contains(&self.holder.chars().count()) {
            return Err(ConfigError::Holder);
        }
        if self.anchor.file_name().is_none() {
            return Err(ConfigError::Anchor);
        }
        self.limits.check()
    }
}

impl Limits {
    fn check(&self) -> Result<(), ConfigError> {
        let counts = [
            ("proposal_bytes", self.proposal_bytes),
            ("statement_bytes", self.statement_bytes),
            ("connections", self.connections),
            ("in_flight", self.in_flight),
            ("in_flight_per_issuer", self.in_flight_per_issuer),
            ("queue", self.queue),
            ("batch", self.batch),
            ("followers", self.followers),
            ("cached_delegations", self.cached_delegations),
        ];
        if let Some((name, _)) = counts.into_iter().find(|(_, n)| *n == 0) {
            return Err(ConfigError::Limit(name));
        }
        if self.head.is_zero() {
            return Err(ConfigError::Limit("head"));
        }
        // A transaction of more entries holds the database longer than a request may wait.
        if self.batch > 4096 {
            return Err(ConfigError::Limit("batch"));
        }
        if self.commit.is_zero() || self.commit > self.request {
            return Err(ConfigError::Limit("commit"));
        }
        if !(2..=MAX_LEASE).contains(&self.lease) {
            return Err(ConfigError::Limit("lease"));
        }
        Ok(())
    }
}

impl fmt::Debug for Config {
    // The database URL may hold a password, and keys are nobody's business.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("listen", &self.listen)
            .field("operator", &self.operator)
            .field("sequencer", &self.sequencer_did())
            .field("issuer", &self.issuer_did())
            .field("anchor", &self.anchor)
            .field("holder", &self.holder)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
