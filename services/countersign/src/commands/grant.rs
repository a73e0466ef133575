use super::{delegate::YEAR, show};
use crate::{connection::ConnectionArgs, output::Output, sending};
use anyhow::Context as _;
use domain::{AssetId, Did, PluginId, Version};
use ledger::args::{Grant, GrantLimit};
use std::{process::ExitCode, str::FromStr};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  countersign grant --as admin-1 did:key:z6Mk… --plugin com.example.payouts --version 1.0.0 \\\n    \
                        --limit eip155:31337/erc20:0x…=500000000,2000000000"
)]
pub struct Command {
    /// DID of the installation
    installation: Did,
    /// The plugin
    #[arg(long)]
    plugin: PluginId,
    /// The version consented to
    #[arg(long = "version", value_name = "VERSION")]
    version: Version,
    /// What it may invoke
    #[arg(long = "capability", default_value = "/proposal/payout")]
    capabilities: Vec<String>,
    /// The most in one payout and in one UTC day, in minor units; repeat for every asset
    #[arg(long = "limit", value_name = "ASSET=PAYOUT,DAY", required = true)]
    limits: Vec<Limit>,
    /// For how many days
    #[arg(long, default_value_t = YEAR / 86_400)]
    days: u64,
    #[command(flatten)]
    connection: ConnectionArgs,
}

#[derive(Clone, Debug)]
struct Limit(GrantLimit);

impl FromStr for Limit {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.split_once('=').and_then(|(asset, rest)| Some((asset, rest.split_once(',')?)));
        let (asset, (payout, day)) = parts.context("expected ASSET=PAYOUT,DAY")?;
        let asset: AssetId = asset.parse()?;
        let amount = |text: &str| anyhow::Ok(domain::Amount::new(text.parse()?)?);
        Ok(Self(GrantLimit { asset, max_per_payout: amount(payout)?, daily_total: amount(day)? }))
    }
}

/// Grants an installation its capabilities and limits.
pub async fn run(command: Command, out: &Output) -> anyhow::Result<ExitCode> {
    let connection = command.connection.open()?;
    let args = Grant {
        installation: command.installation,
        plugin: command.plugin,
        version: command.version,
        capabilities: command.capabilities,
        limits: command.limits.into_iter().map(|l| l.0).collect(),
        expires_at: connection.ambient().now().plus(command.days.saturating_mul(86_400)),
    };
    let reply = sending::submit(&connection, *out, "/installation/grant", connection.tenant()?, &args).await?;
    out.show(&reply, &show::reply("granted", &reply))?;
    Ok(ExitCode::SUCCESS)
}
