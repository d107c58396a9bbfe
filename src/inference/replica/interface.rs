//! What a replica's queue is told, and what it wants done.

use std::collections::BTreeMap;

use crate::blob::Blob;
use crate::id::{Digest, Epoch, NodeId};
use crate::inference::{Event, Message};
use crate::node::JobId;
use crate::time::Duration;

/// Limits of a replica's queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Jobs that run at once: the shell's worker threads.
    pub workers: usize,
    /// Jobs that wait; one more is refused as [`crate::inference::Refusal::Overloaded`].
    pub queue_max: usize,
    /// Jobs of one coordinator that wait; one more is refused as [`crate::inference::Refusal::Overloaded`], so that one peer cannot take every
    /// place.
    pub queue_per_peer_max: usize,
}

impl Default for Config {
    /// One worker. The places: more than 128 jobs of some 20 ms would outwait the usual deadline of 2 s.
    fn default() -> Self {
        Self { workers: 1, queue_max: 256, queue_per_peer_max: 128 }
    }
}

/// What the queue is told.
#[derive(Debug, Clone)]
pub enum Input {
    /// [`Message::Ask`] or [`Message::Cancel`].
    Message {
        /// The authenticated sender, or this node itself.
        from: NodeId,
        /// Its header.
        message: Message,
        /// Its bytes.
        blob: Blob,
    },
    /// [`Output::Run`] is finished.
    JobDone {
        /// Which.
        job: JobId,
        /// The partial logits, or what went wrong, for people.
        result: Result<Blob, String>,
        /// How long the student ran.
        run: Duration,
    },
    /// What is loaded from now on; what waits for another student is refused.
    Ready {
        /// The epoch of this node's plan, told with every answer.
        epoch: Option<Epoch>,
        /// The students, each with the floats that one input has.
        students: BTreeMap<Digest, usize>,
    },
    /// Take no new jobs, finish the rest: then [`super::ReplicaQueue::is_drained`].
    Drain,
}

/// What the queue wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Run a loaded student on a worker; confirmed by [`Input::JobDone`].
    Run {
        /// Named in the confirmation.
        job: JobId,
        /// Which.
        student: Digest,
        /// Little-endian `f32`, as many as the student takes.
        input: Blob,
    },
    /// Send a message; to this node itself too.
    Send {
        /// To whom.
        to: NodeId,
        /// Its header.
        message: Message,
        /// Its bytes.
        blob: Blob,
    },
    /// Something that people and metrics want to know.
    Event(Event),
}

/// What was dropped or ignored since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Jobs whose deadline passed while they waited.
    pub expired: u64,
    /// Jobs that were taken back while they waited or ran.
    pub cancelled: u64,
    /// Jobs that were asked for again while they waited or ran.
    pub repeated: u64,
    /// Jobs that were refused, for any reason but a failed run.
    pub refused: u64,
    /// Messages of a kind that no replica takes, too long ones, and those about another node's request.
    pub unexpected: u64,
}
