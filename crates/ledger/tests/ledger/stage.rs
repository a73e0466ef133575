//! A state that statements are tried on, with everybody that a statement needs.

use countersign_ledger::{self as ledger, Change, Changes, Outcome, Proposal, Refusal, State, Status, args};
use countersign_tests::{Person, Signed, World, activation};
use domain::{Cid, Did, Digest, Time};
use ipld_core::ipld::Ipld;
use ledger::{GroupKeys, GroupPackages, Participant, Quorum, Verdict};
use std::collections::BTreeMap;

/// Noon of a day, so that no test crosses midnight by accident.
pub const NOON: Time = Time::from_unix(20_833 * 86_400 + 43_200);
/// The most that one payout of the stage's installation may move.
pub const MAX_PER_PAYOUT: u64 = 1_000_000;
/// The most that it may move in a day.
pub const DAILY: u64 = 2_500_000;
/// Above this people must approve.
pub const REVIEW_ABOVE: u64 = 100_000;
/// How many must.
pub const APPROVALS: u8 = 2;
/// Below the threshold of review.
pub const SMALL: u64 = 50_000;
/// Above the threshold of review.
pub const LARGE: u64 = 500_000;

/// A world, and the log of it as a state.
pub struct Stage {
    pub world: World,
    pub state: State,
    pub seq: u64,
    pub at: Time,
    pub changes: Changes,
}

pub fn nodes() -> Vec<Person> {
    ["node-1", "node-2", "node-3"].map(Person::named).to_vec()
}

pub fn quorum(epoch: u64) -> args::SetQuorum {
    let participant = |(id, node): (u16, Person)| Participant {
        id,
        node: node.did,
        url: format!("http://127.0.0.1:770{id}").parse().unwrap(),
    };
    args::SetQuorum(Quorum {
        epoch,
        threshold: 2,
        participants: (1..).zip(nodes()).map(participant).collect(),
        keys: GroupKeys { secp256k1: format!("02{}", "ab".repeat(32)), ed25519: Person::named("quorum").did },
        packages: GroupPackages { secp256k1: "00".repeat(40), ed25519: "01".repeat(40) },
    })
}

/// The built-in rules with lower thresholds.
pub fn strict_policy() -> args::Activate {
    let bundle = policy::Bundle::default_payout();
    let mut data: serde_json::Value = serde_json::from_str(bundle.data()).unwrap();
    data["config"]["payout"]["approvals_required"] = APPROVALS.into();
    data["config"]["payout"]["review_above"]["*"] = REVIEW_ABOVE.into();
    activation(
        &policy::Bundle::new(bundle.modules().clone(), data.to_string()).unwrap(),
        "Two people from 1,000.00 on.",
    )
}

impl Stage {
    /// Nothing has been said yet.
    pub fn empty() -> Self {
        let world = World::new(NOON);
        let state = State::new(world.operator.did);
        Self { world, state, seq: 0, at: NOON, changes: Changes::new() }
    }

    /// Ready for proposals: a plugin is installed, a quorum set, a policy of two approvals active.
    pub fn ready() -> Self {
        let mut stage = Self::empty();
        for signed in stage.world.setup(MAX_PER_PAYOUT, DAILY) {
            stage.say(&signed);
        }
        stage.say(&stage.operator("/quorum/set", &quorum(1)));
        stage.say(&stage.world.by(&stage.world.admin, "/policy/activate", &strict_policy()));
        stage
    }

    /// By the operator's root itself.
    pub fn operator(&self, command: &str, args: &impl serde::Serialize) -> Signed {
        self.world.invoke(&self.world.operator, self.world.operator.did, command, args, Vec::new())
    }

    /// By the tenant's admin.
    pub fn admin(&self, command: &str, args: &impl serde::Serialize) -> Signed {
        self.world.by(&self.world.admin, command, args)
    }

    /// What the ledger says to it, now; nothing changes.
    pub fn consider(&self, signed: &Signed) -> Result<Outcome, Refusal> {
        self.state.step(&signed.statement(), self.seq, self.at).map(|step| step.outcome)
    }

