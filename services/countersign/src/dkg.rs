//! Coordinates a key generation among running signers. It forwards what the nodes sign and learns no secret: it can
//! stop a ceremony and not change it.

mod made;

use anyhow::{Context as _, ensure};
use client::{Ambient, Exchange, SignerClient};
use domain::Digest;
use futures_util::future::try_join_all;
use keyfile::Identity;
use ledger::{Participant, Quorum};
use made::Made;
use messages::{
    DkgAccept, DkgAccepted, DkgBegin, DkgConfirm, DkgConfirmed, DkgEcho, DkgFinish, DkgParticipant, DkgRound1,
    DkgRound1Reply, DkgRound2, DkgRound2Reply, Envelope, Hex, SigningSubject, Suite, paths,
};
use relayer::{Panel, Patience, gather};
use serde::{Serialize, de::DeserializeOwned};
use std::{sync::Arc, time::Duration};
use threshold::{Ciphersuite, GroupKey, ParticipantId, dkg::test_message};

/// For one step of one node: it derives keys for everyone.
const STEP: Duration = Duration::from_secs(30);
/// Signers to choose from are asked at once, so a key generation ends while its answers are young.
const TEST: Patience =
    Patience { request: Duration::from_secs(10), hurry: Duration::from_secs(2), total: Duration::from_secs(30) };

/// One key generation: who takes part, and for which epoch.
pub struct Ceremony<'a> {
    /// The operator's node key, which signers take orders from.
    pub identity: &'a Identity,
    /// Time and randomness.
    pub ambient: &'a Ambient,
    /// The epoch of the new keys.
    pub epoch: u64,
    /// How many sign together.
    pub threshold: u16,
    /// Everyone, by ascending identifier.
    pub participants: Vec<Participant>,
}

struct Run<'a> {
    ceremony: &'a Ceremony<'a>,
    id: Digest,
    nodes: Vec<Arc<SignerClient>>,
}

impl Ceremony<'_> {
    /// Runs it to the end: both keys are made, tested by a signature of the group and kept by every node. `progress`
    /// hears of every step.
    pub async fn run(&self, progress: &mut (dyn FnMut(&str) + Send)) -> anyhow::Result<Quorum> {
        let id = Digest::from_bytes(self.ambient.random().context("the system gives no randomness")?);
        let connect = |p: &Participant| {
            SignerClient::new(p.url.clone(), p.node, self.identity.clone(), self.ambient.clone()).map(Arc::new)
        };
        let nodes = self.participants.iter().map(connect).collect::<Result<_, _>>()?;
        let run = Run { ceremony: self, id, nodes };

        let participant = |p: &Participant| DkgParticipant { id: p.id, node: p.node, url: p.url.clone() };
        let participants = self.participants.iter().map(participant).collect();
        let begin = DkgBegin { ceremony: id, epoch: self.epoch, threshold: self.threshold, participants };
        let first: Vec<Exchange<DkgRound1Reply>> = run.ask(paths::DKG_BEGIN, &begin).await?;
        progress("every signer has published its first packages (two suites)");

        let round1 = DkgRound1 { ceremony: id, replies: signed(&first) };
        let echoes: Vec<Exchange<DkgEcho>> = run.ask(paths::DKG_ROUND1, &round1).await?;
        let same = echoes.windows(2).all(|w| matches!(w, [a, b] if a.reply.echo == b.reply.echo));
        ensure!(same, "signers received different first packages; nothing was made");
        progress("every signer echoes the same first packages");

        let round2 = DkgRound2 { ceremony: id, echoes: signed(&echoes) };
        let second: Vec<Exchange<DkgRound2Reply>> = run.ask(paths::DKG_ROUND2, &round2).await?;
        progress("every signer has sealed a secret package to each of the others");

        let finish = DkgFinish { ceremony: id, replies: signed(&second) };
        let confirmed: Vec<Exchange<DkgConfirmed>> = run.ask(paths::DKG_FINISH, &finish).await?;
        let confirm = DkgConfirm { ceremony: id, confirmations: signed(&confirmed) };
        let _: Vec<Exchange<DkgAccepted>> = run.ask(paths::DKG_CONFIRM, &confirm).await?;
        progress("every signer holds its share of both keys and confirms the same public keys");

        let confirmed: Vec<&DkgConfirmed> = confirmed.iter().map(|c| &c.reply).collect();
        let made = Made::agreed(&id, self.threshold, &self.participants, &confirmed)?;
        let (secp256k1, ed25519) = tokio::try_join!(
            run.test(Suite::Secp256k1, made.secp256k1.clone()),
            run.test(Suite::Ed25519, made.ed25519.clone()),
        )?;
        let accept = DkgAccept { ceremony: id, secp256k1: Hex(secp256k1), ed25519: Hex(ed25519) };
        let accepted: Vec<Exchange<DkgAccepted>> = run.ask(paths::DKG_ACCEPT, &accept).await?;
        ensure!(accepted.iter().all(|a| a.reply.usable), "a signer does not use its new key");
        progress("the group has signed a test message with both keys; shares are kept, encrypted");
        self.quorum(made)
    }

    fn quorum(&self, made: Made) -> anyhow::Result<Quorum> {
        let (keys, packages) = made.into_parts()?;
        Ok(Quorum {
            epoch: self.epoch,
            threshold: self.threshold,
            participants: self.participants.clone(),
            keys,
            packages,
        })
    }
}

impl Run<'_> {
    /// Asks every node the same; all must answer.
    async fn ask<Q: Serialize + Sync, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &Q,
    ) -> anyhow::Result<Vec<Exchange<T>>> {
        let asked = self.nodes.iter().zip(&self.ceremony.participants).map(|(node, p)| async move {
            node.ask(path, body, STEP).await.with_context(|| format!("{path}: signer {} at {}", p.id, p.url))
        });
        try_join_all(asked).await
    }

    async fn test<C: Ciphersuite>(&self, suite: Suite, group: GroupKey<C>) -> anyhow::Result<Vec<u8>> {
        let message = test_message(&self.id, &group)?;
        let ids = self.ceremony.participants.iter().map(|p| ParticipantId::new(p.id));
        let ids = ids.collect::<Result<Vec<_>, _>>()?;
        let panel = Panel {
            epoch: self.ceremony.epoch,
            group,
            signers: ids.into_iter().zip(self.nodes.iter().cloned()).collect(),
            horizon: None,
        };
        let subject = SigningSubject::DkgTest { ceremony: self.id, suite };
        let gathered = gather(&panel, &subject, message.as_bytes().to_vec(), 0, TEST).await;
        Ok(gathered.with_context(|| format!("the test signature of the new {suite:?} key"))?.signature)
    }
}

fn signed<T>(exchanges: &[Exchange<T>]) -> Vec<Envelope> {
    exchanges.iter().map(|e| e.envelope.clone()).collect()
}
