//! What runs came to: for people, and as `rocoin.sim/1`.

use std::fmt::Write as _;
use std::num::NonZeroUsize;

use rocoin_netsim::planned::{Agreement, Share};
use rocoin_netsim::run::{Report, Tally, Traffic};
use serde_json::{Value, json};

use super::seeds::Seeds;
use super::world::Worlds;
use crate::cli::provenance::with_provenance;
use crate::cli::text::{aligned, percent};

/// The schema of `--json`.
pub(super) const SCHEMA: &str = "rocoin.sim/1";
/// Of so many recoveries no more than this share may have had nothing to serve: they show too little. Some times what the swarm has.
const UNSERVED_SHARE_MAX: f64 = 0.05;
const UNSERVED_RUNS_MIN: usize = 100;

/// One seed's outcome.
#[derive(Debug)]
pub(super) struct Run {
    seed: u64,
    report: Report,
    /// What was expected and is not so.
    missed: Vec<String>,
    reproduce: String,
}

impl Run {
    pub(super) fn new(worlds: &Worlds, seed: u64, report: Report) -> Self {
        // A run that an invariant ended early says nothing of the rest.
        let missed = if report.violation.is_some() { Vec::new() } else { worlds.expect().missed(&report) };
        Self { seed, report, missed, reproduce: worlds.reproduce(seed) }
    }

    /// What went wrong, for people; empty if all held.
    pub(super) fn told(&self) -> String {
        let mut text = String::new();
        if let Some(violation) = &self.report.violation {
            _ = writeln!(text, "seed {}: {violation}reproduce with: {}\n", self.seed, self.reproduce);
        }
        for missed in &self.missed {
            _ = writeln!(text, "seed {}: {missed}; reproduce with: {}", self.seed, self.reproduce);
        }
        text
    }
}

/// The outcome of all seeds.
#[derive(Debug)]
pub(super) struct Results<'a> {
    worlds: &'a Worlds,
    seeds: Seeds,
    jobs: NonZeroUsize,
    pub(super) wall_s: f64,
    simulated_s: f64,
    tally: Tally,
    traffic: Traffic,
    recoveries_s: Vec<f64>,
    /// Recoveries with no bundle left to serve.
    unserved: u64,
    /// Of scenarios that expect the planner's promise to hold.
    planned: Vec<(u64, Agreement)>,
    bad: Vec<Run>,
}

impl<'a> Results<'a> {
    pub(super) fn new(worlds: &'a Worlds, seeds: Seeds, jobs: NonZeroUsize) -> Self {
        let (tally, traffic) = (Tally::default(), Traffic::default());
        let (recoveries_s, planned, bad) = (Vec::new(), Vec::new(), Vec::new());
        Self {
            worlds,
            seeds,
            jobs,
            wall_s: 0.0,
            simulated_s: 0.0,
            tally,
            traffic,
            recoveries_s,
            unserved: 0,
            planned,
            bad,
        }
    }

    pub(super) fn add(&mut self, run: Run) {
        self.tally.add(&run.report.tally);
        self.traffic = self.traffic.plus(run.report.traffic);
        self.simulated_s += run.report.ended.since(rocoin::time::Instant::ZERO).as_secs_f64();
        self.recoveries_s.extend(run.report.recovered.map(|recovered| recovered.after.as_secs_f64()));
        self.unserved += u64::from(run.report.recovered.is_some_and(|recovered| !recovered.serves));
        if self.worlds.expect().as_planned_errors_max.is_some() {
            self.planned.extend(run.report.agreement.map(|agreement| (run.seed, agreement)));
        }
        if run.report.violation.is_some() || !run.missed.is_empty() {
            self.bad.push(run);
        }
    }

    /// Whether no invariant broke, nothing expected was missed, and recovery was mostly shown by requests.
    pub(super) fn holds(&self) -> bool {
        self.bad.is_empty() && !self.is_mostly_unserved()
    }

    fn is_mostly_unserved(&self) -> bool {
        let runs = self.recoveries_s.len();
        runs >= UNSERVED_RUNS_MIN && self.unserved as f64 > UNSERVED_SHARE_MAX * runs as f64
    }

    /// On the links, for each request.
    fn bytes_per_request(&self) -> Option<f64> {
        let total = self.tally.total();
        (total > 0).then(|| self.traffic.inference_bytes as f64 / total as f64)
    }

    fn latency_s(&self, share: f64) -> Option<f64> {
        self.tally.quantile(share).map(|latency| latency.as_secs_f64())
    }

    fn recovery_s(&self, share: f64) -> Option<f64> {
        let mut sorted = self.recoveries_s.clone();
        sorted.sort_by(f64::total_cmp);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
        let index = ((sorted.len() as f64 * share).ceil() as usize).saturating_sub(1);
        sorted.get(index).copied()
    }

