//! `POST /api/bundles` with a tar file: the bundle is verified, put into the store and announced to the mesh.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use rocoin::id::Digest;
use rocoin::planner::Students;
use rocoin_models::bundle_dir::BundleDir;
use serde_json::{Value, json};

use super::{Api, HttpError};
use crate::store::Store;

pub(super) async fn deploy(
    State(api): State<Api>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, HttpError> {
    let body = body.map_err(|e| HttpError::TooLarge(e.body_text()))?;
    let store = Arc::clone(&api.store);
    let bundle = tokio::task::spawn_blocking(move || import(&body, &store))
        .await
        .map_err(|e| HttpError::Internal(e.to_string()))??;
    let (digest, manifest) = (bundle.digest(), Arc::new(bundle.manifest().clone()));
    let reply = json!({ "bundle": digest, "name": manifest.name, "version": manifest.version });
    api.node.deploy(digest, manifest).await?;
    Ok(Json(reply))
}

/// Verifies the whole bundle before any of it is stored.
fn import(tar: &[u8], store: &Store) -> Result<BundleDir, HttpError> {
    let dir = tempfile::tempdir().map_err(|e| HttpError::Internal(format!("no temporary folder: {e}")))?;
    let file = dir.path().join("bundle.tar");
    std::fs::write(&file, tar).map_err(|e| HttpError::Internal(format!("cannot write {}: {e}", file.display())))?;
    let bundle = BundleDir::open(&file).map_err(|e| HttpError::BadRequest(format!("no valid bundle: {e}")))?;
    Students::from_manifest(bundle.manifest())
        .map_err(|e| HttpError::BadRequest(format!("the bundle cannot be planned with: {e}")))?;
    let put = |bytes: &[u8]| store.put(Digest::of(bytes), bytes).map_err(|e| HttpError::Internal(e.to_string()));
    for card in bundle.manifest().parts.iter().flat_map(|part| &part.students) {
        put(&bundle.student(card).map_err(|e| HttpError::BadRequest(e.to_string()))?)?;
    }
    put(bundle.manifest_json())?;
    Ok(bundle)
}
