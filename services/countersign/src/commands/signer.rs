use crate::{
    output::Output,
    process::{self, RoleArgs},
    settings,
};
use client::Ambient;
use std::process::ExitCode;

/// Runs a signer until it is told to stop.
pub async fn run(args: RoleArgs, out: &Output) -> anyhow::Result<ExitCode> {
    process::start_logging(args.log_format, out.is_json());
    let config = settings::signer(args.config.as_deref())?;
    let shutdown = process::shutdown(args.leashed)?;
    let signer = signer::Signer::start(config, Ambient::system(), process::told(shutdown)).await?;
    tracing::info!(address = %signer.address(), "signer listens");
    signer.stopped().await;
    Ok(ExitCode::SUCCESS)
}
