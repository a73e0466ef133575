use super::{about::About, show};
use crate::{output::Output, sending};
use ledger::args::Refuse;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  countersign refuse --as approver bafyrei… --reason \"the invoice is missing\"")]
pub struct Command {
    #[command(flatten)]
    about: About,
}

/// One person's no ends the proposal.
pub async fn run(command: Command, out: &Output) -> anyhow::Result<ExitCode> {
    let About { proposal, reason, connection } = command.about;
    let connection = connection.open()?;
    let reply =
        sending::submit(&connection, *out, "/approval/refuse", connection.tenant()?, &Refuse { proposal, reason })
            .await?;
    out.show(&reply, &show::reply("refused", &reply))?;
    Ok(ExitCode::SUCCESS)
}
