use super::show;
use crate::{
    connection::{Connection, ConnectionArgs},
    failure::{self, UNAVAILABLE},
    output::{Output, one_line},
    sending::{self, Kept},
};
use client::Statement;
use domain::{Cid, Did, NodeUrl, PluginId, Reason};
use futures_util::future::{Either, join_all, select};
use ledger::{Scope, args::Set};
use messages::SubmitReply;
use serde::{Serialize, Serializer};
use std::{pin::pin, process::ExitCode, time::Duration};

/// A signer that is busy takes freezes in turn; nobody waits for it but this command.
const PATIENCE: Duration = Duration::from_mins(1);
/// A log that answers is not much later than the signers.
const SOON: Duration = Duration::from_secs(2);
const SET: &str = "/freeze/set";

/// What a freeze covers; everything in the realm when nothing is named.
#[derive(Clone, Debug, Default, clap::Args)]
#[group(multiple = false)]
pub struct ScopeArgs {
    /// One plugin, in every version
    #[arg(long, value_name = "PLUGIN")]
    plugin: Option<PluginId>,
    /// One installation
    #[arg(long, value_name = "DID")]
    installation: Option<Did>,
    /// One kind of intent, such as /proposal/payout
    #[arg(long, value_name = "COMMAND")]
    action: Option<String>,
    /// One tenant, in the operator's realm
    #[arg(long, value_name = "DID")]
    only_tenant: Option<Did>,
}

impl ScopeArgs {
    /// The realm to freeze or thaw in: only the operator's has tenants to name.
    pub fn realm(&self, everywhere: bool, connection: &Connection) -> anyhow::Result<Did> {
        if everywhere || self.only_tenant.is_some() { connection.operator() } else { connection.tenant() }
    }
}

impl From<ScopeArgs> for Scope {
    fn from(args: ScopeArgs) -> Self {
        match (args.plugin, args.installation, args.action) {
            (Some(plugin), _, _) => Self::Plugin(plugin),
            (_, Some(installation), _) => Self::Installation(installation),
            (_, _, Some(action)) => Self::Action(action),
            _ => args.only_tenant.map_or(Self::All, Self::Tenant),
        }
    }
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Goes to the control plane and to every signer directly, so that it holds even while the control\n\
                        plane is down or does not want it.\n\n\
                        Example:\n  countersign freeze --as guardian --reason \"suspicious payouts\""
)]
pub struct Command {
    #[command(flatten)]
    scope: ScopeArgs,
    /// Why, for people
    #[arg(long)]
    reason: Reason,
    /// Freeze in the operator's realm: every tenant
    #[arg(long, conflicts_with = "only_tenant")]
    everywhere: bool,
    /// A signer's base URL; repeat for every signer [default: those of the client settings]
    #[arg(long = "signer", value_name = "URL")]
    signers: Vec<NodeUrl>,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// What became of a freeze.
#[derive(Serialize)]
pub struct Frozen {
    /// The statement, which whoever lifts the freeze names.
    pub id: Cid,
    /// What the log said.
    #[serde(serialize_with = "answer")]
    pub log: anyhow::Result<SubmitReply>,
    /// What each signer said.
    pub signers: Vec<Told>,
}

/// What the signers said before the log did.
#[derive(Serialize)]
struct Reached<'a> {
    signers: &'a [Told],
}

/// What one signer said.
#[derive(Serialize)]
pub struct Told {
    /// The signer's base URL.
    pub url: NodeUrl,
    /// Why it has not confirmed the freeze, if it has not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

fn answer<S: Serializer>(log: &anyhow::Result<SubmitReply>, serializer: S) -> Result<S::Ok, S::Error> {
    match log {
        Ok(reply) => serializer.serialize_newtype_variant("Log", 0, "taken", reply),
        Err(error) => serializer.serialize_newtype_variant("Log", 1, "error", &format!("{error:#}")),
    }
}

fn text(signers: &[Told]) -> String {
    let line = |told: &Told| match &told.error {
        None => format!("{}: frozen", told.url),
        Some(error) => format!("{}: NOT confirmed: {}", told.url, one_line(error)),
    };
    if signers.is_empty() {
        return "no signer is named, so it holds when a signer reads it in the log".to_owned();
    }
    signers.iter().map(line).collect::<Vec<_>>().join("\n")
}

impl Frozen {
    fn text(&self) -> String {
        let mut text = match &self.log {
            Ok(reply) => show::reply("frozen", reply),
            Err(error) => format!("statement {} is NOT confirmed by the log: {error:#}", self.id),
        };
        text.push('\n');
        text.push_str(&self::text(&self.signers));
        text
    }

    /// Done when everybody has confirmed it: of who has not, nothing is known.
    fn exit(&self) -> ExitCode {
        let confirmed = self.signers.iter().filter(|told| told.error.is_none()).count();
        match &self.log {
            Ok(_) if confirmed == self.signers.len() => ExitCode::SUCCESS,
            Ok(_) => ExitCode::from(UNAVAILABLE),
            Err(error) => ExitCode::from(failure::code(error)),
        }
    }
}

/// Freezes through both ways at once.
pub async fn run(command: Command, out: &Output) -> anyhow::Result<ExitCode> {
    let connection = command.connection.open()?;
    let realm = command.scope.realm(command.everywhere, &connection)?;
    let set = Set { scope: command.scope.into(), reason: command.reason };
    let said = connection.speaker()?.say(SET, realm, &set)?;
    let signers = if command.signers.is_empty() { connection.settings().signers.clone() } else { command.signers };
    let log = sending::send(&connection, *out, SET, &said, Kept::nowhere(said.id));
    let frozen = tell(log, &said, &signers, |told| out.aside(&Reached { signers: told }, &text(told))).await;
    out.show(&frozen, &frozen.text())?;
    Ok(frozen.exit())
}

/// Sends a `/freeze/set` statement to the log and to every signer, without waiting for one before the other.
pub async fn send(connection: &Connection, said: &Statement, signers: &[NodeUrl]) -> Frozen {
    tell(connection.send(SET, said), said, signers, |_| ()).await
}

/// Sends to every signer while `log` sends to the log. Calls `early` with what the signers said when the log takes much
/// longer than they do.
async fn tell(
    log: impl Future<Output = anyhow::Result<SubmitReply>>,
    said: &Statement,
    signers: &[NodeUrl],
    early: impl FnOnce(&[Told]),
) -> Frozen {
    let direct = join_all(signers.iter().map(|url| async {
        let told = client::freeze(url, said, PATIENCE).await;
        Told { url: url.clone(), error: told.err().map(|e| format!("{:#}", anyhow::Error::from(e))) }
    }));
    let (log, signers) = match select(pin!(log), pin!(direct)).await {
        Either::Left((log, direct)) => (log, direct.await),
        Either::Right((told, mut log)) => {
            if let Ok(log) = tokio::time::timeout(SOON, log.as_mut()).await {
                (log, told)
            } else {
                early(&told);
                (log.await, told)
            }
        }
    };
    Frozen { id: said.id, log, signers }
}
