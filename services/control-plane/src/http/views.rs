//! Reads of the state in memory: tenants, plugins, publishers, installations, orders, budgets, freezes,
//! administrations, the quorum.

use super::{
    auth::{self, Reader, Sight},
    problem::Failure,
    query::{OfTenant, Page, Params, Segment, TenantPage, page},
};
use crate::plane::Plane;
use axum::{Json, extract::State, http::HeaderMap};
use domain::{Did, Digest};
use ledger::{InstallationState, Scope, Tenant, Window};
use messages::{
    AdministrationView, AssetView, BudgetView, FreezeView, InstallationView, LimitView, OrderView, PageOf,
    PluginVersionView, PluginView, ProblemType as Type, PublisherView, RoyaltyView, TenantView,
};
use std::sync::Arc;

type One<T> = Result<Json<T>, Failure>;
type Many<T> = Result<Json<PageOf<T>>, Failure>;

const TENANTS: &str = "/read/tenants";
const PLUGINS: &str = "/read/plugins";

pub(crate) async fn tenants(
    State(plane): State<Arc<Plane>>,
    headers: HeaderMap,
    params: Params<Page>,
) -> Many<TenantView> {
    let reader = auth::reader(&plane, &headers, TENANTS).await?;
    let snapshot = plane.now();
    let seen = snapshot.replica.state().tenants().filter(|(did, _)| reader.sight.includes(did));
    page(seen, &params.get()?, |(did, _)| did.to_string(), |(did, t)| tenant_view(*did, t))
}

pub(crate) async fn tenant(
    State(plane): State<Arc<Plane>>,
    headers: HeaderMap,
    Segment(did): Segment,
) -> One<TenantView> {
    let reader = auth::reader(&plane, &headers, TENANTS).await?;
    let snapshot = plane.now();
    let (did, tenant) = own_tenant(snapshot.replica.state(), reader, &did, "did")?;
    Ok(Json(tenant_view(did, tenant)))
}

/// A tenant that the reader may see; for others it is as if there were none.
fn own_tenant<'a>(
    state: &'a ledger::State,
    reader: Reader,
    did: &str,
    field: &str,
) -> Result<(Did, &'a Tenant), Failure> {
    let unknown = || Failure::new(Type::NotFound, "no such tenant").field(field);
    let did: Did = did.parse().map_err(|_| unknown())?;
    if !reader.sight.includes(&did) {
        return Err(Failure::new(Type::Forbidden, "the capability is another tenant's").field(field));
    }
    Ok((did, state.tenant(&did).ok_or_else(unknown)?))
}

/// The tenant that the query names, or the only one that the reader may see.
fn asked_tenant<'a>(
    state: &'a ledger::State,
    reader: Reader,
    asked: Option<&String>,
) -> Result<(Did, &'a Tenant), Failure> {
    match (asked, reader.sight) {
        (Some(did), _) => own_tenant(state, reader, did, "tenant"),
        (None, Sight::Tenant(own)) => own_tenant(state, reader, &own.to_string(), "tenant"),
        (None, Sight::All) => Err(Failure::new(Type::MalformedRequest, "name a tenant").field("tenant")),
    }
}

fn tenant_view(did: Did, t: &Tenant) -> TenantView {
    let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    let asset = |a: &ledger::Asset| AssetView {
        asset: a.asset,
        symbol: a.symbol.clone(),
        decimals: a.decimals,
        scale: a.scale,
    };
    TenantView {
        tenant: did,
        name: t.name.clone(),
        escrow: t.escrow,
        confirmations: t.confirmations,
        lift_admins: t.lift_admins,
        assets: t.assets.values().map(asset).collect(),
        bundle: *t.policy.engine.bundle(),
        activated_by: t.policy.statement,
        delegation: t.delegation.cid(),
        installations: count(t.installations.len()),
        orders: count(t.orders.len()),
    }
}

pub(crate) async fn publishers(
    State(plane): State<Arc<Plane>>,
    headers: HeaderMap,
    params: Params<Page>,
) -> Many<PublisherView> {
    auth::reader(&plane, &headers, PLUGINS).await?;
    let snapshot = plane.now();
    let view =
        |(did, p): (&Did, &ledger::Publisher)| PublisherView { publisher: *did, name: p.name.clone(), since: p.since };
    page(snapshot.replica.state().publishers().iter(), &params.get()?, |(did, _)| did.to_string(), view)
}

