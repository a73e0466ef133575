use crate::token::{Delegation, Invocation, Verified};
use crate::{Command, ErrorClass};
use domain::{Cid, Did, Time};
use std::{borrow::Cow, ops::Deref};

/// Whose resources the verifier guards. Anyone can sign an invocation about themselves, so a chain is worth something
/// only when its subject is one of these.
#[derive(Clone, Copy)]
pub enum Trust<'a> {
    /// Every subject: for conformance tests and offline inspection, never for a service.
    Any,
    /// The subjects in this list.
    Only(&'a [Did]),
    /// The subjects for which this function says so.
    Check(&'a dyn Fn(&Did) -> bool),
}

impl Trust<'_> {
    fn accepts(&self, subject: &Did) -> bool {
        match self {
            Self::Any => true,
            Self::Only(list) => list.contains(subject),
            Self::Check(test) => test(subject),
        }
    }
}

/// Under what conditions a chain is judged.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The moment of judgement.
    pub now: Time,
    /// Seconds by which clocks may differ, granted at both ends of every token's validity.
    pub clock_tolerance: u64,
    /// The verifier; an invocation must be addressed to it (`aud`, else `sub`). `None` accepts any addressee.
    pub audience: Option<Did>,
    /// Whose subjects count.
    pub trusted: Trust<'a>,
    /// Whether a delegation without subject is accepted below the root.
    pub allow_powerline: bool,
    /// Fewest nonce bytes of an invocation; 12 or more make its CID unique, 0 accepts any.
    pub min_nonce: usize,
    /// Whether a delegation was revoked by one of these: who issued the delegations of its chain, from the root down to
    /// itself.
    pub revoked_delegation: &'a dyn Fn(&Cid, &[Did]) -> bool,
    /// Whether a key was revoked: it may issue nothing any more.
    pub revoked_key: &'a dyn Fn(&Did) -> bool,
}

impl<'a> Context<'a> {
    /// The strict context: no tolerance, any addressee, no powerline, nothing revoked.
    pub fn new(now: Time, trusted: Trust<'a>) -> Self {
        Self {
            now,
            clock_tolerance: 0,
            audience: None,
            trusted,
            allow_powerline: false,
            min_nonce: 0,
            revoked_delegation: &|_, _| false,
            revoked_key: &|_| false,
        }
    }
}

/// Verified authority: an invocation and the delegations from its subject to its issuer. Only [`authorise`] makes one.
#[derive(Clone, Debug)]
pub struct Chain {
    invocation: Verified<Invocation>,
    hops: Vec<Verified<Delegation>>,
}

impl Chain {
    /// The invocation that the chain entitles.
    pub const fn invocation(&self) -> &Verified<Invocation> {
        &self.invocation
    }

    /// The delegations, root first; empty when the subject itself issued the invocation.
    pub fn hops(&self) -> &[Verified<Delegation>] {
        &self.hops
    }

    /// Whose resource the chain is about.
    pub fn subject(&self) -> Did {
        self.invocation.subject()
    }

    /// Who issued the invocation.
    pub fn issuer(&self) -> Did {
        self.invocation.issuer()
    }

    /// Whom the subject itself entitled: the audience of the first delegation, or the subject when it acts itself.
    pub fn principal(&self) -> Did {
        self.hops.first().map_or_else(|| self.issuer(), |root| root.audience())
    }
}

/// Why a chain does not entitle its invocation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{class}: {detail}")]
pub struct Denied {
    /// The stable class.
    pub class: ErrorClass,
    /// The delegation at fault, counted from the root; `None` when it is the invocation.
    pub hop: Option<usize>,
    /// The token at fault, or the proof that is missing.
    pub cid: Option<Cid>,
    /// The field at fault of that token, by its name in the payload.
    pub field: &'static str,
    /// A sentence for people.
    pub detail: Cow<'static, str>,
}

