//! A control plane is started a second time by mistake: the one that runs goes on.

use crate::plane::{Home, Plane};
use std::process::Stdio;
use tempfile::TempDir;
use tokio::process::Command;

/// Starts another by the same command line and the given variables, which must be refused.
async fn is_refused(plane: &Plane, variables: &[(&str, &str)]) {
    let line = plane.home.command();
    let mut command = Command::new(&line[0]);
    command.args(&line[1..]).envs(variables.iter().copied()).stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(crate::plane::PATIENCE, command.output()).await.expect("it ends").unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{variables:?}: {said}");
    assert!(said.contains("another process runs with the anchor"), "{variables:?}: {said}");
    assert_eq!(plane.ask("/readyz").await.expect("it answers").0, 200, "{variables:?}:\n{}", plane.log());
    plane.insist(&plane.home.world.propose(10)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_start_leaves_the_first_alone() {
    let folder = TempDir::new().unwrap();
    let (database, anchor) = (format!("sqlite:{}/log.db", folder.path().display()), folder.path().join("anchor"));
    let home = Home::new(folder, &database, &anchor);
    let line = home.command();
    let plane = home.start(&line).await;
    plane.provision().await;
    is_refused(&plane, &[]).await;
    is_refused(&plane, &[("COUNTERSIGN_LISTEN", "127.0.0.1:0")]).await;
    is_refused(&plane, &[("COUNTERSIGN_LISTEN", "127.0.0.1:0"), ("COUNTERSIGN_HOLDER", "another")]).await;
    // Nothing outlives a crash that would keep the next one away.
    let plane = plane.crash().await.start(&line).await;
    plane.insist(&plane.home.world.propose(10)).await;
    plane.stop().await;
}
