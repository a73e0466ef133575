//! A log that was really admitted, with the tokens that each entry introduced.

use countersign_replica::{Divergence, Replica, read_statement};
use countersign_tests::{Person, Signed, World, activation};
use domain::{Cid, Time};
use ledger::{GroupKeys, GroupPackages, Participant, Quorum, args};
use std::collections::BTreeMap;
use ucan::{Delegation, Verified};

/// Five minutes to midnight: random logs cross into another day.
pub const EVENING: Time = Time::from_unix(20_833 * 86_400 - 300);

/// An entry with its tokens, the statement first.
#[derive(Clone, Debug)]
pub struct Line {
    pub entry: Vec<u8>,
    pub tokens: Vec<Vec<u8>>,
}

pub type Known = BTreeMap<Cid, Verified<Delegation>>;

/// A sequencer's replica and all that it has written.
#[derive(Clone)]
pub struct History {
    pub replica: Replica,
    pub known: Known,
    pub lines: Vec<Line>,
}

impl History {
    pub fn new(world: &World) -> Self {
        Self { replica: Replica::new(world.operator.did), known: Known::new(), lines: Vec::new() }
    }

    /// Admits it when the ledger does; says whether.
    pub fn try_admit(&mut self, signed: &Signed, at: Time) -> bool {
        let Ok(admitted) = self.replica.admit(&signed.statement(), at) else { return false };
        let mut tokens = vec![signed.invocation.bytes().to_vec()];
        for proof in &signed.proofs {
            if self.known.insert(proof.cid(), proof.clone()).is_none() {
                tokens.push(proof.bytes().to_vec());
            }
        }
        self.lines.push(Line { entry: admitted.entry, tokens });
        true
    }

    pub fn admit(&mut self, signed: &Signed, at: Time) {
        let command = signed.invocation.command().to_string();
        assert!(self.try_admit(signed, at), "{command} is refused");
    }
}

/// Follows one line as a signer does.
pub fn follow(replica: &mut Replica, known: &mut Known, line: &Line) -> Result<(), Divergence> {
    let stmt = log::Entry::decode(&line.entry).map_or_else(|_| Cid::of(b""), |e| e.stmt);
    let seq = replica.next_seq();
    let (statement, introduced) = read_statement(seq, &stmt, &line.tokens, &|cid| known.get(cid).cloned())?;
    replica.follow(&line.entry, &statement)?;
    known.extend(introduced.into_iter().map(|d| (d.cid(), d)));
    Ok(())
}

pub fn nodes() -> Vec<Person> {
    ["node-1", "node-2", "node-3"].map(Person::named).to_vec()
}

fn quorum() -> args::SetQuorum {
    let participant = |(id, node): (u16, Person)| Participant {
        id,
        node: node.did,
        url: format!("http://127.0.0.1:770{id}").parse().unwrap(),
    };
    args::SetQuorum(Quorum {
        epoch: 1,
        threshold: 2,
        participants: (1..).zip(nodes()).map(participant).collect(),
        keys: GroupKeys { secp256k1: format!("02{}", "ab".repeat(32)), ed25519: Person::named("quorum").did },
        packages: GroupPackages { secp256k1: "00".repeat(40), ed25519: "01".repeat(40) },
    })
}

/// The built-in rules, but two people approve from 100,000 minor units on.
fn policy() -> args::Activate {
    let bundle = policy::Bundle::default_payout();
    let data = bundle.data().replace("1000000000", "100000").replace("required\": 1", "required\": 2");
    activation(&policy::Bundle::new(bundle.modules().clone(), data).unwrap(), "Two people.")
}

/// A world in which an installation can propose, and its log.
pub fn ready() -> (World, History) {
    let world = World::new(EVENING);
    let mut history = History::new(&world);
    for signed in world.setup(1_000_000, 2_000_000) {
        history.admit(&signed, world.now);
    }
    let root = world.operator.did;
    history.admit(&world.invoke(&world.operator, root, "/quorum/set", &quorum(), Vec::new()), world.now);
    history.admit(&world.by(&world.admin, "/policy/activate", &policy()), world.now);
    (world, history)
}

/// A whole small log: a payout allowed, one reviewed and approved, one denied, one final.
pub fn eventful() -> (World, History) {
    let (world, mut history) = ready();
    let small = world.propose(50_000);
    let large = world.propose(500_000);
    for signed in [&small, &large, &world.propose(1_000_001)] {
        history.admit(signed, world.now.plus(1));
    }
    for person in world.approvers.iter().take(2) {
        let review = history.replica.state().proposal(&large.cid()).unwrap().review;
        history.admit(&world.approve(person, large.cid(), review), world.now.plus(2));
    }
    for node in nodes().iter().take(2) {
        let args = args::Attest {
            proposal: small.cid(),
            verdict: ledger::Verdict::Final,
            block: 9,
            transaction: Some(domain::Digest::sha256(b"transaction")),
        };
        history.admit(&world.by(node, "/execution/attest", &args), world.now.plus(3));
    }
    (world, history)
}
