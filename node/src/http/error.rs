//! How failures look over HTTP: a status code and `{"error": "…"}`.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use rocoin::inference::RequestError;
use serde_json::json;

use crate::actor::NodeStopped;
use crate::observe::Turned;

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
    /// Another model is served, or none.
    #[error("model {asked:?} is not served here; {}", served.as_ref().map_or_else(|| "none is".to_owned(), |s| format!("{s:?} is")))]
    UnknownModel {
        /// What the caller asked for.
        asked: String,
        /// What is served.
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

impl HttpError {
    fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) | Self::Request(RequestError::BadInput(_)) => StatusCode::BAD_REQUEST,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::UnknownModel { .. } => StatusCode::NOT_FOUND,
            Self::Request(RequestError::Deadline { .. }) => StatusCode::GATEWAY_TIMEOUT,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::NotReady { .. } | Self::Busy(_) | Self::Stopped(_) | Self::Request(_) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }
}

impl IntoResponse for HttpError {
    fn into_response(self) -> Response {
        let turned = self.turned();
        let mut response = self.respond();
        if let Some(turned) = turned {
            response.extensions_mut().insert(turned);
        }
        response
    }
}

impl HttpError {
    /// Why the node did not hear of a request, if it did not.
    fn turned(&self) -> Option<Turned> {
        match self {
            Self::BadRequest(_) | Self::TooLarge(_) | Self::TooSlow => Some(Turned::BadRequest),
            Self::Busy(_) => Some(Turned::Overloaded),
            Self::UnknownModel { .. } => Some(Turned::NotServing),
            Self::Unauthorized | Self::NotReady { .. } | Self::Request(_) | Self::Stopped(_) | Self::Internal(_) => {
                None
            }
        }
    }

    fn respond(self) -> Response {
        let status = self.status();
        let body = Json(json!({ "error": self.to_string() }));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            let seconds = if let Self::Request(RequestError::Overloaded { retry_after }) = &self {
                retry_after.as_secs_f64().ceil().max(1.0)
            } else {
                1.0
            };
            return (status, [(header::RETRY_AFTER, seconds.to_string())], body).into_response();
        }
        (status, body).into_response()
    }
}
