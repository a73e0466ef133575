//! What one thread can do: check a proposal's authority, and decide.

use super::{
    Settings,
    clock::instant,
    figure::{Aim, Figure, Latencies, latencies, nanoseconds, number, quantile},
    scene::{Fate, Said, Scene},
};
use anyhow::Context as _;
use client::Ambient;
use domain::{Cid, Did, Time};
use std::{hint::black_box, time::Duration};
use ucan::{Delegation, Trust, Verified, authorise, open_delegation, open_invocation};

/// Before the clock counts, code and data are brought into the caches.
const WARM_UP: usize = 50;

/// Does the same for some time and gives how long each took.
fn repeat(seconds: u64, mut work: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<(Latencies, Duration)> {
    for _ in 0..WARM_UP {
        work()?;
    }
    let (mut all, limit, start) = (latencies()?, Duration::from_secs(seconds), instant());
    let mut begin = start;
    loop {
        work()?;
        let end = instant();
        all.record(nanoseconds(end.saturating_duration_since(begin)))?;
        begin = end;
        let elapsed = end.saturating_duration_since(start);
        if elapsed >= limit {
            return Ok((all, elapsed));
        }
    }
}

fn walk(said: &Said, proofs: &[Verified<Delegation>], sequencer: Did, now: Time) -> anyhow::Result<()> {
    let subject = said.invocation.subject();
    let trusted = [subject];
    let mut context = ucan::Context::new(now, Trust::Only(&trusted));
    context.audience = Some(sequencer);
    let find = |cid: &Cid| proofs.iter().find(|p| p.cid() == *cid).cloned();
    black_box(authorise(&said.invocation, &find, &context)?);
    Ok(())
}

/// Three delegations and the invocation that they entitle.
pub fn verify(settings: &Settings, figures: &mut Vec<Figure>) -> anyhow::Result<()> {
    let (scene, now) = (Scene::new()?, Ambient::system().now());
    let said = scene.propose(&scene.longer_chain(now)?, Fate::Allowed, now)?;
    let sequencer = scene.sequencer.did();
    let (cold, _) = repeat(settings.seconds, || {
        let invocation = open_invocation(black_box(said.invocation.bytes()))?;
        let proofs = said.proofs.iter().map(|p| Ok(open_delegation(black_box(p.bytes()))?));
        let opened = Said { invocation, proofs: proofs.collect::<anyhow::Result<_>>()? };
        walk(&opened, &opened.proofs, sequencer, now)
    })?;
    let (warm, _) = repeat(settings.seconds, || {
        let invocation = open_invocation(black_box(said.invocation.bytes()))?;
        walk(&Said { invocation, proofs: Vec::new() }, &said.proofs, sequencer, now)
    })?;
    // The floors are four strict verifications of a signature, and one.
    for (case, latencies, floor) in [("no token seen before", &cold, 180.0), ("delegations cached", &warm, 42.0)] {
        let microseconds = |share| quantile(latencies, share) / 1e3;
        figures.push(
            Figure::new("verify", format!("3 delegations and an invocation, {case}"))
                .against("p50", microseconds(0.5), "µs", Aim::Floor(floor))
                .with("p99", microseconds(0.99), "µs"),
        );
    }
    Ok(())
}

/// The default bundle on an ordinary payout.
pub fn policy(settings: &Settings, figures: &mut Vec<Figure>) -> anyhow::Result<()> {
    let engine = policy::Engine::load(&policy::Bundle::default_payout())?;
    let input = policy::probe::ordinary().context("the ordinary input")?;
    let (latencies, elapsed) = repeat(settings.seconds, || {
        black_box(engine.decide(black_box(&input)));
        Ok(())
    })?;
    figures.push(
        Figure::new("policy", "decisions, ordinary payout, one thread")
            .against("rate", number(latencies.len()) / elapsed.as_secs_f64(), "/s", Aim::AtLeast(25_000.0))
            .with("p50", quantile(&latencies, 0.5) / 1e3, "µs")
            .against("p99", quantile(&latencies, 0.99) / 1e3, "µs", Aim::AtMost(60.0)),
    );
    Ok(())
}
