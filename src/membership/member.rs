//! One member as this node sees it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::message::{Stamp, Start};
use super::port::Reason;
use super::record::Record;
use super::rtt::Rtt;
use super::suspicion::Suspicion;
use crate::id::{Generation, Incarnation, NodeId};
use crate::time::{Duration, Instant};

/// What this node believes of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It answers somebody.
    Alive,
    /// Somebody has had no answer from it: routed around at once, not yet given up.
    Suspect,
    /// Given up; comes back as soon as it is heard of again.
    Down,
}

/// This node, as it tells the others.
#[derive(Debug, Clone, Copy)]
pub struct Me<'a> {
    /// Its identity.
    pub id: NodeId,
    /// Its start and its counters.
    pub stamp: Stamp,
    /// Its record, as last gossiped.
    pub record: &'a Record,
}

/// A node as others may know it from before.
#[derive(Debug, Clone)]
pub struct Acquaintance {
    /// Its identity.
    pub id: NodeId,
    /// Its start and its counters.
    pub stamp: Stamp,
    /// What it tells of itself.
    pub record: Arc<Record>,
}

/// One member as this node sees it.
#[derive(Debug, Clone)]
pub struct Member {
    pub(super) id: NodeId,
    pub(super) stamp: Stamp,
    pub(super) record: Arc<Record>,
    pub(super) state: State,
    pub(super) since: Instant,
    pub(super) linked: bool,
    pub(super) routable: bool,
    /// Evidence of failure since it last answered a direct ping.
    pub(super) evidence: Option<Reason>,
    /// Runs while it is suspect.
    pub(super) suspicion: Option<Box<Suspicion>>,
    pub(super) rtt: Option<Rtt>,
    /// When this start of it was first heard of.
    pub(super) started: Instant,
    /// A link to this start of it was up at least once.
    pub(super) met: bool,
    /// When to probe it again on evidence, outside the rounds, and how often that was done.
    pub(super) retry_at: Option<Instant>,
    pub(super) retries: u32,
    /// When to dial it again, and how often that was done.
    pub(super) dial_at: Instant,
    pub(super) dials: u32,
}

impl Member {
    /// Just heard of.
    pub(super) fn new(id: NodeId, stamp: Stamp, record: Arc<Record>, linked: bool, now: Instant) -> Self {
        Self {
            id,
            stamp,
            record,
            state: State::Alive,
            since: now,
            linked,
            routable: false,
            evidence: None,
            suspicion: None,
            rtt: None,
            started: now,
            met: linked,
            retry_at: None,
            retries: 0,
            dial_at: now,
            dials: 0,
        }
    }

    /// Its identity.
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// Which start of the device.
    pub fn start(&self) -> Start {
        self.stamp.start
    }

    /// The number of that start.
    pub fn generation(&self) -> Generation {
        self.stamp.start.generation
    }

    /// How often it had to refute since.
    pub fn incarnation(&self) -> Incarnation {
        self.stamp.incarnation
    }

    /// The version of [`Self::record`].
    pub fn version(&self) -> u32 {
        self.stamp.version
    }

    /// What it tells of itself.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// The same, to be kept without a copy.
    pub fn shared_record(&self) -> &Arc<Record> {
        &self.record
    }

    /// What this node believes of it.
    pub fn state(&self) -> State {
        self.state
    }

    /// Since when it has been in [`Self::state`].
    pub fn since(&self) -> Instant {
        self.since
    }

    /// Whether a link to it is up.
    pub fn is_linked(&self) -> bool {
        self.linked
    }

    /// Alive, linked, and no evidence of failure since it last answered a direct ping.
    pub fn is_routable(&self) -> bool {
        self.routable
    }

    /// Smoothed round-trip time, once it has answered a direct ping. Half of it is the link's delay.
    pub fn rtt(&self) -> Option<Duration> {
        self.rtt.map(Rtt::smooth)
    }

    pub(super) fn is_up(&self) -> bool {
        self.state != State::Down
    }

    pub(super) fn is_alive(&self) -> bool {
        self.state == State::Alive
    }

    pub(super) fn wants_dial(&self) -> bool {
        self.is_up() && !self.linked
    }

    pub(super) fn enter(&mut self, state: State, now: Instant) {
        self.state = state;
        self.since = now;
        self.suspicion = None;
    }

    /// Why it is not routable, if so.
    pub(super) fn obstacle(&self) -> Option<Reason> {
        if !self.is_alive() {
            Some(Reason::State)
        } else if !self.linked {
            Some(Reason::LinkDown)
        } else {
            self.evidence
        }
    }
}
