//! What this node saw of each member: how often it failed to answer (a Beta estimate over its configured failure probability), and
//! how far away it is. Ours.

use std::collections::BTreeMap;

use crate::id::NodeId;
use crate::time::Duration;

/// What the configured probability weighs against: so many observed requests.
const PRIOR_REQUESTS: f64 = 200.0;
/// Old outcomes fade: beyond this many, both counts are halved.
const REQUESTS_MAX: f64 = 10_000.0;
/// Estimates are rounded to powers of this, so that a plan is not weighed anew with every request.
const ROUNDING: f64 = 1.5;

/// A one-way delay changes for the planner only by more than this factor, so that a plan does not follow every probe.
const DELAY_FACTOR: f64 = 1.5;
/// One-way delays up to this are those of busy devices rather than of links, s.
const DELAY_MIN_S: f64 = 0.002;

#[derive(Debug, Clone, Copy, Default)]
struct Outcomes {
    asked: f64,
    failed: f64,
}

/// What this node saw of the others, as a coordinator and by its probes.
#[derive(Debug, Default)]
pub(super) struct Observations {
    outcomes: BTreeMap<NodeId, Outcomes>,
    /// One way, s; only those above [`DELAY_MIN_S`].
    delays: BTreeMap<NodeId, f64>,
}

impl Observations {
    pub(super) fn asked(&mut self, replica: NodeId) {
        let outcomes = self.outcomes.entry(replica).or_default();
        outcomes.asked += 1.0;
        if outcomes.asked > REQUESTS_MAX {
            outcomes.asked /= 2.0;
            outcomes.failed /= 2.0;
        }
    }

    pub(super) fn failed(&mut self, replica: NodeId) {
        self.outcomes.entry(replica).or_default().failed += 1.0;
    }

    /// Probes of the member take this long by now; true if the planner is to know.
    pub(super) fn round_trip(&mut self, replica: NodeId, round_trip: Duration) -> bool {
        let delay = (round_trip.as_secs_f64() / 2.0).max(DELAY_MIN_S);
        let noted = self.delays.get(&replica).copied().unwrap_or(DELAY_MIN_S);
        if delay <= DELAY_MIN_S {
            self.delays.remove(&replica).is_some()
        } else {
            let moved = delay > noted * DELAY_FACTOR || delay < noted / DELAY_FACTOR;
            if moved {
                self.delays.insert(replica, delay);
            }
            moved
        }
    }

    /// Forgets a member that is no longer known.
    pub(super) fn forget(&mut self, replica: NodeId) {
        self.outcomes.remove(&replica);
        self.delays.remove(&replica);
    }

    /// The one-way link delay to plan with, from the configured one, s.
    pub(super) fn link_delay_s(&self, replica: NodeId, configured: f64) -> f64 {
        self.delays.get(&replica).copied().unwrap_or(configured)
    }

    /// The failure probability to plan with, from the configured one.
    pub(super) fn failure_probability(&self, replica: NodeId, configured: f64) -> f64 {
        let Some(outcomes) = self.outcomes.get(&replica) else {
            return configured;
        };
        let failed = outcomes.failed.min(outcomes.asked);
        let estimate = (configured * PRIOR_REQUESTS + failed) / (PRIOR_REQUESTS + outcomes.asked);
        if configured <= 0.0 || estimate <= 0.0 {
            return estimate.clamp(0.0, 1.0);
        }
        let steps = (estimate / configured).log(ROUNDING).round();
        (configured * ROUNDING.powf(steps)).clamp(0.0, 0.999)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: NodeId = NodeId([1; 32]);

    #[test]
    fn without_evidence_the_configured_probability_holds() {
        assert!((Observations::default().failure_probability(A, 0.05) - 0.05).abs() < 1e-12);
    }

    #[test]
    fn a_few_requests_move_nothing_and_many_failures_do() {
        let mut observations = Observations::default();
        for _ in 0..20 {
            observations.asked(A);
        }
        assert!((observations.failure_probability(A, 0.05) - 0.05).abs() < 1e-12);
        for _ in 0..400 {
            observations.asked(A);
            observations.failed(A);
        }
        assert!(observations.failure_probability(A, 0.05) > 0.5);
    }

    #[test]
    fn a_link_is_as_configured_until_probes_say_that_it_is_slow() {
        let mut observations = Observations::default();
        let mut planned = |ms| {
            observations.round_trip(A, Duration::from_millis(ms));
            observations.link_delay_s(A, 0.0005)
        };
        assert_eq!([planned(1), planned(4)], [0.0005, 0.0005]);
        assert_eq!(
            [planned(40), planned(50), planned(30)],
            [0.02, 0.02, 0.02],
            "a little more or less changes nothing"
        );
        assert_eq!([planned(100), planned(2)], [0.05, 0.0005]);
    }

    #[test]
    fn a_reliable_member_becomes_better_than_configured() {
        let mut observations = Observations::default();
        for _ in 0..5_000 {
            observations.asked(A);
        }
        assert!(observations.failure_probability(A, 0.05) < 0.01);
    }
}
