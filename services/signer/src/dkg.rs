//! Key generation, one request per step. The coordinator forwards every participant's signed answer to all the others,
//! so it can stop a ceremony and not change it.

use crate::{
    Node,
    sealing::{self, Route},
    session,
};
use domain::{Digest, Time};
use messages::{
    CommitReply, DkgAccept, DkgAccepted, DkgBegin, DkgConfirm, DkgConfirmed, DkgEcho, DkgFinish, DkgGroupKeys,
    DkgRound1, DkgRound1Reply, DkgRound2, DkgRound2Reply, DkgSealed, Envelope, FORWARDED_TOLERANCE, Hex, Refusal,
    RefusalCode, SignReply, SignRequest, SigningSubject, Suite, paths,
};
use rand_core::OsRng;
use serde::de::DeserializeOwned;
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};
use threshold::{
    Participant, ParticipantId, Roster,
    dkg::{self, Ceremony, DkgError, Packages, SecretPackages},
};
use x25519_dalek::{PublicKey, StaticSecret};

/// Ceremonies at once; each is a person's action and takes seconds.
const MAX_CEREMONIES: usize = 4;
/// A ceremony that has not ended by then is given up.
const CEREMONY_SECONDS: u64 = 600;

#[derive(Default)]
pub(crate) struct Ceremonies(Mutex<BTreeMap<Digest, Running>>);

struct Running {
    started: Time,
    roster: Roster,
    me: ParticipantId,
    sealing: StaticSecret,
    sealing_keys: BTreeMap<ParticipantId, [u8; 32]>,
    step: Step,
}

enum Step {
    Begun(Box<dkg::Round1>),
    Echoed(Box<dkg::Echoed>),
    Shared(Box<dkg::Round2>),
    Finished(Box<dkg::Unconfirmed>),
    Testing(Box<dkg::Untested>),
    /// A step failed; nothing can go on from here.
    Over,
}

fn wrong_step<T>() -> Result<T, Refusal> {
    Err(Refusal::new(RefusalCode::WrongStep, "the key generation is unknown here or in another step"))
}

fn failed(error: &DkgError) -> Refusal {
    let mut refusal = Refusal::new(RefusalCode::DkgFailed, error.to_string());
    refusal.culprits = error.culprits.iter().map(|id| id.get()).collect();
    refusal
}

fn bad(detail: impl Into<String>) -> Refusal {
    Refusal::new(RefusalCode::DkgFailed, detail)
}

