use domain::Did;
use ed25519_dalek::SigningKey;
use serving::ConfigError;
use std::{
    fmt, fs, io,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};
use storage::Storage;

/// Where the API listens unless told otherwise: this machine only.
pub const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 7700);

/// The name of the process that leads the log, unless told otherwise. See [`default_holder`].
pub const DEFAULT_HOLDER: &str = "control-plane";

/// Where Linux tells the name of the host.
const HOSTNAME: &str = "/proc/sys/kernel/hostname";

/// A name for the process that leads the log which differs between hosts: `control-plane@HOST`, or [`DEFAULT_HOLDER`]
/// where the host tells no name. Reads a file.
pub fn default_holder() -> String {
    let host = fs::read_to_string(HOSTNAME).unwrap_or_default();
    match host.trim() {
        "" => DEFAULT_HOLDER.to_owned(),
        host => format!("{DEFAULT_HOLDER}@{host}"),
    }
}

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
    /// Names this process among those that may lead the log. A restart under the same name need not wait for the lease;
    /// what keeps two processes of one name apart is the lock beside the anchor, so each host needs a name of its own.
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

/// Parts of a configuration, some of which may be missing: what is there is checked all the same.
#[derive(Debug, Default)]
pub struct Parts<'a> {
    /// See [`Config::database`].
    pub database: Option<&'a str>,
    /// See [`Config::operator`].
    pub operator: Option<Did>,
    /// See [`Config::sequencer_did`].
    pub sequencer: Option<Did>,
    /// See [`Config::issuer_did`].
    pub issuer: Option<Did>,
    /// See [`Config::anchor`].
    pub anchor: Option<&'a Path>,
    /// See [`Config::holder`].
    pub holder: Option<&'a str>,
    /// See [`Config::limits`].
    pub limits: Option<&'a Limits>,
    /// Files that the service reads and must not write over, each with its setting.
    pub read: &'a [(&'static str, &'a Path)],
}

impl Parts<'_> {
    /// Names every setting that is wrong.
    pub fn check(&self) -> Vec<ConfigError> {
        let mut wrong = Vec::new();
        let mut say = |setting, reason: &str| wrong.push(ConfigError { setting, reason: reason.to_owned() });
        let shared = "operator, sequencer and issuer are three different keys";
        if self.sequencer.is_some() && self.sequencer == self.operator {
            say("sequencer", shared);
        }
        if self.issuer.is_some() && [self.operator, self.sequencer].contains(&self.issuer) {
            say("issuer", shared);
        }
        if self.holder.is_some_and(|holder| !(1..=256).contains(&holder.chars().count())) {
            say("holder", "1 to 256 characters");
        }
        match self.anchor {
            Some(path) if path.file_name().is_none() || path.is_dir() => say("anchor", "not the path of a file"),
            // An empty parent is the working folder.
            Some(path) if path.parent().is_some_and(|p| !p.as_os_str().is_empty() && !p.is_dir()) => {
                say("anchor", "its folder is not there");
            }
            _ => {}
        }
        if let Some(Err(error)) = self.database.map(Storage::check) {
            say("database", &error.to_string());
        }
        let database = self.database.and_then(Storage::file).map(|path| ("database", path));
        let anchor = self.anchor.map(|path| ("anchor", path));
        let mut others = self.read.to_vec();
        for (setting, path) in anchor.into_iter().chain(database) {
            for (other, _) in others.iter().filter(|(_, taken)| is_same_file(path, taken)) {
                say(setting, &format!("the same file as {other}; each needs its own"));
            }
            others.push((setting, path));
        }
        wrong.extend(self.limits.map(Limits::check).into_iter().flatten());
        wrong
    }
}

/// The one path of a file, by whatever links it is named. Of one that is not there yet, the folder is.
pub(crate) fn real_path(path: &Path) -> io::Result<PathBuf> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    path.canonicalize().or_else(|_| Ok(folder.canonicalize()?.join(path.file_name().unwrap_or_default())))
}

/// Whether two paths lead to one file.
fn is_same_file(one: &Path, other: &Path) -> bool {
    matches!([real_path(one), real_path(other)], [Ok(one), Ok(other)] if one == other)
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
            holder: DEFAULT_HOLDER.to_owned(),
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

    pub(crate) fn check(&self) -> Vec<ConfigError> {
        let parts = Parts {
            database: Some(&self.database),
            operator: Some(self.operator),
            sequencer: Some(self.sequencer_did()),
            issuer: Some(self.issuer_did()),
            anchor: Some(&self.anchor),
            holder: Some(&self.holder),
            limits: Some(&self.limits),
            read: &[],
        };
        parts.check()
    }
}

impl Limits {
    fn check(&self) -> Vec<ConfigError> {
        let wrong = [
            (self.proposal_bytes == 0, "limits.proposal_bytes"),
            (self.statement_bytes == 0, "limits.statement_bytes"),
            (self.connections == 0, "limits.connections"),
            (self.in_flight == 0, "limits.in_flight"),
            (self.in_flight_per_issuer == 0, "limits.in_flight_per_issuer"),
            (self.queue == 0, "limits.queue"),
            // A transaction of more entries holds the database longer than a request may wait.
            (!(1..=4096).contains(&self.batch), "limits.batch"),
            (self.followers == 0, "limits.followers"),
            (self.cached_delegations == 0, "limits.cached_delegations"),
            (self.head.is_zero(), "limits.head"),
            (self.commit.is_zero() || self.commit > self.request, "limits.commit"),
            (!(2..=MAX_LEASE).contains(&self.lease), "limits.lease"),
        ];
        let wrong = wrong.into_iter().filter(|(is_wrong, _)| *is_wrong);
        wrong.map(|(_, setting)| ConfigError { setting, reason: "out of range".to_owned() }).collect()
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
