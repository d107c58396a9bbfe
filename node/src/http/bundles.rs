//! `POST /api/bundles` with a tar file: the bundle is verified, put into the store and announced to the mesh.
//!
//! One at a time. While it comes in it is a file beside the artifacts, which goes when the upload ends, however it ends.

use std::path::Path;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use rocoin::id::Digest;
use rocoin::planner::Students;
use rocoin_models::bundle_dir::BundleDir;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use super::body::Incoming;
use super::{Api, HttpError};
use crate::store::Store;

/// Bytes of a bundle's tar file: some forty times the ready-made one, and what a small board's memory carries.
pub(crate) const BUNDLE_BYTES_MAX: usize = 256 << 20;

pub(super) async fn deploy(State(api): State<Api>, body: Body) -> Result<Json<Value>, HttpError> {
    let turn = api.limits.upload()?;
    let upload = api.store.upload().map_err(|e| HttpError::Internal(e.to_string()))?;
    let file = upload.path().join("bundle.tar");
    receive(Incoming::new(body, BUNDLE_BYTES_MAX), &file).await?;
    let store = Arc::clone(&api.store);
    // Both go along, lest they end before the import does if the client goes away.
    let imported = tokio::task::spawn_blocking(move || (import(&file, &store), upload, turn));
    let (bundle, _upload, _turn) = imported.await.map_err(|e| HttpError::Internal(e.to_string()))?;
    let bundle = bundle?;
    let (digest, manifest) = (bundle.digest(), Arc::new(bundle.manifest().clone()));
    let reply = json!({ "bundle": digest, "name": manifest.name, "version": manifest.version });
    api.node.deploy(digest, manifest).await?;
    // Answered after the node has taken in the deployment: from then on it knows what is needed.
    let _ = api.node.snapshot().await?;
    Ok(Json(reply))
}

async fn receive(mut body: Incoming, file: &Path) -> Result<(), HttpError> {
    let failed = |e: std::io::Error| HttpError::Internal(format!("cannot write {}: {e}", file.display()));
    let mut out = tokio::fs::File::create(file).await.map_err(failed)?;
    while let Some(piece) = body.next().await? {
        out.write_all(&piece).await.map_err(failed)?;
    }
    out.flush().await.map_err(failed)
}

/// Verifies the whole bundle before any of it is stored.
fn import(file: &Path, store: &Store) -> Result<BundleDir, HttpError> {
    let bundle = BundleDir::open(file).map_err(|e| HttpError::BadRequest(format!("no valid bundle: {e}")))?;
    Students::from_manifest(bundle.manifest())
        .map_err(|e| HttpError::BadRequest(format!("the bundle cannot be planned with: {e}")))?;
    let put = |bytes: &[u8]| store.put(Digest::of(bytes), bytes).map_err(|e| HttpError::Internal(e.to_string()));
    for card in bundle.manifest().parts.iter().flat_map(|part| &part.students) {
        put(&bundle.student(card).map_err(|e| HttpError::BadRequest(e.to_string()))?)?;
    }
    put(bundle.manifest_json())?;
    Ok(bundle)
}