    /// The shares of the tally, each `None` without requests.
    fn shares(&self) -> [(&'static str, Option<f64>); 3] {
        let share = |part: u64, of: u64| (of > 0).then(|| part as f64 / of as f64);
        let (tally, total) = (&self.tally, self.tally.total());
        [
            ("answered_share", share(tally.answered(), total)),
            ("complete_share", share(tally.complete(), total)),
            ("right_share", share(tally.right, tally.answered())),
        ]
    }

    pub(super) fn to_json(&self) -> Value {
        let shares = self.shares();
        let violations = self.bad.iter().filter_map(|run| {
            let violation = run.report.violation.as_ref()?;
            Some(json!({
                "seed": run.seed,
                "invariant": violation.invariant,
                "evidence": violation.evidence,
                "at_s": violation.at.since(rocoin::time::Instant::ZERO).as_secs_f64(),
                "reproduce": run.reproduce,
            }))
        });
        let missed = self.bad.iter().flat_map(|run| {
            run.missed.iter().map(|what| json!({"seed": run.seed, "missed": what, "reproduce": run.reproduce}))
        });
        let planned = self.planned.iter().map(|(seed, agreement)| {
            let mut value = json!(agreement);
            value["seed"] = json!(seed);
            value
        });
        let result = json!({
            "schema": SCHEMA,
            "configuration": self.worlds.configuration(),
            "seeds": self.seeds,
            "simulated_s": self.simulated_s,
            "violations": violations.collect::<Vec<_>>(),
            "missed": missed.collect::<Vec<_>>(),
            "requests": {
                "total": self.tally.total(),
                "outcomes": self.tally.outcomes,
                "retried": self.tally.retried,
                shares[0].0: shares[0].1,
                shares[1].0: shares[1].1,
                shares[2].0: shares[2].1,
                "latency_p50_s": self.latency_s(0.5),
                "latency_p99_s": self.latency_s(0.99),
                "inference_messages": self.traffic.inference_messages,
                "inference_bytes": self.traffic.inference_bytes,
                "inference_bytes_per_request": self.bytes_per_request(),
            },
            "planned": planned.collect::<Vec<_>>(),
            "recovery": {
                "runs": self.recoveries_s.len(),
                "nothing_to_serve": self.unserved,
                "p50_s": self.recovery_s(0.5),
                "max_s": self.recovery_s(1.0),
            },
        });
        with_provenance(result, self.jobs, self.wall_s)
    }

    /// For people.
    pub(super) fn summary(&self) -> String {
        let or_none = |number: Option<f64>, unit: fn(f64) -> String| number.map_or("none".to_owned(), unit);
        let seconds = |s: f64| format!("{s:.3} s");
        let mut rows = vec![
            vec!["seeds".to_owned(), self.seeds.count().to_string()],
            vec!["simulated".to_owned(), format!("{:.0} s in {:.1} s", self.simulated_s, self.wall_s)],
            vec!["requests".to_owned(), self.tally.total().to_string()],
        ];
        for (outcome, count) in &self.tally.outcomes {
            let name = serde_json::to_value(outcome).ok();
            let name = name.as_ref().and_then(Value::as_str).unwrap_or_default().replace('_', " ");
            rows.push(vec![format!("  {name}"), count.to_string()]);
        }
        for (name, share) in self.shares() {
            rows.push(vec![name.replace('_', " "), or_none(share, percent)]);
        }
        let bytes = |bytes: f64| format!("{bytes:.0} bytes");
        rows.push(vec!["traffic a request".to_owned(), or_none(self.bytes_per_request(), bytes)]);
        rows.push(vec!["latency p50".to_owned(), or_none(self.latency_s(0.5), seconds)]);
        rows.push(vec!["latency p99".to_owned(), or_none(self.latency_s(0.99), seconds)]);
        rows.push(vec!["recovery at most".to_owned(), or_none(self.recovery_s(1.0), seconds)]);
        if self.unserved > 0 {
            let lost = format!("{} of {}, all copies lost to faults", self.unserved, self.recoveries_s.len());
            rows.push(vec!["  with nothing to serve".to_owned(), lost]);
        }
        for (seed, agreement) in &self.planned {
            let share = |share: Share| {
                format!(
                    "{} found, {} planned, standard error {}",
                    percent(share.found),
                    percent(share.promised),
                    percent(share.error)
                )
            };
            rows.push(vec![format!("seed {seed}: availability"), share(agreement.availability)]);
            if let (Some(latency), Some(within)) = (agreement.latency_rho_s, agreement.within_latency_rho) {
                rows.push(vec![format!("seed {seed}: in {latency:.1} s"), share(within)]);
            }
            if let Some(right) = agreement.right {
                rows.push(vec![format!("seed {seed}: right"), share(right)]);
            }
        }
        let mut text = aligned(&rows);
        let violations = self.bad.iter().filter(|run| run.report.violation.is_some()).count();
        let missed = self.bad.len() - violations;
        text += &match (violations, missed) {
            (0, 0) if self.is_mostly_unserved() => {
                format!("Too many recoveries had nothing to serve: at most {} may.\n", percent(UNSERVED_SHARE_MAX))
            }
            (0, 0) => "All held.\n".to_owned(),
            _ => format!("Did not hold: {violations} seeds with a violation, {missed} with a missed expectation.\n"),
        };
        text
    }
}
