use super::problem::Failure;
use axum::{
    body::Bytes,
    extract::{FromRequest, Request, rejection::BytesRejection},
    http::{StatusCode, header},
};
use messages::ProblemType as Type;

/// Media types of a UCAN container, the first its own.
const CONTAINER: [&str; 3] = ["application/vnd.ucan.container", "text/plain", "application/octet-stream"];

/// The bytes of a request body, within the endpoint's limit.
pub(super) struct Raw(pub Bytes);

/// A body that is a UCAN container, by its media type.
pub(super) struct Container(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for Raw {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        Bytes::from_request(request, state).await.map(Self).map_err(|e| refused(&e))
    }
}

impl<S: Send + Sync> FromRequest<S> for Container {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        if let Some(media) = request.headers().get(header::CONTENT_TYPE) {
            let essence = media.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
            if !CONTAINER.iter().any(|c| essence.eq_ignore_ascii_case(c)) {
                let detail = format!("send a UCAN container as {}", CONTAINER.join(", "));
                return Err(Failure::new(Type::UnsupportedMediaType, detail).field("Content-Type"));
            }
        }
        Raw::from_request(request, state).await.map(|Raw(body)| Self(body))
    }
}

fn refused(rejection: &BytesRejection) -> Failure {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        Failure::new(Type::PayloadTooLarge, "the body is above this endpoint's limit").field("body")
    } else {
        Failure::new(Type::MalformedRequest, rejection.body_text()).field("body")
    }
}
