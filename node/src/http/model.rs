//! What is served, after the Open Inference Protocol.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use rocoin::bundle::Manifest;
use serde_json::{Value, json};

use super::{Api, HttpError};

/// The manifest of `model`, if that is what is served.
pub(super) async fn served(api: &Api, model: &str) -> Result<Arc<Manifest>, HttpError> {
    let served = api.node.serving().await?;
    match served {
        Some(manifest) if manifest.name == model => Ok(manifest),
        other => Err(HttpError::UnknownModel { asked: model.to_owned(), served: other.map(|m| m.name.clone()) }),
    }
}

pub(super) async fn server() -> Json<Value> {
    Json(json!({ "name": "rocoin", "version": env!("CARGO_PKG_VERSION"), "extensions": [] }))
}

pub(super) async fn ready(State(api): State<Api>, Path(model): Path<String>) -> Result<StatusCode, HttpError> {
    served(&api, &model).await?;
    super::ready(State(api)).await
}

pub(super) async fn metadata(State(api): State<Api>, Path(model): Path<String>) -> Result<Json<Value>, HttpError> {
    let manifest = served(&api, &model).await?;
    let mut shape = vec![1];
    shape.extend(&manifest.input.shape);
    Ok(Json(json!({
        "name": manifest.name,
        "versions": [manifest.version],
        "platform": "rocoin",
        "inputs": [{ "name": manifest.input.name, "datatype": manifest.input.dtype, "shape": shape }],
        "outputs": [
            { "name": "logits", "datatype": "FP32", "shape": [1, manifest.classes] },
            { "name": "label", "datatype": "BYTES", "shape": [1] },
        ],
    })))
}
