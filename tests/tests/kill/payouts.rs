//! A client that submits payouts and remembers what it was told.

use crate::system::{System, within};
use client::{Ambient, ControlPlane, Delegations, ReadAccess, Speaker};
use domain::{AccountId, Address, Amount, AssetId, AssetKind, Bps, Cid, LineItem, Payout, Split};
use keyfile::{Identity, Passphrase};
use messages::ProposalStatus;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

/// One test dollar in minor units; its shares are whole.
pub const DOLLAR: u64 = 1_000_000;
/// Above what the installation may pay at once.
const TOO_MUCH: u64 = 3_000 * DOLLAR;
/// Who gets which part of every payout; carol's is the order's royalty.
pub const SHARES: [(&str, u16); 3] = [("alice", 7_000), ("bob", 2_500), ("carol", 500)];
const COMMAND: &str = "/proposal/payout";
/// Longer than a storm: the control plane may be killed whenever it has come back.
const PATIENCE: Duration = Duration::from_mins(2);

/// What a payout was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    pub seq: u64,
    pub status: ProposalStatus,
}

/// The plugin, with what it was told.
#[derive(Clone)]
pub struct Client {
    plane: ControlPlane,
    reader: ControlPlane,
    speaker: Speaker,
    system: Arc<crate::system::Record>,
    acknowledged: Arc<Mutex<BTreeMap<Cid, Acknowledged>>>,
}

#[derive(serde::Serialize)]
struct TokenArgs {
    tenant: domain::Did,
}

impl Client {
    pub async fn new(system: &System) -> Self {
        let record = &system.record;
        let passphrase = Passphrase::read(&system.folder().join("passphrase")).unwrap();
        let open = |name: &str| {
            let path = system.folder().join(format!("keys/{name}.key"));
            Identity::open(&path, &passphrase).unwrap()
        };
        let (url, sequencer) = (record.control_plane.url.clone(), record.control_plane.sequencer);
        let plane = ControlPlane::new(url.clone(), None).unwrap();
        let operator = Speaker::new(open("operator"), Delegations::default(), sequencer, Ambient::system());
        let access = ReadAccess::new(operator, record.operator, "/read".parse().unwrap());
        let reader = ControlPlane::new(url, Some(access)).unwrap();

        let plugin = Speaker::new(open("plugin"), Delegations::default(), sequencer, Ambient::system());
        let installation = record.plugin.installation;
        let request = plugin.say("/installation/token", installation, &TokenArgs { tenant: record.tenant }).unwrap();
        let token = plane.token(&installation, &request.container).await.unwrap();
        let mut delegations = Delegations::default();
        delegations.add_container(token.container.as_bytes()).unwrap();
        let speaker = Speaker::new(plugin.identity().clone(), delegations, sequencer, Ambient::system());
        Self { plane, reader, speaker, system: Arc::new(record.clone()), acknowledged: Arc::default() }
    }

    /// Reads as the operator.
    pub const fn reader(&self) -> &ControlPlane {
        &self.reader
    }

    /// Everything that was acknowledged so far.
    pub fn acknowledged(&self) -> BTreeMap<Cid, Acknowledged> {
        self.acknowledged.lock().unwrap().clone()
    }

    /// Submits a payout of a dollar until it is acknowledged.
    pub async fn pay(&self) -> (Cid, Acknowledged) {
        let (id, told) = self.submit(DOLLAR).await;
        assert_eq!(told.status, ProposalStatus::Approved);
        (id, told)
    }

    /// Submits a payout that policy denies until it is acknowledged.
    pub async fn ask_too_much(&self) {
        assert_eq!(self.submit(TOO_MUCH).await.1.status, ProposalStatus::Denied);
    }

    async fn submit(&self, total: u64) -> (Cid, Acknowledged) {
        let said = self.speaker.say(COMMAND, self.system.tenant, &self.payout(total)).unwrap();
        let answer = within(PATIENCE, async || match self.plane.submit_proposal(&said.container).await {
            Ok(reply) => Some(reply),
            // Whether the lost answer was yes is not known: the same bytes again are the same payout.
            Err(error) if error.is_retryable() => None,
            Err(error) => panic!("{error:?}"),
        });
        let reply = answer.await.expect("the control plane comes back");
        assert_eq!(reply.id, said.id);
        let told = Acknowledged { seq: reply.seq, status: reply.status.unwrap() };
        self.acknowledged.lock().unwrap().insert(reply.id, told);
        (reply.id, told)
    }

    fn payout(&self, total: u64) -> Payout {
        let chain = self.system.chain.id;
        let split = |(name, bps): (&str, u16)| Split { recipient: self.account(name), bps: Bps::new(bps).unwrap() };
        let amount = Amount::new(total).unwrap();
        Payout {
            order: "order-2".parse().unwrap(),
            asset: AssetId { chain, kind: AssetKind::Erc20(self.system.chain.token) },
            total: amount,
            splits: SHARES.map(split).to_vec(),
            line_items: vec![LineItem { description: "Goods".parse().unwrap(), amount }],
            valid_until: Ambient::system().now().plus(3_600),
        }
    }

    fn account(&self, name: &str) -> AccountId {
        self.system.recipients[name]
    }

    /// A recipient's address.
    pub fn address(&self, name: &str) -> Address {
        self.account(name).address
    }
}
