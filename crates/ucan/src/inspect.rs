//! What is in a file: turns any bytes into a report that names every token, its fields and its problems. A report is
//! for reading; it never makes a [`Verified`](crate::Verified) token.

use crate::container::{self, Encoding, Limits};
use crate::token::{self, Delegation, Invocation, Parsed, Unverified};
use crate::{Error, Ipld, MAX_TOKEN_BYTES, cbor};
use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::prelude::BASE64_STANDARD_NO_PAD;
use domain::{Cid, Did, Time};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// Limits for files that a person looks at: larger than those of a service, still bounded.
const LIMITS: Limits = Limits {
    max_container_bytes: 4 * 1024 * 1024,
    max_tokens: 1024,
    max_token_bytes: MAX_TOKEN_BYTES,
    max_inflated_bytes: 4 * 1024 * 1024,
};

/// What was found in some bytes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// `container`, `token` or `unknown`.
    pub input: &'static str,
    /// The header character of a container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<char>,
    /// The tokens, in the order they stand in.
    pub tokens: Vec<TokenReport>,
    /// What is wrong with the input as a whole.
    pub problems: Vec<Problem>,
}

/// One token, trustworthy only when `signature_ok`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TokenReport {
    /// `delegation`, `invocation` or `unknown`.
    pub kind: &'static str,
    /// CID of the bytes.
    pub cid: Cid,
    /// Length in bytes.
    pub size: usize,
    /// Version in the payload tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<&'static str>,
    /// Who is said to have signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<Did>,
    /// To whom it is addressed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audience: Option<Did>,
    /// Whose resource; absent for a powerline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<Did>,
    /// The command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// The policy of a delegation, as DAG-JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<Value>,
    /// The arguments of an invocation, as DAG-JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub args: Option<Value>,
    /// The proofs of an invocation, as listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proofs: Option<Vec<Cid>>,
    /// First moment of validity, Unix seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Time>,
    /// First moment of invalidity, Unix seconds; `null` never expires.
    pub expiration: Option<Time>,
    /// When it says it was issued, Unix seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issued_at: Option<Time>,
    /// What led to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cid>,
    /// The nonce, base64 without padding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// Facts without authority, as DAG-JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meta: Option<Value>,
    /// Whether the signature verifies under the issuer's key.
    pub signature_ok: bool,
    /// The whole token as DAG-JSON, when it decodes but is not a well-formed UCAN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw: Option<Value>,
    /// What is wrong with it.
    pub problems: Vec<Problem>,
}

/// Something that makes the input unacceptable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The stable class name.
    pub class: &'static str,
    /// A sentence for people.
    pub detail: String,
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self { class: error.class().as_str(), detail: error.to_string() }
    }
}

/// Describes `bytes`: a container, a token, or either as base64 or base64url text.
pub fn describe(bytes: &[u8]) -> Report {
    match tokens_in(bytes) {
        Ok((container, tokens)) => Report {
            input: if container.is_some() { "container" } else { "token" },
            container: container.map(|encoding| char::from(encoding.header())),
            tokens: tokens.iter().map(|token| describe_token(token)).collect(),
            problems: Vec::new(),
        },
        Err(error) => Report { input: "unknown", container: None, tokens: Vec::new(), problems: vec![error.into()] },
    }
}

/// The tokens in a file, unopened, and how they were packed.
pub(crate) fn tokens_in(bytes: &[u8]) -> Result<(Option<Encoding>, Vec<Vec<u8>>), Error> {
    if bytes.len() > LIMITS.max_container_bytes {
        return Err(Error::TooLarge("input bytes"));
    }
    // Envelopes begin with a CBOR list of two; no container header and no base64 text does.
    if bytes.first() == Some(&0x82) {
        return Ok((None, vec![bytes.to_vec()]));
    }
    let trimmed = bytes.trim_ascii();
    let text = base64_any(trimmed);
    if let Some(token) = text.as_ref().filter(|decoded| decoded.first() == Some(&0x82)) {
        return Ok((None, vec![token.clone()]));
    }
    let packed = match (bytes.first().copied().and_then(Encoding::from_header), &text) {
        // Raw containers are binary: white space at their end belongs to them.
        (Some(Encoding::Raw | Encoding::RawGzip), None) => bytes,
        (Some(_), _) => trimmed,
        (None, Some(decoded)) => decoded,
        (None, None) => return Err(Error::Malformed("neither a token nor a container")),
    };
    let encoding = packed.first().copied().and_then(Encoding::from_header);
    Ok((encoding, container::decode(packed, &LIMITS)?))
}

