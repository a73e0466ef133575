//! What the first start does, step by step. Every step is noted, so that a start that was cut short goes on from there.

use super::{Dev, Options, Progress, chain::Chain};
use crate::{
    commands::delegate::{YEAR, issue, write},
    dkg::Ceremony,
};
use anyhow::{Context as _, ensure};
use client::{Ambient, ClientError};
use domain::{Address, Amount, AssetId, AssetKind, Bps, Did, Digest, EscrowDomain, Scale};
use ledger::{
    Asset, Participant, Quorum, Royalty,
    args::{Create, Genesis, Grant, GrantLimit, Open, Publish, Register, SetQuorum, Verify},
};
use messages::{Hex, ProblemType};
use serde::Serialize;
use ucan::Ipld;

/// One test dollar in minor units.
pub const DOLLAR: u64 = 1_000_000;
/// What the tenant's root lets its people do. Everything of it is also a line in the folder of delegations.
const ROLES: [(&str, &[&str]); 7] = [
    ("admin-1", &["/installation", "/freeze", "/ucan", "/policy", "/proposal/cancel", "/read"]),
    ("admin-2", &["/installation", "/freeze", "/ucan", "/policy", "/proposal/cancel", "/read"]),
    ("approver", &["/approval", "/read"]),
    ("guardian", &["/freeze/set", "/read"]),
    ("provider", &["/recipient"]),
    ("marketplace", &["/order", "/read"]),
    ("plugin", &["/read/proposals"]),
];
/// What the operator's root lets its admins do; two of them together lift its freezes and change escrow contracts.
const OPERATORS: [&str; 2] = ["operator-1", "operator-2"];
const OPERATOR_COMMANDS: [&str; 3] = ["/escrow", "/freeze", "/read"];
/// Blocks on top of an execution before it counts: a chain of one node does not reorganise.
const CONFIRMATIONS: u64 = 1;
/// A hundred coins, more gas than any test burns.
const GAS: u128 = 100_000_000_000_000_000_000;

/// Says something as somebody; that it was said before, in a start that was cut short, is fine.
async fn say<A: Serialize + Sync>(dev: &Dev, who: &str, command: &str, subject: Did, args: &A) -> anyhow::Result<()> {
    match dev.connect(who).submit(command, subject, args).await {
        Ok(_) => Ok(()),
        Err(error) if is_conflict(&error) => Ok(()),
        Err(error) => Err(error).with_context(|| format!("{who}: {command}")),
    }
}

fn is_conflict(error: &anyhow::Error) -> bool {
    let client = error.downcast_ref::<ClientError>();
    client.and_then(ClientError::problem) == Some(ProblemType::Conflict)
}

/// Begins the log.
pub async fn genesis(dev: &mut Dev) -> anyhow::Result<()> {
    if is_done(dev, "genesis") {
        return Ok(());
    }
    let args = Genesis {
        origin: dev.record.control_plane.origin.parse()?,
        sequencer: dev.record.control_plane.sequencer,
        issuer: dev.record.control_plane.issuer,
        ledger: 1,
        clock_tolerance: 30,
        lift_admins: 2,
    };
    delegations(dev)?;
    say(dev, "operator", "/log/genesis", dev.record.operator, &args).await?;
    done(dev, "genesis")
}

fn is_done(dev: &Dev, step: &str) -> bool {
    dev.record.done.iter().any(|d| d == step)
}

fn done(dev: &mut Dev, step: &str) -> anyhow::Result<()> {
    if !is_done(dev, step) {
        dev.record.done.push(step.to_owned());
    }
    dev.record.write(&dev.folder)
}

/// Everything after the signers run.
pub async fn all(
    dev: &mut Dev,
    chain: &Chain,
    ambient: &Ambient,
    options: &Options,
    progress: Progress<'_>,
) -> anyhow::Result<()> {
    if !is_done(dev, "quorum") {
        let _ = quorum(dev, ambient, progress).await?;
        done(dev, "quorum")?;
    }
    if !is_done(dev, "contracts") {
        contracts(dev, chain, options).await?;
        done(dev, "contracts")?;
        progress("deployed the escrow contract with the quorum's key, and a test dollar");
    }
    if !is_done(dev, "tenant") {
        tenant(dev, ambient).await?;
        done(dev, "tenant")?;
        progress("the tenant exists, with its people, a plugin, an installation and three verified recipients");
    }
    if !is_done(dev, "orders") {
        for (order, dollars) in [("order-1", 2_500), ("order-2", 5_000)] {
            order_with_funds(dev, chain, order, DOLLAR.saturating_mul(dollars)).await?;
        }
        done(dev, "orders")?;
        progress("opened two orders and deposited their funds in escrow");
    }
    Ok(())
}

