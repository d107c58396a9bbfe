//! What a soak came to (schema `rocoin.soak/1`).

use std::collections::BTreeSet;
use std::time::Instant;

use serde::Serialize;

use super::WITNESSES;
use crate::harness::{Answered, Outcome};
use crate::lab::measure::quantile;
use crate::lab::{GroundKind, Site};

/// A witness's memory may grow by this share of what it was, and so many bytes; and its descriptors by so many. Compared are the
/// medians of the second and of the last quarter of the soak: the first is for filling caches.
const RESIDENT_GROWTH: (f64, f64) = (0.15, 4e6);
const DESCRIPTORS_GROWTH: f64 = 8.0;
/// Reasons of failed requests that are kept.
const REASONS_MAX: usize = 20;

/// One fault.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FaultEntry {
    /// From the soak's start, s.
    pub at_s: f64,
    /// For so long, s.
    pub lasts_s: f64,
    /// What, for people.
    pub what: String,
}

/// Outcomes of requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// With every part.
    pub complete: usize,
    /// Without some part.
    pub degraded: usize,
    /// Not at all.
    pub failed: usize,
    /// Of all these, at the second attempt.
    pub retried: usize,
    /// Of the answered, with the right class.
    pub right: usize,
}

impl Tally {
    fn of(outcomes: &[Outcome]) -> Self {
        let count = |of: &dyn Fn(&Outcome) -> bool| outcomes.iter().filter(|outcome| of(outcome)).count();
        Self {
            complete: count(&Outcome::is_complete),
            degraded: count(&Outcome::is_degraded),
            failed: count(&Outcome::is_failed),
            retried: count(&|outcome| outcome.retried),
            right: count(&|outcome| matches!(outcome.result, Answered::Yes { correct: true, .. })),
        }
    }

    fn add(&mut self, other: Self) {
        self.complete += other.complete;
        self.degraded += other.degraded;
        self.failed += other.failed;
        self.retried += other.retried;
        self.right += other.right;
    }

    /// Requests that have an outcome.
    pub fn total(&self) -> usize {
        self.complete + self.degraded + self.failed
    }
}

/// What was seen at one time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sample {
    /// From the soak's start, s.
    pub at_s: f64,
    /// What ended since the sample before.
    pub requests: Tally,
    /// The slowest answer among these, ms.
    pub slowest_ms: f64,
    /// Nodes that run and are not stopped.
    pub well: usize,
    /// Resident memory, bytes, a node; 0 of one that does not run.
    pub resident_bytes: Vec<u64>,
    /// Open descriptors, a node; 0 of one that does not run.
    pub descriptors: Vec<usize>,
}

/// The whole.
#[derive(Debug, Clone, Serialize)]
pub struct SoakReport {
    /// `rocoin.soak/1`.
    pub schema: &'static str,
    /// Nodes.
    pub nodes: usize,
    /// What they stood on.
    pub ground: GroundKind,
    /// Requests asked.
    pub asked: usize,
    /// Their outcomes.
    pub requests: Tally,
    /// Of failed requests, for people; some of them.
    pub reasons: BTreeSet<String>,
    /// All of them, in order.
    pub faults: Vec<FaultEntry>,
    /// Every few seconds.
    pub samples: Vec<Sample>,
    /// What was wrong with the mesh at the end, when all faults were over; `null` if nothing.
    pub final_trouble: Option<String>,
    /// What had to hold and did not, for people; empty if all held.
    pub unmet: Vec<String>,
}

impl SoakReport {
    pub(super) fn new(nodes: usize, ground: GroundKind) -> Self {
        Self {
            schema: "rocoin.soak/1",
            nodes,
            ground,
            asked: 0,
            requests: Tally::default(),
            reasons: BTreeSet::new(),
            faults: Vec::new(),
            samples: Vec::new(),
            final_trouble: None,
            unmet: Vec::new(),
        }
    }

