//! The chain's RPC endpoint dies between the acceptance of payouts and their inclusion, and the control plane falls
//! silent meanwhile.

use crate::{
    payouts::Client,
    proxy::Proxy,
    system::{Signer, System, within},
};
use client::{Ambient, ClientError, SignerClient};
use domain::Cid;
use keyfile::{Identity, Passphrase};
use messages::{CommitReply, CommitRequest, ProposalStatus, RefusalCode, SigningSubject, paths};
use rustix::process::Signal;
use std::{fs, net::SocketAddr, process::Stdio, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

/// Far more than what happens by itself takes: probes every two seconds, views of five, a relayer's pauses of thirty.
const PATIENCE: Duration = Duration::from_secs(90);
/// Seconds for which a checkpoint allows signing here: the shortest that a signer takes.
const LEASE: u64 = 5;

/// A chain that is not of the system under test.
async fn anvil() -> (Child, SocketAddr) {
    let mut command = Command::new("sh");
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../contracts/tool.sh")).arg("anvil");
    command.args(["--port", "0", "--chain-id", "31337", "--block-time", "1", "--mixed-mining"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut chain = command.spawn().unwrap();
    let mut lines = BufReader::new(chain.stdout.take().unwrap()).lines();
    let address = loop {
        let line = lines.next_line().await.unwrap().expect("anvil says where it listens");
        if let Some(address) = line.strip_prefix("Listening on ") {
            break address.parse().unwrap();
        }
    };
    // Whoever prints into a closed pipe dies.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    (chain, address)
}

impl System {
    /// Waits until a process is not ready, for a reason.
    async fn is_unready(&self, name: &str, url: &domain::NodeUrl, reason: &str) {
        let url = format!("{}/readyz", url.as_str().trim_end_matches('/'));
        let told = within(PATIENCE, async || {
            let answer = self.http.get(&url).send().await.ok()?;
            let status = answer.status().as_u16();
            answer.text().await.ok().filter(|text| status == 503 && text.contains(reason))
        });
        assert!(told.await.is_some(), "{name} does not say: {reason}\n{}", self.log(name));
    }

    async fn signers_are_unready(&self, reason: &str) {
        for signer in &self.record.signers {
            self.is_unready(&signer.name, &signer.url, reason).await;
        }
    }

    /// Gives every signer the shortest lease, and waits until it runs with it.
    async fn shorten_leases(&self) {
        for signer in &self.record.signers {
            let path = self.folder().join(&signer.name).join("config.toml");
            let text = fs::read_to_string(&path).unwrap();
            fs::write(&path, format!("lease = {LEASE}\n{text}")).unwrap();
            let pid = self.pid(&signer.name).await;
            Self::signal(pid, Signal::KILL);
            let again = within(PATIENCE, async || (*self.pids()?.get(&signer.name)? != pid).then_some(()));
            assert!(again.await.is_some(), "{} is not started again", signer.name);
        }
        self.ready().await;
    }

    /// Asks a signer, as the relayer does, to take part in a signature.
    async fn ask_to_sign(&self, signer: &Signer, proposal: Cid, min_seq: u64) -> Result<CommitReply, ClientError> {
        let passphrase = Passphrase::read(&self.folder().join("passphrase")).unwrap();
        let relayer = Identity::open(&self.folder().join("keys/relayer.key"), &passphrase).unwrap();
        let client = SignerClient::new(signer.url.clone(), signer.node, relayer, Ambient::system()).unwrap();
        let request = CommitRequest { subject: SigningSubject::Intent { proposal }, min_seq, checkpoints: Vec::new() };
        Ok(client.ask(paths::SESSION_COMMIT, &request, PATIENCE).await?.reply)
    }

    async fn has_metric(&self, url: &domain::NodeUrl, line: &str) -> bool {
        self.text(url, "/metrics").await.is_some_and(|text| text.lines().any(|l| l == line))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_rpc_endpoint_and_a_silent_control_plane_pay_nothing_twice_and_end_by_themselves() {
    let (_chain, address) = anvil().await;
    let mut proxy = Proxy::start(address).await;
    let system = System::start_with(&["--rpc", &proxy.url()]).await;
    system.shorten_leases().await;
    let client = Client::new(&system).await;

    // Accepted while the chain is there, included by nobody knows when.
    let mut payouts = Vec::new();
    for _ in 0..3 {
        payouts.push(client.pay().await);
    }
    proxy.cut().await;
    for _ in 0..2 {
        payouts.push(client.pay().await);
    }
    let (relayer, signers) = (&system.record.relayer.url, &system.record.signers);
    system.is_unready("relayer", relayer, "no answer from the RPC endpoint").await;
    system.signers_are_unready("the RPC endpoint does not answer").await;
    assert!(system.has_metric(relayer, "countersign_relayer_rpc_up{chain=\"eip155:31337\"} 0").await);
    for signer in signers {
        assert!(system.has_metric(&signer.url, "countersign_signer_rpc_up 0").await, "{}", signer.name);
    }
    assert!(system.text(&system.record.control_plane.url, "/readyz").await.is_some(), "it needs no chain");

    // With a fresh view, signers commit to what is approved; with a stale one they do not, and say so.
    let (open, told) = *payouts.last().unwrap();
    for signer in signers {
        let signs = within(PATIENCE, async || system.ask_to_sign(signer, open, told.seq).await.ok());
        assert!(signs.await.is_some(), "{} does not commit:\n{}", signer.name, system.log(&signer.name));
    }
    let control_plane = system.pid("control-plane").await;
    System::signal(control_plane, Signal::STOP);
    system.signers_are_unready("the view of the log is older than its lease").await;
    for signer in signers {
        let refused = system.ask_to_sign(signer, open, told.seq).await;
        let Err(ClientError::Refused(refusal)) = refused else { panic!("{}: {refused:?}", signer.name) };
        assert_eq!(refusal.code, RefusalCode::StaleView, "{refusal:?}");
    }
    System::signal(control_plane, Signal::CONT);
    for signer in signers {
        let signs = within(PATIENCE, async || system.ask_to_sign(signer, open, told.seq).await.ok());
        assert!(signs.await.is_some(), "{} has no fresh view again:\n{}", signer.name, system.log(&signer.name));
    }

    proxy.mend().await;
    system.ready().await;
    for (id, _) in &payouts {
        let paid = within(PATIENCE, async || {
            let view = client.reader().proposal(id).await.ok()?;
            (view.status == ProposalStatus::Final).then_some(())
        });
        let now = client.reader().proposal(id).await;
        assert!(paid.await.is_some(), "{id} is not final: {now:?}\n{}", system.log("relayer"));
    }
    let executions = system.executions().await;
    assert_eq!(executions.len(), payouts.len(), "nothing else was paid");
    for (id, _) in &payouts {
        assert_eq!(executions.get(id.digest()), Some(&1), "{id}");
    }
    assert_eq!(system.pid("control-plane").await, control_plane, "nothing was restarted");
    system.stop().await;
}
