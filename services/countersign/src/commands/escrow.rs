mod change;

use super::show;
use crate::{
    confirm::ConfirmArgs,
    connection::{Connection, ConnectionArgs},
    contract::{self, Contract},
    failure::Usage,
    output::{Output, one_line},
    sending, utc,
};
use anyhow::Context as _;
use change::Change;
use domain::{Address, AssetId, Digest, NodeUrl, Reason, Time, Total};
use ledger::{Measure, args::Administer};
use messages::{AdministrationView, SubmitReply, TenantView};
use serde::Serialize;
use std::{fmt::Write as _, process::ExitCode};

/// Changes of the tenant's escrow contract. Each takes several of the operator's admins; the quorum signs it then.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Show the contract, and what admins have asked for
    Status(Status),
    /// Ask to lift the contract's freeze
    Thaw(Thaw),
    /// Ask for another daily cap of an asset
    Cap(Cap),
    /// Ask for what another admin has asked for
    Approve(Approve),
}

/// The contract, and when the change may execute.
#[derive(Debug, clap::Args)]
struct Terms {
    /// The contract's nonce, which it must have now [default: as the contract says, by the RPC endpoint]
    #[arg(long)]
    nonce: Option<u64>,
    /// For how many seconds it may be executed, at most 86400
    #[arg(long = "for", value_name = "SECONDS", default_value_t = 3_600)]
    lifetime: u64,
    /// Why, for people
    #[arg(long)]
    reason: Reason,
    #[command(flatten)]
    confirm: ConfirmArgs,
    #[command(flatten)]
    chain: ChainArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
}

#[derive(Clone, Debug, clap::Args)]
struct ChainArgs {
    /// RPC endpoint of the contract's chain [default: that of the client settings]
    #[arg(long, value_name = "URL")]
    rpc: Option<NodeUrl>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  countersign escrow status --as operator-1")]
pub struct Status {
    #[command(flatten)]
    chain: ChainArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
                        countersign escrow thaw --as operator-1 --keep-guardian --reason \"the alarm was false\"\n  \
                        countersign escrow approve --as operator-2 --reason \"it was\" ID")]
pub struct Thaw {
    #[command(flatten)]
    guardian: Guardian,
    #[command(flatten)]
    terms: Terms,
}

#[derive(Clone, Copy, Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Guardian {
    /// Who may freeze the contract from then on
    #[arg(long = "guardian", value_name = "ADDRESS")]
    address: Option<Address>,
    /// Whoever may now, by the RPC endpoint: look at what is shown before you confirm it
    #[arg(long = "keep-guardian")]
    keep: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
                        countersign escrow cap --as operator-1 --asset eip155:31337/slip44:60 --cap 5000000000 \\\n    \
                        --reason \"season's sales\"")]
pub struct Cap {
    /// The asset
    #[arg(long, value_name = "CAIP-19")]
    asset: AssetId,
    /// The most that the contract pays out in one UTC day, in minor units; 0 stops the asset
    #[arg(long = "cap", value_name = "UNITS")]
    units: u64,
    #[command(flatten)]
    terms: Terms,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  countersign escrow approve --as operator-2 --reason \"I checked it\" ID")]
pub struct Approve {
    /// What was asked for, as `escrow status` names it
    id: Digest,
    /// Why, for people
    #[arg(long)]
    reason: Reason,
    #[command(flatten)]
    confirm: ConfirmArgs,
    #[command(flatten)]
    chain: ChainArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
}

#[derive(Serialize)]
struct Asked {
    administration: Digest,
    nonce: u64,
    valid_until: Time,
    reply: SubmitReply,
}

#[derive(Serialize)]
struct Overview {
    tenant: TenantView,
    #[serde(skip_serializing_if = "Option::is_none")]
    contract: Option<Contract>,
    administrations: Vec<AdministrationView>,
}

/// Shows, or says something about, the tenant's escrow contract.
pub async fn run(command: Command, out: &Output) -> anyhow::Result<ExitCode> {
    match command {
        Command::Status(status) => overview(status, out).await,
        Command::Thaw(thaw) => ask_thaw(thaw, out).await,
        Command::Cap(cap) => ask_cap(cap, out).await,
        Command::Approve(approve) => join(approve, out).await,
    }
}

impl ChainArgs {
    /// What the contract says, when there is an RPC endpoint to ask.
    async fn look(self, connection: &Connection, tenant: &TenantView) -> anyhow::Result<Option<Contract>> {
        match self.rpc.or_else(|| connection.settings().rpc.clone()) {
            Some(rpc) => Ok(Some(contract::look(&rpc, tenant).await?)),
            None => Ok(None),
        }
    }
}

async fn tenant(connection: &Connection) -> anyhow::Result<TenantView> {
    let did = connection.tenant()?;
    let tenant = connection.reader("/read/tenants")?.tenant(&did).await?;
    anyhow::ensure!(tenant.tenant == did, "the control plane shows another tenant under this id");
    Ok(tenant)
}

async fn administrations(connection: &Connection) -> anyhow::Result<Vec<AdministrationView>> {
    let tenant = connection.tenant()?;
    let mut open = connection.reader("/read/tenants")?.administrations().await?;
    open.retain(|a| a.tenant == tenant);
    Ok(open)
}

