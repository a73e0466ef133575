use crate::{Approval, InstallationState, Phase, Proposal, State, Tenant};
use domain::{Cid, Did, Digest, PayoutAuthorisation, Time};

/// Proof that the ledger allows the quorum to sign a payout, now. Only [`State::permit`] makes one, and it cannot be
/// cloned: it is spent by signing.
#[derive(Debug)]
#[must_use]
pub struct Permit {
    proposal: Cid,
    authorisation: PayoutAuthorisation,
}

/// Why a signer must not sign, now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Hold {
    /// Not an open proposal: never proposed, denied, or settled.
    #[error("no open proposal has this id")]
    Unknown,
    /// Nobody has asked for this change of an escrow contract, or it has expired.
    #[error("no open administration has this id")]
    UnknownAdministration,
    /// People must approve it first.
    #[error("people must approve it first")]
    InReview,
    /// Withdrawn.
    #[error("the proposal was cancelled")]
    Cancelled,
    /// A freeze covers it.
    #[error("a freeze covers it")]
    Frozen,
    /// Its validity has ended.
    #[error("its validity has ended")]
    Expired,
    /// A delegation or key of its chain was revoked.
    #[error("a delegation or key of its chain was revoked")]
    Revoked,
    /// The installation was suspended or removed, or its grant has ended.
    #[error("the installation may not act any more")]
    InstallationInactive,
    /// A recipient is not verified any more, or sanctioned.
    #[error("a recipient is not verified any more")]
    Recipient,
    /// The view of the log is older than the lease allows.
    #[error("the view of the log is not fresh")]
    StaleView,
    /// There is no quorum.
    #[error("no quorum is active")]
    NoQuorum,
}

impl Hold {
    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unknown => "unknown_proposal",
            Self::UnknownAdministration => "unknown_administration",
            Self::InReview => "not_approved",
            Self::Cancelled => "cancelled",
            Self::Frozen => "frozen",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::InstallationInactive => "installation_inactive",
            Self::Recipient => "recipient",
            Self::StaleView => "stale_view",
            Self::NoQuorum => "no_key",
        }
    }
}

/// How fresh a replica's view of the log is.
#[derive(Clone, Copy, Debug)]
pub struct Freshness {
    /// The time of the newest checkpoint verified.
    pub checkpoint: Time,
    /// For how many seconds such a view is good.
    pub lease: u64,
}

impl Permit {
    /// The proposal that may be signed.
    pub const fn proposal(&self) -> Cid {
        self.proposal
    }

    /// What the quorum signs.
    pub const fn authorisation(&self) -> &PayoutAuthorisation {
        &self.authorisation
    }
}

impl State {
    /// The gate before every signature: everything is asked again, of this state and this moment.
    pub fn permit(&self, id: &Cid, now: Time, view: Freshness) -> Result<Permit, Hold> {
        // A clock that lags the log must not make what has ended look alive.
        let now = now.max(self.at());
        if now.since(view.checkpoint) >= view.lease {
            return Err(Hold::StaleView);
        }
        let proposal = self.proposal(id).ok_or(Hold::Unknown)?;
        let tenant = self.tenant(&proposal.tenant).ok_or(Hold::Unknown)?;
        check_phase(proposal, now)?;
        self.check_standing(proposal, tenant, now)?;
        let authorisation = self.authorisation(id).ok_or(Hold::NoQuorum)?;
        Ok(Permit { proposal: *id, authorisation })
    }

    /// What the quorum would sign for an open proposal. It says nothing about whether it may: see [`State::permit`].
    pub fn authorisation(&self, id: &Cid) -> Option<PayoutAuthorisation> {
        let proposal = self.proposal(id)?;
        let tenant = self.tenant(&proposal.tenant)?;
        let asset = tenant.assets.get(&proposal.payout.asset)?;
        let amounts = proposal.parts.iter().map(|p| domain::Amount::new(*p).map(|a| a.to_chain(asset.scale)));
        Some(PayoutAuthorisation {
            domain: tenant.escrow,
            intent: *id.digest(),
            installation: Digest::sha256(proposal.installation.to_string().as_bytes()),
            order: Digest::sha256(proposal.payout.order.as_str().as_bytes()),
            asset: asset.asset.address(),
            recipients: proposal.payout.splits.iter().map(|s| s.recipient.address).collect(),
            amounts: amounts.collect::<Result<_, _>>().ok()?,
            valid_until: proposal.payout.valid_until,
            epoch: self.quorum()?.epoch,
        })
    }

    /// The approvals of a proposal that count, by person: whoever has lost the right to approve since does not.
    pub fn standing_approvals<'a>(&'a self, proposal: &'a Proposal) -> impl Iterator<Item = (&'a Did, &'a Approval)> {
        proposal.approvals().iter().filter(|(_, a)| !self.is_revoked(proposal.tenant, &a.authority))
    }

    fn check_standing(&self, proposal: &Proposal, tenant: &Tenant, now: Time) -> Result<(), Hold> {
        let installation = tenant.installations.get(&proposal.installation).ok_or(Hold::InstallationInactive)?;
        if installation.grant != proposal.grant {
            return Err(Hold::InstallationInactive);
        }
        if self.freezes().covers(&self.target(proposal.tenant, proposal.installation, installation)) {
            return Err(Hold::Frozen);
        }
        if installation.state != InstallationState::Active || now >= installation.expires_at {
            return Err(Hold::InstallationInactive);
        }
        if self.is_revoked(proposal.tenant, &proposal.authority) {
            return Err(Hold::Revoked);
        }
        if self.standing_approvals(proposal).count() < usize::from(proposal.decision.approvals) {
            return Err(Hold::InReview);
        }
        let good = |a: &domain::AccountId| {
            tenant.recipients.get(a).is_some_and(|v| {
                let standing = !self.is_revoked(proposal.tenant, &v.authority);
                v.kyc_level > 0 && !v.sanctioned && now <= v.valid_until && standing
            })
        };
        if proposal.payout.splits.iter().all(|s| good(&s.recipient)) { Ok(()) } else { Err(Hold::Recipient) }
    }
}

fn check_phase(proposal: &Proposal, now: Time) -> Result<(), Hold> {
    match &proposal.phase {
        Phase::Review { .. } => return Err(Hold::InReview),
        Phase::Approved { execution, .. } if execution.cancelled => return Err(Hold::Cancelled),
        Phase::Approved { .. } => {}
    }
    if now >= proposal.payout.valid_until { Err(Hold::Expired) } else { Ok(()) }
}
