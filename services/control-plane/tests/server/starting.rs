use crate::fixture::{Node, config, http, json, slug};
use countersign_control_plane::{Error, Server, VerifyError};
use reqwest::Method;
use std::{
    fs::{self, OpenOptions},
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    process::Command,
    time::Duration,
};
use tokio::{task::JoinHandle, time::timeout};

/// Only a failure takes so long.
const PATIENCE: Duration = Duration::from_mins(2);

/// A server that starts for as long as a test wants: its anchor is a pipe, of which it reads nothing until it is told.
struct Start {
    anchor: PathBuf,
    address: SocketAddr,
    server: JoinHandle<Result<Server, Error>>,
}

impl Start {
    /// Starts again what has been stopped; also what its anchor says.
    fn again(world: &countersign_tests::World, folder: &tempfile::TempDir) -> (Self, String) {
        let mut config = config(world, folder);
        let text = fs::read_to_string(&config.anchor).unwrap();
        fs::remove_file(&config.anchor).unwrap();
        assert!(Command::new("mkfifo").arg(&config.anchor).status().unwrap().success());
        config.listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (anchor, address) = (config.anchor.clone(), config.listen);
        (Self { anchor, address, server: tokio::spawn(Server::start(config)) }, text)
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Waits until it listens.
    async fn listens(&self) {
        let listens = async {
            while http().get(self.url("/healthz")).send().await.is_err() {
                assert!(!self.server.is_finished(), "it listens while it starts");
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, listens).await.unwrap();
    }

    /// Says what the anchor says, and what came of it.
    async fn go_on(mut self, text: &str) -> Result<Server, Error> {
        fs::write(&self.anchor, text).unwrap();
        timeout(PATIENCE, &mut self.server).await.unwrap().unwrap()
    }
}

impl Drop for Start {
    /// Whoever still waits for the pipe reads that it is empty.
    fn drop(&mut self) {
        let _ = OpenOptions::new().read(true).write(true).open(&self.anchor);
    }
}

#[tokio::test]
async fn whoever_asks_before_the_log_is_verified_is_told_that_it_starts() {
    let node = Node::ready(10_000).await;
    let proposal = node.world.propose(500);
    let reader = node.world.reader(&node.world.operator, "/read").text();
    let (world, folder) = node.stop().await;
    let (start, anchor) = Start::again(&world, &folder);
    start.listens().await;

    let http = http();
    let (status, body) = json(http.get(start.url("/healthz"))).await;
    let expected = serde_json::json!({"ready": false, "leader": false, "head": null, "version": body["version"]});
    assert_eq!((status, body), (200, expected));
    for (method, path, body) in [
        (Method::GET, "/readyz", Vec::new()),
        (Method::GET, "/metrics", Vec::new()),
        (Method::GET, "/openapi.json", Vec::new()),
        (Method::GET, "/v1/tenants", Vec::new()),
        (Method::GET, "/v1/log/follow", Vec::new()),
        (Method::POST, "/v1/proposals", proposal.container()),
        (Method::POST, "/v1/statements", vec![0; 100_000]),
    ] {
        let request = http.request(method.clone(), start.url(path)).bearer_auth(&reader).body(body);
        let (status, body) = json(request).await;
        assert_eq!((status, slug(&body)), (503, "starting"), "{method} {path}: {body}");
        assert!(body["detail"].as_str().unwrap().contains("verifies its log"), "{body}");
    }
    for (method, path) in [(Method::GET, "/nowhere"), (Method::DELETE, "/healthz"), (Method::PUT, "/v1/proposals")] {
        let answer = http.request(method, start.url(path)).send().await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["retry-after"]),
            (503, &"1".parse().unwrap()),
            "{path}"
        );
    }

    let url = |path: &str| format!("http://{}{path}", start.address);
    let (ready, proposals) = (url("/readyz"), url("/v1/proposals"));
    let server = start.go_on(&anchor).await.unwrap();
    // By the same client, on the connections that it has.
    assert_eq!(json(http.get(ready)).await.0, 200);
    assert_eq!(json(http.post(proposals).body(proposal.container())).await.0, 201);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn nothing_listens_after_a_start_that_fails() {
    let (world, folder) = Node::ready(10_000).await.stop().await;
    let (start, _) = Start::again(&world, &folder);
    start.listens().await;
    let url = start.url("/healthz");
    let failed = start.go_on("not a checkpoint").await;
    assert!(matches!(failed, Err(Error::Verify(VerifyError::Anchor(_)))), "{failed:?}");
    let ends = async {
        while http().get(&url).send().await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, ends).await.expect("the port is given back");
}
