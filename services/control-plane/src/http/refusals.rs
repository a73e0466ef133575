//! Which problems each endpoint may answer with, from what entitles to it and what it takes. A request that any test makes
//! of a server is held against this through the document.

use super::routes::{Access, CONTAINER, Endpoint, Route};
use messages::ProblemType as Type;
use std::collections::{BTreeMap, BTreeSet};

/// The process starts, fails, takes too long, or has no connection to give.
const ANY: &[Type] = &[Type::Starting, Type::Internal, Type::Unavailable, Type::Overloaded];

/// What is wrong with a container, its tokens, or their chain.
const CHAIN: &[Type] = &[
    Type::MalformedRequest,
    Type::PayloadTooLarge,
    Type::TokenMalformed,
    Type::TokenNonCanonical,
    Type::LifetimeTooLong,
    Type::SignatureInvalid,
    Type::TokenExpired,
    Type::TokenNotYetValid,
    Type::AudienceMismatch,
    Type::ClaimInvalid,
    Type::ProofUnavailable,
    Type::Revoked,
    Type::SubjectUnknown,
    Type::CommandMismatch,
    Type::PolicyMismatch,
];

/// A read capability that is none, or not enough.
const READ: &[Type] = &[Type::CapabilityRequired, Type::Forbidden];

/// A statement that is none, or that its issuer may not make.
const STATEMENT: &[Type] = &[Type::UnsupportedMediaType, Type::ArgsInvalid, Type::UnknownReference, Type::NotEntitled];

/// Every problem that `route` may answer with, by status.
pub(super) fn refusals(route: &Route) -> BTreeMap<u16, BTreeSet<Type>> {
    let takes_container = route.body.is_some_and(|(media, _)| media == CONTAINER);
    let access: &[&[Type]] = match route.access {
        Access::Read(_) | Access::ReadAll(_) => &[CHAIN, READ],
        Access::Body if takes_container => &[CHAIN, STATEMENT],
        Access::BodyOrRead(_) => &[CHAIN, STATEMENT, READ],
        // A body that is no container is a note, which proves itself by signatures of its own.
        Access::Public | Access::Body => &[],
    };
    let mut refusals: BTreeMap<u16, BTreeSet<Type>> = BTreeMap::new();
    let all = access.iter().copied().chain([ANY, of_endpoint(route.endpoint)]);
    for kind in all.flatten() {
        refusals.entry(kind.status()).or_default().insert(*kind);
    }
    refusals
}

/// What follows from neither access nor body.
const fn of_endpoint(endpoint: Endpoint) -> &'static [Type] {
    match endpoint {
        Endpoint::Propose | Endpoint::State => &[Type::Conflict, Type::RateLimited, Type::Fenced],
        Endpoint::Simulate => &[Type::Conflict, Type::NotFound, Type::RateLimited],
        Endpoint::Token
        | Endpoint::Proposal
        | Endpoint::Tenant
        | Endpoint::Installations
        | Endpoint::Installation
        | Endpoint::Orders
        | Endpoint::Budgets
        | Endpoint::Quorum
        | Endpoint::QuorumStatement
        | Endpoint::Checkpoint
        | Endpoint::StoredCheckpoint
        | Endpoint::Tile
        | Endpoint::Inclusion
        | Endpoint::Consistency => &[Type::NotFound],
        Endpoint::Cosign => {
            &[Type::MalformedRequest, Type::PayloadTooLarge, Type::SignatureInvalid, Type::NotFound, Type::Conflict]
        }
        Endpoint::Ready => &[Type::Fenced],
        Endpoint::Proposals
        | Endpoint::Tenants
        | Endpoint::Plugins
        | Endpoint::Publishers
        | Endpoint::Freezes
        | Endpoint::Administrations
        | Endpoint::Entries
        | Endpoint::Follow
        | Endpoint::Health
        | Endpoint::Metrics
        | Endpoint::OpenApi => &[],
    }
}