/// Walks an invocation's proofs from its subject to its issuer: presence, time, revocation, subject, audience, command
/// and policy at every hop. Signatures were checked when the tokens were opened; this takes microseconds.
///
/// Proofs may be listed root first or leaf first; the walk makes either safe. `proofs` gives an opened delegation by
/// its CID.
pub fn authorise(
    invocation: &Verified<Invocation>,
    proofs: &dyn Fn(&Cid) -> Option<Verified<Delegation>>,
    context: &Context<'_>,
) -> Result<Chain, Denied> {
    let hops = walk(invocation, proofs, context)?;
    // Last, because policies may be the costliest: only a chain that is sound in all other respects pays for them.
    for (index, hop) in hops.iter().enumerate() {
        hop.policy().check(invocation.args()).map_err(|mismatch| Denied {
            class: ErrorClass::MatchError,
            hop: Some(index),
            cid: Some(hop.cid()),
            field: "args",
            detail: mismatch.to_string().into(),
        })?;
    }
    Ok(Chain { invocation: invocation.clone(), hops })
}

/// Says why [`authorise`] would deny an invocation whatever its signatures say: everything but policies. Meant for tokens
/// that nobody has verified, so that what can never be accepted costs no signature check; its silence entitles to
/// nothing.
///
/// # Errors
///
/// The denial. [`ErrorClass::UnavailableProof`] when `proofs` does not give one that is named.
pub fn refuse<H: Deref<Target = Delegation>>(
    invocation: &Invocation,
    proofs: &dyn Fn(&Cid) -> Option<H>,
    context: &Context<'_>,
) -> Result<(), Denied> {
    walk(invocation, proofs, context).map(|_| ())
}

/// Everything but policies. The hops, root first.
fn walk<H: Deref<Target = Delegation>>(
    invocation: &Invocation,
    proofs: &dyn Fn(&Cid) -> Option<H>,
    context: &Context<'_>,
) -> Result<Vec<H>, Denied> {
    let subject = invocation.subject();
    let at_invocation = |fault| denied(fault, None, invocation.cid());
    if context.audience.is_some_and(|me| invocation.audience().unwrap_or(subject) != me) {
        return Err(at_invocation((ErrorClass::InvalidAudience, "aud", "the invocation is addressed to someone else")));
    }
    if !context.trusted.accepts(&subject) {
        return Err(at_invocation((ErrorClass::InvalidSubject, "sub", "the subject is not trusted here")));
    }
    if invocation.nonce().len() < context.min_nonce {
        return Err(at_invocation((ErrorClass::InvalidClaim, "nonce", "the nonce is too short")));
    }
    in_time(invocation.not_before(), invocation.expiration(), context).map_err(at_invocation)?;
    if (context.revoked_key)(&invocation.issuer()) {
        return Err(at_invocation((ErrorClass::Revoked, "iss", "the key of the issuer is revoked")));
    }
    let hops = collect(invocation, proofs)?;
    if hops.is_empty() && invocation.issuer() != subject {
        return Err(at_invocation((ErrorClass::InvalidClaim, "prf", "no proofs, and the issuer is not the subject")));
    }
    let mut holder = subject;
    let mut command: Option<&Command> = None;
    let mut issuers = Vec::with_capacity(hops.len());
    for (index, hop) in hops.iter().enumerate() {
        issuers.push(hop.issuer());
        check_hop(index, hop, (invocation, &issuers), holder, command, context)
            .map_err(|fault| denied(fault, Some(index), hop.cid()))?;
        holder = hop.audience();
        command = Some(hop.command());
    }
    if invocation.issuer() != holder {
        return Err(at_invocation((ErrorClass::InvalidAudience, "iss", "the last delegation is to someone else")));
    }
    if command.is_some_and(|command| !command.covers(invocation.command())) {
        return Err(at_invocation((ErrorClass::Command, "cmd", "the command is not delegated")));
    }
    Ok(hops)
}

