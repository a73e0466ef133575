//! Runs a foreign program that would outlive its parent: interrupts it when standard input ends.

use crate::{output::Output, process};
use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use std::{ffi::OsString, process::ExitCode, time::Duration};

/// Time to write its state down before it is killed.
const GRACE: Duration = Duration::from_secs(10);

#[derive(Debug, clap::Args)]
pub struct Command {
    /// The program and its arguments
    #[arg(trailing_var_arg = true, required = true)]
    line: Vec<OsString>,
}

/// Runs the program; its exit code is this one's.
pub async fn run(command: Command, _: &Output) -> anyhow::Result<ExitCode> {
    let shutdown = process::shutdown(true)?;
    let (program, arguments) = command.line.split_first().context("no program")?;
    let mut child = tokio::process::Command::new(program)
        .args(arguments)
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true)
        // A terminal's interrupt goes to the whole group; this program is interrupted by its leash alone.
        .process_group(0)
        .spawn()
        .with_context(|| format!("{} cannot be started", program.display()))?;
    let status = tokio::select! {
        status = child.wait() => status?,
        () = process::told(shutdown) => {
            let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
            if let Some(pid) = pid {
                let _ = kill_process(pid, Signal::INT);
            }
            let Ok(status) = tokio::time::timeout(GRACE, child.wait()).await else {
                child.kill().await?;
                anyhow::bail!("{} had to be killed", program.display());
            };
            status?
        }
    };
    std::process::exit(status.code().unwrap_or(1))
}
