//! T9: all replicas of one part are killed under load. Others load its student from what they keep on disk.

use std::time::Duration;

use super::{Count, LabError, Measured, PATIENCE, Requests, Series, Site, Statistic, Trials, noted_first, others};
use super::{agrees, reasons};
use crate::harness::{Moment, victims};

/// From the verdict over the last of the group, s.
const LIMIT_S: f64 = 3.0;
/// Answers are whole once none was degraded for so long.
const REST: Duration = Duration::from_secs(2);

pub(super) fn measure(site: &mut Site, trials: &Trials) -> Result<Measured, LabError> {
    let mut after_verdict = Series::new("answers whole after the verdict", "s").at_most(Statistic::Max, LIMIT_S);
    let mut after_kill = Series::new("answers whole after the kill", "s");
    let (mut requests, mut undegraded, mut more_than_one, mut notes) = (Requests::default(), 0, 0, Vec::new());
    for trial in 1..=trials.few {
        site.rest()?;
        let ids = victims::whole_group(&site.status()?);
        let group = site.indices(&ids);
        let rest = others(site, &group);
        let mut load = site.load(&rest)?;
        site.pause(Duration::from_secs(1))?;
        load.take_outcomes();
        // The load's clock, and that of the nodes' events.
        let (clock, killed) = (std::time::Instant::now(), site.kill(&group)?);
        let whole = site.watch(super::super::site::WHOLE_WITHIN, |site| Ok(site.whole(&rest).is_ok().then_some(())))?;
        site.pause(REST)?;
        let outcomes = load.stop();
        let last = outcomes.iter().filter(|outcome| !outcome.is_complete()).map(|outcome| outcome.at).max();
        let healed = last.map(|at| at.saturating_duration_since(clock));
        let mut verdict = Some(killed);
        for id in &ids {
            verdict = verdict.max(noted_first(site, &rest, killed, "down", *id));
        }
        let verdict = verdict.map_or(Duration::ZERO, |at: Moment| at.since(killed));
        let healed = whole.map(|()| healed.unwrap_or_default());
        undegraded += usize::from(last.is_none());
        after_kill.push(healed.map(|healed| healed.as_secs_f64()));
        after_verdict.push(healed.map(|healed| healed.saturating_sub(verdict).as_secs_f64()));
        requests.add(&outcomes);
        notes.extend(reasons(&outcomes));
        more_than_one += usize::from(!agrees(site, &rest)?);
        site.say(&format!(
            "T9 {trial}/{}: {} killed, whole after {:.2} s, verdict after {:.2} s",
            trials.few,
            group.len(),
            healed.unwrap_or(PATIENCE).as_secs_f64(),
            verdict.as_secs_f64()
        ));
        site.restore()?;
    }
    let mut counts = requests.counts(None).to_vec();
    counts.push(Count::of("trials without a degraded answer", undegraded));
    counts.push(Count::at_most("trials that ended with several epochs", more_than_one, 0));
    Ok(Measured { series: vec![after_verdict, after_kill], counts, notes, ..Measured::on(site, 9) })
}
