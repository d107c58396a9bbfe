//! What the node wants done.

use super::{ClientId, Durable, Event, JobId, WriteId};
use crate::blob::Blob;
use crate::id::{Digest, NodeId};
use crate::inference::{Answer, RequestError};
use crate::wire::Message;

/// Which of a peer's streams a message takes; they do not wait for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// Membership, claims, plans: small; dropped rather than queued when the stream is full.
    Control,
    /// Requests and answers.
    Inference,
    /// Chunks of artifacts.
    Bulk,
}

/// What the shell is to do.
#[derive(Debug, Clone)]
pub enum Output {
    /// Send a message; best effort. Never to the node itself.
    Send {
        /// To whom.
        to: NodeId,
        /// Its header.
        message: Message,
        /// Its bytes.
        blob: Blob,
    },
    /// Connect to a member that was heard of; best effort.
    Dial {
        /// Whom.
        peer: NodeId,
        /// Where, as multiaddr text.
        addresses: Vec<String>,
    },
    /// Run a loaded student on a worker.
    Run {
        /// Named in [`super::Input::JobDone`].
        job: JobId,
        /// Which.
        student: Digest,
        /// Little-endian `f32`.
        input: Blob,
    },
    /// Load a held student and warm it up.
    Load {
        /// Which.
        student: Digest,
    },
    /// Free a loaded student.
    Unload {
        /// Which.
        student: Digest,
    },
    /// Write an artifact to the store; its bytes have been verified.
    Store {
        /// Its digest.
        artifact: Digest,
        /// Its bytes.
        bytes: Blob,
    },
    /// Delete an artifact from the store; best effort.
    Discard {
        /// Its digest.
        artifact: Digest,
    },
    /// Read a piece of a held artifact.
    ReadChunk {
        /// For whom.
        to: NodeId,
        /// Which.
        artifact: Digest,
        /// From this byte on.
        offset: u64,
        /// At most this many bytes.
        length: u32,
    },
    /// Write the durable state, synced, and confirm with [`super::Input::Persisted`].
    Persist {
        /// Named in the confirmation. A later write contains all of an earlier one.
        write: WriteId,
        /// What.
        durable: Durable,
    },
    /// The one outcome of a client's request.
    Answer {
        /// The shell's tag.
        client: ClientId,
        /// The answer, or why there is none.
        result: Result<Answer, RequestError>,
    },
    /// The peer broke the protocol again and again: end its connections, and take none from it for a while.
    CutOff {
        /// Whom.
        peer: NodeId,
        /// What it did, for people.
        what: String,
    },
    /// Something that people and metrics want to know.
    Event(Event),
    /// The node has left the mesh and can be stopped.
    Drained,
}
