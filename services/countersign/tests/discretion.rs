//! Whatever is asked to be logged, the access key in the URL of an RPC endpoint is not.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "tests")]

#[path = "support/fake.rs"]
mod fake;
#[path = "support/system.rs"]
mod support;

use fake::{Answer, Fake};
use std::{
    fs::{self, File},
    path::Path,
    process::Stdio,
    sync::mpsc,
    time::Duration,
};
use support::{countersign, json};

const DID: &str = "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp";
/// Only a failure takes so long.
const PATIENCE: Duration = Duration::from_secs(90);

fn key(folder: &Path, kind: &str, name: &str) {
    let mut command = countersign(&["--json", "keygen", "--kind", kind, folder.join(name).to_str().unwrap()]);
    json(&command.env("COUNTERSIGN_PASSPHRASE", "words").output().unwrap());
}

/// What a relayer logs until its RPC endpoint was asked twice.
fn logged(folder: &Path, level: &str, format: &str) -> String {
    let (tell, told) = mpsc::channel();
    let rpc = Fake::start(move |_| {
        let _ = tell.send(());
        Answer::json(&serde_json::json!({"jsonrpc": "2.0", "id": 0, "result": "0x1"}))
    });
    let (file, log) = (folder.join("relayer.toml"), folder.join("log"));
    let text = format!(
        "listen = \"127.0.0.1:0\"\noperator = \"{DID}\"\nsequencer = \"{DID}\"\ncontrol_plane = \"http://127.0.0.1:1\"\n\
         identity = \"node.key\"\nwallet = \"gas.key\"\ndelegations = \"delegations\"\n\
         [[chains]]\nchain = 1\nrpc = \"{}/hunter2?key=hunter2\"\n",
        rpc.url
    );
    fs::write(&file, text).unwrap();
    let mut command =
        countersign(&["relayer", "--leashed", "--log-format", format, "--config", file.to_str().unwrap()]);
    command.env("COUNTERSIGN_PASSPHRASE", "words").env("RUST_LOG", level);
    let mut relayer = command.stdin(Stdio::piped()).stderr(File::create(&log).unwrap()).spawn().unwrap();
    let asked: Vec<_> = (0..2).map_while(|_| told.recv_timeout(PATIENCE).ok()).collect();
    drop(relayer.stdin.take());
    assert!(relayer.wait().unwrap().success());
    let said = fs::read_to_string(log).unwrap();
    assert!(asked.len() == 2 && !rpc.asked("POST /hunter2").is_empty(), "{said}");
    said
}

#[test]
fn the_url_of_an_rpc_endpoint_is_never_logged() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("delegations")).unwrap();
    key(folder.path(), "identity", "node.key");
    key(folder.path(), "gas-wallet", "gas.key");
    let inner = "info,alloy_transport_http::reqwest_transport=trace,[ReqwestTransport]=trace";
    for (level, format) in [("debug", "text"), ("trace", "text"), ("trace", "json"), (inner, "json")] {
        let said = logged(folder.path(), level, format);
        assert!(said.contains("DEBUG") || level == inner, "{level}: {said}");
        assert!(!said.contains("hunter2"), "{level} {format}: {said}");
    }
}
