use super::{
    scene::{DOLLAR, Scene, denied, dollars, reason},
    story::Story,
};
use crate::{
    commands::{
        delegate::issue,
        propose::{self, PAYOUT},
    },
    connection::Connection,
    dev::{PEOPLE, provision::install},
};
use anyhow::{Context as _, bail, ensure};
use client::{Ambient, ClientError, Delegations, Speaker, Statement};
use domain::Cid;
use futures_util::future::try_join_all;
use keyfile::Identity;
use ledger::args::{Revocation, Revoke};
use messages::{ProblemType, ProposalStatus};
use rand_core::OsRng;
use ucan::{
    Limits, Token,
    container::{self, Encoding},
};

/// Order that pays what should not be paid.
const ORDER: &str = "order-2";
/// What a racing proposal asks for, how many race, and how many the day's limit affords.
const RACE: (u64, usize, usize) = (50 * DOLLAR, 50, 20);

/// What is denied, and why.
pub async fn tell(scene: &mut Scene, story: &mut Story) -> anyhow::Result<()> {
    story.chapter(
        "What policy denies",
        "Every denial is an answer with reasons for programs and for people, and an entry of the log.",
    );
    let (_, reply) = scene.propose(&scene.payout(ORDER, 2_500 * DOLLAR)?).await?;
    story.done(&format!("over the limit: {}", reason(&reply, "payout_limit")?))?;

    let stranger = scene.dev.record().account(domain::Address([0x66; 20]));
    let carol = scene.recipient("carol")?;
    let payout = scene.payout_to(ORDER, 10 * DOLLAR, &[(stranger, 9_500), (carol, 500)])?;
    let (_, reply) = scene.propose(&payout).await?;
    story.done(&format!("a stranger: {}", reason(&reply, "recipient_unverified")?))?;

    story.chapter(
        "Keys that are lost, signatures that are forged",
        "An installation hands its authority on to an instance. When the instance's laptop is lost, an admin revokes that \
         one delegation, and everything built on it ends.",
    );
    revoked(scene, story).await?;
    forged(scene, story).await?;

    story.chapter(
        "Fifty at once",
        "Fifty proposals of 50.00 USDC arrive together; the installation may pay out 1,000.00 USDC a day. Each decision \
         reserves its share of the budget in the log's order, so exactly as many pass as the day affords.",
    );
    race(scene, story).await
}

/// The kind of problem that an attempt ended with.
fn refused<T: std::fmt::Debug>(result: anyhow::Result<T>, expected: ProblemType) -> anyhow::Result<String> {
    let Err(error) = result else { bail!("it was not refused: {result:?}") };
    match error.downcast_ref::<ClientError>() {
        Some(ClientError::Problem(p)) if p.kind == expected => Ok(format!("{}: {}", p.title, p.detail)),
        _ => Err(error.context(format!("it should have been refused as {expected}"))),
    }
}

async fn revoked(scene: &Scene, story: &mut Story) -> anyhow::Result<()> {
    let plugin = scene.dev.connect("plugin");
    let (tenant, ambient) = (plugin.tenant()?, Ambient::system());
    let instance = Identity::generate(&mut OsRng);
    // The installation's own chain, then one delegation more.
    let token = token(&plugin).await?;
    let passed_on = issue(&plugin.identity()?, &ambient, instance.did(), tenant, PAYOUT, 600)?;
    let mut delegations = Delegations::default();
    delegations.add_container(token.as_bytes())?;
    delegations.add(passed_on.clone());
    let speaker = Speaker::new(instance, delegations, plugin.sequencer()?, ambient);
    let payout = scene.payout(ORDER, 10 * DOLLAR)?;
    let said = speaker.say(PAYOUT, tenant, &payout)?;
    let reply = plugin.send(PAYOUT, &said).await?;
    ensure!(reply.status == Some(ProposalStatus::Approved), "not approved: {reply:?}");
    scene.until(&said.id, ProposalStatus::Final).await?;
    story.done("an instance with a delegation of the installation gets a payout through")?;

    let revoke = Revoke {
        revoke: Revocation::Delegation(passed_on.cid()),
        path: Vec::new(),
        reason: "the instance's laptop was lost".parse()?,
    };
    scene.dev.connect("admin-1").submit("/ucan/revoke", tenant, &revoke).await?;
    let said = speaker.say(PAYOUT, tenant, &payout)?;
    let why = refused(plugin.send(PAYOUT, &said).await, ProblemType::Revoked)?;
    story.done(&format!("after its revocation it gets none: {why}"))
}

