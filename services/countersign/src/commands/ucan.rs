use crate::{failure::REFUSED, failure::Usage, output::Output};
use clap::Subcommand;
use client::Ambient;
use domain::{Cid, Did, Time};
use serde::Serialize;
use std::{
    io::Read as _,
    path::{Path, PathBuf},
    process::ExitCode,
};
use ucan::{VerifyError, VerifyOptions, VerifyReport, inspect};

/// A file of tokens that a person looks at is smaller; a larger one is not read.
const MAX_FILE_BYTES: u64 = 8 * 1024 * 1024;

#[derive(Debug, clap::Args)]
pub struct Command {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show every token in a file, and what is wrong with it
    #[command(
        after_help = "FILE holds the bytes of a token, base64 or base64url text, or a UCAN container; - is standard input.\n\
                            Answers in JSON. Exit codes: 0 well-formed and signed, 1 not, 2 used wrongly.\n\n\
                            Examples:\n  countersign ucan inspect delegations/tenant.ucan\n  \
                            countersign --json ucan inspect - < proposal.ucan"
    )]
    Inspect {
        /// The file
        file: PathBuf,
    },
    /// Verify the invocation in a file: signatures, times, and its chain of delegations
    #[command(
        after_help = "FILE holds the bytes of a token, base64 or base64url text, or a UCAN container; - is standard input.\n\
                            Answers in JSON: \"ok\", and an \"error\" with a stable class and the hop that failed, counted from\n\
                            the root; the \"file\" of proofs that it is in, if it is in one. Exit codes: 0 valid, 1 invalid, 2 used wrongly.\n\n\
                            Example:\n  countersign ucan verify proposal.ucan --proof tenant.ucan --at 1800000000 \\\n    \
                            --audience did:key:z6Mk… --trust did:key:z6Mk…"
    )]
    Verify {
        /// The file with the invocation, perhaps with delegations
        file: PathBuf,
        /// A file with more delegations; may be repeated
        #[arg(long = "proof", value_name = "FILE")]
        proofs: Vec<PathBuf>,
        /// The moment of judgement, Unix seconds [default: now]
        #[arg(long, value_name = "UNIX")]
        at: Option<u64>,
        /// Who the invocation must be addressed to [default: anybody]
        #[arg(long, value_name = "DID")]
        audience: Option<Did>,
        /// A subject that is trusted; may be repeated [default: every subject]
        #[arg(long, value_name = "DID")]
        trust: Vec<Did>,
    },
}

/// What `inspect` answers.
#[derive(Serialize)]
struct Inspected {
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<First>,
    #[serde(flatten)]
    report: inspect::Report,
}

/// What `verify` answers.
#[derive(Serialize)]
struct Verified {
    #[serde(flatten)]
    report: VerifyReport,
    /// Which of the files with proofs holds what is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
}

/// The file of proofs that an error is about, if it is about one: the first that holds the token, or that is unreadable
/// when no token is named.
fn blamed(error: &VerifyError, files: &[PathBuf], proofs: &[&[u8]]) -> Option<PathBuf> {
    let is_it = |bytes: &[u8]| {
        let report = inspect::describe(bytes);
        match error.cid {
            Some(cid) => report.tokens.iter().any(|token| token.cid == cid),
            None => !report.problems.is_empty(),
        }
    };
    files.iter().zip(proofs).find(|(_, bytes)| is_it(bytes)).map(|(file, _)| file.clone())
}

/// The first thing that is wrong.
#[derive(Serialize)]
struct First {
    class: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cid: Option<Cid>,
    detail: String,
}

/// Inspects or verifies tokens.
#[expect(clippy::unused_async, reason = "every command runs alike")]
pub async fn run(command: Command, out: &Output) -> anyhow::Result<ExitCode> {
    match command.action {
        Action::Inspect { file } => inspect_file(&file, *out),
        Action::Verify { file, proofs, at, audience, trust } => {
            let at = at.map_or_else(|| Ambient::system().now(), Time::from_unix);
            let options = VerifyOptions { at, audience, trust, allow_powerline: false };
            let input = read(&file)?;
            let read: Vec<Vec<u8>> = proofs.iter().map(|p| read(p)).collect::<Result<_, _>>()?;
            let bytes: Vec<&[u8]> = read.iter().map(Vec::as_slice).collect();
            let report = ucan::verify_report(&input, &bytes, &options);
            let file = report.error.as_ref().and_then(|error| blamed(error, &proofs, &bytes));
            let ok = report.ok;
            answer(&Verified { report, file }, ok, *out)
        }
    }
}

fn inspect_file(file: &Path, out: Output) -> anyhow::Result<ExitCode> {
    let report = inspect::describe(&read(file)?);
    let whole = report.problems.first().map(|p| (p, None));
    let first = whole.or_else(|| report.tokens.iter().find_map(|t| Some((t.problems.first()?, Some(t.cid)))));
    let error = first.map(|(problem, cid)| First { class: problem.class, cid, detail: problem.detail.clone() });
    let ok = error.is_none() && !report.tokens.is_empty();
    answer(&Inspected { ok, error, report }, ok, out)
}

/// Both commands answer in JSON always: laid out for people, on one line for programs.
fn answer<T: Serialize>(value: &T, ok: bool, out: Output) -> anyhow::Result<ExitCode> {
    out.show(value, &serde_json::to_string_pretty(value)?)?;
    Ok(if ok { ExitCode::SUCCESS } else { ExitCode::from(REFUSED) })
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let failed = |e: std::io::Error| Usage(format!("{}: {e}", path.display()));
    let mut bytes = Vec::new();
    let limit = MAX_FILE_BYTES.saturating_add(1);
    if path == Path::new("-") {
        std::io::stdin().lock().take(limit).read_to_end(&mut bytes).map_err(failed)?;
    } else {
        std::fs::File::open(path).map_err(failed)?.take(limit).read_to_end(&mut bytes).map_err(failed)?;
    }
    if u64::try_from(bytes.len()).is_ok_and(|n| n > MAX_FILE_BYTES) {
        return Err(Usage(format!("{}: larger than {MAX_FILE_BYTES} bytes", path.display())).into());
    }
    Ok(bytes)
}
