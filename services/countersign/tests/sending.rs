//! A lost answer does not become a second statement: the same bytes are sent until there is an answer, and kept otherwise.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

#[path = "support/fake.rs"]
mod fake;
#[path = "support/system.rs"]
mod support;

use domain::Cid;
use fake::{Answer, Asked, Fake};
use serde_json::{Value, json};
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
};
use support::{countersign, json};
use tempfile::TempDir;
use ucan::{Limits, Token, container};

const FROM_PROPOSALS: &str = "POST /v1/proposals";

/// The statement in a request.
fn statement(asked: &Asked) -> Cid {
    let tokens = container::decode(&asked.body, &Limits::default()).unwrap();
    let Token::Invocation(said) = ucan::open(&tokens[0]).unwrap() else { panic!("not an invocation") };
    said.cid()
}

fn taken(asked: &Asked) -> Answer {
    Answer::json(&json!({"id": statement(asked), "seq": 8}))
}

fn unavailable() -> Answer {
    let problem = messages::Problem::new(messages::ProblemType::Unavailable, "it is not known").with_retry_after(1);
    let body = serde_json::to_string(&problem).unwrap();
    Answer::new("503 Service Unavailable", "content-type: application/problem+json\r\nretry-after: 1\r\n", &body)
}

/// A tenant in a folder, who may propose as everybody's root.
struct Tenant {
    folder: TempDir,
    did: String,
}

impl Tenant {
    fn new() -> Self {
        let mut tenant = Self { folder: tempfile::tempdir().unwrap(), did: String::new() };
        let made = json(&tenant.run(&["--json", "keygen", "tenant.key"]));
        made["did"].as_str().unwrap().clone_into(&mut tenant.did);
        tenant
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = countersign(arguments);
        command.env("COUNTERSIGN_PASSPHRASE", "words").current_dir(self.folder.path()).output().unwrap()
    }

    /// A command that speaks as the tenant to `plane`.
    fn say(&self, plane: &str, arguments: &[&str]) -> Output {
        let whose = ["--key", "tenant.key", "--tenant", &self.did, "--sequencer", &self.did, "--control-plane", plane];
        self.run(&[arguments, &whose].concat())
    }

    fn propose(&self, plane: &str, more: &[&str]) -> Output {
        let account = format!("eip155:31337:0x{}=10000", "0a".repeat(20));
        let payout = ["--order", "order-1", "--asset", "eip155:31337/slip44:60", "--total", "5", "--split", &account];
        self.say(plane, &[&["--json", "propose"], &payout[..], more].concat())
    }

    /// Files with signed bytes, without the key.
    fn kept(&self) -> Vec<String> {
        let names = fs::read_dir(self.folder.path()).unwrap().map(|f| f.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name != "tenant.key").collect()
    }
}

