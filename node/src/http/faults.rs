//! `POST /api/faults`, only on nodes started with `--fault-injection` and only from this machine: which peers are blocked or
//! slow, and whether its students lie, from now on. Every call states the whole of it; `{}` heals.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use rocoin::id::NodeId;
use serde::Deserialize;

use super::{Api, HttpError};
use crate::network::{Direction, Faults};

/// Everything that is to be wrong with this node.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Wrongs {
    block: BTreeMap<NodeId, Direction>,
    slow_ms: BTreeMap<NodeId, u64>,
    lie: bool,
}

pub(super) async fn set(
    State(api): State<Api>,
    body: Result<Json<Wrongs>, JsonRejection>,
) -> Result<StatusCode, HttpError> {
    let Json(Wrongs { block, slow_ms, lie }) = body?;
    if let Some(switch) = &api.faults {
        switch.set(Faults { block, slow_ms });
    }
    if let Some(switch) = &api.lies {
        switch.set(lie);
    }
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_object_heals_and_a_misspelt_fault_is_refused() {
        assert_eq!(serde_json::from_str::<Wrongs>("{}").unwrap(), Wrongs::default());
        assert!(serde_json::from_str::<Wrongs>(r#"{"lies": true}"#).is_err());
        assert!(serde_json::from_str::<Wrongs>(r#"{"lie": true}"#).unwrap().lie);
    }
}
