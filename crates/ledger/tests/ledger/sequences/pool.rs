//! Everything that is said in the sequences, signed once: signatures are what costs.

use super::model::{APPROVALS, Ask, Counted, GRANTS, Key, ORDERS, REVIEW_ABOVE, SESSIONS, Said, Token, asks};
use crate::stage::{nodes, quorum, reason};
use countersign_ledger::{
    Asset, Participant, Scope, State, Statement, Verdict, Window,
    args::{self, GrantLimit},
};
use countersign_tests::{Person, World, activation, asset, recipient};
use domain::{Address, AssetId, AssetKind, Cid, Digest, OrderId, Payout, Time};
use serde::Serialize;
use std::{cell::RefCell, collections::BTreeMap, rc::Rc};
use ucan::{Delegation, Verified};

const PAYOUT: &str = "/proposal/payout";
const CANCEL: &str = "/proposal/cancel";
/// As long as invocations may live.
const LIFETIME: u64 = 900;
/// Long after the last session: daily windows of the sessions are no longer kept.
pub const AFTERWARDS: Time = SESSIONS[1].plus(5 * 86_400);

/// Says what the built-in rules say of amounts and reviews, and nothing of limits: those are the ledger's own.
const LAX: &str = r#"package payout

import rego.v1

default effect := "deny"

effect := "allow" if input.total <= 30

effect := "review" if input.total > 30

default approvals := 0

approvals := 2 if effect == "review"

violation contains {"code": "frozen", "msg": "never"} if input.total < 0
"#;

pub struct Pool {
    worlds: Vec<World>,
    /// Where sequences begin: under rules that check everything and under rules that check nothing.
    pub starts: [State; 2],
    pub seq: u64,
    pub asks: Vec<Ask>,
    pub ids: Vec<Cid>,
    pub windows: Vec<(Counted, Window)>,
    installations: [Person; 2],
    agents: [Person; 2],
    nodes: Vec<Person>,
    signed: RefCell<BTreeMap<Token, Rc<Statement>>>,
    delegations: RefCell<BTreeMap<(domain::Did, String), Verified<Delegation>>>,
}

fn coins() -> [AssetId; 2] {
    [asset(), AssetId { kind: AssetKind::Erc20(Address([0x22; 20])), ..asset() }]
}

fn order(n: usize) -> OrderId {
    format!("order-{n}").parse().unwrap()
}

fn scope(pool: &Pool, n: usize) -> Scope {
    match n {
        0 => Scope::All,
        1 => Scope::Installation(pool.installations[0].did),
        _ => Scope::Plugin(pool.worlds[0].plugin()),
    }
}

/// The built-in rules with these sequences' thresholds.
fn strict() -> policy::Bundle {
    let bundle = policy::Bundle::default_payout();
    let mut data: serde_json::Value = serde_json::from_str(bundle.data()).unwrap();
    data["config"]["payout"]["approvals_required"] = APPROVALS.into();
    data["config"]["payout"]["review_above"]["*"] = REVIEW_ABOVE.into();
    policy::Bundle::new(bundle.modules().clone(), data.to_string()).unwrap()
}

fn lax() -> policy::Bundle {
    let modules = BTreeMap::from([("payout/payout.rego".to_owned(), LAX.to_owned())]);
    policy::Bundle::new(modules, "{}".to_owned()).unwrap()
}

fn windows(installations: &[Person; 2]) -> Vec<(Counted, Window)> {
    let mut all: Vec<(Counted, Window)> =
        (0..ORDERS.len()).map(|n| (Counted::Order(n), Window::Order { order: order(n) })).collect();
    for day in SESSIONS.iter().flat_map(|start| [start.day(), start.day() + 1]) {
        for (installation, person) in installations.iter().enumerate() {
            for (coin, asset) in coins().into_iter().enumerate() {
                let window = Window::Daily { installation: person.did, asset, day };
                all.push((Counted::Daily { installation, coin, day }, window));
            }
        }
    }
    all
}

impl Pool {
    pub fn new() -> Self {
        let worlds: Vec<World> = SESSIONS.into_iter().chain([AFTERWARDS]).map(World::new).collect();
        let installations = [worlds[0].installation.clone(), Person::named("installation-2")];
        let mut pool = Self {
            starts: std::array::from_fn(|_| State::new(worlds[0].operator.did)),
            seq: 0,
            asks: asks(),
            ids: Vec::new(),
            windows: windows(&installations),
            installations,
            agents: ["agent-1", "agent-2"].map(Person::named),
            nodes: nodes().into_iter().chain([Person::named("node-4")]).collect(),
            signed: RefCell::default(),
            delegations: RefCell::default(),
            worlds,
        };
        let setup = pool.setup();
        for (start, bundle) in [strict(), lax()].iter().enumerate() {
            let activate = pool.by(0, &pool.worlds[0].admin, "/policy/activate", &activation(bundle, "because"));
            let all: Vec<Statement> = setup.iter().cloned().chain([activate]).collect();
            for (statement, seq) in all.iter().zip(0..) {
                let step = pool.starts[start].step(statement, seq, SESSIONS[0]);
                pool.starts[start] = step.unwrap_or_else(|no| panic!("{}: {no}", statement.act().command())).state;
            }
            pool.seq = all.len() as u64;
        }
        let proposal = |(ask, a): (usize, &Ask)| {
            pool.statement(Token { session: a.session, copy: 0, said: Said::Propose { ask } }).cid()
        };
        pool.ids = pool.asks.iter().enumerate().map(proposal).collect();
        pool
    }

