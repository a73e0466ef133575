use crate::{Ambient, ClientError, SpeakError, Statement, http};
use domain::{Did, Digest, NodeUrl, Time};
use keyfile::Identity;
use messages::{CLOCK_TOLERANCE, Envelope, EnvelopeError, Expected, FreezeReply, MAX_BODY, Nonce, Seal, paths};
use reqwest::Client;
use serde::{Serialize, de::DeserializeOwned};
use std::time::Duration;

/// A body of 1 MiB in base64 with its envelope.
const MAX_ENVELOPE: usize = 2 * 1024 * 1024;

/// Asks one node by signed envelopes, and takes only answers signed by the key that is pinned for it.
#[derive(Clone, Debug)]
pub struct SignerClient {
    http: Client,
    base: NodeUrl,
    node: Did,
    identity: Identity,
    ambient: Ambient,
}

/// An authentic answer, with the envelope that proves who gave it.
#[derive(Clone, Debug)]
pub struct Exchange<T> {
    /// The answer.
    pub reply: T,
    /// The node's signed message, for evidence.
    pub envelope: Envelope,
    /// Digest of the request it answers.
    pub request: Digest,
}

impl SignerClient {
    /// Speaks as `identity` to the node `node` at `base`.
    pub fn new(base: NodeUrl, node: Did, identity: Identity, ambient: Ambient) -> Result<Self, ClientError> {
        Ok(Self { http: http::client()?, base, node, identity, ambient })
    }

    /// The key that is pinned.
    pub const fn node(&self) -> Did {
        self.node
    }

    /// The time by this side's clock.
    pub fn now(&self) -> Time {
        self.ambient.now()
    }

    /// Sends `body` to the endpoint `path` and waits at most `timeout` for the answer.
    pub async fn ask<Q: Serialize + Sync, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &Q,
        timeout: Duration,
    ) -> Result<Exchange<T>, ClientError> {
        let nonce = Nonce(self.ambient.random().ok_or(SpeakError::Entropy)?);
        let seal = Seal { path, to: self.node, at: self.ambient.now(), nonce, in_reply_to: None };
        let sent = Envelope::seal(self.identity.key(), &seal, body).map_err(ClientError::Unauthentic)?;
        let request = sent.digest();
        let url = format!("{}{path}", self.base.as_str().trim_end_matches('/'));
        let failed = |source: reqwest::Error| ClientError::Transport { url: url.clone(), source: source.without_url() };
        let answer = self.http.post(&url).json(&sent).timeout(timeout).send().await.map_err(failed)?;
        let status = answer.status();
        let bytes = http::bytes(&url, answer, MAX_ENVELOPE).await?;
        // A refusal is signed like every answer, so the status says nothing that the envelope does not prove.
        let Ok(envelope) = serde_json::from_slice::<Envelope>(&bytes) else {
            return Err(serde_json::from_slice(&bytes).map_or_else(
                |_| ClientError::Malformed(format!("status {status} without an envelope")),
                |problem| ClientError::Problem(Box::new(problem)),
            ));
        };
        let expected = Expected {
            to: &self.identity.did(),
            path,
            in_reply_to: Some(request),
            now: self.ambient.now(),
            tolerance: CLOCK_TOLERANCE,
            is_pinned: &|did| *did == self.node,
        };
        let opened = envelope.open_answer(&expected).map_err(|error| match error {
            EnvelopeError::MalformedBody(source) => ClientError::Malformed(source.to_string()),
            error => ClientError::Unauthentic(error),
        })?;
        let reply = opened.into_body().map_err(|refusal| ClientError::Refused(Box::new(refusal)))?;
        Ok(Exchange { reply, envelope, request })
    }
}

/// Sends a `/freeze/set` statement to the signer at `base` and waits at most `timeout` for its word that it holds. Who
/// answers is not known by a key, so it is no proof; an answer that does not name the statement is none.
pub async fn freeze(base: &NodeUrl, said: &Statement, timeout: Duration) -> Result<FreezeReply, ClientError> {
    let url = format!("{}{}", base.as_str().trim_end_matches('/'), paths::FREEZE);
    let request = http::client()?.post(&url).body(said.container.clone()).timeout(timeout);
    let body = http::bytes(&url, http::send(&url, request).await?, MAX_BODY).await?;
    let reply: FreezeReply = serde_json::from_slice(&body).map_err(|e| ClientError::Malformed(e.to_string()))?;
    if reply.statement != said.id {
        return Err(ClientError::Malformed(format!("statement {} in place of {}", reply.statement, said.id)));
    }
    Ok(reply)
}
