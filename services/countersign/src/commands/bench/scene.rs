//! A log of one tenant with an installed plugin that proposes payouts, and everyone's keys. Keys are fresh in each run.

use domain::{
    AccountId, Address, Amount, AssetId, AssetKind, Bps, ChainId, Cid, Did, Digest, EscrowDomain, LineItem, MAX_AMOUNT,
    Payout, Split, Time,
};
use keyfile::Identity;
use ledger::{Asset, Statement, args};
use rand_core::{OsRng, RngCore as _};
use serde::Serialize;
use std::{
    num::NonZero,
    sync::atomic::{AtomicU64, Ordering},
    thread,
};
use ucan::{
    Delegation, Invocation, Ipld, Verified,
    container::{self, Encoding},
    issue::{NewDelegation, NewInvocation, delegate, invoke},
};

const CHAIN: ChainId = ChainId(31_337);
const PAYOUT: &str = "/proposal/payout";
/// Invocations may live 15 minutes; half a minute is for clocks.
const LIFETIME: u64 = 870;
/// One payout may move this much, in minor units; more is denied.
const MAX_PER_PAYOUT: u64 = 1_000_000_000_000;
/// The default policy reviews payouts above 10⁹ minor units.
const REVIEWED: u64 = 1_000_000_001;
const YEAR: u64 = 365 * 86_400;

/// What becomes of a proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Policy allows it.
    Allowed,
    /// Policy wants people to look at it.
    Reviewed,
    /// Policy denies it.
    Denied,
}

/// Who is in the log, and how many tokens were made.
pub struct Scene {
    /// The root of the log.
    pub operator: Identity,
    /// The control plane's key.
    pub sequencer: Identity,
    /// The control plane's second key.
    pub issuer: Identity,
    tenant: Identity,
    installation: Identity,
    root: Verified<Delegation>,
    run: u64,
    nonces: AtomicU64,
}

/// A signed invocation with its chain.
#[derive(Clone, Debug)]
pub struct Said {
    /// The invocation.
    pub invocation: Verified<Invocation>,
    /// The delegations that it names, root first.
    pub proofs: Vec<Verified<Delegation>>,
}

impl Said {
    /// As it is sent: a raw container with the whole chain.
    pub fn container(&self) -> anyhow::Result<Vec<u8>> {
        let proofs = self.proofs.iter().map(|p| p.bytes());
        let tokens: Vec<&[u8]> = std::iter::once(self.invocation.bytes()).chain(proofs).collect();
        Ok(container::encode(Encoding::Raw, &tokens)?)
    }

    /// As the ledger takes it.
    pub fn statement(self) -> anyhow::Result<Statement> {
        Ok(Statement::parse(self.invocation, self.proofs)?)
    }
}

fn asset() -> AssetId {
    AssetId { chain: CHAIN, kind: AssetKind::Erc20(Address([0x11; 20])) }
}

const fn account(n: u8) -> AccountId {
    AccountId { chain: CHAIN, address: Address([n; 20]) }
}

impl Scene {
    /// A scene with fresh keys.
    pub fn new() -> anyhow::Result<Self> {
        let [operator, sequencer, issuer, tenant, installation] = [(); 5].map(|()| Identity::generate(&mut OsRng));
        let mut new = NewDelegation::new(issuer.did(), tenant.did(), "/proposal".parse()?, *b"the tenant's root");
        new.expiration = None;
        let root = delegate(tenant.key(), new)?;
        let (run, nonces) = (OsRng.next_u64(), AtomicU64::new(0));
        Ok(Self { operator, sequencer, issuer, tenant, installation, root, run, nonces })
    }

    fn nonce(&self) -> Vec<u8> {
        let count = self.nonces.fetch_add(1, Ordering::Relaxed);
        [self.run.to_be_bytes(), count.to_be_bytes()].concat()
    }

    fn say(
        &self,
        (by, subject): (&Identity, Did),
        command: &str,
        args: &impl Serialize,
        proofs: Vec<Verified<Delegation>>,
        at: Time,
    ) -> anyhow::Result<Said> {
        let mut new = NewInvocation::new(subject, command.parse()?, self.nonce());
        new.audience = Some(self.sequencer.did());
        let Ipld::Map(args) = ipld_core::serde::to_ipld(args)? else { anyhow::bail!("args are a map") };
        new.args = args;
        new.proofs = proofs.iter().map(|p| p.cid()).collect();
        new.expiration = Some(at.plus(LIFETIME));
        Ok(Said { invocation: invoke(by.key(), new)?, proofs })
    }

