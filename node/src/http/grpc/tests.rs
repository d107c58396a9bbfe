//! The service, with a script in the core's place.

use std::collections::BTreeMap;

use axum::body::to_bytes;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use prost::Message;
use rocoin::node::{Input, Output};
use serde_json::json;

use super::convert::from_json;
use crate::http::oip::messages::{
    InferInputContents, InferInputTensor, InferRequestedOutputTensor, ModelConfigResponse, ModelInferRequest,
    ModelInferResponse, ModelMetadataResponse, ModelRequest, ModelStreamInferResponse, ReadyResponse,
    ServerLiveResponse, TYPE_FP32,
};
use crate::http::tests::{bench, manifest, of_the_first_number};
use crate::http::{Api, Limits};

const INVALID_ARGUMENT: &str = "3";
const NOT_FOUND: &str = "5";
const RESOURCE_EXHAUSTED: &str = "8";
const OUT_OF_RANGE: &str = "11";
const UNIMPLEMENTED: &str = "12";

fn frame(message: &impl Message) -> Vec<u8> {
    let bytes = message.encode_to_vec();
    let length = u32::try_from(bytes.len()).unwrap();
    [&[0], length.to_be_bytes().as_slice(), &bytes].concat()
}

async fn call(api: &Api, method: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Response {
    let mut request = Request::builder().method("POST").header("content-type", "application/grpc");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(body.into()).unwrap();
    super::call(State(api.clone()), Ok(Path(method.to_owned())), request).await.unwrap()
}

/// The messages of an answer.
async fn messages<M: Message + Default>(response: Response) -> Vec<M> {
    assert!(!response.headers().contains_key("grpc-status"), "{:?}", response.headers());
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    let mut rest = body.as_ref();
    let mut messages = Vec::new();
    while let Some((prefix, behind)) = rest.split_first_chunk::<5>() {
        let length = u32::from_be_bytes(prefix[1..].try_into().unwrap());
        let (message, behind) = behind.split_at(length as usize);
        messages.push(M::decode(message).unwrap());
        rest = behind;
    }
    messages
}

async fn ask<M: Message + Default>(api: &Api, method: &str, message: &impl Message) -> M {
    let mut messages = messages(call(api, method, &[], frame(message)).await).await;
    assert_eq!(messages.len(), 1);
    messages.remove(0)
}

/// The code and the text of a refusal.
fn refusal(response: &Response) -> (&str, &str) {
    let header = |name: &str| response.headers().get(name).map_or("", |value| value.to_str().unwrap());
    (header("grpc-status"), header("grpc-message"))
}

fn model(version: &str) -> ModelRequest {
    ModelRequest { name: manifest().name, version: version.to_owned() }
}

/// Two images, of the classes 3 and 7.
fn two() -> Vec<f32> {
    let elements = manifest().input.elements();
    [3.0, 7.0].into_iter().flat_map(|class| (0..elements).map(move |at| if at == 0 { class } else { 0.5 })).collect()
}

fn request() -> ModelInferRequest {
    let shape = [2].into_iter().chain(manifest().input.shape.iter().map(|&n| n as i64)).collect();
    let input = InferInputTensor {
        name: manifest().input.name,
        datatype: "FP32".to_owned(),
        shape,
        parameters: BTreeMap::new(),
        contents: None,
    };
    ModelInferRequest {
        model_name: manifest().name,
        id: "mine".to_owned(),
        inputs: vec![input],
        ..ModelInferRequest::default()
    }
}

fn raw() -> ModelInferRequest {
    let tensor = two().iter().flat_map(|value| value.to_le_bytes()).collect();
    ModelInferRequest { raw_input_contents: vec![tensor], ..request() }
}

fn typed(contents: InferInputContents) -> ModelInferRequest {
    let mut request = request();
    request.inputs[0].contents = Some(contents);
    request
}

#[tokio::test]
async fn the_server_and_its_model_describe_themselves() {
    let (_bench, api) = bench(|_| Vec::new(), Limits::default()).await;
    assert!(ask::<ServerLiveResponse>(&api, "ServerLive", &super::Nothing {}).await.live);
    assert!(!ask::<ReadyResponse>(&api, "ServerReady", &super::Nothing {}).await.ready, "nobody holds a part");
    assert!(!ask::<ReadyResponse>(&api, "ModelReady", &model("")).await.ready);
    let metadata: ModelMetadataResponse = ask(&api, "ModelMetadata", &model("1")).await;
    assert_eq!(metadata.inputs[0].shape, [-1, 1, 28, 28]);
    let config = ask::<ModelConfigResponse>(&api, "ModelConfig", &model("")).await.config.unwrap();
    assert_eq!((config.max_batch_size, config.input[0].data_type), (64, TYPE_FP32));
    for (method, name, version) in [("ModelMetadata", "other", ""), ("ModelReady", "fashion-mnist", "9")] {
        let asked = ModelRequest { name: name.to_owned(), version: version.to_owned() };
        assert_eq!(refusal(&call(&api, method, &[], frame(&asked)).await).0, NOT_FOUND);
    }
}

#[tokio::test]
async fn raw_contents_are_answered_raw_and_typed_contents_typed() {
    let (_bench, api) = bench(of_the_first_number, Limits::default()).await;
    let answer: ModelInferResponse = ask(&api, "ModelInfer", &raw()).await;
    assert_eq!((answer.id.as_str(), answer.model_version.as_str()), ("mine", "1"));
    assert_eq!(answer.outputs[0].shape, [2, 10]);
    assert_eq!(answer.raw_output_contents[0][4 * 3..4 * 4], 3_f32.to_le_bytes());
    assert_eq!(answer.raw_output_contents[1], b"\x05\0\0\0Dress\x07\0\0\0Sneaker");

    let floats = InferInputContents { fp32_contents: two(), ..InferInputContents::default() };
    let answer: ModelInferResponse = ask(&api, "ModelInfer", &typed(floats)).await;
    assert!(answer.raw_output_contents.is_empty());
    assert_eq!(answer.outputs[0].contents.as_ref().unwrap().fp32_contents[17], 7.0);
    assert_eq!(answer.outputs[1].contents.as_ref().unwrap().bytes_contents, [b"Dress".to_vec(), b"Sneaker".to_vec()]);

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small numbers")]
    let bytes = two().iter().map(|&value| value as u32).collect();
    let mut request = typed(InferInputContents { uint_contents: bytes, ..InferInputContents::default() });
    request.inputs[0].datatype = "UINT8".to_owned();
    let parameters = from_json(&json!({ "classification": 1 }));
    request.outputs = vec![InferRequestedOutputTensor { name: "logits".to_owned(), parameters }];
    let answer: ModelInferResponse = ask(&api, "ModelInfer", &request).await;
    assert_eq!(answer.outputs[0].contents.as_ref().unwrap().bytes_contents[1], b"7.000000:7:Sneaker");
}

#[tokio::test]
async fn each_misfit_is_an_invalid_argument_that_says_what_would_fit() {
    let (_bench, api) = bench(of_the_first_number, Limits::default()).await;
    let changed = |change: &dyn Fn(&mut ModelInferRequest)| {
        let mut request = raw();
        change(&mut request);
        request
    };
    let cases = [
        (changed(&|r| r.inputs[0].shape = vec![-1, 1, 28, 28]), "a batch has 1 to 64 images"),
        (changed(&|r| r.inputs[0].shape = vec![i64::MAX, i64::MAX, i64::MAX]), "this model takes"),
        (changed(&|r| r.inputs[0].datatype = "BF16".to_owned()), "FP32 and UINT8 are taken"),
        (changed(&|r| r.inputs.clear()), "inputs has 0 tensors"),
        (changed(&|r| r.raw_input_contents.clear()), "neither contents nor raw"),
        (changed(&|r| r.raw_input_contents.push(Vec::new())), "raw_input_contents has 2 tensors"),
        (changed(&|r| r.raw_input_contents[0].truncate(7)), "has 7 bytes"),
        (changed(&|r| r.inputs[0].contents = Some(InferInputContents::default())), "both contents and raw"),
        (changed(&|r| r.parameters = from_json(&json!({ "min_parts": -1 }))), "parameters: invalid value"),
        (changed(&|r| r.parameters = from_json(&json!({ "mode": "some" }))), "expected one of"),
        (changed(&|r| r.inputs[0].parameters = from_json(&json!({ "shared_memory_region": "x" }))), "shared memory"),
        (typed(InferInputContents::default()), "has 0 numbers; its shape has 1568"),
    ];
    for (request, reason) in cases {
        let response = call(&api, "ModelInfer", &[], frame(&request)).await;
        let (code, message) = refusal(&response);
        let message = message.replace("%20", " ").replace("%22", "\"").replace("%3B", ";");
        assert_eq!(code, INVALID_ARGUMENT, "{message}");
        assert!(message.contains(reason), "{message:?} should contain {reason:?}");
    }
    let response = call(&api, "ModelInfer", &[("grpc-timeout", "soon")], frame(&raw())).await;
    assert_eq!(refusal(&response).0, INVALID_ARGUMENT);
    assert_eq!(refusal(&call(&api, "RepositoryModelLoad", &[], Vec::new()).await).0, UNIMPLEMENTED);
    assert_eq!(refusal(&call(&api, "../ServerLive", &[], Vec::new()).await).0, UNIMPLEMENTED);
}

#[tokio::test]
async fn a_message_over_the_limit_is_refused_and_so_is_one_that_says_it_is() {
    let (_bench, api) = bench(of_the_first_number, Limits::default()).await;
    let large = ModelInferRequest { id: "x".repeat(1 << 20), ..raw() };
    assert_eq!(refusal(&call(&api, "ModelInfer", &[], frame(&large)).await).0, RESOURCE_EXHAUSTED);
    let boasting = [[0].as_slice(), &u32::MAX.to_be_bytes(), b"and no more"].concat();
    assert_eq!(refusal(&call(&api, "ModelInfer", &[], boasting).await).0, OUT_OF_RANGE);
}

#[tokio::test]
async fn the_calls_own_time_is_the_deadline() {
    fn echo_the_deadline(input: &Input) -> Vec<Output> {
        let Input::Request { request, .. } = input else { return Vec::new() };
        let ms = request.deadline.as_millis();
        assert!((29_000..=30_000).contains(&ms), "{ms}");
        of_the_first_number(input)
    }
    let (_bench, api) = bench(echo_the_deadline, Limits::default()).await;
    let response = call(&api, "ModelInfer", &[("grpc-timeout", "30S")], frame(&raw())).await;
    assert_eq!(messages::<ModelInferResponse>(response).await.len(), 1);
}

#[tokio::test]
async fn a_call_that_is_given_up_is_cancelled_at_the_core() {
    let (bench, api) = bench(|_| Vec::new(), Limits::default()).await;
    {
        let open = call(&api, "ModelInfer", &[], frame(&raw()));
        tokio::pin!(open);
        assert!(futures::poll!(open.as_mut()).is_pending());
    }
    let _ = bench.node.snapshot().await.unwrap();
    let seen = bench.seen();
    assert_eq!(seen.iter().filter(|input| input.starts_with("Request")).count(), 2, "{seen:?}");
    assert_eq!(seen.iter().filter(|input| input.starts_with("CancelRequest")).count(), 2, "{seen:?}");
}

#[tokio::test]
async fn a_stream_answers_one_request_after_the_other_and_outlives_a_refusal() {
    let (_bench, api) = bench(of_the_first_number, Limits::default()).await;
    let wrong = ModelInferRequest { inputs: Vec::new(), id: "wrong".to_owned(), ..raw() };
    let body = [frame(&raw()), frame(&wrong), frame(&raw())].concat();
    let answers: Vec<ModelStreamInferResponse> = messages(call(&api, "ModelStreamInfer", &[], body).await).await;
    let told: Vec<_> = answers.iter().map(|answer| answer.error_message.is_empty()).collect();
    assert_eq!(told, [true, false, true]);
    let ids: Vec<_> = answers.iter().map(|answer| answer.infer_response.as_ref().unwrap().id.as_str()).collect();
    assert_eq!(ids, ["mine", "wrong", "mine"]);
}
