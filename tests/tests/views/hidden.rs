//! A freeze that the control plane hides from some.

use crate::{keys::pid, stage::Stage};
use messages::RefusalCode::{self, Behind, Frozen};
use relayer::{Panel, Patience, Unsigned, gather};
use std::time::Duration;
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
    let late = async {
        // The others get it while they are being asked.
        tokio::time::sleep(Duration::from_millis(300)).await;
        stage.planes[1].show(&stage.log);
        stage.planes[2].show(&stage.log);
    };
    let (signature, ()) = tokio::join!(try_to_sign(&stage, &panel), late);
    panel.group.verify(&stage.message(), &signature.unwrap()).unwrap();
}
