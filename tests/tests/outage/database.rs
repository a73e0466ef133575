//! PostgreSQL goes away under load, as after a power cut, and comes back; then it ends every connection.

use crate::{
    load::{ANY_NUMBER, Load},
    plane::{Answer, Home},
};
use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command, sync::Arc};
use tempfile::TempDir;

/// A server of this test's own; gone when dropped.
struct Server {
    folder: TempDir,
    url: String,
}

/// Runs `tests/postgres.sh` and gives what it prints.
fn script(what: &str, folder: &Path) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/postgres.sh");
    let done = Command::new(script).arg(what).arg(folder).output().unwrap();
    assert!(done.status.success(), "postgres.sh {what}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

impl Server {
    fn start() -> Self {
        // The server may be another user's process, which must get to its folder.
        let open = fs::Permissions::from_mode(0o755);
        let folder = tempfile::Builder::new().permissions(open).tempdir().unwrap();
        let said = script("start", &folder.path().join("server"));
        let url = said.lines().last().unwrap().to_owned();
        Self { folder, url }
    }

    fn run(&self, what: &str) {
        script(what, &self.folder.path().join("server"));
    }

    /// Ends every connection but the one that asks; says how many there were.
    fn end_connections(&self) -> i64 {
        let sql = "select count(pg_terminate_backend(pid)) from pg_stat_activity
                   where backend_type = 'client backend' and pid <> pg_backend_pid()";
        postgres::Client::connect(&self.url, postgres::NoTls).unwrap().query_one(sql, &[]).unwrap().get(0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/postgres.sh");
        let _ = Command::new(script).arg("stop").arg(self.folder.path().join("server")).output();
    }
}

async fn blocking<T: Send + 'static>(server: &Arc<Server>, work: impl FnOnce(&Server) -> T + Send + 'static) -> T {
    let server = Arc::clone(server);
    tokio::task::spawn_blocking(move || work(&server)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_database_loses_nothing_and_is_found_again() {
    let server = Arc::new(tokio::task::spawn_blocking(Server::start).await.unwrap());
    let folder = TempDir::new().unwrap();
    let anchor = folder.path().join("anchor");
    let home = Home::new(folder, &server.url, &anchor);
    let line = home.command();
    let plane = Arc::new(home.start(&line).await);
    plane.provision().await;
    let load = Load::start(&plane, ANY_NUMBER);
    load.goes_on(&plane).await;

    blocking(&server, |s| s.run("crash")).await;
    plane.is_degraded().await;
    let waiting = plane.home.world.propose(7);
    let Answer::Later(problem) = plane.say(&waiting).await else { panic!("there is no database for it") };
    assert_eq!(problem.kind, messages::ProblemType::Unavailable);
    assert!(plane.reader.checkpoint().await.is_ok(), "what is in memory is still told");
    load.is_refused(&plane).await;
    blocking(&server, |s| s.run("resume")).await;
    plane.is_ready().await;
    let seq = plane.insist(&waiting).await;
    load.goes_on(&plane).await;

    for _ in 0..5 {
        let ended = blocking(&server, Server::end_connections).await;
        assert!(ended >= 1, "there were connections to end");
        load.goes_on(&plane).await;
    }
    plane.is_ready().await;

    let mut acknowledged = load.end().await;
    acknowledged.insert(waiting.cid(), seq);
    plane.holds(&acknowledged).await;
    let Ok(plane) = Arc::try_unwrap(plane) else { panic!("the load has ended") };
    let home = plane.stop().await;
    let plane = home.start(&line).await;
    plane.holds(&acknowledged).await;
    plane.stop().await;
}
