use super::{
    quorum::Quorum,
    scene::{DOLLAR, Scene, dollars},
    story::Story,
};
use crate::commands::propose::PAYOUT;
use anyhow::{Context as _, ensure};
use domain::Cid;
use messages::ProposalStatus;

const ORDER: &str = "demo-1";
const ATTEST: &str = "/execution/attest";
const TOTAL: u64 = 120 * DOLLAR;
/// 70 %, 25 % and 5 % of the total.
const PARTS: [(&str, u64); 3] = [("alice", 84 * DOLLAR), ("bob", 30 * DOLLAR), ("carol", 6 * DOLLAR)];

/// A payout, and the same once more; the payout's id.
pub async fn tell(scene: &mut Scene, story: &mut Story) -> anyhow::Result<Cid> {
    story.chapter(
        "A buyer pays into escrow",
        "The escrow contract holds the money under the order's id. It lets go of it for a signature of the quorum's \
         key and for nothing else.",
    );
    scene.order(ORDER, TOTAL).await?;
    let held = scene.in_escrow(ORDER).await?;
    ensure!(held == u128::from(TOTAL), "the contract holds {held}");
    story.done(&format!("the contract holds {} for {ORDER}", dollars(TOTAL)))?;

    story.chapter(
        "A plugin proposes, policy decides, the quorum countersigns",
        "The plugin holds no coin and no chain key. It signs a proposal with a token that lives for minutes. The control \
         plane decides it by policy and logs both; every signer reads the log, decides again by itself, and signs only \
         what it has decided. The relayer carries the signature to the contract.",
    );
    let before = scene.balances().await?;
    let payout = scene.payout(ORDER, TOTAL)?;
    let (said, reply) = scene.propose(&payout).await?;
    ensure!(reply.status == Some(ProposalStatus::Approved), "not approved: {reply:?}");
    story.done(&format!("policy allows {} split three ways; entry {} of the log", dollars(TOTAL), reply.seq))?;
    let view = scene.until(&said.id, ProposalStatus::Final).await?;
    let execution = view.execution.context("a final payout has an execution")?;
    let transaction = execution.transaction.context("a final payout has a transaction")?;
    let quorum = Quorum::look(scene).await?;
    quorum.attest(view.audit_trail.iter().filter(|r| r.command == ATTEST).map(|r| r.issuer))?;
    story.done(&format!(
        "{signed} of {all} signed: it is their key that the contract takes; {transaction}… executed it, {signed} signers \
         attest that it is final",
        signed = quorum.threshold,
        all = quorum.nodes.len(),
        transaction = transaction.get(..12).unwrap_or_default()
    ))?;
    let after = scene.balances().await?;
    for (name, part) in PARTS {
        let got = after.get(name).zip(before.get(name)).map(|(after, before)| after.saturating_sub(*before));
        ensure!(got == Some(u128::from(part)), "{name} got {got:?}, not {part}");
    }
    ensure!(scene.in_escrow(ORDER).await? == 0, "the contract still holds something of {ORDER}");
    story.done("on chain: alice +84.00, bob +30.00, carol +6.00, and nothing is left of the order")?;

    story.chapter(
        "The same proposal again",
        "A proposal's id is the hash of its bytes. The same bytes get the first answer, and the contract pays an id once.",
    );
    let again = scene.dev.connect("plugin").send(PAYOUT, &said).await?;
    ensure!(again.id == reply.id && again.seq == reply.seq, "another answer: {again:?}");
    ensure!(scene.balances().await? == after, "balances have changed");
    story.done(&format!("the same answer, entry {}, and no second payment", again.seq))?;
    Ok(reply.id)
}
