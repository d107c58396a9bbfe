//! `/v2` but inference: the server, its models, their statistics.

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::oip::messages::{
    ModelConfig, ModelIndex, ModelMetadataResponse, ModelStatisticsResponse, ServerLiveResponse, ServerMetadataResponse,
};
use super::oip::{self, ModelName};
use super::{Api, HttpError};

/// Which model an address means: `/v2/models/{model}` or `/v2/models/{model}/versions/{version}`.
pub(super) type Named = Result<Path<ModelName>, PathRejection>;

pub(super) async fn server() -> Json<ServerMetadataResponse> {
    Json(oip::server())
}

pub(super) async fn live() -> Json<ServerLiveResponse> {
    Json(ServerLiveResponse { live: true })
}

/// Ready means that every part of a bundle has a replica that this node reaches.
pub(super) async fn server_ready(State(api): State<Api>) -> Result<Json<Value>, HttpError> {
    oip::ready(&api).await?;
    Ok(Json(json!({ "ready": true })))
}

pub(super) async fn ready(State(api): State<Api>, name: Named) -> Result<Json<Value>, HttpError> {
    let served = oip::served(&api, name?.0).await?;
    oip::ready(&api).await?;
    Ok(Json(json!({ "name": served.manifest.name, "ready": true })))
}

pub(super) async fn metadata(State(api): State<Api>, name: Named) -> Result<Json<ModelMetadataResponse>, HttpError> {
    Ok(Json(oip::served(&api, name?.0).await?.metadata()))
}

pub(super) async fn config(State(api): State<Api>, name: Named) -> Result<Json<ModelConfig>, HttpError> {
    Ok(Json(oip::served(&api, name?.0).await?.config()))
}

pub(super) async fn statistics(
    State(api): State<Api>,
    name: Named,
) -> Result<Json<ModelStatisticsResponse>, HttpError> {
    let served = oip::served(&api, name?.0).await?;
    Ok(Json(ModelStatisticsResponse { model_stats: vec![api.statistics.of(&served.manifest)] }))
}

pub(super) async fn all_statistics(State(api): State<Api>) -> Result<Json<ModelStatisticsResponse>, HttpError> {
    let served = api.node.serving().await?;
    Ok(Json(ModelStatisticsResponse { model_stats: served.iter().map(|model| api.statistics.of(model)).collect() }))
}

/// The body of a question for the repository's index; may be left out.
#[derive(Debug, Default, Deserialize)]
pub(super) struct IndexRequest {
    #[serde(default)]
    ready: bool,
}

pub(super) async fn index(
    State(api): State<Api>,
    body: Result<Option<Json<IndexRequest>>, JsonRejection>,
) -> Result<Json<Vec<ModelIndex>>, HttpError> {
    let Json(request) = body?.unwrap_or_default();
    Ok(Json(oip::index(&api, request.ready).await?))
}
