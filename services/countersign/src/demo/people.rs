use super::{
    scene::{DOLLAR, Scene, dollars, reason},
    story::Story,
};
use crate::commands::{approve::review::Review, freeze};
use anyhow::ensure;
use ledger::{
    Scope,
    args::{Give, Lift, Set},
};
use messages::ProposalStatus;

const ORDER: &str = "order-1";

/// What people decide: an approval, a freeze, a thaw.
pub async fn tell(scene: &Scene, story: &mut Story) -> anyhow::Result<()> {
    let tenant = scene.dev.record().tenant;
    story.chapter(
        "A payout that people must see",
        "Above a threshold, policy asks for people. The approver signs the digest of what was shown, so nobody can show \
         one thing and have another approved.",
    );
    let (said, reply) = scene.propose(&scene.payout(ORDER, 1_500 * DOLLAR)?).await?;
    ensure!(reply.status == Some(ProposalStatus::Review), "not in review: {reply:?}");
    story.done(&format!("{} waits for one approval", dollars(1_500 * DOLLAR)))?;
    let view = scene.dev.connect("approver").reader("/read/proposals")?.proposal(&said.id).await?;
    let give = Give { proposal: said.id, review: Review::of(said.id, view)?.digest() };
    scene.dev.connect("approver").submit("/approval/give", tenant, &give).await?;
    scene.until(&said.id, ProposalStatus::Final).await?;
    story.done("the approver approves, the quorum signs, it is final")?;

    story.chapter(
        "Stop",
        "The guardian freezes the tenant. The statement goes to the log and to every signer directly, so that it holds \
         even if the control plane would rather not.",
    );
    let guardian = scene.dev.connect("guardian");
    let set = Set { scope: Scope::All, reason: "something looks wrong".parse()? };
    let said = guardian.speaker()?.say("/freeze/set", tenant, &set)?;
    let frozen = freeze::send(&guardian, &said, &guardian.settings().signers).await;
    let reached = frozen.signers.iter().filter(|told| told.error.is_none()).count();
    ensure!(frozen.log.is_ok() && reached == frozen.signers.len(), "{}", serde_json::to_string(&frozen)?);
    story.done(&format!("the log and all {reached} signers have taken the freeze"))?;
    let (_, reply) = scene.propose(&scene.payout(ORDER, 10 * DOLLAR)?).await?;
    story.done(&format!("the next proposal is denied: {}", reason(&reply, "frozen")?))?;

    let lift = Lift { scope: Scope::All, freeze: said.id };
    scene.dev.connect("admin-1").submit("/freeze/lift", tenant, &lift).await?;
    let (_, reply) = scene.propose(&scene.payout(ORDER, 10 * DOLLAR)?).await?;
    reason(&reply, "frozen")?;
    story.done("one admin alone does not thaw it")?;
    scene.dev.connect("admin-2").submit("/freeze/lift", tenant, &lift).await?;
    scene.pay(ORDER, 10 * DOLLAR).await?;
    story.done("two admins do, and the next payout is final")
}
