//! Who a command speaks as, and to whom.

use crate::{failure::Usage, settings::ClientSettings};
use anyhow::Context as _;
use client::{Ambient, ControlPlane, Delegations, ReadAccess, Speaker, Statement};
use domain::{Did, NodeUrl};
use keyfile::{Identity, Passphrase};
use messages::SubmitReply;
use serde::Serialize;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// Where `dev` leaves the client's settings; used when nothing else is said and the file is there.
const DEV_SETTINGS: &str = ".countersign/dev/client.toml";
/// Longer than a control plane takes to start again, or another one to take over; much shorter than a statement is valid.
const PATIENCE: u64 = 60;

/// Whom to speak as and to. What is not given comes from the client settings.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Connection")]
pub struct ConnectionArgs {
    /// Client settings (TOML), whose fields `countersign --help` lists [default: .countersign/dev/client.toml, when it is
    /// there]
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_CLIENT")]
    pub client: Option<PathBuf>,
    /// Base URL of the control plane
    #[arg(long, value_name = "URL")]
    pub control_plane: Option<NodeUrl>,
    /// DID of the control plane, to which statements are addressed
    #[arg(long, value_name = "DID")]
    pub sequencer: Option<Did>,
    /// DID of the operator
    #[arg(long, value_name = "DID")]
    pub operator: Option<Did>,
    /// DID of the tenant that the command is about
    #[arg(long, value_name = "DID")]
    pub tenant: Option<Did>,
    /// Key file to speak with
    #[arg(long, value_name = "FILE", conflicts_with = "as")]
    pub key: Option<PathBuf>,
    /// Name of a key in the settings' keys folder, such as admin-1
    #[arg(long = "as", id = "as", value_name = "NAME")]
    pub name: Option<String>,
    /// Folder of *.ucan files
    #[arg(long, value_name = "DIR")]
    pub delegations: Option<PathBuf>,
    /// File with the key file's passphrase, when COUNTERSIGN_PASSPHRASE is not set
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// For how long a statement is sent again that gets no answer; 0 sends it once
    #[arg(long, value_name = "SECONDS", default_value_t = PATIENCE)]
    pub wait: u64,
}

/// A connection that has not opened a key yet.
#[derive(Clone, Debug)]
pub struct Connection {
    settings: ClientSettings,
    ambient: Ambient,
    patience: Duration,
}

impl ConnectionArgs {
    /// Flags over variables over the settings file.
    pub fn open(self) -> anyhow::Result<Connection> {
        let default = Some(PathBuf::from(DEV_SETTINGS)).filter(|p| p.is_file());
        let mut settings = ClientSettings::read(self.client.or(default).as_deref())?;
        settings.control_plane = self.control_plane.or(settings.control_plane);
        settings.sequencer = self.sequencer.or(settings.sequencer);
        settings.operator = self.operator.or(settings.operator);
        settings.tenant = self.tenant.or(settings.tenant);
        settings.delegations = self.delegations.or(settings.delegations);
        settings.passphrase_file = self.passphrase_file.or(settings.passphrase_file);
        if let Some(name) = self.name {
            let keys = settings.keys.as_deref().ok_or_else(|| needs("keys", "--key FILE"))?;
            settings.key = Some(keys.join(format!("{name}.key")));
        }
        settings.key = self.key.or(settings.key);
        Ok(Connection { patience: Duration::from_secs(self.wait), ..Connection::new(settings) })
    }
}

fn needs(field: &str, flag: &str) -> Usage {
    Usage(format!(
        "no {field}: give {flag}, set COUNTERSIGN_{}, or name client settings by --client",
        field.to_uppercase()
    ))
}

impl Connection {
    /// A connection by settings alone.
    pub fn new(settings: ClientSettings) -> Self {
        Self { settings, ambient: Ambient::system(), patience: Duration::from_secs(PATIENCE) }
    }

    /// Where time and randomness come from.
    pub const fn ambient(&self) -> &Ambient {
        &self.ambient
    }

