use super::{propose, show};
use crate::{connection::ConnectionArgs, output::Output};
use domain::{Cid, Reason};
use ledger::args::Cancel;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  countersign cancel --as admin-1 bafyrei… --reason \"a double\"")]
pub struct Command {
    /// The proposal
    proposal: Cid,
    /// Why, for people
    #[arg(long)]
    reason: Reason,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// Withdraws a proposal, as its installation or as an admin.
pub async fn run(command: Command, out: &Output) -> anyhow::Result<ExitCode> {
    let connection = command.connection.open()?;
    let args = Cancel { proposal: command.proposal, reason: command.reason };
    let tenant = connection.tenant()?;
    let speaker = propose::speaker(&connection, "/proposal/cancel", tenant).await?;
    let said = speaker.say("/proposal/cancel", tenant, &args)?;
    let reply = connection.send("/proposal/cancel", &said).await?;
    out.show(&reply, &show::reply("cancelled", &reply))?;
    Ok(ExitCode::SUCCESS)
}
