//! One simulated device: its node, its disk, its worker, its links.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use imbl::OrdMap;
use rocoin::blob::Blob;
use rocoin::fleet::Capability;
use rocoin::id::{Digest, Epoch, Generation, Incarnation, NodeId, Term};
use rocoin::leadership::EpochPlan;
use rocoin::node::{Durable, Node, WriteId};
use rocoin::time::{Duration, Instant};
use serde::{Deserialize, Serialize};

use super::event::Event;
use super::network::ConnectionId;
use crate::fact::HostId;

/// What a device is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HostSpec {
    /// What it can do, and tells.
    pub capability: Capability,
    /// Configured priority.
    pub priority: i32,
    /// Room for artifacts that the node keeps to, bytes. What it has to keep in any case has a room of 1 MiB at least.
    pub disk_bytes: u64,
    /// One synced write takes from this to twice this, s.
    pub sync_s: f64,
}

/// What is on a device's disk.
#[derive(Debug, Clone)]
pub(super) struct Disk {
    pub(super) node: NodeId,
    pub(super) generation: Generation,
    pub(super) durable: Durable,
    pub(super) artifacts: BTreeMap<Digest, Blob>,
    /// Those among them whose bytes are not what they should be.
    pub(super) damaged: BTreeSet<Digest>,
    pub(super) full: bool,
    /// So many times slower than it should be.
    pub(super) slow: f64,
    /// Those among them that could be lost with the power: their writes are not confirmed yet.
    pub(super) unsynced: BTreeSet<Digest>,
    /// The synced write under way.
    pub(super) writing: Option<Writing>,
    /// What is written next. A later state contains all of an earlier one.
    pub(super) waiting: Option<Waiting>,
}

/// A write that waits for the one under way.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Waiting {
    /// Those that it is to be told of.
    pub(super) ids: Vec<WriteId>,
    pub(super) durable: Durable,
    /// It takes so many times as long as the quickest.
    pub(super) pace: f64,
}

/// A synced write.
#[derive(Debug, Clone)]
pub(super) struct Writing {
    /// Those that it is to be told of.
    pub(super) ids: Vec<WriteId>,
    pub(super) durable: Durable,
    /// When it is on the disk, as fast as that is now.
    pub(super) done: Instant,
}

/// A node's counters and plan, as last told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) generation: Generation,
    pub(super) incarnation: Incarnation,
    pub(super) term: Term,
    pub(super) plan: Option<Arc<EpochPlan>>,
    pub(super) leader: Option<NodeId>,
    /// The deployment that is to be served: its sequence and bundle.
    pub(super) wanted: Option<(u64, Digest)>,
}

/// A connection as one of its ends sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) host: HostId,
    pub(super) connection: ConnectionId,
}

/// One device.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) spec: HostSpec,
    pub(super) disk: Disk,
    pub(super) node: Option<Box<Node>>,
    /// Rises with each start and stop: what was on its way to an earlier life is dropped.
    pub(super) life: u32,
    pub(super) paused: bool,
    /// What came while it stood still.
    pub(super) deferred: VecDeque<Event>,
    /// Its own clock is ahead of the world's by this.
    pub(super) clock_ahead: Duration,
    /// Computes so many times slower than it could.
    pub(super) slow: f64,
    /// Its students answer wrongly.
    pub(super) lies: bool,
    /// The last wake-up that counts.
    pub(super) wake: Option<Instant>,
    pub(super) ticket: u64,
    pub(super) links: OrdMap<NodeId, Link>,
    /// Students in memory.
    pub(super) loaded: BTreeSet<Digest>,
    /// Those that are on their way there.
    pub(super) loading: BTreeSet<Digest>,
    /// Artifacts whose bytes were found to be theirs since the node's start: they are not looked at again before a chunk of them is given.
    pub(super) verified: BTreeSet<Digest>,
    /// Requests that it coordinates, as it knows their clients.
    pub(super) clients: BTreeSet<u64>,
    pub(super) told: Option<Told>,
    /// Whether a run waits, as last told.
    pub(super) busy: bool,
    /// The plans that it made and has not adopted yet, and whom it had not given up when it made them.
    pub(super) drafted: BTreeMap<Epoch, Vec<NodeId>>,
}

impl Host {
    pub(super) fn new(spec: HostSpec, node: NodeId, clock_ahead: Duration) -> Self {
        Self {
            spec,
            disk: Disk::empty(node),
            node: None,
            life: 0,
            paused: false,
            deferred: VecDeque::new(),
            clock_ahead,
            slow: 1.0,
            lies: false,
            wake: None,
            ticket: 0,
            links: OrdMap::new(),
            loaded: BTreeSet::new(),
            loading: BTreeSet::new(),
            verified: BTreeSet::new(),
            clients: BTreeSet::new(),
            told: None,
            busy: false,
            drafted: BTreeMap::new(),
        }
    }

