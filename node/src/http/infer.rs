//! `POST /v2/models/{model}/infer`: images in, their logits and labels out, as JSON or, with the binary tensor extension, as JSON with
//! bytes behind it.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, header};
use axum::response::{IntoResponse as _, Response};
use rocoin::blob::Blob;
use rocoin::bundle::Manifest;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::body::Incoming;
use super::limits::Room;
use super::model::Named;
use super::oip::{self, Answers, BATCH_MAX, Data, Numbers, Output, Parameters, Question, Tensor, Values, Wanted};
use super::{Api, HttpError};

/// Says how many bytes of a body are JSON; the rest is the tensors.
const JSON_LENGTH: HeaderName = HeaderName::from_static("inference-header-content-length");
/// Bytes of a number in JSON: a double with sign, point, exponent, comma and blanks. Generous.
const NUMBER_BYTES_MAX: usize = 32;
/// What a body may hold beside its images.
const REST_BYTES_MAX: usize = 64 << 10;
/// Bytes of any body; a 224×224×3 image in JSON is about 2 MB.
const BYTES_MAX: usize = 16 << 20;

/// The JSON of a request.
#[derive(Debug, Deserialize)]
struct InferRequest {
    #[serde(default)]
    id: Option<String>,
    inputs: Vec<InputTensor>,
    #[serde(default)]
    parameters: Option<Parameters>,
    #[serde(default)]
    outputs: Option<Vec<RequestedOutput>>,
}

#[derive(Debug, Deserialize)]
struct InputTensor {
    name: String,
    shape: Vec<i64>,
    datatype: String,
    #[serde(default)]
    data: Option<Numbers>,
    #[serde(default)]
    parameters: Option<InputParameters>,
}

#[derive(Debug, Deserialize)]
struct InputParameters {
    #[serde(default)]
    binary_data_size: Option<usize>,
    #[serde(default)]
    shared_memory_region: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
struct RequestedOutput {
    name: String,
    #[serde(default)]
    parameters: Option<OutputParameters>,
}

#[derive(Debug, Default, Deserialize)]
struct OutputParameters {
    #[serde(default)]
    binary_data: Option<bool>,
    #[serde(default)]
    classification: Option<usize>,
}

/// The JSON of an answer.
#[derive(Debug, Serialize)]
struct InferResponse<'a> {
    model_name: &'a str,
    model_version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    parameters: Value,
    outputs: Vec<OutputTensor>,
}

#[derive(Debug, Serialize)]
struct OutputTensor {
    name: &'static str,
    shape: Vec<usize>,
    datatype: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<Value>,
}

