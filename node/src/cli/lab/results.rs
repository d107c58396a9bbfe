//! What measurements came to: for people, and as `rocoin.lab/1`.

use std::num::NonZeroUsize;

use rocoin_netsim::lab::measure::{Measured, Series, Statistic, Trials};
use serde_json::{Value, json};

use crate::cli::provenance::with_provenance;
use crate::cli::text::aligned;

/// The schema of `--json`.
const SCHEMA: &str = "rocoin.lab/1";

/// All measurements of one run.
#[derive(Debug)]
pub(super) struct Results {
    seed: u64,
    quick: bool,
    trials: Value,
    load: [Option<f64>; 2],
    measured: Vec<Measured>,
    pub(super) wall_s: f64,
}

impl Results {
    pub(super) fn new(seed: u64, quick: bool, trials: &Trials) -> Self {
        let load = [load_average(), None];
        Self { seed, quick, trials: json!(trials), load, measured: Vec::new(), wall_s: 0.0 }
    }

    pub(super) fn add(&mut self, measured: Measured) {
        self.measured.push(measured);
        self.load[1] = load_average();
    }

    pub(super) fn all(&self) -> &[Measured] {
        &self.measured
    }

    /// What does not hold, for people.
    pub(super) fn misses(&self) -> Vec<String> {
        let of = |m: &Measured| {
            let at = format!("{} with {} nodes", m.target, m.nodes);
            m.misses(self.quick).into_iter().map(move |miss| format!("{at}: {miss}"))
        };
        self.measured.iter().flat_map(of).collect()
    }

    pub(super) fn to_json(&self) -> Value {
        let result = json!({
            "schema": SCHEMA,
            "seed": self.seed,
            "configuration": { "quick": self.quick, "trials": self.trials },
            "load_average": { "before": self.load[0], "after": self.load[1] },
            "measured": self.measured.iter().map(Measured::to_json).collect::<Vec<_>>(),
            "misses": self.misses(),
        });
        with_provenance(result, NonZeroUsize::MIN, self.wall_s)
    }

    /// The last lines, for people.
    pub(super) fn summary(&self) -> String {
        let misses = self.misses();
        let shown = |load: Option<f64>| load.map_or("unknown".to_owned(), |load| format!("{load:.1}"));
        let [before, after] = self.load.map(shown);
        let mut text = format!("{:.0} s; load average {before} before, {after} after.\n", self.wall_s);
        for miss in &misses {
            text += &format!("missed: {miss}\n");
        }
        if misses.is_empty() {
            text += if self.quick { "All held that a quick check demands.\n" } else { "All targets are met.\n" };
        }
        text
    }
}

/// One measurement, for people.
pub(super) fn table(measured: &Measured, quick: bool) -> String {
    let mut rows = vec![["", "p50", "p99", "max", "trials", "at most", ""].map(str::to_owned).to_vec()];
    rows.extend(measured.series.iter().map(|series| row(series, quick)));
    let mut text = format!("{}, {} nodes: {}\n", measured.target, measured.nodes, measured.target.what());
    if !measured.series.is_empty() {
        text += &aligned(&rows);
    }
    let counts = measured.counts.iter().map(|count| {
        let most = count.most.map_or(String::new(), |most| format!("at most {most}"));
        let held = match count.most {
            Some(most) if count.value > most => "missed",
            Some(_) => "met",
            None => "",
        };
        vec![count.name.clone(), count.value.to_string(), most, held.to_owned()]
    });
    text += &aligned(&counts.collect::<Vec<_>>());
    for note in &measured.notes {
        text += &format!("  ({note})\n");
    }
    text + "\n"
}

fn row(series: &Series, quick: bool) -> Vec<String> {
    let number = |of| series.statistic(of).map_or("-".to_owned(), |value| format!("{value:.3} {}", series.unit));
    let limits: Vec<_> =
        series.limits.iter().map(|limit| format!("{} {:.3} {}", limit.of.name(), limit.most, series.unit)).collect();
    let held = match (series.limits.is_empty(), series.misses(false).is_empty()) {
        (true, true) => "",
        (false, true) => "met",
        _ if quick && series.misses(true).is_empty() => "missed, within noise",
        _ => "missed",
    };
    let [p50, p99, max] = [Statistic::P50, Statistic::P99, Statistic::Max].map(number);
    vec![series.name.clone(), p50, p99, max, series.trials().to_string(), limits.join(", "), held.to_owned()]
}

/// Of the last minute; the machine's own, whatever else runs on it.
fn load_average() -> Option<f64> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()
}
