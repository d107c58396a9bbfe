//! Whom a coordinator may ask.

use crate::id::{Digest, Epoch, NodeId};
use crate::time::Duration;

/// What is served now, and the replicas that are ready and not under suspicion. A new one replaces the old.
#[derive(Debug, Clone, PartialEq)]
pub struct Routing {
    /// The bundle that every student below is of.
    pub bundle: Digest,
    /// The epoch of the node's plan.
    pub epoch: Option<Epoch>,
    /// Floats in one input.
    pub input_elements: usize,
    /// The merge rule's bias, one a class: its length is the length of every vector of logits.
    pub bias: Vec<f32>,
    /// Per part of the bundle, in part order: who may be asked, best first; none while the part has no replica.
    pub parts: Vec<Vec<Route>>,
}

/// One replica of one part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// Who holds it; this node itself is allowed.
    pub replica: NodeId,
    /// With which student.
    pub student: Digest,
    /// How long an answer takes by the cost model, from what the replica says of itself: a guess until it has answered.
    pub expected: Duration,
}
