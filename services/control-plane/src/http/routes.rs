use super::{follow, log_reads, openapi, operations, proposals, simulate, submit, token, views};
use crate::plane::Plane;
use axum::routing::{MethodRouter, get, post};
use std::sync::Arc;

/// How an endpoint is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// `GET`.
    Get,
    /// `POST`.
    Post,
}

/// What entitles to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nothing: it says only what everyone may know.
    Public,
    /// The body: a statement with its chain, or something that proves itself.
    Body,
    /// The body as above; or, for one in JSON, which proves nothing, a read capability for this command.
    BodyOrRead(&'static str),
    /// A read capability for this command, of a tenant or of the operator.
    Read(&'static str),
    /// A read capability for this command, of the operator.
    ReadAll(&'static str),
}

/// One endpoint.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// How it is called.
    pub verb: Verb,
    /// Its path, parameters in braces.
    pub path: &'static str,
    /// What entitles to it.
    pub access: Access,
    /// What it does.
    pub summary: &'static str,
    /// Its query parameters.
    pub query: &'static [&'static str],
    /// The body it takes: a media type and, for JSON, a schema.
    pub body: Option<(&'static str, &'static str)>,
    /// What it answers: status, media type and schema.
    pub answer: (u16, &'static str, &'static str),
    pub(super) endpoint: Endpoint,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    Propose,
    Proposals,
    Proposal,
    State,
    Simulate,
    Token,
    Tenants,
    Tenant,
    Plugins,
    Publishers,
    Installations,
    Installation,
    Orders,
    Budgets,
    Freezes,
    Administrations,
    Quorum,
    QuorumStatement,
    Entries,
    Follow,
    Checkpoint,
    StoredCheckpoint,
    Tile,
    Inclusion,
    Consistency,
    Cosign,
    Health,
    Ready,
    Metrics,
    OpenApi,
}

const JSON: &str = "application/json";
pub(super) const CONTAINER: &str = "application/vnd.ucan.container";
const TEXT: &str = "text/plain";
const LIST: &[&str] = &["cursor", "limit"];
const TENANT_LIST: &[&str] = &["tenant", "cursor", "limit"];

const fn read(
    path: &'static str,
    access: Access,
    summary: &'static str,
    query: &'static [&'static str],
    schema: &'static str,
    endpoint: Endpoint,
) -> Route {
    Route { verb: Verb::Get, path, access, summary, query, body: None, answer: (200, JSON, schema), endpoint }
}

const fn write(
    path: &'static str,
    summary: &'static str,
    body: (&'static str, &'static str),
    answer: (u16, &'static str, &'static str),
    endpoint: Endpoint,
) -> Route {
    Route { verb: Verb::Post, path, access: Access::Body, summary, query: &[], body: Some(body), answer, endpoint }
}