    /// For how long a statement is sent again that gets no answer.
    pub const fn patience(&self) -> Duration {
        self.patience
    }

    /// The settings in force.
    pub const fn settings(&self) -> &ClientSettings {
        &self.settings
    }

    /// The control plane's base URL.
    pub fn url(&self) -> anyhow::Result<NodeUrl> {
        Ok(self.settings.control_plane.clone().ok_or_else(|| needs("control_plane", "--control-plane URL"))?)
    }

    /// The audience of statements.
    pub fn sequencer(&self) -> anyhow::Result<Did> {
        Ok(self.settings.sequencer.ok_or_else(|| needs("sequencer", "--sequencer DID"))?)
    }

    /// The root of the log.
    pub fn operator(&self) -> anyhow::Result<Did> {
        Ok(self.settings.operator.ok_or_else(|| needs("operator", "--operator DID"))?)
    }

    /// The tenant that the command is about.
    pub fn tenant(&self) -> anyhow::Result<Did> {
        Ok(self.settings.tenant.ok_or_else(|| needs("tenant", "--tenant DID"))?)
    }

    /// Opens the key.
    pub fn identity(&self) -> anyhow::Result<Identity> {
        let path = self.settings.key.as_deref().ok_or_else(|| needs("key", "--key FILE or --as NAME"))?;
        open_identity(path, self.settings.passphrase_file.as_deref())
    }

    /// Everything that the delegations folder holds; nothing when there is none.
    pub fn delegations(&self) -> anyhow::Result<Delegations> {
        match &self.settings.delegations {
            Some(folder) => Ok(Delegations::load(folder)?),
            None => Ok(Delegations::default()),
        }
    }

    /// Speaks with the key and the delegations.
    pub fn speaker(&self) -> anyhow::Result<Speaker> {
        self.speaker_with(self.delegations()?)
    }

    /// Speaks with the key and these delegations.
    pub fn speaker_with(&self, delegations: Delegations) -> anyhow::Result<Speaker> {
        Ok(Speaker::new(self.identity()?, delegations, self.sequencer()?, self.ambient.clone()))
    }

    /// The control plane for what needs no read token.
    pub fn public(&self) -> anyhow::Result<ControlPlane> {
        Ok(ControlPlane::new(self.url()?, None)?)
    }

    /// The control plane with read access: the operator's where the key has it, else the tenant's.
    pub fn reader(&self, command: &str) -> anyhow::Result<ControlPlane> {
        let speaker = self.speaker()?;
        let realms = [self.settings.operator, self.settings.tenant];
        let subject = realms.into_iter().flatten().find(|s| speaker.may(command, *s));
        let subject = subject.ok_or_else(|| {
            Usage(format!(
                "{} holds no delegation of {command} by the operator or the tenant",
                speaker.identity().did()
            ))
        })?;
        let command = command.parse().context("not a command")?;
        Ok(ControlPlane::new(self.url()?, Some(ReadAccess::new(speaker, subject, command)))?)
    }

    /// Says something in a realm and submits it, once.
    pub async fn submit<A: Serialize + Sync>(
        &self,
        command: &str,
        subject: Did,
        args: &A,
    ) -> anyhow::Result<SubmitReply> {
        let said = self.speaker()?.say(command, subject, args)?;
        self.send(command, &said).await
    }

    /// Submits what was said, once.
    pub async fn send(&self, command: &str, said: &Statement) -> anyhow::Result<SubmitReply> {
        let plane = self.public()?;
        let reply = if command.starts_with("/proposal/") {
            plane.submit_proposal(&said.container).await
        } else {
            plane.submit_statement(&said.container).await
        };
        Ok(reply?)
    }
}

/// Opens an identity's key file with the passphrase from its variable or this file.
pub fn open_identity(path: &Path, passphrase_file: Option<&Path>) -> anyhow::Result<Identity> {
    Ok(Identity::open(path, &Passphrase::load(passphrase_file)?)?)
}
