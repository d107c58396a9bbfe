//! The ways in and the ways out.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::message::Message;
use crate::blob::Blob;
use crate::bundle::Manifest;
use crate::id::{Digest, NodeId};
use crate::leadership::EpochPlan;
use crate::membership::{Deployment, Holding, Member, Record};

/// What happens to a node.
#[derive(Debug, Clone)]
pub enum Input {
    /// Other members that are new or tell something new; the others are as they were.
    Peers(Vec<Peer>),
    /// Another member is no longer known.
    Gone {
        /// Who.
        peer: NodeId,
    },
    /// A peer's message. The link below vouches for `from`.
    Message {
        /// Who sent it.
        from: NodeId,
        /// What it said.
        message: Message,
        /// Its bytes.
        blob: Blob,
    },
    /// The last link to this peer closed.
    LinkDown {
        /// The peer.
        peer: NodeId,
    },
    /// A user gave this node a bundle; its artifacts are all in the store already.
    Deploy {
        /// Of its manifest's bytes.
        bundle: Digest,
        /// The manifest.
        manifest: Arc<Manifest>,
    },
    /// This plan holds from now on.
    Adopted(Arc<EpochPlan>),
    /// [`Output::Store`] is finished.
    Stored {
        /// Which.
        artifact: Digest,
        /// What went wrong (disk full, say), for people.
        result: Result<(), String>,
    },
    /// [`Output::Load`] is finished.
    Loaded {
        /// Which.
        student: Digest,
        /// What went wrong, for people.
        result: Result<(), String>,
    },
    /// [`Output::ReadChunk`] is finished.
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
}

/// Why there is no chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChunkError {
    /// The artifact is not held: its file was damaged or is gone, and has to be fetched anew.
    Absent,
    /// It could not be read this time; it is still held.
    Unread,
}

/// What a node starts with.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Kept {
    /// The artifacts in the store, with their sizes.
    pub artifacts: BTreeMap<Digest, u64>,
    /// The manifests among them.
    pub manifests: BTreeMap<Digest, Arc<Manifest>>,
    /// The deployment known last.
    pub desired: Option<Deployment>,
    /// The plan adopted last; its students are loaded at once.
    pub plan: Option<Arc<EpochPlan>>,
}

/// What deployment needs to know of one other member.
#[derive(Debug, Clone, PartialEq)]
pub struct Peer {
    /// Its identity.
    pub id: NodeId,
    /// Alive and linked: artifacts can be fetched from it, and it answers requests.
    pub routable: bool,
    /// What it tells of itself.
    pub record: Arc<Record>,
}

impl From<&Member> for Peer {
    fn from(member: &Member) -> Self {
        Self { id: member.id(), routable: member.is_routable(), record: Arc::clone(member.shared_record()) }
    }
}

/// What a node wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Send a message; best effort.
    Send {
        /// To whom.
        to: NodeId,
        /// What to say.
        message: Message,
        /// Its bytes.
        blob: Blob,
    },
    /// Write an artifact to the store; its bytes have been verified.
    Store {
        /// Its digest.
        artifact: Digest,
        /// Its bytes.
        bytes: Blob,
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
    /// Delete an artifact that no plan needs any more; not confirmed, and what stays is found at the next start.
    Discard {
        /// Which.
        artifact: Digest,
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
    /// What the node's record is to say from now on.
    RecordChanged {
        /// The bundles kept.
        bundles: Vec<Holding>,
        /// The students loaded.
        ready: Vec<Digest>,
        /// The newest deployment known; to be persisted.
        desired: Option<Deployment>,
    },
    /// A bundle's manifest is known from now on.
    Manifest {
        /// Its digest.
        digest: Digest,
        /// What it says.
        manifest: Arc<Manifest>,
    },
    /// Something that people and metrics want to know.
    Event(Event),
}

/// What changed, for people and metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Another deployment is wanted from now on.
    Desired {
        /// Which.
        deployment: Deployment,
    },
    /// One name and version, two bundles: the greater is served. Deploy it again under a version of its own.
    Conflict {
        /// What is served.
        served: Deployment,
        /// What is not.
        other: Deployment,
    },
    /// An artifact is in the store.
    Fetched {
        /// Which.
        artifact: Digest,
        /// Its size.
        bytes: u64,
    },
    /// An artifact's bytes were not those of its digest; they were discarded, and the holder is avoided.
    WrongHash {
        /// Which.
        artifact: Digest,
        /// The last holder that sent a piece of it.
        from: NodeId,
    },
    /// A manifest has the right digest but makes no sense; the bundle cannot be served.
    BadManifest {
        /// Which.
        bundle: Digest,
        /// For people.
        reason: String,
    },
    /// The store refused an artifact (disk full, say); it is tried again later, others go on.
    StoreFailed {
        /// Which.
        artifact: Digest,
        /// For people.
        reason: String,
    },
    /// A student is loaded and warmed up.
    Ready {
        /// Which.
        student: Digest,
    },
    /// A student cannot be loaded; it is tried again later, others go on.
    LoadFailed {
        /// Which.
        student: Digest,
        /// For people.
        reason: String,
    },
    /// An artifact that no plan needs any more is deleted.
    Discarded {
        /// Which.
        artifact: Digest,
    },
    /// A student that no plan wants here any more is freed.
    Unloaded {
        /// Which.
        student: Digest,
    },
}
