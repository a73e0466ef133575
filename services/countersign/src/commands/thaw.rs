use super::{freeze::ScopeArgs, show};
use crate::{connection::ConnectionArgs, output::Output};
use ledger::args::Lift;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
#[command(after_help = "The scope is named as it was when it was frozen.\n\n\
                        Example:\n  countersign thaw --as admin-1 && countersign thaw --as admin-2")]
pub struct Command {
    #[command(flatten)]
    scope: ScopeArgs,
    /// In the operator's realm
    #[arg(long)]
    everywhere: bool,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// One admin's word; several make the thaw.
pub async fn run(command: Command, out: &Output) -> anyhow::Result<ExitCode> {
    let connection = command.connection.open()?;
    let realm = if command.everywhere { connection.operator()? } else { connection.tenant()? };
    let reply = connection.submit("/freeze/lift", realm, &Lift { scope: command.scope.into() }).await?;
    out.show(&reply, &show::reply("asked to lift", &reply))?;
    Ok(ExitCode::SUCCESS)
}