/// The lines of JSON on standard error.
fn told(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

fn ids(plane: &Fake, what: &str) -> Vec<Cid> {
    plane.asked(what).iter().map(statement).collect()
}

#[test]
fn a_lost_answer_is_asked_for_by_the_same_bytes() {
    let lost: [fn() -> Answer; 3] = [
        unavailable,
        || Answer::cut("200 OK\r\ncontent-length: 100\r\n\r\n{"),
        || Answer::new("502 Bad Gateway", "", "a proxy"),
    ];
    for lost in lost {
        let (tenant, count) = (Tenant::new(), AtomicUsize::new(0));
        let plane = Fake::start(move |asked| match count.fetch_add(1, Ordering::SeqCst) {
            0 => lost(),
            _ => taken(asked),
        });
        let output = tenant.propose(&plane.url, &[]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let asked = plane.asked(FROM_PROPOSALS);
        assert!(asked.len() == 2 && asked[0].body == asked[1].body, "{asked:?}");
        let told = told(&output);
        assert_eq!(told[0], json!({"signed": statement(&asked[0])}));
        assert_eq!(told[1]["unanswered"], told[0]["signed"], "{told:?}");
        assert_eq!(tenant.kept(), Vec::<String>::new(), "what is answered is not kept");
    }
}

#[test]
fn bytes_without_an_answer_are_kept_and_sent_again_by_hand() {
    let tenant = Tenant::new();
    let silent = Fake::start(|_| unavailable());
    let output = tenant.propose(&silent.url, &["--wait", "1"]);
    assert_eq!(output.status.code(), Some(3));
    let asked = silent.asked(FROM_PROPOSALS);
    assert!(!asked.is_empty() && asked.iter().all(|a| a.body == asked[0].body), "{asked:?}");
    let id = statement(&asked[0]);
    let told = told(&output);
    let (first, last) = (told.first().unwrap(), told.last().unwrap());
    assert_eq!(first, &json!({"signed": id}));
    let name = format!("{id}.ucan");
    let again = format!("countersign resend {name} --control-plane {}", silent.url);
    assert_eq!(last["unknown"], json!({"statement": id, "file": name, "again": again}), "{last}");
    let error = last["error"].as_str().unwrap();
    for part in ["not known whether proposal", "perhaps it has", "a second proposal", &again] {
        assert!(error.contains(part), "{error}");
    }
    let file = tenant.folder.path().join(&name);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);

    let plane = Fake::start(taken);
    for command in [&["resend", &name][..], &["propose", "--container", &name]] {
        let output = tenant.run(&[&["--json"], command, &["--control-plane", &plane.url]].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(json(&output)["id"], id.to_string());
    }
    assert_eq!(ids(&plane, FROM_PROPOSALS), [id, id]);
    assert!(file.exists(), "who kept it removes it");
}

#[test]
fn every_statement_is_kept_so() {
    let tenant = Tenant::new();
    let silent = Fake::start(|_| unavailable());
    let account = format!("eip155:31337:0x{}", "0a".repeat(20));
    let installation = tenant.did.clone();
    let cid = Cid::of(b"a proposal").to_string();
    let limit = "eip155:31337/slip44:60=5,6";
    for call in [
        &["verify-recipient", &account][..],
        &["refuse", &cid, "--reason", "a test"],
        &["cancel", &cid, "--reason", "a test"],
        &["revoke", "--grant", &installation, "--reason", "a test"],
        &["grant", &installation, "--plugin", "com.example.a", "--version", "1.0.0", "--limit", limit],
        &["open-order", "order-7", "--buyer", &account, "--asset", "eip155:31337/slip44:60", "--amount", "5"],
        &["thaw", "--freeze", &cid],
        &["freeze", "--reason", "a test"],
    ] {
        let output = tenant.say(&silent.url, &[call, &["--wait", "0"]].concat());
        let error = String::from_utf8(output.stderr).unwrap() + &String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(3), "{call:?}: {error}");
        let kept = tenant.kept();
        let [name] = kept.as_slice() else { panic!("{call:?}: {kept:?}: {error}") };
        assert!(error.contains("not known whether statement") && error.contains(name), "{call:?}: {error}");
        let plane = Fake::start(taken);
        let output = tenant.run(&["--json", "resend", name, "--control-plane", &plane.url]);
        assert!(output.status.success(), "{call:?}: {}", String::from_utf8_lossy(&output.stderr));
        let asked = plane.asked("POST");
        assert_eq!(format!("{}.ucan", statement(&asked[0])), *name);
        let where_to = if call[0] == "cancel" { FROM_PROPOSALS } else { "POST /v1/statements" };
        assert_eq!(asked[0].what, where_to, "{call:?}");
        if call[0] == "freeze" {
            let output = tenant.run(&["propose", "--container", name, "--control-plane", &plane.url]);
            let error = String::from_utf8(output.stderr).unwrap();
            assert!(output.status.code() == Some(2) && error.contains("countersign resend"), "{error}");
        }
        fs::remove_file(tenant.folder.path().join(name)).unwrap();
    }
}

/// It may have come from a proxy behind which the statement was taken.
#[test]
fn an_answer_that_says_nothing_leaves_it_open() {
    let tenant = Tenant::new();
    let plane = Fake::start(|_| Answer::new("200 OK", "content-type: text/html\r\n", "<html>"));
    let output = tenant.propose(&plane.url, &[]);
    let told = told(&output);
    assert_eq!((output.status.code(), plane.asked("POST").len()), (Some(3), 1));
    let file = told.last().unwrap()["unknown"]["file"].as_str().unwrap().to_owned();
    assert_eq!(tenant.kept(), [file]);
}

#[test]
fn what_is_refused_is_not_sent_again() {
    let tenant = Tenant::new();
    let problem = messages::Problem::new(messages::ProblemType::NotEntitled, "no");
    let body = serde_json::to_string(&problem).unwrap();
    let plane = Fake::start(move |_| Answer::new("403 Forbidden", "content-type: application/problem+json\r\n", &body));
    let output = tenant.propose(&plane.url, &["--save", "kept here.ucan"]);
    assert_eq!((output.status.code(), plane.asked("POST").len()), (Some(1), 1));
    assert_eq!(tenant.kept(), ["kept here.ucan"], "as it was asked for");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&tenant.folder.path().join("kept here.ucan")), 0o600);
}

