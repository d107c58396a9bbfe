//! What people and metrics want to know of requests.

use super::{Answer, RequestError};
use crate::id::{Digest, NodeId, PartId, RequestId};
use crate::time::Duration;

/// Something that happened to a request or to a student.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A client's request is over; every request has exactly one of these.
    Finished {
        /// The request; `None` if it was refused at once.
        request: Option<RequestId>,
        /// How it went.
        outcome: Outcome,
        /// From the request to its end.
        took: Duration,
    },
    /// The replicas asked for a part have failed, and another one was asked.
    Failover {
        /// The request.
        request: RequestId,
        /// The part.
        part: PartId,
        /// Who was asked instead.
        to: NodeId,
        /// How the last of those asked before was lost.
        loss: Loss,
    },
    /// In mode `verify` a replica answered otherwise than others with the same student; told once a minute of each replica.
    Disagreed {
        /// The request.
        request: RequestId,
        /// The part.
        part: PartId,
        /// Whose answer.
        replica: NodeId,
        /// Whether a majority of at least three said something else.
        outvoted: bool,
    },
    /// A student of this node failed to run.
    StudentFailed {
        /// Which.
        student: Digest,
        /// What went wrong, for people.
        reason: String,
    },
}

/// How a replica that was asked ceased to be expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Loss {
    /// The last connection to it is gone, or it is under suspicion.
    Link,
    /// It is not routed to any more.
    Routing,
    /// It refused.
    Refusal,
    /// Its answer was unusable.
    BadAnswer,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// Answered with every part.
    Complete,
    /// Answered without some part.
    Degraded,
    /// The client went away.
    Cancelled,
    /// [`super::RequestError::BadInput`].
    BadInput,
    /// [`super::RequestError::NotServing`].
    NotServing,
    /// [`super::RequestError::NoReplica`].
    NoReplica,
    /// [`super::RequestError::Overloaded`].
    Overloaded,
    /// [`super::RequestError::Deadline`].
    Deadline,
    /// [`super::RequestError::Draining`].
    Draining,
}

impl Outcome {
    /// How a request with this result ended.
    pub fn of(result: &Result<Answer, RequestError>) -> Self {
        match result {
            Ok(answer) if answer.is_degraded() => Self::Degraded,
            Ok(_) => Self::Complete,
            Err(RequestError::BadInput(_)) => Self::BadInput,
            Err(RequestError::NotServing) => Self::NotServing,
            Err(RequestError::NoReplica { .. }) => Self::NoReplica,
            Err(RequestError::Overloaded { .. }) => Self::Overloaded,
            Err(RequestError::Deadline { .. }) => Self::Deadline,
            Err(RequestError::Draining) => Self::Draining,
        }
    }
}
