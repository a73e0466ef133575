//! Sequences of statements against a model of what the rules say: after each of them every payout stands where the model
//! says, and every window holds exactly what the model adds up.

mod model;
mod pool;

use crate::budgets::cases;
use countersign_ledger::{Change, Changes, Phase as Stands, Statement, Step, Verdict};
use domain::Time;
use model::{Counted, GRANTS, Key, Model, ORDERS, Phase, SESSIONS, Said, Token, Word};
use pool::{AFTERWARDS, Pool};
use proptest::{
    prelude::*,
    test_runner::{TestCaseResult, TestRunner},
};
use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

/// What was said is signed for a quarter of an hour; this leaves time to settle in.
const LONGEST: u64 = 640;
/// Later than every payout of a session is valid, while its statements still are.
const SETTLING: u64 = 700;

/// What is done at one step of a sequence.
#[derive(Clone, Copy, Debug)]
struct Deed {
    kind: u8,
    /// Of which payout, installation, freeze or order.
    of: u8,
    /// By whom, and which word.
    who: u8,
    /// The same bytes again, or others that say the same.
    copy: u8,
    /// Seconds that pass before.
    wait: u8,
}

fn deeds() -> impl Strategy<Value = (bool, Vec<Deed>)> {
    let deed = (0_u8..64, any::<u8>(), any::<u8>(), 0_u8..2, any::<u8>())
        .prop_map(|(kind, of, who, copy, wait)| Deed { kind, of, who, copy, wait });
    (any::<bool>(), prop::collection::vec(deed, 10..=30))
}

/// How often which command was taken and refused, and what became of payouts.
#[derive(Default)]
struct Tally {
    said: BTreeMap<(&'static str, bool), u64>,
    became: BTreeMap<Phase, u64>,
}

struct Run<'a> {
    pool: &'a Pool,
    tally: &'a RefCell<Tally>,
    state: countersign_ledger::State,
    model: Model<'a>,
    approvals: BTreeMap<Token, Rc<Statement>>,
    used: Vec<u64>,
    session: usize,
    seq: u64,
    at: Time,
}

impl<'a> Run<'a> {
    fn new(pool: &'a Pool, tally: &'a RefCell<Tally>, lax: bool) -> Self {
        Self {
            pool,
            tally,
            state: pool.starts[usize::from(lax)].clone(),
            model: Model::new(&pool.asks),
            approvals: BTreeMap::new(),
            used: vec![0; pool.windows.len()],
            session: 0,
            seq: pool.seq,
            at: SESSIONS[0],
        }
    }

    /// A payout that stands so, or now and then just any.
    fn pick(&self, of: u8, stands: impl Fn(Phase) -> bool) -> usize {
        let open: Vec<usize> = self.model.asked.iter().filter(|(_, a)| stands(a.phase)).map(|(ask, _)| *ask).collect();
        let of = usize::from(of);
        if open.is_empty() || of.is_multiple_of(8) { of / 8 % self.pool.asks.len() } else { open[of % open.len()] }
    }

    fn choose(&self, deed: Deed) -> Said {
        let (of, who) = (usize::from(deed.of), usize::from(deed.who));
        let (person, installation) = (who % 3, of % 2);
        let ask = |stands: fn(Phase) -> bool| self.pick(deed.of, stands);
        let in_review: fn(Phase) -> bool = |phase| phase == Phase::Review;
        match deed.kind {
            0..16 => {
                let here = self.pool.asks.len() / SESSIONS.len();
                Said::Propose { ask: self.session * here + of % here }
            }
            16..34 => Said::Attest { ask: ask(Phase::may_execute), node: who % 4, word: word(who / 4) },
            34..44 => Said::Give { ask: ask(in_review), person },
            44 => Said::Withdraw { ask: ask(in_review), person },
            45 => Said::Refuse { ask: ask(in_review), person },
            46 | 47 => Said::Cancel { ask: ask(Phase::is_open) },
            48 => Said::CancelByPlugin { ask: ask(Phase::is_open), installation: who % 2 },
            49 | 50 => Said::Grant { installation, limits: who % GRANTS[0].len() },
            // What stops much is said less often than what lets it go on.
            51 if who.is_multiple_of(2) => Said::Suspend { installation },
            51..54 => Said::Resume { installation },
            54 if who.is_multiple_of(4) => Said::Remove { installation },
            54 if who % 4 == 1 => Said::RevokeGrant { installation },
            55 => Said::RevokeKey([Key::Approver(0), Key::Node(1), Key::Agent(0), Key::Installation(1)][who % 4]),
            56 if who.is_multiple_of(3) => Said::Freeze(of % 3),
            56..60 => self.lift(of, who),
            60 if who.is_multiple_of(2) => Said::Close { order: of % ORDERS.len() },
            61 => Said::NextQuorum,
            _ => Said::Tick,
        }
    }

