use crate::{Approvals, Freshness, Hold, State, Tenant};
use domain::{Address, AdministrationAuthorisation, AssetId, ContractMeasure, Did, Digest, Reason, Time, Total};
use imbl::OrdMap;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// For how many seconds after its end a change of an escrow contract still occupies its nonce: a chain whose clock lags
/// may execute it until then, so nothing else is signed under the nonce.
pub const CHAIN_LAG: u64 = 600;
/// Whatever the genesis says of lifting freezes: no one person widens what the quorum may pay.
const MIN_ADMINS: u8 = 2;
/// The contract keeps caps in 112 bits.
const MAX_CAP: u128 = (1 << 112) - 1;

/// A change of a tenant's escrow contract that only the quorum's signature makes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Measure {
    /// Lifts the contract's freeze.
    Thaw {
        /// Who may freeze the contract from then on.
        guardian: Address,
    },
    /// Changes an asset's daily cap.
    SetCap {
        /// An asset of the tenant's table.
        asset: AssetId,
        /// The most that the contract pays out in one UTC day, in minor units; zero stops the asset.
        cap: Total,
    },
}

impl Measure {
    /// The measure in the contract's terms; `None` when the tenant does not deal in the asset or the contract cannot
    /// hold the cap.
    pub(crate) fn to_contract(&self, tenant: &Tenant) -> Option<ContractMeasure> {
        match self {
            Self::Thaw { guardian } => Some(ContractMeasure::Thaw { guardian: *guardian }),
            Self::SetCap { asset, cap } => {
                let cap = cap.to_chain(tenant.assets.get(asset)?.scale);
                (cap.get() <= MAX_CAP).then_some(ContractMeasure::SetCap { asset: asset.address(), cap })
            }
        }
    }
}

/// A measure that admins have asked for, under one nonce of one contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Administration {
    /// Whose escrow contract changes.
    pub tenant: Did,
    /// What changes.
    pub measure: Measure,
    /// The contract's `nonce()` at execution.
    pub nonce: u64,
    /// The contract refuses it after this moment.
    pub valid_until: Time,
    /// Why, in the words of who asked first.
    pub reason: Reason,
    /// Who asked first: the root-delegated person.
    pub by: Did,
    /// The place of the newest statement about it.
    pub updated: u64,
    /// Everyone who asked for it.
    pub approvals: Approvals,
    /// When enough had asked. From then until it has ended nothing else is approved under its nonce.
    pub approved_at: Option<Time>,
}

impl Administration {
    /// Whether it belongs to this nonce of this tenant's contract.
    pub(crate) fn is_under(&self, tenant: Did, nonce: u64) -> bool {
        self.tenant == tenant && self.nonce == nonce
    }
}

/// Measures that have not ended, by the digest of what they say.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(transparent)]
pub struct Administrations(OrdMap<Digest, Arc<Administration>>);

impl Administrations {
    /// All of them, by id.
    pub fn iter(&self) -> impl Iterator<Item = (&Digest, &Administration)> {
        self.0.iter().map(|(id, a)| (id, a.as_ref()))
    }

    /// One by its id.
    pub fn get(&self, id: &Digest) -> Option<&Administration> {
        self.0.get(id).map(AsRef::as_ref)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn put(&mut self, id: Digest, administration: Administration) {
        self.0.insert(id, Arc::new(administration));
    }

    pub(crate) fn forget_ended(&mut self, at: Time) {
        let ended = |(_, a): &(&Digest, &Administration)| a.valid_until.plus(CHAIN_LAG) < at;
        let ended: Vec<Digest> = self.iter().filter(ended).map(|(id, _)| *id).collect();
        for id in ended {
            self.0.remove(&id);
        }
    }
}

/// Proof that the ledger allows the quorum to sign a change of an escrow contract, now. Only
/// [`State::administration_permit`] makes one, and it cannot be cloned: it is spent by signing.
#[derive(Debug)]
#[must_use]
pub struct AdministrationPermit {
    tenant: Did,
    authorisation: AdministrationAuthorisation,
}

impl AdministrationPermit {
    /// Whose contract changes.
    pub const fn tenant(&self) -> Did {
        self.tenant
    }

    /// What the quorum signs.
    pub const fn authorisation(&self) -> &AdministrationAuthorisation {
        &self.authorisation
    }
}

impl State {
    /// How many distinct admins of the operator make a change of an escrow contract: as many as lift a freeze of the
    /// operator's and at least two, since a change widens what the quorum may pay.
    pub fn administration_admins(&self) -> u8 {
        self.origin().map_or(MIN_ADMINS, |o| o.lift_admins.max(MIN_ADMINS))
    }

    /// Those who asked for it and at this moment still may: nothing that they asked by is revoked or has expired.
    pub fn standing_admins(&self, administration: &Administration, now: Time) -> impl Iterator<Item = Did> {
        let operator = self.operator();
        let standing =
            administration.approvals.iter().filter(move |(_, a)| self.is_standing(operator, &a.authority, now));
        standing.map(|(admin, _)| *admin)
    }

    /// Whether enough admins who at this moment still may have asked for it.
    pub fn is_administration_approved(&self, administration: &Administration, now: Time) -> bool {
        let enough = self.standing_admins(administration, now).count() >= usize::from(self.administration_admins());
        administration.approved_at.is_some() && enough
    }

    /// The gate before every signature that changes an escrow contract: everything is asked again, of this state and
    /// this moment. A freeze of the log or of the tenant holds it, a thaw of the contract too.
    pub fn administration_permit(&self, id: &Digest, now: Time, view: Freshness) -> Result<AdministrationPermit, Hold> {
        // A clock that lags the log must not make what has ended look alive.
        let now = now.max(self.at());
        if now.since(view.checkpoint) >= view.lease {
            return Err(Hold::StaleView);
        }
        let administration = self.administrations().get(id).ok_or(Hold::UnknownAdministration)?;
        if !self.is_administration_approved(administration, now) {
            return Err(Hold::InReview);
        }
        if self.freezes().covers_realm(self.operator(), administration.tenant) {
            return Err(Hold::Frozen);
        }
        if now >= administration.valid_until {
            return Err(Hold::Expired);
        }
        let authorisation = self.administration_authorisation(id).ok_or(Hold::NoQuorum)?;
        Ok(AdministrationPermit { tenant: administration.tenant, authorisation })
    }

    /// What the quorum would sign for a change. It says nothing about whether it may: see
    /// [`State::administration_permit`].
    pub fn administration_authorisation(&self, id: &Digest) -> Option<AdministrationAuthorisation> {
        let administration = self.administrations().get(id)?;
        let tenant = self.tenant(&administration.tenant)?;
        Some(AdministrationAuthorisation {
            domain: tenant.escrow,
            measure: administration.measure.to_contract(tenant)?,
            nonce: administration.nonce,
            valid_until: administration.valid_until,
            epoch: self.quorum()?.epoch,
        })
    }
}
