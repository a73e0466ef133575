//! Budgets against a model that remembers every reservation.

use countersign_ledger::{Budget, Budgets, Reservation, Window};
use countersign_tests::{Person, asset};
use domain::{Amount, Total};
use proptest::prelude::*;
use std::{collections::BTreeMap, sync::OnceLock};

/// How many sequences are tried; `COUNTERSIGN_BUDGET_CASES` makes it more or fewer.
pub fn cases() -> u32 {
    std::env::var("COUNTERSIGN_BUDGET_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(100_000)
}

const DAYS: u64 = 3;

/// Daily windows of two installations over three days, and two orders.
fn windows() -> &'static [Window] {
    static WINDOWS: OnceLock<Vec<Window>> = OnceLock::new();
    WINDOWS.get_or_init(|| {
        let installations = ["one", "two"].map(|name| Person::named(name).did);
        let daily = installations
            .iter()
            .flat_map(|i| (0..DAYS).map(|day| Window::Daily { installation: *i, asset: asset(), day }));
        let orders = ["a", "b"].map(|order| Window::Order { order: order.parse().unwrap() });
        daily.chain(orders).collect()
    })
}

/// Every window's limit.
const LIMIT: u64 = 100;

#[derive(Clone, Copy, Debug)]
enum Op {
    Reserve {
        window: usize,
        amount: u64,
    },
    /// Of one of the reservations made so far, settled or not.
    Commit(usize),
    Release(usize),
    /// Of something that was never reserved.
    CommitForeign {
        window: usize,
        amount: u64,
    },
    ReleaseForeign {
        window: usize,
        amount: u64,
    },
    Forget(u64),
}

fn op() -> impl Strategy<Value = Op> {
    (0_u8..16, 0_usize..8, 1_u64..=60, 0_u64..=DAYS).prop_map(|(kind, index, amount, day)| match kind {
        0..=6 => Op::Reserve { window: index, amount },
        7..=9 => Op::Commit(index),
        10..=12 => Op::Release(index),
        13 => Op::CommitForeign { window: index, amount },
        14 => Op::ReleaseForeign { window: index, amount },
        _ => Op::Forget(day),
    })
}

/// All reservations that stand, and what was spent.
#[derive(Default)]
struct Model {
    standing: Vec<(Reservation, bool)>,
    spent: BTreeMap<Window, u64>,
}

impl Model {
    fn reserved(&self, window: &Window) -> u64 {
        self.standing.iter().filter(|(r, open)| *open && r.window == *window).map(|(r, _)| r.amount.get()).sum()
    }

    fn spent(&self, window: &Window) -> u64 {
        self.spent.get(window).copied().unwrap_or_default()
    }

    /// Takes the reservation out, when it stands: exactly once.
    fn settle(&mut self, index: usize) -> Option<(Reservation, bool)> {
        let (reservation, open) = self.standing.get_mut(index)?;
        Some((reservation.clone(), std::mem::take(open)))
    }

    fn forget(&mut self, before: u64) {
        let reserved: Vec<_> = self.spent.keys().filter(|w| self.reserved(w) > 0).cloned().collect();
        self.spent.retain(|w, _| match w {
            Window::Daily { day, .. } => *day >= before || reserved.contains(w),
            Window::Order { .. } => true,
        });
    }
}

fn reservation(window: usize, amount: u64) -> Reservation {
    Reservation { window: windows()[window].clone(), amount: Amount::new(amount).unwrap() }
}

