use crate::{
    dev::{DatabaseUrl, Dev, Options},
    output::Output,
    process::{self, LogFormat},
};
use domain::NodeUrl;
use serde::Serialize;
use std::{path::PathBuf, process::ExitCode};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Runs a local chain (anvil), a control plane, signers and a relayer, each as a process of its own. The first\n\
                        start makes keys, delegations, the quorum's keys, contracts, a tenant with a plugin, and funded\n\
                        orders; later starts go on from there. FOLDER/dev.json says what runs where and who is who.\n\n\
                        Examples:\n  countersign dev\n  countersign dev --folder /tmp/two --signers 5 --threshold 3\n  \
                        DATABASE_URL=postgres://… countersign dev"
)]
pub struct Command {
    #[command(flatten)]
    options: OptionArgs,
}

/// What the system is made of.
#[derive(Debug, clap::Args)]
pub struct OptionArgs {
    /// Where everything is kept
    #[arg(long, default_value = ".countersign/dev", value_name = "DIR")]
    pub folder: PathBuf,
    /// How many signers; counts on the first start
    #[arg(long, default_value_t = 3)]
    pub signers: u16,
    /// How many of them sign together; counts on the first start
    #[arg(long, default_value_t = 2)]
    pub threshold: u16,
    /// First of the ports to use [default: free ones]; counts on the first start
    #[arg(long)]
    pub port: Option<u16>,
    /// The control plane's database [default: SQLite in the folder]; counts on the first start
    #[arg(long, value_name = "URL", env = "DATABASE_URL", hide_env_values = true)]
    pub database: Option<DatabaseUrl>,
    /// A chain that runs already, on which anvil's first account has coins, instead of anvil
    #[arg(long, value_name = "URL")]
    pub rpc: Option<NodeUrl>,
    /// The anvil program [default: of contracts/node_modules, else of PATH]
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_ANVIL")]
    pub anvil: Option<PathBuf>,
}

impl From<OptionArgs> for Options {
    fn from(a: OptionArgs) -> Self {
        let OptionArgs { folder, signers, threshold, port, database, rpc, anvil } = a;
        Self { folder, signers, threshold, port, database, rpc, anvil }
    }
}

#[derive(Serialize)]
struct Step<'a> {
    progress: &'a str,
}

#[derive(Serialize)]
struct Ready<'a> {
    ready: &'a crate::dev::Record,
}

/// Runs the system until it is told to stop.
pub async fn run(command: Command, out: &Output) -> anyhow::Result<ExitCode> {
    if std::env::var_os("RUST_LOG").is_some() {
        process::start_logging(LogFormat::Text, out.is_json());
    }
    let shutdown = process::shutdown(false)?;
    let options = command.options.into();
    let mut progress = |step: &str| {
        let _ = out.show(&Step { progress: step }, &format!("✓ {step}"));
    };
    let dev = tokio::select! {
        dev = Dev::start(&options, &mut progress) => dev?,
        // Children that were started so far end with their leashes.
        () = process::told(shutdown.clone()) => return Ok(ExitCode::SUCCESS),
    };
    let record = dev.record();
    let client = record.client.display();
    let text = format!(
        "\ncontrol plane  {}\nsigners        {}\nchain          {}\nfolder         {}\n\nTry:\n  \
         countersign quorum status --client {client} --as operator\n\nCtrl-C stops everything; the next start goes on from there.",
        record.control_plane.url,
        record.signers.iter().map(|s| s.url.to_string()).collect::<Vec<_>>().join(" "),
        record.chain.rpc,
        dev.folder().path().display(),
    );
    out.show(&Ready { ready: record }, &text)?;
    process::told(shutdown).await;
    out.note("stopping");
    dev.stop().await;
    Ok(ExitCode::SUCCESS)
}
