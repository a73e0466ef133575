use super::show;
use crate::{connection::ConnectionArgs, failure::Usage, output::Output};
use domain::{Cid, Did, Reason};
use ledger::args::{Revocation, Revoke};
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  countersign revoke --as admin-1 --delegation bafyrei… --reason \"laptop lost\"\n  \
                        countersign revoke --as admin-1 --grant did:key:z6Mk… --reason \"uninstalled\""
)]
pub struct Command {
    /// One delegation, and every chain through it
    #[arg(long, value_name = "CID", group = "what")]
    delegation: Option<Cid>,
    /// A key: every chain through it
    #[arg(long = "revoked-key", value_name = "DID", group = "what")]
    revoked_key: Option<Did>,
    /// The grant of an installation
    #[arg(long, value_name = "DID", group = "what")]
    grant: Option<Did>,
    /// Why, for people
    #[arg(long)]
    reason: Reason,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// Revokes in the tenant's realm.
pub async fn run(command: Command, out: &Output) -> anyhow::Result<ExitCode> {
    let revoke = match (command.delegation, command.revoked_key, command.grant) {
        (Some(cid), _, _) => Revocation::Delegation(cid),
        (_, Some(did), _) => Revocation::Key(did),
        (_, _, Some(did)) => Revocation::Grant(did),
        _ => return Err(Usage("say what: --delegation, --revoked-key or --grant".to_owned()).into()),
    };
    let connection = command.connection.open()?;
    let args = Revoke { revoke, path: Vec::new(), reason: command.reason };
    let reply = connection.submit("/ucan/revoke", connection.tenant()?, &args).await?;
    out.show(&reply, &show::reply("revoked", &reply))?;
    Ok(ExitCode::SUCCESS)
}
