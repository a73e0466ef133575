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
use messages::SubmitReply;
use serde::Serialize;
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
    // It is said, whether or not this key may read what came of it.
    let stands = stands(&connection, realm, freeze).await.ok();
    let what = match &stands {
        Some(Stands { lifted: true, .. }) => "lifted",
        _ => "asked to lift",
    };
    let mut text = show::reply(what, &reply);
    if let Some(stands) = &stands {
        text.push_str(&stands.text());
    }
    out.show(&Answer { reply, stands }, &text)?;
    Ok(ExitCode::SUCCESS)
}

#[derive(Serialize)]
struct Answer {
    #[serde(flatten)]
    reply: SubmitReply,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    stands: Option<Stands>,
}

/// What came of the word.
#[derive(Serialize)]
struct Stands {
    /// Whether the freeze has ended.
    lifted: bool,
    /// Who has asked for its end, while it stands.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    lifts: Vec<Did>,
    /// How many admins more it takes, where that can be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<usize>,
}

impl Stands {
    fn text(&self) -> String {
        match (self.lifted, self.missing) {
            (true, _) => String::new(),
            (false, Some(missing)) => format!("\nthe freeze stands: {missing} more admin(s) have to ask for its end"),
            (false, None) => {
                format!("\nthe freeze stands: {} admin(s) have asked for its end, and more have to", self.lifts.len())
            }
        }
    }
}

/// Whether the freeze stands, and how many are still to ask for its end. How many that takes is a tenant's to say; for the
/// operator the log's genesis says it, which is not read here.
async fn stands(connection: &Connection, realm: Did, freeze: Cid) -> anyhow::Result<Stands> {
    let plane = connection.reader("/read/tenants")?;
    let Some(found) = plane.freezes().await?.into_iter().find(|f| f.statement == freeze) else {
        return Ok(Stands { lifted: true, lifts: Vec::new(), missing: None });
    };
    let needed = plane.tenant(&realm).await.ok().map(|tenant| usize::from(tenant.lift_admins));
    let missing = needed.map(|needed| needed.saturating_sub(found.lifts.len()));
    Ok(Stands { lifted: false, lifts: found.lifts, missing })
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
