//! T8: one replica of every group is killed, each at a random instant, under load.

use std::time::{Duration, Instant};

use super::series::quantile;
use super::{Count, LabError, Measured, Requests, Series, Site, Statistic, Trials, others, reasons};
use crate::harness::{Outcome, victims};

/// The kills fall into this time.
const KILLS: Duration = Duration::from_secs(1);
/// Requests are looked at for so long, undisturbed and disturbed each.
const LOOK: Duration = Duration::from_secs(4);
/// The 99th percentile may grow so many times.
const P99_GROWTH: f64 = 1.5;

pub(super) fn measure(site: &mut Site, trials: &Trials) -> Result<Measured, LabError> {
    let mut random = trials.random("replica losses");
    let (mut requests, mut notes) = (Requests::default(), Vec::new());
    let (mut calm, mut hurt) = (Vec::new(), Vec::new());
    for trial in 1..=trials.many {
        let victims = site.indices(&victims::one_per_group(&site.status()?));
        // Through nodes that live: a client of a node that dies asks another, which is not what is measured.
        let mut load = site.load(&others(site, &victims))?;
        // The first requests open connections.
        site.pause(Duration::from_secs(1))?;
        load.take_outcomes();
        site.pause(LOOK)?;
        calm.extend(latencies_ms(&load.take_outcomes()));
        let start = Instant::now();
        let mut instants: Vec<_> = victims.iter().map(|victim| (KILLS.mul_f64(random.unit()), *victim)).collect();
        instants.sort_unstable();
        for (instant, victim) in instants {
            site.pause(instant.saturating_sub(start.elapsed()))?;
            site.kill(&[victim])?;
        }
        site.pause(LOOK.saturating_sub(start.elapsed()))?;
        let outcomes = load.stop();
        hurt.extend(latencies_ms(&outcomes));
        requests.add(&outcomes);
        notes.extend(reasons(&outcomes));
        let text = format!("T8 {trial}/{}: {} killed, {} requests", trials.many, victims.len(), outcomes.len());
        site.say(&text);
        site.restore()?;
    }
    let limit = quantile(&calm, 0.99).unwrap_or_default() * P99_GROWTH;
    let mut undisturbed = Series::new("undisturbed answers", "ms");
    let mut disturbed = Series::new("answers while replicas die", "ms").at_most(Statistic::P99, limit);
    (undisturbed.values, disturbed.values) = (calm, hurt);
    let counts: Vec<Count> = requests.counts(Some(0)).to_vec();
    notes.push(format!("the limit is {P99_GROWTH} times the undisturbed p99"));
    Ok(Measured { series: vec![undisturbed, disturbed], counts, notes, ..Measured::on(site, 8) })
}

fn latencies_ms(outcomes: &[Outcome]) -> Vec<f64> {
    outcomes.iter().filter(|outcome| !outcome.is_failed()).map(|o| o.took.as_secs_f64() * 1e3).collect()
}
