use super::{Folder, folder::write_private};
use anyhow::Context as _;
use domain::{AccountId, Address, AssetId, ChainId, Did, NodeUrl, OrderId, PluginId, Version};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fmt, fs, io,
    path::{PathBuf, absolute},
    str::FromStr,
};
use storage::Storage;

/// What runs where and who is who: `dev.json` of the folder. Nothing in it is secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    /// Whether everything below exists in the log and on the chain.
    pub provisioned: bool,
    /// The control plane.
    pub control_plane: ControlPlaneRecord,
    /// The root of the log's authority.
    pub operator: Did,
    /// The tenant's root.
    pub tenant: Did,
    /// How many signers sign together.
    pub threshold: u16,
    /// The signers, by identifier.
    pub signers: Vec<SignerRecord>,
    /// The relayer.
    pub relayer: RelayerRecord,
    /// The chain, and what is deployed on it.
    pub chain: ChainRecord,
    /// Everyone with a key, by name.
    pub people: BTreeMap<String, Person>,
    /// The installed plugin.
    pub plugin: PluginRecord,
    /// Verified recipients, by name.
    pub recipients: BTreeMap<String, AccountId>,
    /// Orders whose funds are in escrow, with their amounts in minor units.
    pub orders: BTreeMap<OrderId, u64>,
    /// Client settings for the command line.
    pub client: PathBuf,
    /// Steps of the first start that are done.
    pub done: Vec<String>,
}

/// The control plane.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ControlPlaneRecord {
    /// Where it listens.
    pub url: NodeUrl,
    /// Audience of every statement.
    pub sequencer: Did,
    /// Passes grants on.
    pub issuer: Did,
    /// Its database, by [`public_database`]; the whole URL is in the control plane's configuration.
    pub database: String,
    /// The log's name.
    pub origin: String,
}

/// A signer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SignerRecord {
    /// FROST identifier.
    pub id: u16,
    /// Name of its process, key and folder.
    pub name: String,
    /// Where it listens.
    pub url: NodeUrl,
    /// Its node key.
    pub node: Did,
}

/// The relayer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RelayerRecord {
    /// Where its health and metrics are.
    pub url: NodeUrl,
    /// Its node key.
    pub node: Did,
    /// Its gas wallet.
    pub wallet: Address,
}

/// The chain.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChainRecord {
    /// Its RPC endpoint.
    pub rpc: NodeUrl,
    /// Its EIP-155 id.
    pub id: ChainId,
    /// The escrow contract, once deployed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escrow: Option<Address>,
    /// The test dollar, once deployed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Address>,
}

/// Somebody with a key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Person {
    /// The key's DID.
    pub did: Did,
    /// The key file.
    pub key: PathBuf,
}

/// The installed plugin.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PluginRecord {
    /// Its id.
    pub id: PluginId,
    /// Its version.
    pub version: Version,
    /// The installation's DID.
    pub installation: Did,
}

/// The URL of a database, which may hold a password; shown by [`public_database`].
#[derive(Clone)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// The whole URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DatabaseUrl {
    type Err = io::Error;

    /// A path of SQLite's begins where the command runs, and still does in the control plane's configuration.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(match Storage::file(text) {
            Some(file) => format!("sqlite:{}", absolute(file)?.display()),
            None => text.to_owned(),
        }))
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({})", public_database(&self.0))
    }
}

/// Where a database is, without what opens it: a URL loses its user, password and query.
pub fn public_database(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://").filter(|(scheme, _)| *scheme != "sqlite") else {
        return if url.starts_with("sqlite:") { url.to_owned() } else { "…".to_owned() };
    };
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    // A password may hold a stray `@` or `/`, so everything up to the last `@` goes.
    let place = rest.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{place}")
}

impl Record {
    /// Reads the folder's record; `None` before the first start.
    pub fn read(folder: &Folder) -> anyhow::Result<Option<Self>> {
        let file = folder.path().join("dev.json");
        if !file.exists() {
            return Ok(None);
        }
        let text = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        serde_json::from_slice(&text).map(Some).with_context(|| format!("{} is not a record", file.display()))
    }

    /// Replaces the folder's record.
    pub fn write(&self, folder: &Folder) -> anyhow::Result<()> {
        let file = folder.path().join("dev.json");
        let draft = folder.path().join("dev.json.draft");
        write_private(&draft, &serde_json::to_vec_pretty(self)?)?;
        fs::rename(&draft, &file).context("cannot write the record")
    }

    /// The test dollar as an asset.
    pub fn usdc(&self) -> anyhow::Result<AssetId> {
        let token = self.chain.token.context("the token is not deployed")?;
        Ok(AssetId { chain: self.chain.id, kind: domain::AssetKind::Erc20(token) })
    }

    /// An account on the chain.
    pub const fn account(&self, address: Address) -> AccountId {
        AccountId { chain: self.chain.id, address }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_shown_without_its_password() {
        for (url, shown) in [
            ("sqlite:/a/log.db", "sqlite:/a/log.db"),
            ("postgres://h/d", "postgres://h/d"),
            ("postgres://u:hunter2@h:5432/d", "postgres://h:5432/d"),
            ("postgresql://u:hun@ter/2@h/d?sslmode=disable", "postgresql://h/d"),
            ("postgres://h/d?user=u&password=hunter2", "postgres://h/d"),
            ("host=h password=hunter2", "…"),
        ] {
            assert_eq!(public_database(url), shown);
            assert_eq!(public_database(shown), shown, "once is enough");
            let url: DatabaseUrl = url.parse().unwrap();
            assert_eq!(format!("{url:?}"), format!("DatabaseUrl({shown})"));
        }
    }

    #[test]
    fn a_database_is_where_the_command_runs() {
        let here = std::env::current_dir().unwrap();
        for url in ["sqlite:sub/log.db", "sqlite://sub/log.db"] {
            let url: DatabaseUrl = url.parse().unwrap();
            assert_eq!(url.as_str(), format!("sqlite:{}", here.join("sub/log.db").display()));
        }
    }
}
