//! What a coordinator is told, and what it wants done.

use crate::blob::Blob;
use crate::bugs::Bugs;
use crate::id::NodeId;
use crate::inference::{Answer, Event, Message, Mode, Request, RequestError, Routing};
use crate::node::ClientId;
use crate::time::Duration;

/// Limits of a coordinator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Requests open at once; one more is refused as [`RequestError::Overloaded`]. Each holds its input until it ends.
    pub open_requests_max: usize,
    /// The longest deadline that a client may set; a longer one is refused as [`RequestError::BadInput`].
    pub deadline_max: Duration,
    /// How replicas are asked where a request does not say.
    pub mode: Mode,
    /// Known bugs that are switched on.
    pub bugs: Bugs,
}

impl Default for Config {
    fn default() -> Self {
        let (mode, bugs) = Default::default();
        Self { open_requests_max: 64, deadline_max: Duration::from_secs(60), mode, bugs }
    }
}

/// What the coordinator is told.
#[derive(Debug, Clone)]
pub enum Input {
    /// A client asks; ends in exactly one [`Output::Answer`], unless it is cancelled.
    Request {
        /// The shell's tag; none that is still open.
        client: ClientId,
        /// What it asks.
        request: Request,
    },
    /// The client went away: no answer is wanted. Nothing happens if the request is over.
    CancelRequest {
        /// The shell's tag.
        client: ClientId,
    },
    /// [`Message::Partial`] or [`Message::Refuse`].
    Message {
        /// The authenticated sender.
        from: NodeId,
        /// Its header.
        message: Message,
        /// Its bytes.
        blob: Blob,
    },
    /// Whom to ask from now on. Open requests of the same bundle follow it; those of another go on with their own as long as that
    /// can be completed, and begin anew on this one if not.
    Routing(Routing),
    /// The last connection to the peer is gone, or it is under suspicion: what it was asked may be lost.
    Lost {
        /// Who.
        peer: NodeId,
    },
    /// The member is not known any more: what was seen of it is forgotten.
    Gone {
        /// Who.
        peer: NodeId,
    },
    /// Take no new requests, finish the open ones: then [`super::Coordinator::is_drained`].
    Drain,
}

/// What the coordinator wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Send a message; to this node itself too.
    Send {
        /// To whom.
        to: NodeId,
        /// Its header.
        message: Message,
        /// Its bytes.
        blob: Blob,
    },
    /// The one outcome of a client's request.
    Answer {
        /// The shell's tag.
        client: ClientId,
        /// The answer, or why there is none.
        result: Result<Answer, RequestError>,
    },
    /// Evidence for the failure detector; no verdict.
    ReplicaFailed {
        /// Who.
        peer: NodeId,
        /// What it did.
        reason: FailureReason,
    },
    /// Something that people and metrics want to know.
    Event(Event),
}

/// What speaks against a replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FailureReason {
    /// It was asked and did not answer before the deadline, which was not a short one.
    Silent,
    /// Its logits had the wrong length, or one was not a number of sensible size.
    BadAnswer,
    /// It said that its student failed to run.
    StudentFailed,
    /// A majority of the replicas with the same student answered otherwise. It answers, so that this says nothing of whether it is alive.
    Outvoted,
}

/// What was ignored or worked around since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Answers and refusals of requests, or of parts, that were over.
    pub late: u64,
    /// Requests begun anew on another bundle.
    pub restarts: u64,
    /// Messages of a kind that no coordinator takes.
    pub unexpected: u64,
    /// Answers that were refused for their content.
    pub bad_answers: u64,
    /// Parts asked of another replica because those asked before had failed.
    pub failovers: u64,
    /// Replicas that mode `hedged` asked because others were overdue, lost or had refused.
    pub hedges: u64,
    /// Answers that a majority of the same student's contradicted.
    pub outvoted: u64,
    /// Answers that differed from others of the same student without a majority for either.
    pub disputed: u64,
}