/// A token of the control plane for an installation, as container text.
async fn token(installation: &Connection) -> anyhow::Result<String> {
    let own = installation.identity()?.did();
    let args = serde_json::json!({ "tenant": installation.tenant()?.to_string() });
    let request = installation.speaker_with(Delegations::default())?.say("/installation/token", own, &args)?;
    Ok(installation.public()?.token(&own, &request.container).await?.container)
}

/// Changes one bit of a proposal's signature.
fn forge(said: &Statement) -> anyhow::Result<Vec<u8>> {
    let mut tokens = container::decode(&said.container, &Limits::default())?;
    for token in &mut tokens {
        if let Token::Invocation(invocation) = ucan::open(token)? {
            // The signature stands first in the envelope, after the head of the array and of the byte string.
            ensure!(
                invocation.cid() == said.id && token.get(..3) == Some([0x82, 0x58, 0x40].as_slice()),
                "not an envelope"
            );
            let last = token.get_mut(10).context("an envelope has a signature")?;
            *last ^= 1;
        }
    }
    Ok(container::encode(Encoding::Base64, &tokens)?)
}

async fn forged(scene: &Scene, story: &mut Story) -> anyhow::Result<()> {
    let plugin = scene.dev.connect("plugin");
    let said = propose::prepare(&plugin, &scene.payout(ORDER, 10 * DOLLAR)?).await?;
    let forged = plugin.public()?.submit_proposal(&forge(&said)?).await.map_err(Into::into);
    let why = refused(forged, ProblemType::SignatureInvalid)?;
    story.done(&format!("one flipped bit: {why}"))
}

async fn race(scene: &mut Scene, story: &mut Story) -> anyhow::Result<()> {
    let (units, count, affordable) = RACE;
    scene.order("demo-race", 2_500 * DOLLAR).await?;
    let small = Identity::generate(&mut OsRng);
    ensure!(!PEOPLE.contains(&"small"), "the name is free");
    let file = scene.dev.folder().key("small");
    let passphrase = keyfile::Passphrase::read(&scene.dev.folder().passphrase_file())?;
    small.save(keyfile::Hardness::Testing, &file, &passphrase, &mut OsRng)?;
    install(&scene.dev, small.did(), 100, 1_000, false).await?;
    let connection = scene.dev.connect("small");
    let tenant = connection.tenant()?;
    let speaker = propose::speaker(&connection, PAYOUT, tenant).await?;
    let payout = scene.payout("demo-race", units)?;
    let said = (0..count).map(|_| Ok(speaker.say(PAYOUT, tenant, &payout)?));
    let said = said.collect::<anyhow::Result<Vec<_>>>()?;
    let plane = connection.public()?;
    let replies = try_join_all(said.iter().map(|s| plane.submit_proposal(&s.container))).await?;
    let approved: Vec<Cid> =
        replies.iter().filter(|r| r.status == Some(ProposalStatus::Approved)).map(|r| r.id).collect();
    ensure!(approved.len() == affordable, "{} passed, not {affordable}", approved.len());
    for reply in replies.iter().filter(|r| r.status != Some(ProposalStatus::Approved)) {
        let codes = denied(reply)?;
        ensure!(codes == ["daily_limit"], "denied for {codes:?}");
    }
    story.done(&format!(
        "of {count} × {} at once exactly {affordable} pass; {} are denied: daily_limit",
        dollars(units),
        count.saturating_sub(affordable)
    ))?;
    for id in &approved {
        scene.until(id, ProposalStatus::Final).await?;
    }
    let left = scene.in_escrow("demo-race").await?;
    ensure!(left == u128::from(1_500 * DOLLAR), "the contract holds {left}");
    story.done("all twenty are executed and final, and the contract holds what is left to the cent")
}
