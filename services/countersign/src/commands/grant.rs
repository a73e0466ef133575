use super::{delegate::YEAR, open_order::amount, show};
use crate::{connection::ConnectionArgs, output::Output, sending};
use anyhow::Context as _;
use clap::value_parser;
use domain::{AssetId, Did, PluginId, Version};
use ledger::args::{Grant, GrantLimit};
use std::{process::ExitCode, str::FromStr};

const DAY: u64 = 86_400;
const HOUR: u64 = 3_600;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  countersign grant --as admin-1 did:key:z6Mk… --plugin com.example.payouts --version 1.0.0 \\\n    \
                        --limit eip155:31337/erc20:0x…=500000000,2000000000\n  \
                        countersign grant --as admin-1 did:key:z6Mk… --plugin com.example.payouts --version 1.0.0 \\\n    \
                        --limit eip155:31337/erc20:0x…=1000000,1000000 --hours 12     to try it out"
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
    #[arg(long, default_value_t = YEAR / DAY, conflicts_with = "hours")]
    days: u64,
    /// For how many hours
    #[arg(long, value_parser = value_parser!(u64).range(1..))]
    hours: Option<u64>,
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
        let amount = |text: &str| amount(text).map_err(anyhow::Error::msg);
        Ok(Self(GrantLimit { asset, max_per_payout: amount(payout)?, daily_total: amount(day)? }))
    }
}

/// Grants an installation its capabilities and limits.
pub async fn run(command: Command, out: &Output) -> anyhow::Result<ExitCode> {
    let connection = command.connection.open()?;
    let days = command.days.saturating_mul(DAY);
    let seconds = command.hours.map_or(days, |hours| hours.saturating_mul(HOUR));
    let args = Grant {
        installation: command.installation,
        plugin: command.plugin,
        version: command.version,
        capabilities: command.capabilities,
        limits: command.limits.into_iter().map(|l| l.0).collect(),
        expires_at: connection.ambient().now().plus(seconds),
    };
    let reply = sending::submit(&connection, *out, "/installation/grant", connection.tenant()?, &args).await?;
    out.show(&reply, &show::reply("granted", &reply))?;
    Ok(ExitCode::SUCCESS)
}
