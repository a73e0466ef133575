use super::dev::OptionArgs;
use crate::{
    demo,
    dev::Options,
    output::Output,
    process::{self, LogFormat},
};
use anyhow::Context as _;
use std::{path::PathBuf, process::ExitCode};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Starts a chain, a control plane, three signers and a relayer in a fresh folder, and tells what they do.\n\
                        Exit code 0 means that every step was seen to hold.\n\n\
                        Examples:\n  countersign demo\n  countersign demo --folder ./story     the databases, logs and files stay there"
)]
pub struct Command {
    /// Keep everything in this folder, which must not hold a system yet [default: a temporary one]
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// The anvil program [default: of contracts/node_modules, else of PATH]
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_ANVIL")]
    anvil: Option<PathBuf>,
}

/// Tells the story.
pub async fn run(command: Command, out: &Output) -> anyhow::Result<ExitCode> {
    if std::env::var_os("RUST_LOG").is_some() {
        process::start_logging(LogFormat::Text, out.is_json());
    }
    let shutdown = process::shutdown(false)?;
    let fresh = tempfile::Builder::new().prefix("countersign-demo-").tempdir().context("no temporary folder")?;
    let keep = command.folder.is_some();
    let folder = command.folder.unwrap_or_else(|| fresh.path().to_owned());
    let args = OptionArgs {
        folder: folder.clone(),
        signers: 3,
        threshold: 2,
        port: None,
        database: None,
        rpc: None,
        anvil: command.anvil,
    };
    let options: Options = args.into();
    tokio::select! {
        told = demo::tell(&options, *out) => {
            if told.is_err() && !keep {
                // What the processes wrote is the best explanation of what went wrong.
                let path = fresh.keep();
                out.note(&format!("logs of every process are kept in {}", path.join("logs").display()));
            }
            told.map(|()| ExitCode::SUCCESS)
        }
        () = process::told(shutdown) => Ok(ExitCode::from(130)),
    }
}
