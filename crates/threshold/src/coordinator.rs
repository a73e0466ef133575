use crate::{
    Ciphersuite, CommitmentSet, GroupKey, ParticipantId,
    commitments::{add_up, parse_commitment},
    verify_share,
};
use std::collections::{BTreeMap, BTreeSet};

/// The number of an attempt within one coordination, from 0.
pub type SessionNumber = usize;

/// What the coordinator wants sent to one participant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Ask for a fresh commitment.
    Commit {
        /// Whom to ask.
        to: ParticipantId,
    },
    /// Ask for a share within these commitments. The message is not sent: a signer computes it itself.
    Sign {
        /// Whom to ask.
        to: ParticipantId,
        /// Hand this back with the share.
        session: SessionNumber,
        /// Everyone's commitments, in the order of identifiers.
        commitments: Vec<(ParticipantId, Vec<u8>)>,
    },
}

/// There will be no signature.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Fewer than t participants are left.
    #[error("{} participants are ready, {needed} are needed", ready.len())]
    NotEnough {
        /// Who did everything asked so far.
        ready: Vec<ParticipantId>,
        /// The threshold.
        needed: u16,
        /// Who sent something provably wrong.
        culprits: Vec<ParticipantId>,
        /// Who refused, could not be reached or did not answer.
        silent: Vec<ParticipantId>,
    },
    /// Verified shares did not add up, which would be a fault in this program.
    #[error("verified shares add up to no valid signature")]
    Aggregation,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Standing {
    /// A commitment is to be asked for.
    Idle,
    /// A commitment has been asked for.
    Asked,
    /// A commitment is here.
    Ready(Vec<u8>),
    /// A share has been asked for.
    Signing(SessionNumber),
    /// The share is here, those of others are not.
    Delivered(SessionNumber),
    Silent,
    Culprit,
}

struct Session<C: Ciphersuite> {
    set: CommitmentSet<C>,
    shares: BTreeMap<ParticipantId, Vec<u8>>,
}

/// Collects one group signature, sans I/O: tell it what came in and send what it returns, until [`Self::outcome`].
///
/// Every share is verified when it arrives, and a wrong one excludes its sender. As in ROAST (ia.cr/2022/550), a
/// participant owes a share to at most one attempt, so n − t faulty ones cause at most n − t + 1 attempts and cannot
/// stop t honest ones. The identity of a sender is the caller's to authenticate.
pub struct Coordinator<C: Ciphersuite> {
    group: GroupKey<C>,
    message: Vec<u8>,
    standing: BTreeMap<ParticipantId, Standing>,
    used: BTreeSet<(ParticipantId, Vec<u8>)>,
    sessions: Vec<Session<C>>,
    outcome: Option<Result<Vec<u8>, Failure>>,
}

impl<C: Ciphersuite> Coordinator<C> {
    /// Collects a signature of `group` over `message`, and the first requests: a commitment of everyone.
    pub fn new(group: GroupKey<C>, message: Vec<u8>) -> (Self, Vec<Request>) {
        let standing = group.participants().iter().map(|id| (*id, Standing::Idle)).collect();
        let (used, sessions, outcome) = (BTreeSet::new(), Vec::new(), None);
        let mut new = Self { group, message, standing, used, sessions, outcome };
        let requests = new.advance();
        (new, requests)
    }

    /// The verified signature or why there is none; `None` while answers are awaited.
    pub const fn outcome(&self) -> Option<&Result<Vec<u8>, Failure>> {
        self.outcome.as_ref()
    }

    /// A commitment came from `from`. One that was not asked for is ignored.
    pub fn commitment(&mut self, from: ParticipantId, bytes: &[u8]) -> Vec<Request> {
        if self.standing.get(&from) != Some(&Standing::Asked) {
            return Vec::new();
        }
        // An honest signer never repeats its own commitment and would refuse to sign with it again. That somebody else
        // sent the same one first says nothing about it: a thief can, and then cannot make the share.
        let fresh = parse_commitment::<C>(bytes).is_some() && self.used.insert((from, bytes.to_vec()));
        self.standing.insert(from, if fresh { Standing::Ready(bytes.to_vec()) } else { Standing::Culprit });
        self.advance()
    }

    /// A share for attempt `session` came from `from`. A late one still counts; one that was not asked for is ignored.
    pub fn share(&mut self, from: ParticipantId, session: SessionNumber, bytes: &[u8]) -> Vec<Request> {
        if self.outcome.is_some() || self.standing.get(&from) == Some(&Standing::Culprit) {
            return Vec::new();
        }
        let Some(attempt) = self.sessions.get_mut(session) else { return Vec::new() };
        if attempt.set.get(from).is_none() || attempt.shares.contains_key(&from) {
            return Vec::new();
        }
        if verify_share(&self.group, &attempt.set, &self.message, from, bytes).is_err() {
            self.standing.insert(from, Standing::Culprit);
            return self.advance();
        }
        attempt.shares.insert(from, bytes.to_vec());
        if attempt.shares.len() == attempt.set.entries().count() {
            let signature = add_up(&self.group, &attempt.set, &self.message, &attempt.shares);
            self.outcome = Some(signature.map_err(|_| Failure::Aggregation));
            return Vec::new();
        }
        if self.standing.get(&from) == Some(&Standing::Signing(session)) {
            self.standing.insert(from, Standing::Delivered(session));
        }
        self.advance()
    }

