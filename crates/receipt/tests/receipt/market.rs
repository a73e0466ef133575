//! A market with a log, a quorum and one payout, and receipts put together from any of its statements.

use crate::quorum::Signers;
use countersign_tests::{Person, Signed, World, activation};
use data_encoding::HEXLOWER;
use domain::{Cid, Digest, PayoutAuthorisation, Time};
use ipld_core::ipld::Ipld;
use ledger::{Outcome, Verdict, args};
use log::{Chain, Checkpoint, Entry, Hash, KeyName, NoteKey, Tree, leaf_hash};
use receipt::{Bytes, ProvenEntry, Receipt, Roots, VERSION};
use replica::Replica;
use std::{
    collections::BTreeSet,
    sync::{LazyLock, Mutex, MutexGuard},
};

pub const NOW: Time = Time::from_unix(1_800_000_000);
/// Needs review under the built-in policy.
pub const LARGE: u64 = 2_000_000_000;
/// Allowed outright.
pub const SMALL: u64 = 10_001;

/// A statement with its place in a log.
#[derive(Clone, Debug)]
pub struct Row {
    pub signed: Signed,
    pub at: Time,
    pub out: Ipld,
}

/// What goes around the entries of a receipt.
#[derive(Clone, Debug)]
pub struct Frame {
    pub proposal: Cid,
    pub signature: String,
    pub transaction: Digest,
}

pub struct Market {
    pub world: World,
    pub signers: Signers,
    pub replica: Replica,
    /// Every entry, with the tokens that it introduced.
    pub log: Vec<(Vec<u8>, Vec<Vec<u8>>)>,
    /// The same as statements.
    pub rows: Vec<Row>,
    known: BTreeSet<Cid>,
}

/// A payout that is final, as the rows of its receipt.
#[derive(Clone)]
pub struct Paid {
    pub rows: Vec<Row>,
    pub frame: Frame,
    pub authorisation: PayoutAuthorisation,
}

pub fn transaction() -> Digest {
    Digest::sha256(b"transaction")
}

pub fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

impl Market {
    /// Everything up to where the installation can propose.
    pub fn new() -> Self {
        let world = World::new(NOW);
        let mut market = Self {
            replica: Replica::new(world.operator.did),
            signers: Signers::new(1),
            world,
            log: Vec::new(),
            rows: Vec::new(),
            known: BTreeSet::new(),
        };
        for signed in market.world.setup(LARGE, LARGE * 100) {
            market.admit(&signed);
        }
        let set = market.set_quorum();
        market.admit(&set);
        market
    }

    pub fn roots(&self) -> Roots {
        Roots { operator: self.world.operator.did }
    }

    pub fn set_quorum(&self) -> Signed {
        let args = args::SetQuorum(self.signers.quorum.clone());
        self.world.invoke(&self.world.operator, self.world.operator.did, "/quorum/set", &args, Vec::new())
    }

    pub fn admit(&mut self, signed: &Signed) -> Outcome {
        let admitted = self.replica.admit(&signed.statement(), self.world.now).expect("the ledger takes it");
        let tokens = signed.tokens().into_iter().filter(|t| self.known.insert(Cid::of(t))).collect();
        let out = Entry::decode(&admitted.entry).unwrap().out;
        self.log.push((admitted.entry, tokens));
        self.rows.push(Row { signed: signed.clone(), at: admitted.at, out });
        admitted.outcome
    }

    /// Makes policy ask for two approvals.
    pub fn two_approvals(&self) -> Signed {
        let default = policy::Bundle::default_payout();
        let data = default.data().replace("\"approvals_required\": 1", "\"approvals_required\": 2");
        let bundle = policy::Bundle::new(default.modules().clone(), data).unwrap();
        self.world.by(&self.world.admin, "/policy/activate", &activation(&bundle, "four eyes"))
    }

    pub fn approve(&self, person: usize, proposal: Cid, review: Digest) -> Signed {
        self.world.approve(&self.world.approvers[person], proposal, review)
    }

    pub fn submitted(&self, frame: &Frame) -> Signed {
        let args = args::Submitted {
            proposal: frame.proposal,
            transaction: frame.transaction,
            signature: frame.signature.clone(),
        };
        self.world.by(&self.world.relayer, "/execution/submitted", &args)
    }

    pub fn attest(&self, node: &Person, frame: &Frame) -> Signed {
        self.attest_with(node, frame.proposal, |_| {})
    }

    pub fn attest_with(&self, node: &Person, proposal: Cid, change: impl FnOnce(&mut args::Attest)) -> Signed {
        let mut args = args::Attest { proposal, verdict: Verdict::Final, block: 77, transaction: Some(transaction()) };
        change(&mut args);
        self.world.by(node, "/execution/attest", &args)
    }

