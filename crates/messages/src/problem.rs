use crate::{Violation, schema};
use domain::Cid;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::{borrow::Cow, fmt};

/// Media type of a [`Problem`] (RFC 9457).
pub const PROBLEM_JSON: &str = "application/problem+json";
/// What every problem type's URI begins with.
pub const PROBLEM_BASE: &str = "https://countersign.dev/problems/";

macro_rules! problems {
    ($($(#[$doc:meta])* $name:ident = $slug:literal, $status:literal, $title:literal;)*) => {
        /// What went wrong, as a stable URI. JSON: the URI.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ProblemType {
            $($(#[$doc])* $name,)*
        }

        impl ProblemType {
            /// Every type.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The stable URI.
            pub const fn uri(self) -> &'static str {
                match self { $(Self::$name => concat!("https://countersign.dev/problems/", $slug),)* }
            }

            /// The last part of the URI, in kebab case.
            pub const fn slug(self) -> &'static str {
                match self { $(Self::$name => $slug,)* }
            }

            /// The HTTP status code.
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }

            /// The same short text for every occurrence.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }
        }
    };
}
problems! {
    /// The request is not what the endpoint takes.
    MalformedRequest = "malformed-request", 400, "The request is malformed";
    /// The endpoint is not called like that.
    MethodNotAllowed = "method-not-allowed", 405, "The method is not allowed";
    /// The body is above the endpoint's limit.
    PayloadTooLarge = "payload-too-large", 413, "The request body is too large";
    /// The body's media type is not taken.
    UnsupportedMediaType = "unsupported-media-type", 415, "The media type is not supported";
    /// A token is not a UCAN.
    TokenMalformed = "token-malformed", 400, "A token is malformed";
    /// A token is not in canonical DAG-CBOR.
    TokenNonCanonical = "token-non-canonical", 400, "A token is not canonically encoded";
    /// A token's signature is not its issuer's.
    SignatureInvalid = "signature-invalid", 401, "A signature is not valid";
    /// A token is no longer valid.
    TokenExpired = "token-expired", 401, "A token has expired";
    /// A token is not valid yet.
    TokenNotYetValid = "token-not-yet-valid", 401, "A token is not valid yet";
    /// A token is valid for longer than it may be.
    LifetimeTooLong = "lifetime-too-long", 400, "A token is valid for too long";
    /// A token is for another audience.
    AudienceMismatch = "audience-mismatch", 401, "A token is for another audience";
    /// The subject is not one that this system serves.
    SubjectUnknown = "subject-unknown", 403, "The subject is not known here";
    /// A delegation does not cover the command.
    CommandMismatch = "command-mismatch", 403, "A delegation does not cover the command";
    /// A proof is neither sent nor held.
    ProofUnavailable = "proof-unavailable", 401, "A proof is not available";
    /// Two links of the chain do not fit together.
    ClaimInvalid = "claim-invalid", 401, "The chain of delegations is broken";
    /// A delegation's policy does not allow the arguments.
    PolicyMismatch = "policy-mismatch", 403, "A delegation's policy does not allow the arguments";
    /// A delegation or key is revoked.
    Revoked = "revoked", 401, "An authority has been revoked";
    /// The arguments are not what the command takes.
    ArgsInvalid = "args-invalid", 422, "The arguments are invalid";
    /// The chain is valid and does not entitle to this.
    NotEntitled = "not-entitled", 403, "The authority does not extend to this";
    /// The state does not allow it.
    Conflict = "conflict", 409, "The current state does not allow this";
    /// There is no such thing.
    NotFound = "not-found", 404, "Not found";
    /// An argument names something that does not exist.
    UnknownReference = "unknown-reference", 422, "An argument names something unknown";
    /// The grant lacks a capability.
    CapabilityRequired = "capability-required", 403, "The grant lacks a capability";
    /// The caller may not.
    Forbidden = "forbidden", 403, "Forbidden";
    /// The caller asks too often.
    RateLimited = "rate-limited", 429, "Too many requests";
    /// Everyone together asks too often.
    Overloaded = "overloaded", 503, "The service is overloaded";
    /// Something that the service needs is missing.
    Unavailable = "unavailable", 503, "The service is unavailable";
    /// The service has not verified what it holds yet, and so answers nothing from it.
    Starting = "starting", 503, "The service is starting";
    /// Another process gives statements their place now.
    Fenced = "fenced", 503, "This process does not sequence the log now";
    /// A fault of the service.
    Internal = "internal", 500, "Internal error";
}

impl ProblemType {
    /// The type with this URI.
    pub fn parse(uri: &str) -> Option<Self> {
        let slug = uri.strip_prefix(PROBLEM_BASE)?;
        Self::ALL.iter().copied().find(|t| t.slug() == slug)
    }
}

impl fmt::Display for ProblemType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.uri())
    }
}

impl Serialize for ProblemType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.uri())
    }
}

impl JsonSchema for ProblemType {
    fn schema_name() -> Cow<'static, str> {
        "ProblemType".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let uris: Vec<&str> = Self::ALL.iter().map(|t| t.uri()).collect();
        json_schema!({"type": "string", "format": "uri", "enum": uris})
    }
}

impl<'de> Deserialize<'de> for ProblemType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let uri = Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&uri).ok_or_else(|| D::Error::custom("expected the URI of a problem type"))
    }
}

/// An error as the API answers it: problem details of RFC 9457 with this system's extension members.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[error("{title}: {detail}")]
#[serde(deny_unknown_fields)]
pub struct Problem {
    /// What went wrong.
    #[serde(rename = "type")]
    pub kind: ProblemType,
    /// The type's short text.
    pub title: String,
    /// The HTTP status code.
    pub status: u16,
    /// What went wrong this time, for people.
    pub detail: String,
    /// The argument or field at fault, such as `splits[1].bps`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The index of the delegation at fault in the chain, root first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hop: Option<u64>,
    /// The token at fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Cid>")]
    pub cid: Option<Cid>,
    /// The seconds after which asking again makes sense.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// What policy found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub violations: Vec<Violation>,
}

impl Problem {
    /// A problem with nothing but its type and detail.
    pub fn new(kind: ProblemType, detail: impl Into<String>) -> Self {
        Self {
            kind,
            title: kind.title().to_owned(),
            status: kind.status(),
            detail: detail.into(),
            field: None,
            hop: None,
            cid: None,
            retry_after: None,
            violations: Vec::new(),
        }
    }

    /// This problem with the field at fault.
    #[must_use]
    pub fn with_field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// This problem with the delegation at fault.
    #[must_use]
    pub const fn with_hop(mut self, hop: u64) -> Self {
        self.hop = Some(hop);
        self
    }

    /// This problem with the token at fault.
    #[must_use]
    pub const fn with_cid(mut self, cid: Cid) -> Self {
        self.cid = Some(cid);
        self
    }

    /// This problem with the seconds to wait.
    #[must_use]
    pub const fn with_retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// This problem with what policy found.
    #[must_use]
    pub fn with_violations(mut self, violations: Vec<Violation>) -> Self {
        self.violations = violations;
        self
    }
}
