//! The HTTP interface of a node: inference after the Open Inference Protocol (JSON tensors), health, status, events, metrics, the
//! dashboard, bundles and, where it is switched on, faults.
//!
//! Bounds: connections, and how long one may be idle; how many follow the events; a body's bytes (beyond them the answer is 413), how
//! many bodies are taken at once ([`Limits`]; 503), and how long a client may be silent while it sends one (408).

mod body;
mod bundles;
mod connections;
mod dashboard;
mod error;
mod faults;
pub(crate) mod infer;
mod limits;
mod metrics;
mod model;
mod stream;
mod token;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::middleware;
use axum::routing::{get, post};
use axum::{Json, Router};
use rocoin::node::NodeSnapshot;
use tokio::net::TcpListener;

pub use self::error::HttpError;
pub use self::infer::{InferRequest, InferResponse, InputTensor, OutputTensor};
pub use self::limits::Limits;
use crate::actor::NodeHandle;
use crate::network::{FaultSwitch, NetworkCounters};
use crate::store::Store;
use crate::workers::LieSwitch;

/// What the handlers work with.
#[derive(Debug, Clone)]
pub struct Api {
    /// The node actor.
    pub node: NodeHandle,
    /// Where a deployed bundle's artifacts go.
    pub store: Arc<Store>,
    /// What goes over its links.
    pub network: NetworkCounters,
    /// Present if the node was started with `--fault-injection`.
    pub faults: Option<FaultSwitch>,
    /// The same for its students.
    pub lies: Option<LieSwitch>,
    /// Asked for in every request, if there is one.
    pub token: Option<String>,
    /// How much it takes at once.
    pub limits: Limits,
}

/// Serves until `stop` resolves; then finishes the requests in flight.
///
/// # Errors
/// If the listener fails.
pub async fn serve(
    listener: TcpListener,
    api: Api,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    axum::serve(connections::Bounded::new(listener), router(api)).with_graceful_shutdown(stop).await
}

fn router(api: Api) -> Router {
    let mut routes = Router::new()
        .route("/v2", get(model::server))
        .route("/v2/health/live", get(live))
        .route("/v2/health/ready", get(ready))
        .route("/v2/models/{model}", get(model::metadata))
        .route("/v2/models/{model}/ready", get(model::ready))
        .route("/v2/models/{model}/infer", post(infer::infer))
        .route_layer(middleware::from_fn_with_state(api.clone(), metrics::count))
        .route("/api/status", get(status))
        .route("/api/events", get(stream::follow))
        .route("/api/model", get(dashboard::model))
        .route("/metrics", get(metrics::page))
        .route("/api/bundles", post(bundles::deploy));
    if api.faults.is_some() {
        routes = routes.route("/api/faults", post(faults::set));
    }
    let demand = middleware::from_fn_with_state(api.clone(), token::demand);
    // What the dashboard consists of is no secret; what it shows is fetched with the token.
    routes.layer(demand).merge(dashboard::routes()).with_state(api)
}

async fn live() -> StatusCode {
    StatusCode::OK
}

/// Ready means that every part of a bundle has a replica that this node reaches.
async fn ready(State(api): State<Api>) -> Result<StatusCode, HttpError> {
    let snapshot = api.node.snapshot().await?;
    if snapshot.draining || snapshot.parts.is_empty() || snapshot.parts_served < snapshot.parts.len() {
        return Err(HttpError::NotReady { served: snapshot.parts_served, parts: snapshot.parts.len() });
    }
    Ok(StatusCode::OK)
}

async fn status(State(api): State<Api>) -> Result<Json<NodeSnapshot>, HttpError> {
    Ok(Json(snapshot(&api).await?))
}

/// What the node knows, with what went over its links.
async fn snapshot(api: &Api) -> Result<NodeSnapshot, HttpError> {
    let mut snapshot = api.node.snapshot().await?;
    snapshot.counters.extend(api.network.told());
    Ok(snapshot)
}
