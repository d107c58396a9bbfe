//! What a shell tells the node.

use std::sync::Arc;

use super::{ClientId, JobId, WriteId};
use crate::blob::Blob;
use crate::bundle::Manifest;
use crate::deployment::ChunkError;
use crate::id::{Digest, NodeId};
use crate::inference::Request;
use crate::time::Duration;
use crate::wire::Message;

/// What happened outside the node.
#[derive(Debug, Clone)]
pub enum Input {
    /// A peer's message came in, decoded.
    Message {
        /// The authenticated sender.
        from: NodeId,
        /// Its header.
        message: Message,
        /// Its bytes.
        blob: Blob,
    },
    /// A connection to the peer stands.
    LinkUp {
        /// To whom.
        peer: NodeId,
    },
    /// The last connection to the peer is gone.
    LinkDown {
        /// To whom.
        peer: NodeId,
    },
    /// A client asks; answered by [`super::Output::Answer`] exactly once.
    Request {
        /// The shell's tag for it.
        client: ClientId,
        /// What it asks.
        request: Request,
    },
    /// The client went away; no answer is wanted.
    CancelRequest {
        /// The shell's tag.
        client: ClientId,
    },
    /// [`super::Output::Run`] is finished.
    JobDone {
        /// Which.
        job: JobId,
        /// The partial logits, or what went wrong, for people.
        result: Result<Blob, String>,
        /// How long the student ran.
        run: Duration,
    },
    /// [`super::Output::Load`] is finished: the student is loaded and warmed up, or cannot be.
    Loaded {
        /// Which.
        student: Digest,
        /// What went wrong, for people.
        result: Result<(), String>,
    },
    /// [`super::Output::Store`] is finished.
    ArtifactStored {
        /// Which.
        artifact: Digest,
        /// What went wrong (disk full, say), for people.
        result: Result<(), String>,
    },
    /// [`super::Output::ReadChunk`] is finished.
    ChunkRead {
        /// Who asked.
        to: NodeId,
        /// Which.
        artifact: Digest,
        /// From this byte on.
        offset: u64,
        /// The whole artifact's size and the bytes.
        chunk: Result<(u64, Blob), ChunkError>,
    },
    /// [`super::Output::Persist`] is on disk, or could not be written.
    Persisted {
        /// Which.
        write: WriteId,
        /// What went wrong, for people; the node then acts on nothing that was not written.
        result: Result<(), String>,
    },
    /// A user gave this node a bundle; its artifacts are all in the store already.
    Deploy {
        /// Of its manifest's bytes.
        bundle: Digest,
        /// The manifest.
        manifest: Arc<Manifest>,
    },
    /// Take no new requests, finish what is open, say goodbye: then [`super::Output::Drained`].
    Drain,
}
