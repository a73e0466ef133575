use crate::{
    commands::propose::{self, PAYOUT},
    connection::Connection,
    dev::{Dev, chain::Chain, provision::order_with_funds, until},
};
use anyhow::{Context as _, bail, ensure};
use client::{ControlPlane, Statement};
use domain::{AccountId, Amount, Bps, Cid, Payout, Split};
use messages::{ProposalStatus, ProposalView, SubmitReply};
use std::{collections::BTreeMap, time::Duration};

/// From a decision to finality: a signature, a block, a block on top, attestations.
pub const PATIENCE: Duration = Duration::from_mins(2);
/// How long a payout may execute.
const VALIDITY: u64 = 3600;
/// One test dollar in minor units.
pub use crate::dev::provision::DOLLAR;

/// The running system, and what the story needs of it.
pub struct Scene {
    /// The processes.
    pub dev: Dev,
    /// The chain.
    pub chain: Chain,
    /// The control plane, as its operator reads it.
    pub plane: ControlPlane,
}

impl Scene {
    /// A scene on a running system.
    pub fn new(dev: Dev) -> anyhow::Result<Self> {
        let plane = dev.connect("operator").reader("/read")?;
        Ok(Self { chain: dev.chain()?, plane, dev })
    }

    /// A verified recipient.
    pub fn recipient(&self, name: &str) -> anyhow::Result<AccountId> {
        self.dev.record().recipients.get(name).copied().with_context(|| format!("{name} is a recipient"))
    }

    /// A payout of an order among accounts.
    pub fn payout_to(&self, order: &str, units: u64, shares: &[(AccountId, u16)]) -> anyhow::Result<Payout> {
        let split = |(recipient, bps): &(AccountId, u16)| Ok(Split { recipient: *recipient, bps: Bps::new(*bps)? });
        Ok(Payout {
            order: order.parse()?,
            asset: self.dev.record().usdc()?,
            total: Amount::new(units)?,
            splits: shares.iter().map(split).collect::<anyhow::Result<_>>()?,
            line_items: Vec::new(),
            valid_until: client::Ambient::system().now().plus(VALIDITY),
        })
    }

    /// A payout of an order: 70 % to alice, 25 % to bob, and carol's royalty.
    pub fn payout(&self, order: &str, units: u64) -> anyhow::Result<Payout> {
        let shares = [("alice", 7_000), ("bob", 2_500), ("carol", 500)];
        let shares = shares.iter().map(|(name, bps)| Ok((self.recipient(name)?, *bps)));
        self.payout_to(order, units, &shares.collect::<anyhow::Result<Vec<_>>>()?)
    }

    /// Proposes as the plugin.
    pub async fn propose(&self, payout: &Payout) -> anyhow::Result<(Statement, SubmitReply)> {
        self.propose_as(&self.dev.connect("plugin"), payout).await
    }

    /// Proposes over a connection.
    pub async fn propose_as(&self, who: &Connection, payout: &Payout) -> anyhow::Result<(Statement, SubmitReply)> {
        let said = propose::prepare(who, payout).await?;
        let reply = who.send(PAYOUT, &said).await?;
        Ok((said, reply))
    }

    /// Opens an order and puts its funds into escrow.
    pub async fn order(&mut self, order: &str, units: u64) -> anyhow::Result<()> {
        order_with_funds(&mut self.dev, &self.chain, order, units).await
    }

    /// Waits until a proposal has a status. One that can no longer get there is an error.
    pub async fn until(&self, id: &Cid, status: ProposalStatus) -> anyhow::Result<ProposalView> {
        let looked = until(PATIENCE, async || {
            let view = self.plane.proposal(id).await?;
            let over = matches!(
                view.status,
                ProposalStatus::Final | ProposalStatus::Void | ProposalStatus::Denied | ProposalStatus::Expired
            );
            if over && view.status != status {
                bail!("proposal {id} is {}", view.status.as_str());
            }
            Ok((view.status == status).then_some(view))
        });
        looked.await.with_context(|| format!("waiting for {id} to be {}", status.as_str()))
    }

    /// Pays an amount from an order and waits until it is final.
    pub async fn pay(&self, order: &str, units: u64) -> anyhow::Result<ProposalView> {
        let (said, reply) = self.propose(&self.payout(order, units)?).await?;
        ensure!(reply.status == Some(ProposalStatus::Approved), "it was not approved: {reply:?}");
        self.until(&said.id, ProposalStatus::Final).await
    }

    /// The recipients' token balances.
    pub async fn balances(&self) -> anyhow::Result<BTreeMap<String, u128>> {
        let token = self.dev.record().chain.token.context("the token is deployed")?;
        let mut all = BTreeMap::new();
        for (name, account) in &self.dev.record().recipients {
            all.insert(name.clone(), self.chain.token_balance(token, account.address).await?);
        }
        Ok(all)
    }

    /// What lies in escrow for an order.
    pub async fn in_escrow(&self, order: &str) -> anyhow::Result<u128> {
        let contract = self.dev.record().chain.escrow.context("the contract is deployed")?;
        self.chain.order_balance(contract, order, self.dev.record().usdc()?.address()).await
    }
}

/// The reason codes of a denial; anything but a denial is an error.
pub fn denied(reply: &SubmitReply) -> anyhow::Result<Vec<String>> {
    ensure!(reply.status == Some(ProposalStatus::Denied), "it should have been denied: {reply:?}");
    let decision = reply.decision.as_ref().context("a denial has a decision")?;
    Ok(decision.violations.iter().map(|v| v.code.clone()).collect())
}

/// The message of the reason with this code.
pub fn reason(reply: &SubmitReply, code: &str) -> anyhow::Result<String> {
    let codes = denied(reply)?;
    let violations = reply.decision.as_ref().map(|d| d.violations.as_slice()).unwrap_or_default();
    let found = violations.iter().find(|v| v.code == code);
    found.map(|v| format!("{}: {}", v.code, v.msg)).with_context(|| format!("{code} is not among {codes:?}"))
}

/// Minor units as people write dollars.
pub fn dollars(units: u64) -> String {
    let (whole, rest) = (units.div_euclid(DOLLAR), units.rem_euclid(DOLLAR).div_euclid(10_000));
    format!("{whole}.{rest:02} USDC")
}