    /// Takes a sample.
    pub(super) fn take(&mut self, site: &Site, start: Instant, outcomes: &[Outcome]) {
        let requests = Tally::of(outcomes);
        self.requests.add(requests);
        for outcome in outcomes {
            if let Answered::No { why } = &outcome.result
                && self.reasons.len() < REASONS_MAX
            {
                self.reasons.insert(why.clone());
            }
        }
        let slowest = outcomes.iter().filter(|outcome| !outcome.is_failed()).map(|outcome| outcome.took).max();
        let nodes = site.mesh().nodes();
        self.samples.push(Sample {
            at_s: start.elapsed().as_secs_f64(),
            requests,
            slowest_ms: slowest.unwrap_or_default().as_secs_f64() * 1e3,
            well: site.well().len(),
            resident_bytes: nodes.iter().map(|node| node.resident_bytes().unwrap_or(0)).collect(),
            descriptors: nodes.iter().map(|node| node.descriptors().unwrap_or(0)).collect(),
        });
    }

    /// Judges.
    pub(super) fn finish(&mut self, site: &Site) {
        let mut unmet = Vec::new();
        let mut demand = |holds: bool, what: String| {
            if !holds {
                unmet.push(what);
            }
        };
        let (asked, ended) = (self.asked, self.requests.total());
        demand(asked == ended, format!("each request has one outcome: {asked} were asked, {ended} ended"));
        demand(self.requests.failed == 0, format!("no request is lost ({} were)", self.requests.failed));
        if let Some(trouble) = &self.final_trouble {
            demand(false, format!("the mesh is whole at the end: {trouble}"));
        }
        for (_, status) in site.mesh().statuses() {
            let open = status.open_requests + status.queued_jobs;
            demand(open == 0, format!("{} has nothing open at the end ({open})", status.name));
        }
        for witness in 0..WITNESSES.min(self.nodes) {
            #[expect(clippy::cast_precision_loss, reason = "bytes of a process")]
            let resident = |sample: &Sample| sample.resident_bytes[witness] as f64;
            #[expect(clippy::cast_precision_loss, reason = "descriptors of a process")]
            let descriptors = |sample: &Sample| sample.descriptors[witness] as f64;
            if let Some((early, late)) = self.early_and_late(resident) {
                let most = early * (1.0 + RESIDENT_GROWTH.0) + RESIDENT_GROWTH.1;
                let text =
                    format!("memory of witness {witness} is flat: {:.1} MB, then {:.1}", early / 1e6, late / 1e6);
                demand(late <= most, text);
            }
            if let Some((early, late)) = self.early_and_late(descriptors) {
                let text = format!("descriptors of witness {witness} are flat: {early}, then {late}");
                demand(late <= early + DESCRIPTORS_GROWTH, text);
            }
        }
        self.unmet = unmet;
    }

    /// The medians of the second and of the last quarter.
    pub fn early_and_late(&self, of: impl Fn(&Sample) -> f64) -> Option<(f64, f64)> {
        let quarter = self.samples.len() / 4;
        let median = |samples: &[Sample]| {
            let values: Vec<f64> = samples.iter().map(&of).filter(|value| *value > 0.0).collect();
            quantile(&values, 0.5)
        };
        median(&self.samples[quarter..2 * quarter]).zip(median(&self.samples[self.samples.len() - quarter..]))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn sample(at_s: f64, resident: u64) -> Sample {
        Sample {
            at_s,
            requests: Tally::default(),
            slowest_ms: 0.0,
            well: 1,
            resident_bytes: vec![resident],
            descriptors: vec![10],
        }
    }

    #[test]
    fn growth_is_judged_between_the_second_and_the_last_quarter() {
        let mut report = SoakReport::new(1, GroundKind::Loopback);
        report.samples = [1, 1, 5, 5, 6, 6, 9, 9].iter().map(|mb| sample(0.0, *mb)).collect();
        #[expect(clippy::cast_precision_loss, reason = "a test")]
        let resident = |sample: &Sample| sample.resident_bytes[0] as f64;
        assert_eq!(report.early_and_late(resident), Some((5.0, 9.0)));
    }

    #[test]
    fn each_outcome_is_counted_in_one_place() {
        let (at, took) = (Instant::now(), Duration::from_millis(1));
        let outcome = |result, retried| Outcome { at, took, retried, asked: None, result };
        let tally = Tally::of(&[
            outcome(Answered::Yes { missing: vec![], correct: true }, false),
            outcome(Answered::Yes { missing: vec![2], correct: false }, true),
            outcome(Answered::No { why: "it is away".to_owned() }, true),
        ]);
        assert_eq!(tally, Tally { complete: 1, degraded: 1, failed: 1, retried: 2, right: 1 });
        assert_eq!(tally.total(), 3);
    }
}