pub(super) async fn infer(
    State(api): State<Api>,
    name: Named,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, HttpError> {
    let served = oip::served(&api, name?.0).await?;
    let (question, _room) = read(&api, &served.manifest, &headers, body).await?;
    Ok(match question.ask(&api, &served).await {
        Ok(answers) => respond(&question, &answers),
        Err(error) => error.to(question.id.as_deref()),
    })
}

/// Reads the body if there is room for it, and for its images until they are answered.
async fn read(api: &Api, manifest: &Manifest, headers: &HeaderMap, body: Body) -> Result<(Question, Room), HttpError> {
    let value = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    check_form(value(header::CONTENT_TYPE), value(header::CONTENT_ENCODING))?;
    let json_length = headers.get(JSON_LENGTH).map(|length| {
        let number = length.to_str().ok().and_then(|length| length.parse().ok());
        number.ok_or_else(|| {
            HttpError::BadRequest(format!("Inference-Header-Content-Length is {length:?}, which is no number of bytes"))
        })
    });
    let json_length = json_length.transpose()?;
    let most = body_bytes_max(manifest);
    let announced = value(header::CONTENT_LENGTH).and_then(|length| length.parse().ok());
    let mut room = api.limits.infer(announced.map_or(0, |bytes: usize| bytes.min(most)))?;
    let bytes = Incoming::new(body, most).collect(&mut room).await?;
    let question = parse(&bytes, json_length, manifest).map_err(HttpError::BadRequest)?;
    room.fit(question.bytes())?;
    Ok((question, room))
}

fn check_form(content_type: Option<&str>, encoding: Option<&str>) -> Result<(), HttpError> {
    let content_type = content_type.unwrap_or("application/json").to_ascii_lowercase();
    if !["application/json", "application/octet-stream"].iter().any(|taken| content_type.starts_with(taken)) {
        return Err(HttpError::BadRequest("send JSON, with the header `Content-Type: application/json`".to_owned()));
    }
    match encoding {
        None | Some("identity") => Ok(()),
        Some(other) => Err(HttpError::BadRequest(format!(
            "the body is encoded as {other:?}; send it as it is, without compression"
        ))),
    }
}

/// The images that a body's bytes hold, for a model with that manifest.
pub(crate) fn decode(body: &[u8], json_length: Option<usize>, manifest: &Manifest) -> Result<Vec<Blob>, String> {
    if body.len() > body_bytes_max(manifest) {
        return Err("the body is too large".to_owned());
    }
    parse(body, json_length, manifest).map(|question| question.images)
}

/// What a batch of the model's input can need, and room to spare.
pub(super) fn body_bytes_max(manifest: &Manifest) -> usize {
    let image = manifest.input.elements().saturating_mul(NUMBER_BYTES_MAX);
    image.saturating_mul(BATCH_MAX).saturating_add(REST_BYTES_MAX).min(BYTES_MAX)
}

fn parse(body: &[u8], json_length: Option<usize>, manifest: &Manifest) -> Result<Question, String> {
    let (json, tensors) = match json_length {
        None => (body, None),
        Some(length) => {
            let (json, tensors) = body.split_at_checked(length).ok_or_else(|| {
                let all = body.len();
                format!("Inference-Header-Content-Length is {length}, and the body has {all} bytes")
            })?;
            (json, Some(tensors))
        }
    };
    let Json(request) = Json::<InferRequest>::from_bytes(json).map_err(|rejection| match not_a_number(json) {
        Some(word) => {
            format!("{}; {word} is no JSON, and this model takes finite numbers alone", rejection.body_text())
        }
        None => rejection.body_text(),
    })?;
    question(request, tensors, manifest)
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

fn question(request: InferRequest, tensors: Option<&[u8]>, manifest: &Manifest) -> Result<Question, String> {
    let [input] = request.inputs.as_slice() else {
        return Err(format!("inputs has {} tensors; this model takes exactly one", request.inputs.len()));
    };
    let (name, datatype, shape) = (input.name.as_str(), input.datatype.as_str(), input.shape.as_slice());
    let images = Tensor { name, datatype, shape, data: data(input, tensors)? }.images(&manifest.input)?;
    let parameters = request.parameters.unwrap_or_default();
    let binary = parameters.binary_data_output;
    let outputs = request.outputs.unwrap_or_default().into_iter();
    let named = outputs.map(|RequestedOutput { name, parameters }| {
        let OutputParameters { binary_data, classification } = parameters.unwrap_or_default();
        Wanted::new(&name, classification, binary_data.unwrap_or(binary))
    });
    let wanted = Wanted::list(named, binary)?;
    Ok(Question { id: request.id, images, terms: parameters.terms(None), wanted })
}

/// The input's numbers: in its JSON, or all that lies behind the JSON.
fn data<'a>(input: &'a InputTensor, tensors: Option<&'a [u8]>) -> Result<Data<'a>, String> {
    let parameters = input.parameters.as_ref();
    if parameters.is_some_and(|parameters| parameters.shared_memory_region.is_some()) {
        return Err("inputs[0] is in shared memory, which is not taken here".to_owned());
    }
    let behind = tensors.unwrap_or_default();
    match (&input.data, parameters.and_then(|parameters| parameters.binary_data_size)) {
        (Some(_), Some(_)) => Err("inputs[0] has both data and binary_data_size; send one".to_owned()),
        (Some(_), None) if !behind.is_empty() => {
            Err(format!("{} bytes are behind the JSON, and no input has a binary_data_size", behind.len()))
        }
        (Some(data), None) => Ok(Data::Json(data)),
        (None, Some(_)) if tensors.is_none() => {
            Err("inputs[0] has a binary_data_size; send the header Inference-Header-Content-Length, too".to_owned())
        }
        (None, Some(size)) if size == behind.len() => Ok(Data::Raw(behind)),
        (None, Some(size)) => {
            Err(format!("inputs[0].parameters.binary_data_size is {size}; {} bytes are behind the JSON", behind.len()))
        }
        (None, None) => Err("inputs[0] has neither data nor a binary_data_size".to_owned()),
    }
}

fn respond(question: &Question, answers: &Answers) -> Response {
    let outputs = answers.outputs(&question.wanted);
    let bytes: Vec<u8> = outputs.iter().filter(|o| o.binary).flat_map(|o| o.values.to_bytes()).collect();
    let is_binary = outputs.iter().any(|output| output.binary);
    let response = InferResponse {
        model_name: &answers.manifest.name,
        model_version: &answers.manifest.version,
        id: question.id.as_deref(),
        parameters: answers.parameters(),
        outputs: outputs.into_iter().map(output).collect(),
    };
    if !is_binary {
        return Json(response).into_response();
    }
    let mut body = json!(response).to_string().into_bytes();
    let json_length = body.len().to_string();
    body.extend(bytes);
    ([(header::CONTENT_TYPE, "application/octet-stream".to_owned()), (JSON_LENGTH, json_length)], body).into_response()
}

fn output(output: Output) -> OutputTensor {
    let Output { name, shape, values, binary } = output;
    let size = binary.then(|| json!({ "binary_data_size": values.to_bytes().len() }));
    let datatype = values.datatype();
    let data = match values {
        _ if binary => None,
        Values::Floats(values) => Some(json!(values)),
        Values::Texts(texts) => Some(json!(texts)),
    };
    OutputTensor { name, shape, datatype, data, parameters: size }
}
