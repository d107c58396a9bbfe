//! What is served, and what the protocol tells of it.

use std::sync::Arc;

use rocoin::bundle::Manifest;
use serde::Deserialize;

use super::BATCH_MAX;
use super::messages::{
    ModelConfig, ModelConfigInput, ModelConfigOutput, ModelIndex, ModelMetadataResponse, Reshape,
    ServerMetadataResponse, TYPE_FP32, TYPE_STRING, TensorMetadata,
};
use crate::http::{Api, HttpError};

/// What this program calls itself, and the platform of every model.
const PLATFORM: &str = "rocoin";
/// Of the protocol, as its servers name them.
const EXTENSIONS: [&str; 5] =
    ["binary_tensor_data", "classification", "model_configuration", "parameters", "statistics"];

/// The model that a client means.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct ModelName {
    /// A bundle's name.
    pub(crate) model: String,
    /// The bundle's version; absent or empty: the one that is served.
    #[serde(default)]
    pub(crate) version: Option<String>,
}

impl ModelName {
    /// As gRPC writes it: an empty version is none.
    pub(crate) fn new(model: impl Into<String>, version: impl Into<String>) -> Self {
        Self { model: model.into(), version: Some(version.into()) }
    }

    /// Whether that manifest is meant.
    ///
    /// # Errors
    /// [`HttpError::UnknownModel`].
    pub(crate) fn check(&self, manifest: &Manifest) -> Result<(), HttpError> {
        let version = self.version.as_deref().unwrap_or_default();
        if manifest.name == self.model && (version.is_empty() || version == manifest.version) {
            return Ok(());
        }
        Err(self.unknown(Some(manifest)))
    }

    fn unknown(&self, served: Option<&Manifest>) -> HttpError {
        let version = self.version.as_deref().filter(|version| !version.is_empty());
        let told = |name: &str, version: Option<&str>| match version {
            Some(version) => format!("{name:?}, version {version:?},"),
            None => format!("{name:?}"),
        };
        HttpError::UnknownModel {
            asked: told(&self.model, version),
            served: served.map(|served| told(&served.name, version.map(|_| served.version.as_str()))),
        }
    }
}

/// A model that a client means and that is served.
#[derive(Debug, Clone)]
pub(crate) struct Served {
    /// How the client called it.
    pub(crate) name: ModelName,
    /// What is served.
    pub(crate) manifest: Arc<Manifest>,
}

/// What `name` means.
///
/// # Errors
/// [`HttpError::UnknownModel`], [`HttpError::Stopped`].
pub(crate) async fn served(api: &Api, name: ModelName) -> Result<Served, HttpError> {
    match api.node.serving().await? {
        Some(manifest) => name.check(&manifest).map(|()| Served { name, manifest }),
        None => Err(name.unknown(None)),
    }
}

impl Served {
    /// Names, types and shapes of inputs and outputs; the batch in front is −1.
    pub(crate) fn metadata(&self) -> ModelMetadataResponse {
        let Manifest { name, version, input, classes, .. } = &*self.manifest;
        let tensor = |name: &str, datatype: &str, shape: &[usize]| TensorMetadata {
            name: name.to_owned(),
            datatype: datatype.to_owned(),
            shape: [-1].into_iter().chain(dims(shape)).collect(),
        };
        ModelMetadataResponse {
            name: name.clone(),
            versions: vec![version.clone()],
            platform: PLATFORM.to_owned(),
            inputs: vec![tensor(&input.name, &input.dtype, &input.shape)],
            outputs: vec![tensor("logits", "FP32", &[*classes]), tensor("label", "BYTES", &[])],
        }
    }

    /// The model configuration extension.
    pub(crate) fn config(&self) -> ModelConfig {
        let Manifest { name, input, classes, .. } = &*self.manifest;
        let output = |name: &str, data_type: i32, dims: Vec<i64>, reshape| ModelConfigOutput {
            name: name.to_owned(),
            data_type,
            dims,
            reshape,
        };
        ModelConfig {
            name: name.clone(),
            platform: PLATFORM.to_owned(),
            max_batch_size: i32::try_from(BATCH_MAX).unwrap_or(i32::MAX),
            input: vec![ModelConfigInput {
                name: input.name.clone(),
                data_type: TYPE_FP32,
                dims: dims(&input.shape).collect(),
            }],
            output: vec![
                output("logits", TYPE_FP32, dims(&[*classes]).collect(), None),
                output("label", TYPE_STRING, vec![1], Some(Reshape::default())),
            ],
            backend: PLATFORM.to_owned(),
        }
    }
}

fn dims(shape: &[usize]) -> impl Iterator<Item = i64> {
    shape.iter().map(|&length| i64::try_from(length).unwrap_or(i64::MAX))
}

/// This server.
pub(crate) fn server() -> ServerMetadataResponse {
    ServerMetadataResponse {
        name: PLATFORM.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        extensions: EXTENSIONS.map(str::to_owned).to_vec(),
    }
}

/// Whether every part of what is served has a replica that this node reaches.
///
/// # Errors
/// [`HttpError::NotReady`], [`HttpError::Stopped`].
pub(crate) async fn ready(api: &Api) -> Result<(), HttpError> {
    let snapshot = api.node.snapshot().await?;
    if snapshot.draining || snapshot.parts.is_empty() || snapshot.parts_served < snapshot.parts.len() {
        return Err(HttpError::NotReady { served: snapshot.parts_served, parts: snapshot.parts.len() });
    }
    Ok(())
}

/// What is served, as the model repository extension lists it; with `only_ready`, if it is.
///
/// # Errors
/// [`HttpError::Stopped`].
pub(crate) async fn index(api: &Api, only_ready: bool) -> Result<Vec<ModelIndex>, HttpError> {
    let Some(manifest) = api.node.serving().await? else { return Ok(Vec::new()) };
    let (state, reason) = match ready(api).await {
        Ok(()) => ("READY", String::new()),
        Err(HttpError::Stopped(stopped)) => return Err(stopped.into()),
        Err(_) if only_ready => return Ok(Vec::new()),
        Err(error) => ("UNAVAILABLE", error.to_string()),
    };
    let (name, version) = (manifest.name.clone(), manifest.version.clone());
    Ok(vec![ModelIndex { name, version, state: state.to_owned(), reason }])
}
