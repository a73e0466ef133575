use super::{
    quorum::Quorum,
    scene::{PATIENCE, Scene},
    story::Story,
};
use crate::dev::until;
use anyhow::{Context as _, ensure};
use domain::Cid;
use log::{
    Hash, KeyName, Note,
    export::{Record, Writer},
};
use receipt::{Builder, Roots};
use replica::Verifier;
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufReader, BufWriter},
    path::Path,
};

/// Entries that one request gives.
const PAGE: u32 = 500;

/// Everything is checked again, from files alone.
pub async fn tell(scene: &Scene, story: &mut Story, paid: &Cid) -> anyhow::Result<()> {
    story.chapter(
        "Check it yourself",
        "The log is everything there is. Whoever has it and the operator's DID repeats every decision offline. A receipt \
         proves one payout without the rest.",
    );
    let operator = scene.dev.record().operator;
    let entries = entries(scene).await?;
    let size = u64::try_from(entries.len())?;
    // The quorum cosigns a checkpoint every few seconds; it says that two replicas decided everything up to here again.
    let cosigned = async || {
        let text = scene.plane.stored_checkpoint(size).await?;
        let enough = text.matches("\n\u{2014} ").count() >= 2 && Note::parse(&text)?.unverified().size == size;
        Ok(enough.then_some(text))
    };
    let note = until(PATIENCE, cosigned).await.context("waiting for the quorum to cosign")?;
    let file = scene.dev.folder().path().join("log.jsonl");
    export(scene, &file, &entries, &note)?;
    let report = Verifier::new(operator, Vec::new()).verify(BufReader::new(File::open(&file)?))?;
    ensure!(report.entries == size && report.cosigned_size == Some(size), "the report is of another log: {report:?}");
    story.done(&format!(
        "the exported log of {size} entries verifies offline: signatures, chains, decisions, hashes, the quorum's cosignature"
    ))?;
    tampered(scene, &file)?;
    story.done("the same file without one of its entries does not")?;

    let receipt = receipt(scene, paid, &entries, &note).await?;
    let file = scene.dev.folder().path().join("receipt.json");
    fs::write(&file, &receipt)?;
    let summary = receipt::verify(&fs::read(&file)?, &Roots { operator })?;
    ensure!(summary.proposal == *paid && summary.payments.len() == 3, "the receipt is of another payout");
    let quorum = Quorum::look(scene).await?;
    ensure!(summary.epoch == quorum.epoch, "the receipt is of epoch {}", summary.epoch);
    quorum.attest(summary.attesters)?;
    story.done(&format!(
        "the receipt of the first payout ({} KiB) proves it offline, from the buyer's order to the transaction that {} \
         signers attest",
        receipt.len().div_euclid(1024),
        quorum.threshold
    ))
}

type Entries = Vec<(Vec<u8>, Vec<Vec<u8>>)>;

/// The whole log as it is now.
async fn entries(scene: &Scene) -> anyhow::Result<Entries> {
    let mut all = Entries::new();
    loop {
        let page = scene.plane.entries(u64::try_from(all.len())?, PAGE).await?;
        if page.entries.is_empty() {
            return Ok(all);
        }
        all.extend(page.entries.into_iter().map(|e| (e.entry.0, e.tokens.into_iter().map(|t| t.0).collect())));
    }
}

fn export(scene: &Scene, file: &Path, entries: &Entries, note: &str) -> anyhow::Result<()> {
    let origin: KeyName = scene.dev.record().control_plane.origin.parse()?;
    let mut writer = Writer::new(BufWriter::new(File::create(file)?), &origin)?;
    for (entry, tokens) in entries {
        writer.write(&Record::Entry { entry: entry.clone(), tokens: tokens.clone() })?;
    }
    writer.write(&Record::Checkpoint(Note::parse(note)?))?;
    writer.finish()?;
    Ok(())
}

fn tampered(scene: &Scene, file: &Path) -> anyhow::Result<()> {
    let text = fs::read_to_string(file)?;
    let mut lines: Vec<&str> = text.lines().collect();
    ensure!(lines.len() > 10, "the log is short");
    lines.remove(5);
    let cut = format!("{}\n", lines.join("\n"));
    let verified = Verifier::new(scene.dev.record().operator, Vec::new()).verify(cut.as_bytes());
    verified.err().map(|_| ()).context("an export without one of its entries was accepted")
}

async fn receipt(scene: &Scene, paid: &Cid, entries: &Entries, note: &str) -> anyhow::Result<Vec<u8>> {
    let mut builder = Builder::new(*paid);
    for (entry, tokens) in entries {
        builder.take(entry, tokens)?;
    }
    let plan = builder.plan()?;
    ensure!(plan.accepts(note), "the checkpoint does not cover the payout");
    let size = Note::parse(note)?.unverified().size;
    let mut proofs = BTreeMap::new();
    for seq in plan.seqs().collect::<Vec<_>>() {
        let proof = scene.plane.inclusion_proof(seq, size).await?;
        let hashes: Vec<Hash> = proof.hashes.iter().map(|h| Hash::from_bytes(*h.as_bytes())).collect();
        proofs.insert(seq, hashes);
    }
    Ok(plan.finish(note, &|seq| proofs.get(&seq).cloned())?.encode()?)
}
