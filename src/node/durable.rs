//! What survives a restart.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::Term;
use crate::leadership::EpochPlan;
use crate::membership::Deployment;

/// The node's durable state, beside its identity and its generation (which the shell raises at each start).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Durable {
    /// The highest term seen.
    pub term: Term,
    /// The plan adopted last.
    #[serde(with = "crate::shared::option")]
    pub plan: Option<Arc<EpochPlan>>,
    /// The deployment adopted last.
    pub desired: Option<Deployment>,
}