/// Nobody listens: nothing was sent, so there is nothing to be careful about.
#[test]
fn what_was_never_sent_is_not_taken() {
    let tenant = Tenant::new();
    let output = tenant.propose("http://127.0.0.1:1", &["--wait", "1"]);
    assert_eq!(output.status.code(), Some(3));
    let told = told(&output);
    let last = told.last().unwrap();
    assert!(last.get("unknown").is_none() && last["error"].as_str().unwrap().contains("has not been taken"), "{last}");
    assert_eq!(tenant.kept(), Vec::<String>::new());
}

#[test]
fn who_saves_is_told_of_that_file() {
    let tenant = Tenant::new();
    let silent = Fake::start(|_| unavailable());
    let output = tenant.propose(&silent.url, &["--wait", "0", "--save", "kept here.ucan"]);
    assert_eq!((output.status.code(), tenant.kept()), (Some(3), vec!["kept here.ucan".to_owned()]));
    let told = told(&output);
    let again = format!("countersign resend 'kept here.ucan' --control-plane {}", silent.url);
    assert_eq!(told.last().unwrap()["unknown"]["again"], again);
}

#[test]
fn what_is_no_signed_statement_is_not_sent() {
    let tenant = Tenant::new();
    let plane = Fake::start(taken);
    fs::write(tenant.folder.path().join("x.ucan"), "Bnonsense").unwrap();
    for command in [&["resend", "x.ucan"][..], &["propose", "--container", "x.ucan"], &["resend", "none.ucan"]] {
        let output = tenant.run(&[command, &["--control-plane", &plane.url]].concat());
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && error.contains(command.last().unwrap()), "{command:?}: {error}");
    }
    assert!(plane.asked("").is_empty());
}

/// Who gives up waiting is told as much as who waits to the end.
#[test]
fn an_interrupted_wait_keeps_the_bytes() {
    let tenant = Tenant::new();
    let (tell, asked) = std::sync::mpsc::channel();
    let (hold, held) = std::sync::mpsc::channel::<()>();
    let held = std::sync::Mutex::new(held);
    let silent = Fake::start(move |_| {
        let _ = tell.send(());
        let _ = held.lock().unwrap().recv();
        unavailable()
    });
    let account = format!("eip155:31337:0x{}", "0a".repeat(20));
    let (did, url) = (tenant.did.as_str(), silent.url.as_str());
    let mut command = countersign(&["--json", "verify-recipient", &account, "--key", "tenant.key", "--tenant", did]);
    command.args(["--sequencer", did, "--control-plane", url]).env("COUNTERSIGN_PASSPHRASE", "words");
    let waiting = command.current_dir(tenant.folder.path()).stderr(Stdio::piped()).spawn().unwrap();
    asked.recv().unwrap();
    let interrupt = Command::new("kill").args(["-INT", &waiting.id().to_string()]).status().unwrap();
    assert!(interrupt.success());
    let output = waiting.wait_with_output().unwrap();
    drop(hold);
    let told = told(&output);
    let file = told.last().unwrap()["unknown"]["file"].as_str().unwrap().to_owned();
    assert_eq!((output.status.code(), tenant.kept()), (Some(3), vec![file]));
}

#[test]
fn a_grant_ends_by_hours() {
    let tenant = Tenant::new();
    let plane = Fake::start(taken);
    let grant = ["grant", &tenant.did, "--plugin", "com.example.a", "--version", "1.0.0"];
    let limit = ["--limit", "eip155:31337/slip44:60=5,6"];
    for (time, seconds) in [(&["--hours", "12"][..], 43_200), (&["--days", "2"], 172_800), (&[], 31_536_000)] {
        let output = tenant.say(&plane.url, &[&grant, &limit[..], time].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let asked = plane.asked("POST").pop().unwrap();
        let tokens = container::decode(&asked.body, &Limits::default()).unwrap();
        let Token::Invocation(said) = ucan::open(&tokens[0]).unwrap() else { panic!("not an invocation") };
        let Ok(ledger::Act::InstallationGrant(args)) = ledger::Act::parse(said.command().as_str(), said.args()) else {
            panic!("not a grant")
        };
        // A second may have passed between the two moments.
        let lasts = args.expires_at.since(said.issued_at().unwrap());
        assert!((seconds - 5..=seconds).contains(&lasts), "{time:?}: {lasts}");
    }
    let none = tenant.say(&plane.url, &[&grant, &limit[..], &["--hours", "0"]].concat());
    assert_eq!(none.status.code(), Some(2));
}