    /// Takes effect, or fails the test.
    pub fn say(&mut self, signed: &Signed) -> Outcome {
        let command = signed.invocation.command().to_string();
        let step = self
            .state
            .step(&signed.statement(), self.seq, self.at)
            .unwrap_or_else(|refusal| panic!("{command} is refused: {refusal}"));
        self.state = step.state;
        self.changes = step.changes;
        self.seq += 1;
        step.outcome
    }

    /// Why it is refused; fails the test when it is not.
    pub fn refusal(&self, signed: &Signed) -> Refusal {
        let command = signed.invocation.command().to_string();
        self.consider(signed).err().unwrap_or_else(|| panic!("{command} is accepted"))
    }

    /// The refusal as people read it.
    pub fn why_not(&self, signed: &Signed) -> String {
        self.refusal(signed).to_string()
    }

    /// Proposes, and gives the proposal's id.
    pub fn propose(&mut self, total: u64) -> Cid {
        let signed = self.world.propose(total);
        self.say(&signed);
        signed.cid()
    }

    /// An approved proposal.
    pub fn approved(&mut self) -> Cid {
        let id = self.propose(SMALL);
        assert_eq!(self.status(), Some(Status::Approved));
        id
    }

    /// A proposal in review.
    pub fn in_review(&mut self) -> Cid {
        let id = self.propose(LARGE);
        assert_eq!(self.status(), Some(Status::Review));
        id
    }

    /// What the last statement made of a proposal.
    pub fn status(&self) -> Option<Status> {
        self.changes.iter().rev().find_map(|c| match c {
            Change::Status(_, status) => Some(*status),
            Change::Mention(_) => None,
        })
    }

    pub fn proposal(&self, id: &Cid) -> &Proposal {
        self.state.proposal(id).expect("an open proposal")
    }

    pub fn review(&self, id: &Cid) -> Digest {
        self.proposal(id).review
    }

    /// `/approval/give` of what is there to be seen.
    pub fn approval(&self, person: &Person, id: &Cid) -> Signed {
        self.world.approve(person, *id, self.review(id))
    }

    /// `/execution/attest` by a signer.
    pub fn attestation(&self, node: &Person, proposal: Cid, verdict: Verdict) -> Signed {
        let transaction = (verdict == Verdict::Final).then(|| Digest::sha256(b"transaction"));
        let args = args::Attest { proposal, verdict, block: 100, transaction };
        self.world.by(node, "/execution/attest", &args)
    }

    /// `/proposal/cancel` by the admin.
    pub fn cancel(&self, proposal: Cid) -> Signed {
        self.admin("/proposal/cancel", &args::Cancel { proposal, reason: reason() })
    }

    /// What is reserved and spent today, and of the order.
    pub fn budgets(&self) -> [(u64, u64); 2] {
        let budgets = &self.state.tenant(&self.world.tenant.did).unwrap().budgets;
        let daily = ledger::Window::Daily {
            installation: self.world.installation.did,
            asset: countersign_tests::asset(),
            day: NOON.day(),
        };
        let order = ledger::Window::Order { order: "order-1".parse().unwrap() };
        [daily, order].map(|w| budgets.get(&w)).map(|b| (b.reserved.get(), b.spent.get()))
    }

    /// Later; the world's people sign with this time too.
    pub fn wait(&mut self, seconds: u64) {
        self.at = self.at.plus(seconds);
        self.world.now = self.at;
    }

    /// Any statement, to let the state see the time.
    pub fn tick(&mut self) {
        let account = countersign_tests::recipient(9);
        let signed = self.world.verify_recipient(account);
        self.say(&signed);
    }
}

pub fn reason() -> domain::Reason {
    "because".parse().unwrap()
}

/// Args as a map, to be spoiled.
pub fn map(args: &impl serde::Serialize) -> BTreeMap<String, Ipld> {
    match ipld_core::serde::to_ipld(args) {
        Ok(Ipld::Map(map)) => map,
        other => panic!("args are a map, not {other:?}"),
    }
}

pub fn stranger() -> Person {
    Person::named("stranger")
}

/// The subject that is nobody's realm.
pub fn nobody() -> Did {
    Person::named("nobody").did
}
