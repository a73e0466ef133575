use super::{
    scene::{DOLLAR, PATIENCE, Scene},
    story::Story,
};
use crate::{commands::quorum::statuses, dev::until};
use anyhow::{Context as _, ensure};
use messages::ProposalStatus;

const ORDER: &str = "order-1";
/// Blocks that are waited for to see that nothing happens.
const BLOCKS: u64 = 3;
/// What an approved payout waits for while too few signers are up; a relayer carries it then.
const QUORUM: &str = "the quorum's signature";

/// What a payout waits for, when that is its signature.
fn for_the_quorum(waits_for: Option<String>) -> anyhow::Result<String> {
    let waits = waits_for.context("it waits for nothing")?;
    ensure!(waits.starts_with(QUORUM), "it waits for {waits:?}");
    Ok(waits)
}

/// What happens when signers crash.
pub async fn tell(scene: &mut Scene, story: &mut Story) -> anyhow::Result<()> {
    story.chapter("Signers crash", "Two of three sign. One may be down; with two down nothing is paid, by nobody.");
    scene.dev.kill("signer-1").await?;
    scene.pay(ORDER, 10 * DOLLAR).await?;
    story.done("signer-1 is killed (SIGKILL); the other two still pay")?;

    scene.dev.kill("signer-2").await?;
    let before = scene.in_escrow(ORDER).await?;
    let (said, reply) = scene.propose(&scene.payout(ORDER, 10 * DOLLAR)?).await?;
    ensure!(reply.status == Some(ProposalStatus::Approved), "not approved: {reply:?}");
    let operator = scene.dev.connect("operator");
    let quorum = statuses(&operator).await?;
    ensure!(quorum.usable() == 1, "{}", quorum.text());
    let height = scene.chain.height().await?;
    until(PATIENCE, async || Ok((scene.chain.height().await? >= height.saturating_add(BLOCKS)).then_some(()))).await?;
    let view = scene.plane.proposal(&said.id).await?;
    ensure!(view.status == ProposalStatus::Approved, "it is {}", view.status.as_str());
    ensure!(scene.in_escrow(ORDER).await? == before, "something was paid");
    let waits = for_the_quorum(view.waits_for)?;
    let why = quorum.text().lines().next().unwrap_or_default().to_owned();
    story.done(&format!(
        "signer-2 is killed too: {BLOCKS} blocks later nothing is paid; it waits for {waits} ({why})"
    ))?;

    scene.dev.resume("signer-1").await?;
    scene.dev.resume("signer-2").await?;
    scene.until(&said.id, ProposalStatus::Final).await?;
    story.done("both are started again: they verify their log, catch up and sign; the payout is final")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_quorums_signature_will_do() {
        let waits = |text: &str| for_the_quorum(Some(text.to_owned())).ok();
        assert_eq!(
            waits("the quorum's signature and a relayer").as_deref(),
            Some("the quorum's signature and a relayer")
        );
        assert_eq!(
            ["", "the quorum does not sign: frozen", "a block that includes the transaction"].map(waits),
            [const { None }; 3]
        );
        assert!(for_the_quorum(None).is_err());
    }
}
