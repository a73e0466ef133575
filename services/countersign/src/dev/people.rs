use super::{
    Folder, Options, Progress,
    ports::{self, Ports},
    record::{
        ChainRecord, ControlPlaneRecord, Person, PluginRecord, Record, RelayerRecord, SignerRecord, public_database,
    },
};
use crate::commands::keygen::{self, KeyKind};
use anyhow::Context as _;
use domain::{Address, ChainId, Did, Digest, NodeUrl};
use keyfile::{Hardness, Identity, Passphrase};
use std::{collections::BTreeMap, fs::DirBuilder, os::unix::fs::DirBuilderExt as _, path::Path};

/// Everyone with a key of their own, besides the signers.
pub const PEOPLE: [&str; 15] = [
    "operator",
    "operator-1",
    "operator-2",
    "tenant",
    "admin-1",
    "admin-2",
    "approver",
    "guardian",
    "provider",
    "marketplace",
    "publisher",
    "plugin",
    "sequencer",
    "issuer",
    "relayer",
];

/// Whom orders may pay.
const RECIPIENTS: [&str; 3] = ["alice", "bob", "carol"];

/// Makes everyone's keys and chooses every port.
pub fn make(
    folder: &Folder,
    passphrase: &Passphrase,
    options: &Options,
    chain: ChainId,
    ports: &mut Ports,
    progress: Progress<'_>,
) -> anyhow::Result<Record> {
    let names: Vec<String> = (1..=options.signers).map(|i| format!("signer-{i}")).collect();
    let mut people = BTreeMap::new();
    for name in PEOPLE.iter().copied().chain(names.iter().map(String::as_str)) {
        let key = folder.key(name);
        people.insert(name.to_owned(), Person { did: identity(&key, passphrase)?, key });
    }
    let wallet = folder.key("relayer-wallet");
    if !wallet.exists() {
        keygen::make(&wallet, KeyKind::GasWallet, passphrase, Hardness::Testing)?;
    }
    let wallet = Address(keygen::wallet(&wallet, passphrase)?.address().into_array());
    for name in &names {
        for part in ["data", "delegations"] {
            let path = folder.path().join(name).join(part);
            DirBuilder::new().recursive(true).mode(0o700).create(&path).context("cannot make a signer's folder")?;
        }
    }
    progress(&format!("made {} keys, encrypted", people.len().saturating_add(1)));

    let did = |name: &str| people.get(name).map(|p| p.did).context("everyone has a key");
    let urls = urls(options, self::ports(options.signers), ports)?;
    let mut urls = urls.into_iter();
    let mut url = || urls.next().context("every process has a port");
    let own_file = || format!("sqlite:{}", folder.path().join("control-plane/log.db").display());
    let database = options.database.as_ref().map_or_else(own_file, |url| url.as_str().to_owned());
    let control_plane = ControlPlaneRecord {
        url: url()?,
        sequencer: did("sequencer")?,
        issuer: did("issuer")?,
        database: public_database(&database),
        origin: "countersign.localhost/dev".to_owned(),
    };
    let relayer = RelayerRecord { url: url()?, node: did("relayer")?, wallet };
    let own = url()?;
    let chain = ChainRecord { rpc: options.rpc.clone().unwrap_or(own), id: chain, escrow: None, token: None };
    let signer =
        |(id, name): (u16, &String)| anyhow::Ok(SignerRecord { id, name: name.clone(), url: url()?, node: did(name)? });
    let signers = (1..).zip(&names).map(signer).collect::<Result<_, _>>()?;
    let account = |name: &&str| {
        let account = domain::AccountId { chain: chain.id, address: address_of(name) };
        ((*name).to_owned(), account)
    };
    Ok(Record {
        provisioned: false,
        operator: did("operator")?,
        tenant: did("tenant")?,
        threshold: options.threshold,
        signers,
        relayer,
        plugin: PluginRecord {
            id: "com.example.payouts".parse()?,
            version: "1.0.0".parse()?,
            installation: did("plugin")?,
        },
        recipients: RECIPIENTS.iter().map(account).collect(),
        orders: BTreeMap::new(),
        client: folder.path().join("client.toml"),
        done: Vec::new(),
        control_plane,
        chain,
        people,
    })
}

/// An address that belongs to nobody, for a name.
pub fn address_of(name: &str) -> Address {
    let mut address = [0; 20];
    let digest = Digest::sha256(format!("countersign dev recipient {name}").as_bytes());
    address.iter_mut().zip(digest.as_bytes()).for_each(|(to, from)| *to = *from);
    Address(address)
}

/// The identity of a key file, made where it is missing. The passphrase lies beside the key, so that a guess of it
/// need not be dear.
pub fn identity(key: &Path, passphrase: &Passphrase) -> anyhow::Result<Did> {
    if !key.exists() {
        keygen::make(key, KeyKind::Identity, passphrase, Hardness::Testing)?;
    }
    Ok(Identity::open(key, passphrase)?.did())
}

/// How many ports a system has: of its signers, the control plane, the relayer and the chain.
pub fn ports(signers: u16) -> usize {
    usize::from(signers).saturating_add(3)
}

/// `count` URLs on loopback: from the first port that was asked for, else with free ports, which are held.
fn urls(options: &Options, count: usize, ports: &mut Ports) -> anyhow::Result<Vec<NodeUrl>> {
    options.port.map_or_else(|| ports.hold(count), |first| Ok(ports::from(first, count)?))
}