impl Ceremonies {
    fn with<T>(&self, ceremony: &Digest, f: impl FnOnce(&mut Running) -> Result<T, Refusal>) -> Result<T, Refusal> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(running) = all.get_mut(ceremony) else { return wrong_step() };
        f(running)
    }

    pub fn begin(&self, node: &Node, request: &DkgBegin) -> Result<DkgRound1Reply, Refusal> {
        let now = node.ambient.now();
        let participant = |p: &messages::DkgParticipant| {
            ParticipantId::new(p.id).map(|id| Participant { id, node: p.node, url: p.url.clone() })
        };
        let participants = request.participants.iter().map(participant).collect::<Result<Vec<_>, _>>();
        let participants = participants.map_err(|e| bad(e.to_string()))?;
        let roster = Roster::new(request.epoch, request.threshold, participants).map_err(|e| bad(e.to_string()))?;
        let me = roster.by_node(&node.did).ok_or_else(|| bad("this node is not in the roster"))?.id;
        let ceremony = Ceremony::new(request.ceremony, roster.clone(), me).map_err(|e| failed(&e))?;
        let (round1, packages) = dkg::begin(ceremony, &mut OsRng).map_err(|e| failed(&e))?;
        let sealing = StaticSecret::random_from_rng(OsRng);
        let sealing_key = PublicKey::from(&sealing).as_bytes().to_vec();

        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, r| now.since(r.started) < CEREMONY_SECONDS);
        if all.contains_key(&request.ceremony) {
            return wrong_step();
        }
        if all.len() >= MAX_CEREMONIES {
            return Err(Refusal::new(RefusalCode::Busy, "too many key generations at once"));
        }
        let step = Step::Begun(Box::new(round1));
        all.insert(
            request.ceremony,
            Running { started: now, roster, me, sealing, sealing_keys: BTreeMap::new(), step },
        );
        Ok(DkgRound1Reply {
            ceremony: request.ceremony,
            participant: me.get(),
            secp256k1: Hex(packages.secp256k1),
            ed25519: Hex(packages.ed25519),
            sealing_key: Hex(sealing_key),
        })
    }

    pub fn round1(&self, node: &Node, request: &DkgRound1) -> Result<DkgEcho, Refusal> {
        self.with(&request.ceremony, |running| {
            let replies: BTreeMap<_, DkgRound1Reply> = running.open(
                node,
                &request.replies,
                paths::DKG_BEGIN,
                |r: &DkgRound1Reply| (r.ceremony, r.participant),
                &request.ceremony,
            )?;
            let mut packages = BTreeMap::new();
            for (id, reply) in replies {
                let key: [u8; 32] =
                    reply.sealing_key.0.try_into().map_err(|_| bad(format!("participant {id}: sealing key")))?;
                running.sealing_keys.insert(id, key);
                packages.insert(id, Packages { secp256k1: reply.secp256k1.0, ed25519: reply.ed25519.0 });
            }
            let Step::Begun(round1) = std::mem::replace(&mut running.step, Step::Over) else { return wrong_step() };
            let (echoed, echo) = round1.echo(&packages).map_err(|e| failed(&e))?;
            running.step = Step::Echoed(Box::new(echoed));
            let keys: Vec<u8> = running.sealing_keys.values().flatten().copied().collect();
            Ok(DkgEcho {
                ceremony: request.ceremony,
                participant: running.me.get(),
                echo,
                sealing_keys: Digest::sha256(&keys),
            })
        })
    }

    pub fn round2(&self, node: &Node, request: &DkgRound2) -> Result<DkgRound2Reply, Refusal> {
        self.with(&request.ceremony, |running| {
            let echoes: BTreeMap<_, DkgEcho> = running.open(
                node,
                &request.echoes,
                paths::DKG_ROUND1,
                |e: &DkgEcho| (e.ceremony, e.participant),
                &request.ceremony,
            )?;
            let keys: Vec<u8> = running.sealing_keys.values().flatten().copied().collect();
            let own = Digest::sha256(&keys);
            if let Some((id, _)) = echoes.iter().find(|(_, e)| e.sealing_keys != own) {
                running.step = Step::Over;
                return Err(bad(format!("participants received different sealing keys (differs at {id})")));
            }
            let Step::Echoed(echoed) = std::mem::replace(&mut running.step, Step::Over) else { return wrong_step() };
            let echoes = echoes.into_iter().map(|(id, e)| (id, e.echo)).collect();
            let (shared, out) = echoed.round2(&echoes).map_err(|e| failed(&e))?;
            running.step = Step::Shared(Box::new(shared));
            let packages = out
                .iter()
                .map(|(to, package)| running.seal(&request.ceremony, *to, package))
                .collect::<Result<Vec<_>, _>>()?;
            Ok(DkgRound2Reply { ceremony: request.ceremony, participant: running.me.get(), packages })
        })
    }

    pub fn finish(&self, node: &Node, request: &DkgFinish) -> Result<DkgConfirmed, Refusal> {
        self.with(&request.ceremony, |running| {
            let replies: BTreeMap<_, DkgRound2Reply> = running.open(
                node,
                &request.replies,
                paths::DKG_ROUND2,
                |r: &DkgRound2Reply| (r.ceremony, r.participant),
                &request.ceremony,
            )?;
            let mut received = BTreeMap::new();
            for (id, reply) in replies.iter().filter(|(id, _)| **id != running.me) {
                received.insert(*id, running.unseal(&request.ceremony, *id, reply)?);
            }
            let Step::Shared(round2) = std::mem::replace(&mut running.step, Step::Over) else { return wrong_step() };
            let (unconfirmed, confirmation) = round2.finish(&received).map_err(|e| failed(&e))?;
            let groups = unconfirmed.groups();
            let key = |bytes: Result<Vec<u8>, threshold::KeyError>| bytes.map(Hex).map_err(|e| bad(e.to_string()));
            let group_keys = DkgGroupKeys {
                secp256k1: key(groups.secp256k1.verifying_key())?,
                ed25519: key(groups.ed25519.verifying_key())?,
            };
            let packages =
                DkgGroupKeys { secp256k1: key(groups.secp256k1.to_bytes())?, ed25519: key(groups.ed25519.to_bytes())? };
            running.step = Step::Finished(Box::new(unconfirmed));
            Ok(DkgConfirmed {
                ceremony: request.ceremony,
                participant: running.me.get(),
                confirmation,
                group_keys,
                packages,
            })
        })
    }

    pub fn confirm(&self, node: &Node, request: &DkgConfirm) -> Result<DkgAccepted, Refusal> {
        self.with(&request.ceremony, |running| {
            let all: BTreeMap<_, DkgConfirmed> = running.open(
                node,
                &request.confirmations,
                paths::DKG_FINISH,
                |c: &DkgConfirmed| (c.ceremony, c.participant),
                &request.ceremony,
            )?;
            let Step::Finished(unconfirmed) = std::mem::replace(&mut running.step, Step::Over) else {
                return wrong_step();
            };
            let all = all.into_iter().map(|(id, c)| (id, c.confirmation)).collect();
            running.step = Step::Testing(Box::new(unconfirmed.confirm(&all).map_err(|e| failed(&e))?));
            Ok(DkgAccepted { ceremony: request.ceremony, participant: running.me.get(), usable: false })
        })
    }

    /// A commitment for the test signature.
    pub fn commit(&self, subject: &SigningSubject) -> Result<CommitReply, Refusal> {
        let SigningSubject::DkgTest { ceremony, suite } = subject else { return wrong_step() };
        self.with(ceremony, |running| {
            let (me, epoch) = (running.me, running.roster.epoch());
            let Step::Testing(untested) = &mut running.step else { return wrong_step() };
            let made = untested.commit(&mut OsRng).map_err(|e| bad(e.to_string()))?;
            let commitment = match suite {
                Suite::Secp256k1 => made.secp256k1,
                Suite::Ed25519 => made.ed25519,
            };
            Ok(session::reply(me, epoch, subject, commitment))
        })
    }

    /// A share of the test signature.
    pub fn sign(&self, node: &Node, request: &SignRequest) -> Result<SignReply, Refusal> {
        let SigningSubject::DkgTest { ceremony, suite } = &request.subject else { return wrong_step() };
        let subject = request.subject.digest();
        self.with(ceremony, |running| {
            let made: BTreeMap<_, CommitReply> = running.open(
                node,
                &request.commitments,
                paths::SESSION_COMMIT,
                |r: &CommitReply| (r.subject, r.participant),
                &subject,
            )?;
            let made: Vec<_> = made.into_iter().map(|(id, reply)| (id.get(), reply.commitment)).collect();
            let me = running.me.get();
            let Step::Testing(untested) = &mut running.step else { return wrong_step() };
            let message = |m: Result<Digest, DkgError>| m.map_err(|e| failed(&e));
            let (share, message) = match suite {
                Suite::Secp256k1 => {
                    let set = session::commitments(untested.groups().secp256k1, &made)?;
                    let message = message(dkg::test_message(ceremony, untested.groups().secp256k1))?;
                    (untested.sign_secp256k1(&set).map_err(|e| failed(&e))?, message)
                }
                Suite::Ed25519 => {
                    let set = session::commitments(untested.groups().ed25519, &made)?;
                    let message = message(dkg::test_message(ceremony, untested.groups().ed25519))?;
                    (untested.sign_ed25519(&set).map_err(|e| failed(&e))?, message)
                }
            };
            Ok(SignReply { participant: me, share: Hex(share), message: Digest::sha256(message.as_bytes()) })
        })
    }

    /// Stores the keys once the group has proven that it can sign with them.
    pub fn accept(&self, node: &Node, request: &DkgAccept) -> Result<DkgAccepted, Refusal> {
        self.with(&request.ceremony, |running| {
            let Step::Testing(untested) = &running.step else { return wrong_step() };
            untested.check(&request.secp256k1.0, &request.ed25519.0).map_err(|e| failed(&e))?;
            let Step::Testing(untested) = std::mem::replace(&mut running.step, Step::Over) else {
                return wrong_step();
            };
            let keys = untested.accept(&request.secp256k1.0, &request.ed25519.0).map_err(|e| failed(&e))?;
            let unavailable = |e: crate::KeysError| Refusal::new(RefusalCode::StorageUnavailable, e.to_string());
            node.keys.keep(&node.config, &request.ceremony, keys).map_err(unavailable)?;
            Ok(DkgAccepted { ceremony: request.ceremony, participant: running.me.get(), usable: true })
        })
    }
}

