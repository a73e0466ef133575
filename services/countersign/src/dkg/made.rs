use anyhow::{Context as _, ensure};
use domain::{Did, Digest};
use ledger::{GroupKeys, GroupPackages, Participant};
use messages::{DkgConfirmed, Hex};
use threshold::{Ciphersuite, Ed25519, GroupKey, Secp256k1};

/// The public halves of the new keys as every signer confirms them.
#[derive(Debug)]
pub(super) struct Made {
    pub secp256k1: GroupKey<Secp256k1>,
    pub ed25519: GroupKey<Ed25519>,
    packages: GroupPackages,
}

impl Made {
    /// Takes the packages from everyone's confirmations, by ascending identifier. What the test signatures will prove
    /// are the packages, so every key is derived from them, and a signer that says another one is not believed.
    pub fn agreed(
        ceremony: &Digest,
        threshold: u16,
        participants: &[Participant],
        confirmed: &[&DkgConfirmed],
    ) -> anyhow::Result<Self> {
        let first = confirmed.first().context("a key generation has participants")?;
        let packages = &first.packages;
        let secp256k1 = group(&packages.secp256k1, threshold, participants)?;
        let ed25519 = group(&packages.ed25519, threshold, participants)?;
        ensure!(confirmed.len() == participants.len(), "not every signer has confirmed the keys");
        for (said, by) in confirmed.iter().zip(participants) {
            let same = said.ceremony == *ceremony
                && said.participant == by.id
                && said.confirmation == first.confirmation
                && said.packages == *packages
                && said.group_keys.secp256k1.0 == secp256k1.verifying_key()?
                && said.group_keys.ed25519.0 == ed25519.verifying_key()?;
            ensure!(same, "signer {} confirms other keys; nothing is registered", by.id);
        }
        let packages = GroupPackages { secp256k1: packages.secp256k1.to_text(), ed25519: packages.ed25519.to_text() };
        Ok(Self { secp256k1, ed25519, packages })
    }

    /// The keys and packages as the log has them.
    pub fn into_parts(self) -> anyhow::Result<(GroupKeys, GroupPackages)> {
        let ed25519 = <[u8; 32]>::try_from(self.ed25519.verifying_key()?);
        let ed25519 = ed25519.ok().context("the group's Ed25519 key does not have 32 bytes")?;
        let secp256k1 = Hex(self.secp256k1.verifying_key()?).to_text();
        Ok((GroupKeys { secp256k1, ed25519: Did::from_key(ed25519) }, self.packages))
    }
}

/// A group key of exactly this ceremony's participants and threshold.
fn group<C: Ciphersuite>(package: &Hex, threshold: u16, participants: &[Participant]) -> anyhow::Result<GroupKey<C>> {
    let group: GroupKey<C> = GroupKey::from_bytes(&package.0)?;
    let everyone = group.participants().iter().map(|p| p.get()).eq(participants.iter().map(|p| p.id));
    ensure!(everyone && group.threshold() == threshold, "the new key is not one of this ceremony's quorum");
    Ok(group)
}

#[cfg(test)]
mod tests;
