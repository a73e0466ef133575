use super::show;
use crate::{connection::ConnectionArgs, output::Output, sending};
use domain::AccountId;
use ledger::args::Verify;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  countersign verify-recipient --as provider eip155:31337:0x… --kyc-level 2")]
pub struct Command {
    /// The account (CAIP-10)
    account: AccountId,
    /// Know-your-customer level, 0 to 10
    #[arg(long, default_value_t = 1)]
    kyc_level: u8,
    /// The account is on a sanctions list
    #[arg(long)]
    sanctioned: bool,
    /// For how many days this may be relied on
    #[arg(long, default_value_t = 90)]
    days: u64,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// Says what a provider knows about a recipient.
pub async fn run(command: Command, out: &Output) -> anyhow::Result<ExitCode> {
    let connection = command.connection.open()?;
    let args = Verify {
        account: command.account,
        kyc_level: command.kyc_level,
        sanctioned: command.sanctioned,
        valid_until: connection.ambient().now().plus(command.days.saturating_mul(86_400)),
    };
    let reply = sending::submit(&connection, *out, "/recipient/verify", connection.tenant()?, &args).await?;
    out.show(&reply, &show::reply("recorded", &reply))?;
    Ok(ExitCode::SUCCESS)
}
