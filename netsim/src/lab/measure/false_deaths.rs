//! T3: nobody dies. Nobody must be given up, neither idle nor while a quarter of the nodes is starved of processor time; and what plain
//! time-outs would do.

use std::time::Duration;

use super::{Count, LabError, Measured, Site, SiteOptions, Trials};
use crate::harness::Moment;
use crate::lab::Starved;

/// One in so many nodes starves.
const STARVED_SHARE: usize = 4;
/// Verdicts that were due in the time are waited for.
const AFTERMATH: Duration = Duration::from_secs(5);

/// Verdicts of single nodes in one time.
#[derive(Debug, Clone, Copy)]
struct Verdicts {
    /// Against nodes that had all the time they wanted.
    of_well: usize,
    /// Against nodes that starved.
    of_starved: usize,
}

pub(super) fn measure(site: &mut Site, trials: &Trials) -> Result<Measured, LabError> {
    let mut measured = Measured::on(site, 3);
    with_detector(site, trials, "", Some(0), &mut measured)?;
    if trials.ablation {
        // The other mesh stands beside this one, which is idle meanwhile.
        let options = SiteOptions { plain_timeouts: true, ..site.options().clone() };
        let mut plain = Site::start(options)?;
        with_detector(&mut plain, trials, "plain time-outs: ", None, &mut measured)?;
    }
    let seconds = trials.false_deaths.as_secs();
    measured.notes.push(format!("each way for {seconds} s; a verdict is one node's that another is down"));
    Ok(measured)
}

fn with_detector(
    site: &mut Site,
    trials: &Trials,
    detector: &str,
    most: Option<u64>,
    into: &mut Measured,
) -> Result<(), LabError> {
    site.say(&format!("T3 {detector}idle for {} s", trials.false_deaths.as_secs()));
    let idle = live(site, trials.false_deaths, &[])?;
    let starving: Vec<usize> = (0..site.nodes()).filter(|node| node % STARVED_SHARE == 1).collect();
    site.say(&format!("T3 {detector}{} of {} starved, as long", starving.len(), site.nodes()));
    let pids: Vec<u32> = starving.iter().filter_map(|node| site.mesh().nodes()[*node].pid()).collect();
    let starved = Starved::new(&pids);
    let by = serde_json::to_string(&starved.by()).unwrap_or_default();
    let hungry = live(site, trials.false_deaths, &starving)?;
    drop(starved);
    for (name, value) in [
        ("verdicts, idle", idle.of_well),
        ("verdicts against well nodes, a quarter starved", hungry.of_well),
        ("verdicts against starved nodes", hungry.of_starved),
    ] {
        into.counts.push(Count { most, ..Count::of(&format!("{detector}{name}"), value) });
    }
    into.notes.push(format!("{detector}starved by {}", by.trim_matches('"')));
    site.restore()
}

/// Lets the mesh live for so long.
fn live(site: &mut Site, time: Duration, starving: &[usize]) -> Result<Verdicts, LabError> {
    let start = Moment::now();
    site.pause(time)?;
    let end = Moment::now();
    site.pause(AFTERMATH.min(time))?;
    let starving: Vec<_> = starving.iter().map(|node| site.id(*node)).collect::<Result<_, _>>()?;
    let mut verdicts = Verdicts { of_well: 0, of_starved: 0 };
    for node in 0..site.nodes() {
        for event in site.events(node, start).iter().filter(|event| event.event == "down" && event.at <= end) {
            let is_starved = event.member.is_some_and(|member| starving.contains(&member));
            *if is_starved { &mut verdicts.of_starved } else { &mut verdicts.of_well } += 1;
        }
    }
    Ok(verdicts)
}
