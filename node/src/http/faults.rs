//! `POST /api/faults`, only on nodes started with `--fault-injection` and only from this machine: which peers are blocked or
//! slow from now on. Every call states the whole of it; `{}` heals.

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;

use super::{Api, HttpError};
use crate::network::Faults;

pub(super) async fn set(
    State(api): State<Api>,
    body: Result<Json<Faults>, JsonRejection>,
) -> Result<StatusCode, HttpError> {
    let Json(faults) = body?;
    if let Some(switch) = &api.faults {
        switch.set(faults);
    }
    Ok(StatusCode::NO_CONTENT)
}
