//! Random logs: replayed they give the same bytes, and what is reserved is what open proposals hold.

use crate::history::{EVENING, History, follow, nodes, ready};
use countersign_replica::Replica;
use countersign_tests::{Person, Signed, World, recipient};
use domain::{Cid, Time};
use ledger::{State, Verdict, Window, args};
use proptest::{prelude::*, test_runner::TestRunner};
use std::{cell::RefCell, collections::BTreeMap, sync::OnceLock};

/// How many logs; `COUNTERSIGN_LOG_CASES` makes it more or fewer.
fn cases() -> u32 {
    std::env::var("COUNTERSIGN_LOG_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(10_000)
}

/// Set-up and pre-signed statements: signing is what costs.
struct Pool {
    world: World,
    start: History,
    said: Vec<Signed>,
    proposals: Vec<Cid>,
    /// Of each proposal, by every node in turn: that it is final, and that it is void.
    attestations: BTreeMap<Cid, Vec<(Verdict, Signed)>>,
}

fn proposals(world: &World) -> Vec<Signed> {
    let chain = world.proposal_chain();
    let short = |total: u64, until: u64| {
        let payout = domain::Payout { valid_until: EVENING.plus(until), ..world.payout(total) };
        world.invoke(&world.installation, world.tenant.did, "/proposal/payout", &payout, chain.clone())
    };
    let totals = [50_000, 90_000, 200_000, 700_000, 900_000, 1_000_000];
    let mut all: Vec<_> = totals.iter().map(|total| world.propose_over(chain.clone(), *total)).collect();
    all.extend([short(80_000, 60), short(400_000, 100), short(1_000_000, 200), short(1_000_001, 500)]);
    all
}

fn pool() -> &'static Pool {
    static POOL: OnceLock<Pool> = OnceLock::new();
    POOL.get_or_init(|| {
        let (world, start) = ready();
        let mut said = proposals(&world);
        let proposals: Vec<Cid> = said.iter().map(Signed::cid).collect();
        // Each proposal twice as likely as a single other statement.
        said.extend(said.clone());
        for proposal in &proposals {
            let reason = "because".parse().unwrap();
            said.push(world.by(&world.admin, "/proposal/cancel", &args::Cancel { proposal: *proposal, reason }));
            let args = args::Included { proposal: *proposal, transaction: *proposal.digest(), block: 8 };
            said.push(world.by(&world.relayer, "/execution/included", &args));
        }
        let installation = world.installation.did;
        let reason = || "because".parse().unwrap();
        let scope = ledger::Scope::Installation(installation);
        let admin = &world.admin;
        let freeze = world.by(admin, "/freeze/set", &args::Set { scope: scope.clone(), reason: reason() });
        let lift = args::Lift { scope, freeze: freeze.cid() };
        said.extend([
            freeze,
            world.by(admin, "/freeze/lift", &lift),
            world.by(admin, "/installation/suspend", &args::Suspend { installation, reason: reason() }),
            world.by(admin, "/installation/resume", &args::Resume { installation, reason: reason() }),
            world.by(&world.market, "/order/close", &args::Close { order: "order-1".parse().unwrap() }),
            world.verify_recipient(recipient(3)),
            world.grant(600_000, 1_200_000),
        ]);
        let attestations = proposals.iter().map(|id| (*id, attestations(&world, *id))).collect();
        Pool { world, start, said, proposals, attestations }
    })
}

fn attestations(world: &World, proposal: Cid) -> Vec<(Verdict, Signed)> {
    let said = |(node, verdict): (Person, Verdict)| {
        let transaction = (verdict == Verdict::Final).then(|| *proposal.digest());
        let args = args::Attest { proposal, verdict, block: 9, transaction };
        (verdict, world.by(&node, "/execution/attest", &args))
    };
    nodes().into_iter().flat_map(|n| [(n.clone(), Verdict::Final), (n, Verdict::Void)]).map(said).collect()
}

/// What is done at one step of a log.
#[derive(Clone, Debug)]
struct Deed {
    /// Of all pre-signed statements and, beyond them, approvals of what is in review and attestations of what may
    /// execute.
    what: usize,
    /// Seconds that pass before.
    wait: u64,
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let wait = prop_oneof![4 => Just(0_u64), 3 => 1_u64..30, 1 => 30_u64..200];
    prop::collection::vec((any::<usize>(), wait).prop_map(|(what, wait)| Deed { what, wait }), 4..=16)
}

/// How often the deeds beyond the pre-signed statements are done.
const APPROVALS: usize = 10;
const ATTESTATIONS: usize = 40;

