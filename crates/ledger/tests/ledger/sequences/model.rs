//! What the rules say of payouts and budgets, in the plainest way: no running sums, only what became of every payout.

use countersign_ledger::{Status, Verdict};
use domain::Time;
use std::collections::{BTreeMap, BTreeSet};

/// Above this people approve.
pub const REVIEW_ABOVE: u64 = 30;
/// How many people.
pub const APPROVALS: usize = 2;
/// How many signers settle.
pub const SIGNERS: usize = 2;
/// What lies in the escrow of each order, and which coin it is.
pub const ORDERS: [(u64, usize); 3] = [(130, 0), (1_000, 0), (90, 1)];
/// A coin, the most of it per payout and per day.
type Limits = (usize, u64, u64);
/// What admins grant each installation. The first of each is what it starts with.
pub const GRANTS: [[&[Limits]; 3]; 2] = [
    [&[(0, 60, 100), (1, 50, 60)], &[(0, 30, 60), (1, 30, 30)], &[(0, 90, 200)]],
    [&[(0, 80, 120)], &[(0, 40, 50)], &[(0, 70, 150), (1, 40, 40)]],
];
/// When sessions begin: five minutes to midnight, two days apart. Whatever is said in one is signed for its quarter of an
/// hour.
pub const SESSIONS: [Time; 2] =
    [Time::from_unix(20_833 * 86_400 - 300), Time::from_unix(20_833 * 86_400 - 300 + 2 * 86_400)];

/// A payout that a plugin may ask for.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    pub session: usize,
    pub installation: usize,
    /// Which of the installation's agents asks; the installation itself when `None`.
    pub agent: Option<usize>,
    pub order: usize,
    pub coin: usize,
    pub amount: u64,
    pub valid_until: Time,
}

/// Installation, agent, order, coin, amount, seconds of validity.
const ASKS: [(usize, Option<usize>, usize, usize, u64, u64); 12] = [
    (0, None, 1, 0, 20, 300),
    (0, Some(0), 1, 0, 25, 60),
    (0, Some(1), 1, 0, 30, 600),
    (0, None, 0, 0, 60, 120),
    (0, None, 0, 0, 40, 600),
    (0, Some(0), 1, 0, 65, 300),
    (0, None, 2, 1, 30, 120),
    (0, Some(1), 2, 1, 45, 600),
    (1, None, 0, 0, 30, 60),
    (1, None, 0, 0, 70, 300),
    (1, None, 1, 0, 50, 600),
    (1, None, 2, 0, 10, 300),
];

/// All payouts of all sessions.
pub fn asks() -> Vec<Ask> {
    let of = |session: usize| {
        ASKS.map(|(installation, agent, order, coin, amount, validity)| {
            let valid_until = SESSIONS[session].plus(validity);
            Ask { session, installation, agent, order, coin, amount, valid_until }
        })
    };
    (0..SESSIONS.len()).flat_map(of).collect()
}

/// What a signer says of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Word {
    pub verdict: Verdict,
    /// Of no meaning when void.
    pub transaction: u8,
    pub block: u64,
}

impl Word {
    /// Signers settle what they all saw in one place; what never happened has no place.
    fn agrees(self, other: Self) -> bool {
        self.repeats(other) && (self.verdict == Verdict::Void || self.block == other.block)
    }

    fn repeats(self, other: Self) -> bool {
        self.verdict == other.verdict && (self.verdict == Verdict::Void || self.transaction == other.transaction)
    }
}

/// A key that may be revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    Approver(usize),
    Node(usize),
    Agent(usize),
    Installation(usize),
}

/// What is said, by whom and of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Said {
    Propose {
        ask: usize,
    },
    Give {
        ask: usize,
        person: usize,
    },
    Withdraw {
        ask: usize,
        person: usize,
    },
    Refuse {
        ask: usize,
        person: usize,
    },
    Cancel {
        ask: usize,
    },
    CancelByPlugin {
        ask: usize,
        installation: usize,
    },
    Attest {
        ask: usize,
        node: usize,
        word: Word,
    },
    Grant {
        installation: usize,
        limits: usize,
    },
    Suspend {
        installation: usize,
    },
    Resume {
        installation: usize,
    },
    Remove {
        installation: usize,
    },
    RevokeGrant {
        installation: usize,
    },
    RevokeKey(Key),
    Freeze(usize),
    /// The freeze that was said of this scope in that session and copy.
    Lift {
        scope: usize,
        session: usize,
        copy: u8,
    },
    Close {
        order: usize,
    },
    NextQuorum,
    Tick,
}

/// Bytes are made once for everything that is said in a session, in as many copies as it may be said again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Token {
    pub session: usize,
    pub copy: u8,
    pub said: Said,
}

/// What became of a payout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    Review,
    Approved,
    /// Cancelled after it was approved: a signature may be out, so its budgets are held.
    Withdrawn,
    Denied,
    Refused,
    Cancelled,
    Expired,
    Final,
    Void,
}

