//! The three ways in and the ways out.

use super::message::{Message, Stamp, Start};
use super::record::Record;
use crate::id::NodeId;

/// What happens to a node.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A peer's message. The link below vouches for `from`.
    Message {
        /// Who sent it.
        from: NodeId,
        /// What it said.
        message: Message,
    },
    /// A link to this peer is up: the first one, if there are several.
    LinkUp {
        /// The peer.
        peer: NodeId,
    },
    /// The last link to this peer closed. Stops routing to it and probes it; no verdict.
    LinkDown {
        /// The peer.
        peer: NodeId,
    },
    /// A request to this peer failed or timed out. Stops routing to it and probes it; no verdict.
    RequestFailed {
        /// The peer.
        peer: NodeId,
    },
    /// Our own record changed. Cut to the bounds of a record; told to the others at most once a second.
    Record(Record),
    /// We leave: tell the others, and fall silent.
    Leave,
}

/// What a node wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Send this over the link to `to`; drop it if there is none or it is full.
    Send {
        /// The peer.
        to: NodeId,
        /// What to say.
        message: Message,
    },
    /// Open a link to this peer.
    Dial {
        /// The peer.
        peer: NodeId,
        /// Where it said it listens.
        addresses: Vec<String>,
    },
    /// Something changed in the view.
    Event(Event),
}

/// What changed in the view of the fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A member heard of for the first time, or started again.
    Joined {
        /// Who.
        member: NodeId,
        /// Which start of it, and how often it has refuted since.
        stamp: Stamp,
    },
    /// A member had no answer for somebody. Not routable from now on.
    Suspected {
        /// Who.
        member: NodeId,
        /// What was known of it.
        stamp: Stamp,
        /// Whose suspicion it is.
        by: NodeId,
    },
    /// A suspect proved that it is alive.
    Refuted {
        /// Who.
        member: NodeId,
        /// What it says of itself.
        stamp: Stamp,
    },
    /// A member is given up.
    Down {
        /// Who.
        member: NodeId,
        /// What was known of it.
        stamp: Stamp,
    },
    /// A member that was given up is back, without a restart.
    Alive {
        /// Who.
        member: NodeId,
        /// What it says of itself.
        stamp: Stamp,
    },
    /// A member said farewell, or was given up so long ago that it is forgotten.
    Left {
        /// Who.
        member: NodeId,
    },
    /// A member tells something new of itself.
    RecordChanged {
        /// Who.
        member: NodeId,
    },
    /// Requests may go to this member.
    Routable {
        /// Who.
        member: NodeId,
    },
    /// Requests must not go to this member for now.
    Unroutable {
        /// Who.
        member: NodeId,
        /// Why.
        reason: Reason,
    },
    /// Two devices have one identity (a cloned SD card): neither may lead. Both are named.
    IdentityClash {
        /// The identity; perhaps our own.
        member: NodeId,
        /// The one known before; ourselves if the identity is ours.
        known: Claimant,
        /// The other.
        other: Claimant,
    },
}

impl Event {
    /// Whom it is about.
    pub fn member(&self) -> NodeId {
        match self {
            Self::Joined { member, .. } | Self::Suspected { member, .. } | Self::Refuted { member, .. } => *member,
            Self::Down { member, .. } | Self::Alive { member, .. } | Self::Left { member } => *member,
            Self::RecordChanged { member } | Self::Routable { member } => *member,
            Self::Unroutable { member, .. } | Self::IdentityClash { member, .. } => *member,
        }
    }
}

/// Why a member is not routable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The link closed.
    LinkDown,
    /// A request failed.
    RequestFailed,
    /// It did not answer our own ping in time, whether or not it answers others.
    NoAnswer,
    /// It is suspect, down or gone.
    State,
}

/// One of two devices with one identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimant {
    /// Its start.
    pub start: Start,
    /// The name in its record, where it is known.
    pub name: Option<String>,
    /// The addresses in its record, where they are known.
    pub addresses: Vec<String>,
}
