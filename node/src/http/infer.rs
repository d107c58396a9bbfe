//! `POST /v2/models/{model}/infer` with JSON tensors: one image in, its logits and label out.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use rocoin::blob::Blob;
use rocoin::bundle::Manifest;
use rocoin::inference::{Answer, Disagreement, Mode, PartAnswer, Request, Try};
use rocoin::time::Duration;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::body::Incoming;
use super::{Api, HttpError, model};
use crate::actor::Answered;

/// A request's deadline where it names none.
const DEADLINE_MS_DEFAULT: u64 = 2_000;
/// Bytes of a number in JSON: a double with sign, point, exponent, comma and blanks. Generous.
const NUMBER_BYTES_MAX: usize = 32;
/// What a body may hold beside one image: four times its numbers, since people indent, and some KiB.
const IMAGES_MAX: usize = 4;
const REST_BYTES_MAX: usize = 64 << 10;
/// Bytes of any body; a 224×224×3 image in JSON is about 2 MB.
const BYTES_MAX: usize = 16 << 20;
/// A body that takes longer to come in is given up. Ours: several usual deadlines.
const BODY_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);

/// The body of an inference request.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct InferRequest {
    /// The client's own name for it; echoed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Exactly one tensor.
    pub inputs: Vec<InputTensor>,
    /// How it is to be answered.
    #[serde(default)]
    pub parameters: Parameters,
}

/// Request parameters; unknown ones are ignored, as the protocol wants it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Parameters {
    /// From now; 2,000 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
    /// No answer with fewer parts than this; 1 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_parts: Option<usize>,
    /// `all`, `hedged` or `verify`; the node's own if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Whether the answer is to say what became of every replica that was asked; if absent it does not.
    #[serde(default, skip_serializing_if = "is_false")]
    pub explain: bool,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

/// A tensor of a request.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct InputTensor {
    /// As the model's metadata has it.
    pub name: String,
    /// The image's, with or without a leading batch of 1.
    pub shape: Vec<usize>,
    /// `FP32` or `UINT8`.
    pub datatype: String,
    /// Row-major numbers, flat or nested.
    pub data: Value,
}

/// The body of an answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct InferResponse {
    /// The model's name.
    pub model_name: String,
    /// Its version.
    pub model_version: String,
    /// The client's own name for the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `degraded`, `parts_used`, `parts_missing`, `replicas`, `epoch`; `after_us` and `run_us`, one a part used: when its answer was
    /// here, and how long its student ran; `mode`, `replicas_asked`, and what belongs to the mode.
    pub parameters: Value,
    /// `logits` and `label`.
    pub outputs: Vec<OutputTensor>,
}

/// A tensor of an answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OutputTensor {
    /// `logits` or `label`.
    pub name: String,
    /// With a leading batch of 1.
    pub shape: Vec<usize>,
    /// `FP32` or `BYTES`.
    pub datatype: String,
    /// Row-major.
    pub data: Value,
}

