use super::show;
use crate::{connection::ConnectionArgs, output::Output};
use domain::{Cid, Reason};
use ledger::args::Refuse;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  countersign refuse --as approver bafyrei… --reason \"the invoice is missing\"")]
pub struct Command {
    /// The proposal
    proposal: Cid,
    /// Why, for people
    #[arg(long)]
    reason: Reason,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// One person's no ends the proposal.
pub async fn run(command: Command, out: &Output) -> anyhow::Result<ExitCode> {
    let connection = command.connection.open()?;
    let args = Refuse { proposal: command.proposal, reason: command.reason };
    let reply = connection.submit("/approval/refuse", connection.tenant()?, &args).await?;
    out.show(&reply, &show::reply("refused", &reply))?;
    Ok(ExitCode::SUCCESS)
}