    /// `from` refused, could not be reached or did not answer in time; it is asked nothing more here and accused of
    /// nothing. A new coordinator asks everyone again.
    pub fn failed(&mut self, from: ParticipantId) -> Vec<Request> {
        if let Some(standing) = self.standing.get_mut(&from)
            && *standing != Standing::Culprit
        {
            *standing = Standing::Silent;
        }
        self.advance()
    }

    /// `from` is proven wrong by something that came beside its commitment or share; it is asked nothing more.
    pub fn convict(&mut self, from: ParticipantId) -> Vec<Request> {
        if let Some(standing) = self.standing.get_mut(&from) {
            *standing = Standing::Culprit;
        }
        self.advance()
    }

    /// Who is slow is not waited for any longer, but may still answer: everyone who has delivered is asked for a new
    /// commitment, so that an attempt without the slow ones can start.
    pub fn hurry(&mut self) -> Vec<Request> {
        for standing in self.standing.values_mut().filter(|s| matches!(s, Standing::Delivered(_))) {
            *standing = Standing::Idle;
        }
        self.advance()
    }

    /// Who sent something provably wrong so far.
    pub fn culprits(&self) -> Vec<ParticipantId> {
        self.who(|s| *s == Standing::Culprit)
    }

    fn who(&self, is: impl Fn(&Standing) -> bool) -> Vec<ParticipantId> {
        self.standing.iter().filter(|(_, s)| is(s)).map(|(id, _)| *id).collect()
    }

    fn usable(&self) -> Vec<ParticipantId> {
        self.who(|s| !matches!(s, Standing::Culprit | Standing::Silent))
    }

    /// Whether everyone who still owes a share to the attempt may yet deliver it.
    fn alive(&self, session: SessionNumber) -> bool {
        self.sessions.get(session).is_some_and(|attempt| {
            (attempt.set.entries())
                .filter(|(id, _)| !attempt.shares.contains_key(id))
                .all(|(id, _)| self.standing.get(&id) == Some(&Standing::Signing(session)))
        })
    }

    fn advance(&mut self) -> Vec<Request> {
        let needed = self.group.threshold();
        if self.outcome.is_some() {
            return Vec::new();
        }
        if self.usable().len() < usize::from(needed) && !(0..self.sessions.len()).any(|s| self.alive(s)) {
            let silent = self.who(|s| *s == Standing::Silent);
            self.outcome =
                Some(Err(Failure::NotEnough { ready: self.usable(), needed, culprits: self.culprits(), silent }));
            return Vec::new();
        }
        let stranded = self.who(|s| matches!(s, Standing::Delivered(session) if !self.alive(*session)));
        for id in stranded {
            self.standing.insert(id, Standing::Idle);
        }
        let mut requests = Vec::new();
        for (id, standing) in self.standing.iter_mut().filter(|(_, s)| **s == Standing::Idle) {
            *standing = Standing::Asked;
            requests.push(Request::Commit { to: *id });
        }
        requests.extend(self.start());
        requests
    }

    /// Starts an attempt as soon as t are ready: exactly t, since everyone invited must answer.
    fn start(&mut self) -> Vec<Request> {
        let t = usize::from(self.group.threshold());
        let ready = self.standing.iter().filter_map(|(id, s)| match s {
            Standing::Ready(bytes) => Some((*id, bytes.clone())),
            _ => None,
        });
        let commitments: Vec<_> = ready.take(t).collect();
        // A set of verified commitments of the group fails to parse only when there are too few of them.
        let Ok(set) = CommitmentSet::new(&self.group, commitments.iter().map(|(id, b)| (*id, b))) else {
            return Vec::new();
        };
        let session = self.sessions.len();
        self.sessions.push(Session { set, shares: BTreeMap::new() });
        let sign = |id: ParticipantId| Request::Sign { to: id, session, commitments: commitments.clone() };
        let requests = commitments.iter().map(|(id, _)| sign(*id)).collect();
        for (id, _) in &commitments {
            self.standing.insert(*id, Standing::Signing(session));
        }
        requests
    }
}

impl<C: Ciphersuite> std::fmt::Debug for Coordinator<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Coordinator").field("suite", &C::ID).field("standing", &self.standing).finish_non_exhaustive()
    }
}