/// Says it; approvals are signed here, because they name what was decided. Gives the verdict when it settled a payout.
fn say(history: &mut History, deed: &Deed, at: Time) -> Option<Verdict> {
    let pool = pool();
    let kinds = pool.said.len() + APPROVALS + ATTESTATIONS;
    let (kind, which) = (deed.what % kinds, deed.what / kinds);
    if let Some(signed) = pool.said.get(kind) {
        history.try_admit(signed, at);
        return None;
    }
    let attests = kind >= pool.said.len() + APPROVALS;
    let open = pool.proposals.iter().filter_map(|id| history.replica.state().proposal(id).map(|p| (*id, p)));
    let open: Vec<_> = open.filter(|(_, p)| p.is_approved() == attests).map(|(id, p)| (id, p.review)).collect();
    if !attests {
        let (id, review) = open.first()?;
        history.try_admit(&pool.world.approve(&pool.world.approvers[which % 3], *id, *review), at);
        return None;
    }
    let (id, _) = open.get(which % open.len().max(1))?;
    let all = &pool.attestations[id];
    let (verdict, signed) = &all[which / open.len() % all.len()];
    let settled = history.try_admit(signed, at) && history.replica.state().proposal(id).is_none();
    settled.then_some(*verdict)
}

/// What open proposals hold is what is reserved, and no window is over its limit.
fn check_budgets(state: &State) -> Result<(), TestCaseError> {
    let pool = pool();
    let tenant = state.tenant(&pool.world.tenant.did).unwrap();
    let mut held: BTreeMap<Window, u64> = BTreeMap::new();
    for reservation in state.proposals().flat_map(|(_, p)| &p.reservations) {
        *held.entry(reservation.window.clone()).or_default() += reservation.amount.get();
    }
    for (window, budget) in tenant.budgets.iter() {
        prop_assert_eq!(budget.reserved.get(), held.remove(window).unwrap_or_default());
        if matches!(window, Window::Daily { .. }) {
            prop_assert!(budget.used() <= 2_000_000, "{window:?}: {budget:?}");
        }
    }
    prop_assert!(held.is_empty(), "held but not reserved: {held:?}");
    Ok(())
}

fn same(a: &Replica, b: &Replica) -> Result<(), TestCaseError> {
    prop_assert_eq!(a.state().hash(), b.state().hash());
    prop_assert_eq!(a.head(), b.head());
    prop_assert_eq!((a.tree().size(), a.tree().root()), (b.tree().size(), b.tree().root()));
    Ok(())
}

fn replay(deeds: &[Deed], settled: &RefCell<BTreeMap<Verdict, u64>>) -> Result<(), TestCaseError> {
    let start = &pool().start;
    let mut history = start.clone();
    let mut at = EVENING;
    for deed in deeds {
        at = at.plus(deed.wait);
        if let Some(verdict) = say(&mut history, deed, at) {
            *settled.borrow_mut().entry(verdict).or_default() += 1;
        }
        check_budgets(history.replica.state())?;
    }
    let (mut replica, mut known) = (start.replica.clone(), start.known.clone());
    for line in &history.lines[start.lines.len()..] {
        let before = replica.clone();
        follow(&mut replica, &mut known, line).map_err(|e| TestCaseError::fail(e.to_string()))?;
        // The same state and statement again, as another sequencer would admit them: the same bytes.
        let entry = log::Entry::decode(&line.entry).unwrap();
        let known = |cid: &Cid| known.get(cid).cloned();
        let read = countersign_replica::read_statement(before.next_seq(), &entry.stmt, &line.tokens, &known);
        let mut other = before;
        prop_assert_eq!(&other.admit(&read.unwrap().0, entry.at).unwrap().entry, &line.entry);
    }
    same(&history.replica, &replica)
}

#[test]
fn a_replayed_log_is_the_same_log() {
    let settled = RefCell::default();
    let config = ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() };
    let logs = TestRunner::new(config).run(&deeds(), |deeds| replay(&deeds, &settled));
    logs.unwrap_or_else(|failed| panic!("{failed}"));
    // Logs that end no payout either way would show little.
    let count = |verdict| settled.borrow().get(&verdict).copied().unwrap_or_default();
    let (executed, void) = (count(Verdict::Final), count(Verdict::Void));
    assert!(cases() < 1_000 || (executed > 0 && void > 0), "{executed} final, {void} void");
}

#[test]
fn the_pool_is_not_refused_altogether() {
    let pool = pool();
    let mut history = pool.start.clone();
    let admitted = pool.said.iter().filter(|s| history.try_admit(s, EVENING)).count();
    assert!(admitted > 20, "{admitted} of {}", pool.said.len());
    assert!(history.replica.state().tenant(&pool.world.tenant.did).unwrap().budgets.iter().count() >= 2);
}
