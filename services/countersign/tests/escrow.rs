//! The escrow contract's guardian freezes it; the operator's admins and the quorum thaw it and change its caps.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]

#[path = "support/system.rs"]
mod support;

use alloy::{
    primitives::{Address, Bytes},
    providers::{Provider as _, ProviderBuilder},
    rpc::types::TransactionRequest,
};
use serde_json::Value;
use support::{System, json};

/// Each look runs a process, so that these take minutes; nothing waits so long unless it fails.
const LOOKS: usize = 2_000;

struct Market {
    system: System,
    asset: String,
}

impl Market {
    fn start(folder: &std::path::Path) -> Self {
        let system = System::start(folder);
        let asset = format!("eip155:31337/erc20:{}", system.record["chain"]["token"].as_str().unwrap());
        Self { system, asset }
    }

    fn run(&self, arguments: &[&str]) -> Value {
        let output = self.system.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        json(&output)
    }

    /// What it is refused with.
    fn refused(&self, arguments: &[&str]) -> String {
        let output = self.system.run(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// The contract's guardian, who in a dev system is the chain's first account, freezes it.
    fn freeze(&self) {
        let chain = &self.system.record["chain"];
        let (rpc, contract) = (chain["rpc"].as_str().unwrap(), chain["escrow"].as_str().unwrap());
        let contract: Address = contract.parse().unwrap();
        let freeze = async {
            let provider = ProviderBuilder::new().connect_http(rpc.parse().unwrap());
            let guardian = provider.get_accounts().await.unwrap()[0];
            let request = TransactionRequest::default()
                .from(guardian)
                .to(contract)
                .input(Bytes::from(escrow::freeze_calldata()).into());
            let receipt = provider.send_transaction(request).await.unwrap().get_receipt().await.unwrap();
            assert!(receipt.status());
        };
        tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(freeze);
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
        assert!((0..LOOKS).any(|_| check(self)), "waited in vain: {what}");
    }

    fn until_final(&self, proposal: &str) {
        self.until("a final payout", |m| m.status(proposal) == "final");
    }

    /// Both admins ask for a cap.
    fn set_cap(&self, cap: &str) {
        let asset = self.asset.clone();
        let asked =
            self.run(&["escrow", "cap", "--as", "operator-1", "--asset", &asset, "--cap", cap, "--reason", "a test"]);
        let id = asked["administration"].as_str().unwrap();
        self.run(&["escrow", "approve", "--as", "operator-2", "--reason", "a test", id]);
        self.until("the new cap", |m| m.cap() == cap);
    }
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

    let asked = market.run(&["escrow", "thaw", "--as", "operator-1", "--reason", "a false alarm"]);
    let id = asked["administration"].as_str().unwrap();
    let again = ["escrow", "approve", "--as", "operator-1", "--reason", "once more", id];
    assert!(market.refused(&again).contains("others must"));
    let open = market.run(&["escrow", "status", "--as", "operator-2"])["administrations"][0].clone();
    assert_eq!((open["id"].as_str(), &open["needed"]), (Some(id), &Value::from(2)));
    assert!(open.get("authorisation").is_none(), "one admin alone authorises nothing");
    assert_eq!(market.contract()["frozen"], true);
    assert_eq!(market.status(&held), "approved", "a frozen contract pays nothing");

    market.run(&["escrow", "approve", "--as", "operator-2", "--reason", "it was false", id]);
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
