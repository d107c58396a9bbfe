//! A call with one message in and one out.

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use futures::future::{MapErr, MapOk, TryFutureExt as _};
use tonic::Status;
use tonic::codec::Codec;
use tonic::server::{Grpc, UnaryService};

use super::status::status;
use crate::http::body::Incoming;
use crate::http::{Api, HttpError};

/// Bytes before a message: whether it is compressed, and its length.
const PREFIX_BYTES: usize = 5;

/// Reads a message of at most `most` bytes if there is room for it until it is answered, and sends what `answer` says to it.
pub(super) async fn unary<C, F>(
    api: &Api,
    request: Request,
    (codec, most): (C, usize),
    answer: impl Fn(C::Decode) -> F + Send,
) -> Result<Response, Status>
where
    C: Codec,
    F: Future<Output = Result<C::Encode, HttpError>> + Send,
{
    let (head, body) = request.into_parts();
    let mut room = api.limits.infer(0).map_err(|error| status(&error))?;
    let message = Incoming::new(body, most + PREFIX_BYTES).collect(&mut room).await.map_err(|error| status(&error))?;
    let request = Request::from_parts(head, Body::from(message));
    let mut grpc = Grpc::new(codec).max_decoding_message_size(most);
    Ok(grpc.unary(Answer(answer), request).await.map(Body::new))
}

fn refused(error: HttpError) -> Status {
    status(&error)
}

struct Answer<W>(W);

impl<W, Q, A, F> UnaryService<Q> for Answer<W>
where
    W: Fn(Q) -> F,
    F: Future<Output = Result<A, HttpError>>,
{
    type Response = A;
    type Future = MapErr<MapOk<F, fn(A) -> tonic::Response<A>>, fn(HttpError) -> Status>;

    fn call(&mut self, request: tonic::Request<Q>) -> Self::Future {
        let answer = (self.0)(request.into_inner());
        answer.map_ok(tonic::Response::new as fn(A) -> _).map_err(refused as fn(HttpError) -> _)
    }
}