/// Decodes standard or URL-safe base64, padded or not.
fn base64_any(text: &[u8]) -> Option<Vec<u8>> {
    const CONFIG: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    [base64::alphabet::STANDARD, base64::alphabet::URL_SAFE]
        .iter()
        .find_map(|alphabet| GeneralPurpose::new(alphabet, CONFIG).decode(text).ok())
}

fn describe_token(bytes: &[u8]) -> TokenReport {
    let blank = blank(bytes);
    match token::parse(bytes) {
        Ok(Parsed::Delegation(delegation)) => of_delegation(&delegation, blank),
        Ok(Parsed::Invocation(invocation)) => of_invocation(&invocation, blank),
        Err(error) => {
            let raw = if bytes.len() <= MAX_TOKEN_BYTES { cbor::decode(bytes).ok() } else { None };
            TokenReport { raw: raw.as_ref().map(dag_json), problems: vec![error.into()], ..blank }
        }
    }
}

fn blank(bytes: &[u8]) -> TokenReport {
    TokenReport {
        kind: "unknown",
        cid: Cid::of(bytes),
        size: bytes.len(),
        version: None,
        issuer: None,
        audience: None,
        subject: None,
        command: None,
        policy: None,
        args: None,
        proofs: None,
        not_before: None,
        expiration: None,
        issued_at: None,
        cause: None,
        nonce: None,
        meta: None,
        signature_ok: false,
        raw: None,
        problems: Vec::new(),
    }
}

fn of_delegation(token: &Unverified<Delegation>, blank: TokenReport) -> TokenReport {
    let (signature, token) = (token.check(), token.claims());
    TokenReport {
        kind: "delegation",
        version: Some(token.version().as_str()),
        issuer: Some(token.issuer()),
        audience: Some(token.audience()),
        subject: token.subject(),
        command: Some(token.command().to_string()),
        policy: Some(Value::Array(token.policy().source().iter().map(dag_json).collect())),
        not_before: token.not_before(),
        expiration: token.expiration(),
        nonce: Some(BASE64_STANDARD_NO_PAD.encode(token.nonce())),
        meta: meta(token.meta()),
        signature_ok: signature.is_ok(),
        problems: signature.err().map(Problem::from).into_iter().collect(),
        ..blank
    }
}

fn of_invocation(token: &Unverified<Invocation>, blank: TokenReport) -> TokenReport {
    let (signature, token) = (token.check(), token.claims());
    TokenReport {
        kind: "invocation",
        version: Some(token.version().as_str()),
        issuer: Some(token.issuer()),
        audience: token.audience(),
        subject: Some(token.subject()),
        command: Some(token.command().to_string()),
        args: Some(dag_json(token.args())),
        proofs: Some(token.proofs().to_vec()),
        not_before: token.not_before(),
        expiration: token.expiration(),
        issued_at: token.issued_at(),
        cause: token.cause(),
        nonce: Some(BASE64_STANDARD_NO_PAD.encode(token.nonce())),
        meta: meta(token.meta()),
        signature_ok: signature.is_ok(),
        problems: signature.err().map(Problem::from).into_iter().collect(),
        ..blank
    }
}

fn meta(meta: &std::collections::BTreeMap<String, Ipld>) -> Option<Value> {
    if meta.is_empty() { None } else { Some(map_json(meta)) }
}

fn map_json(map: &std::collections::BTreeMap<String, Ipld>) -> Value {
    Value::Object(map.iter().map(|(key, value)| (key.clone(), dag_json(value))).collect::<Map<_, _>>())
}

/// The DAG-JSON form of an IPLD value: links as `{"/": cid}`, bytes as `{"/": {"bytes": base64}}`.
pub fn dag_json(value: &Ipld) -> Value {
    match value {
        Ipld::Null => Value::Null,
        Ipld::Bool(truth) => Value::Bool(*truth),
        Ipld::Integer(n) => integer(*n),
        Ipld::Float(x) => serde_json::Number::from_f64(*x).map_or(Value::Null, Value::Number),
        Ipld::String(text) => Value::String(text.clone()),
        Ipld::Bytes(bytes) => json!({ "/": { "bytes": BASE64_STANDARD_NO_PAD.encode(bytes) } }),
        Ipld::List(list) => Value::Array(list.iter().map(dag_json).collect()),
        Ipld::Map(map) => map_json(map),
        Ipld::Link(cid) => json!({ "/": cid.to_string() }),
    }
}

/// CBOR's integers are wider than 64 bits; the text form is for a `serde_json` that cannot hold them.
fn integer(n: i128) -> Value {
    serde_json::Number::from_i128(n).map_or_else(|| Value::String(n.to_string()), Value::Number)
}
