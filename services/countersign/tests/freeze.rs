//! A freeze is confirmed by a signer that says so of the very statement, and by nothing else that answers.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "tests")]

#[path = "support/fake.rs"]
mod fake;
#[path = "support/system.rs"]
mod support;

use domain::Cid;
use fake::{Answer, Asked, Fake};
use serde_json::{Value, json};
use support::{countersign, json};
use ucan::{Limits, Token, container};

/// The statement in a request.
fn statement(asked: &Asked) -> Cid {
    let tokens = container::decode(&asked.body, &Limits::default()).unwrap();
    let Token::Invocation(said) = ucan::open(&tokens[0]).unwrap() else { panic!("not an invocation") };
    said.cid()
}

/// What `freeze` says when the log takes it and a signer answers so, and its exit code.
fn freeze(answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> (Option<i32>, Value, usize) {
    let folder = tempfile::tempdir().unwrap();
    let plane = Fake::start(|asked| Answer::json(&json!({"id": statement(asked), "seq": 8})));
    let signer = Fake::start(answer);
    let run = |arguments: &[&str]| {
        let mut command = countersign(&["--json"]);
        command.args(arguments).env("COUNTERSIGN_PASSPHRASE", "words").current_dir(folder.path()).output().unwrap()
    };
    let did = json(&run(&["keygen", "guardian.key"]))["did"].as_str().unwrap().to_owned();
    let call = ["freeze", "--key", "guardian.key", "--tenant", &did, "--sequencer", &did, "--reason", "a test"];
    let output = run(&[&call[..], &["--control-plane", &plane.url, "--signer", &signer.url]].concat());
    let said = json(&output);
    assert_eq!(said["log"]["taken"]["seq"], 8, "{said}");
    (output.status.code(), said["signers"][0].clone(), signer.asked("").len())
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
