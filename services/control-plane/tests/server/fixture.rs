use crate::openapi;
use countersign_control_plane::{Config, Error, Server};
use countersign_tests::{Signed, World};
use domain::Time;
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::Value;
use std::{path::PathBuf, time::SystemTime};
use tempfile::TempDir;

/// A running server with the world that it serves.
pub struct Node {
    pub world: World,
    pub server: Server,
    pub folder: TempDir,
    pub http: Client,
}

/// A folder and a configuration in it.
pub fn config(world: &World, folder: &TempDir) -> Config {
    let mut config = Config::new(
        format!("sqlite:{}", database(folder).display()),
        world.operator.did,
        &world.sequencer.key.to_bytes(),
        &world.issuer.key.to_bytes(),
        folder.path().join("anchor"),
    );
    config.listen.set_port(0);
    config
}

pub fn database(folder: &TempDir) -> PathBuf {
    folder.path().join("log.db")
}

#[expect(clippy::disallowed_methods, reason = "the server has its own clock, and tokens must be valid by it")]
pub fn now() -> Time {
    Time::from_unix(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs())
}

/// The server is on this machine, whatever proxy the environment names.
pub fn http() -> Client {
    Client::builder().no_proxy().build().unwrap()
}

impl Node {
    /// An empty log.
    pub async fn empty() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let world = World::new(now());
        let folder = TempDir::new().unwrap();
        let mut config = config(&world, &folder);
        change(&mut config);
        let server = Server::start(config).await.unwrap();
        Self { world, server, folder, http: http() }
    }

    /// A log in which the installation can propose: at most 1,000 at once and `daily` a day.
    pub async fn ready(daily: u64) -> Self {
        let node = Self::empty().await;
        node.setup(1_000, daily).await;
        node
    }

    pub async fn setup(&self, max: u64, daily: u64) {
        for signed in self.world.setup(max, daily) {
            let (status, body) = self.state(&signed).await;
            assert_eq!(status, 201, "{body}");
        }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.server.address())
    }

    pub async fn state(&self, signed: &Signed) -> (u16, Value) {
        self.post("/v1/statements", signed.container()).await
    }

    pub async fn propose(&self, signed: &Signed) -> (u16, Value) {
        self.post("/v1/proposals", signed.container()).await
    }

    pub async fn post(&self, path: &str, body: Vec<u8>) -> (u16, Value) {
        json(self.http.post(self.url(path)).body(body)).await
    }

    pub fn get(&self, path: &str, reader: &Signed) -> RequestBuilder {
        self.http.get(self.url(path)).bearer_auth(reader.text())
    }

    /// Reads with the operator's capability for everything.
    pub async fn read(&self, path: &str) -> (u16, Value) {
        let reader = self.world.reader(&self.world.operator, "/read");
        json(self.get(path, &reader)).await
    }

    /// The number of entries.
    pub async fn size(&self) -> u64 {
        let (status, body) = self.read("/v1/log/entries?limit=1").await;
        assert_eq!(status, 200, "{body}");
        body["head"].as_u64().map_or(0, |head| head + 1)
    }

    /// Ends the server and gives back what outlives it.
    pub async fn stop(self) -> (World, TempDir) {
        self.server.stop().await.unwrap();
        (self.world, self.folder)
    }

    /// Ends the server and starts another on the same database.
    pub async fn restart(self) -> Self {
        let (world, folder) = self.stop().await;
        Self::resume(world, folder).await.unwrap()
    }

    pub async fn resume(world: World, folder: TempDir) -> Result<Self, Error> {
        Self::resume_with(world, folder, |_| {}).await
    }

    pub async fn resume_with(world: World, folder: TempDir, change: impl FnOnce(&mut Config)) -> Result<Self, Error> {
        let mut config = config(&world, &folder);
        change(&mut config);
        let server = Server::start(config).await?;
        Ok(Self { world, server, folder, http: http() })
    }
}

pub async fn json(request: RequestBuilder) -> (u16, Value) {
    let (client, request) = request.build_split();
    let request = request.unwrap();
    let method = request.method().clone();
    answer(&method, client.execute(request).await.unwrap()).await
}

/// Status and body. Whatever the answer, the document has it; and whatever is too much or not there now says when to come
/// back, in its head and in its body.
pub async fn answer(method: &Method, response: Response) -> (u16, Value) {
    let (status, path) = (response.status().as_u16(), response.url().path().to_owned());
    let head = response.headers().clone();
    let retry_after = head.get("retry-after").map(|v| v.to_str().unwrap().parse::<u64>().unwrap());
    let text = response.text().await.unwrap();
    let body = if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap_or(Value::String(text)) };
    assert_eq!(retry_after.is_some_and(|seconds| seconds > 0), matches!(status, 429 | 503), "{status}: {body}");
    assert_eq!(retry_after, body["retry_after"].as_u64(), "{status}: {body}");
    openapi::check(method, &path, status, &head, &body);
    (status, body)
}

/// The last part of a problem's type.
pub fn slug(body: &Value) -> &str {
    body["type"].as_str().and_then(|uri| uri.rsplit('/').next()).unwrap_or_default()
}
