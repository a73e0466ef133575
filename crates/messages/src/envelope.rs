use crate::{Base64, Refusal};
use domain::{Did, Digest, Time};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// The largest body: a key generation's round of 32 participants is well below, and a node never buffers more.
pub const MAX_BODY: usize = 1024 * 1024;
/// Seconds by which the clocks of two nodes that speak may differ: what is older was recorded and is played back.
pub const CLOCK_TOLERANCE: u64 = 60;
/// Seconds by which an answer that a coordinator forwards may be away from the clock of whom it is forwarded to. It was
/// within [`CLOCK_TOLERANCE`] of the coordinator's clock when that took it, and the coordinator's request is within as much
/// of this one: three minutes are left for the session or the step of a ceremony in between, which takes seconds. So no
/// clock makes an honest node refuse what a coordinator has taken.
pub const FORWARDED_TOLERANCE: u64 = CLOCK_TOLERANCE.saturating_mul(5);
/// Separates these signatures from every other that a node key makes.
const CONTEXT: &[u8] = b"countersign node envelope v1";

/// Sixteen random bytes that make every envelope different. JSON: base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Base64", into = "Base64")]
pub struct Nonce(pub [u8; 16]);

impl TryFrom<Base64> for Nonce {
    type Error = &'static str;

    fn try_from(bytes: Base64) -> Result<Self, Self::Error> {
        bytes.0.try_into().map(Self).map_err(|_| "a nonce is 16 bytes")
    }
}

impl From<Nonce> for Base64 {
    fn from(nonce: Nonce) -> Self {
        Self(nonce.0.to_vec())
    }
}

/// Which way an envelope goes, so that a request can never be passed off as a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Asks for something.
    Request,
    /// Answers a request.
    Response,
}

/// A body with the Ed25519 signature of the node that says it. As JSON it can be forwarded and is verified by whoever
/// pins the sender's key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Envelope {
    /// The layout, 1.
    pub v: u8,
    /// Request or response.
    pub direction: Direction,
    /// The endpoint's path, such as `/v1/sessions/sign`.
    pub path: String,
    /// Who says it.
    pub from: Did,
    /// To whom.
    pub to: Did,
    /// When it was said, in Unix seconds of the sender's clock.
    pub at: Time,
    /// Random.
    pub nonce: Nonce,
    /// In a response, the digest of the request's envelope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_reply_to: Option<Digest>,
    /// The body's JSON text, byte for byte as signed.
    pub body: Base64,
    /// 64 bytes of RFC 8032 over [`Self::signed_bytes`].
    pub signature: Base64,
}

/// What surrounds a body when it is sealed.
#[derive(Clone, Copy, Debug)]
pub struct Seal<'a> {
    /// The endpoint's path.
    pub path: &'a str,
    /// To whom it is addressed.
    pub to: Did,
    /// Now.
    pub at: Time,
    /// Fresh random bytes.
    pub nonce: Nonce,
    /// For a response, the digest of the request; `None` makes a request.
    pub in_reply_to: Option<Digest>,
}

/// What an envelope has to be in order to be opened.
#[derive(Clone, Copy)]
pub struct Expected<'a> {
    /// Whom it is addressed to; for one that a coordinator forwards, the coordinator.
    pub to: &'a Did,
    /// The endpoint's path.
    pub path: &'a str,
    /// For a response, the digest of the request it answers; `None` expects a request.
    pub in_reply_to: Option<Digest>,
    /// Now.
    pub now: Time,
    /// How many seconds the sender's clock may be away from `now` either way.
    pub tolerance: u64,
    /// Whether a key is one that this node listens to.
    pub is_pinned: &'a dyn Fn(&Did) -> bool,
}

/// A verified body and who said it. Only opening an envelope makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened<T> {
    body: T,
    from: Did,
    at: Time,
    nonce: Nonce,
    digest: Digest,
}

