//! Runs a foreign program that would outlive its parent: interrupts it when standard input ends. Where the system can, it
//! is killed with its leash, too.

use crate::{output::Output, process};
use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use std::{
    ffi::{OsStr, OsString},
    process::ExitCode,
    time::Duration,
};

/// Time to write its state down before it is killed.
const GRACE: Duration = Duration::from_secs(10);

#[derive(Debug, clap::Args)]
pub struct Command {
    /// Become the program, which is killed when this parent ends
    #[arg(long, value_name = "PID")]
    held_by: Option<u32>,
    /// The program and its arguments
    #[arg(trailing_var_arg = true, required = true)]
    line: Vec<OsString>,
}

/// Runs the program; its exit code is this one's.
pub async fn run(command: Command, _: &Output) -> anyhow::Result<ExitCode> {
    let (program, arguments) = command.line.split_first().context("no program")?;
    if let Some(parent) = command.held_by {
        return held::become_program(program, arguments, parent);
    }
    let shutdown = process::shutdown(true)?;
    let mut child = held::start(program, arguments)?
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

/// A process can ask to be killed with its parent only for itself, and what it becomes then keeps that. It holds while the
/// thread lives that has started the process: here the main one, on which every command runs.
#[cfg(target_os = "linux")]
mod held {
    use super::{ExitCode, OsStr, OsString, Signal};
    use anyhow::Context as _;
    use rustix::process::{Pid, getppid, set_parent_process_death_signal};
    use std::os::unix::process::CommandExt as _;

    /// The command line that becomes the program.
    pub fn start(program: &OsStr, arguments: &[OsString]) -> anyhow::Result<tokio::process::Command> {
        let own = std::env::current_exe().context("this program does not know where it is")?;
        let mut command = tokio::process::Command::new(own);
        command.args(["leash", "--held-by", &std::process::id().to_string(), "--"]).arg(program).args(arguments);
        Ok(command)
    }

    /// Becomes the program, unless the parent has ended before it could be told.
    pub fn become_program(program: &OsStr, arguments: &[OsString], parent: u32) -> anyhow::Result<ExitCode> {
        set_parent_process_death_signal(Some(Signal::KILL)).context("the parent's end cannot be watched")?;
        let is_there = getppid().map(Pid::as_raw_nonzero).is_some_and(|pid| u32::try_from(pid.get()) == Ok(parent));
        anyhow::ensure!(is_there, "the leash has ended");
        let failed = std::process::Command::new(program).args(arguments).exec();
        Err(failed).with_context(|| format!("{} cannot be started", program.display()))
    }
}

#[cfg(not(target_os = "linux"))]
mod held {
    use super::{ExitCode, OsStr, OsString};

    /// The program itself.
    pub fn start(program: &OsStr, arguments: &[OsString]) -> anyhow::Result<tokio::process::Command> {
        let mut command = tokio::process::Command::new(program);
        command.args(arguments);
        Ok(command)
    }

    /// Nobody asks for it here.
    pub fn become_program(_: &OsStr, _: &[OsString], _: u32) -> anyhow::Result<ExitCode> {
        anyhow::bail!("this system has nothing to hold a program with")
    }
}