impl Running {
    /// Opens what the coordinator forwards: each answer by the participant that it claims, one of each.
    fn open<T: DeserializeOwned>(
        &self,
        node: &Node,
        envelopes: &[Envelope],
        path: &str,
        says: impl Fn(&T) -> (Digest, u16),
        ceremony: &Digest,
    ) -> Result<BTreeMap<ParticipantId, T>, Refusal> {
        let mut all = BTreeMap::new();
        for envelope in envelopes {
            let sender = self.roster.by_node(&envelope.from).ok_or_else(|| bad("an answer of a stranger"))?;
            let opened = envelope
                .open_forwarded::<T>(&sender.node, path, node.ambient.now(), FORWARDED_TOLERANCE)
                .map_err(|e| bad(format!("participant {}: {e}", sender.id)))?;
            let body = opened.into_body();
            if says(&body) != (*ceremony, sender.id.get()) {
                return Err(bad(format!("participant {}: an answer of another ceremony", sender.id)));
            }
            if all.insert(sender.id, body).is_some() {
                return Err(bad(format!("participant {}: two answers", sender.id)));
            }
        }
        Ok(all)
    }

    fn seal(&self, ceremony: &Digest, to: ParticipantId, package: &SecretPackages) -> Result<DkgSealed, Refusal> {
        let key = self.sealing_keys.get(&to).ok_or_else(|| bad(format!("participant {to}: no sealing key")))?;
        let route = Route { ceremony: *ceremony, from: self.me.get(), to: to.get() };
        let sealed = sealing::seal(&package.to_bytes(), key, route)
            .ok_or_else(|| bad(format!("participant {to}: its sealing key is not usable")))?;
        Ok(DkgSealed { to: to.get(), sealed: Hex(sealed) })
    }

    fn unseal(
        &self,
        ceremony: &Digest,
        from: ParticipantId,
        reply: &DkgRound2Reply,
    ) -> Result<SecretPackages, Refusal> {
        let unusable = || {
            let mut refusal = bad(format!("participant {from}: its package does not open"));
            refusal.culprits = vec![from.get()];
            refusal
        };
        let mut mine = reply.packages.iter().filter(|p| p.to == self.me.get());
        let (Some(package), None) = (mine.next(), mine.next()) else { return Err(unusable()) };
        let route = Route { ceremony: *ceremony, from: from.get(), to: self.me.get() };
        let plain = sealing::open(&package.sealed.0, &self.sealing, route).ok_or_else(unusable)?;
        SecretPackages::from_bytes(&plain).ok_or_else(unusable)
    }
}
