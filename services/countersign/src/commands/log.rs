use crate::{
    connection::ConnectionArgs,
    failure::{REFUSED, Usage},
    output::Output,
    progress::{Progress, Watched},
};
use ::log::{
    Checkpoint, Note,
    export::{Record, Writer},
};
use anyhow::Context as _;
use clap::Subcommand;
use client::{ClientError, ControlPlane};
use domain::Did;
use replica::{Report, Verifier, VerifyError};
use serde::Serialize;
use std::{
    fmt::Write as _,
    fs::File,
    io::{BufReader, BufWriter, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

/// What is said of an export without a checkpoint.
const UNSIGNED: &str = "nothing here is signed by the log: the file holds no checkpoint, so entries at its end may be missing, \
                        and other logs may be shown to others";
/// Entries per request, the most that the control plane gives.
const PAGE: u32 = 1_000;
/// A quorum that has not cosigned for this many checkpoints is down; its last signature is not looked for any longer.
const MAX_LOOK_BACK: usize = 256;

#[derive(Debug, clap::Args)]
pub struct Command {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Write the whole log to a file that can be verified anywhere
    #[command(
        after_help = "Needs /read/log of the operator. The file holds every entry, the newest checkpoint and the newest one that\n\
                            the quorum has cosigned.\n\n\
                            Example:\n  countersign log export --control-plane http://127.0.0.1:7700 --key operator.key \\\n    \
                            --delegations delegations --out log.jsonl"
    )]
    Export {
        /// The file to write; it appears when it is whole
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        #[command(flatten)]
        connection: Box<ConnectionArgs>,
    },
    /// Verify an exported log entry by entry, offline, trusting the operator's DID alone
    #[command(after_help = "Every signature, chain of delegations, policy decision and outcome is derived again.\n\
                            Exit codes: 0 the log is sound, 1 it is not (with the first bad entry) or nobody has signed it, 2 used\n\
                            wrongly.\n\n\
                            Example:\n  countersign log verify log.jsonl --operator did:key:z6Mk… --checkpoint yesterday.note")]
    Verify {
        /// The exported log
        file: PathBuf,
        /// The root of the log's authority
        #[arg(long, value_name = "DID")]
        operator: Did,
        /// A checkpoint held from before, which this log must continue; may be repeated
        #[arg(long = "checkpoint", value_name = "FILE")]
        held: Vec<PathBuf>,
        /// Be content with a log that holds no checkpoint, and so nobody's signature over how long it is and in which order
        #[arg(long)]
        unsigned: bool,
    },
}

#[derive(Serialize)]
struct Exported {
    origin: String,
    entries: u64,
    cosigned_size: Option<u64>,
    file: PathBuf,
}