impl Phase {
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Review | Self::Approved | Self::Withdrawn)
    }

    pub const fn may_execute(self) -> bool {
        matches!(self, Self::Approved | Self::Withdrawn)
    }

    pub const fn status(self) -> Status {
        match self {
            Self::Review => Status::Review,
            Self::Approved => Status::Approved,
            Self::Withdrawn | Self::Cancelled => Status::Cancelled,
            Self::Denied => Status::Denied,
            Self::Refused => Status::Refused,
            Self::Expired => Status::Expired,
            Self::Final => Status::Final,
            Self::Void => Status::Void,
        }
    }
}

/// A payout that was asked for.
#[derive(Clone, Debug)]
pub struct Asked {
    pub phase: Phase,
    pub day: u64,
    approvals: BTreeSet<usize>,
    words: BTreeMap<usize, (Word, u64)>,
}

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    Daily { installation: usize, coin: usize, day: u64 },
    Order(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Active,
    Suspended,
    Removed,
}

/// Everything that was said and what came of it.
#[derive(Clone, Debug)]
pub struct Model<'a> {
    asks: &'a [Ask],
    pub asked: BTreeMap<usize, Asked>,
    tokens: BTreeSet<Token>,
    grants: [usize; 2],
    standing: [Standing; 2],
    /// By scope: in which session and copy it was said.
    pub frozen: BTreeMap<usize, (usize, u8)>,
    closed: BTreeSet<usize>,
    revoked: BTreeSet<Key>,
    epoch: u64,
}

impl<'a> Model<'a> {
    pub const fn new(asks: &'a [Ask]) -> Self {
        Self {
            asks,
            asked: BTreeMap::new(),
            tokens: BTreeSet::new(),
            grants: [0; 2],
            standing: [Standing::Active; 2],
            frozen: BTreeMap::new(),
            closed: BTreeSet::new(),
            revoked: BTreeSet::new(),
            epoch: 1,
        }
    }

    pub fn phase(&self, ask: usize) -> Option<Phase> {
        self.asked.get(&ask).map(|a| a.phase)
    }

    /// What is reserved and spent: the sums of what is open and of what is final.
    pub fn used(&self, counted: Counted) -> (u64, u64) {
        let within = |ask: &Ask, asked: &Asked| match counted {
            Counted::Daily { installation, coin, day } => {
                (ask.installation, ask.coin, asked.day) == (installation, coin, day)
            }
            Counted::Order(order) => ask.order == order,
        };
        let mut sums = (0, 0);
        for (index, asked) in &self.asked {
            let ask = &self.asks[*index];
            if within(ask, asked) && asked.phase.is_open() {
                sums.0 += ask.amount;
            } else if within(ask, asked) && asked.phase == Phase::Final {
                sums.1 += ask.amount;
            }
        }
        sums
    }

    /// The limit in force, where one is.
    pub fn limit(&self, counted: Counted) -> Option<u64> {
        match counted {
            Counted::Daily { installation, coin, .. } => self.granted(installation, coin).map(|(_, daily)| daily),
            Counted::Order(order) => Some(ORDERS[order].0),
        }
    }

    fn granted(&self, installation: usize, coin: usize) -> Option<(u64, u64)> {
        let limits = GRANTS[installation][self.grants[installation]];
        limits.iter().find(|(c, ..)| *c == coin).map(|(_, most, daily)| (*most, *daily))
    }

    /// Whether this node is in the roster and still has its key.
    pub fn speaks(&self, node: usize) -> bool {
        let roster = if self.epoch == 1 { 0..3 } else { 1..4 };
        roster.contains(&node) && !self.revoked.contains(&Key::Node(node))
    }

    /// Takes effect, or says no; nothing may be read from it after a no.
    pub fn say(&mut self, token: Token, at: Time) -> bool {
        for (index, asked) in &mut self.asked {
            if asked.phase == Phase::Review && self.asks[*index].valid_until < at {
                asked.phase = Phase::Expired;
            }
        }
        self.tokens.insert(token) && self.may_speak(token.said) && self.hear(token, at)
    }

    /// No chain through a revoked key says anything.
    fn may_speak(&self, said: Said) -> bool {
        let through = match said {
            Said::Propose { ask } => {
                let ask = &self.asks[ask];
                vec![Some(Key::Installation(ask.installation)), ask.agent.map(Key::Agent)]
            }
            Said::CancelByPlugin { installation, .. } => vec![Some(Key::Installation(installation))],
            Said::Give { person, .. } | Said::Withdraw { person, .. } | Said::Refuse { person, .. } => {
                vec![Some(Key::Approver(person))]
            }
            Said::Attest { node, .. } => vec![Some(Key::Node(node))],
            _ => Vec::new(),
        };
        !through.into_iter().flatten().any(|key| self.revoked.contains(&key))
    }

