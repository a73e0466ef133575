//! What ends nothing is not called revoked.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "tests")]

#[path = "support/fake.rs"]
mod fake;
#[path = "support/system.rs"]
mod support;

use domain::{Cid, Did};
use ed25519_dalek::SigningKey;
use fake::{Answer, Asked, Fake};
use keyfile::{Hardness, Identity, Passphrase};
use messages::Base64;
use rand_core::OsRng;
use serde_json::json;
use support::countersign;
use ucan::{
    Delegation, Ipld, Verified,
    container::{self, Encoding},
    issue::{NewDelegation, NewInvocation, delegate, did_of, invoke},
};

/// One root is the operator, the other the tenant.
const OPERATOR: u8 = 1;
const TENANT: u8 = 2;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn did(seed: u8) -> Did {
    did_of(&key(seed))
}

fn given(by: u8, command: &str) -> Verified<Delegation> {
    let new = NewDelegation::new(did(9), did(by), command.parse().unwrap(), [by; 12]);
    delegate(&key(by), new).unwrap()
}

/// A statement of the operator's.
fn statement() -> Vec<u8> {
    let said = NewInvocation::new(did(OPERATOR), "/publisher/register".parse().unwrap(), [5; 12]);
    invoke(&key(OPERATOR), said).unwrap().bytes().to_vec()
}

/// What a revocation ends, and in whose realm.
fn ended(asked: &Asked) -> (Ipld, Did) {
    let said = asked.statement();
    assert_eq!(said.command().as_str(), "/ucan/revoke");
    let Ipld::Map(args) = said.args() else { panic!("args are a map") };
    (args["revoke"].clone(), said.subject())
}

fn delegation(cid: Cid) -> Ipld {
    ipld_core::serde::to_ipld(json!({"delegation": cid})).unwrap()
}

/// A log of these tokens, an entry each and one on a page.
struct Log {
    plane: Fake,
    folder: tempfile::TempDir,
}

impl Log {
    fn of(tokens: Vec<Vec<u8>>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for seed in [OPERATOR, TENANT] {
            let passphrase = Passphrase::new("words".to_owned()).unwrap();
            let file = folder.path().join(format!("{seed}.key"));
            Identity::from_key(key(seed)).save(Hardness::Testing, &file, &passphrase, &mut OsRng).unwrap();
        }
        std::fs::create_dir(folder.path().join("delegations")).unwrap();
        let plane = Fake::start(move |asked| match asked.what.split_once("from=") {
            Some((_, rest)) => {
                let from: usize = rest.split('&').next().unwrap().parse().unwrap();
                let entry = |token: &Vec<u8>| json!({"seq": from, "entry": "", "tokens": [Base64(token.clone())]});
                let entries: Vec<_> = tokens.get(from).map(entry).into_iter().collect();
                Answer::json(&json!({"entries": entries, "head": tokens.len().checked_sub(1)}))
            }
            None => Answer::taken(asked),
        });
        Self { plane, folder }
    }

    fn hold(&self, delegation: &Verified<Delegation>) {
        let text = container::encode(Encoding::Base64, &[delegation.bytes()]).unwrap();
        std::fs::write(self.folder.path().join("delegations/given.ucan"), text).unwrap();
    }

    /// Revokes with the key of `speaker`; what came of it, and what was posted by now.
    fn revoke(&self, speaker: u8, more: &[&str]) -> (Option<i32>, String, Vec<Asked>) {
        let (operator, tenant, key) = (did(OPERATOR).to_string(), did(TENANT).to_string(), format!("{speaker}.key"));
        let mut command = countersign(&["revoke", "--reason", "a test", "--delegations", "delegations"]);
        command.args(["--control-plane", &self.plane.url, "--sequencer", &operator, "--operator", &operator]);
        command.args(["--tenant", &tenant, "--key", &key]).args(more);
        let output = command.env("COUNTERSIGN_PASSPHRASE", "words").current_dir(self.folder.path()).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(text).unwrap(), self.plane.asked("POST"))
    }
}

