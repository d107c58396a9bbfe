//! Probes under way, and the pings that others asked for.

use std::collections::BTreeMap;

use crate::id::NodeId;
use crate::time::{Duration, Instant};

/// Probes under way beside the one of each round. When so many are, a further one waits for the next interval, and the
/// verdict with it: many deaths at once cost time, not traffic. Ours.
pub(super) const PROBES_MAX: usize = 8;
/// Probes kept, those that failed lately included. When there are more the oldest is forgotten. Ours.
pub(super) const PROBES_KEPT_MAX: usize = 256;
/// Pings under way for others. Further requests are answered with a nack at once. Ours.
pub(super) const RELAYS_MAX: usize = 256;
/// An answer that comes this late still proves life and still measures the link. Ours.
pub(super) const LATE_ANSWER: Duration = Duration::from_secs(2);
/// Share of the wait after which a helper says that it has had no answer either. After Lifeguard.
pub(super) const NACK_SHARE: f64 = 0.8;

/// How far a probe has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Waiting for the direct answer.
    Direct,
    /// Waiting for the answer, direct or through others.
    Indirect,
    /// Failed; kept for a late answer.
    Over,
}

/// One probe of one member.
#[derive(Debug, Clone)]
pub(super) struct Probe {
    pub(super) target: NodeId,
    pub(super) sent: Instant,
    pub(super) deadline: Instant,
    pub(super) stage: Stage,
    /// Ask others when there is no direct answer. Without it the probe only looks whether the direct way works again.
    pub(super) thorough: bool,
    /// Those asked to help; true once they said that they had no answer either.
    pub(super) helpers: BTreeMap<NodeId, bool>,
}

impl Probe {
    /// All helpers have said that they had no answer.
    pub(super) fn is_hopeless(&self) -> bool {
        self.stage == Stage::Indirect && !self.helpers.is_empty() && self.helpers.values().all(|&nacked| nacked)
    }

    /// Helpers that said nothing at all: a sign that the fault is ours.
    pub(super) fn silent_helpers(&self) -> u32 {
        u32::try_from(self.helpers.values().filter(|&&nacked| !nacked).count()).unwrap_or(u32::MAX)
    }
}

/// A ping sent for another node.
#[derive(Debug, Clone, Copy)]
pub(super) struct Relay {
    pub(super) asker: NodeId,
    pub(super) asker_seq: u64,
    pub(super) target: NodeId,
    pub(super) deadline: Instant,
}
