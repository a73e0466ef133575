//! `POST /v1/installations/{did}/tokens`: passes a grant on to the installation, for minutes.

use super::{
    auth,
    problem::{Failure, within},
    query::Segment,
    raw::Container,
};
use crate::{clock, plane::Plane};
use axum::{Json, extract::State, http::StatusCode};
use domain::{Did, Time};
use ledger::{Installation, InstallationState, detail_of, field_of};
use messages::{ProblemType as Type, TokenReply};
use rand_core::{OsRng, RngCore};
use serde::Deserialize;
use std::sync::Arc;
use ucan::{Command, Delegation, Ipld, Policy, Trust, Verified, container, issue};

/// The invocation names no proofs and has two args.
const MAX_BODY: usize = 4096;
/// Longest and usual life of the delegation, in seconds.
const MAX_TTL: u64 = 900;
/// Whoever may propose may take it back: the ledger lets an installation cancel its own proposals and no others.
const CANCEL: &str = "/proposal/cancel";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Args {
    tenant: Did,
    ttl: Option<u64>,
}

pub(crate) async fn issue(
    State(plane): State<Arc<Plane>>,
    Segment(did): Segment,
    Container(body): Container,
) -> Result<(StatusCode, Json<TokenReply>), Failure> {
    let did: Did = did.parse().map_err(|_| Failure::new(Type::NotFound, "no such installation").field("did"))?;
    let unopened = plane.opener.read(&body, MAX_BODY, None)?;
    let invocation = unopened.invocation();
    if invocation.command().as_str() != "/installation/token" {
        return Err(Failure::new(Type::CommandMismatch, "this takes /installation/token").field("cmd"));
    }
    let detail = "iss and sub are the installation's own DID, and prf is empty";
    let own = [("iss", invocation.issuer() == did), ("sub", invocation.subject() == did)];
    let own = own.into_iter().chain([("prf", invocation.proofs().is_empty())]);
    if let Some((field, _)) = own.into_iter().find(|(_, holds)| !holds) {
        return Err(Failure::new(Type::NotEntitled, detail).field(field));
    }
    let snapshot = plane.now();
    let now = clock::now();
    auth::refuse(&plane, &snapshot, &unopened, Trust::Only(&[did]), now)?;
    auth::lifetime(invocation, now.plus(Plane::tolerance(&snapshot)))?;
    // What follows tells about the installation, which is for whoever has its key.
    let invocation = plane.opener.open(&unopened)?.invocation;
    auth::chain(&plane, &snapshot, &invocation, &[], Trust::Only(&[did]), now)?;
    let args: Args = serde_path_to_error::deserialize(invocation.args().clone())
        .map_err(|e| Failure::new(Type::ArgsInvalid, detail_of(e.inner())).field(within("args", &field_of(&e))))?;
    let ttl = args.ttl.unwrap_or(MAX_TTL);
    if !(1..=MAX_TTL).contains(&ttl) {
        return Err(Failure::new(Type::ArgsInvalid, "1 to 900 seconds").field("args.ttl"));
    }
    let state = snapshot.replica.state();
    let tenant = state.tenant(&args.tenant);
    let tenant = tenant.ok_or_else(|| Failure::new(Type::UnknownReference, "unknown tenant").field("args.tenant"))?;
    let granted = tenant.installations.get(&did);
    let granted =
        granted.ok_or_else(|| Failure::new(Type::NotFound, "no such installation in this tenant").field("did"))?;
    check_active(granted, now)?;
    if state.is_key_revoked(args.tenant, &did) {
        return Err(Failure::new(Type::Revoked, "the installation's key is revoked").field("iss"));
    }
    let root = &tenant.delegation;
    if state.is_delegation_revoked(args.tenant, &root.cid(), &[root.issuer()])
        || state.is_key_revoked(args.tenant, &plane.issuer)
    {
        let detail = "what the tenant has delegated to this control plane is revoked: its tokens entitle to nothing";
        return Err(Failure::new(Type::Revoked, detail).field("args.tenant"));
    }
    let expires_at = granted.expires_at.min(now.plus(ttl));
    let internal = |what: &str| Failure::new(Type::Internal, what.to_owned());
    let capability = granted.capabilities.first().ok_or_else(|| internal("a grant without capabilities"))?;
    let pass_on = |command: &str, policy| delegate(&plane, (did, args.tenant), command, policy, expires_at);
    let granted = pass_on(capability, bound(granted)?)?;
    let cancel = pass_on(CANCEL, Policy::empty())?;
    let tokens = [tenant.delegation.bytes(), granted.bytes(), cancel.bytes()];
    let text = container::encode(container::Encoding::Base64Url, &tokens).ok().and_then(|b| String::from_utf8(b).ok());
    let container = text.ok_or_else(|| internal("the container cannot be written"))?;
    Ok((StatusCode::CREATED, Json(TokenReply { delegation: granted.cid(), expires_at, container })))
}

fn check_active(granted: &Installation, now: Time) -> Result<(), Failure> {
    let refuse = |detail: &str| Failure::new(Type::NotEntitled, detail).field("did");
    match granted.state {
        InstallationState::Active if now < granted.expires_at => Ok(()),
        InstallationState::Active => Err(refuse("the grant has ended")),
        InstallationState::Suspended => Err(refuse("the installation is suspended")),
        InstallationState::Removed => Err(refuse("the installation is removed")),
    }
}

/// What the token itself can say of the grant's limits. With one asset that is its bound; with several, only the grant
/// knows which counts.
fn bound(granted: &Installation) -> Result<Policy, Failure> {
    let (1, Some(limits)) = (granted.limits.len(), granted.limits.values().next()) else {
        return Ok(Policy::empty());
    };
    let bound = i128::from(limits.max_per_payout.get());
    let statement = ["<=".to_owned(), ".total".to_owned()].map(Ipld::String).into_iter().chain([Ipld::Integer(bound)]);
    Policy::parse(vec![Ipld::List(statement.collect())]).map_err(|_| Failure::new(Type::Internal, "the bound"))
}

/// Passes one command in the tenant's realm on to the installation.
fn delegate(
    plane: &Plane,
    (installation, tenant): (Did, Did),
    command: &str,
    policy: Policy,
    expires_at: Time,
) -> Result<Verified<Delegation>, Failure> {
    let internal = |what: &str| Failure::new(Type::Internal, what.to_owned());
    let command: Command = command.parse().map_err(|_| internal("a capability that is no command"))?;
    let mut nonce = [0; 16];
    OsRng.try_fill_bytes(&mut nonce).map_err(|_| internal("no randomness"))?;
    let mut new = issue::NewDelegation::new(installation, tenant, command, nonce);
    new.expiration = Some(expires_at);
    new.policy = policy;
    issue::delegate(&plane.issuer_key, new).map_err(|_| internal("the delegation cannot be signed"))
}
