//! What a client asks, and what it gets.

use serde::{Deserialize, Serialize};

use super::Mode;
use crate::blob::Blob;
use crate::id::{Digest, Epoch, NodeId, PartId};
use crate::time::Duration;

/// One image to classify.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The image: little-endian `f32`, row-major, as the bundle's manifest shapes it.
    pub input: Blob,
    /// From now; at the latest then there is an answer or an error.
    pub deadline: Duration,
    /// With fewer parts than this there is no answer but an error; at least 1.
    pub min_parts: usize,
    /// How the replicas are asked; `None`: as the node was told, see [`super::coordinator::Config::mode`].
    pub mode: Option<Mode>,
}

/// The merged answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Bias plus the partial logits of `parts`, summed in part order; one a class.
    pub logits: Vec<f32>,
    /// The bundle that all parts are from.
    pub bundle: Digest,
    /// The coordinator's epoch when the answer was merged; `None` before a first plan.
    pub epoch: Option<Epoch>,
    /// The parts used, in part order.
    pub parts: Vec<PartAnswer>,
    /// The parts that are lacking, in part order; the answer is degraded if there are any.
    pub missing: Vec<PartId>,
    /// How the replicas were asked.
    pub mode: Mode,
    /// Replicas that were asked, over all parts; one that was asked twice counts twice.
    pub asked: u32,
    /// Of those, the ones that mode `hedged` asked because others were overdue, lost or had refused.
    pub hedges: u32,
    /// The parts, in part order, for which at least two replicas of one student agree and no half of them differs. Mode `verify` alone.
    pub verified: Vec<PartId>,
    /// Whose answers differed from others of the same student, in part order. Mode `verify` alone.
    pub disagreements: Vec<Disagreement>,
    /// Every try at the bundle's parts, by replica; of one that was asked twice for a part, the second.
    pub tries: Vec<Try>,
}

/// One replica's try at one part, whether its answer was used or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Try {
    /// The part.
    pub part: PartId,
    /// Who was asked.
    pub replica: NodeId,
    /// From the request to when it was asked.
    pub asked: Duration,
    /// From the request to its end; `None` where it has none.
    pub ended: Option<Duration>,
    /// What became of it.
    pub fate: Fate,
}

/// What became of a replica's try at a part, by the time of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It was still being waited for.
    Open,
    /// It answered; used or too late.
    Answered,
    /// It refused, failed, or its answer was unusable.
    Failed,
    /// Its link broke, or it was not routed to any more.
    Lost,
    /// Its answer was not needed any more, and it was told so.
    Cancelled,
}

/// A replica whose answer differed from others of the same student to the same input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disagreement {
    /// The part.
    pub part: PartId,
    /// Whose answer.
    pub replica: NodeId,
    /// Whether a majority of at least three replicas said something else; if not, nobody knows which answer is right.
    pub outvoted: bool,
}

impl Answer {
    /// Whether at least one part is lacking.
    pub fn is_degraded(&self) -> bool {
        !self.missing.is_empty()
    }
}

/// Where one part of an answer is from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PartAnswer {
    /// The part.
    pub part: PartId,
    /// The student that answered.
    pub student: Digest,
    /// The replica that was first.
    pub replica: NodeId,
    /// From the request to this part's answer, as the coordinator saw it.
    pub after: Duration,
    /// How long the student ran on the replica.
    pub run: Duration,
}

/// Why there is no answer. The request is over: nothing of it goes on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The input does not fit the model.
    #[error("bad input: {0}")]
    BadInput(String),
    /// Nothing is deployed, or the plan is not there yet.
    #[error("no bundle is being served yet; deploy one with `rocoin deploy`, or wait until the mesh is ready")]
    NotServing,
    /// Too few parts have a replica.
    #[error("only {served} of at least {min_parts} parts have a replica that answers")]
    NoReplica {
        /// Parts that were answered.
        served: usize,
        /// What the request asked for.
        min_parts: usize,
    },
    /// Too many requests are open.
    #[error("overloaded: try again in {} ms", retry_after.as_millis())]
    Overloaded {
        /// When a new try makes sense.
        retry_after: Duration,
    },
    /// The deadline passed with too few parts.
    #[error("the deadline passed with {served} of at least {min_parts} parts")]
    Deadline {
        /// Parts that were answered.
        served: usize,
        /// What the request asked for.
        min_parts: usize,
    },
    /// The node is leaving and takes no new requests.
    #[error("this node is draining; ask another one")]
    Draining,
}