    pub fn tenant(&self) -> domain::Did {
        self.worlds[0].tenant.did
    }

    fn setup(&self) -> Vec<Statement> {
        let world = &self.worlds[0];
        let coin = |asset| Asset { asset, symbol: "COIN".parse().unwrap(), decimals: 6, scale: 0.try_into().unwrap() };
        let create = args::Create {
            assets: coins().map(coin).to_vec(),
            lift_admins: 1,
            ..crate::commands::create_with(world.tenant.did, 0xee, &world.tenant_to_issuer())
        };
        let mut all = vec![
            world.genesis().statement(),
            world.invoke(&world.operator, world.operator.did, "/tenant/create", &create, Vec::new()).statement(),
            world.register_publisher().statement(),
            world.publish_plugin().statement(),
            world.invoke(&world.operator, world.operator.did, "/quorum/set", &quorum(1), Vec::new()).statement(),
        ];
        let verify =
            |n| args::Verify { account: recipient(n), kyc_level: 3, sanctioned: false, valid_until: AFTERWARDS };
        all.extend((1..=2).map(|n| self.by(0, &world.provider, "/recipient/verify", &verify(n))));
        for (n, (amount, coin)) in ORDERS.into_iter().enumerate() {
            let open = args::Open {
                order: order(n),
                buyer: recipient(0xbb),
                asset: coins()[coin],
                amount: amount.try_into().unwrap(),
                royalties: Vec::new(),
            };
            all.push(self.by(0, &world.market, "/order/open", &open));
        }
        all.extend((0..2).map(|n| self.by(0, &world.admin, "/installation/grant", &self.grant(n, 0))));
        all
    }

    /// The statement of these bytes; made when it is first asked for.
    pub fn statement(&self, token: Token) -> Rc<Statement> {
        if let Some(statement) = self.signed.borrow().get(&token) {
            return statement.clone();
        }
        let statement = Rc::new(self.sign(token));
        self.signed.borrow_mut().insert(token, statement.clone());
        statement
    }

    /// An approval: it names what was decided, so that it cannot be made before.
    pub fn approval(&self, session: usize, ask: usize, person: usize, review: Digest) -> Statement {
        let give = args::Give { proposal: self.ids[ask], review };
        self.by(session, &self.worlds[0].approvers[person], "/approval/give", &give)
    }

    /// Something that changes no budget, so that the state sees the time.
    pub fn tick_afterwards(&self) -> Statement {
        let world = &self.worlds[SESSIONS.len()];
        world.verify_recipient(recipient(9)).statement()
    }

    /// What the tenant's root delegated that command for.
    fn by(&self, session: usize, person: &Person, command: &str, args: &impl Serialize) -> Statement {
        let world = &self.worlds[session];
        let fresh = || world.delegate(&world.tenant, person.did, world.tenant.did, command);
        let mut known = self.delegations.borrow_mut();
        let proof = known.entry((person.did, command.to_owned())).or_insert_with(fresh).clone();
        self.invoke(session, person, command, args, vec![proof])
    }

    fn invoke(
        &self,
        session: usize,
        person: &Person,
        command: &str,
        args: &impl Serialize,
        chain: Vec<Verified<Delegation>>,
    ) -> Statement {
        let world = &self.worlds[session];
        let longest = |new: &mut ucan::issue::NewInvocation| new.expiration = Some(world.now.plus(LIFETIME));
        world.invoke_with(person, world.tenant.did, command, args, chain, longest).statement()
    }

    /// tenant → control plane → installation.
    fn chain(&self, session: usize, installation: usize, command: &str) -> Vec<Verified<Delegation>> {
        let world = &self.worlds[session];
        let until = Some(world.now.plus(LIFETIME));
        let audience = self.installations[installation].did;
        let last = world.delegate_until(&world.issuer, audience, world.tenant.did, command, until);
        vec![world.tenant_to_issuer(), last]
    }

    fn grant(&self, installation: usize, limits: usize) -> args::Grant {
        let limit = |(coin, most, daily): &(usize, u64, u64)| GrantLimit {
            asset: coins()[*coin],
            max_per_payout: (*most).try_into().unwrap(),
            daily_total: (*daily).try_into().unwrap(),
        };
        args::Grant {
            installation: self.installations[installation].did,
            plugin: self.worlds[0].plugin(),
            version: "1.0.0".parse().unwrap(),
            capabilities: vec![PAYOUT.to_owned()],
            limits: GRANTS[installation][limits].iter().map(limit).collect(),
            expires_at: AFTERWARDS,
        }
    }

