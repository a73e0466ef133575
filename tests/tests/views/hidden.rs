//! A freeze that the control plane hides from some.

use crate::{keys::pid, stage::Stage};
use client::Ambient;
use messages::RefusalCode::{self, Behind, Diverged, Frozen, StaleView};
use relayer::{Panel, Patience, Unsigned, gather};
use std::{future, time::Duration};
use threshold::Secp256k1;

/// As relayers have it, but for a machine that does other things.
const PATIENCE: Patience =
    Patience { request: Duration::from_secs(20), hurry: Duration::from_millis(250), total: Duration::from_mins(1) };

async fn try_to_sign(stage: &Stage, panel: &Panel<Secp256k1>) -> Result<Vec<u8>, Unsigned> {
    gather(panel, &stage.subject(), stage.message(), 0, PATIENCE).await.map(|g| g.signature)
}

/// Each signer that was heard before too few were left has refused for its own reason.
fn check(unsigned: &Unsigned, reasons: [RefusalCode; 3]) {
    assert!(!unsigned.refusals.is_empty(), "{unsigned}");
    for (who, code) in &unsigned.refusals {
        assert_eq!(*code, reasons[usize::from(who.get()) - 1], "signer {who}");
    }
}

/// Tries again, as relayers do, while signers still wait for entries. They wait for seconds, which is little on a machine
/// that does other things.
async fn until_signed(stage: &Stage, panel: &Panel<Secp256k1>) -> Vec<u8> {
    let signing = async {
        loop {
            match try_to_sign(stage, panel).await {
                Ok(signature) => return signature,
                Err(unsigned) => check(&unsigned, [Behind; 3]),
            }
        }
    };
    tokio::time::timeout(PATIENCE.total, signing).await.unwrap()
}

