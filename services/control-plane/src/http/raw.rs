use super::problem::Failure;
use axum::{
    body::Bytes,
    extract::{FromRequest, Request, rejection::BytesRejection},
    http::{HeaderMap, StatusCode, header},
};
use messages::ProblemType as Type;

/// Media types of a UCAN container, the first its own.
const CONTAINER: [&str; 3] = ["application/vnd.ucan.container", "text/plain", "application/octet-stream"];

const JSON: &str = "application/json";

/// The bytes of a request body, within the endpoint's limit.
pub(super) struct Raw(pub Bytes);

/// A body that is a UCAN container, by its media type.
pub(super) struct Container(pub Bytes);

/// A body that is a UCAN container or JSON, by its media type.
pub(super) enum ContainerOrJson {
    Container(Bytes),
    Json(Bytes),
}

impl<S: Send + Sync> FromRequest<S> for Raw {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        Bytes::from_request(request, state).await.map(Self).map_err(|e| refused(&e))
    }
}

impl<S: Send + Sync> FromRequest<S> for Container {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        accept(request.headers(), &CONTAINER)?;
        Raw::from_request(request, state).await.map(|Raw(body)| Self(body))
    }
}

impl<S: Send + Sync> FromRequest<S> for ContainerOrJson {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let [own, text, bytes] = CONTAINER;
        accept(request.headers(), &[own, text, bytes, JSON])?;
        let is_json = media(request.headers()).is_some_and(|media| media.eq_ignore_ascii_case(JSON));
        let Raw(body) = Raw::from_request(request, state).await?;
        Ok(if is_json { Self::Json(body) } else { Self::Container(body) })
    }
}

/// The media type without its parameters; a text that is none when it is not readable.
fn media(headers: &HeaderMap) -> Option<&str> {
    let media = headers.get(header::CONTENT_TYPE)?;
    Some(media.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim())
}

/// A body without a media type is taken as what the endpoint is there for.
fn accept(headers: &HeaderMap, types: &[&str]) -> Result<(), Failure> {
    match media(headers) {
        Some(media) if !types.iter().any(|taken| media.eq_ignore_ascii_case(taken)) => {
            let detail = format!("send the body as one of {}", types.join(", "));
            Err(Failure::new(Type::UnsupportedMediaType, detail).field("Content-Type"))
        }
        _ => Ok(()),
    }
}

fn refused(rejection: &BytesRejection) -> Failure {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        Failure::new(Type::PayloadTooLarge, "the body is above this endpoint's limit").field("body")
    } else {
        Failure::new(Type::MalformedRequest, rejection.body_text()).field("body")
    }
}
