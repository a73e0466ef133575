//! Changes of the escrow contract: carried once, in the order of its nonces, whoever else carries them.

use crate::{restart::Scene, world::until};
use alloy::rpc::types::BlockId;
use domain::{Address, AdministrationAuthorisation, ContractMeasure, Digest, Time};
use escrow::read;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;

/// A scene whose contract is frozen, with one payout that waits for the thaw.
async fn frozen() -> Option<Scene> {
    let scene = Scene::set().await?;
    scene.anvil.freeze(scene.plane.authorisation.domain.contract).await;
    Some(scene)
}

/// A thaw under this nonce, as the control plane lists it.
fn thaw(scene: &Scene, nonce: u64, valid_until: u64) -> AdministrationAuthorisation {
    let payout = &scene.plane.authorisation;
    AdministrationAuthorisation {
        domain: payout.domain,
        measure: ContractMeasure::Thaw { guardian: scene.anvil.guardian() },
        nonce,
        valid_until: Time::from_unix(valid_until),
        epoch: 1,
    }
}

/// Later than every test.
const FAR: u64 = 4_000_000_000;

fn listed(authorisation: &AdministrationAuthorisation, is_approved: bool) -> Value {
    let mut view = json!({
        "id": Digest::sha256(&escrow::administration_digest(authorisation)), "tenant": crate::node::identity(50).did(),
        "escrow": authorisation.domain, "measure": authorisation.measure, "nonce": authorisation.nonce,
        "valid_until": authorisation.valid_until, "reason": "a test", "updated": 4, "admins": [], "needed": 2,
    });
    if is_approved {
        view["authorisation"] = json!(authorisation);
    }
    view
}

/// The signers sign this one, and the control plane lists it.
fn approve(scene: &Scene, authorisation: &AdministrationAuthorisation) {
    for node in &scene.nodes {
        *node.administration.lock().unwrap() = escrow::administration_digest(authorisation).to_vec();
    }
    scene.plane.administrations.lock().unwrap().push(listed(authorisation, true));
}

async fn nonce(scene: &Scene) -> u64 {
    let contract = scene.plane.authorisation.domain.contract;
    read::nonce(&scene.anvil.ask(contract, read::nonce_calldata()).await).unwrap()
}

async fn until_thawed(scene: &Scene) {
    let contract = scene.plane.authorisation.domain.contract;
    let thawed = || async {
        let frozen = read::frozen(&scene.anvil.ask(contract, read::frozen_calldata()).await).unwrap();
        (!frozen).then_some(())
    };
    until("a thaw", thawed).await;
}

#[tokio::test]
async fn a_thaw_is_carried_and_what_waited_for_it_goes_on() {
    let Some(scene) = frozen().await else { return };
    approve(&scene, &thaw(&scene, 1, FAR));
    let relayer = scene.relayer(0, 60);
    scene.until_included().await;
    relayer.abort();
    assert_eq!(nonce(&scene).await, 2);
    assert_eq!(scene.anvil.paid().await, crate::world::ETHER);
}

#[tokio::test]
async fn two_relayers_at_once_thaw_it_once() {
    let Some(scene) = frozen().await else { return };
    approve(&scene, &thaw(&scene, 1, FAR));
    let both = [scene.relayer(0, 60), scene.relayer(1, 60)];
    scene.until_included().await;
    for relayer in both {
        relayer.abort();
    }
    assert_eq!(nonce(&scene).await, 2);
    assert_eq!(scene.anvil.paid().await, crate::world::ETHER);
}

