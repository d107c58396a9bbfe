//! `ModelStreamInfer`: one request after the other on one call, each answered before the next is read.

use std::future::{Ready, ready};

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use futures::stream::{self, BoxStream, StreamExt as _};
use tokio::sync::OwnedSemaphorePermit;
use tonic::server::{Grpc, StreamingService};
use tonic::{Status, Streaming};

use super::codec::InferCodec;
use super::infer::{Call, message_bytes_max};
use super::status::status;
use crate::http::Api;
use crate::http::oip::messages::{ModelInferRequest, ModelInferResponse, ModelStreamInferResponse};

/// Answers a stream while there is room for it. A request that is refused is told so, and the stream goes on.
pub(super) async fn serve(api: Api, request: Request) -> Result<Response, Status> {
    let call = Call::new(request.headers())?;
    let room = api.limits.stream().map_err(|error| status(&error))?;
    let most = message_bytes_max(&api).await.map_err(|error| status(&error))?;
    let mut grpc = Grpc::new(InferCodec::default()).max_decoding_message_size(most);
    let answering = Answering(Some(Open { api, call, _room: room }));
    Ok(grpc.streaming(answering, request).await.map(Body::new))
}

struct Open {
    api: Api,
    call: Call,
    _room: OwnedSemaphorePermit,
}

impl Open {
    async fn answer(&self, request: &ModelInferRequest) -> ModelStreamInferResponse {
        let (error_message, response) = match self.call.answer(&self.api, request).await {
            Ok(response) => (String::new(), response),
            Err(error) => {
                (error.to_string(), ModelInferResponse { id: request.id.clone(), ..ModelInferResponse::default() })
            }
        };
        ModelStreamInferResponse { error_message, infer_response: Some(response) }
    }
}

/// Taken by its one call.
struct Answering(Option<Open>);

impl StreamingService<ModelInferRequest> for Answering {
    type Response = ModelStreamInferResponse;
    type ResponseStream = BoxStream<'static, Result<ModelStreamInferResponse, Status>>;
    type Future = Ready<Result<tonic::Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: tonic::Request<Streaming<ModelInferRequest>>) -> Self::Future {
        let Some(open) = self.0.take() else { return ready(Err(Status::internal("a stream was answered twice"))) };
        let answers = stream::unfold((open, request.into_inner()), |(open, mut requests)| async {
            let answer = match requests.message().await {
                Ok(Some(request)) => Ok(open.answer(&request).await),
                Ok(None) => return None,
                Err(broken) => Err(broken),
            };
            Some((answer, (open, requests)))
        });
        ready(Ok(tonic::Response::new(answers.boxed())))
    }
}