    /// An admin of the tenant revokes.
    pub fn revoke(&self, revoke: args::Revocation) -> Signed {
        let args = args::Revoke { revoke, path: Vec::new(), reason: "lost".parse().unwrap() };
        self.world.by(&self.world.admin, "/ucan/revoke", &args)
    }

    /// Has what is approved signed and submitted.
    pub fn submit(&mut self, proposal: Cid) -> (Frame, PayoutAuthorisation) {
        let authorisation = self.replica.state().authorisation(&proposal).expect("approved");
        let signature = hex(&self.signers.sign_secp256k1(&escrow::payout_digest(&authorisation)));
        let frame = Frame { proposal, signature, transaction: transaction() };
        let submitted = self.submitted(&frame);
        self.admit(&submitted);
        (frame, authorisation)
    }

    /// Proposes, has it approved as policy asks, signed, submitted and attested.
    pub fn pay(&mut self, total: u64) -> Paid {
        let proposed = self.world.propose(total);
        let proposal = proposed.cid();
        let Outcome::Decided { decision, review, .. } = self.admit(&proposed) else { panic!("decided") };
        let first = self.rows.len() - 1;
        for person in 0..usize::from(decision.approvals) {
            let given = self.approve(person, proposal, review);
            self.admit(&given);
        }
        let (frame, authorisation) = self.submit(proposal);
        for node in [0, 2] {
            let attested = self.attest(&self.signers.nodes[node], &frame);
            self.admit(&attested);
        }
        let setup = self.rows.iter().filter(|r| {
            ["/log/genesis", "/tenant/create", "/quorum/set"].contains(&r.signed.invocation.command().as_str())
        });
        let rows = setup.chain(&self.rows[first..]).cloned().collect();
        Paid { rows, frame, authorisation }
    }

    /// A note over a tree, signed by the log and by the quorum.
    pub fn cosigned(&self, tree: &Tree) -> String {
        note(&self.world.sequencer, &self.signers, tree)
    }

    /// A receipt of a log that has these rows and no others, signed by the log's key and the quorum.
    pub fn receipt(&self, rows: &[Row], frame: &Frame) -> Receipt {
        let (mut chain, mut tree, mut leaves, mut entries) = (Chain::EMPTY, Tree::new(), Vec::new(), Vec::new());
        for row in rows {
            let entry = chain.next(row.at, row.signed.cid(), row.out.clone()).encode().unwrap();
            chain = Chain::at(chain.accept(&entry).unwrap().1);
            let leaf = leaf_hash(&entry);
            tree.push(leaf);
            leaves.push(leaf);
            entries.push(entry);
        }
        let proven = (0..).zip(rows.iter().zip(entries)).map(|(seq, (row, entry))| ProvenEntry {
            seq,
            entry: Bytes(entry),
            tokens: row.signed.tokens().into_iter().map(Bytes).collect(),
            proof: proof(&leaves, seq),
        });
        Receipt {
            version: VERSION,
            origin: "log.example.com/test".parse().unwrap(),
            proposal: frame.proposal,
            entries: proven.collect(),
            checkpoint: self.cosigned(&tree),
            signature: frame.signature.clone(),
            transaction: frame.transaction,
        }
    }
}

/// A note over a tree, signed by this key and this quorum.
pub fn note(sequencer: &Person, signers: &Signers, tree: &Tree) -> String {
    let origin: KeyName = "log.example.com/test".parse().unwrap();
    let checkpoint = Checkpoint::of(origin, tree, NOW.plus(5));
    let name: KeyName = "log.example.com/test/quorum".parse().unwrap();
    let key = NoteKey::new(name, &signers.quorum.keys.ed25519).unwrap();
    let signature = signers.sign_ed25519(&checkpoint.signed_text());
    checkpoint.sign(&sequencer.key).with_signature(&key, &signature).unwrap().to_string()
}

/// The audit path of a leaf in a tree of up to 256.
pub fn proof(leaves: &[Hash], seq: u64) -> Vec<Hash> {
    let tile: Vec<u8> = leaves.iter().flat_map(|l| *l.as_bytes()).collect();
    let size = u64::try_from(leaves.len()).unwrap();
    log::inclusion_proof(size, seq, &|t: log::TileRef| (t.level == 0).then(|| tile.clone())).unwrap()
}

/// One market with a reviewed payout, shared by tests that change nothing in it.
pub fn reviewed() -> MutexGuard<'static, (Market, Paid)> {
    static SHARED: LazyLock<Mutex<(Market, Paid)>> = LazyLock::new(|| {
        let mut market = Market::new();
        let paid = market.pay(LARGE);
        Mutex::new((market, paid))
    });
    SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
