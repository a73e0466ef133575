use super::scene::Scene;
use anyhow::{Context as _, ensure};
use domain::Did;
use messages::Hex;
use std::collections::BTreeSet;
use threshold::{GroupKey, Secp256k1};

/// Who signs, as the log says it and the chain bears it out.
pub struct Quorum {
    /// Counts key changes, from 1.
    pub epoch: u64,
    /// How many sign together.
    pub threshold: usize,
    /// Everyone's node.
    pub nodes: BTreeSet<Did>,
}

impl Quorum {
    /// Looks at the active quorum. Its public packages must be those of a key that as many make as it says, and the escrow
    /// contract must take signatures by that key: whatever it executes, so many have signed.
    pub async fn look(scene: &Scene) -> anyhow::Result<Self> {
        let view = scene.plane.quorum().await?.context("a quorum is active")?;
        // Parsing holds the signers' public shares against the key: any t of them make it, and fewer do not.
        let group = GroupKey::<Secp256k1>::from_bytes(&view.packages.secp256k1.0)?;
        let nodes: BTreeSet<Did> = view.participants.iter().map(|p| p.node).collect();
        let counts = (group.threshold(), group.participants().len());
        ensure!(counts == (view.threshold, nodes.len()), "the key is one of {counts:?}, the quorum another");
        let key = group.verifying_key()?;
        ensure!(Hex(key.clone()).to_text() == view.keys.secp256k1, "the packages are of another key");

        let contract = scene.dev.record().chain.escrow.context("the contract is deployed")?;
        let returned = scene.chain.read(contract, escrow::read::verifying_key_calldata()).await?;
        let taken = escrow::read::verifying_key(&returned)?.to_sec1();
        ensure!(taken.as_slice() == key.as_slice(), "the contract takes signatures by another key");
        let epoch = escrow::read::epoch(&scene.chain.read(contract, escrow::read::epoch_calldata()).await?)?;
        ensure!(epoch == view.epoch, "the contract is at epoch {epoch}");
        Ok(Self { epoch, threshold: view.threshold.into(), nodes })
    }

    /// Checks that those who attest are as many different signers as it takes.
    pub fn attest(&self, attesters: impl IntoIterator<Item = Did>) -> anyhow::Result<()> {
        let attesters: BTreeSet<Did> = attesters.into_iter().collect();
        ensure!(attesters.is_subset(&self.nodes), "not all of {attesters:?} are signers");
        ensure!(attesters.len() == self.threshold, "{} signers attest, not {}", attesters.len(), self.threshold);
        Ok(())
    }
}