    /// A statement of somebody in a realm of its own.
    fn own(&self, by: &Identity, command: &str, args: &impl Serialize, at: Time) -> anyhow::Result<Said> {
        self.say((by, by.did()), command, args, Vec::new(), at)
    }

    /// Everything up to where the installation can propose.
    pub fn setup(&self, at: Time) -> anyhow::Result<Vec<Said>> {
        let (operator, tenant) = (&self.operator, &self.tenant);
        let register = args::Register { publisher: operator.did(), name: "Bench".parse()? };
        let verify = |n| {
            let valid_until = at.plus(YEAR);
            let args = args::Verify { account: account(n), kyc_level: 3, sanctioned: false, valid_until };
            self.own(tenant, "/recipient/verify", &args, at)
        };
        Ok(vec![
            self.own(operator, "/log/genesis", &self.genesis()?, at)?,
            self.own(operator, "/tenant/create", &self.create()?, at)?,
            self.own(operator, "/publisher/register", &register, at)?,
            self.own(operator, "/plugin/publish", &publish()?, at)?,
            self.own(tenant, "/installation/grant", &self.grant(at)?, at)?,
            verify(1)?,
            verify(2)?,
            self.own(tenant, "/order/open", &order()?, at)?,
        ])
    }

    fn genesis(&self) -> anyhow::Result<args::Genesis> {
        Ok(args::Genesis {
            origin: "bench.localhost/log".parse()?,
            sequencer: self.sequencer.did(),
            issuer: self.issuer.did(),
            ledger: 1,
            clock_tolerance: 30,
            lift_admins: 1,
        })
    }

    fn create(&self) -> anyhow::Result<args::Create> {
        Ok(args::Create {
            tenant: self.tenant.did(),
            name: "Bench Market".parse()?,
            assets: vec![Asset { asset: asset(), symbol: "USDC".parse()?, decimals: 6, scale: 0.try_into()? }],
            escrow: EscrowDomain { chain: CHAIN, contract: Address([0xee; 20]) },
            confirmations: 1,
            lift_admins: 1,
            delegation: Ipld::Bytes(self.root.bytes().to_vec()),
        })
    }

    fn grant(&self, at: Time) -> anyhow::Result<args::Grant> {
        let (max_per_payout, daily_total) = (Amount::new(MAX_PER_PAYOUT)?, Amount::new(MAX_AMOUNT)?);
        Ok(args::Grant {
            installation: self.installation.did(),
            plugin: "com.example.payouts".parse()?,
            version: "1.0.0".parse()?,
            capabilities: vec![PAYOUT.to_owned()],
            limits: vec![args::GrantLimit { asset: asset(), max_per_payout, daily_total }],
            expires_at: at.plus(YEAR),
        })
    }

    /// The chain of proposals made within some minutes of `at`: tenant → issuer → installation.
    pub fn chain(&self, at: Time) -> anyhow::Result<Vec<Verified<Delegation>>> {
        let (to, subject) = (self.installation.did(), self.tenant.did());
        let mut new = NewDelegation::new(to, subject, PAYOUT.parse()?, self.nonce());
        new.expiration = Some(at.plus(900));
        Ok(vec![self.root.clone(), delegate(self.issuer.key(), new)?])
    }

    /// A chain with one link more, as when a tenant's root delegates to a person first.
    pub fn longer_chain(&self, at: Time) -> anyhow::Result<Vec<Verified<Delegation>>> {
        let link = |from: &Identity, to: &Identity, command: &str| {
            let mut new = NewDelegation::new(to.did(), self.tenant.did(), command.parse()?, self.nonce());
            new.expiration = Some(at.plus(900));
            anyhow::Ok(delegate(from.key(), new)?)
        };
        Ok(vec![
            link(&self.tenant, &self.operator, "/proposal")?,
            link(&self.operator, &self.issuer, "/proposal")?,
            link(&self.issuer, &self.installation, PAYOUT)?,
        ])
    }

