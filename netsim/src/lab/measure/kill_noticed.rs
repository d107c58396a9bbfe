//! T1: a process is killed. Its connections close, and every other node must stop routing to it.

use super::{LabError, Measured, Series, Site, Statistic, Trials, noted_by_all, others};

pub(super) fn measure(site: &mut Site, trials: &Trials) -> Result<Measured, LabError> {
    let mut random = trials.random("kill noticed");
    let mut noticed = Series::new("routed around by all", "s").at_most_and_quick(Statistic::Max, 0.1);
    for trial in 1..=trials.many {
        let victim = random.below(site.nodes());
        let (id, rest) = (site.id(victim)?, others(site, &[victim]));
        let killed = site.kill(&[victim])?;
        let took = noted_by_all(site, &rest, killed, "unroutable", id)?.map(|took| took.as_secs_f64());
        site.say(&format!("T1 {trial}/{}: {}", trials.many, super::measured_s(took)));
        noticed.push(took);
        site.restore()?;
    }
    Ok(Measured { series: vec![noticed], ..Measured::on(site, 1) })
}
