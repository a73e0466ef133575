use super::{Folder, Options, Record, folder::write_private, record::public_database};
use crate::failure::Usage;
use domain::NodeUrl;
use std::{
    fs,
    path::{Path, PathBuf},
};
use toml::{Table, Value};

/// The address a URL of this machine listens on.
fn listen(url: &NodeUrl) -> String {
    url.as_str().trim_start_matches("http://").to_owned()
}

fn path(path: &Path) -> String {
    path.display().to_string()
}

fn table<const N: usize>(fields: [(&str, String); N]) -> Table {
    fields.into_iter().map(|(name, value)| (name.to_owned(), Value::String(value))).collect()
}

fn list(items: impl IntoIterator<Item = String>) -> Value {
    Value::Array(items.into_iter().map(Value::String).collect())
}

/// The control plane's configuration, which alone holds the password of its database.
fn control_plane_file(folder: &Folder) -> PathBuf {
    folder.path().join("control-plane/config.toml")
}

/// The whole URL of the database that the record names: from the configuration of an earlier start, else as told now.
fn database(folder: &Folder, record: &Record, options: &Options) -> anyhow::Result<String> {
    let recorded = &record.control_plane.database;
    let earlier = fs::read_to_string(control_plane_file(folder)).ok().and_then(|text| text.parse::<Table>().ok());
    let earlier = earlier.and_then(|table| table.get("database")?.as_str().map(str::to_owned));
    let is_it = |url: &String| public_database(url) == *recorded;
    let told = options.database.as_ref().map(|url| url.as_str().to_owned());
    if let Some(url) = earlier.filter(is_it).or_else(|| told.filter(is_it)) {
        return Ok(url);
    }
    if recorded.starts_with("sqlite:") {
        return Ok(recorded.clone());
    }
    Err(Usage(format!("this system's database is {recorded}: name it once more, with --database or DATABASE_URL"))
        .into())
}

/// Writes everyone's configuration anew; it follows from the record.
pub fn write(folder: &Folder, record: &Record, options: &Options) -> anyhow::Result<()> {
    let put = |file: &Path, table: &Table| write_private(file, toml::to_string(table)?.as_bytes());
    let home = folder.path();
    put(&control_plane_file(folder), &control_plane(folder, record, database(folder, record, options)?))?;
    put(&home.join("relayer/config.toml"), &relayer(folder, record))?;
    for signer in &record.signers {
        let own = home.join(&signer.name);
        let mut signer = table([
            ("listen", listen(&signer.url)),
            ("data", path(&own.join("data"))),
            ("delegations", path(&own.join("delegations"))),
            ("identity", path(&folder.key(&signer.name))),
            ("passphrase_file", path(&folder.passphrase_file())),
            ("operator", record.operator.to_string()),
            ("sequencer", record.control_plane.sequencer.to_string()),
            ("control_plane", record.control_plane.url.to_string()),
            ("rpc", record.chain.rpc.to_string()),
        ]);
        signer.insert("coordinators".to_owned(), list([record.relayer.node.to_string()]));
        signer.insert("administrators".to_owned(), list([record.operator.to_string()]));
        put(&own.join("config.toml"), &signer)?;
    }
    put(&record.client, &client(record))
}

fn control_plane(folder: &Folder, record: &Record, database: String) -> Table {
    table([
        ("listen", listen(&record.control_plane.url)),
        ("database", database),
        ("operator", record.operator.to_string()),
        ("sequencer", path(&folder.key("sequencer"))),
        ("issuer", path(&folder.key("issuer"))),
        ("anchor", path(&folder.path().join("control-plane/anchor"))),
        ("passphrase_file", path(&folder.passphrase_file())),
    ])
}

fn relayer(folder: &Folder, record: &Record) -> Table {
    let mut relayer = table([
        ("listen", listen(&record.relayer.url)),
        ("control_plane", record.control_plane.url.to_string()),
        ("sequencer", record.control_plane.sequencer.to_string()),
        ("operator", record.operator.to_string()),
        ("identity", path(&folder.key("relayer"))),
        ("wallet", path(&folder.key("relayer-wallet"))),
        ("delegations", path(&folder.path().join("relayer/delegations"))),
        ("passphrase_file", path(&folder.passphrase_file())),
    ]);
    let mut chain = table([("rpc", record.chain.rpc.to_string())]);
    chain.insert("chain".to_owned(), Value::Integer(i64::try_from(record.chain.id.0).unwrap_or(i64::MAX)));
    // The chain is on this machine and mines at once, so a receipt is worth asking for often.
    chain.insert("poll_ms".to_owned(), Value::Integer(20));
    relayer.insert("chains".to_owned(), Value::Array(vec![Value::Table(chain)]));
    relayer
}

fn client(record: &Record) -> Table {
    let mut client = table([
        ("control_plane", record.control_plane.url.to_string()),
        ("sequencer", record.control_plane.sequencer.to_string()),
        ("operator", record.operator.to_string()),
        ("tenant", record.tenant.to_string()),
        ("delegations", "delegations".to_owned()),
        ("keys", "keys".to_owned()),
        ("passphrase_file", "passphrase".to_owned()),
        ("rpc", record.chain.rpc.to_string()),
    ]);
    client.insert("signers".to_owned(), list(record.signers.iter().map(|s| s.url.to_string())));
    client
}
