//! T6: the leader is killed under load.

use std::time::Duration;

use super::{Count, LabError, Measured, PATIENCE, Requests, Series, Site, Statistic, Trials, agrees, epochs, leader};
use super::{noted_first, others, reasons};

/// From the first verdict that the leader is down, s.
const LIMIT_S: f64 = 1.5;
/// Before the kill, so that there are requests under way.
const BEFORE: Duration = Duration::from_secs(1);

pub(super) fn measure(site: &mut Site, trials: &Trials) -> Result<Measured, LabError> {
    let mut planned = Series::new("new plan after the verdict", "s").at_most_and_quick(Statistic::Max, LIMIT_S);
    let mut adopted = Series::new("adopted by all after the kill", "s");
    let (mut requests, mut more_than_one, mut notes) = (Requests::default(), 0, Vec::new());
    for trial in 1..=trials.many {
        let victim = leader(site)?;
        let (id, rest) = (site.id(victim)?, others(site, &[victim]));
        // A client of a node that dies asks another: the target is about everybody else's requests.
        let mut load = site.load(&rest)?;
        site.pause(BEFORE)?;
        let before = epochs(site, &rest);
        let killed = site.kill(&[victim])?;
        let plan = site.watch(PATIENCE, |site| {
            let plan = |site: &mut Site, node: &usize| {
                let event = site.events(*node, killed).iter().find(|event| event.event == "planned");
                event.map(|event| event.at)
            };
            Ok(rest.iter().filter_map(|node| plan(site, node)).min())
        })?;
        let everywhere = site.watch(PATIENCE, |site| {
            let now = epochs(site, &rest);
            let is_new = now.len() == 1 && now.is_disjoint(&before);
            Ok(is_new.then(|| crate::harness::Moment::now().since(killed).as_secs_f64()))
        })?;
        // A suspect is planned without after a while, so the plan may come before the verdict: then it is late by nothing.
        let verdict = noted_first(site, &rest, killed, "down", id);
        let took = plan.map(|at| verdict.map_or(0.0, |verdict| at.since(verdict).as_secs_f64()));
        planned.push(took);
        adopted.push(everywhere);
        let outcomes = load.stop();
        requests.add(&outcomes);
        notes.extend(reasons(&outcomes));
        more_than_one += usize::from(!agrees(site, &rest)?);
        let text = format!("T6 {trial}/{}: new plan {} after the verdict", trials.many, super::measured_s(took));
        site.say(&format!("{text}, adopted {} after the kill", super::measured_s(everywhere)));
        site.restore()?;
    }
    let mut counts = requests.counts(None).to_vec();
    counts.push(Count::at_most("trials that ended with several epochs", more_than_one, 0));
    Ok(Measured { series: vec![planned, adopted], counts, notes, ..Measured::on(site, 6) })
}