    /// Whether an artifact is held and its bytes are its own, as the shell looks at them: a damaged file is as good as none, and is removed.
    pub(super) fn verify(&mut self, artifact: Digest) -> bool {
        let sound = self.disk.is_sound(artifact);
        if sound {
            self.verified.insert(artifact);
        } else {
            self.disk.remove(artifact);
            self.verified.remove(&artifact);
        }
        sound
    }

    pub(super) fn is_running(&self) -> bool {
        self.node.is_some()
    }

    /// Its own time at this world time.
    pub(super) fn time(&self, now: Instant) -> Instant {
        now + self.clock_ahead
    }

    /// The world time of a time of its own.
    pub(super) fn world_time(&self, time: Instant) -> Instant {
        Instant::from_nanos(time.as_nanos().saturating_sub(u64::try_from(self.clock_ahead.as_nanos()).unwrap_or(0)))
    }
}

impl Disk {
    pub(super) fn empty(node: NodeId) -> Self {
        Self {
            node,
            generation: Generation(0),
            durable: Durable::default(),
            artifacts: BTreeMap::new(),
            damaged: BTreeSet::new(),
            unsynced: BTreeSet::new(),
            writing: None,
            waiting: None,
            full: false,
            slow: 1.0,
        }
    }

    /// What a copy of this device would find on it: the bytes, and not how well this very disk does.
    pub(super) fn image(&self) -> Self {
        Self {
            generation: self.generation,
            durable: self.durable.clone(),
            artifacts: self.artifacts.clone(),
            damaged: self.damaged.clone(),
            ..Self::empty(self.node)
        }
    }

    pub(super) fn is_sound(&self, artifact: Digest) -> bool {
        self.artifacts.contains_key(&artifact) && !self.damaged.contains(&artifact)
    }

    pub(super) fn remove(&mut self, artifact: Digest) {
        self.artifacts.remove(&artifact);
        self.damaged.remove(&artifact);
        self.unsynced.remove(&artifact);
    }

    /// Becomes so many times slower than it should be; what it is writing is done later by as much, or earlier.
    pub(super) fn set_slow(&mut self, slow: f64, now: Instant) {
        if let Some(write) = &mut self.writing {
            write.done = now + write.done.since(now).mul_f64(slow / self.slow);
        }
        self.slow = slow;
    }

    /// A process is gone and its system goes on: what it was writing gets to the disk; what it was to write next is lost with it.
    pub(super) fn finish_write(&mut self) {
        self.waiting = None;
        if let Some(write) = self.writing.take().filter(|_| !self.full) {
            self.durable = write.durable;
        }
        self.unsynced.clear();
    }

    /// The power is gone: what was not synced is lost.
    pub(super) fn lose_writes(&mut self) {
        (self.writing, self.waiting) = (None, None);
        for artifact in std::mem::take(&mut self.unsynced) {
            self.remove(artifact);
        }
    }

    pub(super) fn used_bytes(&self) -> u64 {
        self.artifacts.values().map(|blob| blob.len() as u64).sum()
    }
}

/// Where a host listens, as its record says it.
pub(super) fn address_of(host: HostId) -> String {
    format!("/sim/{}", host.0)
}

/// The host that listens there.
pub(super) fn host_at(address: &str) -> Option<HostId> {
    address.strip_prefix("/sim/")?.parse().ok().map(HostId)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(s)
    }

    /// A disk that writes term 1 until 20 s, and is to write term 2 then.
    fn writing() -> Disk {
        let durable = |term| Durable { term: Term(term), ..Durable::default() };
        let mut disk = Disk::empty(NodeId([1; 32]));
        disk.slow = 4.0;
        disk.writing = Some(Writing { ids: vec![WriteId(1)], durable: durable(1), done: at(20) });
        disk.waiting = Some(Waiting { ids: vec![WriteId(2)], durable: durable(2), pace: 1.0 });
        disk
    }

    #[test]
    fn what_is_being_written_is_done_as_much_earlier_or_later_as_the_disk_changes_its_pace() {
        let mut disk = writing();
        disk.set_slow(1.0, at(12));
        assert_eq!(disk.writing.as_ref().map(|write| write.done), Some(at(14)));
        disk.set_slow(3.0, at(13));
        assert_eq!(disk.writing.as_ref().map(|write| write.done), Some(at(16)));
    }

    #[test]
    fn a_crash_leaves_what_is_being_written_and_a_power_cut_what_was() {
        let (mut crashed, mut cut, mut full) = (writing(), writing(), writing());
        crashed.finish_write();
        cut.lose_writes();
        full.full = true;
        full.finish_write();
        let left = [crashed, cut, full].map(|disk| (disk.durable.term, disk.waiting));
        assert_eq!(left, [1, 0, 0].map(|term| (Term(term), None)));
    }
}
