//! How messages become bytes.

use serde::{Deserialize, Serialize};

use crate::{deployment, inference, leadership, membership};

/// Everything that nodes tell each other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Message {
    /// Failure detection and gossip.
    Membership(membership::Message),
    /// Claims and plans.
    Leadership(leadership::Message),
    /// Artifacts.
    Deployment(deployment::Message),
    /// Requests and answers.
    Inference(inference::Message),
}