/// Settling as the ledger does: only what stands is ever settled; a second time is refused by whoever holds the
/// reservations. What the budgets themselves know is sums, so anything beyond the sum is refused by them.
fn run(ops: &[Op]) -> Result<(), TestCaseError> {
    let limit = Total::from(Amount::new(LIMIT).unwrap());
    let (mut budgets, mut model) = (Budgets::default(), Model::default());
    for op in ops {
        match *op {
            Op::Reserve { window, amount } => {
                let wanted = reservation(window, amount);
                let used = model.reserved(&wanted.window) + model.spent(&wanted.window);
                let fits = used + amount <= LIMIT;
                prop_assert_eq!(budgets.reserve(&wanted, limit), fits);
                if fits {
                    model.standing.push((wanted, true));
                }
            }
            Op::Commit(index) => {
                if let Some((reservation, true)) = model.settle(index) {
                    prop_assert!(budgets.commit(&reservation));
                    *model.spent.entry(reservation.window).or_default() += reservation.amount.get();
                }
            }
            Op::Release(index) => {
                if let Some((reservation, true)) = model.settle(index) {
                    prop_assert!(budgets.release(&reservation));
                }
            }
            Op::CommitForeign { window, amount } => {
                let foreign = reservation(window, amount);
                if model.reserved(&foreign.window) < amount {
                    let before = budgets.clone();
                    prop_assert!(!budgets.commit(&foreign), "more was committed than is reserved");
                    prop_assert_eq!(&budgets, &before);
                }
            }
            Op::ReleaseForeign { window, amount } => {
                let foreign = reservation(window, amount);
                if model.reserved(&foreign.window) < amount {
                    let before = budgets.clone();
                    prop_assert!(!budgets.release(&foreign), "more was released than is reserved");
                    prop_assert_eq!(&budgets, &before);
                }
            }
            Op::Forget(day) => {
                budgets.forget_before(day);
                model.forget(day);
            }
        }
        agree(&budgets, &model)?;
    }
    Ok(())
}

fn agree(budgets: &Budgets, model: &Model) -> Result<(), TestCaseError> {
    for window in windows() {
        let budget = budgets.get(window);
        prop_assert!(budget.used() <= LIMIT, "over the limit: {window:?} {budget:?}");
        prop_assert_eq!((budget.reserved.get(), budget.spent.get()), (model.reserved(window), model.spent(window)));
    }
    // Nothing is kept about a window that nothing is known of.
    prop_assert!(budgets.iter().all(|(w, b)| *b != Budget::default() && windows().contains(w)));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_window_is_ever_over_its_limit_and_nothing_leaks(ops in prop::collection::vec(op(), 1..24)) {
        run(&ops)?;
    }
}

#[test]
fn a_limit_may_be_reached_but_not_passed() {
    let mut budgets = Budgets::default();
    let limit = Total::from(Amount::new(LIMIT).unwrap());
    assert!(!budgets.reserve(&reservation(0, LIMIT + 1), limit));
    assert!(budgets.reserve(&reservation(0, LIMIT), limit));
    assert!(!budgets.reserve(&reservation(0, 1), limit));
    assert!(budgets.commit(&reservation(0, LIMIT)));
    assert!(!budgets.commit(&reservation(0, LIMIT)), "committed twice");
    assert!(!budgets.release(&reservation(0, LIMIT)), "released after it was spent");
    assert!(!budgets.reserve(&reservation(0, 1), limit), "what is spent counts");
}

#[test]
fn a_lower_limit_later_refuses_more_but_breaks_nothing() {
    let mut budgets = Budgets::default();
    assert!(budgets.reserve(&reservation(0, 80), Total::from(Amount::new(LIMIT).unwrap())));
    assert!(!budgets.reserve(&reservation(0, 1), Total::from(Amount::new(50).unwrap())));
    assert!(budgets.release(&reservation(0, 80)));
    assert_eq!(budgets, Budgets::default());
}

#[test]
fn sums_near_the_largest_amount_do_not_wrap() {
    let mut budgets = Budgets::default();
    let limit = Total::from(Amount::new(domain::MAX_AMOUNT).unwrap());
    assert!(budgets.reserve(&reservation(0, domain::MAX_AMOUNT), limit));
    assert!(!budgets.reserve(&reservation(0, domain::MAX_AMOUNT), limit));
    assert!(!budgets.reserve(&reservation(0, 1), limit));
}
