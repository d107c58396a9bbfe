//! The HTTP interface of a node: inference after the Open Inference Protocol, status, events, metrics, the dashboard, bundles and, where
//! it is switched on, faults.
//!
//! Bounds: connections, those of one address, and how long one may be idle; how many follow the events; a body's bytes (beyond them the answer is 413), how
//! many bodies are taken at once ([`Limits`]; 503), and how long a client may be silent while it sends one (408).

mod body;
mod bundles;
mod connections;
mod dashboard;
mod error;
mod faults;
pub(crate) mod grpc;
pub(crate) mod infer;
mod limits;
mod metrics;
mod model;
mod oip;
mod openapi;
mod per_address;
mod serve;
mod stream;
mod token;

#[cfg(test)]
pub(crate) mod tests;

use std::sync::Arc;

use axum::extract::State;
use axum::middleware;
use axum::routing::{get, post};
use axum::{Json, Router};
use rocoin::node::NodeSnapshot;
use tokio::net::TcpListener;

pub(crate) use self::bundles::BUNDLE_BYTES_MAX;
pub use self::error::HttpError;
pub use self::limits::Limits;
pub use self::oip::Statistics;
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
    /// How often its models were asked.
    pub statistics: Statistics,
}

/// Serves until `stop` resolves; then finishes the requests in flight.
pub async fn serve(listener: TcpListener, api: Api, stop: impl Future<Output = ()>) {
    serve::serve(connections::Bounded::new(listener), router(api), stop).await;
}

fn router(api: Api) -> Router {
    let mut routes = open_inference()
        .route_layer(middleware::from_fn_with_state(api.clone(), metrics::count))
        .route("/api/status", get(status))
        .route("/api/events", get(stream::follow))
        .route("/api/model", get(dashboard::model))
        .route("/metrics", get(metrics::page))
        .route("/api/bundles", post(bundles::deploy));
    if api.faults.is_some() {
        routes = routes.route("/api/faults", post(faults::set));
    }
    let routes =
        routes.fallback(async || HttpError::NoSuchPath).method_not_allowed_fallback(async || HttpError::NoSuchMethod);
    let demand = middleware::from_fn_with_state(api.clone(), token::demand);
    // What the dashboard consists of is no secret; what it shows is fetched with the token.
    routes.layer(demand).merge(dashboard::routes()).with_state(api)
}

/// What the Open Inference Protocol has, of the version that is served and of a version that is named.
fn open_inference() -> Router<Api> {
    let mut routes = Router::new()
        .route("/openapi.json", get(openapi::description))
        .route("/v2", get(model::server))
        .route("/v2/health/live", get(model::live))
        .route("/v2/health/ready", get(model::server_ready))
        .route("/v2/models/stats", get(model::all_statistics))
        .route("/v2/repository/index", post(model::index))
        .route(grpc::PATH, post(grpc::call));
    for model in ["/v2/models/{model}", "/v2/models/{model}/versions/{version}"] {
        routes = routes
            .route(model, get(model::metadata))
            .route(&format!("{model}/ready"), get(model::ready))
            .route(&format!("{model}/config"), get(model::config))
            .route(&format!("{model}/stats"), get(model::statistics))
            .route(&format!("{model}/infer"), post(infer::infer));
    }
    routes
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
