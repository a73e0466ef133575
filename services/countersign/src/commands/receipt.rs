use super::log::{each_entry, stored};
use crate::{
    connection::ConnectionArgs,
    failure::{REFUSED, Unavailable, Usage},
    output::{Output, one_line},
    progress::Progress,
};
use ::log::{Hash, Note};
use ::receipt::{BuildError, Builder, MAX_RECEIPT_BYTES, Plan, Receipt, ReceiptError, Roots, Summary};
use anyhow::Context as _;
use clap::Subcommand;
use client::ControlPlane;
use domain::{Cid, Did};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::Read as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// What no receipt can show, for whoever reads the rest.
const CAVEAT: &str = "a receipt shows no withdrawals, corrections or revocations: who approved or attested may have taken \
                      it back, or lost the right to it; the exported log shows that";
/// Checkpoints are looked through from the newest back; further back than this the quorum is long another.
const MAX_LOOK_BACK: usize = 1_024;

#[derive(Debug, clap::Args)]
pub struct Command {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Fetch everything that proves one payout, into one file
    #[command(after_help = "Needs /read/log of the operator. The receipt is verified before it is written.\n\n\
                            Example:\n  countersign receipt get bafyrei… --as operator --out receipt.json")]
    Get {
        /// The proposal
        proposal: Cid,
        /// The file to write
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        #[command(flatten)]
        connection: Box<ConnectionArgs>,
    },
    /// Verify a receipt offline, trusting the operator's DID alone
    #[command(
        after_help = "Exit codes: 0 the receipt proves the payout, 1 it does not (with the step that failed), 2 used wrongly.\n\n\
                            Example:\n  countersign receipt verify receipt.json --operator did:key:z6Mk…"
    )]
    Verify {
        /// The receipt
        file: PathBuf,
        /// The root of the log's authority
        #[arg(long, value_name = "DID")]
        operator: Did,
    },
}

#[derive(Serialize)]
struct Answer<'a> {
    ok: bool,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    proven: Option<&'a Summary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    caveat: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a ReceiptError>,
}

impl<'a> Answer<'a> {
    const fn proves(summary: &'a Summary) -> Self {
        Self { ok: true, proven: Some(summary), caveat: Some(CAVEAT), error: None }
    }
}

/// Fetches or verifies a receipt.
pub async fn run(command: Command, out: &Output) -> anyhow::Result<ExitCode> {
    match command.action {
        Action::Get { proposal, out: file, connection } => {
            let connection = connection.open()?;
            let plane = connection.reader("/read/log")?;
            let receipt = get(&plane, proposal, *out).await?.encode()?;
            let summary = ::receipt::verify(&receipt, &Roots { operator: connection.operator()? })?;
            std::fs::write(&file, receipt).map_err(|e| Usage(format!("{}: {e}", file.display())))?;
            let text = format!("{}\nreceipt: {}", describe(&summary), file.display());
            out.show(&Answer::proves(&summary), &text)?;
            Ok(ExitCode::SUCCESS)
        }
        Action::Verify { file, operator } => match ::receipt::verify(&read(&file)?, &Roots { operator }) {
            Ok(summary) => {
                out.show(&Answer::proves(&summary), &describe(&summary))?;
                Ok(ExitCode::SUCCESS)
            }
            Err(error) => {
                let text = format!("the receipt proves nothing\n{error}");
                out.show(&Answer { ok: false, proven: None, caveat: None, error: Some(&error) }, &text)?;
                Ok(ExitCode::from(REFUSED))
            }
        },
    }
}

async fn get(plane: &ControlPlane, proposal: Cid, out: Output) -> anyhow::Result<Receipt> {
    let newest = Note::parse(&plane.checkpoint().await?).context("the control plane's checkpoint")?;
    let mut builder = Builder::new(proposal);
    let mut progress = Progress::entries(newest.unverified().size, |line| out.note(line));
    let take = |entry: Vec<u8>, tokens: Vec<Vec<u8>>| Ok(builder.take(&entry, &tokens)?);
    each_entry(plane, newest.unverified().size, &mut progress, take).await?;
    let plan = builder.plan().map_err(|error| match error {
        BuildError::NotFinal { .. } => anyhow::Error::from(Unavailable(error.to_string())),
        _ => error.into(),
    })?;
    let note = cosigned(plane, &plan, newest.unverified().size).await?;
    let size = note.unverified().size;
    let mut proofs = BTreeMap::new();
    for seq in plan.seqs() {
        let hashes = plane.inclusion_proof(seq, size).await?.hashes;
        proofs.insert(seq, hashes.iter().map(|h| Hash::from_bytes(*h.as_bytes())).collect::<Vec<_>>());
    }
    Ok(plan.finish(&note.to_string(), &|seq| proofs.get(&seq).cloned())?)
}

/// The newest checkpoint that the payout's quorum has cosigned and that covers everything.
async fn cosigned(plane: &ControlPlane, plan: &Plan, newest: u64) -> anyhow::Result<Note> {
    let mut up_to = newest;
    for _ in 0..MAX_LOOK_BACK {
        let Some(note) = stored(plane, up_to).await? else { break };
        let size = note.unverified().size;
        if size < plan.min_size() {
            break;
        }
        if plan.accepts(&note.to_string()) {
            return Ok(note);
        }
        up_to = size.saturating_sub(1);
    }
    Err(Unavailable("no checkpoint that the payout's quorum has cosigned covers it; try again".to_owned()).into())
}

fn describe(s: &Summary) -> String {
    let mut text = format!(
        "the quorum paid {} {} minor units of order {} for {} ({})",
        s.total,
        one_line(s.symbol.as_str()),
        s.order,
        one_line(s.tenant_name.as_str()),
        s.tenant
    );
    for payment in &s.payments {
        let _ = write!(text, "\n  {} to {}", payment.amount, payment.recipient);
    }
    let _ = write!(text, "\nproposal: {}\nproposed by: {} at {}", s.proposal, s.installation, s.proposed_at);
    let _ = write!(text, "\npolicy {}: {}", s.policy, s.effect.as_str());
    for approver in &s.approvers {
        let _ = write!(text, "\napproved by {approver}");
    }
    let _ = write!(text, "\nsigned by the quorum of epoch {} for contract {}", s.epoch, s.escrow.contract);
    let _ = write!(text, " on {}", s.escrow.chain);
    let _ = write!(text, "\ntransaction: 0x{} in block {}", s.transaction, s.block);
    for attester in &s.attesters {
        let _ = write!(text, "\nattested by {attester}");
    }
    let _ = write!(text, "\nin log {} of {} entries, root {}", s.origin, s.size, s.root);
    let _ = write!(text, "\ncaveat: {CAVEAT}");
    text
}

fn read(path: &Path) -> Result<Vec<u8>, Usage> {
    let failed = |e: std::io::Error| Usage(format!("{}: {e}", path.display()));
    // One byte more than any receipt has, so that a longer file is refused and not cut.
    let limit = u64::try_from(MAX_RECEIPT_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    std::fs::File::open(path).map_err(failed)?.take(limit).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}
