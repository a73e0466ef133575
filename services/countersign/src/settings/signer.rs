use super::{Fields, Mistakes};
use keyfile::{Identity, Passphrase};
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
};

/// Seconds that a verified checkpoint allows signing, unless told otherwise.
const LEASE: u64 = 60;

/// What a signer is told.
pub fn signer(file: Option<&Path>) -> Result<signer::Config, Mistakes> {
    let mut f = Fields::read(file)?;
    let listen = f.optional("listen").unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 7711)));
    let (data, delegations) = (f.path("data"), f.path("delegations"));
    let database: Option<String> = f.optional("database");
    let (identity, passphrase) = identity(&mut f, "identity");
    let (operator, sequencer) = (f.required("operator"), f.required("sequencer"));
    let (control_plane, rpc) = (f.required("control_plane"), f.required("rpc"));
    let (coordinators, administrators) = (f.list("coordinators"), f.list("administrators"));
    let lease = f.optional("lease").unwrap_or(LEASE);
    let config = (|| {
        Some(signer::Config {
            listen,
            data: data?,
            database,
            delegations: delegations?,
            identity: identity?,
            passphrase: passphrase?,
            operator: operator?,
            sequencer: sequencer?,
            control_plane: control_plane?,
            coordinators,
            administrators,
            rpc: rpc?,
            lease,
        })
    })();
    if let Some(Err(wrong)) = config.as_ref().map(signer::Config::check) {
        for e in wrong {
            f.mistake(e.to_string());
        }
    }
    f.finish(config)
}

/// The passphrase, and the key file that the field `name` names, opened with it.
pub(super) fn identity(f: &mut Fields, name: &'static str) -> (Option<Identity>, Option<Passphrase>) {
    let (path, passphrase) = (f.path(name), passphrase(f));
    let identity = match (path, &passphrase) {
        (Some(path), Some(passphrase)) => match Identity::open(&path, passphrase) {
            Ok(identity) => Some(identity),
            Err(e) => {
                f.mistake(format!("{name}: {e}"));
                None
            }
        },
        _ => None,
    };
    (identity, passphrase)
}

/// The passphrase from its variable, else from the file that `passphrase_file` names.
pub(super) fn passphrase(f: &mut Fields) -> Option<Passphrase> {
    let file = f.optional_path("passphrase_file");
    match Passphrase::load(file.as_deref()) {
        Ok(passphrase) => Some(passphrase),
        Err(e) => {
            f.mistake(format!("passphrase_file: {e}"));
            None
        }
    }
}
