//! What can happen next.

use rocoin::blob::Blob;
use rocoin::id::NodeId;
use rocoin::node::Input;
use rocoin::wire::Message;

use super::network::ConnectionId;
use super::standing::CutId;
use crate::fact::{AskId, HostId};

/// What can happen next.
#[derive(Debug)]
pub(super) enum Event {
    /// A node's timer.
    Wake { host: HostId, ticket: u64 },
    /// A message reaches the link of its receiver.
    Arrive(Box<Parcel>),
    /// A message reaches its receiver.
    Deliver(Box<Parcel>),
    /// Something local is finished.
    Result { host: HostId, life: u32, input: Box<Input> },
    /// The synced write under way reaches the disk, if the disk has not changed its pace meanwhile.
    Written { host: HostId, life: u32 },
    /// A node that has left ends.
    Exit { host: HostId, life: u32 },
    /// A host calls out by multicast.
    Announce { host: HostId, life: u32 },
    /// The first packet of a new connection arrives.
    Knock { from: HostId, to: HostId },
    /// One end learns that a connection stands.
    LinkUp { host: HostId, peer: HostId, connection: ConnectionId },
    /// One end learns that a connection is gone.
    LinkDown { host: HostId, peer: HostId, connection: ConnectionId },
    /// A cut has lasted long enough to break a connection, if it still lasts.
    Break { pair: (HostId, HostId), cut: CutId },
    /// A client makes its next request.
    Ask { ticket: u64 },
    /// A client turns to another node.
    AskAgain { ask: AskId, tries: u32 },
    /// A client waits no longer for one node.
    Patience { ask: AskId, tries: u32 },
    /// A line of the schedule is due.
    Scheduled { line: usize },
    /// A host stands still, or goes on, in the n-th starvation of all.
    Starve { host: HostId, time: u64, stall: bool },
    /// What was sent over a link while it was slow has left it.
    Drained { host: HostId },
    /// A flapping link goes down or up.
    Link { host: HostId, up: bool },
    /// The views and queues of some hosts are looked at.
    Pulse { batch: u32 },
}

/// A message on its way.
#[derive(Debug, Clone)]
pub(super) struct Parcel {
    pub(super) to: HostId,
    pub(super) from_host: HostId,
    pub(super) from: NodeId,
    pub(super) connection: ConnectionId,
    /// Counts all messages in the order in which they were sent.
    pub(super) number: u64,
    pub(super) message: Message,
    pub(super) blob: Blob,
    /// On the wire.
    pub(super) bytes: usize,
}

impl Event {
    /// Which host takes it in, if it is one that a standing host puts off.
    pub(super) fn put_off_by(&self) -> Option<HostId> {
        match self {
            Self::Wake { host, .. }
            | Self::Result { host, .. }
            | Self::Announce { host, .. }
            | Self::Exit { host, .. }
            | Self::LinkUp { host, .. }
            | Self::LinkDown { host, .. } => Some(*host),
            Self::Deliver(parcel) => Some(parcel.to),
            Self::Arrive(_)
            | Self::Written { .. }
            | Self::Knock { .. }
            | Self::Break { .. }
            | Self::Ask { .. }
            | Self::AskAgain { .. }
            | Self::Patience { .. }
            | Self::Scheduled { .. }
            | Self::Starve { .. }
            | Self::Drained { .. }
            | Self::Link { .. }
            | Self::Pulse { .. } => None,
        }
    }
}
