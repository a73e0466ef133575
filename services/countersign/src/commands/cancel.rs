use super::{about::About, propose, show};
use crate::{
    output::Output,
    sending::{self, Kept},
};
use ledger::args::Cancel;
use std::process::ExitCode;

const CANCEL: &str = "/proposal/cancel";

#[derive(Debug, clap::Args)]
#[command(after_help = "An installation cancels its own proposals, an admin any.\n\n\
                        Examples:\n  countersign cancel --as plugin bafyrei… --reason \"the order was returned\"\n  \
                        countersign cancel --as admin-1 bafyrei… --reason \"a double\"")]
pub struct Command {
    #[command(flatten)]
    about: About,
}

/// Withdraws a proposal, as its installation or as an admin.
pub async fn run(command: Command, out: &Output) -> anyhow::Result<ExitCode> {
    let About { proposal, reason, connection } = command.about;
    let connection = connection.open()?;
    let tenant = connection.tenant()?;
    let speaker = propose::speaker(&connection, CANCEL, tenant).await?;
    let said = speaker.say(CANCEL, tenant, &Cancel { proposal, reason })?;
    let reply = sending::send(&connection, *out, CANCEL, &said, Kept::nowhere(said.id)).await?;
    out.show(&reply, &show::reply("cancelled", &reply))?;
    Ok(ExitCode::SUCCESS)
}
