//! How often each member failed to answer: a Beta estimate over its configured failure probability. Ours.

use std::collections::BTreeMap;

use crate::id::NodeId;

/// What the configured probability weighs against: so many observed requests.
const PRIOR_REQUESTS: f64 = 200.0;
/// Old outcomes fade: beyond this many, both counts are halved.
const REQUESTS_MAX: f64 = 10_000.0;
/// Estimates are rounded to powers of this, so that a plan is not weighed anew with every request.
const ROUNDING: f64 = 1.5;

#[derive(Debug, Clone, Copy, Default)]
struct Outcomes {
    asked: f64,
    failed: f64,
}

/// What this node saw of the others as a coordinator.
#[derive(Debug, Default)]
pub(super) struct Observations {
    outcomes: BTreeMap<NodeId, Outcomes>,
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

    /// Forgets members that are no longer known.
    pub(super) fn retain(&mut self, known: impl Fn(NodeId) -> bool) {
        self.outcomes.retain(|replica, _| known(*replica));
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
    fn a_reliable_member_becomes_better_than_configured() {
        let mut observations = Observations::default();
        for _ in 0..5_000 {
            observations.asked(A);
        }
        assert!(observations.failure_probability(A, 0.05) < 0.01);
    }
}
