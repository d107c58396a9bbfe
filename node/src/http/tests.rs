//! The handlers, with a script in the core's place.

mod watching;

use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::IntoResponse as _;
use futures::channel::mpsc;
use futures::stream;
use rocoin::bundle::Manifest;
use rocoin::id::Digest;
use rocoin::inference::{Answer, Mode};
use rocoin::node::{Input, Output};
use serde_json::{Value, json};

use super::{Api, HttpError, InferResponse, Limits, bundles, infer};
use crate::actor::tests::{Bench, React, bench_with};
use crate::network::NetworkCounters;

const MANIFEST: &[u8] = include_bytes!("../../../models/bundles/fashion-mnist/manifest.json");

/// The bundle that is served when a request comes in, and one with its labels in another order.
const SERVED: Digest = Digest([1; 32]);
const NEXT: Digest = Digest([2; 32]);

fn manifest() -> Manifest {
    Manifest::parse(MANIFEST).unwrap()
}

async fn bench(react: React, limits: Limits) -> (Bench, Api) {
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
    };
    (bench, api)
}

async fn ask(api: &Api, body: Body) -> Result<Json<InferResponse>, HttpError> {
    let headers = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    infer::infer(State(api.clone()), Path(manifest().name), HeaderMap::from_iter(headers), body).await
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

#[tokio::test]
async fn inference_bodies_beyond_the_bound_are_asked_to_come_back() {
    let (_bench, api) = bench(|_| Vec::new(), Limits::new(1, 300)).await;
    {
        let first = ask(&api, stalled());
        tokio::pin!(first);
        assert!(futures::poll!(first.as_mut()).is_pending());
        assert!(is_busy(ask(&api, stalled()).await.unwrap_err()), "one of unknown length takes some 160 KiB");
    }
    let again = ask(&api, stalled());
    tokio::pin!(again);
    assert!(futures::poll!(again.as_mut()).is_pending(), "its place is free again");
}

#[tokio::test]
async fn an_inference_body_is_no_larger_than_the_models_input_can_need() {
    let (_bench, api) = bench(|_| Vec::new(), Limits::default()).await;
    let mut body = image();
    body["id"] = json!("x".repeat(1 << 20));
    let error = ask(&api, body.to_string().into()).await.unwrap_err();
    assert_eq!(error.into_response().status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn labels_and_version_are_those_of_the_bundle_that_answered() {
    fn answer_from_the_next(input: &Input) -> Vec<Output> {
        let Input::Request { client, .. } = input else { return Vec::new() };
        let mut logits = vec![0.0; manifest().classes];
        logits[0] = 1.0;
        let answer = Answer {
            logits,
            bundle: NEXT,
            epoch: None,
            parts: Vec::new(),
            missing: Vec::new(),
            mode: Mode::All,
            asked: 0,
            hedges: 0,
            verified: Vec::new(),
            disagreements: Vec::new(),
            tries: Vec::new(),
        };
        vec![Output::Answer { client: *client, result: Ok(answer) }]
    }
    let (_bench, api) = bench(answer_from_the_next, Limits::default()).await;
    let Json(reply) = ask(&api, image().to_string().into()).await.unwrap();
    assert_eq!(reply.model_version, "next");
    assert_eq!(reply.outputs[1].data, json!([manifest().labels.last()]));
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
        ("1e39", "number 2, counted from 0, is 1e+39, which is no finite FP32"),
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
