//! A freeze is confirmed by a signer that says so of the very statement, and by nothing else that answers.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "tests")]

#[path = "support/fake.rs"]
mod fake;
#[path = "support/system.rs"]
mod support;

use domain::Cid;
use fake::{Answer, Asked, Fake};
use serde_json::{Value, json};
use std::process::Output;
use support::{countersign, json};

/// Freezes with a control plane and a signer at these URLs.
fn run(plane: &str, signer: &str, more: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let mut command = countersign(arguments);
        command.env("COUNTERSIGN_PASSPHRASE", "words").current_dir(folder.path()).output().unwrap()
    };
    let did = json(&run(&["--json", "keygen", "guardian.key"]))["did"].as_str().unwrap().to_owned();
    let call = ["freeze", "--key", "guardian.key", "--tenant", &did, "--sequencer", &did, "--reason", "a test"];
    run(&[&call[..], &["--control-plane", plane, "--signer", signer], more].concat())
}

/// What `freeze` says when the log takes it and a signer answers so, and its exit code.
fn freeze(answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> (Option<i32>, Value, usize) {
    let (plane, signer) = (Fake::start(Answer::taken), Fake::start(answer));
    let output = run(&plane.url, &signer.url, &["--json"]);
    let said = json(&output);
    assert_eq!(said["log"]["taken"]["seq"], 8, "{said}");
    (output.status.code(), said["signers"][0].clone(), signer.asked("").len())
}

fn statement(asked: &Asked) -> Cid {
    asked.statement().cid()
}

#[test]
fn a_signer_confirms_the_statement_that_it_was_sent() {
    let (code, signer, _) = freeze(|asked| Answer::json(&json!({"statement": statement(asked), "frozen": []})));
    assert_eq!((code, signer.get("error")), (Some(0), None), "{signer}");
}

#[test]
fn what_does_not_say_that_it_is_frozen_has_not_confirmed() {
    let answers: [fn() -> Answer; 4] = [
        || Answer::new("200 OK", "content-type: text/html\r\n", "<html>Welcome</html>"),
        || Answer::json(&json!({})),
        || Answer::json(&json!({"statement": Cid::of(b"another"), "frozen": []})),
        || Answer::new("200 OK", "", &" ".repeat(messages::MAX_BODY + 1)),
    ];
    for answer in answers {
        let (code, signer, _) = freeze(move |_| answer());
        assert!(code == Some(3) && signer["error"].is_string(), "{code:?} {signer}");
    }
}

#[test]
fn a_freeze_follows_nobody_elsewhere() {
    let (code, signer, asked) = freeze(|asked| match asked.what.as_str() {
        "POST /v1/freeze" => Answer::new("302 Found", "location: /elsewhere\r\n", ""),
        _ => Answer::json(&json!({"statement": Cid::of(b"another"), "frozen": []})),
    });
    assert_eq!((code, asked), (Some(3), 1), "{signer}");
    assert!(signer["error"].as_str().unwrap().contains("302"), "{signer}");
}

#[test]
fn the_statement_that_is_printed_is_the_one_that_was_said() {
    let another = Cid::of(b"another");
    let signer = Fake::start(|asked| Answer::json(&json!({"statement": statement(asked), "frozen": []})));
    let plane = Fake::start(Answer::taken);
    let text = String::from_utf8(run(&plane.url, &signer.url, &[]).stdout).unwrap();
    assert!(text.contains(&format!("statement {}", statement(&plane.asked("POST")[0]))), "{text}");
    // Whoever lifts it names what is printed here.
    let plane = Fake::start(move |_| Answer::json(&json!({"id": another, "seq": 8})));
    let output = run(&plane.url, &signer.url, &[]);
    let text = String::from_utf8(output.stdout).unwrap();
    let said = statement(&plane.asked("POST")[0]);
    assert!(text.starts_with(&format!("statement {said} is NOT confirmed by the log")), "{text}");
    assert_eq!(output.status.code(), Some(3), "it may have been taken: {text}");
}