/// An envelope cannot be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// Not a layout that this version knows.
    #[error("envelope version {0} is not known")]
    Version(u8),
    /// The sender's key is not pinned.
    #[error("{0} is not a known node")]
    UnknownSender(Did),
    /// Addressed to somebody else.
    #[error("the envelope is addressed to {0}")]
    WrongRecipient(Did),
    /// Made for another endpoint.
    #[error("the envelope is for another path")]
    WrongPath,
    /// A request instead of a response, a response instead of a request, or an answer to another request.
    #[error("the envelope does not answer this request")]
    WrongExchange,
    /// Too old or too far in the future.
    #[error("the envelope's time {at} is more than {tolerance} s away from {now}")]
    Stale {
        /// When it says it was made.
        at: Time,
        /// Now.
        now: Time,
        /// The seconds allowed.
        tolerance: u64,
    },
    /// The signature is not the sender's over this envelope.
    #[error("the envelope's signature is not valid")]
    BadSignature,
    /// Above [`MAX_BODY`].
    #[error("the envelope's body is larger than 1 MiB")]
    TooLarge,
    /// The signed body is not of the expected type.
    #[error("the envelope's body is malformed")]
    MalformedBody(#[source] serde_json::Error),
}

impl Envelope {
    /// Signs `body` as JSON with the sender's node key.
    pub fn seal<T: Serialize>(key: &SigningKey, seal: &Seal<'_>, body: &T) -> Result<Self, EnvelopeError> {
        let body = Base64(serde_json::to_vec(body).map_err(EnvelopeError::MalformedBody)?);
        if body.0.len() > MAX_BODY {
            return Err(EnvelopeError::TooLarge);
        }
        let mut envelope = Self {
            v: 1,
            direction: if seal.in_reply_to.is_some() { Direction::Response } else { Direction::Request },
            path: seal.path.to_owned(),
            from: Did::from_key(key.verifying_key().to_bytes()),
            to: seal.to,
            at: seal.at,
            nonce: seal.nonce,
            in_reply_to: seal.in_reply_to,
            body,
            signature: Base64::default(),
        };
        envelope.signature = Base64(key.sign(&envelope.signed_bytes()).to_bytes().to_vec());
        Ok(envelope)
    }

    /// What is signed: context, version, direction, path, from, to, at, nonce, in_reply_to and body, each after its
    /// length as eight big-endian bytes. Keys are raw, `at` is eight big-endian bytes, an absent digest is empty.
    pub fn signed_bytes(&self) -> Vec<u8> {
        let direction: &[u8] = match self.direction {
            Direction::Request => b"request",
            Direction::Response => b"response",
        };
        let at = self.at.unix().to_be_bytes();
        let in_reply_to: &[u8] = self.in_reply_to.as_ref().map_or(&[], |d| d.as_bytes());
        let version = [self.v];
        let parts: [&[u8]; 10] = [
            CONTEXT,
            &version,
            direction,
            self.path.as_bytes(),
            self.from.key(),
            self.to.key(),
            &at,
            &self.nonce.0,
            in_reply_to,
            &self.body.0,
        ];
        parts.iter().flat_map(|p| [&u64::try_from(p.len()).unwrap_or(u64::MAX).to_be_bytes(), *p].concat()).collect()
    }

    /// SHA-256 of [`Self::signed_bytes`]: what a response names as its request. Malleating a signature does not change it.
    pub fn digest(&self) -> Digest {
        Digest::sha256(&self.signed_bytes())
    }

    /// Verifies everything that `expected` says and parses the body. Replays within the tolerance are not noticed here
    /// but by [`crate::ReplayGuard`].
    pub fn open<T: DeserializeOwned>(&self, expected: &Expected<'_>) -> Result<Opened<T>, EnvelopeError> {
        let digest = self.verify(expected)?;
        let body = serde_json::from_slice(&self.body.0).map_err(EnvelopeError::MalformedBody)?;
        Ok(Opened { body, from: self.from, at: self.at, nonce: self.nonce, digest })
    }

