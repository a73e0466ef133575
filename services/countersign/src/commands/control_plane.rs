use crate::{
    output::Output,
    process::{self, RoleArgs},
    settings,
};
use std::process::ExitCode;

/// Runs a control plane until it is told to stop.
pub async fn run(args: RoleArgs, out: &Output) -> anyhow::Result<ExitCode> {
    process::start_logging(args.log_format, out.is_json());
    let config = settings::control_plane(args.config.as_deref())?;
    let shutdown = process::shutdown(args.leashed)?;
    control_plane::run(config, process::told(shutdown)).await?;
    Ok(ExitCode::SUCCESS)
}
