//! The story that `countersign demo` tells: every step is done by real processes and checked before it is ticked.

mod paying;
mod people;
mod quorum;
mod refusing;
mod resilience;
mod scene;
mod story;
mod verifying;

use crate::{
    dev::{Dev, Options},
    output::Output,
};
use scene::Scene;
use story::Story;

/// Tells the whole story in `options.folder`. Every step must hold, or it ends there with an error.
pub async fn tell(options: &Options, out: Output) -> anyhow::Result<()> {
    let mut story = Story::new(out);
    story.chapter(
        "A quorum comes to be",
        "Three signers, each a process with its own keys, database and view of the log, generate two keys together. \
         Nobody ever holds a whole key: not the operator, not a signer.",
    );
    let dev = Dev::start(options, &mut |step| story.sub(step)).await?;
    story.done("three signers share two keys; any two of them sign, no single one can")?;
    let mut scene = Scene::new(dev)?;
    let told = parts(&mut scene, &mut story).await;
    scene.dev.stop().await;
    told?;
    story.end()
}

async fn parts(scene: &mut Scene, story: &mut Story) -> anyhow::Result<()> {
    let paid = paying::tell(scene, story).await?;
    refusing::tell(scene, story).await?;
    people::tell(scene, story).await?;
    resilience::tell(scene, story).await?;
    verifying::tell(scene, story, &paid).await
}
