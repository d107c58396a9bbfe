//! What a scenario demands of its run, besides that no invariant breaks.

use serde::{Deserialize, Serialize};

use super::ScenarioError;
use super::source::Source;
use crate::run::{Report, Tally};

/// The `[expect]` table; what it leaves out is not demanded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expect {
    /// Requests that clients made, at least.
    pub requests_min: Option<u64>,
    /// The share of them that was answered, at least.
    pub answered_share_min: Option<f64>,
    /// The share that was answered with every part, at least.
    pub complete_share_min: Option<f64>,
    /// The share of answers that named the right class, at least.
    pub right_share_min: Option<f64>,
    /// The median time to an answer, at most.
    pub latency_p50_s_max: Option<f64>,
    /// 99 of 100 answers came within this, at most.
    pub latency_p99_s_max: Option<f64>,
    /// From the end of faults until the mesh was one again, at most.
    pub recovery_s_max: Option<f64>,
    /// Availability and ρ-latency are off the planner's by so many standard errors, at most; needs `runs_fail`.
    pub as_planned_errors_max: Option<f64>,
}

impl Expect {
    pub(super) fn check(&self, source: &Source<'_>, recovers: bool, runs_fail: bool) -> Result<(), ScenarioError> {
        let shares = [
            ("answered_share_min", self.answered_share_min),
            ("complete_share_min", self.complete_share_min),
            ("right_share_min", self.right_share_min),
        ];
        for (name, share) in shares {
            let key = format!("expect.{name}");
            share.map_or(Ok(()), |s| source.check(&key, s, "a share from 0 to 1", |s| (0.0..=1.0).contains(&s)))?;
        }
        let times = [
            ("latency_p50_s_max", self.latency_p50_s_max),
            ("latency_p99_s_max", self.latency_p99_s_max),
            ("recovery_s_max", self.recovery_s_max),
        ];
        for (name, time) in times {
            let key = format!("expect.{name}");
            time.map_or(Ok(()), |t| source.check(&key, t, "a number of seconds greater than 0", |t| t > 0.0))?;
        }
        if let Some(errors) = self.as_planned_errors_max {
            let key = "expect.as_planned_errors_max";
            source.check(key, errors, "a number of standard errors greater than 0", |e| e > 0.0)?;
            if !runs_fail {
                return Err(source.form(key, "as_planned_errors_max without runs_fail = true: nothing fails by chance"));
            }
        }
        if self.recovery_s_max.is_some() && !recovers {
            let what = "recovery_s_max without a [recovery] table: add one, with within_s";
            return Err(source.form("expect.recovery_s_max", what));
        }
        Ok(())
    }

    /// What a run misses, for people; empty if nothing.
    pub fn missed(&self, report: &Report) -> Vec<String> {
        let tally = &report.tally;
        let mut missed = Vec::new();
        let mut demand = |name: &str, found: Option<f64>, bound: Option<f64>, least: bool, unit: &str| {
            let Some(bound) = bound else { return };
            let met = found.is_some_and(|found| if least { found >= bound } else { found <= bound });
            if !met {
                let found = found.map_or("none".to_owned(), |f| format!("{f:.4}{unit}"));
                let word = if least { "least" } else { "most" };
                missed.push(format!("{name}: {found}, expected at {word} {bound}{unit}"));
            }
        };
        #[expect(clippy::cast_precision_loss, reason = "fewer than 2^53 requests")]
        let (total, requests_min) = (tally.total() as f64, self.requests_min.map(|min| min as f64));
        demand("requests", Some(total), requests_min, true, "");
        demand("answered share", share(tally.answered(), tally.total()), self.answered_share_min, true, "");
        demand("complete share", share(tally.complete(), tally.total()), self.complete_share_min, true, "");
        demand("right share", share(tally.right, tally.answered()), self.right_share_min, true, "");
        demand("latency p50", quantile(tally, 0.5), self.latency_p50_s_max, false, " s");
        demand("latency p99", quantile(tally, 0.99), self.latency_p99_s_max, false, " s");
        let recovery = report.recovered.map(|recovered| recovered.after.as_secs_f64());
        demand("recovery", recovery, self.recovery_s_max, false, " s");
        let errors = report.agreement.map(|agreement| agreement.errors());
        demand("off the planner's promise", errors, self.as_planned_errors_max, false, " standard errors");
        missed
    }
}

#[expect(clippy::cast_precision_loss, reason = "fewer than 2^53 requests")]
fn share(part: u64, of: u64) -> Option<f64> {
    (of > 0).then(|| part as f64 / of as f64)
}

fn quantile(tally: &Tally, share: f64) -> Option<f64> {
    tally.quantile(share).map(|latency| latency.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use rocoin::time::{Duration, Instant};

    use super::*;
    use crate::fact::Outcome;
    use crate::planned::{Agreement, Share};
    use crate::run::Recovered;

    fn agreement() -> Option<Agreement> {
        let availability = Share { promised: 0.9, found: 0.93, error: 0.02 };
        Some(Agreement { requests: 100, availability, latency_rho_s: None, within_latency_rho: None, right: None })
    }

    fn report() -> Report {
        let outcomes = [(Outcome::Complete, 90), (Outcome::Degraded, 5), (Outcome::Lost, 5)].into();
        let latencies = (1..=95).map(Duration::from_millis).collect();
        let tally = Tally { outcomes, retried: 3, right: 76, latencies };
        Report {
            violation: None,
            tally,
            traffic: crate::run::Traffic::default(),
            ended: Instant::ZERO,
            recovered: Some(Recovered { after: Duration::from_secs(4), serves: true }),
            agreement: agreement(),
        }
    }

    #[test]
    fn what_is_not_demanded_cannot_be_missed_and_what_is_met_is_not() {
        assert_eq!(Expect::default().missed(&report()), Vec::<String>::new());
        let met = Expect {
            requests_min: Some(100),
            answered_share_min: Some(0.95),
            complete_share_min: Some(0.9),
            right_share_min: Some(0.8),
            latency_p50_s_max: Some(0.048),
            latency_p99_s_max: Some(0.095),
            recovery_s_max: Some(4.0),
            as_planned_errors_max: Some(1.6),
        };
        assert_eq!(met.missed(&report()), Vec::<String>::new());
    }

    #[test]
    fn each_demand_can_be_missed() {
        let missed = Expect {
            requests_min: Some(101),
            answered_share_min: Some(0.96),
            complete_share_min: Some(0.91),
            right_share_min: Some(0.81),
            latency_p50_s_max: Some(0.047),
            latency_p99_s_max: Some(0.094),
            recovery_s_max: Some(3.9),
            as_planned_errors_max: Some(1.4),
        };
        let missed = missed.missed(&report());
        assert_eq!(missed.len(), 8, "{missed:?}");
        assert_eq!(missed[1], "answered share: 0.9500, expected at least 0.96");
        assert_eq!(missed[6], "recovery: 4.0000 s, expected at most 3.9 s");
    }
}
