use domain::{Did, NodeUrl};
use keyfile::{Identity, Passphrase};
use serving::ConfigError;
use std::{
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
};
use storage::Storage;

/// What a signer is told. Nothing of it is taken from the log: these are the roots of its trust.
pub struct Config {
    /// Where it listens; loopback unless told otherwise.
    pub listen: SocketAddr,
    /// Its folder: key shares, database, direct freezes.
    pub data: PathBuf,
    /// The database, when it is not the SQLite file in `data`.
    pub database: Option<String>,
    /// Delegations from the operator (`/read`) and from tenants (`/execution/attest`).
    pub delegations: PathBuf,
    /// Its node key.
    pub identity: Identity,
    /// Opens and seals its key shares.
    pub passphrase: Passphrase,
    /// The log's root of authority.
    pub operator: Did,
    /// The control plane's DID.
    pub sequencer: Did,
    /// Where the log is followed.
    pub control_plane: NodeUrl,
    /// Who may ask for signatures: relayers.
    pub coordinators: Vec<Did>,
    /// Who may order a key generation: the operator's node key.
    pub administrators: Vec<Did>,
    /// This node's own RPC endpoint.
    pub rpc: NodeUrl,
    /// Seconds for which a verified checkpoint allows signing.
    pub lease: u64,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A database URL may hold a password.
        f.debug_struct("Config").field("listen", &self.listen).field("data", &self.data).finish_non_exhaustive()
    }
}

/// Shorter would stop signing on every hiccup of the heartbeat, which comes each second.
const MIN_LEASE: u64 = 5;
/// Longer would let a frozen log be signed for too long.
const MAX_LEASE: u64 = 600;

/// Parts of a configuration, some of which may be missing: what is there is checked all the same.
#[derive(Debug, Default)]
pub struct Parts<'a> {
    /// See [`Config::data`].
    pub data: Option<&'a Path>,
    /// See [`Config::database`].
    pub database: Option<&'a str>,
    /// See [`Config::coordinators`].
    pub coordinators: Option<&'a [Did]>,
    /// See [`Config::administrators`].
    pub administrators: Option<&'a [Did]>,
    /// See [`Config::lease`].
    pub lease: Option<u64>,
}

impl Parts<'_> {
    /// Names every setting that is wrong.
    pub fn check(&self) -> Vec<ConfigError> {
        let none = |list: &[Did]| list.is_empty();
        let wrong = [
            (self.lease.is_some_and(|l| !(MIN_LEASE..=MAX_LEASE).contains(&l)), "lease", "between 5 and 600 seconds"),
            (self.coordinators.is_some_and(none), "coordinators", "name the node key of at least one relayer"),
            (self.administrators.is_some_and(none), "administrators", "name the operator's node key"),
            (self.data.is_some_and(|d| !d.is_dir()), "data", "not a folder; create it with mode 0700"),
        ];
        let wrong = wrong.into_iter().filter(|(is_wrong, ..)| *is_wrong);
        let wrong = wrong.map(|(_, setting, reason)| ConfigError { setting, reason: reason.to_owned() });
        let database = self.database.and_then(|url| Storage::check(url).err());
        let database = database.map(|e| ConfigError { setting: "database", reason: e.to_string() });
        wrong.chain(database).collect()
    }
}

impl Config {
    pub(crate) fn check(&self) -> Vec<ConfigError> {
        let parts = Parts {
            data: Some(&self.data),
            database: self.database.as_deref(),
            coordinators: Some(&self.coordinators),
            administrators: Some(&self.administrators),
            lease: Some(self.lease),
        };
        parts.check()
    }

    pub(crate) fn database_url(&self) -> String {
        self.database.clone().unwrap_or_else(|| format!("sqlite:{}", self.data.join("log.db").display()))
    }
}
