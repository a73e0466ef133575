use crate::inspect::tokens_in;
use crate::{
    Context, Delegation, Error, ErrorClass, Invocation, Parsed, Suspect, Trust, Unverified, Verified, authorise,
    hop_of, parse,
};
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
    /// The delegation at fault, counted from the root; absent when it is the invocation, an unreadable file or a token
    /// that has no part in the chain.
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
type Claimed = BTreeMap<Cid, Unverified<Delegation>>;

/// Reads everything before any signature is checked, so that a bad token is told by its place in the chain.
fn gather(input: &[u8], proofs: &[&[u8]]) -> Result<Found, VerifyError> {
    let mut claimed = Claimed::new();
    let mut invocation: Option<Unverified<Invocation>> = None;
    let mut unreadable = None;
    for (file, bytes) in std::iter::once(&input).chain(proofs).enumerate() {
        let (_, tokens) = tokens_in(bytes).map_err(|error| because(&error, None))?;
        for token in tokens {
            match parse(&token) {
                Ok(Parsed::Delegation(delegation)) => {
                    claimed.insert(delegation.claims().cid(), delegation);
                }
                Ok(Parsed::Invocation(found)) if file == 0 && invocation.is_none() => invocation = Some(found),
                Ok(Parsed::Invocation(found)) => {
                    return Err(because(&Error::Malformed("more than one invocation"), Some(found.claims().cid())));
                }
                Err(error) => unreadable = unreadable.or(Some((Cid::of(&token), error))),
            }
        }
    }
    let blame = |cid: Cid, error: &Error, invocation: &Invocation, claimed: &Claimed| {
        let claims = |cid: &Cid| claimed.get(cid).map(Unverified::claims);
        let hop = hop_of(invocation, &Suspect { cid, claims: claims(&cid) }, &claims);
        VerifyError { hop, ..because(error, Some(cid)) }
    };
    match (&invocation, unreadable) {
        (Some(found), Some((cid, error))) => return Err(blame(cid, &error, found.claims(), &claimed)),
        (None, Some((cid, error))) => return Err(because(&error, Some(cid))),
        (_, None) => {}
    }
    let invocation = invocation.ok_or_else(|| because(&Error::Malformed("the file holds no invocation"), None))?;
    let cid = invocation.claims().cid();
    let invocation = invocation.verify().map_err(|error| because(&error, Some(cid)))?;
    let mut delegations = BTreeMap::new();
    for (cid, delegation) in &claimed {
        let verified = delegation.verify().map_err(|error| blame(*cid, &error, &invocation, &claimed))?;
        delegations.insert(*cid, verified);
    }
    Ok((invocation, delegations))
}

fn because(error: &Error, cid: Option<Cid>) -> VerifyError {
    let class: ErrorClass = error.class();
    VerifyError { class: class.as_str(), hop: None, cid, detail: error.to_string() }
}