/// Every endpoint of the control plane.
pub const ROUTES: &[Route] = &[
    write("/v1/proposals", "Propose", (CONTAINER, ""), (201, JSON, "SubmitReply"), Endpoint::Propose),
    read(
        "/v1/proposals",
        Access::Read("/read/proposals"),
        "List proposals, newest first",
        &["tenant", "installation", "status", "order", "cursor", "limit"],
        "PageOfProposalSummary",
        Endpoint::Proposals,
    ),
    read(
        "/v1/proposals/{cid}",
        Access::Read("/read/proposals"),
        "Show a proposal with its decision, approvals, audit trail and execution",
        &[],
        "ProposalView",
        Endpoint::Proposal,
    ),
    write("/v1/statements", "Make any other statement", (CONTAINER, ""), (201, JSON, "SubmitReply"), Endpoint::State),
    Route {
        access: Access::BodyOrRead(simulate::COMMAND),
        ..write(
            "/v1/simulations",
            "Say what would be decided now of a draft, of a signed /proposal/payout/simulate, which no log takes, or of a \
             signed /proposal/payout, and write nothing",
            (CONTAINER, "SimulationDraft"),
            (200, JSON, "SimulationReply"),
            Endpoint::Simulate,
        )
    },
    write(
        "/v1/installations/{did}/tokens",
        "Pass the grant on to the installation, for minutes",
        (CONTAINER, ""),
        (201, JSON, "TokenReply"),
        Endpoint::Token,
    ),
    read("/v1/tenants", TENANTS, "List tenants", LIST, "PageOfTenantView", Endpoint::Tenants),
    read("/v1/tenants/{did}", TENANTS, "Show a tenant", &[], "TenantView", Endpoint::Tenant),
    read("/v1/plugins", PLUGINS, "List plugins", LIST, "PageOfPluginView", Endpoint::Plugins),
    read("/v1/publishers", PLUGINS, "List publishers", LIST, "PageOfPublisherView", Endpoint::Publishers),
    read(
        "/v1/installations",
        TENANTS,
        "List a tenant's installations",
        TENANT_LIST,
        "PageOfInstallationView",
        Endpoint::Installations,
    ),
    read(
        "/v1/installations/{did}",
        TENANTS,
        "Show an installation",
        &["tenant"],
        "InstallationView",
        Endpoint::Installation,
    ),
    read("/v1/orders", TENANTS, "List a tenant's orders", TENANT_LIST, "PageOfOrderView", Endpoint::Orders),
    read("/v1/budgets", TENANTS, "List a tenant's budgets in use", TENANT_LIST, "PageOfBudgetView", Endpoint::Budgets),
    read("/v1/freezes", TENANTS, "List freezes in force", LIST, "PageOfFreezeView", Endpoint::Freezes),
    read(
        "/v1/administrations",
        TENANTS,
        "List changes of escrow contracts that admins have asked for",
        LIST,
        "PageOfAdministrationView",
        Endpoint::Administrations,
    ),
    read("/v1/quorum", TENANTS, "Show the active quorum", &[], "Quorum", Endpoint::Quorum),
    read(
        "/v1/quorum/statement",
        LOG,
        "Show the statement that set the active quorum, with its entry and its whole chain of delegations",
        &[],
        "LogEntryView",
        Endpoint::QuorumStatement,
    ),
    read("/v1/log/entries", LOG, "Read entries", &["from", "limit"], "EntriesView", Endpoint::Entries),
    Route {
        answer: (200, "application/x-ndjson", "FollowLine"),
        ..read(
            "/v1/log/follow",
            LOG,
            "Follow the log: entries and checkpoints, one line each",
            &["from"],
            "",
            Endpoint::Follow,
        )
    },
    Route {
        answer: (200, TEXT, ""),
        ..read("/v1/log/checkpoint", Access::Public, "The newest checkpoint", &[], "", Endpoint::Checkpoint)
    },
    Route {
        answer: (200, TEXT, ""),
        ..read(
            "/v1/log/checkpoints/{size}",
            LOG,
            "The stored checkpoint of the largest size up to this one",
            &[],
            "",
            Endpoint::StoredCheckpoint,
        )
    },
    Route {
        answer: (200, "application/octet-stream", ""),
        ..read("/v1/log/tile/{*path}", LOG, "A tile or entry bundle (C2SP tlog-tiles)", &[], "", Endpoint::Tile)
    },
    read(
        "/v1/log/proofs/inclusion",
        LOG,
        "Prove that an entry is in the log",
        &["seq", "size"],
        "ProofView",
        Endpoint::Inclusion,
    ),
    read(
        "/v1/log/proofs/consistency",
        LOG,
        "Prove that the log has only grown",
        &["old", "new"],
        "ProofView",
        Endpoint::Consistency,
    ),
    write(
        "/v1/log/cosignatures",
        "Add the quorum's signature to a stored checkpoint",
        (TEXT, ""),
        (204, "", ""),
        Endpoint::Cosign,
    ),
    read("/healthz", Access::Public, "Whether the process lives", &[], "Health", Endpoint::Health),
    read("/readyz", Access::Public, "Whether statements get their place", &[], "Health", Endpoint::Ready),
    Route {
        answer: (200, TEXT, ""),
        ..read("/metrics", Access::Public, "Metrics for Prometheus", &[], "", Endpoint::Metrics)
    },
    read("/openapi.json", Access::Public, "This API", &[], "", Endpoint::OpenApi),
];

const TENANTS: Access = Access::Read("/read/tenants");
const PLUGINS: Access = Access::Read("/read/plugins");
const LOG: Access = Access::ReadAll("/read/log");

impl Endpoint {
    pub fn handler(self) -> MethodRouter<Arc<Plane>> {
        match self {
            Self::Propose => post(submit::proposal),
            Self::Proposals => get(proposals::list),
            Self::Proposal => get(proposals::one),
            Self::State => post(submit::statement),
            Self::Simulate => post(simulate::simulate),
            Self::Token => post(token::issue),
            Self::Tenants => get(views::tenants),
            Self::Tenant => get(views::tenant),
            Self::Plugins => get(views::plugins),
            Self::Publishers => get(views::publishers),
            Self::Installations => get(views::installations),
            Self::Installation => get(views::installation),
            Self::Orders => get(views::orders),
            Self::Budgets => get(views::budgets),
            Self::Freezes => get(views::freezes),
            Self::Administrations => get(views::administrations),
            Self::Quorum => get(views::quorum),
            Self::QuorumStatement => get(log_reads::quorum_statement),
            Self::Entries => get(log_reads::entries),
            Self::Follow => get(follow::follow),
            Self::Checkpoint => get(log_reads::newest_checkpoint),
            Self::StoredCheckpoint => get(log_reads::stored_checkpoint),
            Self::Tile => get(log_reads::tile),
            Self::Inclusion => get(log_reads::inclusion),
            Self::Consistency => get(log_reads::consistency),
            Self::Cosign => post(log_reads::cosign),
            Self::Health => get(operations::health),
            Self::Ready => get(operations::ready),
            Self::Metrics => get(operations::metrics),
            Self::OpenApi => get(openapi::document),
        }
    }
}