pub(crate) async fn plugins(
    State(plane): State<Arc<Plane>>,
    headers: HeaderMap,
    params: Params<Page>,
) -> Many<PluginView> {
    auth::reader(&plane, &headers, PLUGINS).await?;
    let snapshot = plane.now();
    let version = |(version, v): (&domain::Version, &ledger::PluginVersion)| PluginVersionView {
        version: version.clone(),
        description: v.description.clone(),
        capabilities: v.capabilities.clone(),
        entry_point: v.entry_point.clone(),
        code: v.code,
        statement: v.statement,
        since: v.since,
    };
    let view = |(id, p): (&domain::PluginId, &ledger::Plugin)| PluginView {
        plugin: id.clone(),
        publisher: p.publisher,
        versions: p.versions.iter().map(version).collect(),
    };
    page(snapshot.replica.state().plugins().iter(), &params.get()?, |(id, _)| id.to_string(), view)
}

pub(crate) async fn installations(
    State(plane): State<Arc<Plane>>,
    headers: HeaderMap,
    params: Params<TenantPage>,
) -> Many<InstallationView> {
    let reader = auth::reader(&plane, &headers, TENANTS).await?;
    let (snapshot, params) = (plane.now(), params.get()?);
    let (tenant, t) = asked_tenant(snapshot.replica.state(), reader, params.tenant.as_ref())?;
    page(
        t.installations.iter(),
        &params.page(),
        |(did, _)| did.to_string(),
        |(did, i)| installation_view(tenant, *did, i),
    )
}

pub(crate) async fn installation(
    State(plane): State<Arc<Plane>>,
    headers: HeaderMap,
    Segment(did): Segment,
    params: Params<OfTenant>,
) -> One<InstallationView> {
    let reader = auth::reader(&plane, &headers, TENANTS).await?;
    let snapshot = plane.now();
    let (tenant, t) = asked_tenant(snapshot.replica.state(), reader, params.get()?.tenant.as_ref())?;
    let found = did.parse::<Did>().ok().and_then(|did| Some((did, t.installations.get(&did)?)));
    let (did, i) = found.ok_or_else(|| Failure::new(Type::NotFound, "no such installation").field("did"))?;
    Ok(Json(installation_view(tenant, did, i)))
}

fn installation_view(tenant: Did, did: Did, i: &ledger::Installation) -> InstallationView {
    let state = match i.state {
        InstallationState::Active => "active",
        InstallationState::Suspended => "suspended",
        InstallationState::Removed => "removed",
    };
    let limit = |(asset, l): (&domain::AssetId, &ledger::Limits)| LimitView {
        asset: *asset,
        max_per_payout: l.max_per_payout,
        daily_total: l.daily_total,
    };
    InstallationView {
        installation: did,
        tenant,
        plugin: i.plugin.clone(),
        version: i.version.clone(),
        capabilities: i.capabilities.clone(),
        limits: i.limits.iter().map(limit).collect(),
        state: state.to_owned(),
        granted_at: i.granted_at,
        expires_at: i.expires_at,
        grant: i.grant,
        by: i.by,
    }
}

pub(crate) async fn orders(
    State(plane): State<Arc<Plane>>,
    headers: HeaderMap,
    params: Params<TenantPage>,
) -> Many<OrderView> {
    let reader = auth::reader(&plane, &headers, TENANTS).await?;
    let (snapshot, params) = (plane.now(), params.get()?);
    let (_, t) = asked_tenant(snapshot.replica.state(), reader, params.tenant.as_ref())?;
    let view = |(id, o): (&domain::OrderId, &ledger::Order)| OrderView {
        order: id.clone(),
        buyer: o.buyer,
        asset: o.asset,
        amount: o.amount,
        used: t.budgets.get(&Window::Order { order: id.clone() }).used(),
        royalties: o.royalties.iter().map(|r| RoyaltyView { recipient: r.recipient, bps: r.bps }).collect(),
        open: o.open,
    };
    page(t.orders.iter(), &params.page(), |(id, _)| id.to_string(), view)
}

pub(crate) async fn budgets(
    State(plane): State<Arc<Plane>>,
    headers: HeaderMap,
    params: Params<TenantPage>,
) -> Many<BudgetView> {
    let reader = auth::reader(&plane, &headers, TENANTS).await?;
    let (snapshot, params) = (plane.now(), params.get()?);
    let (tenant, t) = asked_tenant(snapshot.replica.state(), reader, params.tenant.as_ref())?;
    page(t.budgets.iter(), &params.page(), |(w, _)| window_key(w), |(w, b)| budget_view(tenant, t, w, b))
}

