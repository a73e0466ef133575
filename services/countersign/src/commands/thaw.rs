use super::{freeze::ScopeArgs, show};
use crate::{
    connection::{Connection, ConnectionArgs},
    lines::{Lines, quoted},
    output::Output,
    sending, utc,
};
use anyhow::Context as _;
use domain::{Cid, Did};
use ledger::{Scope, args::Lift};
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
#[command(after_help = "The scope is named as it was when it was frozen.\n\n\
                        Example:\n  countersign thaw --as admin-1 && countersign thaw --as admin-2")]
pub struct Command {
    #[command(flatten)]
    scope: ScopeArgs,
    /// In the operator's realm
    #[arg(long, conflicts_with = "only_tenant")]
    everywhere: bool,
    /// The statement that froze it, as `freeze` printed it [default: that of the freeze in force]
    #[arg(long, value_name = "CID")]
    freeze: Option<Cid>,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// One admin's word for the end of one freeze; several make the thaw.
pub async fn run(command: Command, out: &Output) -> anyhow::Result<ExitCode> {
    let connection = command.connection.open()?;
    let realm = command.scope.realm(command.everywhere, &connection)?;
    let scope = command.scope.into();
    let freeze = match command.freeze {
        Some(freeze) => freeze,
        None => in_force(&connection, realm, &scope).await?,
    };
    let reply = sending::submit(&connection, *out, "/freeze/lift", realm, &Lift { scope, freeze }).await?;
    out.show(&reply, &show::reply("asked to lift", &reply))?;
    Ok(ExitCode::SUCCESS)
}

/// Which freeze it is that stands, shown before anything is said of it.
async fn in_force(connection: &Connection, realm: Did, scope: &Scope) -> anyhow::Result<Cid> {
    let scope = serde_json::to_value(scope)?;
    let freezes = connection.reader("/read/tenants")?.freezes().await?;
    let freeze = freezes.into_iter().find(|f| f.realm == realm && f.scope == scope);
    let freeze = freeze.context("this scope is not frozen")?;
    // Also where a program reads along: what is signed is not left unsaid.
    let mut lines = Lines::new("the end of a freeze, as the control plane shows it");
    lines.add("reason", quoted(freeze.reason.as_str()));
    lines.add("set at", utc::text(freeze.at));
    lines.add("set by", freeze.by);
    lines.add("freeze", freeze.statement);
    Output::tell(lines.text());
    Ok(freeze.statement)
}
