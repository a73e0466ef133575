//! Queries and pages.

use super::problem::Failure;
use axum::{
    Json,
    extract::{
        FromRequestParts, Path, Query,
        path::ErrorKind,
        rejection::{PathRejection, QueryRejection},
    },
    http::request::Parts,
};
use ledger::field_of;
use messages::{MAX_PAGE, PageOf, ProblemType as Type};
use serde::{
    Deserialize,
    de::{DeserializeOwned, value},
};
use std::{error::Error, iter::successors};

/// Items of a page, unless the query says.
pub(crate) const DEFAULT_PAGE: usize = 50;

/// A parsed query, or the problem with it; asked for after the caller's right has been checked.
pub(crate) struct Params<T>(Result<T, QueryRejection>);

impl<T> Params<T> {
    pub fn get(self) -> Result<T, Failure> {
        self.0.map_err(|e| Failure::new(Type::MalformedRequest, e.body_text()).field(parameter(&e)))
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        Ok(Self(Query::<T>::from_request_parts(parts, state).await.map(|Query(value)| value)))
    }
}

/// The parameter that is refused, or `query` when it cannot be told.
fn parameter(rejection: &QueryRejection) -> String {
    let whole: &(dyn Error + 'static) = rejection;
    let mut causes = successors(Some(whole), |error| (*error).source());
    let found = causes.find_map(|e| e.downcast_ref::<serde_path_to_error::Error<value::Error>>());
    found.map(field_of).filter(|name| !name.is_empty()).unwrap_or_else(|| "query".to_owned())
}

/// The only parameter of a path.
pub(crate) struct Segment(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = Failure;

    /// What is not UTF-8 names nothing that there is.
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        Path::from_request_parts(parts, state).await.map(|Path(text)| Self(text)).map_err(|rejection| {
            let failure = Failure::new(Type::NotFound, rejection.body_text());
            match rejection {
                PathRejection::FailedToDeserializePathParams(e) => match e.into_kind() {
                    ErrorKind::InvalidUtf8InPathParam { key } => failure.field(key),
                    _ => failure,
                },
                _ => failure,
            }
        })
    }
}

/// The query of lists: after which item, and how many.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Page {
    pub cursor: Option<String>,
    pub limit: Option<usize>,
}

/// The query of a tenant's lists: which tenant's, and as [`Page`], which cannot be a part of it: unknown parameters
/// would be taken.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TenantPage {
    pub tenant: Option<String>,
    cursor: Option<String>,
    limit: Option<usize>,
}

impl TenantPage {
    /// What it says besides the tenant.
    pub fn page(self) -> Page {
        Page { cursor: self.cursor, limit: self.limit }
    }
}

/// The query of one thing of a tenant's: which tenant's.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OfTenant {
    pub tenant: Option<String>,
}

/// The length that a query asks for.
pub(crate) fn length(limit: Option<usize>) -> Result<usize, Failure> {
    match limit.unwrap_or(DEFAULT_PAGE) {
        n @ 1..=MAX_PAGE => Ok(n),
        _ => Err(Failure::new(Type::MalformedRequest, format!("limit is 1 to {MAX_PAGE}")).field("limit")),
    }
}

/// One page of `items`; the cursor is the key of the last item of the page before. A cursor whose item has gone since
/// is refused rather than starting anew.
pub(crate) fn page<I: Iterator, V>(
    mut items: I,
    query: &Page,
    key: impl Fn(&I::Item) -> String,
    view: impl Fn(I::Item) -> V,
) -> Result<Json<PageOf<V>>, Failure> {
    let length = length(query.limit)?;
    if let Some(cursor) = &query.cursor
        && !items.by_ref().any(|item| key(&item) == *cursor)
    {
        return Err(Failure::new(Type::MalformedRequest, "this cursor is not known; start again").field("cursor"));
    }
    let mut items = items.peekable();
    let mut last = None;
    let mut views = Vec::new();
    for item in items.by_ref().take(length) {
        last = Some(key(&item));
        views.push(view(item));
    }
    let next = if items.peek().is_some() { last } else { None };
    Ok(Json(PageOf { items: views, next }))
}
