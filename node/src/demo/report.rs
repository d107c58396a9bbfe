//! What the demo found, as `--json` prints it (schema `rocoin.demo/1`).

use std::time::{Duration, Instant};

use serde::Serialize;

use super::checks::unmet;
use rocoin_netsim::harness::{Answered, Outcome};

/// Of a step's requests that are not complete, so many are told.
const INCOMPLETE_MAX: usize = 5;

/// The whole demo.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// `rocoin.demo/1`.
    pub schema: &'static str,
    /// Processes started.
    pub nodes: usize,
    /// Knowledge parts of the bundle.
    pub parts: usize,
    /// The teacher's test accuracy, 0 to 1.
    pub teacher_accuracy: f64,
    /// In order.
    pub steps: Vec<StepReport>,
    /// Requests without an answer, over all steps.
    pub failed_total: usize,
    /// What had to hold and did not, for people; empty if all held.
    pub unmet: Vec<String>,
}

/// One step.
#[derive(Debug, Clone, Serialize)]
pub struct StepReport {
    /// What happened.
    pub event: &'static str,
    /// Nodes that ran and were not frozen at the end.
    pub alive: usize,
    /// Whom the nodes followed at the end; several names where they did not agree.
    pub leader: Option<String>,
    /// The plan at the end; several where they did not agree.
    pub epoch: Option<String>,
    /// Parts that every node could reach at the end.
    pub parts_served: usize,
    /// Requests that ended in this step.
    pub requests: usize,
    /// Of those, answered with every part.
    pub complete: usize,
    /// Answered without some part.
    pub degraded: usize,
    /// Not answered.
    pub failed: usize,
    /// Answered or not, only at the second attempt.
    pub retried: usize,
    /// Degraded after the mesh had recovered.
    pub degraded_after_recovery: usize,
    /// The first few requests that were degraded or failed, for people.
    pub incomplete: Vec<String>,
    /// Right answers among the answered, 0 to 1.
    pub accuracy: Option<f64>,
    /// Median time to the answer.
    pub p50_ms: Option<f64>,
    /// 99th percentile.
    pub p99_ms: Option<f64>,
    /// From the event until the mesh was whole again; 0 if it never was not, `null` if it did not recover.
    pub recovery_s: Option<f64>,
}

impl Report {
    pub(super) fn new(steps: Vec<StepReport>, nodes: usize, parts: usize, teacher_accuracy: f64) -> Self {
        let failed_total = steps.iter().map(|step| step.failed).sum();
        let unmet = unmet(&steps, nodes, parts);
        Self { schema: "rocoin.demo/1", nodes, parts, teacher_accuracy, steps, failed_total, unmet }
    }
}

impl StepReport {
    /// From the requests of a step; `recovered`: when the mesh was whole again.
    pub(super) fn count(event: &'static str, outcomes: &[Outcome], start: Instant, recovered: Option<Instant>) -> Self {
        let count = |of: &dyn Fn(&Outcome) -> bool| outcomes.iter().filter(|o| of(o)).count();
        let degraded = Outcome::is_degraded;
        let answered = count(&|o| !o.is_failed());
        let correct = count(&|o| matches!(o.result, Answered::Yes { correct: true, .. }));
        let mut took: Vec<Duration> = outcomes.iter().filter(|o| !o.is_failed()).map(|o| o.took).collect();
        took.sort_unstable();
        // A request that started before the mesh was whole may end degraded a little later.
        let settled = recovered.map(|at| at + Duration::from_secs(2));
        Self {
            event,
            alive: 0,
            leader: None,
            epoch: None,
            parts_served: 0,
            requests: outcomes.len(),
            complete: count(&Outcome::is_complete),
            degraded: count(&degraded),
            failed: outcomes.len() - answered,
            retried: count(&|o| o.retried),
            incomplete: outcomes.iter().filter_map(|o| told(o, start)).take(INCOMPLETE_MAX).collect(),
            degraded_after_recovery: settled.map_or(0, |at| count(&|o| degraded(o) && o.at > at)),
            accuracy: share(correct, answered),
            p50_ms: percentile(&took, 50),
            p99_ms: percentile(&took, 99),
            recovery_s: recovered.map(|at| at.saturating_duration_since(start).as_secs_f64()),
        }
    }
}

/// What was wrong with an answer that is not complete.
fn told(outcome: &Outcome, start: Instant) -> Option<String> {
    let asked = outcome.asked.as_deref().unwrap_or("nobody");
    let at = outcome.at.saturating_duration_since(start).as_secs_f64();
    let took = outcome.took.as_millis();
    match &outcome.result {
        Answered::Yes { missing, .. } if missing.is_empty() => None,
        Answered::Yes { missing, .. } => {
            Some(format!("{at:.3} s in: {asked} answered without the parts {missing:?} after {took} ms"))
        }
        Answered::No { why } => Some(format!("{at:.3} s in: {asked} did not answer for {took} ms: {why}")),
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of requests are far below 2^52")]
fn share(of: usize, all: usize) -> Option<f64> {
    if all == 0 { None } else { Some(of as f64 / all as f64) }
}

/// Nearest rank, ms.
fn percentile(sorted: &[Duration], percent: usize) -> Option<f64> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).map(|took| took.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let took: Vec<Duration> = (1..=200).map(Duration::from_millis).collect();
        assert_eq!(percentile(&took, 50), Some(100.0));
        assert_eq!(percentile(&took, 99), Some(198.0));
        assert_eq!(percentile(&[], 50), None);
    }

    #[test]
    fn a_step_counts_every_request_once() {
        let start = Instant::now();
        let took = Duration::from_millis(5);
        let outcome = |result, retried| Outcome { at: start, took, retried, asked: Some("a".to_owned()), result };
        let outcomes = [
            outcome(Answered::Yes { missing: vec![], correct: true }, false),
            outcome(Answered::Yes { missing: vec![1, 3], correct: false }, true),
            outcome(Answered::No { why: "it is away".to_owned() }, true),
        ];
        let step = StepReport::count("steady", &outcomes, start, None);
        assert_eq!((step.requests, step.complete, step.degraded, step.failed, step.retried), (3, 1, 1, 1, 2));
        assert_eq!(step.accuracy, Some(0.5));
        assert_eq!(step.recovery_s, None);
        let told = [
            "0.000 s in: a answered without the parts [1, 3] after 5 ms",
            "0.000 s in: a did not answer for 5 ms: it is away",
        ];
        assert_eq!(step.incomplete, told);
    }
}
