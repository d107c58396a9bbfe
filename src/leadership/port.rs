//! The ways in and the ways out.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::message::{Claim, Message};
use super::plan::EpochPlan;
use crate::bundle::Manifest;
use crate::fleet::Capability;
use crate::id::{Digest, Epoch, Generation, NodeId, Term};
use crate::membership::{Member, State};

/// What happens to a node.
#[derive(Debug, Clone)]
pub enum Input {
    /// Members that are new or have changed, this node included; the others are as they were.
    View(Vec<ViewMember>),
    /// A member is no longer known.
    Gone {
        /// Who.
        member: NodeId,
    },
    /// A peer's message. The link below vouches for `from`.
    Message {
        /// Who sent it.
        from: NodeId,
        /// What it said.
        message: Message,
    },
    /// A link to this peer is up.
    LinkUp {
        /// The peer.
        peer: NodeId,
    },
    /// What is to be served from now on, as soon as this node knows what is in it.
    Bundle {
        /// The digest of its manifest.
        digest: Digest,
        /// Its manifest.
        manifest: Arc<Manifest>,
    },
    /// The one open [`Output::Persist`] is on disk.
    Persisted,
    /// The one open [`Output::Persist`] could not be written: nothing of it is acted on, and it is tried again.
    PersistFailed {
        /// For people.
        reason: String,
    },
    /// Two devices have this identity: neither may lead. If it is our own, we do not lead until we start anew.
    IdentityClash {
        /// The identity; perhaps our own.
        member: NodeId,
    },
}

/// What leadership and plans need to know of one member.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ViewMember {
    /// Its identity.
    pub id: NodeId,
    /// Which start of it.
    pub generation: Generation,
    /// What this node believes of it; of itself always [`State::Alive`].
    pub state: State,
    /// Configured; the greater leads rather.
    pub priority: i32,
    /// From its own record; the greater leads rather.
    pub uptime_class: u8,
    /// For the planner; the failure probability may have been updated from what was observed.
    pub capability: Capability,
    /// The plan it has adopted, by its own record.
    pub epoch: Option<Epoch>,
    /// It is leaving: it does not lead and is not planned with.
    pub draining: bool,
    /// Whether a link to it is up; of this node itself without meaning.
    pub linked: bool,
}

impl From<&Member> for ViewMember {
    fn from(member: &Member) -> Self {
        let record = member.record();
        Self {
            id: member.id(),
            generation: member.generation(),
            state: member.state(),
            priority: record.priority,
            uptime_class: record.uptime_class,
            capability: record.capability,
            epoch: record.epoch,
            draining: record.draining,
            linked: member.is_linked(),
        }
    }
}

/// What must be on disk before it is acted on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promise {
    /// The highest term seen.
    pub term: Term,
    /// The plan adopted last.
    #[serde(with = "crate::shared::option")]
    pub plan: Option<Arc<EpochPlan>>,
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
    },
    /// Write this, synced, and confirm with [`Input::Persisted`] or [`Input::PersistFailed`]. At most one is open.
    Persist(Promise),
    /// The plan that holds from now on; always greater than the one before.
    Adopted(Arc<EpochPlan>),
    /// Something that people and metrics want to know.
    Event(Event),
}

/// What changed, for people and metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// This node follows another leader from now on, perhaps itself, perhaps none.
    Leader {
        /// The claim that it follows.
        claim: Option<Claim>,
    },
    /// This node, as the leader, made a new plan; it is adopted as soon as it is on disk.
    Planned {
        /// Its epoch.
        epoch: Epoch,
        /// (Member, part) pairs that the plan before did not have.
        moved: usize,
        /// Why constraints do not hold; empty if all do.
        reasons: Vec<String>,
    },
    /// This node, as the leader, could not plan; the plan before stays.
    NotPlanned {
        /// For people.
        reason: String,
    },
    /// A message was refused: its term is too far above every term seen.
    TermJumpRefused {
        /// Who sent it.
        from: NodeId,
        /// Its term.
        term: Term,
        /// The highest term seen.
        highest: Term,
    },
    /// The state could not be written; nothing of it was acted on.
    PersistFailed {
        /// For people.
        reason: String,
    },
    /// A member whose identity two devices have does not lead any more.
    Barred {
        /// The identity; perhaps our own.
        member: NodeId,
    },
}
