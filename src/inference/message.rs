//! What coordinators and replicas tell each other.

use serde::{Deserialize, Serialize};

use crate::id::{Digest, Epoch, RequestId};
use crate::time::Duration;

/// A message of the inference protocol. A replica answers for any student it has loaded, whatever its epoch: a partial answer
/// depends only on (student, input).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Message {
    /// Coordinator → replica: run these students. Blob: the input, once for all of them.
    Ask {
        /// The request.
        request: RequestId,
        /// The bundle that the students are of.
        bundle: Digest,
        /// One or more students that the replica holds.
        students: Vec<Digest>,
        /// What is left until the coordinator's deadline; afterwards the answer is of no use.
        remaining: Duration,
    },
    /// Replica → coordinator: one student's answer. Blob: partial logits, one `f32` a class.
    Partial {
        /// The request.
        request: RequestId,
        /// The student.
        student: Digest,
        /// The replica's epoch.
        epoch: Option<Epoch>,
        /// How long the student ran.
        run: Duration,
        /// Runs that a new job would wait for at the replica: its waiting jobs, over its workers.
        queue: u16,
    },
    /// Replica → coordinator: this student's answer will not come.
    Refuse {
        /// The request.
        request: RequestId,
        /// The student.
        student: Digest,
        /// Why.
        reason: Refusal,
    },
    /// Coordinator → replica: drop what is still queued of this request; what runs is not interrupted.
    Cancel {
        /// The request.
        request: RequestId,
    },
}

/// Why a replica does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// The student is not loaded here.
    NotLoaded,
    /// The queue is full.
    Overloaded,
    /// The node is leaving.
    Draining,
    /// The input has the wrong size for the student.
    BadInput,
    /// The student failed to run.
    Failed,
}
