//! `inference.GRPCInferenceService`: the Open Inference Protocol over gRPC. gRPC is HTTP/2, so that its calls come in at the same port as
//! all others, as `POST /inference.GRPCInferenceService/{method}`.
//!
//! Bounds: a message's bytes (`RESOURCE_EXHAUSTED`), how many are being read at once, and how long a client may be silent while it sends
//! one; streams at once ([`super::Limits`]). A call that its client cancels ends at once.

mod codec;
mod convert;
mod infer;
mod status;
mod stream;
mod timeout;
mod unary;

#[cfg(test)]
mod tests;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::header;
use axum::response::Response;
use prost::Message;
use tonic::Status;
use tonic_prost::ProstCodec;

use self::codec::InferCodec;
use self::infer::Call;
pub(crate) use self::infer::decode;
use self::status::status;
use self::unary::unary;
use super::oip::messages::{
    ModelConfigResponse, ModelInferRequest, ModelRequest, ModelStatisticsResponse, Nothing, ReadyResponse,
    RepositoryIndexRequest, RepositoryIndexResponse, ServerLiveResponse,
};
use super::oip::{self, ModelName};
use super::{Api, HttpError};

/// Where the service's methods are.
pub(super) const PATH: &str = "/inference.GRPCInferenceService/{method}";
/// Bytes of a message that holds no tensor.
const BYTES_MAX: usize = 4 << 10;

/// Answers one call.
pub(super) async fn call(
    State(api): State<Api>,
    method: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, HttpError> {
    let Path(method) = method?;
    let content_type = request.headers().get(header::CONTENT_TYPE);
    if !content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc")) {
        return Err(HttpError::BadRequest(
            "this address takes gRPC alone, `Content-Type: application/grpc`".to_owned(),
        ));
    }
    let answered = match method.as_str() {
        "ModelInfer" => infer(&api, request).await,
        "ModelStreamInfer" => stream::serve(api, request).await,
        _ => describe(&api, &method, request).await,
    };
    Ok(answered.unwrap_or_else(Status::into_http))
}

async fn infer(api: &Api, request: Request<Body>) -> Result<Response, Status> {
    let call = Call::new(request.headers())?;
    let most = infer::message_bytes_max(api).await.map_err(|error| status(&error))?;
    unary(api, request, (InferCodec::default(), most), async |message: ModelInferRequest| {
        call.answer(api, &message).await
    })
    .await
}

async fn describe(api: &Api, method: &str, request: Request<Body>) -> Result<Response, Status> {
    let named = async |ModelRequest { name, version }| oip::served(api, ModelName::new(name, version)).await;
    match method {
        "ServerLive" => small(api, request, async |Nothing {}| Ok(ServerLiveResponse { live: true })).await,
        "ServerReady" => small(api, request, async |Nothing {}| readiness(oip::ready(api).await)).await,
        "ModelReady" => {
            let ready = async |model| {
                named(model).await?;
                readiness(oip::ready(api).await)
            };
            small(api, request, ready).await
        }
        "ServerMetadata" => small(api, request, async |Nothing {}| Ok(oip::server())).await,
        "ModelMetadata" => small(api, request, async |model| Ok(named(model).await?.metadata())).await,
        "ModelConfig" => {
            let config = async |model| Ok(ModelConfigResponse { config: Some(named(model).await?.config()) });
            small(api, request, config).await
        }
        "ModelStatistics" => {
            let statistics = async |model: ModelRequest| {
                let served = match model.name.as_str() {
                    "" => api.node.serving().await?,
                    _ => Some(named(model).await?.manifest),
                };
                let model_stats = served.iter().map(|manifest| api.statistics.of(manifest)).collect();
                Ok(ModelStatisticsResponse { model_stats })
            };
            small(api, request, statistics).await
        }
        "RepositoryIndex" => {
            let index = async |asked: RepositoryIndexRequest| {
                Ok(RepositoryIndexResponse { models: oip::index(api, asked.ready).await? })
            };
            small(api, request, index).await
        }
        other => Err(Status::unimplemented(format!("this server has no method {other:?}"))),
    }
}

/// A call whose message holds no tensor.
async fn small<Q, A, F>(api: &Api, request: Request<Body>, answer: impl Fn(Q) -> F + Send) -> Result<Response, Status>
where
    Q: Message + Default + 'static,
    A: Message + Default + 'static,
    F: Future<Output = Result<A, HttpError>> + Send,
{
    unary(api, request, (ProstCodec::<A, Q>::default(), BYTES_MAX), answer).await
}

fn readiness(ready: Result<(), HttpError>) -> Result<ReadyResponse, HttpError> {
    match ready {
        Ok(()) => Ok(ReadyResponse { ready: true }),
        Err(HttpError::NotReady { .. }) => Ok(ReadyResponse { ready: false }),
        Err(error) => Err(error),
    }
}
