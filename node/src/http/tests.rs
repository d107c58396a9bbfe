//! The handlers, with a script in the core's place.

mod watching;

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures::channel::mpsc;
use futures::{StreamExt as _, stream};
use rocoin::bundle::Manifest;
use rocoin::id::{Digest, NodeId, PartId};
use rocoin::inference::{Answer, Fate, Mode, RequestError, Try};
use rocoin::node::{Input, Output};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::oip::ModelName;
use super::{Api, HttpError, Limits, Statistics, bundles, infer};
use crate::actor::tests::{Bench, React, bench_with};
use crate::network::NetworkCounters;

const MANIFEST: &[u8] = include_bytes!("../../../models/bundles/fashion-mnist/manifest.json");

/// The bundle that is served when a request comes in, and one with its labels in another order.
pub(super) const SERVED: Digest = Digest([1; 32]);
const NEXT: Digest = Digest([2; 32]);

pub(super) fn manifest() -> Manifest {
    Manifest::parse(MANIFEST).unwrap()
}

pub(super) async fn bench(react: React, limits: Limits) -> (Bench, Api) {
    let mut next = manifest();
    next.version = "next".to_owned();
    next.labels.reverse();
    let known = [(SERVED, manifest()), (NEXT, next)].map(|(bundle, manifest)| (bundle, Arc::new(manifest)));
    let bench = bench_with(react, None, known.into()).await;
    let api = Api {
        node: bench.node.clone(),
        store: Arc::clone(&bench.store),
        network: NetworkCounters::default(),
        faults: None,
        lies: None,
        token: None,
        limits,
        statistics: Statistics::default(),
    };
    (bench, api)
}

async fn ask(api: &Api, body: Body) -> Result<Response, HttpError> {
    ask_with(api, &[("content-type", "application/json")], body).await
}

async fn ask_with(api: &Api, headers: &[(&'static str, &str)], body: Body) -> Result<Response, HttpError> {
    let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_str(value).unwrap()));
    let name = ModelName::new(manifest().name, "");
    infer::infer(State(api.clone()), Ok(Path(name)), headers.collect::<HeaderMap>(), body).await
}

async fn told(response: Response) -> Value {
    serde_json::from_slice(&to_bytes(response.into_body(), usize::MAX).await.unwrap()).unwrap()
}

/// Every image is of the class that its first number names, by so many logits.
pub(super) fn of_the_first_number(input: &Input) -> Vec<Output> {
    let Input::Request { client, request } = input else { return Vec::new() };
    let first = request.input.to_floats().unwrap()[0];
    let logits = (0..manifest().classes).map(|class| if class as f32 == first { first } else { 0.0 });
    vec![Output::Answer { client: *client, result: Ok(answer(SERVED, logits.collect())) }]
}

fn answer(bundle: Digest, logits: Vec<f32>) -> Answer {
    Answer {
        logits,
        bundle,
        epoch: None,
        parts: Vec::new(),
        missing: Vec::new(),
        mode: Mode::All,
        asked: 0,
        hedges: 0,
        verified: Vec::new(),
        disagreements: Vec::new(),
        tries: Vec::new(),
    }
}

/// A body of which nothing comes.
fn stalled() -> Body {
    Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>())
}

fn image() -> Value {
    let elements = manifest().input.elements();
    json!({ "inputs": [{
        "name": manifest().input.name,
        "shape": manifest().input.shape,
        "datatype": "FP32",
        "data": vec![0.5; elements],
    }] })
}

fn is_busy(error: HttpError) -> bool {
    let response = error.into_response();
    response.status() == StatusCode::SERVICE_UNAVAILABLE && response.headers().contains_key(header::RETRY_AFTER)
}

#[tokio::test]
async fn a_second_upload_is_asked_to_come_back_until_the_first_is_over() {
    let (_bench, api) = bench(|_| Vec::new(), Limits::default()).await;
    {
        let first = bundles::deploy(State(api.clone()), stalled());
        tokio::pin!(first);
        assert!(futures::poll!(first.as_mut()).is_pending());
        assert!(is_busy(bundles::deploy(State(api.clone()), Body::empty()).await.unwrap_err()));
    }
    let error = bundles::deploy(State(api), Body::empty()).await.unwrap_err();
    assert_eq!(
        error.into_response().status(),
        StatusCode::BAD_REQUEST,
        "an empty body is no bundle, but it is looked at"
    );
}