pub(super) async fn infer(
    State(api): State<Api>,
    Path(model): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<InferResponse>, HttpError> {
    let manifest = model::served(&api, &model).await?;
    let body = read(&api, &manifest, &headers, body).await?;
    let request = parse(&body, &manifest).map_err(HttpError::BadRequest)?;
    let Answered { answer, manifest } = api.node.request(request).await?;
    if manifest.name != model {
        return Err(HttpError::UnknownModel { asked: model, served: Some(manifest.name.clone()) });
    }
    let mut response = respond(&answer, &manifest, body.id);
    if body.parameters.explain {
        response.parameters["tries"] = answer.tries.iter().map(told).collect();
    }
    Ok(Json(response))
}

/// Reads the body while there is room for it.
async fn read(api: &Api, manifest: &Manifest, headers: &HeaderMap, body: Body) -> Result<InferRequest, HttpError> {
    let value = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if !value(header::CONTENT_TYPE).is_some_and(|t| t.to_ascii_lowercase().starts_with("application/json")) {
        return Err(HttpError::BadRequest("send JSON, with the header `Content-Type: application/json`".to_owned()));
    }
    let most = body_bytes_max(manifest);
    let announced = value(header::CONTENT_LENGTH).and_then(|length| length.parse().ok());
    let _room = api.limits.infer(announced.map_or(most, |bytes: usize| bytes.min(most)))?;
    let bytes = tokio::time::timeout(BODY_TIMEOUT, Incoming::new(body, most).collect()).await;
    let bytes = bytes.map_err(|_| HttpError::TooSlow)??;
    let Json(body) = Json::from_bytes(&bytes).map_err(|rejection| match not_a_number(&bytes) {
        Some(word) => HttpError::BadRequest(format!(
            "{}; {word} is no JSON, and this model takes finite numbers alone",
            rejection.body_text()
        )),
        None => rejection.into(),
    })?;
    Ok(body)
}

/// The word at which these bytes cease to be JSON, if it is one of those that some programs write for what is no finite number.
fn not_a_number(bytes: &[u8]) -> Option<&str> {
    let error = serde_json::from_slice::<IgnoredAny>(bytes).err()?;
    let line = bytes.split(|byte| *byte == b'\n').nth(error.line().checked_sub(1)?)?;
    let is_of_word = |byte: &u8| byte.is_ascii_alphabetic() || matches!(byte, b'-' | b'+');
    let at = error.column().saturating_sub(1).min(line.len().saturating_sub(1));
    let begin = line[..at].iter().rposition(|byte| !is_of_word(byte)).map_or(0, |before| before + 1);
    let end = line[at..].iter().position(|byte| !is_of_word(byte)).map_or(line.len(), |length| at + length);
    let word = std::str::from_utf8(line.get(begin..end)?).ok()?;
    let bare = word.trim_start_matches(['-', '+']).to_ascii_lowercase();
    matches!(bare.as_str(), "nan" | "infinity" | "inf").then_some(word)
}

/// What a body's bytes ask, of a model with that manifest.
pub(crate) fn decode(body: &[u8], manifest: &Manifest) -> Result<Request, String> {
    if body.len() > body_bytes_max(manifest) {
        return Err("the body is too large".to_owned());
    }
    let Json(body) = Json::from_bytes(body).map_err(|e| e.to_string())?;
    parse(&body, manifest)
}

/// What the model's input can need, and room to spare.
fn body_bytes_max(manifest: &Manifest) -> usize {
    let image = manifest.input.elements().saturating_mul(NUMBER_BYTES_MAX);
    image.saturating_mul(IMAGES_MAX).saturating_add(REST_BYTES_MAX).min(BYTES_MAX)
}

fn parse(body: &InferRequest, manifest: &Manifest) -> Result<Request, String> {
    let [input] = body.inputs.as_slice() else {
        return Err(format!("inputs has {} tensors; this model takes exactly one", body.inputs.len()));
    };
    let expected = &manifest.input;
    if input.name != expected.name {
        return Err(format!("inputs[0].name is {:?}; this model takes {:?}", input.name, expected.name));
    }
    if !matches!(input.datatype.as_str(), "FP32" | "UINT8") {
        return Err(format!("inputs[0].datatype is {:?}; FP32 and UINT8 are taken", input.datatype));
    }
    let image = match input.shape.as_slice() {
        [1, image @ ..] if image.len() == expected.shape.len() => image,
        whole => whole,
    };
    if image != expected.shape {
        let whole: Vec<usize> = [1].into_iter().chain(expected.shape.iter().copied()).collect();
        return Err(format!("inputs[0].shape is {:?}; this model takes {whole:?}", input.shape));
    }
    let mut values = Vec::with_capacity(expected.elements());
    flatten(&input.data, expected.elements(), &mut values)?;
    if values.len() != expected.elements() {
        return Err(format!("inputs[0].data has {} numbers; its shape has {}", values.len(), expected.elements()));
    }
    Ok(Request {
        input: Blob::from_floats(&values),
        deadline: Duration::from_millis(body.parameters.deadline_ms.unwrap_or(DEADLINE_MS_DEFAULT)),
        min_parts: body.parameters.min_parts.unwrap_or(1),
        mode: body.parameters.mode,
    })
}

fn flatten(data: &Value, most: usize, into: &mut Vec<f32>) -> Result<(), String> {
    match data {
        Value::Array(items) => items.iter().try_for_each(|item| flatten(item, most, into)),
        _ if into.len() >= most => Err(format!("inputs[0].data has more than the {most} numbers of its shape")),
        Value::Number(number) => {
            #[expect(clippy::cast_possible_truncation, reason = "tensors are f32; what overflows is refused below")]
            let value = number.as_f64().unwrap_or(f64::NAN) as f32;
            if !value.is_finite() {
                let place = into.len();
                return Err(format!(
                    "inputs[0].data: number {place}, counted from 0, is {number}, which is no finite FP32"
                ));
            }
            into.push(value);
            Ok(())
        }
        Value::Null | Value::Bool(_) | Value::String(_) | Value::Object(_) => {
            let place = into.len();
            Err(format!("inputs[0].data: number {place}, counted from 0, is {data}, which is no number"))
        }
    }
}

fn respond(answer: &Answer, manifest: &Manifest, id: Option<String>) -> InferResponse {
    let best = (0..answer.logits.len()).max_by(|&a, &b| answer.logits[a].total_cmp(&answer.logits[b]));
    let label = best.and_then(|class| manifest.labels.get(class));
    let used: Vec<u16> = answer.parts.iter().map(|p| p.part.0).collect();
    let missing: Vec<u16> = answer.missing.iter().map(|p| p.0).collect();
    let replicas: Vec<String> = answer.parts.iter().map(|p| p.replica.to_string()).collect();
    let [after, run] = [|p: &PartAnswer| p.after, |p: &PartAnswer| p.run]
        .map(|of| answer.parts.iter().map(|p| of(p).as_micros()).collect::<Vec<_>>());
    let mut parameters = json!({
        "degraded": answer.is_degraded(),
        "parts_used": used,
        "parts_missing": missing,
        "replicas": replicas,
        "after_us": after,
        "run_us": run,
        "epoch": answer.epoch.map(|e| e.to_string()),
        "mode": answer.mode,
        "replicas_asked": answer.asked,
    });
    match answer.mode {
        Mode::All => {}
        Mode::Hedged => parameters["hedges"] = json!(answer.hedges),
        Mode::Verify => {
            parameters["verified_parts"] = json!(answer.verified.iter().map(|part| part.0).collect::<Vec<_>>());
            parameters["disagreements"] = answer.disagreements.iter().map(disagreement).collect();
        }
    }
    InferResponse {
        model_name: manifest.name.clone(),
        model_version: manifest.version.clone(),
        id,
        parameters,
        outputs: vec![
            OutputTensor {
                name: "logits".to_owned(),
                shape: vec![1, answer.logits.len()],
                datatype: "FP32".to_owned(),
                data: json!(answer.logits),
            },
            OutputTensor {
                name: "label".to_owned(),
                shape: vec![1],
                datatype: "BYTES".to_owned(),
                data: json!([label]),
            },
        ],
    }
}

fn told(one: &Try) -> Value {
    let Try { part, replica, asked, ended, fate } = one;
    json!({
        "part": part.0,
        "replica": replica.to_string(),
        "asked_us": asked.as_micros(),
        "ended_us": ended.map(|at| at.as_micros()),
        "fate": fate,
    })
}

fn disagreement(disagreement: &Disagreement) -> Value {
    let Disagreement { part, replica, outvoted } = disagreement;
    json!({ "part": part.0, "replica": replica.to_string(), "outvoted": outvoted })
}
