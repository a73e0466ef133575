use super::Cast;
use data_encoding::HEXLOWER;
use domain::{Amount, Did, Digest, Payout, PayoutAuthorisation, largest_remainder};
use ledger::Quorum;
use threshold::{Ed25519, GroupKey, Secp256k1};

/// What each split gets, in minor units.
pub(super) fn parts(payout: &Payout) -> Result<Vec<Amount>, String> {
    let shares: Vec<_> = payout.splits.iter().map(|s| s.bps).collect();
    let parts = largest_remainder(payout.total.get(), &shares).map_err(|e| e.to_string())?;
    parts.into_iter().map(Amount::new).collect::<Result<_, _>>().map_err(|e| e.to_string())
}

/// What a quorum signs for the payout, computed from the tenant's entry and the proposal.
pub(crate) fn authorisation(cast: &Cast<'_>, installation: Did) -> Result<PayoutAuthorisation, String> {
    let (_, create) = cast.tenant;
    let (entry, payout) = cast.proposal;
    let asset = create.assets.iter().find(|a| a.asset == payout.asset).ok_or("the tenant has no such asset")?;
    Ok(PayoutAuthorisation {
        domain: create.escrow,
        intent: *entry.statement.cid().digest(),
        installation: Digest::sha256(installation.to_string().as_bytes()),
        order: Digest::sha256(payout.order.as_str().as_bytes()),
        asset: asset.asset.address(),
        recipients: payout.splits.iter().map(|s| s.recipient.address).collect(),
        amounts: parts(payout)?.into_iter().map(|a| a.to_chain(asset.scale)).collect(),
        valid_until: payout.valid_until,
        epoch: cast.quorum.1.epoch,
    })
}

/// A quorum's key for what the chain verifies.
#[derive(Debug)]
pub(crate) struct Group(GroupKey<Secp256k1>);

impl Group {
    /// The key of a quorum whose entry does not contradict itself: packages, keys, threshold and participants are those
    /// of one key generation.
    pub fn of(quorum: &Quorum) -> Result<Self, String> {
        let bytes = |hex: &str| HEXLOWER.decode(hex.as_bytes()).map_err(|e| e.to_string());
        let secp = GroupKey::<Secp256k1>::from_bytes(&bytes(&quorum.packages.secp256k1)?).map_err(|e| e.to_string())?;
        let ed = GroupKey::<Ed25519>::from_bytes(&bytes(&quorum.packages.ed25519)?).map_err(|e| e.to_string())?;
        let same_keys = secp.verifying_key().ok() == Some(bytes(&quorum.keys.secp256k1)?)
            && ed.verifying_key().ok().as_deref() == Some(quorum.keys.ed25519.key().as_slice());
        let ids = || quorum.participants.iter().map(|p| p.id);
        let same_group = [secp.threshold(), ed.threshold()] == [quorum.threshold; 2]
            && ids().eq(secp.participants().iter().map(|id| id.get()))
            && ids().eq(ed.participants().iter().map(|id| id.get()));
        if same_keys && same_group {
            Ok(Self(secp))
        } else {
            Err("the quorum's keys and packages are not of one group".to_owned())
        }
    }

    /// Whether `signature` (65 bytes in lower-case hex) is this group's over the payout; gives the digest it signed.
    pub fn check(&self, payout: &PayoutAuthorisation, signature: &str) -> Result<Digest, String> {
        let bytes = HEXLOWER.decode(signature.as_bytes()).map_err(|e| e.to_string())?;
        let bytes: [u8; 65] = bytes.try_into().map_err(|_| "a signature has 65 bytes")?;
        escrow::Signature::from_frost(&bytes).map_err(|e| e.to_string())?;
        let message = escrow::payout_digest(payout);
        self.0.verify(&message, &bytes).map_err(|_| "the quorum has not signed this payout")?;
        Ok(Digest::from_bytes(message))
    }
}
