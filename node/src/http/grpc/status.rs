//! Failures as gRPC tells them: a status code, the reason, and when to ask again.

use axum::http::StatusCode;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code, Status};

use crate::http::HttpError;

/// Where gRPC's clients look for the time to wait before they ask again, ms.
const RETRY_PUSHBACK: &str = "grpc-retry-pushback-ms";

/// Characters of a reason at most: it may quote what the client sent, and goes in a header.
const REASON_MAX: usize = 500;

/// The same failure as HTTP's status codes tell it.
pub(super) fn status(error: &HttpError) -> Status {
    let mut metadata = MetadataMap::new();
    if let Some(after) = error.retry_after() {
        let ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
        metadata.insert(RETRY_PUSHBACK, MetadataValue::from(ms));
    }
    let reason: String = error.to_string().chars().take(REASON_MAX).collect();
    Status::with_metadata(code(error.status()), reason, metadata)
}

fn code(status: StatusCode) -> Code {
    match status {
        StatusCode::BAD_REQUEST => Code::InvalidArgument,
        StatusCode::UNAUTHORIZED => Code::Unauthenticated,
        StatusCode::FORBIDDEN => Code::PermissionDenied,
        StatusCode::NOT_FOUND => Code::NotFound,
        StatusCode::METHOD_NOT_ALLOWED => Code::Unimplemented,
        StatusCode::REQUEST_TIMEOUT | StatusCode::GATEWAY_TIMEOUT => Code::DeadlineExceeded,
        StatusCode::PAYLOAD_TOO_LARGE => Code::ResourceExhausted,
        StatusCode::SERVICE_UNAVAILABLE => Code::Unavailable,
        _ => Code::Internal,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rocoin::inference::RequestError;

    use super::*;

    #[test]
    fn every_failure_has_its_code_and_tells_when_to_ask_again() {
        let text = String::new;
        let cases = [
            (HttpError::BadRequest(text()), Code::InvalidArgument, None),
            (RequestError::BadInput(text()).into(), Code::InvalidArgument, None),
            (HttpError::TooLarge(text()), Code::ResourceExhausted, None),
            (HttpError::Unauthorized, Code::Unauthenticated, None),
            (HttpError::UnknownModel { asked: text(), served: None }, Code::NotFound, None),
            (RequestError::Deadline { served: 0, min_parts: 1 }.into(), Code::DeadlineExceeded, None),
            (RequestError::NoReplica { served: 0, min_parts: 1 }.into(), Code::Unavailable, Some("1000")),
            (RequestError::Overloaded { retry_after: Duration::from_millis(70) }.into(), Code::Unavailable, Some("70")),
            (RequestError::Draining.into(), Code::Unavailable, Some("1000")),
            (HttpError::Internal(text()), Code::Internal, None),
        ];
        for (error, code, pushback) in cases {
            let status = status(&error);
            let told = status.metadata().get(RETRY_PUSHBACK).map(|value| value.to_str().unwrap());
            assert_eq!((status.code(), told), (code, pushback), "{error:?}");
        }
    }
}
