//! What went over the links, counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rocoin::node::Lane;

/// Counters of one lane, over all peers, since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LaneCounts {
    /// Frames sent.
    pub sent: u64,
    /// Bytes of them.
    pub sent_bytes: u64,
    /// Frames received.
    pub received: u64,
    /// Bytes of them.
    pub received_bytes: u64,
    /// Frames dropped because the peer's queue was full, two streams broke on them, or by the fault switch.
    pub dropped: u64,
}

#[derive(Debug, Default)]
struct LaneCounters {
    sent: AtomicU64,
    sent_bytes: AtomicU64,
    received: AtomicU64,
    received_bytes: AtomicU64,
    dropped: AtomicU64,
}

/// What went over the links since the start; shared by all lanes' tasks.
#[derive(Debug, Clone, Default)]
pub struct NetworkCounters(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    lanes: [LaneCounters; 3],
    offences: AtomicU64,
    strangers: AtomicU64,
    other_versions: AtomicU64,
    on_previous_key: AtomicU64,
    connections: AtomicU64,
}

impl NetworkCounters {
    /// The counts of one lane.
    pub fn lane(&self, lane: Lane) -> LaneCounts {
        let counters = self.of(lane);
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        LaneCounts {
            sent: read(&counters.sent),
            sent_bytes: read(&counters.sent_bytes),
            received: read(&counters.received),
            received_bytes: read(&counters.received_bytes),
            dropped: read(&counters.dropped),
        }
    }

    /// All of them by name, for the status: `network_control_sent_bytes`, say. Connections, and links on the previous key, are as many
    /// as there are now.
    pub(crate) fn told(&self) -> impl Iterator<Item = (String, u64)> {
        let lanes = [(Lane::Control, "control"), (Lane::Inference, "inference"), (Lane::Bulk, "bulk")];
        let of_lane = lanes.map(|(lane, name)| {
            let LaneCounts { sent, sent_bytes, received, received_bytes, dropped } = self.lane(lane);
            [
                ("sent", sent),
                ("sent_bytes", sent_bytes),
                ("received", received),
                ("received_bytes", received_bytes),
                ("dropped", dropped),
            ]
            .map(|(what, count)| (format!("network_{name}_{what}"), count))
        });
        let others = [
            ("offences", &self.0.offences),
            ("strangers", &self.0.strangers),
            ("other_versions", &self.0.other_versions),
            ("links_on_previous_key", &self.0.on_previous_key),
            ("connections", &self.0.connections),
        ]
        .map(|(what, counter)| (format!("network_{what}"), counter.load(Ordering::Relaxed)));
        of_lane.into_iter().flatten().chain(others)
    }

    /// How many peers were disconnected for what they sent.
    pub fn offences(&self) -> u64 {
        self.0.offences.load(Ordering::Relaxed)
    }

    /// How many connections were turned away at the door: without the fleet's key, silent, or one too many.
    pub fn strangers(&self) -> u64 {
        self.0.strangers.load(Ordering::Relaxed)
    }

    pub(super) fn turned_away(&self) {
        self.0.strangers.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn met_other_version(&self) {
        self.0.other_versions.fetch_add(1, Ordering::Relaxed);
    }

    /// Not a count but how many there are now.
    pub(super) fn set_on_previous_key(&self, links: usize) {
        self.0.on_previous_key.store(links as u64, Ordering::Relaxed);
    }

    /// Not a count but how many there are now.
    pub(super) fn set_connections(&self, connections: usize) {
        self.0.connections.store(connections as u64, Ordering::Relaxed);
    }

    pub(super) fn sent(&self, lane: Lane, bytes: usize) {
        self.of(lane).sent.fetch_add(1, Ordering::Relaxed);
        self.of(lane).sent_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn received(&self, lane: Lane, bytes: usize) {
        self.of(lane).received.fetch_add(1, Ordering::Relaxed);
        self.of(lane).received_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn dropped(&self, lane: Lane) {
        self.of(lane).dropped.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn offended(&self) {
        self.0.offences.fetch_add(1, Ordering::Relaxed);
    }

    fn of(&self, lane: Lane) -> &LaneCounters {
        &self.0.lanes[super::link::index(lane)]
    }
}
