use crate::inspect::tokens_in;
use crate::{Context, Delegation, Error, ErrorClass, Invocation, Token, Trust, Verified, authorise, open};
use domain::{Cid, Did, Time};
use serde::Serialize;
use std::collections::BTreeMap;

/// Under what conditions [`verify_report`] judges.
#[derive(Clone, Debug, Default)]
pub struct VerifyOptions {
    /// The moment of judgement.
    pub at: Time,
    /// The verifier; `None` accepts any addressee.
    pub audience: Option<Did>,
    /// Trusted subjects; when empty, every subject is accepted and the report says so in `trusted`.
    pub trust: Vec<Did>,
    /// Accept delegations without subject below the root.
    pub allow_powerline: bool,
}

/// Whether an invocation is entitled, and by which delegations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VerifyReport {
    /// Whether every check passed.
    pub ok: bool,
    /// Whether the subject was compared with a list of trusted ones.
    pub trusted: bool,
    /// The invocation that was judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invocation: Option<Cid>,
    /// On whose resource it acts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<Did>,
    /// Who issued it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<Did>,
    /// Its command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// The delegations of a sound chain, root first.
    pub hops: Vec<Cid>,
    /// Why not, when not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<VerifyError>,
}

/// The first reason against an invocation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VerifyError {
    /// The stable class name.
    pub class: &'static str,
    /// The delegation at fault, counted from the root; absent when it is the invocation or an unreadable file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hop: Option<usize>,
    /// The token at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cid: Option<Cid>,
    /// A sentence for people.
    pub detail: String,
}

/// Verifies the one invocation in `input` (a token or container, raw or base64) with the delegations in `input` and in
/// `proofs`: signatures of everything given, then the chain.
pub fn verify_report(input: &[u8], proofs: &[&[u8]], options: &VerifyOptions) -> VerifyReport {
    let blank = VerifyReport {
        ok: false,
        trusted: !options.trust.is_empty(),
        invocation: None,
        subject: None,
        issuer: None,
        command: None,
        hops: Vec::new(),
        error: None,
    };
    let (invocation, delegations) = match gather(input, proofs) {
        Ok(found) => found,
        Err(error) => return VerifyReport { error: Some(error), ..blank },
    };
    let about = VerifyReport {
        invocation: Some(invocation.cid()),
        subject: Some(invocation.subject()),
        issuer: Some(invocation.issuer()),
        command: Some(invocation.command().to_string()),
        ..blank
    };
    let trust = if options.trust.is_empty() { Trust::Any } else { Trust::Only(&options.trust) };
    let context = Context {
        audience: options.audience,
        allow_powerline: options.allow_powerline,
        ..Context::new(options.at, trust)
    };
    match authorise(&invocation, &|cid| delegations.get(cid).cloned(), &context) {
        Ok(chain) => VerifyReport { ok: true, hops: chain.hops().iter().map(|hop| hop.cid()).collect(), ..about },
        Err(denied) => {
            let error = VerifyError {
                class: denied.class.as_str(),
                hop: denied.hop,
                cid: denied.cid,
                detail: denied.detail.into_owned(),
            };
            VerifyReport { error: Some(error), ..about }
        }
    }
}

type Found = (Verified<Invocation>, BTreeMap<Cid, Verified<Delegation>>);

fn gather(input: &[u8], proofs: &[&[u8]]) -> Result<Found, VerifyError> {
    let mut delegations = BTreeMap::new();
    let mut invocation = None;
    for (file, bytes) in std::iter::once(&input).chain(proofs).enumerate() {
        let (_, tokens) = tokens_in(bytes).map_err(|error| because(&error, None))?;
        for token in tokens {
            match open(&token).map_err(|error| because(&error, Some(Cid::of(&token))))? {
                Token::Delegation(delegation) => {
                    delegations.insert(delegation.cid(), delegation);
                }
                Token::Invocation(found) if file == 0 && invocation.is_none() => invocation = Some(found),
                Token::Invocation(found) => {
                    return Err(because(&Error::Malformed("more than one invocation"), Some(found.cid())));
                }
            }
        }
    }
    let invocation = invocation.ok_or_else(|| because(&Error::Malformed("the file holds no invocation"), None))?;
    Ok((invocation, delegations))
}

fn because(error: &Error, cid: Option<Cid>) -> VerifyError {
    let class: ErrorClass = error.class();
    VerifyError { class: class.as_str(), hop: None, cid, detail: error.to_string() }
}