#[derive(Serialize)]
struct Verified {
    ok: bool,
    /// Whether the file holds a checkpoint, which the log's key has signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    signed: Option<bool>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    report: Option<Report>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Exports or verifies a log.
pub async fn run(command: Command, out: &Output) -> anyhow::Result<ExitCode> {
    match command.action {
        Action::Export { out: file, connection } => {
            let plane = connection.open()?.reader("/read/log")?;
            let exported = export(&plane, &file, *out).await?;
            let cosigned = exported.cosigned_size.map_or("none".to_owned(), |size| format!("size {size}"));
            let text = format!(
                "{} entries of {} in {}\ncosigned checkpoint: {cosigned}",
                exported.entries,
                exported.origin,
                file.display()
            );
            out.show(&exported, &text)?;
            Ok(ExitCode::SUCCESS)
        }
        Action::Verify { file, operator, held, unsigned } => verify(&file, operator, &held, unsigned, *out),
    }
}

/// Calls `take` with every entry of the log from the first on, until `size` entries were taken, and tells how far it is.
pub async fn each_entry(
    plane: &ControlPlane,
    size: u64,
    progress: &mut Progress<impl FnMut(&str)>,
    mut take: impl FnMut(Vec<u8>, Vec<Vec<u8>>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut next = 0_u64;
    while next < size {
        let page = plane.entries(next, PAGE).await?;
        if page.entries.is_empty() {
            anyhow::bail!("the control plane gives no entry {next}, but its checkpoint has {size}");
        }
        for entry in page.entries {
            if next >= size {
                break;
            }
            if entry.seq != next {
                anyhow::bail!("the control plane gives entry {} for entry {next}", entry.seq);
            }
            take(entry.entry.0, entry.tokens.into_iter().map(|t| t.0).collect())?;
            next = next.saturating_add(1);
        }
        progress.come_to(next);
    }
    Ok(())
}

/// The stored checkpoint of the largest size up to `size`; `None` when there is none.
pub async fn stored(plane: &ControlPlane, size: u64) -> anyhow::Result<Option<Note>> {
    match plane.stored_checkpoint(size).await {
        Ok(text) => Ok(Some(Note::parse(&text).context("the control plane's checkpoint")?)),
        Err(ClientError::Problem(p)) if p.status == 404 => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Which checkpoints go into an export: the newest cosigned one, if any, and the newest of all.
async fn checkpoints(plane: &ControlPlane) -> anyhow::Result<(Option<Note>, Note)> {
    let newest = Note::parse(&plane.checkpoint().await?).context("the control plane's checkpoint")?;
    let mut up_to = newest.unverified().size;
    for _ in 0..MAX_LOOK_BACK {
        let Some(note) = stored(plane, up_to).await? else { break };
        let quorum = format!("— {}/quorum ", note.unverified().origin);
        if note.to_string().lines().any(|line| line.starts_with(&quorum)) {
            return Ok((Some(note), newest));
        }
        let Some(smaller) = note.unverified().size.checked_sub(1) else { break };
        up_to = smaller;
    }
    Ok((None, newest))
}

async fn export(plane: &ControlPlane, file: &Path, out: Output) -> anyhow::Result<Exported> {
    let (cosigned, newest) = checkpoints(plane).await?;
    let Checkpoint { origin, size, .. } = newest.unverified().clone();
    let cosigned_size = cosigned.as_ref().map(|note| note.unverified().size);
    let partial = file.with_added_extension("partial");
    let target = File::create(&partial).map_err(|e| Usage(format!("{}: {e}", partial.display())))?;
    let mut writer = Writer::new(BufWriter::new(target), &origin)?;
    let mut written = 0_u64;
    let mut progress = Progress::entries(size, |line| out.note(line));
    each_entry(plane, size, &mut progress, |entry, tokens| {
        writer.write(&Record::Entry { entry, tokens })?;
        written = written.saturating_add(1);
        if let Some(note) = cosigned.as_ref().filter(|n| n.unverified().size == written) {
            writer.write(&Record::Checkpoint(note.clone()))?;
        }
        Ok(())
    })
    .await?;
    if cosigned.as_ref() != Some(&newest) {
        writer.write(&Record::Checkpoint(newest.clone()))?;
    }
    let mut target = writer.finish()?;
    target.flush()?;
    target.get_ref().sync_all()?;
    std::fs::rename(&partial, file).map_err(|e| Usage(format!("{}: {e}", file.display())))?;
    Ok(Exported { origin: origin.to_string(), entries: size, cosigned_size, file: file.to_owned() })
}

fn verify(file: &Path, operator: Did, held: &[PathBuf], unsigned: bool, out: Output) -> anyhow::Result<ExitCode> {
    let held = held.iter().map(|path| held_checkpoint(path)).collect::<Result<Vec<_>, _>>()?;
    let input = File::open(file).map_err(|e| Usage(format!("{}: {e}", file.display())))?;
    if input.metadata().is_ok_and(|m| m.is_dir()) {
        return Err(Usage(format!("{}: is a folder, and no exported log", file.display())).into());
    }
    // A pipe has no length that is known.
    let length = input.metadata().ok().filter(std::fs::Metadata::is_file).map(|m| m.len());
    let input = Watched::new(input, Progress::bytes(length, |line| out.note(line)));
    let origins: Vec<String> = held.iter().map(|h| h.origin.to_string()).collect();
    let report = match Verifier::new(operator, held).verify(BufReader::new(input)) {
        Ok(report) => report,
        Err(error) => return unsound(&error, out),
    };
    if let Some(other) = origins.into_iter().find(|origin| *origin != report.origin) {
        return Err(Usage(format!("the log is {}, a checkpoint held is of {other}", report.origin)).into());
    }
    let size = |size: Option<u64>| size.map_or("none".to_owned(), |size| size.to_string());
    let signed = report.signed_size.is_some();
    let ok = signed || unsigned;
    let caveat = match (signed, unsigned) {
        (true, _) => String::new(),
        (false, true) => format!("{UNSIGNED}\n"),
        (false, false) => format!("{UNSIGNED}; --unsigned is content with that\n"),
    };
    let text = format!(
        "{caveat}the log follows from {operator}\norigin: {}\nentries: {}\nroot: {}\nstate: {}\ncheckpoints verified: {}\n\
         newest signed size: {}\nnewest cosigned size: {}\ntime of the last entry: {}",
        report.origin,
        report.entries,
        report.root,
        report.state,
        report.checkpoints,
        size(report.signed_size),
        size(report.cosigned_size),
        report.at
    );
    let error = (!ok).then(|| UNSIGNED.to_owned());
    out.show(&Verified { ok, signed: Some(signed), report: Some(report), seq: None, error }, &text)?;
    Ok(if ok { ExitCode::SUCCESS } else { ExitCode::from(REFUSED) })
}

fn held_checkpoint(path: &Path) -> Result<Checkpoint, Usage> {
    let text = std::fs::read_to_string(path).map_err(|e| Usage(format!("{}: {e}", path.display())))?;
    let note = Note::parse(&text).map_err(|e| Usage(format!("{}: {e}", path.display())))?;
    Ok(note.unverified().clone())
}

fn unsound(error: &VerifyError, out: Output) -> anyhow::Result<ExitCode> {
    let mut detail = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        // A transparent error repeats its cause.
        if !detail.ends_with(&cause.to_string()) {
            let _ = write!(detail, ": {cause}");
        }
        source = cause.source();
    }
    let text = match error.seq() {
        Some(seq) => format!("the log is not sound; first bad entry: {seq}\n{detail}"),
        None => format!("the log is not sound\n{detail}"),
    };
    out.show(&Verified { ok: false, signed: None, report: None, seq: error.seq(), error: Some(detail) }, &text)?;
    Ok(ExitCode::from(REFUSED))
}

#[cfg(test)]
mod tests;