fn denied((class, field, detail): Fault, hop: Option<usize>, cid: Cid) -> Denied {
    Denied { class, hop, cid: Some(cid), field, detail: detail.into() }
}

/// Class, field and sentence.
type Fault = (ErrorClass, &'static str, &'static str);

fn check_hop(
    index: usize,
    hop: &Delegation,
    (invocation, issuers): (&Invocation, &[Did]),
    holder: Did,
    parent: Option<&Command>,
    context: &Context<'_>,
) -> Result<(), Fault> {
    in_time(hop.not_before(), hop.expiration(), context)?;
    if (context.revoked_delegation)(&hop.cid(), issuers) {
        return Err((ErrorClass::Revoked, "prf", "the delegation is revoked"));
    }
    if (context.revoked_key)(&hop.issuer()) {
        return Err((ErrorClass::Revoked, "iss", "the key of the delegation's issuer is revoked"));
    }
    match hop.subject() {
        Some(subject) if subject == invocation.subject() => {}
        Some(_) => return Err((ErrorClass::InvalidSubject, "sub", "the delegation has another subject")),
        None if index == 0 => return Err((ErrorClass::InvalidClaim, "sub", "the root delegation has no subject")),
        None if context.allow_powerline => {}
        None => return Err((ErrorClass::InvalidSubject, "sub", "delegations without subject are not accepted")),
    }
    if hop.issuer() != holder {
        return Err((
            ErrorClass::InvalidAudience,
            "iss",
            "the delegation was not issued by the holder of the authority",
        ));
    }
    if parent.is_some_and(|parent| !parent.covers(hop.command())) {
        return Err((ErrorClass::Command, "cmd", "the delegation widens the command"));
    }
    Ok(())
}

fn in_time(not_before: Option<Time>, expiration: Option<Time>, context: &Context<'_>) -> Result<(), Fault> {
    if expiration.is_some_and(|end| end.plus(context.clock_tolerance) <= context.now) {
        return Err((ErrorClass::Expired, "exp", "the token has expired"));
    }
    if not_before.is_some_and(|start| start > context.now.plus(context.clock_tolerance)) {
        return Err((ErrorClass::TooEarly, "nbf", "the token is not valid yet"));
    }
    Ok(())
}

/// The invocation's proofs, root first.
fn collect<H: Deref<Target = Delegation>>(
    invocation: &Invocation,
    proofs: &dyn Fn(&Cid) -> Option<H>,
) -> Result<Vec<H>, Denied> {
    let mut hops = Vec::with_capacity(invocation.proofs().len());
    for (index, cid) in invocation.proofs().iter().enumerate() {
        // The source is not believed: what it hands out must be the token that was asked for.
        let hop = proofs(cid).filter(|hop| hop.cid() == *cid);
        hops.push(hop.ok_or_else(|| {
            let fault = (ErrorClass::UnavailableProof, "prf", "a proof of the invocation is not at hand");
            denied(fault, Some(index), *cid)
        })?);
    }
    // Specification and libraries disagree on the order; reversed is meant only when it, and not the given order,
    // leads from the subject to the issuer.
    let (subject, issuer) = (invocation.subject(), invocation.issuer());
    let given = leads(hops.iter(), subject, issuer);
    let starts = |hop: Option<&H>| hop.is_some_and(|hop| hop.issuer() == subject);
    let reversed = leads(hops.iter().rev(), subject, issuer) || (!starts(hops.first()) && starts(hops.last()));
    if !given && reversed {
        hops.reverse();
    }
    Ok(hops)
}

fn leads<'a, H>(hops: impl Iterator<Item = &'a H>, subject: Did, issuer: Did) -> bool
where
    H: Deref<Target = Delegation> + 'a,
{
    let mut holder = Some(subject);
    for hop in hops {
        holder = holder.filter(|holder| hop.issuer() == *holder).map(|_| hop.audience());
    }
    holder == Some(issuer)
}
