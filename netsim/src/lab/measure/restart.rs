//! T7: a node is killed and started again at once, as a service manager does.

use super::{Count, LabError, Measured, PATIENCE, Series, Site, Statistic, Trials, others};
use crate::harness::{Moment, Question};

/// From the start of the process, s.
const LIMIT_S: f64 = 2.0;

pub(super) fn measure(site: &mut Site, trials: &Trials) -> Result<Measured, LabError> {
    let mut random = trials.random("restart");
    let mut answers = Series::new("it answers a request in full", "s").at_most(Statistic::Max, LIMIT_S);
    let mut used = Series::new("the others use its students", "s").at_most(Statistic::Max, LIMIT_S);
    let mut strangers = 0;
    for trial in 1..=trials.few {
        let holders = holders(site)?;
        let victim = *random.pick(&holders).ok_or_else(|| LabError::Unmeasured("nobody holds a part".to_owned()))?;
        let (id, rest) = (site.id(victim)?, others(site, &[victim]));
        site.kill(&[victim])?;
        let start = Moment::now();
        site.start_again(victim)?;
        strangers += usize::from(site.id(victim)? != id);
        let (mut answered, mut in_use) = (None, None);
        site.watch(PATIENCE, |site| {
            if answered.is_none() && answers_in_full(site, victim)? {
                answered = Some(Moment::now().since(start).as_secs_f64());
            }
            if in_use.is_none() && is_used(site, rest[0], victim)? {
                in_use = Some(Moment::now().since(start).as_secs_f64());
            }
            Ok(answered.and(in_use))
        })?;
        site.say(&format!(
            "T7 {trial}/{}: answers {}, used by others {}",
            trials.few,
            super::measured_s(answered),
            super::measured_s(in_use)
        ));
        answers.push(answered);
        used.push(in_use);
        site.restore()?;
    }
    let counts = vec![Count::at_most("restarts with another identity", strangers, 0)];
    Ok(Measured { series: vec![answers, used], counts, ..Measured::on(site, 7) })
}

/// Nodes that hold a part, as one of them sees it.
fn holders(site: &Site) -> Result<Vec<usize>, LabError> {
    let status = site.status()?;
    Ok(site.indices(&status.parts.iter().flat_map(|part| part.ready.iter().copied()).collect()))
}

fn answers_in_full(site: &Site, node: usize) -> Result<bool, LabError> {
    let service = &site.options().service;
    let (image, _) = service.images.nth(0);
    let question = Question {
        model: &service.model,
        image,
        shape: service.images.shape(),
        deadline: site.load_options().attempt,
        min_parts: service.parts,
    };
    Ok(site.mesh().nodes()[node].client()?.infer(&question).is_ok_and(|reply| !reply.is_degraded()))
}

/// Whether `observer` has `node` among the ready replicas of some part.
fn is_used(site: &Site, observer: usize, node: usize) -> Result<bool, LabError> {
    let id = site.id(node)?;
    let status = site.mesh().nodes()[observer].status()?;
    Ok(status.parts.iter().any(|part| part.ready.contains(&id)))
}
