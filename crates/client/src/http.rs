use crate::ClientError;
use messages::Problem;
use reqwest::{Client, RequestBuilder, Response};
use serde::de::DeserializeOwned;
use std::time::Duration;

/// Answers come from the same data centre or the next; a service that needs longer is down.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Longer than the control plane lets a statement wait for its place, so that what it says of a slow one arrives: that it
/// is not known yet.
pub const SUBMIT_TIMEOUT: Duration = Duration::from_secs(20);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Half of the time after which a service closes a connection on which nothing happens, so that no request meets that.
const IDLE: Duration = Duration::from_secs(15);
/// A thousand entries with their tokens.
pub(crate) const MAX_ANSWER: usize = 64 * 1024 * 1024;
/// A problem is a few sentences.
const MAX_PROBLEM: usize = 64 * 1024;

/// A client that keeps connections alive, follows no redirect and uses no proxy: peers are named exactly.
pub(crate) fn client() -> Result<Client, ClientError> {
    Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .tcp_nodelay(true)
        .tcp_keepalive(Duration::from_secs(30))
        .pool_max_idle_per_host(64)
        .pool_idle_timeout(IDLE)
        .user_agent(concat!("countersign/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|source| ClientError::Transport { url: String::new(), source })
}

/// Sends a request; an answer other than 2xx becomes the problem it carries.
pub(crate) async fn send(url: &str, request: RequestBuilder) -> Result<Response, ClientError> {
    let failed = |source: reqwest::Error| ClientError::Transport { url: url.to_owned(), source: source.without_url() };
    let response = request.send().await.map_err(failed)?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let retry_after = response.headers().get("retry-after").and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok());
    let body = bytes(url, response, MAX_PROBLEM).await?;
    let mut problem: Problem = serde_json::from_slice(&body).map_err(|_| ClientError::Status(status.as_u16()))?;
    problem.retry_after = problem.retry_after.or(retry_after);
    Err(ClientError::Problem(Box::new(problem)))
}

/// The body, never buffering more than `limit`.
pub(crate) async fn bytes(url: &str, mut response: Response, limit: usize) -> Result<Vec<u8>, ClientError> {
    let mut body = Vec::new();
    loop {
        let chunk = response.chunk().await;
        let chunk =
            chunk.map_err(|source| ClientError::Transport { url: url.to_owned(), source: source.without_url() })?;
        let Some(chunk) = chunk else { return Ok(body) };
        if body.len().saturating_add(chunk.len()) > limit {
            return Err(ClientError::TooLarge { limit });
        }
        body.extend_from_slice(&chunk);
    }
}

pub(crate) async fn json<T: DeserializeOwned>(url: &str, response: Response) -> Result<T, ClientError> {
    let body = bytes(url, response, MAX_ANSWER).await?;
    serde_json::from_slice(&body).map_err(|e| ClientError::Malformed(e.to_string()))
}

pub(crate) async fn text(url: &str, response: Response, limit: usize) -> Result<String, ClientError> {
    let body = bytes(url, response, limit).await?;
    String::from_utf8(body).map_err(|_| ClientError::Malformed("text that is not UTF-8".to_owned()))
}