async fn overview(status: Status, out: &Output) -> anyhow::Result<ExitCode> {
    let connection = status.connection.open()?;
    let tenant = tenant(&connection).await?;
    let contract = status.chain.look(&connection, &tenant).await?;
    let administrations = administrations(&connection).await?;
    let overview = Overview { tenant, contract, administrations };
    out.show(&overview, &text(&overview))?;
    Ok(ExitCode::SUCCESS)
}

fn text(overview: &Overview) -> String {
    let escrow = overview.tenant.escrow;
    let mut text = format!("contract {} on chain {}", escrow.contract, escrow.chain.0);
    match &overview.contract {
        Some(c) => {
            let _ = write!(text, "\n{}", change::state(c));
            for cap in &c.caps {
                let _ = write!(text, "\ncap of {}: {} a day, {} spent today", cap.asset, cap.cap, cap.spent);
            }
        }
        None => text.push_str("\n(no RPC endpoint: give --rpc URL to see its state)"),
    }
    for open in &overview.administrations {
        let _ = write!(text, "\n{}", open_text(open, &overview.tenant));
        if overview.contract.as_ref().is_some_and(|c| c.nonce > open.nonce) {
            text.push_str("\n  the contract is past this nonce: executed, or overtaken");
        }
    }
    text
}

fn open_text(open: &AdministrationView, tenant: &TenantView) -> String {
    let (have, needed) = (open.admins.len(), open.needed);
    let state = if open.authorisation.is_some() { "approved" } else { "waits for others" };
    let measure = serde_json::from_value(open.measure.clone()).ok().and_then(|m| change::measure(tenant, &m));
    format!(
        "{}\n  {}\n  nonce {}, until {}; {have} of {needed} admins: {state}\n  reason: {}",
        open.id,
        measure.unwrap_or_else(|| open.measure.to_string()),
        open.nonce,
        utc::text(open.valid_until),
        one_line(open.reason.as_str()),
    )
}

async fn ask_thaw(thaw: Thaw, out: &Output) -> anyhow::Result<ExitCode> {
    let Guardian { address, .. } = thaw.guardian;
    let measure = |contract: Option<&Contract>| {
        let guardian = address.or_else(|| contract.map(|c| c.guardian));
        let unknown = || Usage("give --guardian ADDRESS, or --rpc URL to see whom --keep-guardian keeps".to_owned());
        Ok(Measure::Thaw { guardian: guardian.ok_or_else(unknown)? })
    };
    ask(thaw.terms, measure, out).await
}

async fn ask_cap(cap: Cap, out: &Output) -> anyhow::Result<ExitCode> {
    let total = Total::try_from(cap.units).map_err(|e| Usage(format!("--cap: {e}")))?;
    ask(cap.terms, |_| Ok(Measure::SetCap { asset: cap.asset, cap: total }), out).await
}

/// Asks for a measure, which may depend on what the contract says.
async fn ask(
    terms: Terms,
    measure: impl FnOnce(Option<&Contract>) -> anyhow::Result<Measure>,
    out: &Output,
) -> anyhow::Result<ExitCode> {
    let connection = terms.connection.open()?;
    let tenant = tenant(&connection).await?;
    let contract = terms.chain.look(&connection, &tenant).await?;
    let measure = measure(contract.as_ref())?;
    let nonce = terms.nonce.or_else(|| contract.as_ref().map(|c| c.nonce));
    let nonce = nonce.ok_or_else(|| Usage("give --nonce N, or --rpc URL to read it from the contract".to_owned()))?;
    let valid_until = connection.ambient().now().plus(terms.lifetime);
    let said = Administer { tenant: tenant.tenant, measure, nonce, valid_until, reason: terms.reason };
    submit(&connection, terms.confirm, &tenant, contract.as_ref(), &said, out).await
}

/// Shows what is signed, asks whether it is meant, and says exactly that.
async fn submit(
    connection: &Connection,
    confirm: ConfirmArgs,
    tenant: &TenantView,
    contract: Option<&Contract>,
    said: &Administer,
    out: &Output,
) -> anyhow::Result<ExitCode> {
    let change = Change { said, tenant, contract, now: connection.ambient().now() };
    change.check()?;
    confirm.confirm(&change.lines()?)?;
    let reply = sending::submit(connection, *out, "/escrow/administer", connection.operator()?, said).await?;
    let asked = Asked { administration: said.id(), nonce: said.nonce, valid_until: said.valid_until, reply };
    let text = format!("{}\nadministration: {}", show::reply("asked for", &asked.reply), asked.administration);
    out.show(&asked, &text)?;
    Ok(ExitCode::SUCCESS)
}

/// Asks for what another has asked for: the id is computed again from what is shown.
async fn join(approve: Approve, out: &Output) -> anyhow::Result<ExitCode> {
    let connection = approve.connection.open()?;
    let tenant = tenant(&connection).await?;
    let open = administrations(&connection).await?.into_iter().find(|a| a.id == approve.id);
    let open = open.with_context(|| format!("nobody has asked for {}, or it has ended", approve.id))?;
    let contract = approve.chain.look(&connection, &tenant).await?;
    let measure = serde_json::from_value(open.measure).context("an unknown kind of change")?;
    let (nonce, valid_until) = (open.nonce, open.valid_until);
    let said = Administer { tenant: tenant.tenant, measure, nonce, valid_until, reason: approve.reason };
    anyhow::ensure!(said.id() == approve.id, "the control plane shows something else under this id");
    submit(&connection, approve.confirm, &tenant, contract.as_ref(), &said, out).await
}
