//! What every long-running role shares: its log, and how it is told to stop.

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use std::{io::Read as _, path::PathBuf};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{oneshot, watch},
};
use tracing::{Level, Metadata};
use tracing_subscriber::{EnvFilter, filter::filter_fn, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};

/// What a role is told on the command line; everything else is configuration.
#[derive(Debug, Args)]
pub struct RoleArgs {
    /// The configuration file (TOML), whose fields are below
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// How the log on standard error is written; what is logged, RUST_LOG says
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// Stop when standard input ends: with the process that started this one
    #[arg(long, hide = true)]
    pub leashed: bool,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Parts of this program that tell the URL of an RPC endpoint, which may hold an access key, to whoever asks for details.
const TELL_URLS: [&str; 1] = ["alloy_transport_http"];

/// Whether something may be logged, whatever RUST_LOG asks for.
fn may_be_told(metadata: &Metadata<'_>) -> bool {
    *metadata.level() <= Level::WARN || !TELL_URLS.iter().any(|target| metadata.target().starts_with(target))
}

/// Starts logging to standard error, by RUST_LOG (`info` unless set).
pub fn start_logging(format: LogFormat, json: bool) {
    let filter = || EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = fmt().with_writer(std::io::stderr).with_env_filter(filter());
    let discreet = || filter_fn(may_be_told);
    // A subscriber that is there already goes on serving.
    let _ = if json || format == LogFormat::Json {
        builder.json().finish().with(discreet()).try_init()
    } else {
        builder.finish().with(discreet()).try_init()
    };
}

/// Resolves when the process shall end: SIGINT, SIGTERM, or the end of a leash.
pub fn shutdown(leashed: bool) -> anyhow::Result<watch::Receiver<bool>> {
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be watched")?;
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be watched")?;
    let (tell, told) = watch::channel(false);
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => tracing::info!("interrupted; shutting down"),
            _ = terminate.recv() => tracing::info!("terminated; shutting down"),
            () = leash(leashed) => tracing::info!("the parent has gone; shutting down"),
        }
        let _ = tell.send(true);
        // Held so that receivers see the value and not a closed channel.
        tell.closed().await;
    });
    Ok(told)
}

/// Waits for standard input to end, if there is a leash at all.
async fn leash(leashed: bool) {
    if !leashed {
        return std::future::pending().await;
    }
    let (cut, is_cut) = oneshot::channel::<()>();
    // A thread of its own: a read that waits for ever must not keep the runtime from ending.
    std::thread::spawn(move || {
        let (mut input, mut buffer) = (std::io::stdin(), [0_u8; 64]);
        while input.read(&mut buffer).is_ok_and(|n| n > 0) {}
        drop(cut);
    });
    let _ = is_cut.await;
}

/// The future that servers take.
pub async fn told(mut shutdown: watch::Receiver<bool>) {
    let _ = shutdown.wait_for(|stop| *stop).await;
}