    /// Of what is frozen, and now and then of a freeze that is not the one in force.
    fn lift(&self, of: usize, who: usize) -> Said {
        let in_force = self.model.frozen.first_key_value();
        let (scope, (session, copy)) = in_force.map_or((of % 3, (self.session, 0)), |(scope, said)| (*scope, *said));
        let copy = if who.is_multiple_of(4) { u8::from(copy == 0) } else { copy };
        Said::Lift { scope, session, copy }
    }

    fn act(&mut self, deed: Deed) -> TestCaseResult {
        let wait = match deed.wait {
            0..160 => 0,
            160..240 => u64::from(deed.wait - 158) / 2,
            _ => 4 * u64::from(deed.wait - 200),
        };
        self.at = self.at.plus(wait).min(SESSIONS[self.session].plus(LONGEST));
        if deed.kind == 63 && deed.of.is_multiple_of(2) && self.session == 0 {
            self.session = 1;
            self.at = SESSIONS[1];
        }
        let said = self.choose(deed);
        // Other bytes would be another payout.
        let copy = if matches!(said, Said::Propose { .. }) { 0 } else { deed.copy };
        self.say(Token { session: self.session, copy, said })
    }

    /// Says it: the ledger takes it exactly when the model does.
    fn say(&mut self, token: Token) -> TestCaseResult {
        let statement = self.approval(token).unwrap_or_else(|| self.pool.statement(token));
        let mut next = self.model.clone();
        let taken = next.say(token, self.at);
        let step = self.state.step(&statement, self.seq, self.at);
        *self.tally.borrow_mut().said.entry((statement.act().command(), taken)).or_default() += 1;
        let refusal = step.as_ref().err().map(ToString::to_string);
        prop_assert_eq!(refusal.is_none(), taken, "{:?}: {:?}", token, refusal);
        if let Ok(Step { state, changes, .. }) = step {
            (self.state, self.model) = (state, next);
            self.seq += 1;
            self.check_payouts(&changes)?;
            self.check_windows(token.said)?;
        }
        Ok(())
    }

    /// What approves this payout as it was decided here; the same bytes for the same token.
    fn approval(&mut self, token: Token) -> Option<Rc<Statement>> {
        let Said::Give { ask, person } = token.said else { return None };
        let proposal = self.state.proposal(&self.pool.ids[ask]).filter(|p| !p.is_approved())?;
        let (pool, review) = (self.pool, proposal.review);
        let made = || Rc::new(pool.approval(token.session, ask, person, review));
        Some(self.approvals.entry(token).or_insert_with(made).clone())
    }

    fn check_payouts(&self, changes: &Changes) -> TestCaseResult {
        for (ask, asked) in &self.model.asked {
            let id = self.pool.ids[*ask];
            let stands = self.state.proposal(&id).map(|p| match &p.phase {
                Stands::Review { .. } => Phase::Review,
                Stands::Approved { execution, .. } if execution.cancelled => Phase::Withdrawn,
                Stands::Approved { .. } => Phase::Approved,
            });
            prop_assert_eq!(stands, Some(asked.phase).filter(|p| p.is_open()), "payout {}", ask);
            let said = changes.iter().rev().find_map(|c| match c {
                Change::Status(of, status) if *of == id => Some(*status),
                _ => None,
            });
            prop_assert!(said.is_none_or(|s| s == asked.phase.status()), "payout {}: {:?}", ask, said);
        }
        let open = self.model.asked.values().filter(|a| a.phase.is_open()).count();
        prop_assert_eq!(self.state.proposals().count(), open);
        Ok(())
    }

    fn check_windows(&mut self, said: Said) -> TestCaseResult {
        let decided = match said {
            Said::Propose { ask } if self.model.phase(ask) != Some(Phase::Denied) => Some(self.pool.asks[ask]),
            _ => None,
        };
        let budgets = &self.state.tenant(&self.pool.tenant()).unwrap().budgets;
        for ((counted, window), used) in self.pool.windows.iter().zip(&mut self.used) {
            let (reserved, spent) = self.model.used(*counted);
            let budget = budgets.get(window);
            // Days before yesterday are forgotten once nothing is reserved in them.
            let past = matches!(counted, Counted::Daily { day, .. } if day + 1 < self.at.day());
            let forgotten = past && reserved == 0 && budget.spent.get() == 0;
            let expected = if forgotten { (0, 0) } else { (reserved, spent) };
            prop_assert_eq!((budget.reserved.get(), budget.spent.get()), expected, "{:?} after {:?}", counted, said);
            let counts = decided.is_some_and(|ask| match counted {
                Counted::Daily { installation, coin, day } => {
                    (ask.installation, ask.coin, self.at.day()) == (*installation, *coin, *day)
                }
                Counted::Order(order) => ask.order == *order,
            });
            // Only a decision uses more, and never more than the limit in force.
            let most = if counts { self.model.limit(*counted).unwrap_or_default() } else { *used };
            prop_assert!(budget.used() <= most, "{:?} holds {} of {} after {:?}", counted, budget.used(), most, said);
            *used = budget.used();
        }
        let known = |w| self.pool.windows.iter().any(|(_, window)| window == w);
        prop_assert!(budgets.iter().all(|(w, b)| known(w) && b.used() > 0));
        Ok(())
    }