#[tokio::test]
async fn an_upload_lies_beside_the_artifacts_and_leaves_nothing() {
    let (_bench, api) = bench(|_| Vec::new(), Limits::default()).await;
    let (mut pieces, body) = mpsc::channel::<Result<Bytes, std::io::Error>>(1);
    let uploads = || std::fs::read_dir(api.store.folder()).unwrap().count();
    {
        let upload = bundles::deploy(State(api.clone()), Body::from_stream(body));
        tokio::pin!(upload);
        pieces.try_send(Ok(Bytes::from_static(b"half"))).unwrap();
        assert!(futures::poll!(upload.as_mut()).is_pending());
        assert_eq!(uploads(), 1);
    }
    assert_eq!(uploads(), 0);
}

/// A body of which so many bytes have come, and no more do.
fn begun(bytes: usize) -> Body {
    let piece = Ok::<_, std::io::Error>(Bytes::from(vec![b' '; bytes]));
    Body::from_stream(stream::iter([piece]).chain(stream::pending()))
}

#[tokio::test]
async fn inference_bodies_beyond_the_bound_are_asked_to_come_back() {
    let (_bench, api) = bench(|_| Vec::new(), Limits::new(1, 1_000)).await;
    {
        let first = ask(&api, begun(900 << 10));
        tokio::pin!(first);
        assert!(futures::poll!(first.as_mut()).is_pending());
        let large = Body::from(vec![b' '; 200 << 10]);
        assert!(is_busy(ask(&api, large).await.unwrap_err()), "there is room for 100 KiB");
        assert!(!is_busy(ask(&api, "{}".into()).await.unwrap_err()));
    }
    let again = ask(&api, begun(900 << 10));
    tokio::pin!(again);
    assert!(futures::poll!(again.as_mut()).is_pending(), "its room is free again");
}

#[tokio::test]
async fn a_request_keeps_room_for_its_images_until_it_is_answered() {
    let (_bench, api) = bench(|_| Vec::new(), Limits::new(1, 20)).await;
    let open = ask(&api, image().to_string().into());
    tokio::pin!(open);
    assert!(futures::poll!(open.as_mut()).is_pending());
    let taken = 20 - api.limits.infer_kib_free();
    assert_eq!(taken, (manifest().input.elements() * 4).div_ceil(1 << 10));
}

