//! The escrow contract's guardian freezes it; the operator's admins and the quorum thaw it and change its caps.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "tests")]

#[path = "support/system.rs"]
mod support;

use alloy::{
    primitives::{Address, Bytes},
    providers::{Provider as _, ProviderBuilder},
    rpc::types::TransactionRequest,
    transports::http::reqwest,
};
use client::{Ambient, ClientError, SignerClient};
use keyfile::{Identity, Passphrase};
use messages::{CommitReply, CommitRequest, Refusal, RefusalCode, SigningSubject, paths};
use serde_json::Value;
use std::{cell::Cell, fs, future::Future, path::PathBuf, time::Duration};
use support::{System, json};

struct Market {
    folder: PathBuf,
    system: System,
    asset: String,
}

fn block<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(work)
}

impl Market {
    fn start(folder: &std::path::Path) -> Self {
        let system = System::start(folder);
        let asset = format!("eip155:31337/erc20:{}", system.record["chain"]["token"].as_str().unwrap());
        Self { folder: folder.to_owned(), system, asset }
    }

    fn run(&self, arguments: &[&str]) -> Value {
        let output = self.system.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        json(&output)
    }

    /// What it says on standard error when it fails with this code, and nothing on standard output.
    fn fails(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.system.run(arguments);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
        text
    }

    fn asked(&self) -> Value {
        self.run(&["escrow", "status", "--as", "operator-1"])["administrations"].clone()
    }

    /// Why a signer refuses, when the relayer asks it, to take part in a signature of a change that the log has at `seq`.
    /// It is asked again while it only waits for the log or the chain.
    fn refusal(&self, at: usize, id: &str, seq: u64) -> Refusal {
        let refusal = Cell::new(None);
        self.until("a judgement", |market| {
            let told = market.ask_signer(at, id, seq).unwrap_err();
            let is_judged = !matches!(told.code, RefusalCode::Behind | RefusalCode::ChainUnavailable);
            refusal.set(Some(told));
            is_judged
        });
        refusal.take().unwrap()
    }

    /// Asks a signer, as the relayer does, to take part in a signature of a change that the log has at `seq`.
    fn ask_signer(&self, at: usize, id: &str, seq: u64) -> Result<CommitReply, Refusal> {
        let passphrase = Passphrase::read(&self.folder.join("passphrase")).unwrap();
        let relayer = Identity::open(&self.folder.join("keys/relayer.key"), &passphrase).unwrap();
        let signer = &self.system.record["signers"][at];
        let (url, node) = (signer["url"].as_str().unwrap(), signer["node"].as_str().unwrap());
        let subject = SigningSubject::Administration { administration: id.parse().unwrap() };
        let body = CommitRequest { subject, min_seq: seq, checkpoints: Vec::new() };
        let answer = block(async {
            let client =
                SignerClient::new(url.parse().unwrap(), node.parse().unwrap(), relayer, Ambient::system()).unwrap();
            client.ask(paths::SESSION_COMMIT, &body, Duration::from_secs(20)).await
        });
        match answer {
            Ok(made) => Ok(made.reply),
            Err(ClientError::Refused(refusal)) => Err(*refusal),
            Err(other) => panic!("{other:?}"),
        }
    }

    /// The contract's guardian, who in a dev system is the chain's first account, freezes it.
    fn freeze(&self) {
        let chain = &self.system.record["chain"];
        let (rpc, contract) = (chain["rpc"].as_str().unwrap(), chain["escrow"].as_str().unwrap());
        let contract: Address = contract.parse().unwrap();
        let freeze = async {
            let http = reqwest::Client::builder().no_proxy().build().unwrap();
            let provider = ProviderBuilder::new().connect_reqwest(http, rpc.parse().unwrap());
            let guardian = provider.get_accounts().await.unwrap()[0];
            let request = TransactionRequest::default()
                .from(guardian)
                .to(contract)
                .input(Bytes::from(escrow::freeze_calldata()).into());
            let receipt = provider.send_transaction(request).await.unwrap().get_receipt().await.unwrap();
            assert!(receipt.status());
        };
        block(freeze);
    }

    fn contract(&self) -> Value {
        self.run(&["escrow", "status", "--as", "operator-1"])["contract"].clone()
    }