    /// As [`Self::open`], for an answer that is a `T` or a refusal.
    pub fn open_answer<T: DeserializeOwned>(
        &self,
        expected: &Expected<'_>,
    ) -> Result<Opened<Result<T, Refusal>>, EnvelopeError> {
        let digest = self.verify(expected)?;
        // Each is parsed from the signed text, as by whoever the answer is forwarded to: on the way through a tree of
        // values, what is said twice would be forgotten.
        let body = match serde_json::from_slice::<Refusal>(&self.body.0) {
            Ok(refusal) => Err(refusal),
            Err(_) => Ok(serde_json::from_slice(&self.body.0).map_err(EnvelopeError::MalformedBody)?),
        };
        Ok(Opened { body, from: self.from, at: self.at, nonce: self.nonce, digest })
    }

    fn verify(&self, expected: &Expected<'_>) -> Result<Digest, EnvelopeError> {
        if self.v != 1 {
            return Err(EnvelopeError::Version(self.v));
        }
        if self.to != *expected.to {
            return Err(EnvelopeError::WrongRecipient(self.to));
        }
        if self.path != expected.path {
            return Err(EnvelopeError::WrongPath);
        }
        let direction = if expected.in_reply_to.is_some() { Direction::Response } else { Direction::Request };
        if self.direction != direction || self.in_reply_to != expected.in_reply_to {
            return Err(EnvelopeError::WrongExchange);
        }
        self.authenticate(expected.now, expected.tolerance, expected.is_pinned)
    }

    /// Opens an answer that somebody else asked for and forwards: `from` must be who signed it and `path` the endpoint.
    /// It says who said it, where and when; whom they answered is not this node's business.
    pub fn open_forwarded<T: DeserializeOwned>(
        &self,
        from: &Did,
        path: &str,
        now: Time,
        tolerance: u64,
    ) -> Result<Opened<T>, EnvelopeError> {
        if self.v != 1 {
            return Err(EnvelopeError::Version(self.v));
        }
        if self.path != path {
            return Err(EnvelopeError::WrongPath);
        }
        if self.direction != Direction::Response || self.in_reply_to.is_none() {
            return Err(EnvelopeError::WrongExchange);
        }
        let digest = self.authenticate(now, tolerance, &|did| did == from)?;
        let body = serde_json::from_slice(&self.body.0).map_err(EnvelopeError::MalformedBody)?;
        Ok(Opened { body, from: self.from, at: self.at, nonce: self.nonce, digest })
    }

    fn authenticate(
        &self,
        now: Time,
        tolerance: u64,
        is_pinned: &dyn Fn(&Did) -> bool,
    ) -> Result<Digest, EnvelopeError> {
        if !is_pinned(&self.from) {
            return Err(EnvelopeError::UnknownSender(self.from));
        }
        if self.body.0.len() > MAX_BODY {
            return Err(EnvelopeError::TooLarge);
        }
        if now.since(self.at).max(self.at.since(now)) > tolerance {
            return Err(EnvelopeError::Stale { at: self.at, now, tolerance });
        }
        let bytes = self.signed_bytes();
        let signature = Signature::from_slice(&self.signature.0).map_err(|_| EnvelopeError::BadSignature)?;
        VerifyingKey::from_bytes(self.from.key())
            .and_then(|key| key.verify_strict(&bytes, &signature))
            .map_err(|_| EnvelopeError::BadSignature)?;
        Ok(Digest::sha256(&bytes))
    }
}

impl<T> Opened<T> {
    /// What was said.
    pub const fn body(&self) -> &T {
        &self.body
    }

    /// What was said, without who said it.
    pub fn into_body(self) -> T {
        self.body
    }

    /// Who said it.
    pub const fn from(&self) -> Did {
        self.from
    }

    /// When, by the sender's clock.
    pub const fn at(&self) -> Time {
        self.at
    }

    /// The sender's random bytes.
    pub const fn nonce(&self) -> Nonce {
        self.nonce
    }

    /// The digest of the envelope, which a response names.
    pub const fn digest(&self) -> Digest {
        self.digest
    }
}
