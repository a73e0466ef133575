use super::show;
use crate::{
    connection::{Connection, ConnectionArgs},
    failure::Usage,
    output::Output,
    progress::Progress,
    sending,
};
use anyhow::ensure;
use client::ControlPlane;
use domain::{Cid, Did, Reason};
use ledger::args::{Revocation, Revoke};
use std::process::ExitCode;
use ucan::{Delegation, Token, Verified};

/// Entries per request, the most that the control plane gives.
const PAGE: u32 = 1_000;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "A delegation is looked for in the delegations folder, and in the log by a key that may read it. The log takes\n\
                        the revocation of any CID and any key: of what nobody has, or has in another realm, it ends nothing.\n\n\
                        Examples:\n  countersign revoke --as admin-1 --delegation bafyrei… --reason \"laptop lost\"\n  \
                        countersign revoke --as admin-1 --grant did:key:z6Mk… --reason \"uninstalled\"\n  \
                        countersign revoke --as operator --everywhere --revoked-key did:key:z6Mk… --reason \"relayer lost\""
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
    /// Revoke in the operator's realm: what the operator has delegated, and nothing of a tenant's
    #[arg(long, conflicts_with = "grant")]
    everywhere: bool,
    /// Revoke the delegation without looking for it
    #[arg(long, requires = "delegation")]
    unknown: bool,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// Revokes in the tenant's realm or the operator's.
pub async fn run(command: Command, out: &Output) -> anyhow::Result<ExitCode> {
    let revoke = match (command.delegation, command.revoked_key, command.grant) {
        (Some(cid), _, _) => Revocation::Delegation(cid),
        (_, Some(did), _) => Revocation::Key(did),
        (_, _, Some(did)) => Revocation::Grant(did),
        _ => return Err(Usage("say what: --delegation, --revoked-key or --grant".to_owned()).into()),
    };
    let connection = command.connection.open()?;
    let realm = if command.everywhere { connection.operator()? } else { connection.tenant()? };
    if let Revocation::Delegation(cid) = revoke
        && !command.unknown
    {
        check(&connection, cid, realm, *out).await?;
    }
    let args = Revoke { revoke, path: Vec::new(), reason: command.reason };
    let reply = sending::submit(&connection, *out, "/ucan/revoke", realm, &args).await?;
    let what = if command.unknown { "revoked, if there is such a delegation" } else { "revoked" };
    out.show(&reply, &show::reply(what, &reply))?;
    Ok(ExitCode::SUCCESS)
}

/// Refuses to revoke what would end nothing, as far as can be seen: the log does not look.
async fn check(connection: &Connection, cid: Cid, realm: Did, out: Output) -> anyhow::Result<()> {
    let held = connection.delegations()?.get(&cid).cloned();
    let (delegation, looked) = match (held, connection.settings().operator) {
        (Some(delegation), _) => (Some(delegation), ""),
        (None, Some(operator)) if connection.speaker()?.may("/read/log", operator) => {
            (in_log(&connection.reader("/read/log")?, cid, out).await?, ", nor has the log")
        }
        (None, _) => (None, ", and the log is not for this key to read"),
    };
    let Some(delegation) = delegation else {
        let unknown = format!(
            "nothing is signed: the delegations folder has no delegation {cid}{looked}; compare it with what `countersign \
             ucan inspect` says of its file, or give --unknown to revoke it all the same"
        );
        return Err(Usage(unknown).into());
    };
    let subject = delegation.subject();
    let of = subject.map_or_else(|| "nobody's realm".to_owned(), |subject| format!("the realm of {subject}"));
    let flag = if subject.is_some() && subject == connection.settings().operator { "--everywhere" } else { "--tenant" };
    let elsewhere = format!("nothing is signed: {cid} is of {of}, not of that of {realm}: see {flag}");
    ensure!(subject == Some(realm), Usage(elsewhere));
    Ok(())
}

/// The delegation among what statements brought to the log.
async fn in_log(plane: &ControlPlane, cid: Cid, out: Output) -> anyhow::Result<Option<Verified<Delegation>>> {
    let mut next = 0_u64;
    let mut progress: Option<Progress<_>> = None;
    loop {
        let page = plane.entries(next, PAGE).await?;
        let tokens = page.entries.iter().flat_map(|entry| &entry.tokens);
        if let Some(token) = tokens.into_iter().find(|token| Cid::of(&token.0) == cid) {
            return match ucan::open(&token.0)? {
                Token::Delegation(delegation) => Ok(Some(delegation)),
                Token::Invocation(said) => {
                    let what = said.command();
                    Err(Usage(format!("nothing is signed: {cid} is a statement, of {what}, and no delegation")).into())
                }
            };
        }
        let (Some(last), Some(head)) = (page.entries.last(), page.head) else { return Ok(None) };
        next = last.seq.max(next).saturating_add(1);
        if next > head {
            return Ok(None);
        }
        let tell = move |done: &str| out.note(&format!("not among {done}; --unknown does not look"));
        progress.get_or_insert_with(|| Progress::entries(head.saturating_add(1), tell)).come_to(next);
    }
}
