use super::show;
use crate::{connection::ConnectionArgs, output::Output};
use domain::Cid;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  countersign status --as operator bafyrei…")]
pub struct Command {
    /// The proposal
    proposal: Cid,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// Shows everything about a proposal.
pub async fn run(command: Command, out: &Output) -> anyhow::Result<ExitCode> {
    let connection = command.connection.open()?;
    let view = connection.reader("/read/proposals")?.proposal(&command.proposal).await?;
    out.show(&view, &show::proposal(&view))?;
    Ok(show::exit(Some(view.status)))
}
