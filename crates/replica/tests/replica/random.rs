//! Random logs: replayed they give the same bytes, and what is reserved is what open proposals hold.

use crate::history::{EVENING, History, follow, nodes, ready};
use countersign_replica::Replica;
use countersign_tests::{Signed, World, recipient};
use domain::{Cid, Time};
use ledger::{State, Verdict, Window, args};
use proptest::prelude::*;
use std::{collections::BTreeMap, sync::OnceLock};

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
            for (node, verdict) in nodes().iter().zip([Verdict::Final, Verdict::Final, Verdict::Void]) {
                let transaction = (verdict == Verdict::Final).then(|| *proposal.digest());
                let args = args::Attest { proposal: *proposal, verdict, block: 9, transaction };
                said.push(world.by(node, "/execution/attest", &args));
            }
            let args = args::Included { proposal: *proposal, transaction: *proposal.digest(), block: 8 };
            said.push(world.by(&world.relayer, "/execution/included", &args));
        }
        let installation = world.installation.did;
        let reason = || "because".parse().unwrap();
        let scope = ledger::Scope::Installation(installation);
        let admin = &world.admin;
        said.extend([
            world.by(admin, "/installation/suspend", &args::Suspend { installation, reason: reason() }),
            world.by(admin, "/installation/resume", &args::Resume { installation, reason: reason() }),
            world.by(admin, "/freeze/set", &args::Set { scope: scope.clone(), reason: reason() }),
            world.by(admin, "/freeze/lift", &args::Lift { scope }),
            world.by(&world.market, "/order/close", &args::Close { order: "order-1".parse().unwrap() }),
            world.verify_recipient(recipient(3)),
            world.grant(600_000, 1_200_000),
        ]);
        Pool { world, start, said, proposals }
    })
}

/// What is done at one step of a log.
#[derive(Clone, Debug)]
struct Deed {
    /// Of all pre-signed statements and, beyond them, approvals of what is in review.
    what: usize,
    /// Seconds that pass before.
    wait: u64,
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let wait = prop_oneof![4 => Just(0_u64), 3 => 1_u64..30, 1 => 30_u64..200];
    prop::collection::vec((any::<usize>(), wait).prop_map(|(what, wait)| Deed { what, wait }), 4..=12)
}

/// Says it; approvals are signed here, because they name what was decided.
fn say(history: &mut History, deed: &Deed, at: Time) {
    let pool = pool();
    let kinds = pool.said.len() + 10;
    if let Some(signed) = pool.said.get(deed.what % kinds) {
        history.try_admit(signed, at);
        return;
    }
    let open = pool.proposals.iter().filter_map(|id| history.replica.state().proposal(id).map(|p| (*id, p)));
    let review = open.filter(|(_, p)| !p.is_approved()).map(|(id, p)| (id, p.review)).next();
    if let Some((id, review)) = review {
        let person = &pool.world.approvers[deed.what / kinds % 3];
        history.try_admit(&pool.world.approve(person, id, review), at);
    }
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

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_replayed_log_is_the_same_log(deeds in deeds()) {
        let start = &pool().start;
        let mut history = start.clone();
        let mut at = EVENING;
        for deed in &deeds {
            at = at.plus(deed.wait);
            say(&mut history, deed, at);
            check_budgets(history.replica.state())?;
        }
        let (mut replica, mut known) = (start.replica.clone(), start.known.clone());
        for line in &history.lines[start.lines.len()..] {
            let before = replica.clone();
            follow(&mut replica, &mut known, line).map_err(|e| TestCaseError::fail(e.to_string()))?;
            // The same state and statement again, as another sequencer would admit them: the same bytes.
            let entry = log::Entry::decode(&line.entry).unwrap();
            let (statement, _) = countersign_replica::read_statement(
                before.next_seq(), &entry.stmt, &line.tokens, &|cid| known.get(cid).cloned(),
            ).unwrap();
            let mut other = before;
            prop_assert_eq!(&other.admit(&statement, entry.at).unwrap().entry, &line.entry);
        }
        same(&history.replica, &replica)?;
    }
}

#[test]
fn the_pool_is_not_refused_altogether() {
    let pool = pool();
    let mut history = pool.start.clone();
    let admitted = pool.said.iter().filter(|s| history.try_admit(s, EVENING)).count();
    assert!(admitted > 20, "{admitted} of {}", pool.said.len());
    assert!(history.replica.state().tenant(&pool.world.tenant.did).unwrap().budgets.iter().count() >= 2);
}
