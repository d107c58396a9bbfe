//! `ModelInfer`: images in, their logits and labels out, as raw or as typed contents.

use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use rocoin::blob::Blob;
use rocoin::bundle::Manifest;
use tonic::Status;

use super::codec;
use super::convert::{from_json, to_json};
use super::timeout::timeout;
use crate::http::oip::messages::{
    InferInputTensor, InferOutputContents, InferOutputTensor, InferRequestedOutputTensor, ModelInferRequest,
    ModelInferResponse,
};
use crate::http::oip::{self, Answers, BATCH_MAX, Data, ModelName, Parameters, Question, Tensor, Values, Wanted};
use crate::http::{Api, HttpError};

/// Bytes of a number in a message: a `UINT8` among typed contents has at most 2, an `FP32` 4.
const NUMBER_BYTES_MAX: usize = 4;
/// What a message may hold beside its images.
const REST_BYTES_MAX: usize = 64 << 10;
/// Bytes of any message.
const BYTES_MAX: usize = 16 << 20;

/// What a batch of the served model's input can need, and room to spare.
///
/// # Errors
/// [`HttpError::Stopped`].
pub(super) async fn message_bytes_max(api: &Api) -> Result<usize, HttpError> {
    let image = api.node.serving().await?.map_or(0, |manifest| manifest.input.elements());
    let batch = image.saturating_mul(NUMBER_BYTES_MAX).saturating_mul(BATCH_MAX);
    Ok(batch.saturating_add(REST_BYTES_MAX).min(BYTES_MAX))
}

/// A call that may last until its client gives it up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call {
    until: Option<Instant>,
}

impl Call {
    /// That came in now, with these headers.
    ///
    /// # Errors
    /// As [`timeout`].
    pub(super) fn new(headers: &HeaderMap) -> Result<Self, Status> {
        let until = timeout(headers)?.and_then(|timeout| Instant::now().checked_add(timeout));
        Ok(Self { until })
    }

    /// Asks the node. A request that the node does not hear of is counted all the same.
    ///
    /// # Errors
    /// As REST's.
    pub(super) async fn answer(self, api: &Api, request: &ModelInferRequest) -> Result<ModelInferResponse, HttpError> {
        let answered = self.ask(api, request).await;
        if let Some(turned) = answered.as_ref().err().and_then(HttpError::turned) {
            api.node.observer().metrics.turned_away(turned);
        }
        answered
    }

    async fn ask(self, api: &Api, request: &ModelInferRequest) -> Result<ModelInferResponse, HttpError> {
        let name = ModelName::new(request.model_name.as_str(), request.model_version.as_str());
        let served = oip::served(api, name).await?;
        let left = self.until.map(|until| until.saturating_duration_since(Instant::now()));
        let question = question(request, &served.manifest, left).map_err(HttpError::BadRequest)?;
        let answers = question.ask(api, &served).await?;
        Ok(respond(&question, &answers, !request.raw_input_contents.is_empty()))
    }
}

/// The images that a message's bytes hold, for a model with that manifest.
pub(crate) fn decode(bytes: &[u8], manifest: &Manifest) -> Result<Vec<Blob>, String> {
    images(&codec::decode(bytes)?, manifest)
}

fn images(request: &ModelInferRequest, manifest: &Manifest) -> Result<Vec<Blob>, String> {
    let [input] = request.inputs.as_slice() else {
        return Err(format!("inputs has {} tensors; this model takes exactly one", request.inputs.len()));
    };
    let InferInputTensor { name, datatype, shape, parameters, contents } = input;
    if parameters.contains_key("shared_memory_region") {
        return Err("inputs[0] is in shared memory, which is not taken here".to_owned());
    }
    let data = match (request.raw_input_contents.as_slice(), contents) {
        ([raw], None) => Data::Raw(raw),
        ([], Some(contents)) if datatype == "UINT8" => Data::Whole(&contents.uint_contents),
        ([], Some(contents)) => Data::Floats(&contents.fp32_contents),
        ([], None) => return Err("inputs[0] has neither contents nor raw_input_contents".to_owned()),
        ([_], Some(_)) => return Err("inputs[0] has both contents and raw_input_contents; send one".to_owned()),
        (several, _) => return Err(format!("raw_input_contents has {} tensors, inputs one", several.len())),
    };
    Tensor { name, datatype, shape, data }.images(&manifest.input)
}

fn question(request: &ModelInferRequest, manifest: &Manifest, left: Option<Duration>) -> Result<Question, String> {
    let parameters = to_json(&request.parameters);
    let parameters: Parameters = serde_json::from_value(parameters).map_err(|e| format!("parameters: {e}"))?;
    let wanted = Wanted::list(request.outputs.iter().map(wanted), false)?;
    Ok(Question {
        id: Some(request.id.clone()).filter(|id| !id.is_empty()),
        images: images(request, manifest)?,
        terms: parameters.terms(left),
        wanted,
    })
}

fn wanted(output: &InferRequestedOutputTensor) -> Result<Wanted, String> {
    let classes = match to_json(&output.parameters).get("classification") {
        None => None,
        Some(number) => {
            let classes = number.as_u64().and_then(|number| usize::try_from(number).ok());
            Some(classes.ok_or_else(|| format!("classification is {number}; it is a number of classes"))?)
        }
    };
    Wanted::new(&output.name, classes, false)
}

fn respond(question: &Question, answers: &Answers, raw: bool) -> ModelInferResponse {
    let outputs = answers.outputs(&question.wanted);
    ModelInferResponse {
        model_name: answers.manifest.name.clone(),
        model_version: answers.manifest.version.clone(),
        id: question.id.clone().unwrap_or_default(),
        parameters: from_json(&answers.parameters()),
        raw_output_contents: outputs.iter().filter(|_| raw).map(|output| output.values.to_bytes()).collect(),
        outputs: outputs
            .into_iter()
            .map(|output| InferOutputTensor {
                name: output.name.to_owned(),
                datatype: output.values.datatype().to_owned(),
                shape: output.shape.iter().map(|&n| i64::try_from(n).unwrap_or(i64::MAX)).collect(),
                contents: (!raw).then(|| contents(output.values)),
            })
            .collect(),
    }
}

fn contents(values: Values) -> InferOutputContents {
    match values {
        Values::Floats(values) => InferOutputContents { fp32_contents: values, ..InferOutputContents::default() },
        Values::Texts(texts) => InferOutputContents {
            bytes_contents: texts.into_iter().map(String::into_bytes).collect(),
            ..InferOutputContents::default()
        },
    }
}