    fn proposal(&self, session: usize, ask: &Ask) -> Statement {
        let world = &self.worlds[session];
        let payout = Payout {
            order: order(ask.order),
            asset: coins()[ask.coin],
            valid_until: ask.valid_until,
            ..world.payout(ask.amount)
        };
        let installation = &self.installations[ask.installation];
        let mut chain = self.chain(session, ask.installation, PAYOUT);
        let Some(agent) = ask.agent.map(|n| &self.agents[n]) else {
            return self.invoke(session, installation, PAYOUT, &payout, chain);
        };
        chain.push(world.delegate(installation, agent.did, world.tenant.did, PAYOUT));
        self.invoke(session, agent, PAYOUT, &payout, chain)
    }

    fn key(&self, key: Key) -> domain::Did {
        match key {
            Key::Approver(n) => self.worlds[0].approvers[n].did,
            Key::Node(n) => self.nodes[n].did,
            Key::Agent(n) => self.agents[n].did,
            Key::Installation(n) => self.installations[n].did,
        }
    }

    fn sign(&self, token: Token) -> Statement {
        let (session, world) = (token.session, &self.worlds[token.session]);
        let admin = &world.admin;
        let approver = |n: usize| &self.worlds[0].approvers[n];
        let revoke = |revoke| {
            self.by(session, admin, "/ucan/revoke", &args::Revoke { revoke, path: Vec::new(), reason: reason() })
        };
        match token.said {
            Said::Propose { ask } => self.proposal(session, &self.asks[ask]),
            Said::Give { ask, person } => self.approval(session, ask, person, Digest::sha256(b"nothing")),
            Said::Withdraw { ask, person } => {
                let args = args::Withdraw { proposal: self.ids[ask] };
                self.by(session, approver(person), "/approval/withdraw", &args)
            }
            Said::Refuse { ask, person } => {
                let args = args::Refuse { proposal: self.ids[ask], reason: reason() };
                self.by(session, approver(person), "/approval/refuse", &args)
            }
            Said::Cancel { ask } => {
                let args = args::Cancel { proposal: self.ids[ask], reason: reason() };
                self.by(session, admin, CANCEL, &args)
            }
            Said::CancelByPlugin { ask, installation } => {
                let args = args::Cancel { proposal: self.ids[ask], reason: reason() };
                let chain = self.chain(session, installation, CANCEL);
                self.invoke(session, &self.installations[installation], CANCEL, &args, chain)
            }
            Said::Attest { ask, node, word } => {
                let transaction = (word.verdict == Verdict::Final).then(|| Digest::sha256(&[word.transaction]));
                let (proposal, verdict, block) = (self.ids[ask], word.verdict, word.block);
                let args = args::Attest { proposal, verdict, block, transaction };
                self.by(session, &self.nodes[node], "/execution/attest", &args)
            }
            Said::Grant { installation, limits } => {
                self.by(session, admin, "/installation/grant", &self.grant(installation, limits))
            }
            Said::Suspend { installation } => {
                let args = args::Suspend { installation: self.installations[installation].did, reason: reason() };
                self.by(session, admin, "/installation/suspend", &args)
            }
            Said::Resume { installation } => {
                let args = args::Resume { installation: self.installations[installation].did, reason: reason() };
                self.by(session, admin, "/installation/resume", &args)
            }
            Said::Remove { installation } => {
                let args = args::Remove { installation: self.installations[installation].did, reason: reason() };
                self.by(session, admin, "/installation/remove", &args)
            }
            Said::RevokeGrant { installation } => revoke(args::Revocation::Grant(self.installations[installation].did)),
            Said::RevokeKey(key) => revoke(args::Revocation::Key(self.key(key))),
            Said::Freeze(n) => {
                let args = args::Set { scope: scope(self, n), reason: reason() };
                self.by(session, admin, "/freeze/set", &args)
            }
            Said::Lift { scope: n, session: then, copy } => {
                let freeze = self.statement(Token { session: then, copy, said: Said::Freeze(n) }).cid();
                self.by(session, admin, "/freeze/lift", &args::Lift { scope: scope(self, n), freeze })
            }
            Said::Close { order: n } => {
                self.by(session, &world.market, "/order/close", &args::Close { order: order(n) })
            }
            Said::NextQuorum => {
                let mut next = quorum(2);
                next.0.participants.remove(0);
                let url = "http://127.0.0.1:7704".parse().unwrap();
                next.0.participants.push(Participant { id: 4, node: self.nodes[3].did, url });
                let root = &world.operator;
                world
                    .invoke_with(root, root.did, "/quorum/set", &next, Vec::new(), |new| {
                        new.expiration = Some(world.now.plus(LIFETIME));
                    })
                    .statement()
            }
            Said::Tick => {
                let args =
                    args::Verify { account: recipient(9), kyc_level: 3, sanctioned: false, valid_until: AFTERWARDS };
                self.by(session, &world.provider, "/recipient/verify", &args)
            }
        }
    }
}
