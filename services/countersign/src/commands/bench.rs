mod append;
mod clock;
mod database;
mod figure;
mod http;
mod load;
mod payouts;
mod plane;
mod primitives;
mod proposals;
mod rows;
mod scene;
mod startup;

use crate::{dev::DatabaseUrl, failure::REFUSED, output::Output};
use clap::ValueEnum;
use database::Server;
use figure::{Figure, table};
use serde::Serialize;
use std::{num::NonZero, path::PathBuf, process::ExitCode, thread};

/// One kind of measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Bench {
    /// Verifying a proposal's chain of UCAN tokens
    Verify,
    /// Deciding by policy
    Policy,
    /// Appending to the log, without HTTP
    Append,
    /// Proposing over HTTP until the answer that it is durable
    Proposals,
    /// From the acknowledgement to a signature and to a block
    Payouts,
    /// Memory that open proposals take
    Memory,
    /// Starting over a long log
    Startup,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Measures this machine with this build, each figure beside its aim, in databases and folders that are gone\n\
                        afterwards. Load is made on the same machine.\n\n\
                        Examples:\n  countersign bench --quick\n  countersign --json bench > figures.json\n  \
                        countersign bench --only proposals --postgres postgres://localhost/bench"
)]
pub struct Command {
    /// Measure this only; repeat for several
    #[arg(long, value_enum, value_name = "NAME")]
    only: Vec<Bench>,
    /// How long each rate is measured [default: 10, with --quick 2]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=120))]
    seconds: Option<u64>,
    /// Less of everything, for a first look
    #[arg(long)]
    quick: bool,
    /// A PostgreSQL database in which schemas may be made [default: DATABASE_URL, else TEST_POSTGRES_URL]
    #[arg(long, value_name = "URL")]
    postgres: Option<DatabaseUrl>,
    /// Folder of a running `countersign dev` for payouts, instead of one started for them
    #[arg(long, value_name = "DIR")]
    dev_dir: Option<PathBuf>,
    /// Entries of the log to start over [default: 1000000, with --quick 20000]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    entries: Option<u64>,
}

/// How much of everything.
#[derive(Clone, Debug)]
struct Settings {
    /// How long each rate is measured.
    seconds: u64,
    /// Open proposals whose memory is measured.
    proposals: u64,
    /// Entries of the log to start over.
    entries: u64,
    /// Payouts that are followed to their block.
    payouts: u64,
    out: Output,
}

impl Settings {
    fn progress(&self, text: &str) {
        self.out.note(text);
    }
}

/// What the figures are worth depends on this.
#[derive(Debug, Serialize)]
struct Machine {
    system: &'static str,
    architecture: &'static str,
    cores: usize,
    processor: Option<String>,
    optimised: bool,
    version: &'static str,
}

#[derive(Serialize)]
struct Report<'a> {
    machine: Machine,
    seconds: u64,
    figures: &'a [Figure],
}

impl Machine {
    fn this() -> Self {
        let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let processor =
            info.lines().find_map(|l| Some(l.strip_prefix("model name")?.split_once(':')?.1.trim().to_owned()));
        Self {
            system: std::env::consts::OS,
            architecture: std::env::consts::ARCH,
            cores: thread::available_parallelism().map_or(1, NonZero::get),
            processor,
            optimised: !cfg!(debug_assertions),
            version: env!("CARGO_PKG_VERSION"),
        }
    }

    fn text(&self) -> String {
        format!(
            "countersign {} on {} {}, {} cores{}{}",
            self.version,
            self.system,
            self.architecture,
            self.cores,
            self.processor.as_deref().map_or_else(String::new, |p| format!(", {p}")),
            if self.optimised { "" } else { "; NOT an optimised build: aims are for one" },
        )
    }
}

/// Measures, and shows the figures together at the end.
pub async fn run(command: Command, out: &Output) -> anyhow::Result<ExitCode> {
    let (seconds, proposals, entries, payouts) =
        if command.quick { (2, 5_000, 20_000, 10) } else { (10, 100_000, 1_000_000, 60) };
    let settings = Settings {
        seconds: command.seconds.unwrap_or(seconds),
        proposals,
        entries: command.entries.unwrap_or(entries),
        payouts,
        out: *out,
    };
    let mut figures = Vec::new();
    let mut complete = true;
    for bench in Bench::value_variants() {
        if !command.only.is_empty() && !command.only.contains(bench) {
            continue;
        }
        complete &= measure(*bench, &settings, &command, &mut figures).await;
    }
    let machine = Machine::this();
    let text = format!("{}\n\n{}", machine.text(), table(&figures));
    out.show(&Report { machine, seconds: settings.seconds, figures: &figures }, &text)?;
    Ok(if complete { ExitCode::SUCCESS } else { ExitCode::from(REFUSED) })
}

/// Where PostgreSQL is, if anywhere.
fn postgres(command: &Command) -> Option<String> {
    let named = |name| std::env::var(name).ok().filter(|url| url.starts_with("postgres"));
    command
        .postgres
        .as_ref()
        .map(|url| url.as_str().to_owned())
        .or_else(|| named("DATABASE_URL"))
        .or_else(|| named("TEST_POSTGRES_URL"))
}

/// Measures one kind; what fails is a figure that says why, and `false`.
async fn measure(bench: Bench, settings: &Settings, command: &Command, figures: &mut Vec<Figure>) -> bool {
    let (name, measured) = match bench {
        Bench::Verify => ("verify", primitives::verify(settings, figures)),
        Bench::Policy => ("policy", primitives::policy(settings, figures)),
        Bench::Payouts => ("payouts", payouts::payouts(settings, command.dev_dir.as_deref(), figures).await),
        Bench::Memory => ("memory", proposals::memory(settings, figures).await),
        Bench::Startup => ("startup", startup::startup(settings, figures).await),
        Bench::Append | Bench::Proposals => return on_both(bench, settings, command, figures).await,
    };
    said(name, "all of it", &measured, figures)
}

async fn on_both(bench: Bench, settings: &Settings, command: &Command, figures: &mut Vec<Figure>) -> bool {
    let mut complete = true;
    let name = if bench == Bench::Append { "append" } else { "proposals" };
    for (engine, server) in [("SQLite", Some(Server::Sqlite)), ("PostgreSQL", postgres(command).map(Server::Postgres))]
    {
        let Some(server) = server else {
            figures.push(Figure::missing(name, engine, "no PostgreSQL URL"));
            continue;
        };
        let measured = match bench {
            Bench::Append => append::append(settings, &server, figures).await,
            _ => proposals::rates(settings, &server, figures).await,
        };
        complete &= said(name, engine, &measured, figures);
    }
    complete
}

fn said(name: &'static str, case: &str, measured: &anyhow::Result<()>, figures: &mut Vec<Figure>) -> bool {
    if let Err(error) = measured {
        figures.push(Figure::missing(name, case, format!("{error:#}")));
    }
    measured.is_ok()
}
