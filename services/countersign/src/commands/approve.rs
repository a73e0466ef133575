pub mod review;

use super::show;
use crate::{confirm::ConfirmArgs, connection::ConnectionArgs, output::Output, sending};
use domain::Cid;
use ledger::args::Give;
use review::Review;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Everything that is signed is shown first, what counts most last. Only yes is yes. What others wrote is in\n\
                        quotes; a line that begins with | goes on with the one above.\n\n\
                        Example:\n  countersign approve --as approver bafyrei…"
)]
pub struct Command {
    /// The proposal
    proposal: Cid,
    #[command(flatten)]
    confirm: ConfirmArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// Shows what is approved and approves exactly that: the statement carries the digest of what was shown.
pub async fn run(command: Command, out: &Output) -> anyhow::Result<ExitCode> {
    let connection = command.connection.open()?;
    let view = connection.reader("/read/proposals")?.proposal(&command.proposal).await?;
    let review = Review::of(command.proposal, view)?;
    command.confirm.confirm(&review.lines(connection.ambient().now())?)?;
    let args = Give { proposal: command.proposal, review: review.digest() };
    let reply = sending::submit(&connection, *out, "/approval/give", connection.tenant()?, &args).await?;
    out.show(&reply, &show::reply("approved", &reply))?;
    Ok(ExitCode::SUCCESS)
}
