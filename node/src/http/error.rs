//! How failures look over HTTP: a status code and `{"error": "…"}`.

use std::time::Duration;

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rocoin::inference::RequestError;
use serde_json::json;

use crate::actor::NodeStopped;
use crate::observe::Turned;

/// When to ask again, where nothing better is known. Ours.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Why a call over HTTP failed. Nothing was changed by it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The caller's tensors, parameters or body do not fit.
    #[error("{0}")]
    BadRequest(String),
    /// The body is larger than its bound.
    #[error("{0}")]
    TooLarge(String),
    /// The body came too slowly.
    #[error("the body did not come in time; send it again")]
    TooSlow,
    /// As much as this node takes at once is being taken.
    #[error("{0}; try again in a second")]
    Busy(&'static str),
    /// The token is missing or wrong.
    #[error("this node wants its token: send the header `Authorization: Bearer …`")]
    Unauthorized,
    /// A page of another site asks, or a name that is not this machine's leads here.
    #[error("{0}; give the node a token (--http-token-file) to be asked that way")]
    Forbidden(String),
    /// Another model is served, or none.
    #[error("model {asked} is not served here; {} is", served.as_deref().unwrap_or("none"))]
    UnknownModel {
        /// What the caller asked for, in quotes, with its version if one was asked for.
        asked: String,
        /// What is served, likewise.
        served: Option<String>,
    },
    /// Not every part has a replica.
    #[error("{served} of {parts} parts are served")]
    NotReady {
        /// Parts with a ready replica.
        served: usize,
        /// Parts of the bundle; 0 before a first plan.
        parts: usize,
    },
    /// No such address here.
    #[error("nothing is at this address; `GET /openapi.json` tells what there is")]
    NoSuchPath,
    /// The address takes other methods.
    #[error("this address does not take this method; `GET /openapi.json` tells which it takes")]
    NoSuchMethod,
    /// The request ended without an answer.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The node is shutting down.
    #[error(transparent)]
    Stopped(#[from] NodeStopped),
    /// This node's own trouble, a full disk for one.
    #[error("{0}")]
    Internal(String),
}

impl From<JsonRejection> for HttpError {
    fn from(rejection: JsonRejection) -> Self {
        match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Self::TooLarge(rejection.body_text()),
            _ => Self::BadRequest(rejection.body_text()),
        }
    }
}

impl From<PathRejection> for HttpError {
    fn from(rejection: PathRejection) -> Self {
        Self::BadRequest(rejection.body_text())
    }
}

impl HttpError {
    /// What it is over HTTP.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) | Self::Request(RequestError::BadInput(_)) => StatusCode::BAD_REQUEST,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::UnknownModel { .. } | Self::NoSuchPath => StatusCode::NOT_FOUND,
            Self::NoSuchMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::Request(RequestError::Deadline { .. }) => StatusCode::GATEWAY_TIMEOUT,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::NotReady { .. } | Self::Busy(_) | Self::Stopped(_) | Self::Request(_) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }
}

impl HttpError {
    /// Why the node did not hear of a request, if it did not.
    pub(super) fn turned(&self) -> Option<Turned> {
        match self {
            Self::BadRequest(_) | Self::TooLarge(_) | Self::TooSlow => Some(Turned::BadRequest),
            Self::Busy(_) => Some(Turned::Overloaded),
            Self::UnknownModel { .. } => Some(Turned::NotServing),
            Self::Unauthorized | Self::Forbidden(_) | Self::NotReady { .. } => None,
            Self::NoSuchPath | Self::NoSuchMethod => None,
            Self::Request(_) | Self::Stopped(_) | Self::Internal(_) => None,
        }
    }

    /// When to ask again, where that makes sense.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        if let Self::Request(RequestError::Overloaded { retry_after }) = self {
            return Some(*retry_after);
        }
        (self.status() == StatusCode::SERVICE_UNAVAILABLE).then_some(RETRY_AFTER)
    }

    /// The refusal of a request to which its client gave that name.
    pub(super) fn to(&self, id: Option<&str>) -> Response {
        let mut body = json!({ "error": self.to_string() });
        if let Some(id) = id {
            body["id"] = json!(id);
        }
        let mut response = (self.status(), Json(body)).into_response();
        if let Some(after) = self.retry_after() {
            let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        if let Some(turned) = self.turned() {
            response.extensions_mut().insert(turned);
        }
        response
    }
}

impl IntoResponse for HttpError {
    fn into_response(self) -> Response {
        self.to(None)
    }
}