    /// Settles everything that is open, then lets days pass: nothing is reserved, and what was spent is what is final.
    fn settle(mut self, verdict: impl Fn(usize) -> Verdict) -> TestCaseResult {
        self.at = SESSIONS[self.session].plus(SETTLING);
        self.say(Token { session: self.session, copy: 2, said: Said::Tick })?;
        let open: Vec<usize> =
            self.model.asked.iter().filter(|(_, a)| a.phase.is_open()).map(|(ask, _)| *ask).collect();
        for ask in open {
            let word = Word { verdict: verdict(ask), transaction: 3, block: 11 };
            for node in (0..4).filter(|n| self.model.speaks(*n)).collect::<Vec<_>>() {
                let session = self.session;
                self.say(Token { session, copy: 2, said: Said::Attest { ask, node, word } })?;
            }
        }
        prop_assert!(self.model.asked.values().all(|a| !a.phase.is_open()));
        let state = self.state.step(&self.pool.tick_afterwards(), self.seq, AFTERWARDS).unwrap().state;
        prop_assert_eq!(state.proposals().count(), 0);
        let budgets = &state.tenant(&self.pool.tenant()).unwrap().budgets;
        for (counted, window) in &self.pool.windows {
            let (budget, (reserved, spent)) = (budgets.get(window), self.model.used(*counted));
            let expected = if matches!(counted, Counted::Order(_)) { spent } else { 0 };
            prop_assert_eq!((budget.reserved.get(), budget.spent.get(), reserved), (0, expected, 0));
        }
        let orders = self.pool.windows.iter().filter(|(c, _)| matches!(c, Counted::Order(_))).map(|(_, w)| w);
        prop_assert!(budgets.iter().all(|(w, _)| orders.clone().any(|order| order == w)));
        for asked in self.model.asked.values() {
            *self.tally.borrow_mut().became.entry(asked.phase).or_default() += 1;
        }
        Ok(())
    }
}

/// Mostly one word of each verdict; sometimes another transaction or block.
fn word(who: usize) -> Word {
    let (verdict, transaction, block) = match who % 16 {
        0..5 => (Verdict::Final, 1, 9),
        5 | 6 => (Verdict::Final, 1, 10),
        7 => (Verdict::Final, 2, 9),
        8..14 => (Verdict::Void, 0, 9),
        _ => (Verdict::Void, 0, 10),
    };
    Word { verdict, transaction, block }
}

#[test]
fn whatever_is_said_no_window_is_over_its_limit_and_nothing_leaks() {
    let pool = Pool::new();
    let tally = RefCell::default();
    let config = ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() };
    let sequence = |(lax, deeds): (bool, Vec<Deed>)| {
        let mut run = Run::new(&pool, &tally, lax);
        deeds.iter().try_for_each(|deed| run.act(*deed))?;
        let first = deeds.first().map_or(0, |d| usize::from(d.who));
        run.settle(|ask| if (ask + first).is_multiple_of(2) { Verdict::Final } else { Verdict::Void })
    };
    TestRunner::new(config).run(&deeds(), sequence).unwrap_or_else(|failed| panic!("{failed}"));
    let Tally { said, became } = tally.into_inner();
    if cases() >= 10_000 {
        for command in said.keys().map(|(command, _)| *command) {
            let [taken, refused] = [true, false].map(|t| said.get(&(command, t)).copied().unwrap_or_default());
            let never_refused = command == "/recipient/verify";
            assert!(taken > 0 && (refused > 0 || never_refused), "{command}: {taken} taken, {refused} refused");
        }
        let all = [Phase::Denied, Phase::Refused, Phase::Cancelled, Phase::Expired, Phase::Final, Phase::Void];
        assert!(all.iter().all(|phase| became.get(phase).is_some_and(|n| *n > 100)), "{became:?}");
    }
}
