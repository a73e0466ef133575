//! `countersign ucan`, as programs see it: JSON on standard output and an exit code.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]

use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::{Did, Time};
use ed25519_dalek::SigningKey;
use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;
use ucan::{
    Delegation, Invocation, Verified,
    container::{self, Encoding},
    issue::{self, NewDelegation, NewInvocation, did_of},
};

const NOW: u64 = 1_800_000_000;

struct Fixture {
    folder: TempDir,
    root: Did,
    service: Did,
    delegation: Verified<Delegation>,
    invocation: Verified<Invocation>,
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

impl Fixture {
    fn new() -> Self {
        let (root, holder, service) = (key(1), key(2), did_of(&key(3)));
        let command: ucan::Command = "/proposal/payout".parse().unwrap();
        let mut new = NewDelegation::new(did_of(&holder), did_of(&root), command.clone(), [7; 16]);
        new.expiration = Some(Time::from_unix(NOW + 60));
        let delegation = issue::delegate(&root, new).unwrap();
        let mut new = NewInvocation::new(did_of(&root), command, [8; 16]);
        new.audience = Some(service);
        new.expiration = Some(Time::from_unix(NOW + 600));
        new.proofs = vec![delegation.cid()];
        let invocation = issue::invoke(&holder, new).unwrap();
        Self { folder: TempDir::new().unwrap(), root: did_of(&root), service, delegation, invocation }
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn invocation(&self) -> PathBuf {
        self.file("invocation", self.invocation.bytes())
    }

    fn delegation(&self) -> PathBuf {
        self.file("delegation", self.delegation.bytes())
    }
}

fn run(args: &[&str]) -> (i32, Value) {
    let output = Command::new(env!("CARGO_BIN_EXE_countersign")).arg("--json").args(args).output().unwrap();
    let value = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    (output.status.code().unwrap(), value)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn verify(file: &Path, more: &[&str]) -> (i32, Value) {
    run(&[&["ucan", "verify", text(file)], more].concat())
}

#[test]
fn chain_in_separate_files_is_valid() {
    let f = Fixture::new();
    let (root, service, at) = (f.root.to_string(), f.service.to_string(), NOW.to_string());
    let proof = f.delegation();
    let more = ["--proof", text(&proof), "--at", &at, "--audience", &service, "--trust", &root];
    let (code, answer) = verify(&f.invocation(), &more);
    assert_eq!(code, 0, "{answer}");
    assert_eq!(answer["ok"], true);
    assert_eq!(answer["trusted"], true);
    assert_eq!(answer["hops"][0], f.delegation.cid().to_string());
    assert_eq!(answer.get("error"), None);
}

#[test]
fn tokens_may_come_raw_as_base64_or_in_a_container() {
    let f = Fixture::new();
    let tokens = [f.invocation.bytes(), f.delegation.bytes()];
    let at = NOW.to_string();
    for (n, encoding) in Encoding::ALL.into_iter().enumerate() {
        let file = f.file(&format!("container {n}"), &container::encode(encoding, &tokens).unwrap());
        assert_eq!(verify(&file, &["--at", &at]).0, 0, "{encoding:?}");
    }
    let proof = f.file("proof", STANDARD.encode(f.delegation.bytes()).as_bytes());
    let file = f.file("text", format!("{}\n", STANDARD.encode(f.invocation.bytes())).as_bytes());
    assert_eq!(verify(&file, &["--at", &at, "--proof", text(&proof)]).0, 0);
}

#[test]
fn failures_name_their_class_and_hop() {
    let f = Fixture::new();
    let (invocation, delegation) = (f.invocation(), f.delegation());
    let (at, late, stranger) = (NOW.to_string(), (NOW + 61).to_string(), did_of(&key(9)).to_string());
    let with = |more: &[&str]| verify(&invocation, &[&["--proof", text(&delegation)], more].concat());
    let class = |(code, answer): (i32, Value), expected: &str| {
        assert_eq!((code, answer["ok"].as_bool()), (1, Some(false)), "{answer}");
        assert_eq!(answer["error"]["class"], expected, "{answer}");
        answer
    };
    let answer = class(with(&["--at", &late]), "Expired");
    assert_eq!(answer["error"]["hop"], 0);
    assert_eq!(answer["error"]["cid"], f.delegation.cid().to_string());
    class(with(&["--at", &at, "--audience", &stranger]), "InvalidAudience");
    class(with(&["--at", &at, "--trust", &stranger]), "InvalidSubject");
    class(verify(&invocation, &["--at", &at]), "UnavailableProof");
    let mut forged = f.invocation.bytes().to_vec();
    forged[10] ^= 1;
    class(verify(&f.file("forged", &forged), &["--at", &at]), "InvalidSignature");
    class(verify(&f.file("noise", b"no token at all!"), &["--at", &at]), "Malformed");
}

#[test]
fn proofs_that_are_wrong_are_told_by_their_file() {
    let f = Fixture::new();
    let (invocation, at) = (f.invocation(), NOW.to_string());
    let mut forged = f.delegation.bytes().to_vec();
    forged[10] ^= 1;
    let (good, noise, forged) = (f.delegation(), f.file("noise", b"no token at all!"), f.file("forged", &forged));
    for bad in [&noise, &forged] {
        let (code, answer) = verify(&invocation, &["--at", &at, "--proof", text(&good), "--proof", text(bad)]);
        assert_eq!((code, answer["file"].as_str()), (1, Some(text(bad))), "{answer}");
    }
    // What is wrong with the invocation is in no file of proofs.
    let (code, answer) = verify(&noise, &["--at", &at, "--proof", text(&good)]);
    assert_eq!((code, answer.get("file")), (1, None), "{answer}");
    let (_, answer) = verify(&invocation, &["--at", &at, "--proof", text(&good)]);
    assert_eq!(answer.get("file"), None, "{answer}");
}

#[test]
fn wrong_use_is_told_apart_from_wrong_tokens() {
    let f = Fixture::new();
    let file = f.invocation();
    assert_eq!(run(&["ucan", "verify", "/nowhere/at/all"]).0, 2);
    assert_eq!(run(&["ucan", "inspect", "/nowhere/at/all"]).0, 2);
    assert_eq!(verify(&file, &["--audience", "did:web:example.com"]).0, 2);
    assert_eq!(verify(&file, &["--at", "tomorrow"]).0, 2);
    assert_eq!(run(&["ucan"]).0, 2);
}

#[test]
fn inspection_shows_every_token() {
    let f = Fixture::new();
    let (code, answer) = run(&["ucan", "inspect", text(&f.invocation())]);
    assert_eq!((code, answer["ok"].as_bool()), (0, Some(true)), "{answer}");
    assert_eq!(answer["tokens"][0]["kind"], "invocation");
    assert_eq!(answer["tokens"][0]["command"], "/proposal/payout");
    assert_eq!(answer["tokens"][0]["signature_ok"], true);
    let mut forged = f.delegation.bytes().to_vec();
    forged[10] ^= 1;
    let tokens = [f.invocation.bytes(), &forged];
    let file = f.file("both", &container::encode(Encoding::Base64Url, &tokens).unwrap());
    let (code, answer) = run(&["ucan", "inspect", text(&file)]);
    assert_eq!((code, answer["ok"].as_bool()), (1, Some(false)), "{answer}");
    assert_eq!(answer["tokens"].as_array().unwrap().len(), 2);
    assert_eq!(answer["error"]["class"], "InvalidSignature");
}
