use super::{
    Fields, Mistakes,
    help::{self, PASSPHRASE, REQUIRED},
    keys::Keys,
};
use crate::commands::keygen;
use client::{Ambient, Delegations};
use domain::ChainId;
use relayer::{ChainConfig, Config};
use std::{collections::BTreeSet, num::NonZeroU64, path::Path};

/// What a relayer does and is told, for its help.
pub fn relayer_help() -> String {
    let fields = [
        ("listen", &*relayer::DEFAULT_LISTEN.to_string(), "where health and metrics are served; loopback"),
        ("control_plane", REQUIRED, "base URL of the control plane"),
        ("sequencer", REQUIRED, "DID of the control plane, which signs the log"),
        ("operator", REQUIRED, "DID of the operator, the root of the log's authority"),
        ("identity", REQUIRED, "key file of its node key"),
        ("wallet", REQUIRED, "key file of its gas wallet"),
        PASSPHRASE,
        ("delegations", REQUIRED, "folder of *.ucan files: /read by the operator, /execution by tenants"),
        ("concurrency", &*relayer::DEFAULT_CONCURRENCY.to_string(), "proposals that are carried at once"),
        ("chains", REQUIRED, "list of tables, [[chains]]; COUNTERSIGN_CHAINS='[{ chain = 1, rpc = \"…\" }]'"),
        ("chains.chain", REQUIRED, "EIP-155 id of the chain"),
        ("chains.rpc", REQUIRED, "URL of an RPC endpoint, http or https"),
        ("chains.max_fee_per_gas", &*relayer::MAX_FEE.to_string(), "the most to pay per gas, in wei"),
        ("chains.poll_ms", &*relayer::POLL.to_string(), "milliseconds between looks for a new block"),
        ("chains.stuck_after", &*relayer::STUCK.to_string(), "seconds until a transaction is replaced by a dearer one"),
    ];
    help::text(
        "Keeps nothing that cannot be had again from the log and the chain; any number may run at once.",
        &fields,
        "Example:\n  countersign relayer --config relayer.toml",
    )
}

/// What a relayer is told.
pub fn relayer(file: Option<&Path>) -> Result<Config, Mistakes> {
    let mut f = Fields::read(file)?;
    let listen = f.optional("listen").unwrap_or(relayer::DEFAULT_LISTEN);
    let (control_plane, sequencer, operator) =
        (f.required("control_plane"), f.required("sequencer"), f.required("operator"));
    let keys = Keys::read(&mut f);
    let identity = keys.identity(&mut f, "identity");
    let wallet = keys.open(&mut f, "wallet", keygen::wallet);
    let delegations = f.path("delegations").and_then(|folder| f.keep("delegations", Delegations::load(&folder)));
    let mut named = BTreeSet::new();
    let chains = f.tables("chains", |f| chain(f, &mut named));
    let concurrency = f.optional("concurrency").unwrap_or(relayer::DEFAULT_CONCURRENCY);
    let parts = relayer::Parts { listen: Some(listen), concurrency: Some(concurrency), chains: chains.as_deref() };
    for relayer::ConfigError { setting, reason } in parts.check() {
        f.mistake(setting, reason);
    }
    let config = (|| {
        Some(Config {
            control_plane: control_plane?,
            sequencer: sequencer?,
            operator: operator?,
            identity: identity?,
            wallet: wallet?,
            delegations: delegations?,
            chains: chains?,
            listen,
            concurrency,
            ambient: Ambient::system(),
        })
    })();
    f.finish(config)
}

/// How one chain is reached; `named` are the chains before it.
fn chain(f: &mut Fields, named: &mut BTreeSet<NonZeroU64>) -> Option<ChainConfig> {
    let id: Option<NonZeroU64> = f.required("chain");
    if id.is_some_and(|id| !named.insert(id)) {
        f.mistake("chain", "named before");
    }
    let rpc = f.required("rpc");
    let [fee, poll, stuck] = ["max_fee_per_gas", "poll_ms", "stuck_after"].map(|name| f.optional(name));
    let mut chain = ChainConfig::new(ChainId(id?.get()), rpc?);
    chain.max_fee_per_gas = fee.unwrap_or(chain.max_fee_per_gas);
    chain.poll_ms = poll.unwrap_or(chain.poll_ms);
    chain.stuck_after = stuck.unwrap_or(chain.stuck_after);
    Some(chain)
}