    fn cap(&self) -> String {
        let contract = self.contract();
        let cap = contract["caps"].as_array().unwrap().iter().find(|c| c["asset"] == self.asset.as_str());
        cap.unwrap()["cap"].as_str().unwrap().to_owned()
    }

    /// Proposes a test dollar, which policy allows outright.
    fn propose(&self) -> String {
        let account = |name: &str| self.system.record["recipients"][name].as_str().unwrap().to_owned();
        let (first, second) = (format!("{}=9500", account("alice")), format!("{}=500", account("carol")));
        let proposed = self.run(&[
            "propose",
            "--as",
            "plugin",
            "--order",
            "order-1",
            "--asset",
            &self.asset,
            "--total",
            "1000000",
            "--split",
            &first,
            "--split",
            &second,
        ]);
        assert_eq!(proposed["status"], "approved");
        proposed["id"].as_str().unwrap().to_owned()
    }

    fn status(&self, proposal: &str) -> String {
        self.run(&["status", "--as", "operator", proposal])["status"].as_str().unwrap().to_owned()
    }

    fn until(&self, what: &str, check: impl Fn(&Self) -> bool) {
        support::until(what, || check(self));
    }

    fn until_final(&self, proposal: &str) {
        self.until("a final payout", |m| m.status(proposal) == "final");
    }

    /// Both admins ask for a cap.
    fn set_cap(&self, cap: &str) {
        let asset = self.asset.clone();
        let asking = ["escrow", "cap", "--yes", "--as", "operator-1", "--asset", &asset, "--reason", "a test"];
        let asked = self.run(&[&asking[..], &["--cap", cap]].concat());
        let id = asked["administration"].as_str().unwrap();
        self.run(&["escrow", "approve", "--yes", "--as", "operator-2", "--reason", "a test", id]);
        self.until("the new cap", |m| m.cap() == cap);
    }
}

const THAW: [&str; 6] = ["escrow", "thaw", "--as", "operator-1", "--reason", "a false alarm"];
const APPROVE: [&str; 7] = ["escrow", "approve", "--yes", "--as", "operator-2", "--reason", "it was false"];

fn with<'a>(arguments: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [arguments, more].concat()
}

#[test]
fn two_admins_and_the_quorum_thaw_the_contract_and_change_its_caps() {
    let folder = tempfile::tempdir().unwrap();
    let market = Market::start(folder.path());
    assert_eq!(market.contract()["nonce"], 0);
    market.freeze();
    let frozen = market.contract();
    assert_eq!((&frozen["frozen"], &frozen["nonce"]), (&Value::Bool(true), &Value::from(1)));
    let held = market.propose();

    let asked = market.run(&with(&THAW, &["--keep-guardian", "--yes"]));
    let id = asked["administration"].as_str().unwrap();
    let again = ["escrow", "approve", "--yes", "--as", "operator-1", "--reason", "once more", id];
    assert!(market.fails(1, &again).contains("others must"));
    let open = market.run(&["escrow", "status", "--as", "operator-2"])["administrations"][0].clone();
    assert_eq!((open["id"].as_str(), &open["needed"]), (Some(id), &Value::from(2)));
    assert!(open.get("authorisation").is_none(), "one admin alone authorises nothing");
    assert_eq!(market.contract()["frozen"], true);
    assert_eq!(market.status(&held), "approved", "a frozen contract pays nothing");

    market.run(&with(&APPROVE, &[id]));
    market.until("the thaw", |m| m.contract()["frozen"] == false);
    assert_eq!(market.contract()["nonce"], 2);
    market.until_final(&held);

    // Less than what is paid out today already, so that the next payout has to wait for more.
    market.set_cap("500000");
    let capped = market.propose();
    market.set_cap("10000000");
    market.until_final(&capped);
    assert_eq!(market.contract()["nonce"], 4);
    market.system.stop();
}

