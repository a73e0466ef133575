use super::{Fields, Mistakes};
use domain::{Did, NodeUrl};
use std::path::{Path, PathBuf};

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