    fn hear(&mut self, token: Token, at: Time) -> bool {
        match token.said {
            Said::Propose { ask } => self.propose(ask, at),
            Said::Give { ask, person } => self.reviewed(ask, at, |asked| {
                let fresh = asked.approvals.insert(person);
                if asked.approvals.len() >= APPROVALS {
                    asked.phase = Phase::Approved;
                }
                fresh
            }),
            Said::Withdraw { ask, person } => self.reviewed(ask, at, |asked| asked.approvals.remove(&person)),
            Said::Refuse { ask, .. } => self.reviewed(ask, at, |asked| {
                asked.phase = Phase::Refused;
                true
            }),
            Said::Cancel { ask } => self.cancel(ask),
            Said::CancelByPlugin { ask, installation } => {
                self.asks[ask].installation == installation && self.cancel(ask)
            }
            Said::Attest { ask, node, word } => self.attest(ask, node, word, at),
            Said::Grant { installation, limits } => {
                self.grants[installation] = limits;
                self.stand(installation, &[Standing::Active, Standing::Removed], Standing::Active)
            }
            Said::Suspend { installation } => self.stand(installation, &[Standing::Active], Standing::Suspended),
            Said::Resume { installation } => self.stand(installation, &[Standing::Suspended], Standing::Active),
            Said::Remove { installation } | Said::RevokeGrant { installation } => {
                self.stand(installation, &[Standing::Active, Standing::Suspended], Standing::Removed)
            }
            Said::RevokeKey(key) => self.revoked.insert(key),
            Said::Freeze(scope) => {
                self.frozen.insert(scope, (token.session, token.copy));
                true
            }
            Said::Lift { scope, session, copy } => {
                let stands = self.frozen.get(&scope) == Some(&(session, copy));
                stands && self.frozen.remove(&scope).is_some()
            }
            Said::Close { order } => self.closed.insert(order),
            Said::NextQuorum => {
                self.epoch += 1;
                self.epoch == 2
            }
            Said::Tick => true,
        }
    }

    fn stand(&mut self, installation: usize, from: &[Standing], to: Standing) -> bool {
        let standing = &mut self.standing[installation];
        from.contains(&std::mem::replace(standing, to))
    }

    fn propose(&mut self, index: usize, at: Time) -> bool {
        let ask = self.asks[index];
        let daily = Counted::Daily { installation: ask.installation, coin: ask.coin, day: at.day() };
        let fits = |counted: Counted| {
            let (reserved, spent) = self.used(counted);
            self.limit(counted).is_some_and(|limit| reserved + spent + ask.amount <= limit)
        };
        // Everything, the first installation, and the plugin that both are installations of.
        let frozen = self.frozen.keys().any(|scope| *scope != 1 || ask.installation == 0);
        let allowed = !frozen
            && self.standing[ask.installation] == Standing::Active
            && at < ask.valid_until
            && !self.closed.contains(&ask.order)
            && ORDERS[ask.order].1 == ask.coin
            && self.granted(ask.installation, ask.coin).is_some_and(|(most, _)| ask.amount <= most)
            && fits(daily)
            && fits(Counted::Order(ask.order));
        let phase = match allowed {
            false => Phase::Denied,
            true if ask.amount > REVIEW_ABOVE => Phase::Review,
            true => Phase::Approved,
        };
        let asked = Asked { phase, day: at.day(), approvals: BTreeSet::new(), words: BTreeMap::new() };
        self.asked.insert(index, asked).is_none()
    }

    fn reviewed(&mut self, ask: usize, at: Time, what: impl FnOnce(&mut Asked) -> bool) -> bool {
        let valid = at < self.asks[ask].valid_until;
        let Some(asked) = self.asked.get_mut(&ask) else { return false };
        asked.approvals.retain(|person| !self.revoked.contains(&Key::Approver(*person)));
        asked.phase == Phase::Review && valid && what(asked)
    }

    fn cancel(&mut self, ask: usize) -> bool {
        let Some(asked) = self.asked.get_mut(&ask) else { return false };
        asked.phase = match asked.phase {
            Phase::Review => Phase::Cancelled,
            Phase::Approved => Phase::Withdrawn,
            _ => return false,
        };
        true
    }

    fn attest(&mut self, ask: usize, node: usize, word: Word, at: Time) -> bool {
        let speaks: Vec<usize> = (0..4).filter(|n| self.speaks(*n)).collect();
        let (epoch, valid_until) = (self.epoch, self.asks[ask].valid_until);
        let Some(asked) = self.asked.get_mut(&ask) else { return false };
        let again = asked.words.get(&node).is_some_and(|(said, then)| said.repeats(word) && *then == epoch);
        let early = word.verdict == Verdict::Void && at <= valid_until;
        if !speaks.contains(&node) || !asked.phase.may_execute() || again || early {
            return false;
        }
        asked.words.insert(node, (word, epoch));
        let agree = speaks.iter().filter(|n| asked.words.get(n).is_some_and(|(said, _)| said.agrees(word)));
        if agree.count() >= SIGNERS {
            asked.phase = if word.verdict == Verdict::Final { Phase::Final } else { Phase::Void };
        }
        true
    }
}