#[tokio::test]
async fn who_is_killed_after_sending_is_followed_without_a_second_signature() {
    let Some(scene) = frozen().await else { return };
    scene.plane.idle.store(true, Ordering::SeqCst);
    scene.anvil.rpc("evm_setAutomine", json!([false])).await;
    approve(&scene, &thaw(&scene, 1, FAR));
    let pending = || async {
        let block = scene.anvil.rpc("eth_getBlockByNumber", json!(["pending", true])).await;
        block["transactions"].get(0).map(|t| t["hash"].clone())
    };
    let first = scene.relayer(0, 60);
    let hash = until("a pending transaction", pending).await;
    first.abort();
    let _ = first.await;
    let asked = scene.shares_asked();
    // The second has no signature of its own: it replaces what is stuck by the same call.
    let second = scene.relayer(0, 1);
    until("a replacement", || async { pending().await.filter(|h| *h != hash) }).await;
    scene.mine().await;
    until_thawed(&scene).await;
    second.abort();
    assert_eq!(scene.shares_asked(), asked);
    assert_eq!(scene.sent(0, BlockId::pending()).await, 1);
    assert_eq!(nonce(&scene).await, 2);
}

#[tokio::test]
async fn only_what_is_approved_alive_and_due_is_signed() {
    let Some(scene) = frozen().await else { return };
    scene.plane.idle.store(true, Ordering::SeqCst);
    let left = [thaw(&scene, 0, FAR), thaw(&scene, 2, FAR), thaw(&scene, 1, 1)];
    scene.plane.administrations.lock().unwrap().extend(left.iter().map(|a| listed(a, true)));
    scene.plane.administrations.lock().unwrap().push(listed(&thaw(&scene, 1, FAR - 1), false));
    let due = thaw(&scene, 1, FAR);
    approve(&scene, &due);
    let relayer = scene.relayer(0, 60);
    until_thawed(&scene).await;
    relayer.abort();
    assert_eq!(nonce(&scene).await, 2);
    let id = Digest::sha256(&escrow::administration_digest(&due));
    for node in &scene.nodes {
        assert!(node.asked_for.lock().unwrap().iter().all(|asked| *asked == id));
    }
}

/// A cap that no contract can hold: signed all the same, and refused when it is simulated.
fn impossible(scene: &Scene) -> AdministrationAuthorisation {
    let cap = (escrow::MAX_CAP + 1).to_string().try_into().unwrap();
    AdministrationAuthorisation {
        measure: ContractMeasure::SetCap { asset: Address::ZERO, cap },
        ..thaw(scene, 0, FAR)
    }
}

#[tokio::test]
async fn a_change_that_the_contract_refuses_holds_up_no_payout() {
    let Some(scene) = Scene::set().await else { return };
    scene.plane.idle.store(true, Ordering::SeqCst);
    approve(&scene, &impossible(&scene));
    let relayer = scene.relayer(0, 60);
    until("a signature of it", || async { (scene.shares_asked() > 0).then_some(()) }).await;
    scene.plane.idle.store(false, Ordering::SeqCst);
    relayer.abort();
    // With a fresh look at everything, as after a wake-up.
    let relayer = scene.relayer(0, 60);
    scene.until_included().await;
    relayer.abort();
    assert_eq!(nonce(&scene).await, 0);
    assert_eq!(scene.anvil.paid().await, crate::world::ETHER);
}

#[tokio::test]
async fn a_change_that_the_contract_refuses_is_not_signed_again_at_every_look() {
    let Some(scene) = Scene::set().await else { return };
    scene.plane.idle.store(true, Ordering::SeqCst);
    approve(&scene, &impossible(&scene));
    // With the third look the first hold-off ends. What it would lead to is kept apart from what the second did.
    scene.plane.administrations_answered.store(2, Ordering::SeqCst);
    let relayer = scene.relayer(0, 60);
    let looks = |n| {
        let scene = &scene;
        until("another look", move || async move { (asked(scene) >= n).then_some(()) })
    };
    until("a signature of it", || async { (scene.shares_asked() > 0).then_some(()) }).await;
    looks(3).await;
    relayer.abort();
    let asked = scene.shares_asked();
    assert!(asked <= scene.nodes.len(), "everyone once, at most: {asked}");
}

fn asked(scene: &Scene) -> usize {
    scene.plane.administrations_asked.load(Ordering::SeqCst)
}
