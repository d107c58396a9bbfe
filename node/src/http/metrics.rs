//! `GET /metrics`: what Prometheus scrapes, and the count of requests that the node itself never hears of.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::{Api, HttpError};
use crate::observe::{Format, Page, Turned};

pub(super) async fn page(State(api): State<Api>, headers: HeaderMap) -> Result<impl IntoResponse, HttpError> {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let format = Format::accepted(accept);
    let snapshot = api.node.snapshot().await?;
    let page = Page {
        metrics: &api.node.observer().metrics,
        snapshot: &snapshot,
        network: &api.network,
        stored_bytes: api.store.held().values().sum(),
    };
    let text = page.write(format).map_err(|e| HttpError::Internal(e.to_string()))?;
    Ok(([(header::CONTENT_TYPE, format.content_type())], text))
}

/// Around the routes of inference: those that were turned away before the node heard of them count, too.
pub(super) async fn count(State(api): State<Api>, request: Request, next: Next) -> Response {
    let is_asking = request.uri().path().ends_with("/infer");
    let response = next.run(request).await;
    if let Some(turned) = response.extensions().get::<Turned>().filter(|_| is_asking) {
        api.node.observer().metrics.turned_away(*turned);
    }
    response
}
