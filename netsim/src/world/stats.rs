//! Traffic, counted.

use rocoin::node::Lane;
use serde::Serialize;

use super::network::index;
use crate::fact::HostId;

/// What each host sent and received since the start.
#[derive(Debug, Clone)]
pub struct Stats {
    hosts: Vec<HostStats>,
    /// Messages that vanished: dropped by chance, by a full queue, or with a connection.
    pub dropped: u64,
}

/// What one host sent and received.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct HostStats {
    /// Membership and leadership.
    pub control_messages: u64,
    /// Their bytes.
    pub control_bytes: u64,
    /// Requests and answers.
    pub inference_messages: u64,
    /// Their bytes.
    pub inference_bytes: u64,
    /// Artifacts.
    pub bulk_messages: u64,
    /// Their bytes.
    pub bulk_bytes: u64,
}

impl HostStats {
    /// Control messages and their bytes since an earlier look.
    pub fn control_since(&self, before: &Self) -> (u64, u64) {
        (self.control_messages - before.control_messages, self.control_bytes - before.control_bytes)
    }
}

impl Stats {
    pub(super) fn new(hosts: usize) -> Self {
        Self { hosts: vec![HostStats::default(); hosts], dropped: 0 }
    }

    /// One message, at either of its ends.
    pub(super) fn count(&mut self, host: HostId, lane: Lane, bytes: usize) {
        let stats = &mut self.hosts[index(host)];
        let (messages, total) = match lane {
            Lane::Control => (&mut stats.control_messages, &mut stats.control_bytes),
            Lane::Inference => (&mut stats.inference_messages, &mut stats.inference_bytes),
            Lane::Bulk => (&mut stats.bulk_messages, &mut stats.bulk_bytes),
        };
        *messages += 1;
        *total += bytes as u64;
    }

    /// One host's.
    pub fn of(&self, host: HostId) -> HostStats {
        self.hosts[index(host)]
    }

    /// Every host's, in their order.
    pub fn hosts(&self) -> &[HostStats] {
        &self.hosts
    }
}
