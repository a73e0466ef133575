use crate::{gather::Panel, horizon::Horizon};
use client::{Ambient, ClientError, QuorumView, SignerClient};
use domain::Did;
use keyfile::Identity;
use messages::Hex;
use std::{collections::BTreeMap, sync::Arc};
use threshold::{Ed25519, GroupKey, ParticipantId, Secp256k1};

/// The quorum that the operator has appointed cannot be asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum QuorumError {
    /// The public packages are not those of the group keys and participants beside them.
    #[error("the public key packages of epoch {epoch} do not fit the quorum's keys")]
    Mismatch {
        /// The epoch.
        epoch: u64,
    },
    /// A client could not be made.
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// The signers of the active epoch, ready to be asked.
pub(crate) struct Quorum {
    pub view: QuorumView,
    pub secp256k1: Panel<Secp256k1>,
    pub ed25519: Panel<Ed25519>,
}

impl Quorum {
    /// Opens the public packages in `view` and connects to its signers.
    pub(crate) fn open(
        view: QuorumView,
        identity: &Identity,
        ambient: &Ambient,
        horizon: &Arc<Horizon>,
    ) -> Result<Self, QuorumError> {
        let epoch = view.epoch;
        let mismatch = || QuorumError::Mismatch { epoch };
        let secp256k1 = GroupKey::from_bytes(&view.packages.secp256k1.0).map_err(|_| mismatch())?;
        let ed25519 = GroupKey::from_bytes(&view.packages.ed25519.0).map_err(|_| mismatch())?;
        if !fits(&view, &secp256k1, &ed25519) {
            return Err(mismatch());
        }
        let mut signers = BTreeMap::new();
        for member in &view.participants {
            let id = ParticipantId::new(member.id).map_err(|_| mismatch())?;
            let signer = SignerClient::new(member.url.clone(), member.node, identity.clone(), ambient.clone())?;
            signers.insert(id, Arc::new(signer));
        }
        let horizon = Some(horizon.clone());
        let secp256k1 = Panel { epoch, group: secp256k1, signers: signers.clone(), horizon: horizon.clone() };
        Ok(Self { view, secp256k1, ed25519: Panel { epoch, group: ed25519, signers, horizon } })
    }
}

fn fits(view: &QuorumView, secp256k1: &GroupKey<Secp256k1>, ed25519: &GroupKey<Ed25519>) -> bool {
    let ids: Vec<u16> = view.participants.iter().map(|p| p.id).collect();
    let same = |members: &[ParticipantId], t: u16| {
        t == view.threshold && members.iter().map(|id| id.get()).eq(ids.iter().copied())
    };
    let on_chain = secp256k1.verifying_key().map(|k| Hex(k).to_text());
    let off_chain = ed25519.verifying_key().ok().and_then(|k| k.try_into().ok()).map(Did::from_key);
    same(secp256k1.participants(), secp256k1.threshold())
        && same(ed25519.participants(), ed25519.threshold())
        && on_chain.is_ok_and(|k| k == view.keys.secp256k1)
        && off_chain == Some(view.keys.ed25519)
}
