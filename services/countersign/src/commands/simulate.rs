use super::{
    propose::{self, PayoutArgs},
    show,
};
use crate::{connection::ConnectionArgs, failure::REFUSED, output::Output};
use domain::Did;
use ledger::Simulation;
use messages::{Effect, SimulationDraft};
use std::{path::PathBuf, process::ExitCode};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Nothing is written and nothing reserved, and what is sent is no proposal, but with --container.\n\n\
                        Examples:\n  countersign simulate --as plugin --file payout.json\n  \
                        countersign simulate --as operator --installation did:key:z6Mk… --file payout.json\n  \
                        countersign simulate --container proposal.ucan"
)]
pub struct Command {
    #[command(flatten)]
    payout: PayoutArgs,
    /// Decide a draft for this installation, with read access instead of the installation's key
    #[arg(long, value_name = "DID")]
    installation: Option<Did>,
    /// Decide this signed proposal instead of making one
    #[arg(long, value_name = "FILE", conflicts_with_all = propose::OTHERS, conflicts_with = "installation")]
    container: Option<PathBuf>,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// Asks what policy would say now.
pub async fn run(command: Command, out: &Output) -> anyhow::Result<ExitCode> {
    let connection = command.connection.open()?;
    let payout = || command.payout.payout(connection.ambient().now());
    let reply = if let Some(file) = command.container {
        connection.public()?.simulate(&propose::saved(&file)?).await?
    } else if let Some(installation) = command.installation {
        let payout = payout()?;
        let draft = SimulationDraft { tenant: connection.tenant()?, installation, payout };
        connection.reader("/read/proposals")?.simulate_draft(&draft).await?
    } else {
        // No proposal: whoever sees it can ask the same, and have nothing paid.
        let asked = propose::say(&connection, Simulation::COMMAND, &payout()?).await?;
        connection.public()?.simulate(&asked.container).await?
    };
    out.show(&reply, show::decision(&reply.decision).trim_start())?;
    Ok(if reply.decision.effect == Effect::Deny { ExitCode::from(REFUSED) } else { ExitCode::SUCCESS })
}
