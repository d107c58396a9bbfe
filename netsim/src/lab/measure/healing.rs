//! T5: the mesh is cut in two halves under load; each becomes whole by itself; the cut heals.

use std::time::Duration;

use super::{Count, LabError, Measured, Requests, Series, Site, Statistic, Trials, agrees, reasons};

/// From the healing, s.
const LIMIT_S: f64 = 4.0;
/// Each half goes on for so long once it is whole.
const APART: Duration = Duration::from_secs(2);
/// What follows the healing is looked at for so long.
const AFTERMATH: Duration = Duration::from_secs(3);

pub(super) fn measure(site: &mut Site, trials: &Trials) -> Result<Measured, LabError> {
    let mut healed = Series::new("one view and one epoch", "s").at_most_and_quick(Statistic::Max, LIMIT_S);
    let mut halved = Series::new("each half whole after the cut", "s");
    let (mut requests, mut more_than_one, mut notes) = (Requests::default(), 0, Vec::new());
    let all: Vec<usize> = (0..site.nodes()).collect();
    let mut shuffled = all.clone();
    let mut random = trials.random("healing");
    for trial in 1..=trials.few {
        random.shuffle(&mut shuffled);
        let (left, right) = shuffled.split_at(shuffled.len() / 2);
        let mut load = site.load(&all)?;
        let cut = site.part(&[left, right])?;
        let whole = site.watch(super::super::site::WHOLE_WITHIN, |site| {
            let is_whole = site.whole(left).is_ok() && site.whole(right).is_ok();
            Ok(is_whole.then(|| crate::harness::Moment::now().since(cut)))
        })?;
        halved.push(whole.map(|took| took.as_secs_f64()));
        // A request that began before its half was whole may end degraded.
        site.pause(APART)?;
        load.take_outcomes();
        site.pause(APART)?;
        let heal = site.heal()?;
        let whole = site.watch(super::super::site::WHOLE_WITHIN, |site| {
            Ok(site.whole(&all).is_ok().then(|| crate::harness::Moment::now().since(heal)))
        })?;
        let took = whole.map(|took| took.as_secs_f64());
        healed.push(took);
        site.pause(AFTERMATH)?;
        let outcomes = load.stop();
        requests.add(&outcomes);
        notes.extend(reasons(&outcomes));
        more_than_one += usize::from(!agrees(site, &all)?);
        site.say(&format!("T5 {trial}/{}: one mesh {}", trials.few, super::measured_s(took)));
        site.restore()?;
    }
    let mut counts = requests.counts(Some(0)).to_vec();
    counts.push(Count::at_most("trials that ended with several epochs", more_than_one, 0));
    Ok(Measured { series: vec![healed, halved], counts, notes, ..Measured::on(site, 5) })
}