    /// A proposal of the installation, unlike every other.
    pub fn propose(&self, chain: &[Verified<Delegation>], fate: Fate, at: Time) -> anyhow::Result<Said> {
        let total = Amount::new(match fate {
            Fate::Allowed => 120_000,
            Fate::Reviewed => REVIEWED,
            Fate::Denied => MAX_PER_PAYOUT.saturating_add(1),
        })?;
        let split = |n, bps| anyhow::Ok(Split { recipient: account(n), bps: Bps::new(bps)? });
        let payout = Payout {
            order: "order-1".parse()?,
            asset: asset(),
            total,
            splits: vec![split(1, 9_000)?, split(2, 1_000)?],
            line_items: vec![LineItem { description: "Goods".parse()?, amount: total }],
            valid_until: at.plus(3_600),
        };
        self.say((&self.installation, self.tenant.did()), PAYOUT, &payout, chain.to_vec(), at)
    }

    /// The tenant withdraws a proposal.
    pub fn cancel(&self, proposal: Cid, at: Time) -> anyhow::Result<Said> {
        let args = args::Cancel { proposal, reason: "measured".parse()? };
        self.own(&self.tenant, "/proposal/cancel", &args, at)
    }
}

fn publish() -> anyhow::Result<args::Publish> {
    Ok(args::Publish {
        plugin: "com.example.payouts".parse()?,
        version: "1.0.0".parse()?,
        description: "Pays sellers".parse()?,
        capabilities: vec![PAYOUT.to_owned()],
        entry_point: "main".parse()?,
        code: Digest::sha256(b"code"),
    })
}

fn order() -> anyhow::Result<args::Open> {
    Ok(args::Open {
        order: "order-1".parse()?,
        buyer: account(0xbb),
        asset: asset(),
        amount: Amount::new(MAX_AMOUNT)?,
        royalties: Vec::new(),
    })
}

/// Makes `count` things on every core, in order.
pub fn on_every_core<T: Send>(
    count: usize,
    make: impl Fn(usize) -> anyhow::Result<T> + Sync,
) -> anyhow::Result<Vec<T>> {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let share = count.div_ceil(cores).max(1);
    thread::scope(|scope| {
        let make = &make;
        let starts = (0..count).step_by(share);
        let workers: Vec<_> = starts
            .map(|start| {
                let end = start.saturating_add(share).min(count);
                scope.spawn(move || (start..end).map(make).collect::<anyhow::Result<Vec<T>>>())
            })
            .collect();
        let mut all = Vec::with_capacity(count);
        for worker in workers {
            all.extend(worker.join().map_err(|_| anyhow::anyhow!("a worker failed"))??);
        }
        Ok(all)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledger::Status;
    use policy::Effect;
    use replica::Replica;

    #[test]
    fn the_scene_gives_every_proposal_its_fate() {
        let (scene, at) = (Scene::new().unwrap(), Time::from_unix(1_800_000_000));
        let mut replica = Replica::new(scene.operator.did());
        for said in scene.setup(at).unwrap() {
            replica.admit(&said.statement().unwrap(), at).unwrap();
        }
        let chain = scene.chain(at).unwrap();
        let fates = [(Fate::Allowed, Effect::Allow), (Fate::Reviewed, Effect::Review), (Fate::Denied, Effect::Deny)];
        for (fate, effect) in fates {
            let said = scene.propose(&chain, fate, at).unwrap();
            let admitted = replica.admit(&said.statement().unwrap(), at).unwrap();
            assert_eq!(admitted.outcome.decision().unwrap().effect, effect);
        }
        let reviewed = scene.propose(&chain, Fate::Reviewed, at).unwrap().statement().unwrap();
        replica.admit(&reviewed, at).unwrap();
        let cancel = scene.cancel(reviewed.cid(), at).unwrap().statement().unwrap();
        let changes = replica.admit(&cancel, at).unwrap().changes;
        assert!(changes.contains(&ledger::Change::Status(reviewed.cid(), Status::Cancelled)));
    }

    #[test]
    fn work_on_every_core_keeps_its_order() {
        assert_eq!(on_every_core(7, Ok).unwrap(), [0, 1, 2, 3, 4, 5, 6]);
        assert!(on_every_core(0, Ok).unwrap().is_empty());
        assert!(on_every_core(3, |i| if i == 2 { anyhow::bail!("no") } else { Ok(i) }).is_err());
    }
}