/// Writes everyone's delegations: those of people into one folder, those of services into their own.
fn delegations(dev: &Dev) -> anyhow::Result<()> {
    let ambient = Ambient::system();
    let (operator, tenant) = (dev.connect("operator").identity()?, dev.connect("tenant").identity()?);
    let home = dev.folder.path();
    let give = |file: std::path::PathBuf, grants: &[(&keyfile::Identity, Did, &str)]| {
        if file.exists() {
            return Ok(());
        }
        let issued = grants.iter().map(|(by, to, command)| issue(by, &ambient, *to, by.did(), command, YEAR));
        write(&file, &issued.collect::<anyhow::Result<Vec<_>>>()?)
    };
    let did = |name: &str| dev.record.people.get(name).map(|p| p.did).context("everyone has a key");
    for (name, commands) in ROLES {
        let did = did(name)?;
        let grants: Vec<_> = commands.iter().map(|c| (&tenant, did, *c)).collect();
        give(home.join(format!("delegations/{name}.ucan")), &grants)?;
    }
    for name in OPERATORS {
        let did = did(name)?;
        give(home.join(format!("delegations/{name}.ucan")), &OPERATOR_COMMANDS.map(|c| (&operator, did, c)))?;
    }
    let publisher = did("publisher")?;
    give(home.join("delegations/publisher.ucan"), &[(&operator, publisher, "/plugin/publish")])?;
    for signer in &dev.record.signers {
        let node = signer.node;
        let file = home.join(&signer.name).join("delegations/node.ucan");
        give(file, &[(&operator, node, "/read"), (&tenant, node, "/execution/attest")])?;
    }
    let node = dev.record.relayer.node;
    let grants = [(&operator, node, "/read"), (&operator, node, "/signer/evidence"), (&tenant, node, "/execution")];
    give(home.join("relayer/delegations/node.ucan"), &grants)
}

async fn quorum(dev: &Dev, ambient: &Ambient, progress: Progress<'_>) -> anyhow::Result<Quorum> {
    let identity = dev.connect("operator").identity()?;
    let participant = |s: &super::record::SignerRecord| Participant { id: s.id, node: s.node, url: s.url.clone() };
    let participants = dev.record.signers.iter().map(participant).collect();
    let ceremony = Ceremony { identity: &identity, ambient, epoch: 1, threshold: dev.record.threshold, participants };
    let quorum = ceremony.run(progress).await.context("the key generation")?;
    say(dev, "operator", "/quorum/set", dev.record.operator, &SetQuorum(quorum.clone())).await?;
    progress(&format!(
        "epoch 1 is active: {} of {} signers sign together",
        quorum.threshold,
        quorum.participants.len()
    ));
    Ok(quorum)
}

async fn contracts(dev: &mut Dev, chain: &Chain, options: &Options) -> anyhow::Result<()> {
    let id = chain.id().await?;
    ensure!(options.rpc.is_some() || id == dev.record.chain.id, "another chain runs on this port");
    dev.record.chain.id = id;
    let quorum = dev.connect("operator").reader("/read")?.quorum().await?.context("there is no quorum")?;
    let key = Hex::parse(&quorum.keys.secp256k1).and_then(|k| <[u8; 33]>::try_from(k.0).ok());
    let key = escrow::GroupKey::from_sec1(&key.context("the group key does not have 33 bytes")?)?;
    let token = chain.deploy(escrow::token::creation_code().to_vec()).await?;
    let caps = vec![
        (token, super::chain::amount(u128::from(1_000_000 * DOLLAR))?),
        (Address([0; 20]), super::chain::amount(GAS)?),
    ];
    let deployment = escrow::Deployment { key, guardian: chain.funder(), caps };
    let contract = chain.deploy(escrow::deployment_code(&deployment)).await?;
    (dev.record.chain.token, dev.record.chain.escrow) = (Some(token), Some(contract));
    for account in dev.record.recipients.values_mut() {
        account.chain = id;
    }
    chain.fund(dev.record.relayer.wallet, GAS).await?;
    // The relayer is told the chain's id, which may be another than that of a local chain.
    super::configs::write(&dev.folder, &dev.record, options)
}