impl Stage {
    /// Waits until a signer other than the first says that it waits for entries.
    async fn one_waits(&self) {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        loop {
            for at in [1, 2] {
                let answer = http.get(format!("{}/readyz", self.address(at))).send().await.unwrap();
                if answer.text().await.unwrap().contains("have not come here") {
                    return;
                }
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_freeze_that_one_signer_has_seen_stops_all() {
    let mut stage = Stage::set().await;
    stage.freeze();
    // The first sees it; the others go on getting fresh checkpoints of the log without it.
    stage.planes[0].show(&stage.log);
    stage.proven(0).await;
    for at in [1, 2] {
        let status = stage.status(at).await;
        assert!(status.fresh && status.head == Some(stage.last() - 1), "{status:?}");
    }
    let panel = stage.panel();
    // Whether its refusal comes before the others sign or after, nothing comes of it.
    try_to_sign(&stage, &panel).await.unwrap_err();
    check(&try_to_sign(&stage, &panel).await.unwrap_err(), [Frozen, Behind, Behind]);
    // They remember what they were told, also when the one that knows is gone and another relayer asks.
    let mut other = stage.panel();
    other.signers.remove(&pid(1));
    check(&try_to_sign(&stage, &other).await.unwrap_err(), [Frozen, Behind, Behind]);
    let whole = u64::try_from(stage.log.len()).unwrap();
    assert_eq!(other.horizon.unwrap().size(), whole, "and they tell it of what they wait for");

    for plane in &stage.planes {
        plane.show(&stage.log);
    }
    for at in 0..3 {
        stage.until(at, |status| status.head == Some(stage.last())).await;
    }
    check(&try_to_sign(&stage, &panel).await.unwrap_err(), [Frozen; 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn honest_signers_that_differ_in_how_far_they_are_sign() {
    let mut stage = Stage::set().await;
    stage.grow();
    stage.planes[0].show(&stage.log);
    stage.proven(0).await;
    let panel = stage.panel();
    // One of the others gets it while it is being asked. Both may as well have signed before the first is heard.
    let late = async {
        stage.one_waits().await;
        stage.planes[1].show(&stage.log);
        stage.planes[2].show(&stage.log);
        future::pending::<()>().await;
    };
    let signature = tokio::select! {
        signature = until_signed(&stage, &panel) => signature,
        () = late => unreachable!("it never ends"),
    };
    panel.group.verify(&stage.message(), &signature).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_signer_has_seen_is_not_forgotten_for_a_new_checkpoint_of_less() {
    let mut stage = Stage::set().await;
    let before = stage.log.clone();
    stage.freeze();
    stage.planes[0].show(&stage.log);
    stage.proven(0).await;
    // From now on it gets fresh checkpoints of the log without the freeze, like the others.
    stage.planes[0].show(&before);
    let now = || Ambient::system().now();
    let shown = now();
    while now() < shown.plus(3) {
        stage.planes[0].heartbeats(1).await;
    }
    let viewed = stage.status(0).await.view_time.unwrap();
    assert!(viewed <= shown, "they do not keep its view fresh: {viewed:?}, {shown:?}");
    let panel = stage.panel();
    try_to_sign(&stage, &panel).await.unwrap_err();
    check(&try_to_sign(&stage, &panel).await.unwrap_err(), [Frozen, Behind, Behind]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_signer_has_seen_is_shown_after_a_restart() {
    let mut stage = Stage::set().await;
    let before = stage.log.clone();
    stage.freeze();
    stage.planes[0].show(&stage.log);
    stage.proven(0).await;
    // What it shows is on its own disk soon after.
    let (anchor, size) = (stage.folders[0].path().join("anchor"), format!("\n{}\n", stage.log.len()));
    let kept = async {
        while !std::fs::read_to_string(&anchor).unwrap().contains(&size) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), kept).await.unwrap();
    // From now on it gets checkpoints of the log without the freeze, like the others.
    stage.planes[0].show(&before);
    stage.stop(0).await;
    stage.start(0).await;
    let status = stage.status(0).await;
    assert!(status.checkpoints.iter().any(|note| note.contains(&size)), "{status:?}");
    stage.planes[0].heartbeats(30).await;
    assert!(!stage.status(0).await.fresh, "what it has kept makes no view fresh, nor do checkpoints of less");
    let panel = stage.panel();
    panel.survey(Duration::from_secs(20)).await;
    try_to_sign(&stage, &panel).await.unwrap_err();
    check(&try_to_sign(&stage, &panel).await.unwrap_err(), [StaleView, Behind, Behind]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_signer_has_seen_cannot_be_made_too_long_to_show() {
    let mut stage = Stage::set().await;
    stage.freeze();
    stage.planes[0].pad();
    stage.planes[0].show(&stage.log);
    stage.proven(0).await;
    let panel = stage.panel();
    try_to_sign(&stage, &panel).await.unwrap_err();
    check(&try_to_sign(&stage, &panel).await.unwrap_err(), [Frozen, Behind, Behind]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_freeze_in_a_log_of_the_same_length_stops_all_for_good() {
    let mut stage = Stage::set().await;
    // Instead of the freeze, the others are shown something harmless.
    let other = stage.aside(Stage::grow);
    stage.freeze();
    assert_eq!(stage.log.len(), other.len());
    stage.planes[0].show(&stage.log);
    for plane in &stage.planes[1..] {
        plane.show(&other);
    }
    for at in 0..3 {
        stage.proven(at).await;
    }
    let panel = stage.panel();
    try_to_sign(&stage, &panel).await.unwrap_err();
    try_to_sign(&stage, &panel).await.unwrap_err();
    // Each has been shown a note that is not of its log, and judges for itself.
    for at in 0..3 {
        assert!(stage.status(at).await.halted.is_some(), "signer {}", at + 1);
    }
    assert!(panel.horizon.unwrap().fork().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_freeze_in_a_log_that_others_have_grown_past_stops_all_for_good() {
    let mut stage = Stage::set().await;
    let other = stage.aside(|stage| {
        stage.grow();
        stage.propose(200);
    });
    stage.freeze();
    assert!(stage.log.len() < other.len());
    stage.planes[0].show(&stage.log);
    stage.proven(0).await;
    for (at, plane) in stage.planes.iter().enumerate().skip(1) {
        plane.show(&other);
        let last = u64::try_from(other.len()).unwrap() - 1;
        stage.until(at, |status| status.head == Some(last)).await;
    }
    let panel = stage.panel();
    try_to_sign(&stage, &panel).await.unwrap_err();
    try_to_sign(&stage, &panel).await.unwrap_err();
    for at in [1, 2] {
        assert!(stage.status(at).await.halted.is_some(), "signer {}", at + 1);
    }
    assert!(panel.horizon.unwrap().fork().is_none(), "the relayer alone could not tell");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_would_answer_too_late_has_been_heard_before() {
    let mut stage = Stage::set().await;
    let other = stage.aside(|stage| {
        stage.grow();
        stage.propose(200);
    });
    stage.freeze();
    stage.planes[0].show(&stage.log);
    stage.proven(0).await;
    let last = u64::try_from(other.len()).unwrap() - 1;
    for at in [1, 2] {
        stage.planes[at].show(&other);
        stage.until(at, |status| status.head == Some(last)).await;
    }
    let panel = stage.panel();
    panel.survey(Duration::from_secs(20)).await;
    // The first waits for an entry that it is not shown, while the others could sign.
    let gathered = gather(&panel, &stage.subject(), stage.message(), last, PATIENCE).await;
    check(&gathered.unwrap_err(), [Behind, Diverged, Diverged]);
}
