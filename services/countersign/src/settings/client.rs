use super::{
    Fields, Mistakes,
    help::{self, Field},
};
use domain::{Did, NodeUrl};
use std::path::{Path, PathBuf};

/// What a client's settings may hold, for the help.
const FIELDS: [Field; 10] = [
    ("control_plane", "", "base URL of the control plane"),
    ("sequencer", "", "DID of the control plane, to which statements are addressed"),
    ("operator", "", "DID of the operator"),
    ("tenant", "", "DID of the tenant that commands are about"),
    ("delegations", "", "folder of *.ucan files"),
    ("keys", "", "folder of key files, for --as NAME"),
    ("key", "", "one key file"),
    ("passphrase_file", "", "opens the key files; a passphrase in COUNTERSIGN_PASSPHRASE goes before it"),
    ("rpc", "", "base URL of an RPC endpoint of the escrow contract's chain"),
    ("signers", "", "list of base URLs of signers, for freezes that do not wait for the log"),
];

/// The fields of the client's settings, for the help.
pub fn client_help() -> String {
    let rows = help::rows(&FIELDS);
    format!(
        "Client settings, the file of --client or COUNTERSIGN_CLIENT (TOML), say what flags do not. Each field is a variable,\n\
         too: `keys` is COUNTERSIGN_KEYS, which goes before the file, and flags before both. Lists are separated by commas\n\
         there.\n{rows}"
    )
}

/// Where a client's commands go and whom they speak for. Everything can also be said by flags.
#[derive(Clone, Debug, Default)]
pub struct ClientSettings {
    /// The control plane.
    pub control_plane: Option<NodeUrl>,
    /// The audience of every statement.
    pub sequencer: Option<Did>,
    /// The root of the log's authority.
    pub operator: Option<Did>,
    /// The tenant that commands are about.
    pub tenant: Option<Did>,
    /// Folder of `*.ucan` files.
    pub delegations: Option<PathBuf>,
    /// Folder of key files, for `--as NAME`.
    pub keys: Option<PathBuf>,
    /// One key file.
    pub key: Option<PathBuf>,
    /// Opens key files when `COUNTERSIGN_PASSPHRASE` is not set.
    pub passphrase_file: Option<PathBuf>,
    /// RPC endpoint of the escrow contract's chain, for commands that look at the contract.
    pub rpc: Option<NodeUrl>,
    /// The signers, for freezes that do not wait for the log.
    pub signers: Vec<NodeUrl>,
}

impl ClientSettings {
    /// Reads the file, if there is one, and the variables.
    pub fn read(file: Option<&Path>) -> Result<Self, Mistakes> {
        let mut f = Fields::read(file)?;
        f.share_variables();
        let settings = Self {
            control_plane: f.optional("control_plane"),
            sequencer: f.optional("sequencer"),
            operator: f.optional("operator"),
            tenant: f.optional("tenant"),
            delegations: f.optional_path("delegations"),
            keys: f.optional_path("keys"),
            key: f.optional_path("key"),
            passphrase_file: f.optional_path("passphrase_file"),
            rpc: f.optional("rpc"),
            signers: f.list("signers").unwrap_or_default(),
        };
        f.finish(Some(settings))
    }
}