fn assets(dev: &Dev) -> anyhow::Result<[Asset; 2]> {
    let native = AssetId { chain: dev.record.chain.id, kind: AssetKind::Native };
    let scale = |exponent: u8| Scale::try_from(exponent).context("a power of ten");
    Ok([
        Asset { asset: dev.record.usdc()?, symbol: "USDC".parse()?, decimals: 6, scale: scale(0)? },
        Asset { asset: native, symbol: "ETH".parse()?, decimals: 9, scale: scale(9)? },
    ])
}

async fn tenant(dev: &Dev, ambient: &Ambient) -> anyhow::Result<()> {
    let record = &dev.record;
    let root = dev.connect("tenant").identity()?;
    let delegation = issue(&root, ambient, record.control_plane.issuer, root.did(), "/proposal", YEAR)?;
    let contract = record.chain.escrow.context("the contract is not deployed")?;
    let create = Create {
        tenant: record.tenant,
        name: "Example Market".parse()?,
        assets: assets(dev)?.to_vec(),
        escrow: EscrowDomain { chain: record.chain.id, contract },
        confirmations: CONFIRMATIONS,
        lift_admins: 2,
        delegation: Ipld::Bytes(delegation.bytes().to_vec()),
    };
    say(dev, "operator", "/tenant/create", record.operator, &create).await?;

    let publisher = record.people.get("publisher").map(|p| p.did).context("the publisher has a key")?;
    let register = Register { publisher, name: "Example Plugins".parse()? };
    say(dev, "operator", "/publisher/register", record.operator, &register).await?;
    let publish = Publish {
        plugin: record.plugin.id.clone(),
        version: record.plugin.version.clone(),
        description: "Splits what buyers paid among sellers and authors".parse()?,
        capabilities: vec!["/proposal/payout".to_owned()],
        entry_point: "payouts.wasm".parse()?,
        code: Digest::sha256(b"com.example.payouts 1.0.0"),
    };
    say(dev, "publisher", "/plugin/publish", record.operator, &publish).await?;
    install(dev, record.plugin.installation, 2_000, 20_000, true).await?;
    for account in record.recipients.values() {
        let valid_until = ambient.now().plus(90 * 86_400);
        let verify = Verify { account: *account, kyc_level: 2, sanctioned: false, valid_until };
        say(dev, "provider", "/recipient/verify", record.tenant, &verify).await?;
    }
    Ok(())
}

/// Grants an installation of the plugin its limits, in whole dollars. With a second asset among them the limits are
/// in the grant alone, with one also in every token.
pub async fn install(dev: &Dev, installation: Did, payout: u64, day: u64, both: bool) -> anyhow::Result<()> {
    let dollars = |n: u64| anyhow::Ok(Amount::new(n.saturating_mul(DOLLAR))?);
    let limit = |asset: Asset| {
        Ok(GrantLimit { asset: asset.asset, max_per_payout: dollars(payout)?, daily_total: dollars(day)? })
    };
    let limits = assets(dev)?.into_iter().take(if both { 2 } else { 1 }).map(limit);
    let grant = Grant {
        installation,
        plugin: dev.record.plugin.id.clone(),
        version: dev.record.plugin.version.clone(),
        capabilities: vec!["/proposal/payout".to_owned()],
        limits: limits.collect::<anyhow::Result<_>>()?,
        expires_at: Ambient::system().now().plus(90 * 86_400),
    };
    say(dev, "admin-1", "/installation/grant", dev.record.tenant, &grant).await
}

/// Opens an order whose royalty carol gets, and deposits its funds.
pub async fn order_with_funds(dev: &mut Dev, chain: &Chain, order: &str, units: u64) -> anyhow::Result<()> {
    let record = &dev.record;
    let carol = record.recipients.get("carol").copied().context("carol is a recipient")?;
    let open = Open {
        order: order.parse()?,
        buyer: record.account(chain.funder()),
        asset: record.usdc()?,
        amount: Amount::new(units)?,
        royalties: vec![Royalty { recipient: carol, bps: Bps::new(500)? }],
    };
    let contract = record.chain.escrow.context("the contract is not deployed")?;
    let held = chain.order_balance(contract, order, record.usdc()?.address()).await?;
    // A start that was cut short has perhaps deposited already.
    if held == 0 {
        chain.deposit(record, order, u128::from(units)).await?;
    }
    say(dev, "marketplace", "/order/open", record.tenant, &open).await?;
    dev.record.orders.insert(order.parse()?, units);
    dev.record.write(&dev.folder)
}
