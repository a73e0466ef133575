//! The one binary: every role and every command.

mod cli;
mod commands;
mod confirm;
mod connection;
mod contract;
mod demo;
mod dev;
mod dkg;
mod failure;
mod lines;
mod output;
mod process;
mod progress;
mod sending;
mod settings;
mod utc;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return failure::misused(output::Output::new(asks_for_json()), &error),
    };
    let out = output::Output::new(cli.json);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failure::report(out, &error.into()),
    };
    runtime.block_on(cli.command.run(&out)).unwrap_or_else(|error| failure::report(out, &error))
}

/// Whether the arguments have the flag `--json`, also when they cannot be understood.
fn asks_for_json() -> bool {
    std::env::args_os().skip(1).take_while(|argument| argument != "--").any(|argument| argument == "--json")
}
