//! The whole system: starts, survives a restart and a crash, and leaves nothing running.

#[path = "support/system.rs"]
mod support;

use serde_json::Value;
use std::path::Path;
use support::{System, json};

fn is_running(folder: &Path) -> bool {
    let pids = std::fs::read(folder.join("pids.json")).unwrap_or_default();
    let pids: Value = serde_json::from_slice(&pids).unwrap_or(Value::Null);
    let alive = |pid: &Value| Path::new(&format!("/proc/{pid}")).exists();
    pids.as_object().is_some_and(|all| all.values().any(alive))
}

#[test]
fn a_system_survives_restarts_and_crashes() {
    let folder = tempfile::tempdir().unwrap();
    let system = System::start(folder.path());
    let status = system.run(&["quorum", "status", "--as", "operator"]);
    assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stderr));
    assert_eq!(json(&status)["signers"].as_array().unwrap().len(), 3);
    let (record, alice, carol) = (system.record.clone(), "alice", "carol");
    let account = |name: &str| record["recipients"][name].as_str().unwrap().to_owned();
    let asset = format!("eip155:31337/erc20:{}", record["chain"]["token"].as_str().unwrap());
    let (first, second) = (format!("{}=9500", account(alice)), format!("{}=500", account(carol)));
    let propose = |system: &System| {
        let proposed = system.run(&[
            "propose", "--as", "plugin", "--order", "order-1", "--asset", &asset, "--total", "1000000", "--split",
            &first, "--split", &second,
        ]);
        assert!(proposed.status.success(), "{}", String::from_utf8_lossy(&proposed.stderr));
        json(&proposed)
    };
    let before = propose(&system);
    assert_eq!(before["status"], "approved");
    system.stop();
    assert!(!is_running(folder.path()), "everything has ended");

    let system = System::start(folder.path());
    assert_eq!(system.record["signers"], record["signers"], "the same signers at the same addresses");
    let id = before["id"].as_str().unwrap();
    let status = system.run(&["status", "--as", "operator", id]);
    assert_eq!(json(&status)["seq"], before["seq"], "the log is the same");
    system.crash();

    let system = System::start(folder.path());
    assert_eq!(propose(&system)["status"], "approved");
    system.stop();
}
