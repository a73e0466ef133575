use super::{propose::share, show};
use crate::{connection::ConnectionArgs, output::Output, sending};
use domain::{AccountId, Amount, AssetId, OrderId, ParseAmountError};
use ledger::{Royalty, args::Open};
use std::{
    num::{IntErrorKind, ParseIntError},
    process::ExitCode,
};

#[derive(Debug, clap::Args)]
#[command(after_help = "The funds have to be deposited in the escrow contract under the same order id.\n\n\
                        Example:\n  countersign open-order --as marketplace order-7 --buyer eip155:31337:0x… \\\n    \
                        --asset eip155:31337/erc20:0x… --amount 250000000")]
pub struct Command {
    /// The marketplace's id of the order
    order: OrderId,
    /// Who paid (CAIP-10)
    #[arg(long)]
    buyer: AccountId,
    /// What lies in escrow (CAIP-19)
    #[arg(long)]
    asset: AssetId,
    /// How much, in minor units
    #[arg(long, value_parser = amount, allow_negative_numbers = true)]
    amount: Amount,
    /// Who must get at least which share of every payout; repeat for more
    #[arg(long = "royalty", value_name = "ACCOUNT=BPS", value_parser = share)]
    royalties: Vec<(AccountId, domain::Bps)>,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// An amount in minor units.
pub fn amount(text: &str) -> Result<Amount, String> {
    let units: u64 = text.parse().map_err(|error: ParseIntError| match error.kind() {
        IntErrorKind::PosOverflow => ParseAmountError::TooLarge.to_string(),
        _ if text.strip_prefix('-').is_some_and(|rest| rest.parse::<u64>().is_ok()) => {
            ParseAmountError::Zero.to_string()
        }
        _ => "an amount is a whole number of minor units, without point".to_owned(),
    })?;
    Amount::new(units).map_err(|error| error.to_string())
}

/// Opens an order.
pub async fn run(command: Command, out: &Output) -> anyhow::Result<ExitCode> {
    let connection = command.connection.open()?;
    let royalties = command.royalties.into_iter().map(|(recipient, bps)| Royalty { recipient, bps }).collect();
    let args =
        Open { order: command.order, buyer: command.buyer, asset: command.asset, amount: command.amount, royalties };
    let reply = sending::submit(&connection, *out, "/order/open", connection.tenant()?, &args).await?;
    out.show(&reply, &show::reply("opened", &reply))?;
    Ok(ExitCode::SUCCESS)
}
