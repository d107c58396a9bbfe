//! What nodes say to each other. The docs of [`Kind`] and [`Claim`] are the protocol's manual.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::record::Record;
use crate::id::{Generation, Incarnation, NodeId};

/// Bytes of one message, encoded: what a probe may have to wait behind. More updates go into further messages.
pub const MESSAGE_BYTES_MAX: usize = 16 * 1024;
/// Updates of one message. A message with more is refused whole and counted.
pub const UPDATES_MAX: usize = 128;
/// Entries of a digest, and members of a [`Kind::Want`]. A message with more is refused whole and counted; a view
/// with more is compared window by window.
pub const ENTRIES_MAX: usize = 256;

/// One start of one device. Two devices with one identity (a cloned SD card) may count the same generation, but
/// draw different nonces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Start {
    /// Persisted, and raised at each start.
    pub generation: Generation,
    /// Drawn at each start.
    pub nonce: u64,
}

/// What the owner alone may raise. Ordered: the greater start supersedes; within a start each counter only rises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// Which start of the device.
    pub start: Start,
    /// Raised to refute an accusation.
    pub incarnation: Incarnation,
    /// Raised with each change of the record; 1 at the start.
    pub version: u32,
}

/// A message: who says it, what, and news that ride along.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// The sender's own stamp: each message refutes, and tells of a restart, by itself.
    pub stamp: Stamp,
    /// A hash of the stamps of all whom the sender holds alive or suspect. Two nodes whose hashes stay different
    /// compare their views with a [`Kind::Digest`]; nodes whose hashes agree never send a state.
    pub view: u64,
    /// What it says.
    pub kind: Kind,
    /// News. In front stands, if the sender holds the receiver suspect or down, that accusation.
    pub updates: Vec<Update>,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Kind {
    /// "Are you there?" Answered by [`Kind::Ack`] with the same `seq`.
    Ping {
        /// Chosen by the sender.
        seq: u64,
        /// The number of the sender's probe round. All follow the greatest they hear, and the number chooses whom
        /// each node probes, so that every member is probed by exactly one other in every round.
        round: u32,
    },
    /// "I am here": the answer to a ping, sent at once.
    Ack {
        /// The ping's.
        seq: u64,
    },
    /// "Ping `target` for me": sent to a few others when a direct ping had no answer, or evidence came that the
    /// target failed. Answered by [`Kind::Reached`] or [`Kind::Nack`].
    PingRequest {
        /// Chosen by the sender.
        seq: u64,
        /// Whom to ping.
        target: NodeId,
    },
    /// "The target answered me."
    Reached {
        /// The request's.
        seq: u64,
        /// The target's own stamp, from its answer.
        stamp: Stamp,
    },
    /// "The target has not answered me", sent a little before the asker's patience ends, or at once by a helper that
    /// has no link to the target. An asker that misses even these concludes that it is itself unwell.
    Nack {
        /// The request's.
        seq: u64,
    },
    /// Nothing but updates.
    Gossip,
    /// "Of the members from `first` to `last` I hold these alive or suspect." The receiver sends what it knows
    /// better ([`Kind::State`]), wants what it knows less well ([`Kind::Want`]), and names whom it holds down, so
    /// that they can refute. Sent when a link comes up, and when views stay different.
    Digest {
        /// First of the window, in order of ids.
        first: NodeId,
        /// Last of the window.
        last: NodeId,
        /// The members of the window, in order.
        entries: Vec<Entry>,
    },
    /// "Tell me what you know of these."
    Want {
        /// The members.
        members: Vec<NodeId>,
    },
    /// The answer to a digest or a want: updates with records.
    State,
}

/// One member in a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The member.
    pub member: NodeId,
    /// The newest the sender knows of it.
    pub stamp: Stamp,
}

/// A claim about a member.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Update {
    /// The member it is about.
    pub member: NodeId,
    /// What is claimed.
    pub claim: Claim,
}

/// What can be claimed. The first two come from the member itself, others only pass them on; they are ordered, and the
/// greater wins everywhere. The last two are opinions of others; they never win against the member's own answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Claim {
    /// "I am alive, at this stamp." Beats an accusation of a lower incarnation.
    Alive {
        /// The member's stamp.
        stamp: Stamp,
        /// The record of the stamp's version; left out where the receiver is likely to have it.
        #[serde(with = "crate::shared::option")]
        record: Option<Arc<Record>>,
    },
    /// "I leave." Final for its generation.
    Left {
        /// The member's generation.
        generation: Generation,
    },
    /// "`by` has had no answer from it." Each receiver stops routing to it, probes it itself, and waits.
    Suspect {
        /// The accused's generation.
        generation: Generation,
        /// The accused's incarnation: a higher one refutes this.
        incarnation: Incarnation,
        /// The accuser. Distinct accusers shorten the wait.
        by: NodeId,
    },
    /// "`by` has waited its suspicion out." Makes nobody else down by itself: a receiver that holds the member alive probes it
    /// first, and one that suspects it counts this as an independent confirmation.
    Down {
        /// The accused's generation.
        generation: Generation,
        /// The accused's incarnation: a higher one refutes this.
        incarnation: Incarnation,
        /// The accuser.
        by: NodeId,
    },
}

impl Update {
    /// At most this many bytes on the wire.
    pub(super) fn bytes_max(&self) -> usize {
        match &self.claim {
            Claim::Alive { record, .. } => 72 + record.as_ref().map_or(0, |r| r.bytes_max()),
            Claim::Left { .. } => 44,
            Claim::Suspect { .. } | Claim::Down { .. } => 84,
        }
    }
}
