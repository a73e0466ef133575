use super::{
    Fields, Mistakes,
    help::{self, PASSPHRASE, REQUIRED},
    keys::Keys,
};
use control_plane::{Config, ConfigError, DEFAULT_LISTEN, Parts, default_holder};
use domain::Did;
use std::path::Path;
use storage::Storage;

/// The variable by which many programs are told their database; goes after the field.
const DATABASE_URL: &str = "DATABASE_URL";

/// What a control plane does and is told, for its help.
pub fn control_plane_help() -> String {
    let fields = [
        ("listen", &*DEFAULT_LISTEN.to_string(), "where the API listens"),
        ("database", "DATABASE_URL, else SQLite: log.db beside the anchor", "sqlite:PATH or postgres://…"),
        ("operator", REQUIRED, "DID of the operator, the root of the log's authority"),
        ("sequencer", REQUIRED, "key file of the key that signs the log"),
        ("issuer", REQUIRED, "key file of the key that passes grants on to installations"),
        PASSPHRASE,
        ("anchor", REQUIRED, "file with the newest checkpoint; best on another disk than the database"),
        ("holder", "control-plane@HOST", "name of this process among those that may lead the log, one per host"),
        ("accept_missing_anchor", "false", "start without the anchor of a log: once, after the database was restored"),
    ];
    help::text(
        "Verifies the whole stored log first, and answers 503 until it has. Ends on SIGINT and SIGTERM.",
        &fields,
        "Examples:\n  countersign control-plane --config control-plane.toml\n  \
         DATABASE_URL=postgres://… countersign control-plane --config control-plane.toml --log-format json",
    )
}

/// What a control plane is told.
pub fn control_plane(file: Option<&Path>) -> Result<Config, Mistakes> {
    let mut f = Fields::read(file)?;
    let listen = f.optional("listen").unwrap_or(DEFAULT_LISTEN);
    let told = f.database("database");
    let operator: Option<Did> = f.required("operator");
    let keys = Keys::read(&mut f);
    let (sequencer, issuer) = (keys.identity(&mut f, "sequencer"), keys.identity(&mut f, "issuer"));
    let anchor = f.path("anchor");
    let (database, told_by) = match told {
        Some(url) => (Some(url), "database"),
        None => f.foreign(DATABASE_URL).map_or((None, "database"), |url| (Some(url), DATABASE_URL)),
    };
    let named_by = match &database {
        Some(_) => f.told_by(told_by).unwrap_or_else(|| told_by.to_owned()),
        None => "the default, beside the anchor".to_owned(),
    };
    let database = database.or_else(|| anchor.as_deref().map(beside));
    let (holder, accept) = (f.optional::<String>("holder"), f.optional("accept_missing_anchor"));
    let read = ["sequencer", "issuer", "passphrase_file"].map(|name| (name, f.optional_path(name)));
    let read: Vec<_> = read.iter().filter_map(|(name, path)| Some((*name, path.as_deref()?))).collect();
    let parts = Parts {
        database: database.as_deref(),
        operator,
        sequencer: sequencer.as_ref().map(keyfile::Identity::did),
        issuer: issuer.as_ref().map(keyfile::Identity::did),
        anchor: anchor.as_deref(),
        holder: holder.as_deref(),
        limits: None,
        read: &read,
    };
    for ConfigError { setting, reason } in parts.check() {
        f.mistake(if setting == "database" { told_by } else { setting }, reason);
    }
    let config = (|| {
        let (sequencer, issuer) = (sequencer?, issuer?);
        let (sequencer, issuer) = (sequencer.key().as_bytes(), issuer.key().as_bytes());
        let mut config = Config::new(database?, operator?, sequencer, issuer, anchor?);
        config.listen = listen;
        config.holder = holder.unwrap_or_else(default_holder);
        config.accept_missing_anchor = accept.unwrap_or(false);
        Some(config)
    })();
    let config = f.finish(config)?;
    // Never the URL, which may hold a password.
    tracing::info!(engine = engine(&config.database), named_by, "the database is named");
    Ok(config)
}

fn engine(database: &str) -> &'static str {
    if Storage::file(database).is_some() { "SQLite" } else { "PostgreSQL" }
}

/// The SQLite database in the folder of the anchor.
fn beside(anchor: &Path) -> String {
    format!("sqlite:{}", anchor.with_file_name("log.db").display())
}
