use crate::{connection::ConnectionArgs, output::Output};
use anyhow::Context as _;
use client::{Ambient, NoDelegation, SpeakError};
use domain::{Cid, Did, Time};
use keyfile::Identity;
use serde::Serialize;
use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};
use ucan::{
    Delegation, Verified,
    container::{self, Encoding},
    issue::{NewDelegation, delegate},
};

/// A year: long enough for a role, short enough that forgotten ones end.
pub const YEAR: u64 = 365 * 86_400;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
                        countersign delegate --key keys/tenant.key --to did:key:z6Mk… --command /approval --out approver.ucan")]
pub struct Command {
    /// Who receives the authority
    #[arg(long, value_name = "DID")]
    to: Did,
    /// The command that is passed on, with everything below it
    #[arg(long = "command", value_name = "COMMAND")]
    what: ucan::Command,
    /// Whose authority it is [default: the key's own]
    #[arg(long, value_name = "DID")]
    subject: Option<Did>,
    /// For how many days
    #[arg(long, default_value_t = 365)]
    days: u64,
    /// The file to write, usually NAME.ucan; never overwritten
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    connection: ConnectionArgs,
}

#[derive(Serialize)]
struct Issued<'a> {
    file: &'a Path,
    delegation: Cid,
    issuer: Did,
    audience: Did,
    subject: Did,
    command: String,
    expires_at: Time,
}

/// Writes a delegation, with the chain behind it when the authority is somebody else's.
#[expect(clippy::unused_async, reason = "every command is run the same way")]
pub async fn run(command: Command, out: &Output) -> anyhow::Result<ExitCode> {
    let connection = command.connection.open()?;
    let identity = connection.identity()?;
    let subject = command.subject.unwrap_or_else(|| identity.did());
    let ambient = connection.ambient();
    let delegations = connection.delegations()?;
    let chain = delegations.chain(identity.did(), &command.what, subject, ambient.now()).ok_or_else(|| {
        let (audience, command) = (identity.did(), command.what.clone());
        SpeakError::NoDelegation(Box::new(NoDelegation { audience, command, subject }))
    })?;
    let lifetime = command.days.saturating_mul(86_400);
    let issued = issue(&identity, ambient, command.to, subject, command.what.as_str(), lifetime)?;
    let mut all = chain;
    all.push(issued.clone());
    write(&command.out, &all)?;
    let issued = Issued {
        file: &command.out,
        delegation: issued.cid(),
        issuer: issued.issuer(),
        audience: command.to,
        subject,
        command: command.what.to_string(),
        expires_at: ambient.now().plus(lifetime),
    };
    out.show(&issued, &format!("{}: {} may {}", command.out.display(), issued.audience, issued.command))?;
    Ok(ExitCode::SUCCESS)
}

/// Signs a delegation that ends after `lifetime` seconds.
pub fn issue(
    issuer: &Identity,
    ambient: &Ambient,
    audience: Did,
    subject: Did,
    command: &str,
    lifetime: u64,
) -> anyhow::Result<Verified<Delegation>> {
    let nonce: [u8; 16] = ambient.random().context("the system gives no randomness")?;
    let mut new = NewDelegation::new(audience, subject, command.parse()?, nonce);
    new.expiration = Some(ambient.now().plus(lifetime));
    Ok(delegate(issuer.key(), new)?)
}

/// Writes delegations to a new file, as a container in text form.
pub fn write(file: &Path, delegations: &[Verified<Delegation>]) -> anyhow::Result<()> {
    let tokens: Vec<&[u8]> = delegations.iter().map(|d| d.bytes()).collect();
    let mut text = container::encode(Encoding::Base64Url, &tokens)?;
    text.push(b'\n');
    let mut new = fs::File::create_new(file).with_context(|| format!("cannot make {}", file.display()))?;
    std::io::Write::write_all(&mut new, &text).with_context(|| format!("cannot write {}", file.display()))
}
