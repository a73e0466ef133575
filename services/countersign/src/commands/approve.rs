use super::show;
use crate::{connection::ConnectionArgs, output::Output};
use domain::Cid;
use ledger::args::Give;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  countersign approve --as approver bafyrei…")]
pub struct Command {
    /// The proposal
    proposal: Cid,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// Shows what is approved and approves exactly that: the statement carries the digest of what was shown.
pub async fn run(command: Command, out: &Output) -> anyhow::Result<ExitCode> {
    let connection = command.connection.open()?;
    let view = connection.reader("/read/proposals")?.proposal(&command.proposal).await?;
    out.note(&show::proposal(&view));
    let args = Give { proposal: view.id, review: view.review_digest };
    let reply = connection.submit("/approval/give", connection.tenant()?, &args).await?;
    out.show(&reply, &show::reply("approved", &reply))?;
    Ok(ExitCode::SUCCESS)
}
