//! How long a job waits at each replica, as far as its answers tell: how long its runs take, and how many waited when it answered.
//!
//! A replica of which nothing was heard is not taken for slow, and one that is idle never is: a wrong estimate then mends itself
//! with the next answer.

use std::collections::BTreeMap;

use crate::id::NodeId;
use crate::time::{Duration, Instant};

/// Weight of a new run in the smoothed one, 1/8 as for a round trip in RFC 6298.
const SMOOTHING: u32 = 8;

#[derive(Debug, Clone, Copy)]
struct Heard {
    run: Duration,
    /// Runs that a new job waited for then.
    queue: u16,
    at: Instant,
}

/// What waits at a replica, and for how long each.
#[derive(Debug, Clone, Copy)]
pub(super) struct Backlog {
    /// Runs before a new job's turn.
    pub(super) turns: u32,
    /// Of one of them.
    pub(super) run: Duration,
}

impl Backlog {
    /// Until it is worked off.
    pub(super) fn wait(self) -> Duration {
        self.run.saturating_mul(self.turns)
    }
}

/// What the replicas' answers told.
#[derive(Debug, Default)]
pub(super) struct Pace(BTreeMap<NodeId, Heard>);

impl Pace {
    pub(super) fn hear(&mut self, now: Instant, replica: NodeId, run: Duration, queue: u16) {
        let old = self.0.get(&replica).map_or(run, |heard| heard.run);
        let run = (old - old / SMOOTHING).saturating_add(run / SMOOTHING);
        self.0.insert(replica, Heard { run, queue, at: now });
    }

    pub(super) fn forget(&mut self, replica: NodeId) {
        self.0.remove(&replica);
    }

    /// What waits there now: what did then, less what was run since, and the jobs `asked_since`.
    pub(super) fn backlog(
        &self,
        now: Instant,
        replica: NodeId,
        asked_since: impl FnOnce(Instant) -> usize,
    ) -> Option<Backlog> {
        let &Heard { run, queue, at } = self.0.get(&replica)?;
        let done = now.since(at).as_nanos() / run.as_nanos().max(1);
        let left = u32::from(queue).saturating_sub(u32::try_from(done).unwrap_or(u32::MAX));
        let turns = left.saturating_add(u32::try_from(asked_since(at)).unwrap_or(u32::MAX));
        Some(Backlog { turns, run })
    }
}