#[tokio::test]
async fn an_inference_body_is_no_larger_than_the_models_input_can_need() {
    let (_bench, api) = bench(|_| Vec::new(), Limits::default()).await;
    let mut body = image();
    body["id"] = json!("x".repeat(4 << 20));
    let error = ask(&api, body.to_string().into()).await.unwrap_err();
    assert_eq!(error.into_response().status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn labels_and_version_are_those_of_the_bundle_that_answered() {
    fn answer_from_the_next(input: &Input) -> Vec<Output> {
        let Input::Request { client, .. } = input else { return Vec::new() };
        let mut logits = vec![0.0; manifest().classes];
        logits[0] = 1.0;
        vec![Output::Answer { client: *client, result: Ok(answer(NEXT, logits)) }]
    }
    let (_bench, api) = bench(answer_from_the_next, Limits::default()).await;
    let reply = told(ask(&api, image().to_string().into()).await.unwrap()).await;
    assert_eq!(reply["model_version"], "next");
    assert_eq!(reply["outputs"][1]["data"], json!([manifest().labels.last()]));
}

#[tokio::test]
async fn an_answer_says_what_became_of_each_replica_where_it_is_to_be_explained() {
    fn tried(input: &Input) -> Vec<Output> {
        let Input::Request { client, .. } = input else { return Vec::new() };
        let ms = rocoin::time::Duration::from_millis;
        let tries = vec![Try {
            part: PartId(2),
            replica: NodeId([3; 32]),
            asked: ms(1),
            ended: Some(ms(5)),
            fate: Fate::Answered,
        }];
        let answer = Answer { tries, ..answer(SERVED, vec![0.0; manifest().classes]) };
        vec![Output::Answer { client: *client, result: Ok(answer) }]
    }
    let (_bench, api) = bench(tried, Limits::default()).await;
    let mut body = image();
    let plain = told(ask(&api, body.to_string().into()).await.unwrap()).await;
    assert!(plain["parameters"]["tries"].is_null());
    body["parameters"] = json!({ "explain": true });
    let explained = told(ask(&api, body.to_string().into()).await.unwrap()).await;
    let replica = NodeId([3; 32]).to_string();
    assert_eq!(
        explained["parameters"]["tries"],
        json!([{ "part": 2, "replica": replica, "asked_us": 1000, "ended_us": 5000, "fate": "answered" }])
    );
}

/// Two images, of the classes 3 and 7.
fn two() -> Vec<f32> {
    let elements = manifest().input.elements();
    let image = |class: f32| (0..elements).map(move |at| if at == 0 { class } else { 0.5 });
    image(3.0).chain(image(7.0)).collect()
}

fn batch(request: Value) -> Value {
    let shape: Vec<usize> = [2].into_iter().chain(manifest().input.shape).collect();
    let mut batch = json!({
        "id": "mine",
        "inputs": [{ "name": manifest().input.name, "shape": shape, "datatype": "FP32" }],
    });
    for (name, value) in request.as_object().unwrap() {
        batch[name] = value.clone();
    }
    batch
}

#[tokio::test]
async fn a_batch_is_answered_image_by_image_in_its_order() {
    let (_bench, api) = bench(of_the_first_number, Limits::default()).await;
    let mut body = batch(json!({}));
    body["inputs"][0]["data"] = json!(two());
    let reply = told(ask(&api, body.to_string().into()).await.unwrap()).await;
    assert_eq!(reply["id"], "mine");
    assert_eq!(reply["outputs"][0]["shape"], json!([2, 10]));
    assert_eq!((&reply["outputs"][0]["data"][3], &reply["outputs"][0]["data"][17]), (&json!(3.0), &json!(7.0)));
    let labels = manifest().labels;
    assert_eq!(
        reply["outputs"][1],
        json!({
            "name": "label", "shape": [2], "datatype": "BYTES", "data": [labels[3], labels[7]],
        })
    );
    assert_eq!(reply["parameters"]["images"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn tensors_go_both_ways_as_bytes_behind_the_json() {
    let (_bench, api) = bench(of_the_first_number, Limits::default()).await;
    let tensor: Vec<u8> = two().iter().flat_map(|value| value.to_le_bytes()).collect();
    let mut request = batch(json!({ "parameters": { "binary_data_output": true } }));
    request["inputs"][0]["parameters"] = json!({ "binary_data_size": tensor.len() });
    request["outputs"] = json!([{ "name": "label" }, { "name": "logits", "parameters": { "binary_data": false } }]);
    let json = request.to_string();
    let length = json.len().to_string();
    let body = [json.as_bytes(), &tensor].concat();
    let reply = ask_with(&api, &[("inference-header-content-length", &length)], body.into()).await.unwrap();
    assert_eq!(reply.headers()[header::CONTENT_TYPE], "application/octet-stream");
    let length: usize = reply.headers()["inference-header-content-length"].to_str().unwrap().parse().unwrap();
    let reply = to_bytes(reply.into_body(), usize::MAX).await.unwrap();
    let (json, bytes) = reply.split_at(length);
    let json: Value = serde_json::from_slice(json).unwrap();
    assert_eq!(json["outputs"][0]["parameters"]["binary_data_size"], bytes.len());
    assert!(json["outputs"][0]["data"].is_null());
    assert_eq!(json["outputs"][1]["data"][3], 3.0, "in the order in which they were asked for, each as it was");
    assert_eq!(bytes, b"\x05\0\0\0Dress\x07\0\0\0Sneaker");
}

#[tokio::test]
async fn the_likeliest_classes_are_told_where_they_are_asked_for() {
    let (_bench, api) = bench(of_the_first_number, Limits::default()).await;
    let mut request = batch(json!({}));
    request["inputs"][0]["data"] = json!(two());
    request["outputs"] = json!([{ "name": "logits", "parameters": { "classification": 2 } }]);
    let reply = told(ask(&api, request.to_string().into()).await.unwrap()).await;
    assert_eq!(
        reply["outputs"],
        json!([{
            "name": "logits", "shape": [2, 2], "datatype": "BYTES",
            "data": ["3.000000:3:Dress", "0.000000:0:T-shirt/top", "7.000000:7:Sneaker", "0.000000:0:T-shirt/top"],
        }])
    );
}

#[tokio::test]
async fn a_body_whose_parts_do_not_fit_together_is_told_how() {
    let (_bench, api) = bench(of_the_first_number, Limits::default()).await;
    let tensor = vec![0; 4 * two().len()];
    let json = |change: &dyn Fn(&mut Value)| {
        let mut request = batch(json!({}));
        request["inputs"][0]["parameters"] = json!({ "binary_data_size": tensor.len() });
        change(&mut request);
        request.to_string()
    };
    let good = json(&|_| {});
    let cases = [
        (good.clone(), Some("x"), "which is no number of bytes"),
        (good.clone(), Some("-1"), "which is no number of bytes"),
        (good.clone(), Some("99999999999999999999999"), "which is no number of bytes"),
        (good.clone(), Some("9999999"), "is 9999999, and the body has"),
        (good.clone(), Some("3"), "EOF while parsing"),
        (good.clone(), Some("0"), "EOF while parsing"),
        (good, None, "trailing characters"),
        (json(&|r| r["inputs"][0]["parameters"] = json!({ "binary_data_size": 4 })), Some(""), "is 4; 6272 bytes"),
        (json(&|r| r["inputs"][0]["parameters"] = json!({ "binary_data_size": -4 })), Some(""), "invalid value"),
        (json(&|r| r["inputs"][0]["parameters"] = json!({})), Some(""), "neither data nor a binary_data_size"),
        (json(&|r| r["inputs"][0]["data"] = json!([0])), Some(""), "both data and binary_data_size"),
        (json(&|r| r["inputs"][0]["datatype"] = json!("FP16")), Some(""), "\"FP16\"; FP32 and UINT8"),
        (json(&|r| r["inputs"][0]["shape"] = json!([-1, 1, 28, 28])), Some(""), "a batch has 1 to 64"),
        (json(&|r| r["inputs"][0]["shape"] = json!([1e300])), Some(""), "invalid type: floating point"),
        (json(&|r| r["inputs"][0]["shape"] = json!([u64::MAX])), Some(""), "invalid value"),
        (json(&|r| r["outputs"] = json!([{ "name": "other" }])), Some(""), "this model gives \"logits\" and"),
        (json(&|r| r["outputs"] = json!(vec![json!({ "name": "label" }); 9])), Some(""), "outputs has \"label\" twice"),
        (
            json(&|r| r["inputs"][0]["parameters"] = json!({ "shared_memory_region": "x" })),
            Some(""),
            "in shared memory, which is not taken",
        ),
    ];
    for (json, length, reason) in cases {
        let right = json.len().to_string();
        let length = length.map(|length| if length.is_empty() { right.as_str() } else { length });
        let header = length.map(|length| ("inference-header-content-length", length));
        let body = [json.as_bytes(), &tensor].concat();
        let error = ask_with(&api, header.as_slice(), body.into()).await.unwrap_err();
        let message = error.to_string();
        assert_eq!(error.into_response().status(), StatusCode::BAD_REQUEST, "{message}");
        assert!(message.contains(reason), "{length:?} {json}: {message}");
    }
}

#[tokio::test]
async fn compressed_bodies_and_forms_are_refused_by_name() {
    let (_bench, api) = bench(of_the_first_number, Limits::default()).await;
    for (header, told) in [
        (("content-encoding", "gzip"), "encoded as \"gzip\""),
        (("content-type", "application/x-www-form-urlencoded"), "send JSON"),
    ] {
        let message = ask_with(&api, &[header], image().to_string().into()).await.unwrap_err().to_string();
        assert!(message.contains(told), "{message}");
    }
}

#[tokio::test]
async fn a_refusal_names_the_request_that_it_is_of() {
    fn overloaded(input: &Input) -> Vec<Output> {
        let Input::Request { client, .. } = input else { return Vec::new() };
        let retry_after = Duration::from_millis(1_200);
        vec![Output::Answer { client: *client, result: Err(RequestError::Overloaded { retry_after }) }]
    }
    let (_bench, api) = bench(overloaded, Limits::default()).await;
    let mut body = image();
    body["id"] = json!("mine");
    let reply = ask(&api, body.to_string().into()).await.unwrap();
    assert_eq!(reply.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(reply.headers()[header::RETRY_AFTER], "2");
    assert_eq!(told(reply).await["id"], "mine");
}

#[tokio::test]
async fn a_client_that_goes_away_ends_its_request() {
    let (bench, api) = bench(|_| Vec::new(), Limits::default()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(super::serve(listener, api, std::future::pending()));
    let mut client = TcpStream::connect(address).await.unwrap();
    let body = image().to_string();
    let path = format!("/v2/models/{}/infer", manifest().name);
    let head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len());
    client.write_all(&[head.as_bytes(), body.as_bytes()].concat()).await.unwrap();
    until_seen(&bench, "Request").await;
    drop(client);
    until_seen(&bench, "CancelRequest").await;
    server.abort();
}

/// Returns once the script was given such an input.
async fn until_seen(bench: &Bench, input: &str) {
    let seen = async {
        while !bench.seen().iter().any(|seen| seen.starts_with(input)) {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(30), seen).await.unwrap();
}

#[tokio::test]
async fn every_address_answers_in_json_whatever_is_wrong_with_it() {
    let (_bench, api) = bench(|_| Vec::new(), Limits::default()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(super::serve(listener, api, std::future::pending()));
    for (asked, status) in [
        ("GET /nowhere", 404),
        ("GET /v2/models/..%2f..%2fetc", 404),
        ("GET /v2/models/%ff", 400),
        ("DELETE /v2", 405),
        ("GET /v2/models/fashion-mnist/versions/2", 404),
        ("GET /v2/health/ready", 503),
        ("POST /inference.GRPCInferenceService/ServerLive", 400),
    ] {
        let mut client = TcpStream::connect(address).await.unwrap();
        let request = format!("{asked} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        client.write_all(request.as_bytes()).await.unwrap();
        let mut reply = String::new();
        timeout(Duration::from_secs(30), client.read_to_string(&mut reply)).await.unwrap().unwrap();
        let (head, body) = reply.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{asked}: {head}");
        let body: Value = serde_json::from_str(body).unwrap_or_else(|_| panic!("{asked}: {body:?}"));
        assert!(body["error"].is_string(), "{asked}: {body}");
    }
    server.abort();
}

#[tokio::test]
async fn what_was_asked_is_in_the_statistics() {
    let (_bench, api) = bench(of_the_first_number, Limits::default()).await;
    let mut body = batch(json!({}));
    body["inputs"][0]["data"] = json!(two());
    for _ in 0..3 {
        ask(&api, body.to_string().into()).await.unwrap();
    }
    let statistics = json!(api.statistics.of(&manifest()));
    assert_eq!(statistics["inference_count"], 6);
    assert_eq!(statistics["inference_stats"]["success"]["count"], 3);
    assert_eq!(statistics["inference_stats"]["fail"]["count"], 0);
}

#[tokio::test]
async fn a_tensor_that_holds_what_is_no_finite_number_is_refused_with_what_and_where() {
    let (_bench, api) = bench(|_| Vec::new(), Limits::default()).await;
    for (written, told) in [
        ("NaN", "inputs[0].data[2]: expected value at line 1 column"),
        ("NaN", "NaN is no JSON, and this model takes finite numbers alone"),
        ("Infinity", "Infinity is no JSON"),
        ("-Infinity", "-Infinity is no JSON"),
        ("nan", "nan is no JSON"),
        ("1e39", "number 2, counted from 0, is 1e39, which is no finite FP32"),
        ("1e999", "inputs[0].data[2]: number out of range"),
        ("null", "number 2, counted from 0, is null, which is no number"),
        ("\"NaN\"", "number 2, counted from 0, is \"NaN\", which is no number"),
    ] {
        let body = image().to_string().replacen("0.5,0.5,0.5,", &format!("0.5,0.5,{written},"), 1);
        let error = ask(&api, body.into()).await.unwrap_err();
        let message = error.to_string();
        assert_eq!(error.into_response().status(), StatusCode::BAD_REQUEST, "{written}");
        assert!(message.contains(told), "{written}: {message}");
    }
}

#[tokio::test]
async fn a_body_that_is_no_json_for_another_reason_is_told_so_and_no_more() {
    let (_bench, api) = bench(|_| Vec::new(), Limits::default()).await;
    for body in ["", "{", "[1,", "{\"inputs\": banana}", "\n\n\n"] {
        let message = ask(&api, body.into()).await.unwrap_err().to_string();
        assert!(!message.contains("finite"), "{body:?}: {message}");
    }
}
