//! T2: a node falls silent, with its connections standing: it is stopped by a signal, or its link loses everything.

use super::{LabError, Measured, Series, Site, Statistic, Trials, noted_by_all, noted_first, others};

/// From the silence to the first suspicion, and until all have given it up, s.
const LIMITS_S: (f64, f64) = (1.5, 4.0);

pub(super) fn measure(site: &mut Site, trials: &Trials) -> Result<Measured, LabError> {
    let mut random = trials.random("silent death");
    let ways = ["stopped", "cut off"];
    let mut series = ways.map(|way| {
        [
            Series::new(&format!("{way}: suspected"), "s").at_most_and_quick(Statistic::Max, LIMITS_S.0),
            Series::new(&format!("{way}: routed around by all"), "s"),
            Series::new(&format!("{way}: given up by all"), "s").at_most_and_quick(Statistic::Max, LIMITS_S.1),
        ]
    });
    // As many of each.
    for trial in 0..trials.many.next_multiple_of(2) {
        let (way, victim) = (trial % 2, random.below(site.nodes()));
        // At another point of the others' rhythm each time.
        site.pause(std::time::Duration::from_secs_f64(random.unit() * 0.6))?;
        let (id, rest) = (site.id(victim)?, others(site, &[victim]));
        let silent = if way == 0 {
            let at = crate::harness::Moment::now();
            site.mesh_mut().node(victim).freeze()?;
            at
        } else {
            site.cut(victim)?
        };
        let given_up = noted_by_all(site, &rest, silent, "down", id)?;
        let suspected = noted_first(site, &rest, silent, "suspected", id).map(|at| at.since(silent));
        let around = noted_by_all(site, &rest, silent, "unroutable", id)?;
        let took = [suspected, around, given_up].map(|took| took.map(|took| took.as_secs_f64()));
        for (series, took) in series[way].iter_mut().zip(took) {
            series.push(took);
        }
        let [suspected, _, given_up] = took.map(super::measured_s);
        let text = format!("T2 {}: {}: suspected {suspected}, given up by all {given_up}", trial + 1, ways[way]);
        site.say(&text);
        site.restore()?;
    }
    Ok(Measured { series: series.into_iter().flatten().collect(), ..Measured::on(site, 2) })
}