#[test]
fn nothing_is_signed_that_is_not_shown_confirmed_and_due() {
    let folder = tempfile::tempdir().unwrap();
    let market = Market::start(folder.path());
    let keep = with(&THAW, &["--keep-guardian", "--yes"]);
    assert!(market.fails(2, &keep).contains("the contract is not frozen"));
    market.freeze();
    let guardian = market.contract()["guardian"].as_str().unwrap().to_owned();
    let other = "0x00000000000000000000000000000000000000aa";

    let choose = market.fails(2, &with(&THAW, &["--yes"]));
    assert!(choose.contains("--guardian") && choose.contains("--keep-guardian"), "{choose}");
    market.fails(2, &with(&THAW, &["--keep-guardian", "--guardian", other, "--yes"]));
    let ahead = market.fails(2, &with(&keep, &["--nonce", "2"]));
    assert!(ahead.contains("the contract's nonce is 1, not 2"), "{ahead}");

    // Standard input is not a terminal here.
    let shown = market.fails(2, &with(&THAW, &["--guardian", other])).replace("\n          | ", "");
    for part in [
        market.system.record["tenant"].as_str().unwrap(),
        &format!("{} on chain 31337", market.system.record["chain"]["escrow"].as_str().unwrap()),
        "FROZEN",
        "lift the contract's freeze",
        &format!("{other}; it has {guardian} now"),
        "nonce     1",
        " UTC, ",
        "\"a false alarm\"",
        "there is no terminal to ask at",
        "--yes",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(market.fails(2, &with(&THAW, &["--keep-guardian"])).contains(&format!("{guardian}, which it has now")));
    let cap =
        ["escrow", "cap", "--as", "operator-1", "--reason", "sales", "--cap", "5000000", "--asset", &market.asset];
    let shown = market.fails(2, &cap).replace("\n          | ", "");
    let amount = r#"5.000000 "USDC", 5000000 base units on the chain, as the control plane says"#;
    assert!(shown.contains(amount), "{shown}");
    let unknown = "eip155:31337/erc20:0x00000000000000000000000000000000000000aa";
    let unknown = with(&cap[..8], &["--asset", unknown, "--yes"]);
    assert!(market.fails(2, &unknown).contains("the tenant does not deal in"));
    assert_eq!(market.asked().as_array().unwrap().len(), 0);

    // With --yes all of it is shown, too, and standard output holds the result alone.
    let output = market.system.run(&keep);
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 1);
    assert!(String::from_utf8_lossy(&output.stderr).contains(&format!("{guardian}, which it has now")));
    let id = json(&output)["administration"].as_str().unwrap().to_owned();
    let approve = ["escrow", "approve", "--as", "operator-2", "--reason", "it was false", &id];
    let shown = market.fails(2, &approve);
    assert!(shown.contains(&format!("{guardian}, which it has now")) && shown.contains("no terminal"), "{shown}");
    assert_eq!(market.asked()[0]["admins"].as_array().unwrap().len(), 1);
    market.system.stop();
}

#[test]
fn a_thaw_that_is_approved_ahead_is_not_signed_before_its_turn() {
    let folder = tempfile::tempdir().unwrap();
    let market = Market::start(folder.path());
    market.freeze();
    let held = market.propose();
    // Two admins who do not ask the contract.
    let settings = fs::read_to_string(folder.path().join("client.toml")).unwrap();
    let blind = folder.path().join("blind.toml");
    let lines: Vec<&str> = settings.lines().filter(|l| !l.starts_with("rpc")).collect();
    fs::write(&blind, lines.join("\n")).unwrap();
    let blind = blind.to_str().unwrap();
    let guardian = market.contract()["guardian"].as_str().unwrap().to_owned();
    let thaw = with(&THAW, &["--yes", "--nonce", "2", "--guardian", &guardian, "--client", blind]);
    let asked = market.run(&thaw);
    let id = asked["administration"].as_str().unwrap();
    let keep = market.fails(2, &with(&THAW, &["--yes", "--nonce", "2", "--keep-guardian", "--client", blind]));
    assert!(keep.contains("--rpc"), "{keep}");
    let approved = market.run(&with(&APPROVE, &["--client", blind, id]));
    let seq = approved["reply"]["seq"].as_u64().unwrap();
    for at in 0..3 {
        let refusal = market.refusal(at, id, seq);
        assert_eq!(refusal.code, RefusalCode::NotDue, "{refusal}");
        assert!(refusal.retry_after.is_some() && refusal.detail.contains("nonce is 1"), "{refusal}");
    }
    assert_eq!((&market.contract()["nonce"], &market.contract()["frozen"]), (&Value::from(1), &Value::from(true)));

    market.set_cap("9000000");
    market.until("the thaw", |m| m.contract()["frozen"] == false);
    assert_eq!(market.contract()["nonce"], 3);
    market.until_final(&held);
    market.system.stop();
}
