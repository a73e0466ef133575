use super::{Fields, Mistakes, signer::passphrase};
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
};

/// Proposals that are signed and submitted at once, unless told otherwise.
const CONCURRENCY: usize = 16;

/// What a relayer is told.
pub fn relayer(file: Option<&Path>) -> Result<relayer::Config, Mistakes> {
    let mut f = Fields::read(file)?;
    let listen = f.optional("listen").unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 7720)));
    let (control_plane, sequencer, operator) =
        (f.required("control_plane"), f.required("sequencer"), f.required("operator"));
    let (identity, wallet) = (f.path("identity"), f.path("wallet"));
    let delegations = f.path("delegations");
    let chains = f.value("chains");
    let concurrency = f.optional("concurrency").unwrap_or(CONCURRENCY);
    let passphrase = passphrase(&mut f);
    let settings = (|| {
        Some(relayer::Settings {
            control_plane: control_plane?,
            sequencer: sequencer?,
            operator: operator?,
            identity: identity?,
            wallet: wallet?,
            delegations: delegations?,
            chains: chains?,
            listen,
            concurrency,
        })
    })();
    let config = match (settings, passphrase) {
        (Some(settings), Some(passphrase)) => settings.open(&passphrase).map_err(|e| f.mistake(e.to_string())).ok(),
        _ => None,
    };
    f.finish(config)
}