/// Sorts as the state sorts windows: days of installations first, then orders.
fn window_key(window: &Window) -> String {
    match window {
        Window::Daily { installation, asset, day } => format!("d {installation} {asset} {day}"),
        Window::Order { order } => format!("o {order}"),
    }
}

fn budget_view(tenant: Did, t: &Tenant, window: &Window, budget: &ledger::Budget) -> BudgetView {
    let view = BudgetView {
        tenant,
        installation: None,
        asset: None,
        day: None,
        order: None,
        limit: None,
        reserved: budget.reserved.get(),
        spent: budget.spent.get(),
    };
    match window {
        Window::Daily { installation, asset, day } => BudgetView {
            installation: Some(*installation),
            asset: Some(*asset),
            day: Some(*day),
            limit: t.installations.get(installation).and_then(|i| i.limits.get(asset)).map(|l| l.daily_total.get()),
            ..view
        },
        Window::Order { order } => {
            BudgetView { order: Some(order.clone()), limit: t.orders.get(order).map(|o| o.amount.get()), ..view }
        }
    }
}

/// Whether a freeze stops anything that the reader may see, or everything of a kind. What the operator froze of one
/// tenant is no business of the others.
fn concerns(state: &ledger::State, sight: Sight, realm: &Did, scope: &Scope) -> bool {
    let Sight::Tenant(own) = sight else { return true };
    if *realm != state.operator() {
        return *realm == own;
    }
    match scope {
        Scope::All | Scope::Plugin(_) | Scope::Action(_) => true,
        Scope::Tenant(tenant) => *tenant == own,
        Scope::Installation(did) => state.tenant(&own).is_some_and(|t| t.installations.contains_key(did)),
    }
}

pub(crate) async fn freezes(
    State(plane): State<Arc<Plane>>,
    headers: HeaderMap,
    params: Params<Page>,
) -> Many<FreezeView> {
    let reader = auth::reader(&plane, &headers, TENANTS).await?;
    let snapshot = plane.now();
    let state = snapshot.replica.state();
    let seen = state.freezes().iter().filter(|(realm, scope, _)| concerns(state, reader.sight, realm, scope));
    let view = |(realm, scope, f): (&Did, &Scope, &ledger::Freeze)| FreezeView {
        realm: *realm,
        scope: serde_json::to_value(scope).unwrap_or_default(),
        statement: f.statement,
        by: f.by,
        reason: f.reason.clone(),
        at: f.at,
        lifts: state.standing_lifts(realm, f).collect(),
    };
    page(seen, &params.get()?, |(_, _, f)| f.statement.to_string(), view)
}

pub(crate) async fn administrations(
    State(plane): State<Arc<Plane>>,
    headers: HeaderMap,
    params: Params<Page>,
) -> Many<AdministrationView> {
    let reader = auth::reader(&plane, &headers, TENANTS).await?;
    let snapshot = plane.now();
    let state = snapshot.replica.state();
    let open = state.administrations().iter().filter(|(_, a)| reader.sight.includes(&a.tenant));
    let seen = open.filter_map(|(id, a)| Some((id, a, state.tenant(&a.tenant)?)));
    let view = |(id, a, tenant): (&Digest, &ledger::Administration, &Tenant)| AdministrationView {
        id: *id,
        tenant: a.tenant,
        escrow: tenant.escrow,
        measure: serde_json::to_value(&a.measure).unwrap_or_default(),
        nonce: a.nonce,
        valid_until: a.valid_until,
        reason: a.reason.clone(),
        updated: a.updated,
        admins: state.standing_admins(a, state.at()).collect(),
        needed: state.administration_admins(),
        authorisation: state
            .administration_authorisation(id)
            .filter(|_| state.is_administration_approved(a, state.at())),
    };
    page(seen, &params.get()?, |(id, ..)| id.to_string(), view)
}

pub(crate) async fn quorum(State(plane): State<Arc<Plane>>, headers: HeaderMap) -> One<ledger::Quorum> {
    auth::reader(&plane, &headers, TENANTS).await?;
    let quorum = plane.now().replica.state().quorum().cloned();
    quorum.map(Json).ok_or_else(|| Failure::new(Type::NotFound, "no quorum is active"))
}
