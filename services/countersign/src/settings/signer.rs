use super::{
    Fields, Mistakes,
    help::{self, PASSPHRASE, REQUIRED},
    keys::Keys,
};
use client::Delegations;
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
};

/// Where a signer listens, unless told otherwise.
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 7711);
/// Seconds that a verified checkpoint allows signing, unless told otherwise.
const LEASE: u64 = 60;

/// What a signer does and is told, for its help.
pub fn signer_help() -> String {
    let fields = [
        ("listen", &*LISTEN.to_string(), "where it listens"),
        ("data", REQUIRED, "its folder, for nobody else: key shares, database, anchor, direct freezes"),
        ("database", "SQLite in data", "sqlite:PATH or postgres://…, of this signer alone"),
        ("delegations", REQUIRED, "folder of *.ucan files: /read by the operator, /execution/attest by tenants"),
        ("identity", REQUIRED, "key file of its node key"),
        PASSPHRASE,
        ("operator", REQUIRED, "DID of the operator, the root of the log's authority"),
        ("sequencer", REQUIRED, "DID of the control plane, which signs the log"),
        ("control_plane", REQUIRED, "base URL of the control plane"),
        ("coordinators", REQUIRED, "list of DIDs: node keys of the relayers that may ask for signatures"),
        ("administrators", REQUIRED, "list of DIDs that may order a key generation: the operator's"),
        ("rpc", REQUIRED, "base URL of this signer's own RPC endpoint of the chain"),
        ("lease", &*LEASE.to_string(), "seconds for which a verified checkpoint allows signing, 5 to 600"),
    ];
    help::text(
        "Verifies its whole copy of the log before it listens. Ends on SIGINT and SIGTERM.",
        &fields,
        "Example:\n  countersign signer --config signer-1.toml",
    )
}

/// What a signer is told.
pub fn signer(file: Option<&Path>) -> Result<signer::Config, Mistakes> {
    let mut f = Fields::read(file)?;
    let listen = f.optional("listen").unwrap_or(LISTEN);
    let (data, delegations) = (f.path("data"), f.path("delegations"));
    let database = f.database("database");
    let keys = Keys::read(&mut f);
    let identity = keys.identity(&mut f, "identity");
    let (operator, sequencer) = (f.required("operator"), f.required("sequencer"));
    let (control_plane, rpc) = (f.required("control_plane"), f.required("rpc"));
    let (coordinators, administrators) = (f.list("coordinators"), f.list("administrators"));
    let lease = f.optional("lease").unwrap_or(LEASE);
    let parts = signer::Parts {
        data: data.as_deref(),
        database: database.as_deref(),
        coordinators: coordinators.as_deref(),
        administrators: administrators.as_deref(),
        lease: Some(lease),
    };
    for signer::ConfigError { setting, reason } in parts.check() {
        f.mistake(setting, reason);
    }
    // Read again at start, which would tell of nothing else.
    if let Some(folder) = &delegations {
        f.keep("delegations", Delegations::load(folder));
    }
    let config = (|| {
        Some(signer::Config {
            listen,
            data: data?,
            database,
            delegations: delegations?,
            identity: identity?,
            passphrase: keys.passphrase()?,
            operator: operator?,
            sequencer: sequencer?,
            control_plane: control_plane?,
            coordinators: coordinators?,
            administrators: administrators?,
            rpc: rpc?,
            lease,
        })
    })();
    f.finish(config)
}