#[test]
fn a_delegation_that_nobody_knows_is_not_revoked_by_the_way() {
    let (known, statement) = (given(TENANT, "/approval"), statement());
    let log = Log::of(vec![statement.clone(), known.bytes().to_vec()]);
    let mistyped = Cid::of(b"mistyped").to_string();
    let (cid, said) = (known.cid().to_string(), Cid::of(&statement).to_string());
    // The tenant's key may not look in the log, the operator's may.
    for (speaker, which, told) in [
        (TENANT, &mistyped, "the log is not for this key to read"),
        (TENANT, &said, "the log is not for this key to read"),
        (TENANT, &cid, "the log is not for this key to read"),
        (OPERATOR, &mistyped, "nor has the log"),
        (OPERATOR, &said, "is a statement, of /publisher/register"),
        (OPERATOR, &cid, "see --tenant"),
    ] {
        let realm = if speaker == OPERATOR { &["--everywhere"][..] } else { &[] };
        let (code, text, posted) = log.revoke(speaker, &[&["--delegation", which], realm].concat());
        assert!(code == Some(2) && text.contains(told) && text.contains(which), "{code:?} {which}: {text}");
        assert!(posted.is_empty() && !text.contains("revoked:"), "{text}");
    }
    // Who means it says so, and is not told that anything has ended.
    let (code, text, posted) = log.revoke(TENANT, &["--delegation", &mistyped, "--unknown"]);
    assert!(code == Some(0) && text.contains("if there is such a delegation"), "{text}");
    assert_eq!(ended(&posted[0]), (delegation(Cid::of(b"mistyped")), did(TENANT)));
}

#[test]
fn a_delegation_that_is_at_hand_or_in_the_log_is_revoked() {
    let known = given(TENANT, "/approval");
    let cid = known.cid().to_string();
    let log = Log::of(Vec::new());
    log.hold(&known);
    let (code, text, posted) = log.revoke(TENANT, &["--delegation", &cid]);
    assert!(code == Some(0) && text.starts_with("revoked: entry 8"), "{text}");
    assert_eq!(ended(&posted[0]), (delegation(known.cid()), did(TENANT)));
    assert!(log.plane.asked("GET").is_empty(), "what is at hand is not looked for");
    let (code, text, posted) = log.revoke(OPERATOR, &["--delegation", &cid, "--everywhere"]);
    assert!(code == Some(2) && posted.len() == 1 && text.contains(&did(TENANT).to_string()), "{text}");

    let operators = given(OPERATOR, "/read");
    let cid = operators.cid().to_string();
    let log = Log::of(vec![statement(), known.bytes().to_vec(), operators.bytes().to_vec()]);
    let (code, text, posted) = log.revoke(OPERATOR, &["--delegation", &cid, "--everywhere"]);
    assert!(code == Some(0) && text.starts_with("revoked: entry 8"), "{text}");
    assert_eq!(ended(&posted[0]), (delegation(operators.cid()), did(OPERATOR)));
    log.hold(&operators);
    let (code, text, posted) = log.revoke(TENANT, &["--delegation", &cid]);
    assert!(code == Some(2) && posted.len() == 1 && text.contains("see --everywhere"), "{text}");
}

#[test]
fn a_key_is_revoked_in_the_realm_that_is_named() {
    let log = Log::of(Vec::new());
    let lost = did(9).to_string();
    let key = ipld_core::serde::to_ipld(json!({"key": did(9)})).unwrap();
    let (code, text, posted) = log.revoke(TENANT, &["--revoked-key", &lost]);
    assert!(code == Some(0) && ended(&posted[0]) == (key.clone(), did(TENANT)), "{text}");
    let (code, text, posted) = log.revoke(OPERATOR, &["--revoked-key", &lost, "--everywhere"]);
    assert!(code == Some(0) && ended(&posted[1]) == (key, did(OPERATOR)), "{text}");
    // Grants are tenants' alone, and only a delegation is looked for.
    for more in [["--grant", &lost, "--everywhere"], ["--revoked-key", &lost, "--unknown"]] {
        let (code, text, posted) = log.revoke(OPERATOR, &more);
        assert!(code == Some(2) && posted.len() == 2, "{text}");
    }
}
